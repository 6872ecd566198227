# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# SOFT_PRELOAD: what LD_PRELOAD is for a program of ours on softverbs.
# A sanitizer's runtime must come before all else that is preloaded.
set(SOFT_PRELOAD $<TARGET_FILE:softverbs-preload>)
foreach(sanitizer address:asan thread:tsan)
	string(REPLACE ":" ";" pair ${sanitizer})
	list(GET pair 0 option)
	list(GET pair 1 runtime)
	if(IBC_SANITIZE MATCHES ${option} AND CMAKE_C_COMPILER_ID STREQUAL GNU)
		execute_process(COMMAND ${CMAKE_C_COMPILER}
			-print-file-name=lib${runtime}.so
			OUTPUT_VARIABLE file OUTPUT_STRIP_TRAILING_WHITESPACE)
		set(SOFT_PRELOAD "${file}:${SOFT_PRELOAD}")
	endif()
endforeach()
