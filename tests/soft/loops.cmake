# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The examples, on softverbs: those with a loop of their own, and the others. They
# are built with the sanitizers, too, whose runtime is to be preloaded first.
if(IBC_BUILD_EXAMPLES)
	foreach(loop loop_poll loop_epoll loop_event loop_glib)
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

	add_test(NAME soft_examples
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test-examples.sh
		$<TARGET_FILE:softverbs-cmd> $<TARGET_FILE:kref_style>
		$<TARGET_FILE:srpt_style_events> $<TARGET_FILE:shared_pd>
		"${SOFT_PRELOAD}")
	set_tests_properties(soft_examples PROPERTIES TIMEOUT 300
		LABELS "soft;no-valgrind" ENVIRONMENT "${IBC_TEST_ENVIRONMENT}")
endif()
