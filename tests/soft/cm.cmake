# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# rdma_cm on softverbs
if(TARGET softverbs-rdmacm)
	# the sanitizer's runtime, if there is one, stays the first
	string(REPLACE "$<TARGET_FILE:softverbs-preload>"
		"$<TARGET_FILE:softverbs-rdmacm>:$<TARGET_FILE:softverbs-preload>"
		CM_PRELOAD "${SOFT_PRELOAD}")

	pkg_check_modules(RDMACM REQUIRED IMPORTED_TARGET librdmacm)

	# cm_test(NAME): NAME.c under both interposers
	function(cm_test NAME)
		add_executable(soft_${NAME} ${NAME}.c cm_test.c soft_test.c)
		target_compile_definitions(soft_${NAME} PRIVATE _GNU_SOURCE)
		target_link_libraries(soft_${NAME} PRIVATE softverbs
			PkgConfig::CMOCKA PkgConfig::RDMACM PkgConfig::IBVERBS
			Threads::Threads)
		add_dependencies(soft_${NAME} softverbs-preload softverbs-rdmacm)
		add_test(NAME soft_${NAME} COMMAND soft_${NAME})
		set_tests_properties(soft_${NAME} PROPERTIES TIMEOUT 300
			LABELS "soft;no-valgrind"
			ENVIRONMENT "LD_PRELOAD=${CM_PRELOAD}")
	endfunction()

	cm_test(test_cm_connect)
	cm_test(test_cm_sync)
	cm_test(test_cm_ud)
	cm_test(test_cm_end)
	cm_test(test_cm_address)
	cm_test(test_cm_many)
	# a child of a process with threads has none under ThreadSanitizer
	if(NOT IBC_SANITIZE MATCHES thread)
		cm_test(test_cm_kill)
	endif()

	add_test(NAME soft_cm_wrappers
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/check-cm-wrappers.sh
		$<TARGET_FILE:softverbs-rdmacm>)
	add_test(NAME soft_cm_apart
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/check-apart.sh
		$<TARGET_FILE:ibclient> $<TARGET_FILE:softverbs>
		$<TARGET_FILE:softverbs-preload> $<TARGET_FILE:softverbs-rdmacm>)
	set_tests_properties(soft_cm_wrappers soft_cm_apart PROPERTIES
		LABELS "soft;no-valgrind")
	if(NOT IBC_SANITIZE)
		add_test(NAME soft_cm_programs
			COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test-cm-programs.sh
			$<TARGET_FILE:softverbs-cmd>)
		set_tests_properties(soft_cm_programs PROPERTIES TIMEOUT 300
			LABELS "soft;no-valgrind" SKIP_RETURN_CODE 77)
	endif()
endif()
