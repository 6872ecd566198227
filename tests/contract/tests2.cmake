# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The guarantees from 12 on, and what else was promised.
set(HARNESS2 contract/harness.c contract/harness2.c)

foreach(name adopt removal incarnation event sticky empty rename open sources
		invalid sink dump process fork)
	if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/test_${name}.c)
		ibc_test(contract/test_${name} ${HARNESS2})
	endif()
endforeach()

# Every call of these in the program goes by way of inject.c.
if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/test_failure.c)
	ibc_test(contract/test_failure ${HARNESS2} contract/inject.c)
	foreach(call malloc calloc strdup epoll_create1 epoll_ctl eventfd
			timerfd_create socket bind recvfrom inotify_init1
			inotify_add_watch pthread_create fcntl)
		target_link_options(test_failure PRIVATE -Wl,--wrap=${call})
	endforeach()
endif()

# One looks at signal masks in /proc, which are valgrind's own there, and runs
# itself by /proc/self/exe. The other forks: what the threads that a child does
# not have held on their stacks is lost there, as it must be.
set_tests_properties(test_process test_fork PROPERTIES LABELS no-valgrind)
