# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# ibc_top, on a terminal of tmux. A program with a sanitizer in it would need that
# before the interposer.
if(TARGET ibc_top AND NOT IBC_SANITIZE)
	add_executable(top_holder top_holder.c)
	target_link_libraries(top_holder PRIVATE ibclient Threads::Threads)
	target_link_options(top_holder PRIVATE -rdynamic)
	add_dependencies(top_holder softverbs-preload softverbs-cmd ibc_top)
	add_test(NAME soft_top
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test-top.sh
		$<TARGET_FILE:softverbs-cmd> $<TARGET_FILE:ibc_top>
		$<TARGET_FILE:top_holder>)
	set_tests_properties(soft_top PROPERTIES TIMEOUT 300
		LABELS "soft;no-valgrind" SKIP_RETURN_CODE 77)
endif()
