# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The guarantees from 12 on, and what else was promised.
set(HARNESS2 contract/harness.c contract/harness2.c)

foreach(name adopt owner removal trigger incarnation stale event sticky empty open sources
		invalid sink help dump fork child loop interrupt)
	ibc_test(contract/test_${name} ${HARNESS2})
endforeach()

foreach(name process closed surroundings)
	ibc_test(contract/test_${name} ${HARNESS2} contract/scene.c)
endforeach()
# qemu runs no program with the rights of its file, and TSan needs addresses that
# are laid out as the kernel does not for such a program.
if(NOT CMAKE_CROSSCOMPILING_EMULATOR AND NOT IBC_SANITIZE MATCHES thread)
	ibc_test(contract/test_secure ${HARNESS2} contract/scene.c)
endif()
target_link_options(test_closed PRIVATE -Wl,--wrap=epoll_wait)

foreach(name handler fence walk fair situations odd)
	ibc_test(contract/test_${name} ${HARNESS2} contract/ear.c)
endforeach()

ibc_test(contract/test_status ${HARNESS2} contract/status_reader.c)

# How its threads sleep.
ibc_test(contract/test_idle ${HARNESS2})
target_link_options(test_idle PRIVATE -Wl,--wrap=epoll_wait
	-Wl,--wrap=pthread_cond_timedwait)

# Who holds it. Code of these libraries takes references too; one is stripped.
add_library(holder_lib MODULE contract/holder_lib.c)
add_library(holder_lib_stripped MODULE contract/holder_lib.c)
target_link_options(holder_lib_stripped PRIVATE -s)
foreach(library holder_lib holder_lib_stripped)
	target_include_directories(${library} PRIVATE
		${PROJECT_SOURCE_DIR}/include)
	target_link_libraries(${library} PRIVATE PkgConfig::IBVERBS)
endforeach()
set(HOLDER_LIBS IBC_TEST_HOLDER_LIB=$<TARGET_FILE:holder_lib>
	IBC_TEST_HOLDER_LIB_STRIPPED=$<TARGET_FILE:holder_lib_stripped>)
foreach(name holders tracking)
	ibc_test(contract/test_${name} ${HARNESS2} contract/held.c)
	add_dependencies(test_${name} holder_lib holder_lib_stripped)
	set_property(TEST test_${name} APPEND PROPERTY
		ENVIRONMENT ${HOLDER_LIBS})
endforeach()

# What get, hold and put promise they promise with that, too. Under valgrind, where
# nothing runs in parallel, one of them has it all.
function(tracked_test name)
	add_test(NAME tracked_${name} COMMAND test_${name})
	set_tests_properties(tracked_${name} PROPERTIES TIMEOUT 300
		ENVIRONMENT "${IBC_TEST_ENVIRONMENT};IBC_TRACK_REFS=1")
	if(NOT name STREQUAL data)
		set_tests_properties(tracked_${name} PROPERTIES
			LABELS no-valgrind)
	endif()
endfunction()
foreach(name signal refs data set cycle calls removal fork)
	tracked_test(${name})
	if(NOT name STREQUAL data)
		ibc_again(. tracked_${name})
	endif()
endforeach()

# A process that can be looked into is as quiet, and ends, forks and loses its
# descriptors in the same way.
foreach(name idle fork child closed process)
	add_test(NAME status_${name} COMMAND test_${name})
	set_tests_properties(status_${name} PROPERTIES TIMEOUT 300
		LABELS no-valgrind ENVIRONMENT
		"${IBC_TEST_ENVIRONMENT};IBC_STATUS_DIR=${CMAKE_CURRENT_BINARY_DIR}/status")
	if(NOT name STREQUAL fork)
		ibc_again(. status_${name})
	endif()
endforeach()

# The library's own calls fail: see inject.h.
ibc_injected_test(contract/test_failure ${HARNESS2})
ibc_injected_test(contract/test_handler_failure ${HARNESS2} contract/ear.c)
tracked_test(failure)
ibc_again(. tracked_failure)
ibc_injected_test(contract/test_status_failure ${HARNESS2}
	contract/status_reader.c)
