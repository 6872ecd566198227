# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# tests/unit: pieces of the library, and the public interface as such
ibc_test(unit/test_uevent)
ibc_test(unit/test_netlink)
ibc_test(unit/test_netlink_parse)
foreach(call socket setsockopt sendto recv recvfrom access)
	target_link_options(test_netlink PRIVATE -Wl,--wrap=${call})
endforeach()
ibc_test(unit/test_timer)
ibc_test(unit/test_slot contract/harness.c)
ibc_test(unit/test_log contract/harness.c)

# These use the shared library as it will be installed.
add_executable(test_version unit/test_version.c)
target_link_libraries(test_version PRIVATE ibclient PkgConfig::CMOCKA)
target_compile_definitions(test_version PRIVATE
	IBC_TEST_VERSION="${PROJECT_VERSION}")
add_test(NAME test_version COMMAND test_version)

foreach(owner one two)
	add_library(two_libs_${owner} MODULE unit/two_libs/lib.c)
	target_link_libraries(two_libs_${owner} PRIVATE ibclient
		Threads::Threads)
	target_compile_definitions(two_libs_${owner} PRIVATE OWNER="${owner}")
endforeach()
add_executable(test_two_libs unit/test_two_libs.c)
target_include_directories(test_two_libs PRIVATE
	${PROJECT_SOURCE_DIR}/include)
target_link_libraries(test_two_libs PRIVATE PkgConfig::CMOCKA
	PkgConfig::IBVERBS Threads::Threads dl)
target_compile_definitions(test_two_libs PRIVATE
	IBC_TEST_ONE="$<TARGET_FILE:two_libs_one>"
	IBC_TEST_TWO="$<TARGET_FILE:two_libs_two>")
add_dependencies(test_two_libs two_libs_one two_libs_two)
add_test(NAME test_two_libs COMMAND test_two_libs)
set_tests_properties(test_version test_two_libs PROPERTIES TIMEOUT 300
	ENVIRONMENT "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")

add_test(NAME check-header COMMAND
	${CMAKE_CURRENT_SOURCE_DIR}/check-header.sh)
add_test(NAME check-symbols COMMAND
	${CMAKE_CURRENT_SOURCE_DIR}/check-symbols.sh
	$<TARGET_FILE:ibclient>)
add_test(NAME check-situations COMMAND
	${CMAKE_CURRENT_SOURCE_DIR}/check-situations.sh)
# Its examples are linked and run, where no sanitizer has to be linked too.
if(NOT IBC_SANITIZE)
	add_test(NAME check-man COMMAND
		${CMAKE_CURRENT_SOURCE_DIR}/check-man.sh
		$<TARGET_FILE_DIR:ibclient>)
endif()
