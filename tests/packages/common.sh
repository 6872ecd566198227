# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck disable=SC2034 # what includes this uses them
#
# What the checks of packages share. Their arguments are BUILD, a tree of this source,
# and WORK, a directory that they empty. With IBC_LONG=1 the tests are run while the
# packages are built, too; else they were built and run by the stages before.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(readlink -f "$1")
rm -rf "$2"
mkdir -p "$2"
work=$(readlink -f "$2")
name=libibclient
version=$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$build/CMakeCache.txt")

fail() {
	echo "not ok - $*" >&2
	exit 1
}

started=$(date +%s)
ok() {
	echo "ok - $* ($(($(date +%s) - started)) s)"
}

# the source of the newest commit, in $work/tarball
make_tarball() {
	cmake --build "$build" -t dist >"$work/dist.log" 2>&1 ||
		fail "dist: $(tail -n 5 "$work/dist.log")"
	mv "$build/$name-$version.tar.xz" "$work/tarball"
}

# Both at once: where one waits for its configuration the other one computes.
# build_twice FIRST-OPTIONS SECOND-OPTIONS: by build_in(DIR, OPTIONS) of the caller
build_twice() {
	local first
	build_in "$work/first" "$1" &
	first=$!
	build_in "$work/second" "$2" || {
		wait $first || true
		return 1
	}
	wait $first
}
