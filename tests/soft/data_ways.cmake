# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# What flows between QPs of a process, under less usual circumstances
foreach(name test_data_flush test_data_races test_data_shared
		test_data_ways)
	soft_test(${name})
	target_sources(soft_${name} PRIVATE flow.c flow_peer.c)
endforeach()
