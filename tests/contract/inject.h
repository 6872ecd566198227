/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Calls of the C library that fail when a test wants it. Linked with
 * -Wl,--wrap: every call in the program is counted, but not those that the C
 * library makes within itself.
 */
#ifndef TESTS_INJECT_H
#define TESTS_INJECT_H

#include <stdbool.h>

enum inject_call {
	INJECT_MALLOC, /* malloc, calloc and strdup, counted together */
	INJECT_EPOLL_CREATE1,
	INJECT_EPOLL_CTL, /* EPOLL_CTL_ADD: the others need no memory */
	INJECT_EVENTFD,
	INJECT_TIMERFD_CREATE,
	INJECT_SOCKET,
	INJECT_BIND,
	INJECT_RECVFROM,
	INJECT_INOTIFY_INIT1,
	INJECT_INOTIFY_ADD_WATCH,
	INJECT_PTHREAD_CREATE,
	INJECT_FCNTL,
	INJECT_NUM_CALLS,
};

extern const char *const inject_names[INJECT_NUM_CALLS];

/* @nth call from now on (1: the next one) and @count - 1 more fail */
void inject(enum inject_call call, unsigned int nth, unsigned int count,
	    int error);
void inject_nothing(void);
/* has one failed since? */
bool inject_hit(void);
/* calls since inject() */
unsigned int inject_calls(enum inject_call call);

#endif /* TESTS_INJECT_H */
