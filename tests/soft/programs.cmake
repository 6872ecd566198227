# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Programs of libibverbs as distributions ship them, on softverbs: those of this
# system, and those of other releases with their libibverbs.
if(NOT IBC_SANITIZE)
	add_executable(soft_show_events show_events.c)
	target_compile_definitions(soft_show_events PRIVATE _GNU_SOURCE)
	target_link_libraries(soft_show_events PRIVATE PkgConfig::IBVERBS)
	add_dependencies(soft_show_events softverbs-preload softverbs-cmd)

	add_test(NAME soft_programs
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test-programs.sh
		$<TARGET_FILE:softverbs-cmd>)
	# Debian 11 and 13: older and newer than most
	add_test(NAME soft_programs_bullseye
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test-programs-of.sh
		$<TARGET_FILE:softverbs-cmd> bullseye 33.2)
	add_test(NAME soft_programs_trixie
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test-programs-of.sh
		$<TARGET_FILE:softverbs-cmd> trixie 56.*)
	set_tests_properties(soft_programs soft_programs_bullseye
		soft_programs_trixie PROPERTIES TIMEOUT 300
		LABELS "soft;no-valgrind" SKIP_RETURN_CODE 77)
endif()
