# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The examples that drive a registry from a loop of their own, on softverbs. They
# are built with the sanitizers, too, whose runtime is to be preloaded first.
if(IBC_BUILD_EXAMPLES)
	foreach(loop loop_poll loop_event loop_glib)
		set(program "")
		if(TARGET ${loop})
			set(program $<TARGET_FILE:${loop}>)
		endif()
		add_test(NAME soft_${loop}
			COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test-loops.sh
			$<TARGET_FILE:softverbs-cmd> ${loop} "${program}"
			"${SOFT_PRELOAD}")
		set_tests_properties(soft_${loop} PROPERTIES TIMEOUT 300
			LABELS "soft;no-valgrind" SKIP_RETURN_CODE 77
			ENVIRONMENT "${IBC_TEST_ENVIRONMENT}")
	endforeach()
endif()
