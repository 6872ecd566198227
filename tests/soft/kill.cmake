# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Processes that are killed in the middle of what they do to a fabric.
foreach(name kill lock)
	soft_test(test_${name})
	target_sources(soft_test_${name} PRIVATE kill_check.c kill_fabric.c)
endforeach()
