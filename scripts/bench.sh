# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck disable=SC2154 # BUILD and TOP are in common.sh
#
# ./run bench: builds, measures, draws. How to read it is in
# Documentation/performance.md.

# bench_run FROM [-j] [-q] [--plot FILE]: FROM is where the user is, for FILE.
bench_run() {
	local from=$1 options=() plot=
	shift
	while [ $# -gt 0 ]; do
		case $1 in
		-j | -q) options+=("$1") ;;
		--plot)
			[ $# -gt 1 ] || usage_error "bench: --plot needs a file"
			plot=$(picture_path "$from" "$2") || exit
			shift
			;;
		--plot=*)
			plot=$(picture_path "$from" "${1#--plot=}") || exit
			;;
		*) usage_error "bench: unknown option $1" ;;
		esac
		shift
	done
	bench_build "$plot"
	bench_measure "$plot" "${options[@]}"
}

# Where the picture goes; it is measured for minutes before that is tried.
picture_path() {
	local file=$2
	[[ $file == /* ]] || file=$1/$file
	case $file in
	*.svg | *.png) ;;
	*) usage_error "bench: --plot makes FILE.svg or FILE.png, not $2" ;;
	esac
	if [ -d "$file" ] || ! [ -w "$(dirname "$file")" ]; then
		usage_error "bench: $2 cannot be written"
	fi
	printf '%s' "$file"
}

# liburcu is only for some of the contenders. What is said here goes to standard
# error: -j has nothing but JSON on standard output.
bench_build() {
	need build >&2
	(need bench >&2) ||
		warn "bench: without liburcu its contenders are left out"
	if [ -n "$1" ]; then
		need plot >&2
		command -v gnuplot >/dev/null && command -v jq >/dev/null ||
			die "--plot needs gnuplot and jq: install them by hand"
	fi
	# a tree that was configured before liburcu came does not know of it
	if [ -f "$BUILD/release/CMakeCache.txt" ] &&
	   ! grep -q '^URCU_FOUND:INTERNAL=1' "$BUILD/release/CMakeCache.txt"; then
		cmake "$BUILD/release" >/dev/null || die "cmake failed"
	fi
	build_release || die "the build failed"
}

bench_measure() {
	local plot=$1 json status=0
	shift
	if [ -z "$plot" ]; then
		"$BUILD/release/bin/ibc_bench" "$@"
		return
	fi
	json=$(mktemp "${TMPDIR:-/tmp}/libibclient.XXXXXX") || return 1
	"$BUILD/release/bin/ibc_bench" "$@" -o "$json" &&
		draw "$json" "$plot" || status=1
	rm -f -- "$json"
	return "$status"
}

# plot_data JSON X FIXED
plot_data() {
	jq -s -r --arg x "$2" --argjson fixed "$3" -f "$TOP/bench/plot.jq" "$1"
}

# draw JSON FILE
draw() {
	local json=$1 file=$2 dir status=0
	dir=$(mktemp -d "${TMPDIR:-/tmp}/libibclient.XXXXXX") || return 1
	plot_data "$json" threads 1 >"$dir/threads" &&
		plot_data "$json" slots 1 >"$dir/slots" &&
		gnuplot -e "out='$dir/picture'; kind='${file##*.}';
			threads='$dir/threads'; slots='$dir/slots';
			num=$(grep -c '^"' "$dir/slots");
			subtitle='$(machine "$json")'" "$TOP/bench/plot.gp" &&
		cp "$dir/picture" "$file" || status=1
	rm -rf -- "$dir"
	[ "$status" = 0 ] || warn "run: the picture could not be drawn"
	return "$status"
}

# What the threads were pinned to, in a line without quotes.
machine() {
	jq -s -r '.[] | select(.benchmark == "topology") |
		"\(.cpus) CPUs; the first two: \(.relation | sub("-"; " ")), a cache line goes " +
		"there and back in \(.round_trip_ns // 0 | floor) ns"' "$1"
}
