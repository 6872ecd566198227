# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# tests/completions: what bash completes for the commands
set(COMPLETED $<TARGET_FILE:softverbs-cmd> $<TARGET_FILE:soft_holder>
	$<TARGET_FILE:ibc_devices> $<TARGET_FILE:ibc_monitor>)
if(TARGET ibc_top)
	list(APPEND COMPLETED $<TARGET_FILE:ibc_top>)
endif()
add_test(NAME completions COMMAND
	${CMAKE_CURRENT_SOURCE_DIR}/completions/test-completions.sh
	${COMPLETED})
set_tests_properties(completions PROPERTIES TIMEOUT 600
	SKIP_RETURN_CODE 77)
