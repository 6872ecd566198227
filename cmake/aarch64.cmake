# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# aarch64, by qemu's user emulation.
#   -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake -DIBC_SYSROOT=DIR
# where DIR is what tests/cross/fetch-sysroot prints.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(IBC_TRIPLET aarch64-linux-gnu)
include(${CMAKE_CURRENT_LIST_DIR}/sysroot.cmake)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -L ${IBC_SYSROOT})
