# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# The stages `m32` and `aarch64`: the tests on the fake backend, built for another
# kind of machine with libraries of that kind, which tests/cross/fetch-sysroot gets.

# qemu has few families of netlink sockets, and these want more: one that carries
# a process's messages, and the kernel's uevents.
not_under_qemu='test_received|test_failure'

# cross_stage STAGE DEBIAN'S-ARCH TOOLCHAIN EMULATOR LOADER [EXCEPT]: the tests run
# under EMULATOR, but for those that qemu cannot run. If LOADER is not empty, it is a
# program of the sysroot; where this kernel runs that, there is no emulator.
cross_stage() {
	local stage=$1 emulator=$4 sysroot status=0
	# twins of other tests; tracked_data is none of them
	# shellcheck disable=SC2034 # run_ctest uses it
	local ctest_options=(-LE no-valgrind)

	sysroot=$("$TOP/tests/cross/fetch-sysroot" "$2") || status=$?
	case $status in
	0) ;;
	3)
		skip "$stage" "libraries for $2 are not to be had here"
		return 0
		;;
	*) return 1 ;;
	esac
	if [ -n "$5" ] && "$sysroot/$5" --version >/dev/null 2>&1; then
		emulator=
	elif ! command -v "$emulator" >/dev/null; then
		skip "$stage" "this machine runs no programs of $2, and has no $emulator"
		return 0
	else
		ctest_options+=(-E "^($not_under_qemu${6:+|$6})\$")
		emulator="$emulator;-L;$sysroot"
	fi
	build_tree "$stage" "-DCMAKE_TOOLCHAIN_FILE=$TOP/cmake/$3.cmake" \
		"-DIBC_SYSROOT=$sysroot" "-DCMAKE_CROSSCOMPILING_EMULATOR=$emulator" -DIBC_WERROR=ON -DIBC_BUILD_MAN=OFF \
		-DIBC_BUILD_RDMACM=OFF -DIBC_BUILD_SOFT=OFF -DIBC_BUILD_TOOLS=OFF \
		-DIBC_BUILD_EXAMPLES=OFF -DIBC_BUILD_BENCH=OFF || return 1
	run_ctest "$stage" "$BUILD/$stage"
}

# The kernel of a 64-bit x86 runs them as they are, unless it was built otherwise. Under
# qemu a program with threads that block all signals ends where one comes.
stage_m32() {
	cross_stage m32 i386 i386 qemu-i386-static lib/ld-linux.so.2 test_process
}

stage_aarch64() {
	cross_stage aarch64 arm64 aarch64 qemu-aarch64-static ""
}
