# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The guarantees from 12 on, and what else was promised.
set(HARNESS2 contract/harness.c contract/harness2.c)

foreach(name adopt removal trigger incarnation stale event sticky empty open sources
		invalid sink dump process fork child loop)
	ibc_test(contract/test_${name} ${HARNESS2})
endforeach()

foreach(name handler fence walk fair situations)
	ibc_test(contract/test_${name} ${HARNESS2} contract/ear.c)
endforeach()

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

# What get, hold and put promise they promise with that, too.
foreach(name signal refs data set cycle calls removal fork)
	add_test(NAME tracked_${name} COMMAND test_${name})
	set_tests_properties(tracked_${name} PROPERTIES TIMEOUT 300
		ENVIRONMENT "${IBC_TEST_ENVIRONMENT};IBC_TRACK_REFS=1")
endforeach()

# Every call of these in the program goes by way of inject.c.
ibc_test(contract/test_failure ${HARNESS2} contract/inject.c)
ibc_test(contract/test_handler_failure ${HARNESS2} contract/ear.c
	contract/inject.c)
foreach(call malloc calloc strdup epoll_create1 epoll_ctl eventfd
		timerfd_create socket bind recvfrom inotify_init1
		inotify_add_watch pthread_create fcntl)
	foreach(target test_failure test_handler_failure)
		target_link_options(${target} PRIVATE -Wl,--wrap=${call})
	endforeach()
endforeach()
add_test(NAME tracked_failure COMMAND test_failure)
set_tests_properties(tracked_failure PROPERTIES TIMEOUT 300
	ENVIRONMENT "${IBC_TEST_ENVIRONMENT};IBC_TRACK_REFS=1")
