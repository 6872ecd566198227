// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See inject.h. No lock and no allocation: this is under malloc(). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "inject.h"

const char *const inject_names[INJECT_NUM_CALLS] = {
	"malloc",	  "epoll_create1",
	"epoll_ctl",	  "eventfd",
	"timerfd_create", "socket",
	"bind",		  "recvfrom",
	"inotify_init1",  "inotify_add_watch",
	"pthread_create", "fcntl",
};

static atomic_int chosen = -1;
static atomic_uint first, last, hits, counts[INJECT_NUM_CALLS];
static atomic_int the_error;

void inject_nothing(void)
{
	atomic_store(&chosen, -1);
}

void inject(enum inject_call call, unsigned int nth, unsigned int count,
	    int error)
{
	unsigned int i;

	inject_nothing();
	for (i = 0; i < INJECT_NUM_CALLS; i++)
		atomic_store(&counts[i], 0);
	atomic_store(&hits, 0);
	atomic_store(&first, nth);
	atomic_store(&last, nth + count - 1);
	atomic_store(&the_error, error);
	atomic_store(&chosen, (int)call);
}

bool inject_hit(void)
{
	return atomic_load(&hits);
}

unsigned int inject_calls(enum inject_call call)
{
	return atomic_load(&counts[call]);
}

/* the errno that this call is to fail with, or 0 */
static int fails(enum inject_call call)
{
	unsigned int n = atomic_fetch_add(&counts[call], 1) + 1;

	if (atomic_load(&chosen) != (int)call || n < atomic_load(&first) ||
	    n > atomic_load(&last))
		return 0;
	atomic_fetch_add(&hits, 1);
	errno = atomic_load(&the_error);
	return errno;
}

#define WRAP(type, name, params, args, call, failed) \
	type __real_##name params;                   \
	type __wrap_##name params;                   \
	type __wrap_##name params                    \
	{                                            \
		if (fails(call))                     \
			return failed;               \
		return __real_##name args;           \
	}

WRAP(void *, malloc, (size_t size), (size), INJECT_MALLOC, NULL)
WRAP(void *, calloc, (size_t n, size_t size), (n, size), INJECT_MALLOC, NULL)
WRAP(char *, strdup, (const char *s), (s), INJECT_MALLOC, NULL)
WRAP(int, epoll_create1, (int flags), (flags), INJECT_EPOLL_CREATE1, -1)
WRAP(int, eventfd, (unsigned int n, int flags), (n, flags), INJECT_EVENTFD, -1)
WRAP(int, timerfd_create, (int clock, int flags), (clock, flags),
     INJECT_TIMERFD_CREATE, -1)
WRAP(int, socket, (int domain, int type, int protocol),
     (domain, type, protocol), INJECT_SOCKET, -1)
WRAP(int, bind, (int fd, const struct sockaddr *addr, socklen_t len),
     (fd, addr, len), INJECT_BIND, -1)
WRAP(ssize_t, recvfrom,
     (int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
      socklen_t *addr_len),
     (fd, buf, len, flags, addr, addr_len), INJECT_RECVFROM, -1)
WRAP(int, inotify_init1, (int flags), (flags), INJECT_INOTIFY_INIT1, -1)
WRAP(int, inotify_add_watch, (int fd, const char *path, uint32_t mask),
     (fd, path, mask), INJECT_INOTIFY_ADD_WATCH, -1)
WRAP(int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attr, void *(*fn)(void *),
      void *arg),
     (thread, attr, fn, arg), INJECT_PTHREAD_CREATE, errno)

int __real_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	if (op == EPOLL_CTL_ADD && fails(INJECT_EPOLL_CTL))
		return -1;
	return __real_epoll_ctl(epfd, op, fd, event);
}

int __real_fcntl(int fd, int cmd, ...);
int __wrap_fcntl(int fd, int cmd, ...);
int __wrap_fcntl(int fd, int cmd, ...)
{
	va_list args;
	int arg;

	va_start(args, cmd);
	arg = va_arg(args, int);
	va_end(args);
	if (cmd != F_DUPFD_CLOEXEC && fails(INJECT_FCNTL))
		return -1;
	return __real_fcntl(fd, cmd, arg);
}
