#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck disable=SC2016 # words for the shells that are run
#
# test-command-run.sh SOFTVERBS HOLDER: `softverbs run` and `softverbs env`: exit
# statuses, signals, what is left afterwards, and where a fabric is.
set -uo pipefail

command=$(readlink -f "$1") || exit 1
softverbs=$command
holder=$(readlink -f "$2") || exit 1
# shellcheck source=tests/soft/command-lib.sh
. "$(dirname "$0")/command-lib.sh"

# run makes its directories here, in temp/outer the test has a fabric of its own
mkdir "$temp/tmp" "$temp/outer" || exit 1
export TMPDIR=$temp/tmp
ulimit -c 0

# nothing_left WHAT: no fabric of run's is there any more
nothing_left() {
	[ -z "$(ls -A "$temp/tmp")" ] ||
		complain "$1 has left: $(ls "$temp/tmp")"
}

# ends STATUS WORD…: run with these ends so, says nothing and leaves nothing
ends() {
	call "$1" run "${@:2}"
	[ -z "$out$err" ] || complain "run ${*:2}: says: $out$err"
	nothing_left "run ${*:2}"
}

# ---- exit statuses ----

for status in 0 1 2 3 125 126 127 128 255; do
	ends $status -- sh -c "exit $status"
done
ends 137 -- sh -c 'kill -KILL $$'
for signal in TERM SEGV HUP INT USR1 PIPE; do
	ends $((128 + $(kill -l $signal))) -- \
		env --default-signal=$signal sh -c "kill -$signal \$\$"
done
ends 0 true
ends 0 -n 0 true -n 5 --bogus
# a directory that may not be searched would make it 126, as in env(1)
path=$PATH
PATH=/usr/bin:/bin
not_right 127 '^softverbs: no-such-program: No such file' run no-such-program
not_right 127 "^softverbs: '': " run ''
not_right 127 '^softverbs: -x: No such file' run -- -x
PATH=$path
not_right 127 'No such file or directory$' run "$temp/none/none"
echo >"$temp/plain"
not_right 126 'plain: Permission denied$' run "$temp/plain"
not_right 126 'tmp: Permission denied$' run -- "$temp/tmp"
nothing_left "a program that could not be run"
wrong 'CMD: no command to run is given' run
wrong 'CMD: no command to run is given' run --
wrong 'CMD: no command to run is given' run -n 2 --

# ---- options ----

prints '^soft0 soft1 soft2$' run -n 3 -- sh -c \
	"'$softverbs' list -j | jq -r .device | sort | xargs"
prints '^soft0 wait roce 1$' run -- sh -c "'$softverbs' list -j |
	jq -r '[.device, .removal, .link, (.ports | length | tostring)] |
		join(\" \")'"
prints '^fatal fatal$' run -n 1 --removal fatal --devices=0x2 -- sh -c \
	"'$softverbs' list -j | jq -r .removal | xargs"
prints '^wait$' run --removal fatal --removal wait -- sh -c \
	"'$softverbs' list -j | jq -r .removal | xargs"
ends 0 -n 0 -- sh -c "test -z \"\$('$softverbs' list)\""
for n in '' x -1 1x ' 1' 1.5; do
	wrong '^softverbs: -n: not a whole number' run -n "$n" true
done
for n in 100001 99999999999 99999999999999999999999; do
	wrong '^softverbs: -n: a number from 0 to 100000' run -n "$n" true
done
wrong '^softverbs: -n: a value is missing' run -n
wrong '-n: a value is missing' run --devices
wrong '--removal: fatal or wait is wanted' run --removal soon true
wrong '--removal: a value is missing' run --removal
wrong '-x: no such option' run -x true
nothing_left "wrong use"

# the program: unchanged streams, and the devices that it was promised
out=$(echo in | "$softverbs" run -- sh -c 'cat; echo err >&2' 2>"$temp/err")
[ "$out$(cat "$temp/err")" = inerr ] || complain "run changes the streams: $out"
for device in soft0 soft1; do
	prints '^ready' run -n 2 -- "$holder" $device
done
call 1 run -n 2 -- "$holder" soft2

# ---- a fresh fabric ----

right add outside
call 0 run -- sh -c 'echo "$SOFTVERBS_DIR"; stat -c %a "$SOFTVERBS_DIR"'
[[ $out == "$temp"/tmp/softverbs-run-*$'\n700' ]] ||
	complain "run has its fabric elsewhere: $out"
nothing_left run
prints '^outside	' list
ends 0 -- "$softverbs" run -n 2 -- "$softverbs" run -n 0 -- true
prints '^1$' run -- "$softverbs" run -n 2 -- sh -c \
	'echo "$LD_PRELOAD" | grep -o libsoftverbs-preload.so | wc -l'
# TMPDIR as it may be given
mkdir "$temp/tmp/inner" || exit 1
(
	cd "$temp/tmp" || exit 1
	TMPDIR=inner "$softverbs" run -- sh -c \
		"cd / && '$softverbs' list" >"$temp/out" 2>&1
)
grep -q '^soft0' "$temp/out" || complain "relative TMPDIR: $(cat "$temp/out")"
rmdir "$temp/tmp/inner" || complain "relative TMPDIR: something was left"
TMPDIR=$temp/none fails "none: there is no directory" run true
TMPDIR=$temp/plain fails "plain: it is no directory" run true
deep=$temp/tmp/$(printf 'n%.0s' {1..160})
mkdir "$deep" || exit 1
TMPDIR=$deep fails "the path is too long for a verbs device" run true
rmdir "$deep" || complain "too long a path: something was left"

# whatever the program has done to it
ends 3 -- sh -c "'$softverbs' add more; '$softverbs' remove soft0; exit 3"
for part in '' /lock /class /removed /new /next \
	/class/infiniband_verbs/uverbs0/contexts; do
		ends 4 -- bash -c '[[ $SOFTVERBS_DIR == /*/tmp/softverbs-run-?????? ]] &&
		rm -r "$SOFTVERBS_DIR$1" && exit 4' bash "$part"
done
ends 0 -- sh -c 'echo all kinds >"$SOFTVERBS_DIR/class/of things"'

# what it has started runs on, and the directory goes nevertheless
mkfifo "$temp/stay.in" || exit 1
exec {stay}<>"$temp/stay.in"
call 0 run -- bash -c '"$1" soft0 bare <"$2.in" >"$2.out" 2>&1 &
	echo $!
	until grep -q ^ready "$2.out"; do read -rt 0.01 <> <(:); done
	true' bash "$holder" "$temp/stay"
[ -n "$out" ] || complain "no program was started"
pids+=("$out")
nothing_left "run, a program still there"
ended "$out" && complain "what the program started did not run on"
echo >&"$stay"
wait_for ended "$out"
unset 'pids[-1]'
[ "$(wc -l <"$temp/stay.out")" = 1 ] ||
	complain "the program still there: $(cat "$temp/stay.out")"

# ---- signals to softverbs itself ----

# start WORD…: returns when it has printed the pids of its processes
start() {
	: >"$temp/run.out"
	"${before[@]}" "$softverbs" run "$@" >"$temp/run.out" \
		2>"$temp/run.err" </dev/null &
	pid=$!
	pids+=("$pid")
	wait_for grep -q ^ready "$temp/run.out"
	read -ra theirs < <(sed -n 's/^ready //p' "$temp/run.out")
	pids+=("${theirs[@]}")
}

# ended_with STATUS WHAT
ended_with() {
	local got p
	await_end "$pid"
	got=$?
	for p in "${theirs[@]}"; do
		wait_for ended "$p" && continue
		kill -KILL "$p"
	done
	pids=()
	[ $got = "$1" ] || complain "$2: $got, not $1: $(cat "$temp/run.err")"
	[ ! -s "$temp/run.err" ] || complain "$2: $(cat "$temp/run.err")"
	nothing_left "$2"
}

before=(env --default-signal)
for signal in INT TERM HUP QUIT USR1 USR2; do
	start -- sh -c 'echo ready $$; exec tail -f /dev/null'
	kill "-$signal" "$pid"
	ended_with $((128 + $(kill -l $signal))) "SIG$signal to run"
	# the program's own way to end is what counts
	start -- bash -c 'tail -f /dev/null & t=$!
		trap "echo got; kill $t; exit 7" "$1"; echo ready $$ $t; wait' \
		bash "$signal"
	kill "-$signal" "$pid"
	ended_with 7 "SIG$signal to run, trapped"
	has_line "$temp/run.out" got || complain "SIG$signal was not handed on"
done
# ignored by who started it, so by the program: the lower number comes first
before=()
trap '' HUP
start -- sh -c 'echo ready $$; exec tail -f /dev/null'
trap - HUP
kill -HUP "$pid"
kill -TERM "$pid"
ended_with 143 "SIGHUP to run, ignored"

# ---- run --dir: emptied, and kept ----

right --dir "$temp/kept" add old
call 0 run --dir "$temp/kept" -n 2 -- sh -c \
	"echo \$SOFTVERBS_DIR; '$softverbs' list -j | jq -r .device | sort"
[ "$out" = "$temp/kept"$'\nsoft0\nsoft1' ] || complain "run --dir: $out"
prints '^soft1	' list --dir "$temp/kept"
call 0 --dir "$temp/kept" run -- "$softverbs" add more
prints '^more	' list --dir "$temp/kept"
call 0 run --dir "$temp/made" -n 0 -- true
[ "$(stat -c %a "$temp/made")" = 700 ] || complain "run --dir: not made 0700"
prints '^outside	' list
fails 'plain: it is no directory' run --dir "$temp/plain" -- echo bad
fails 'none: there is no directory' run --dir "$temp/none/none" -- echo bad
wrong '--dir: it is empty' run --dir '' -- echo bad
wrong '--dir: a value is missing' run --dir
nothing_left "run --dir"

# ---- env ----

awkward=('a b' "it's" '"two"' '$(touch bad)' '`touch bad`' 'a\b' $'new\nline'
	$'end\n' '*' ' ' '-n' ';' 'ü' "'" '$HOME' '#' '!!' '~' $'\t')
probe='set -eu
eval "$("$1" env --dir "$2")"
printf "%s\n" "$SOFTVERBS_DIR"
"$3" here bare </dev/null
eval "$("$1" env)"
"$1" list'
for name in "${awkward[@]}"; do
	dir=$temp/outer/$name
	right add here --dir "$dir"
	for shell in sh bash dash; do
		command -v $shell >/dev/null || continue
		out=$($shell -c "$probe" $shell "$softverbs" "$dir" "$holder" \
			2>&1) || complain "$shell, env of '$name': $?"
		[[ $out == "$dir"$'\nready '*$'\nhere\t'* ]] ||
			complain "$shell, env of '$name': $out"
	done
done
[ ! -e bad ] || complain "env: something in a name was obeyed"

# exports_of WORD…: $dir and $preload, as a shell has them afterwards
exports_of() {
	call 0 env "$@"
	[ -z "$err" ] || complain "env $*: $err"
		mapfile -t words < <(sh -c \
		'eval "$1"; echo "$SOFTVERBS_DIR"; echo "$LD_PRELOAD"' sh "$out")
	dir=${words[0]}
	preload=${words[1]}
}

exports_of
[ "$dir" = "$temp/fabric" ] || complain "env without --dir: $dir"
[[ $preload == /*/softverbs/libsoftverbs-preload.so ]] ||
	complain "env: LD_PRELOAD is $preload"
# with or without rdma_cm's, which stands before it
for file in ${preload//:/ }; do
	[[ $file == /*/softverbs/libsoftverbs-*.so && -r $file ]] ||
		complain "env: LD_PRELOAD has $file"
done
ours=$preload
LD_PRELOAD=libm.so.6 exports_of
[ "$preload" = "$ours:libm.so.6" ] || complain "env: LD_PRELOAD is $preload"
LD_PRELOAD=$ours:libm.so.6 exports_of
[ "$preload" = "$ours:libm.so.6" ] || complain "env: twice in $preload"
cd "$temp" || exit 1
exports_of --dir kept
[ "$dir" = "$temp/kept" ] || complain "env --dir kept: $dir"
exports_of --dir ./kept/../kept
[ "$dir" = "$temp/kept" ] || complain "env --dir ./kept/../kept: $dir"
cd / || exit 1
wrong 'x: one argument too many' env x
fails 'kept/no/no: there is no directory' env --dir "$temp/kept/no/no"
fails 'plain: it is no directory' env --dir "$temp/plain"

# ---- which directory ----

mkdir "$temp/xdg" || exit 1
unset SOFTVERBS_DIR
XDG_RUNTIME_DIR=$temp/xdg exports_of
[ "$dir" = "$temp/xdg/softverbs" ] || complain "XDG_RUNTIME_DIR: $dir"
[ "$(stat -c %a "$dir")" = 700 ] || complain "$dir: not made 0700"
XDG_RUNTIME_DIR=$temp/xdg SOFTVERBS_DIR='' exports_of
[ "$dir" = "$temp/xdg/softverbs" ] || complain "SOFTVERBS_DIR='': $dir"
XDG_RUNTIME_DIR=$temp/xdg SOFTVERBS_DIR=$temp/kept exports_of
[ "$dir" = "$temp/kept" ] || complain "SOFTVERBS_DIR: $dir"
XDG_RUNTIME_DIR=$temp/xdg SOFTVERBS_DIR=$temp/kept exports_of --dir "$temp/made"
[ "$dir" = "$temp/made" ] || complain "--dir: $dir"
XDG_RUNTIME_DIR=$temp/none fails "none/softverbs: there is no directory" env
# without any: only where it is there, since this would make it
default=/tmp/softverbs-$(id -u)
if [ -O "$default" ] && [ -d "$default/class" ] && [ ! -L "$default" ]; then
	exports_of
	[ "$dir" = "$default" ] || complain "the default: $dir"
	XDG_RUNTIME_DIR='' exports_of
	[ "$dir" = "$default" ] || complain "XDG_RUNTIME_DIR='': $dir"
fi
prints 'else /tmp/softverbs-UID' --help

# ---- what is refused, however it was named ----

# refused PATTERN DIR: DIR is called softverbs, and stays as it is
refused() {
	local word before
	before=$(stat -c '%a %u %Y' "$2"; ls -A "$2")
	for word in env list 'add bad' 'remove bad' 'port bad 1 up'; do
		# shellcheck disable=SC2086 # words
		fails "$1" $word --dir "$2"
	done
	fails "$1" run --dir "$2" echo bad
	for word in env list; do
		SOFTVERBS_DIR=$2 fails "$1" $word
		XDG_RUNTIME_DIR=${2%/softverbs} fails "$1" $word
	done
	[ "$before" = "$(stat -c '%a %u %Y' "$2"; ls -A "$2")" ] ||
		complain "$2 was refused, and changed"
}

dir=$temp/xdg/softverbs
rm -r "${temp:?}/xdg/softverbs"
mkdir "$dir"
for mode in 755 750 701 770 777 1777 710 704; do
	chmod "$mode" "$dir"
	refused "softverbs: it is not a directory of this user's alone" "$dir"
done
chmod 700 "$dir"
if [ "$(id -u)" = 0 ]; then
	chown 12345 "$dir"
	refused "softverbs: it is not a directory of this user's alone" "$dir"
	chown 0 "$dir"
else
	fails "it is not a directory of this user's alone" env --dir /
fi
rmdir "$dir"
ln -s "$temp/kept" "$dir"
refused 'softverbs: it is no directory (a symbolic link' "$dir"
rm "$dir"
ln -s "$temp/none" "$dir"
refused 'softverbs: it is no directory (a symbolic link' "$dir"
[ ! -e "$temp/none" ] || complain "a link was followed"
rm "$dir"
touch "$dir"
refused 'softverbs: it is no directory' "$dir"

finish "softverbs run, softverbs env"
