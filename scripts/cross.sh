# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# The stages `m32` and `aarch64`: the tests on the fake backend, built for another
# kind of machine with libraries of that kind, which tests/cross/fetch-sysroot gets.

# cross_stage STAGE DEBIAN'S-ARCH TOOLCHAIN LOADER EXCEPT: LOADER, if that is not
# empty, is a program of the sysroot that is to run here; EXCEPT is ctest's option
# for what cannot be had.
cross_stage() {
	local stage=$1 sysroot status=0
	# twins of other tests; tracked_data is none of them
	# shellcheck disable=SC2034 # run_ctest uses it
	local ctest_options=(-LE no-valgrind -E "$5")

	sysroot=$("$TOP/tests/cross/fetch-sysroot" "$2") || status=$?
	case $status in
	0) ;;
	3)
		skip "$stage" "libraries for $2 are not to be had here"
		return 0
		;;
	*) return 1 ;;
	esac
	if [ -n "$4" ] && ! "$sysroot/$4" --version >/dev/null 2>&1; then
		skip "$stage" "this machine runs no programs of $2"
		return 0
	fi
	build_tree "$stage" "-DCMAKE_TOOLCHAIN_FILE=$TOP/cmake/$3.cmake" \
		"-DIBC_SYSROOT=$sysroot" -DIBC_WERROR=ON -DIBC_BUILD_MAN=OFF \
		-DIBC_BUILD_RDMACM=OFF -DIBC_BUILD_SOFT=OFF -DIBC_BUILD_TOOLS=OFF \
		-DIBC_BUILD_EXAMPLES=OFF -DIBC_BUILD_BENCH=OFF || return 1
	run_ctest "$stage" "$BUILD/$stage"
}

# The kernel of a 64-bit x86 runs them as they are, unless it was built otherwise.
stage_m32() {
	cross_stage m32 i386 i386 lib/ld-linux.so.2 none
}

# qemu has few families of netlink sockets, and these want more: one that carries
# a process's messages, and the kernel's uevents.
stage_aarch64() {
	cross_stage aarch64 arm64 aarch64 "" "^(test_received|test_failure)$"
}
