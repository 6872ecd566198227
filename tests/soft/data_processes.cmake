# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# What flows between QPs of several processes
foreach(name test_data_atomics test_data_kill)
	soft_test(${name})
	target_sources(soft_${name} PRIVATE flow.c flow_peer.c
		flow_traffic.c)
endforeach()
