# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The grammar of the commands, line by line, wrong use included.
if(NOT IBC_SANITIZE)
	add_executable(soft_holder holder.c)
	target_compile_definitions(soft_holder PRIVATE _GNU_SOURCE)
	target_link_libraries(soft_holder PRIVATE PkgConfig::IBVERBS)
	add_dependencies(soft_holder softverbs-preload softverbs-cmd
		ibc_devices ibc_monitor)

	add_test(NAME soft_command
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test-command.sh
		$<TARGET_FILE:softverbs-cmd>)
	add_test(NAME soft_command_objects
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test-command-objects.sh
		$<TARGET_FILE:softverbs-cmd> $<TARGET_FILE:soft_holder>)
	add_test(NAME soft_command_run
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test-command-run.sh
		$<TARGET_FILE:softverbs-cmd> $<TARGET_FILE:soft_holder>)
	add_test(NAME soft_tools
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test-tools.sh
		$<TARGET_FILE:softverbs-cmd> $<TARGET_FILE:ibc_devices>
		$<TARGET_FILE:ibc_monitor>)
	set_tests_properties(soft_command soft_command_objects
		soft_command_run soft_tools PROPERTIES TIMEOUT 300
		LABELS "soft;no-valgrind")

	# The other users' copies of the trees have nothing to install, so it
	# is not one of label "soft".
	if(NOT IS_ABSOLUTE ${CMAKE_INSTALL_BINDIR} AND
	   NOT IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
		add_test(NAME soft_install
			COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test-install.sh
			${PROJECT_BINARY_DIR} ${CMAKE_INSTALL_BINDIR})
		set_tests_properties(soft_install PROPERTIES TIMEOUT 300
			LABELS no-valgrind)
	endif()
endif()
