# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# For the tests of the commands: what each call must print, where, and how it
# must end. The caller has set command, the path of the one that is tested, and
# for on_fabric softverbs.
#
# shellcheck disable=SC2154 # by the caller

temp=$(mktemp -d) || exit 1
temp=$(readlink -f "$temp") || exit 1
# it is removed at the end: never anything but what mktemp has made
[[ $temp == /*/tmp.* ]] || exit 1
failed=0
pids=()
unset LD_PRELOAD XDG_RUNTIME_DIR
SOFTVERBS_DIR=$temp/fabric
export SOFTVERBS_DIR

clean_up() {
	[ ${#pids[@]} = 0 ] || kill -KILL "${pids[@]}" 2>/dev/null
	wait
	rm -rf -- "${temp:?}"
}
trap clean_up EXIT

complain() {
	echo "$*"
	failed=$((failed + 1))
}

finish() {
	[ $failed = 0 ] && echo "$1: ok"
	exit $((failed > 0))
}

# call STATUS WORD…: leaves standard output in $out, error in $err
call() {
	local status=$1 got
	shift
	"$command" "$@" >"$temp/out" 2>"$temp/err" </dev/null
	got=$?
	out=$(cat "$temp/out")
	err=$(cat "$temp/err")
	[ $got = "$status" ] ||
		complain "${command##*/} $*: status $got, not $status: $out$err"
}

# right WORD…: ends with 0 and says nothing
right() {
	call 0 "$@"
	[ -z "$out$err" ] ||
		complain "${command##*/} $*: should say nothing: $out$err"
}

# prints PATTERN WORD…: on standard output alone
prints() {
	local pattern=$1
	shift
	call 0 "$@"
	[ -z "$err" ] || complain "${command##*/} $*: standard error: $err"
	grep -q -e "$pattern" <<<"$out" ||
		complain "${command##*/} $*: no '$pattern' in: $out"
}

# not_right STATUS PATTERN WORD…: "command: what: why" on standard error alone
not_right() {
	local status=$1 pattern=$2 name=${command##*/}
	shift 2
	call "$status" "$@"
	[ -z "$out" ] || complain "$name $*: standard output: $out"
	grep -q -e "$pattern" <<<"$err" ||
		complain "$name $*: no '$pattern' in: $err"
	grep -vqE "^$name: .+: .+" <<<"$err" &&
		complain "$name $*: not 'command: what: why': $err"
}

fails() {
	not_right 1 "$@"
}

wrong() {
	not_right 2 "$@"
}

# wait_for COMMAND…: until it succeeds, three minutes at most
wait_for() {
	local end=$((SECONDS + 180))

	until "$@"; do
		if [ $SECONDS -ge $end ]; then
			complain "in vain: waited for $*"
			return 1
		fi
		read -rt 0.01 <> <(:)
	done
	return 0 # not that of read
}

# ended PID: a zombie has; who inherited it may never ask for its status
ended() {
	! kill -0 "$1" 2>/dev/null ||
		grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"
}

# await_end PID: returns its status
await_end() {
	wait_for ended "$1" || kill -KILL "$1"
	wait "$1"
}

has_line() {
	grep -qxF -e "$2" "$1" 2>/dev/null
}

# json FILTER: true for what the last call printed, as one value for each line?
json() {
	jq -es "$1" <<<"$out" >/dev/null ||
		complain "jq '$1' is not true of: ${out:0:2000}"
}

# on_fabric WORD…: becomes that program, with the interposers of $preload, if the
# caller has set that, in the place of those that are installed
on_fabric() {
	local words
	words=$("$softverbs" env) || exit 1
	eval "$words"
	[ -z "${preload:-}" ] || export LD_PRELOAD=$preload
	exec "$@"
}
