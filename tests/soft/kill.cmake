# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Processes that are killed in the middle of what they do to a fabric, or looked at.
foreach(name kill lock look)
	soft_test(test_${name})
	target_sources(soft_test_${name} PRIVATE kill_check.c kill_fabric.c)
endforeach()
add_dependencies(soft_test_look softverbs-cmd)
set_property(TEST soft_test_look APPEND PROPERTY ENVIRONMENT
	"SOFTVERBS_COMMAND=$<TARGET_FILE:softverbs-cmd>")
