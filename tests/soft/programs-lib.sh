# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# For test-programs.sh: a fabric of its own, and programs on it, of this system
# or of another release.
#
# $kind is system or other; $launch what stands before a program of that kind,
# $bin where it is, $lib where its libibverbs is. Programs print to files in
# $tmp/$kind, which is the working directory; what must be the same for both
# kinds is kept in results/ there. $pid is the program that was started last.

# shellcheck disable=SC2034,SC2154 # shared with test-programs.sh

begin() {
	local tool

	for tool in jq stdbuf ibv_devices ibv_devinfo ibv_asyncwatch; do
		command -v $tool >/dev/null && continue
		echo "skipped: needs $tool"
		exit 77
	done
	tmp=$(mktemp -d)
	trap finish EXIT
	mkdir -m 700 "$tmp/fabric"
	export SOFTVERBS_DIR=$tmp/fabric
}

finish() {
	local p
	for p in "${started[@]}"; do
		kill -9 "$p" 2>/dev/null
	done
	wait
	rm -rf "$tmp"
}

use_system() {
	kind=system
	bin=$(dirname "$(command -v ibv_devinfo)")
	lib=/
	launch=(stdbuf -oL)
}

# Its own libc goes with its own loader; else this system's does.
use_other() {
	local loader

	kind=other
	bin=$1/usr/bin
	lib=$(dirname "$(compgen -G "$1/usr/lib/*/libibverbs.so.1")")
	loader=$(compgen -G "$lib/ld-linux*.so.*")
	if [ -n "$loader" ]; then
		launch=(stdbuf -oL "$loader" --library-path "$lib")
	else
		launch=(env "LD_LIBRARY_PATH=$lib" stdbuf -oL)
	fi
}

# check WHAT COMMAND…
check() {
	local what=$1
	shift
	"$@" && return
	echo "$kind: not so: $what" >&2
	failed=$((failed + 1))
}

not() {
	! "$@" 2>/dev/null
}

wait_for() {
	local what=$1 end=$((SECONDS + 60))
	shift
	until "$@"; do
		if [ $SECONDS -ge $end ]; then
			check "$what" false
			return 1
		fi
		sleep 0.02
	done
}

# soft WORD…: a command that must succeed
soft() {
	check "softverbs $*" "$softverbs" "$@"
}

# listed DEVICE FILTER: of its line of list -j
listed() {
	"$softverbs" list -j | jq -r --arg d "$1" "select(.device == \$d) | $2"
}

unlisted() {
	[ -z "$(listed "$1" .device)" ]
}

# bare PROGRAM ARG…: not on the fabric
bare() {
	local program=$1
	shift
	"${launch[@]}" "$bin/$program" "$@" 2>/dev/null
}

# The process becomes the program, so that $! is its pid.
become() {
	eval "$("$softverbs" env)"
	exec "${launch[@]}" "$@"
}

run_program() {
	local program=$1
	shift
	(become "$bin/$program" "$@")
}

has_or_ended() {
	grep -qE "$1" "$2" || ! kill -0 "$pid"
}

# start_program OUT READY PROGRAM ARG…: returns when it has printed READY
start_program() {
	local out=$1 ready=$2
	shift 2
	: >"$out"
	(become "$@") >"$out" 2>&1 &
	pid=$!
	started+=("$pid")
	wait_for "$* starts" has_or_ended "$ready" "$out"
	check "$*: '$ready'" grep -qE "$ready" "$out"
}

start_watch() {
	start_program "$2" 'async event FD' "$bin/ibv_asyncwatch" -d "$1"
}

end_process() {
	kill "-$1" "$pid"
	wait "$pid" 2>/dev/null
}

has_ended() {
	! kill -0 "$1" 2>/dev/null
}

# await_end PID: returns its status
await_end() {
	wait_for "process $1 ends" has_ended "$1" || kill -9 "$1"
	wait "$1"
}

# at_least FILE LINES
at_least() {
	[ "$(wc -l <"$1")" -ge "$2" ]
}

# As it is expected: which descriptor it is depends on those that were inherited;
# old releases of libibverbs have no words for a WQ's event.
same() {
	sed -e 's/async event FD [0-9]*$/async event FD N/' \
		-e 's/^event 19, unknown,/event 19, WQ fatal,/' "$1"
}

# watched FILE: it comes to be what is expected, and no more
watched() {
	wait_for "$1: all lines" at_least "$1" "$(wc -l <expected)"
	check "$1: what is expected" diff expected <(same "$1")
}

# A line that release 33 does not print.
without_new_lines() {
	grep -v '^[[:space:]]*num_comp_vectors:' "$1"
}

# fields FILE: each line of ibv_devinfo as DEVICE[.PORT] NAME: VALUE
fields() {
	awk '
	/^hca_id:/ { at = $2; device = $2; next }
	/^\t\tport:/ { at = device "." $2; next }
	match($0, /^[ \t]+[A-Za-z_0-9]+(\[ *[0-9]+\])?:/) {
		name = substr($0, 1, RLENGTH - 1)
		value = substr($0, RLENGTH + 1)
		gsub(/[ \t]/, "", name)
		sub(/^[ \t]+/, "", value)
		sub(/[ \t]+$/, "", value)
		print at " " name ": " value
	}' "$1"
}

# loaded PID: which libibverbs and interposer it has
loaded() {
	local file files
	mapfile -t files < <(grep -oE '/.*/lib(ibverbs|softverbs-preload)\.so.*' \
		"/proc/$1/maps" | sort -u)
	check "one libibverbs and one interposer" test "${#files[@]}" = 2
	for file in "${files[@]}"; do
		case $file in
		*softverbs*)
			mkdir -p results
			sha256sum "$file" >results/interposer
			;;
		*)
			check "$file: it is in $lib" \
				test "${file#"${lib%/}"/}" != "$file"
			basename "$file"
			;;
		esac
	done >loaded
}

# keep NAME COMMAND…: a result, for compare()
keep() {
	mkdir -p results
	"${@:2}" >"results/$1"
}

# compare KIND KIND: the results, one for one
compare() {
	check "the results of $1 and $2 are the same" \
		diff -r "$tmp/$1/results" "$tmp/$2/results"
	echo "$1 and $2: $(find "$tmp/$1/results" -type f | wc -l) results" \
		"compared"
}
