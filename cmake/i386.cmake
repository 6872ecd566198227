# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# 32-bit x86, which an x86-64 kernel runs as it is: programs name the sysroot's own
# loader and libraries, so that they can also run each other.
#   -DCMAKE_TOOLCHAIN_FILE=cmake/i386.cmake -DIBC_SYSROOT=DIR
# where DIR is what tests/cross/fetch-sysroot prints.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR i686)
set(CMAKE_C_COMPILER i686-linux-gnu-gcc)
set(IBC_TRIPLET i386-linux-gnu)
include(${CMAKE_CURRENT_LIST_DIR}/sysroot.cmake)
# an RPATH, unlike a RUNPATH, also finds the libraries that libraries need
set(CMAKE_EXE_LINKER_FLAGS_INIT
	"-Wl,--dynamic-linker=${IBC_SYSROOT}/lib/ld-linux.so.2 -Wl,--disable-new-dtags")
