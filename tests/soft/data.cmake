# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# What flows between QPs
foreach(name test_data_cq test_data_errors test_data_processes test_data_rc
		test_data_remove test_data_ud)
	soft_test(${name})
	target_sources(soft_${name} PRIVATE flow.c)
endforeach()
