# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# What flows between QPs
foreach(name test_data_cq test_data_errors test_data_processes test_data_rc
		test_data_remove test_data_ud)
	soft_test(${name})
	target_sources(soft_${name} PRIVATE flow.c)
endforeach()

if(NOT IBC_SANITIZE)
	add_test(NAME soft_data_programs
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test-data-programs.sh
		$<TARGET_FILE:softverbs-cmd>)
	set_tests_properties(soft_data_programs PROPERTIES TIMEOUT 400 COST 60
		LABELS "soft;no-valgrind" SKIP_RETURN_CODE 77)
endif()
