# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The guarantees from 12 on, and what else was promised.
set(HARNESS2 contract/harness.c contract/harness2.c)

foreach(name adopt removal trigger incarnation stale event sticky empty open sources invalid
		sink dump process fork)
	ibc_test(contract/test_${name} ${HARNESS2})
endforeach()

foreach(name handler fence fair situations)
	ibc_test(contract/test_${name} ${HARNESS2} contract/ear.c)
endforeach()

# How its threads sleep.
ibc_test(contract/test_idle ${HARNESS2})
target_link_options(test_idle PRIVATE -Wl,--wrap=epoll_wait
	-Wl,--wrap=pthread_cond_timedwait)

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
