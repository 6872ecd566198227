#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# test-completions.sh SOFTVERBS HOLDER IBC_DEVICES IBC_MONITOR [IBC_TOP]: the completions
# for bash, as bash-completion calls them. What they offer is what is there; each option
# of a --help is offered, and the command knows each that is offered. HOLDER is the
# program tests/soft/holder.c. Exit status: 0; 1 with a line for each thing that is
# wrong; 77 without bash-completion.
set -u
here=$(cd "$(dirname "$0")" && pwd)
top=$here/../..
softverbs=$1
holder=$2
tools=("${@:3}")
failed=0
checks=0

for loader in "$(pkg-config --variable=datadir bash-completion \
	2>/dev/null)/bash-completion/bash_completion" \
	/usr/share/bash-completion/bash_completion; do
	[ ! -r "$loader" ] || break
done
[ -r "$loader" ] || {
	echo "test-completions: skipped: it needs bash-completion, which is not" \
		"installed"
	exit 77
}
temp=$(mktemp -d) || exit 1
trap 'rm -rf "$temp"' EXIT
unset LD_PRELOAD XDG_RUNTIME_DIR
export SOFTVERBS_DIR=$temp/fabric

# it wants to be loaded with defaults as a login shell has them
shopt -s extglob progcomp
set +u
# shellcheck disable=SC1090
. "$loader"
# shellcheck source=completions/softverbs.bash
. "$top/completions/softverbs.bash"
# shellcheck source=completions/ibc_tools.bash
. "$top/completions/ibc_tools.bash"

# A person does not wait for longer than the completions' two seconds; a test on a busy
# machine does.
timeout() {
	command timeout 60 "${@:2}"
}

complain() {
	echo "test-completions: $*"
	failed=$((failed + 1))
}

# split_line LINE: as readline does, = and : are words of their own
split_line() {
	local word rest part

	COMP_WORDS=()
	for word in $1; do
		rest=$word
		while [[ $rest =~ ^([^=:]*)([=:]+)(.*)$ ]]; do
			part=${BASH_REMATCH[1]}
			[ -z "$part" ] || COMP_WORDS+=("$part")
			COMP_WORDS+=("${BASH_REMATCH[2]}")
			rest=${BASH_REMATCH[3]}
		done
		[ -z "$rest" ] || COMP_WORDS+=("$rest")
	done
	[[ $1 != *' ' ]] || COMP_WORDS+=('')
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	COMP_LINE=$1
	COMP_POINT=${#1}
}

# tab LINE: leaves in COMPREPLY what is offered at its end
tab() {
	local name=${1%% *} function

	split_line "$1"
	function=$(complete -p "${name##*/}")
	function=${function#*-F }
	COMPREPLY=()
	"${function%% *}" "$name" "${COMP_WORDS[COMP_CWORD]}" \
		"${COMP_WORDS[COMP_CWORD - 1]}" 2>"$temp/err"
	grep -v 'compopt: not currently executing' "$temp/err" >"$temp/said"
	[ ! -s "$temp/said" ] ||
		complain "'$1' says: $(cat "$temp/said")"
}

sorted() {
	printf '%s\n' "$@" | sed 's/ *$//;/^$/d' | sort | paste -sd ' '
}

# offers LINE WORD…: these, and nothing else
offers() {
	local line=$1 got want
	shift

	tab "$line"
	got=$(sorted "${COMPREPLY[@]}")
	want=$(sorted "$@")
	checks=$((checks + 1))
	[ "$got" = "$want" ] || complain "'$line' offers '$got', not '$want'"
}

# has LINE WORD…: these, and maybe more
has() {
	local line=$1 word
	shift

	tab "$line"
	checks=$((checks + 1))
	for word in "$@"; do
		[[ " $(sorted "${COMPREPLY[@]}") " == *" $word "* ]] ||
			complain "'$line' does not offer $word: ${COMPREPLY[*]}"
	done
}

# ---- nothing is made by it, nothing said ----

offers "$softverbs remove "
[ ! -e "$SOFTVERBS_DIR" ] || complain "completing has made a fabric"
mkdir -m 700 "$SOFTVERBS_DIR"
offers "/no/such/softverbs remove "
chmod 755 "$SOFTVERBS_DIR" # softverbs refuses it
offers "$softverbs remove "
rmdir "$SOFTVERBS_DIR"

# ---- options: as --help has them, and as the command knows them ----

# check_options LINE COMMAND WORD…: those offered behind LINE. Behind --help nothing
# is done any more.
check_options() {
	local line=$1 option help offered
	shift

	help=$("$@" --help | grep -oE '(^|[^a-zA-Z0-9-])--?[a-z][a-z-]*' |
		grep -oE -e '--?[a-z].*')
	in_help+=" $help"
	tab "$line -"
	offered=" $(sorted "${COMPREPLY[@]}") "
	for option in $help --help --version; do
		[[ $offered == *" $option "* ]] ||
			complain "'$line -' does not offer $option, which --help has"
	done
	for option in $offered; do
		checks=$((checks + 1))
		command timeout 60 "$@" "$option" 1 --help 2>&1 >/dev/null </dev/null |
			grep -q 'no such option' &&
			complain "'$line -' offers $option, which $* does not know"
	done
}

in_help=
commands=$("$softverbs" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
offers "softverbs " $commands
offers "softverbs re" remove rename
offers "softverbs -" --dir --help --version -h
for command in $commands; do
	check_options "softverbs $command" "$softverbs" "$command"
	has "softverbs --dir $temp $command --he" --help
done
for tool in "${tools[@]}"; do
	check_options "${tool##*/}" "$tool"
done
[ "$(wc -w <<<"$in_help")" -ge 30 ] || complain "too few options: $in_help"

# ---- names, live ----

"$softverbs" add soft0 --ports 3 || exit 1
"$softverbs" add hard1 || exit 1
"$softverbs" --dir "$temp/other" add far0 || exit 1
for command in remove rename port gid pkey event fault; do
	offers "$softverbs $command " soft0 hard1
	offers "$softverbs $command s" soft0
	offers "$softverbs $command --dir $temp/other " far0
	offers "$softverbs $command --dir=$temp/other " far0
	offers "$softverbs --dir $temp/other $command f" far0
done
offers "$softverbs remove -- " soft0 hard1
offers "$softverbs remove -- -"
offers "$softverbs remove --timeout 5 " soft0 hard1
offers "$softverbs remove --timeout "
offers "$softverbs remove soft0 "
offers "$softverbs rename soft0 "
offers "$softverbs add "
offers "$softverbs list "
offers "$softverbs port soft0 " 1 2 3
offers "$softverbs port hard1 " 1
offers "$softverbs port soft0 2 " up down
offers "$softverbs port soft0 2 d" down
offers "$softverbs port soft0 2 down "
offers "$softverbs gid soft0 " 1 2 3
offers "$softverbs gid soft0 3 " {0..15}
offers "$softverbs gid soft0 3 1 " none
offers "$softverbs pkey soft0 3 " {0..15}
offers "$softverbs pkey soft0 3 1 "
offers "$softverbs port none "

# ---- values ----

for command in add run; do
	offers "softverbs $command --removal " fatal wait
	offers "softverbs $command --removal f" fatal
	offers "softverbs $command --removal=w" wait
done
offers "softverbs add --link " roce ib
offers "softverbs add --link=i" ib
offers "softverbs add --guid "
offers "softverbs add --ports="
mkdir "$temp/sub" "$temp/sub/dir"
touch "$temp/sub/file"
offers "softverbs --dir $temp/sub/" "$temp/sub/dir"
offers "softverbs list --dir=$temp/sub/" "$temp/sub/dir"

# ---- event ----

source=$top/providers/soft/names.c
types=$(sed -n 's/^\tEVENT(\([A-Z_]*\)),$/\1/p' "$source")
[ "$(wc -w <<<"$types")" -ge 20 ] || complain "no types in names.c"
offers "$softverbs event soft0 " $types
offers "$softverbs event soft0 PORT_" PORT_ACTIVE PORT_ERR
offers "$softverbs event soft0 PORT_ERR --port " 1 2 3
offers "$softverbs event --port 2 soft0 PORT_E" PORT_ERR
offers "$softverbs event soft0 PORT_ERR --count "
offers "$softverbs event soft0 PORT_ERR --pid "
offers "$softverbs event soft0 PORT_ERR "

# ---- objects of who has a device open ----

coproc HOLDER {
	eval "$("$softverbs" env)"
	exec "$holder" soft0
}
declare -A object=()
while [ -z "${object[ready]:-}" ] &&
	read -rt 60 -u "${HOLDER[0]}" name number; do
	object[$name]=$number
done
[ "${object[ready]:-}" ] || complain "the holder says: ${object[*]@A}"
for name in qp cq srq wq; do
	offers "$softverbs event soft0 QP_FATAL --$name " "${object[$name]}"
	offers "$softverbs event hard1 QP_FATAL --$name "
done
offers "$softverbs event soft0 QP_FATAL --pid " "${object[ready]}"
eval "exec ${HOLDER[1]}>&-"
wait "$HOLDER_PID" || complain "the holder did not end well"

# ---- fault: the very words that the command takes ----

offers "$softverbs fault soft0 no" none
offers "$softverbs fault soft0 reg_" reg_mr= reg_dmabuf_mr=
offers "$softverbs fault soft0 alloc_pd=ENOM" ENOMEM
offers "$softverbs fault soft0 alloc_pd=d" delay:
offers "$softverbs fault soft0 alloc_pd=delay:"
offers "$softverbs fault soft0 none alloc_pd=EIO:1 reg_mr=EINV" EINVAL
verbs=$(sed -n '/char \*const verbs\[\]/,/^};/s/^\t"\([a-z_]*\)",$/\1=/p' \
	"$top/providers/soft/fault.c")
offers "$softverbs fault soft0 " none $verbs
"$softverbs" fault soft0 ${verbs//=/=EIO:1} ||
	complain "softverbs does not know a verb"
errors=$(grep -oE 'ERRNO\(E[A-Z0-9]+\)' "$source" | tr -d '()' | sed 's/ERRNO//')
[ "$(wc -w <<<"$errors")" -ge 30 ] || complain "no errors in names.c"
offers "$softverbs fault soft0 open=" delay: $errors

# ---- run: what is CMD's is completed as ever ----

known_words() {
	COMPREPLY=("at-$COMP_CWORD" "${COMP_WORDS[@]:1:COMP_CWORD}")
}
complete -F known_words known
for line in "run" "run --" "run -n 2" "run --removal=fatal" \
	"--dir $temp/other run --removal wait -n 3 --" "run --dir=$temp --"; do
	has "softverbs $line tes" test
	offers "softverbs $line known -n --rem" at-2 -n --rem
	offers "softverbs $line known " at-1
done
offers "softverbs run -n "
offers "softverbs run --dir $temp/sub/" "$temp/sub/dir"
offers "softverbs run --re" --removal

# ---- the tools ----

offers "ibc_monitor --exit-on " add remove gone rename async $types
offers "ibc_monitor --exit-on=go" gone
offers "ibc_monitor --hold "
offers "ibc_monitor -t "
offers "ibc_top -d "
offers "ibc_top --dir $temp/sub/" "$temp/sub/dir"
has "ibc_top " $$
kernels=$(ls /sys/class/infiniband 2>/dev/null)
for tool in ibc_devices ibc_monitor; do
	offers "$tool " $kernels
	offers "$tool -j -- -"
	PATH=${softverbs%/*}:$PATH LD_PRELOAD=libsoftverbs-preload.so \
		offers "$tool -j " $kernels soft0 hard1 2>/dev/null
done

# ---- = is no word of its own if the user has said so ----

saved=$COMP_WORDBREAKS
COMP_WORDBREAKS=${COMP_WORDBREAKS//=}
split_line() {
	COMP_LINE=$1 COMP_POINT=${#1}
	read -ra COMP_WORDS <<<"$1"
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
}
offers "$softverbs fault soft0 open=ENOM" open=ENOMEM
COMP_WORDBREAKS=$saved

[ $failed = 0 ] || exit 1
echo "test-completions: $checks checks: ok"
