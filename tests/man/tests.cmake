# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# tests/man: the manual: what it says is so, it is complete, and its examples work
#
# A text is the same for all machines and sanitizers.
if(CMAKE_CROSSCOMPILING OR IBC_SANITIZE)
	return()
endif()
set(MAN_TESTS ${CMAKE_CURRENT_SOURCE_DIR}/man)
add_test(NAME man_pages COMMAND ${MAN_TESTS}/check-pages
	$<TARGET_FILE_DIR:ibclient>)
add_test(NAME man_errnos COMMAND ${MAN_TESTS}/check-errnos)
add_test(NAME man_words COMMAND ${MAN_TESTS}/check-words
	${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
set_tests_properties(man_pages man_errnos man_words PROPERTIES TIMEOUT 300)
if(TARGET html)
	add_test(NAME man_html COMMAND ${MAN_TESTS}/check-html)
	set_tests_properties(man_html PROPERTIES TIMEOUT 300
		SKIP_RETURN_CODE 77)
endif()
if(TARGET man)
	add_test(NAME man_rendering COMMAND ${MAN_TESTS}/check-rendering
		${PROJECT_BINARY_DIR}/man)
	set_tests_properties(man_rendering PROPERTIES TIMEOUT 300
		SKIP_RETURN_CODE 77)
endif()
if(IBC_BUILD_SOFT AND IBC_BUILD_TOOLS)
	add_test(NAME soft_man_examples COMMAND ${MAN_TESTS}/check-examples
		$<TARGET_FILE:softverbs-cmd> $<TARGET_FILE_DIR:ibclient>)
	set_tests_properties(soft_man_examples PROPERTIES TIMEOUT 300
		LABELS "soft;no-valgrind")
endif()
