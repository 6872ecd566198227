/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Calls of the library's that fail when a test wants it, and a count of what it
 * allocated and has not freed.
 *
 * The library's objects are linked into one in which each function that is named
 * in imports.txt is called inject_NAME instead (inject.cmake).
 * So it is the library's own calls that are counted, from wherever its code runs,
 * and none of the test's, the fake devices' or the C library's. On softverbs that
 * goes for verbs too; for the fake devices, inject_backend() is put before them.
 */
#ifndef TESTS_INJECT_H
#define TESTS_INJECT_H

#include <stdbool.h>

enum inject_call {
	INJECT_MALLOC, /* whatever gives memory, counted together */
	INJECT_EPOLL_CREATE1,
	INJECT_EPOLL_CTL,
	INJECT_EPOLL_WAIT,
	INJECT_POLL,
	INJECT_EVENTFD,
	INJECT_TIMERFD_CREATE,
	INJECT_TIMERFD_SETTIME,
	INJECT_SOCKET,
	INJECT_BIND,
	INJECT_LISTEN,
	INJECT_ACCEPT4,
	INJECT_GETSOCKOPT,
	INJECT_SHUTDOWN,
	INJECT_SETSOCKOPT,
	INJECT_SENDTO,
	INJECT_RECV,
	INJECT_RECVFROM,
	INJECT_INOTIFY_INIT1,
	INJECT_INOTIFY_ADD_WATCH,
	INJECT_PTHREAD_CREATE,
	INJECT_PTHREAD_INIT, /* of attributes, mutexes and conditions */
	INJECT_PTHREAD_ATFORK,
	INJECT_PTHREAD_SETNAME_NP,
	INJECT_FCNTL,
	INJECT_OPEN,
	INJECT_READ,
	INJECT_PREAD,
	INJECT_READLINK,
	INJECT_STAT, /* stat and fstat */
	INJECT_STATFS,
	INJECT_MKDIR,
	INJECT_FCHMOD,
	INJECT_UNLINK,
	INJECT_ACCESS,
	INJECT_IOCTL,
	INJECT_WRITE,
	INJECT_CLOSE,
	INJECT_FOPEN,
	INJECT_FGETS,
	INJECT_FWRITE, /* whatever writes to a stream */
	INJECT_FFLUSH,
	INJECT_FCLOSE,
	INJECT_DEVICE_LIST,
	INJECT_OPEN_DEVICE,
	INJECT_CLOSE_DEVICE,
	INJECT_QUERY_DEVICE,
	INJECT_ASYNC_EVENT,
	INJECT_DEVICE_GUID,
	INJECT_NUM_CALLS,
};

extern const char *const inject_names[INJECT_NUM_CALLS];

/* in place of an errno: not all of what was asked for, where that can be */
#define INJECT_SHORT (-1)
/* a count: until inject_nothing() */
#define INJECT_LASTING 0x40000000U

/* @nth call from now on (1: the next one) and @count - 1 more fail */
void inject(enum inject_call call, unsigned int nth, unsigned int count,
	    int error);
void inject_nothing(void);
/* has one failed since? */
bool inject_hit(void);
/* calls since inject() */
unsigned int inject_calls(enum inject_call call);
/* pieces of memory and streams that the library has got and not given back */
int inject_left(void);
/* the verbs of the backend that is in use fail, too: after fake_start() */
void inject_backend(void);

/* for the wrappers: the errno that this call is to fail with, or 0 */
int inject_fails(enum inject_call call);
void inject_got(int pieces);

#endif /* TESTS_INJECT_H */
