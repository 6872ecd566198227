# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# One build tree for each way of compiling, all below build/.

# Options of the trees that did not build: said once, not for every stage.
declare -A build_bad=()

# build_tree NAME [CMAKE-OPTION…]: configures if the options changed, builds: all,
# or what the caller has in the array build_targets. Quiet unless it fails.
build_targets=()
build_tree() {
	local name=$1 dir=$BUILD/$1 log=$BUILD/log/build-$1.log
	local targets=("${build_targets[@]/#/--target=}")
	shift

	if [ "${build_bad[$name]:-}" = "$*" ]; then
		warn "build/$name does not build, as said above"
		return 1
	fi
	mkdir -p "$dir" "$BUILD/log"
	if ! [ -f "$dir/build.ninja" ] ||
	   [ "$(cat "$dir/options" 2>/dev/null)" != "$*" ]; then
		rm -f "$dir/CMakeCache.txt"
		cmake -S "$TOP" -B "$dir" -G Ninja "$@" >"$log" 2>&1 ||
			build_failed "$name" "$log" "$*" || return 1
		printf '%s' "$*" >"$dir/options"
	fi
	cmake --build "$dir" "${targets[@]}" >"$log" 2>&1 || build_failed "$name" "$log" "$*"
}

build_failed() {
	build_bad[$1]=$3
	warn "the build in build/$1 failed; the whole log is ${2#"$TOP"/}:"
	grep -E -A 3 'error:|CMake Error|FAILED' "$2" | head -n 40 >&2 ||
		tail -n 30 "$2" >&2
	return 1
}

# The library, tools and examples, for demo and shell. The tests build the
# same tree with more in it; that one is used as it is if it is there, so
# that nobody needs pandoc and cmocka to see a demonstration.
build_release() {
	local options

	if [ -f "$BUILD/release/options" ]; then
		read -ra options <"$BUILD/release/options" || true
		build_tree release "${options[@]}"
	else
		build_tree release -DIBC_BUILD_TESTS=OFF -DIBC_BUILD_MAN=OFF
	fi
}
