# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The examples that drive a registry from a loop of their own, on softverbs.
if(NOT IBC_SANITIZE AND IBC_BUILD_EXAMPLES)
	foreach(loop loop_poll loop_event loop_glib)
		if(TARGET ${loop})
			add_test(NAME soft_${loop}
				COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test-loops.sh
				$<TARGET_FILE:softverbs-cmd> $<TARGET_FILE:${loop}>)
			set_tests_properties(soft_${loop} PROPERTIES TIMEOUT 300
				LABELS "soft;no-valgrind")
		endif()
	endforeach()
endif()
