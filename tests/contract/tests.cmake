# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The guarantees of ibclient(7), in the order of their numbers. tests2.cmake has
# those from 12 on. The recorder is a library, so that a test which links the
# harness gets it, and others do not.
add_library(ibc-record STATIC contract/record.c)
target_include_directories(ibc-record PRIVATE contract
	${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(ibc-record PRIVATE _GNU_SOURCE)
target_link_libraries(ibc-record PUBLIC ibc-fake PkgConfig::CMOCKA)
target_link_libraries(ibc-fake INTERFACE ibc-record)

foreach(name add order callbacks calls register unregister async data cycle
	signal refs set)
	ibc_test(contract/test_${name} contract/harness.c)
endforeach()

include(contract/tests2.cmake OPTIONAL)
