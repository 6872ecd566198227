// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * See inject.h: which call is to fail, and the calls that are not of streams
 * (inject_stdio.c) nor verbs (inject_verbs.c). No lock and no allocation: this is
 * under malloc() and in signal handlers. The counters are relaxed, so that they
 * order nothing which the library has to order itself.
 *
 * A failure has the effects that the real one has: a descriptor whose close()
 * failed is closed, and where write() says that an eventfd is full, it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "inject.h"

const char *const inject_names[INJECT_NUM_CALLS] = {
	[INJECT_MALLOC] = "malloc",
	[INJECT_EPOLL_CREATE1] = "epoll_create1",
	[INJECT_EPOLL_CTL] = "epoll_ctl",
	[INJECT_EPOLL_WAIT] = "epoll_wait",
	[INJECT_POLL] = "poll",
	[INJECT_EVENTFD] = "eventfd",
	[INJECT_TIMERFD_CREATE] = "timerfd_create",
	[INJECT_TIMERFD_SETTIME] = "timerfd_settime",
	[INJECT_SOCKET] = "socket",
	[INJECT_BIND] = "bind",
	[INJECT_LISTEN] = "listen",
	[INJECT_ACCEPT4] = "accept4",
	[INJECT_GETSOCKOPT] = "getsockopt",
	[INJECT_SHUTDOWN] = "shutdown",
	[INJECT_SETSOCKOPT] = "setsockopt",
	[INJECT_SENDTO] = "sendto",
	[INJECT_RECV] = "recv",
	[INJECT_RECVFROM] = "recvfrom",
	[INJECT_INOTIFY_INIT1] = "inotify_init1",
	[INJECT_INOTIFY_ADD_WATCH] = "inotify_add_watch",
	[INJECT_PTHREAD_CREATE] = "pthread_create",
	[INJECT_PTHREAD_INIT] = "pthread_*_init",
	[INJECT_PTHREAD_ATFORK] = "pthread_atfork",
	[INJECT_PTHREAD_SETNAME_NP] = "pthread_setname_np",
	[INJECT_FCNTL] = "fcntl",
	[INJECT_OPEN] = "open",
	[INJECT_READ] = "read",
	[INJECT_PREAD] = "pread",
	[INJECT_READLINK] = "readlink",
	[INJECT_STAT] = "stat",
	[INJECT_STATFS] = "statfs",
	[INJECT_MKDIR] = "mkdir",
	[INJECT_FCHMOD] = "fchmod",
	[INJECT_UNLINK] = "unlink",
	[INJECT_ACCESS] = "access",
	[INJECT_IOCTL] = "ioctl",
	[INJECT_WRITE] = "write",
	[INJECT_CLOSE] = "close",
	[INJECT_FOPEN] = "fopen",
	[INJECT_FGETS] = "fgets",
	[INJECT_FWRITE] = "fwrite",
	[INJECT_FFLUSH] = "fflush",
	[INJECT_FCLOSE] = "fclose",
	[INJECT_DEVICE_LIST] = "ibv_get_device_list",
	[INJECT_OPEN_DEVICE] = "ibv_open_device",
	[INJECT_CLOSE_DEVICE] = "ibv_close_device",
	[INJECT_QUERY_DEVICE] = "ibv_query_device",
	[INJECT_ASYNC_EVENT] = "ibv_get_async_event",
	[INJECT_DEVICE_GUID] = "ibv_get_device_guid",
};

static atomic_int chosen = -1, the_error, left;
static atomic_uint first, last, hits, counts[INJECT_NUM_CALLS];

static unsigned int get(atomic_uint *what)
{
	return atomic_load_explicit(what, memory_order_relaxed);
}

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
	return get(&hits);
}

unsigned int inject_calls(enum inject_call call)
{
	return get(&counts[call]);
}

int inject_left(void)
{
	return atomic_load(&left);
}

void inject_got(int pieces)
{
	atomic_fetch_add_explicit(&left, pieces, memory_order_relaxed);
}

int inject_fails(enum inject_call call)
{
	unsigned int n = atomic_fetch_add_explicit(&counts[call], 1,
						   memory_order_relaxed) +
			 1;

	if (atomic_load_explicit(&chosen, memory_order_relaxed) != (int)call ||
	    n < get(&first) || n > get(&last))
		return 0;
	atomic_fetch_add_explicit(&hits, 1, memory_order_relaxed);
	errno = atomic_load_explicit(&the_error, memory_order_relaxed);
	return errno;
}

/* inject_NAME(), which fails with errno, or does what NAME() does */
#define WRAP(type, name, params, args, call, failed) \
	type inject_##name params;                   \
	type inject_##name params                    \
	{                                            \
		if (inject_fails(call))              \
			return failed;               \
		return name args;                    \
	}

/* ---- memory ---- */

static void *got(void *p)
{
	if (p)
		inject_got(1);
	return p;
}

#define WRAP_MEMORY(type, name, params, args)    \
	type inject_##name params;               \
	type inject_##name params                \
	{                                        \
		if (inject_fails(INJECT_MALLOC)) \
			return NULL;             \
		return got(name args);           \
	}

WRAP_MEMORY(void *, malloc, (size_t size), (size))
WRAP_MEMORY(void *, calloc, (size_t n, size_t size), (n, size))
WRAP_MEMORY(char *, strdup, (const char *s), (s))

void *inject_reallocarray(void *old, size_t n, size_t size);
void *inject_reallocarray(void *old, size_t n, size_t size)
{
	void *new;

	if (inject_fails(INJECT_MALLOC))
		return NULL;
	new = reallocarray(old, n, size);
	return old ? new : got(new);
}

void inject_free(void *p);
void inject_free(void *p)
{
	if (p)
		inject_got(-1);
	free(p);
}

/* ---- descriptors ---- */

WRAP(int, epoll_create1, (int flags), (flags), INJECT_EPOLL_CREATE1, -1)
WRAP(int, epoll_ctl, (int epfd, int op, int fd, struct epoll_event *event),
     (epfd, op, fd, event), INJECT_EPOLL_CTL, -1)
WRAP(int, epoll_wait,
     (int epfd, struct epoll_event *events, int max, int timeout),
     (epfd, events, max, timeout), INJECT_EPOLL_WAIT, -1)
WRAP(int, poll, (struct pollfd * fds, nfds_t num, int timeout),
     (fds, num, timeout), INJECT_POLL, -1)
WRAP(int, eventfd, (unsigned int n, int flags), (n, flags), INJECT_EVENTFD, -1)
WRAP(int, timerfd_create, (int clock, int flags), (clock, flags),
     INJECT_TIMERFD_CREATE, -1)
WRAP(int, timerfd_settime,
     (int fd, int flags, const struct itimerspec *spec, struct itimerspec *old),
     (fd, flags, spec, old), INJECT_TIMERFD_SETTIME, -1)
WRAP(int, inotify_init1, (int flags), (flags), INJECT_INOTIFY_INIT1, -1)
WRAP(int, inotify_add_watch, (int fd, const char *path, uint32_t mask),
     (fd, path, mask), INJECT_INOTIFY_ADD_WATCH, -1)

/* no command of the library's has a pointer */
int inject_fcntl(int fd, int cmd, ...);
int inject_fcntl(int fd, int cmd, ...)
{
	va_list args;
	int arg;

	va_start(args, cmd);
	arg = va_arg(args, int);
	va_end(args);
	if (inject_fails(INJECT_FCNTL))
		return -1;
	return fcntl(fd, cmd, arg);
}

/* nor does it ask for anything that has an argument */
int inject_ioctl(int fd, unsigned long request, ...);
int inject_ioctl(int fd, unsigned long request, ...)
{
	if (inject_fails(INJECT_IOCTL))
		return -1;
	return ioctl(fd, request);
}

/* nor does it create files */
int inject_open(const char *path, int flags, ...);
int inject_open(const char *path, int flags, ...)
{
	if (inject_fails(INJECT_OPEN))
		return -1;
	return open(path, flags);
}

/* Linux closes it whatever it says */
int inject_close(int fd);
int inject_close(int fd)
{
	int error = inject_fails(INJECT_CLOSE), ret = close(fd);

	if (!error)
		return ret;
	errno = error;
	return -1;
}

static bool is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* a piece of a file; what else is read comes whole or not at all */
static size_t cut(int error, int fd, size_t len)
{
	return error == INJECT_SHORT && len > 2 && is_file(fd) ? 2 : len;
}

ssize_t inject_read(int fd, void *buf, size_t len);
ssize_t inject_read(int fd, void *buf, size_t len)
{
	int error = inject_fails(INJECT_READ);

	if (error && error != INJECT_SHORT)
		return -1;
	return read(fd, buf, cut(error, fd, len));
}

ssize_t inject_pread(int fd, void *buf, size_t len, off_t offset);
ssize_t inject_pread(int fd, void *buf, size_t len, off_t offset)
{
	int error = inject_fails(INJECT_PREAD);

	if (error && error != INJECT_SHORT)
		return -1;
	return pread(fd, buf, cut(error, fd, len), offset);
}

/* EAGAIN of an eventfd: its count is full, so it can be read */
ssize_t inject_write(int fd, const void *buf, size_t len);
ssize_t inject_write(int fd, const void *buf, size_t len)
{
	int error = inject_fails(INJECT_WRITE);
	ssize_t ret;

	if (error && error != EAGAIN)
		return -1;
	ret = write(fd, buf, len);
	if (!error)
		return ret;
	errno = error;
	return -1;
}

WRAP(ssize_t, readlink, (const char *path, char *buf, size_t size),
     (path, buf, size), INJECT_READLINK, -1)
WRAP(int, stat, (const char *path, struct stat *st), (path, st), INJECT_STAT,
     -1)
WRAP(int, fstat, (int fd, struct stat *st), (fd, st), INJECT_STAT, -1)
WRAP(int, statfs, (const char *path, struct statfs *fs), (path, fs),
     INJECT_STATFS, -1)
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), INJECT_MKDIR,
     -1)
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), INJECT_FCHMOD, -1)
WRAP(int, unlink, (const char *path), (path), INJECT_UNLINK, -1)
WRAP(int, access, (const char *path, int mode), (path, mode), INJECT_ACCESS, -1)

/* ---- sockets ---- */

WRAP(int, socket, (int domain, int type, int protocol),
     (domain, type, protocol), INJECT_SOCKET, -1)
WRAP(int, bind, (int fd, const struct sockaddr *addr, socklen_t len),
     (fd, addr, len), INJECT_BIND, -1)
WRAP(int, listen, (int fd, int backlog), (fd, backlog), INJECT_LISTEN, -1)
WRAP(int, accept4, (int fd, struct sockaddr *addr, socklen_t *len, int flags),
     (fd, addr, len, flags), INJECT_ACCEPT4, -1)
WRAP(int, getsockopt,
     (int fd, int level, int name, void *value, socklen_t *len),
     (fd, level, name, value, len), INJECT_GETSOCKOPT, -1)
WRAP(int, shutdown, (int fd, int how), (fd, how), INJECT_SHUTDOWN, -1)
WRAP(int, setsockopt,
     (int fd, int level, int name, const void *value, socklen_t len),
     (fd, level, name, value, len), INJECT_SETSOCKOPT, -1)
WRAP(ssize_t, sendto,
     (int fd, const void *buf, size_t len, int flags,
      const struct sockaddr *addr, socklen_t addr_len),
     (fd, buf, len, flags, addr, addr_len), INJECT_SENDTO, -1)
WRAP(ssize_t, recv, (int fd, void *buf, size_t len, int flags),
     (fd, buf, len, flags), INJECT_RECV, -1)
WRAP(ssize_t, recvfrom,
     (int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
      socklen_t *addr_len),
     (fd, buf, len, flags, addr, addr_len), INJECT_RECVFROM, -1)

/* ---- threads: these return the errno ---- */

WRAP(int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attr, void *(*fn)(void *),
      void *arg),
     (thread, attr, fn, arg), INJECT_PTHREAD_CREATE, errno)
WRAP(int, pthread_setname_np, (pthread_t thread, const char *name),
     (thread, name), INJECT_PTHREAD_SETNAME_NP, errno)
WRAP(int, pthread_atfork,
     (void (*before)(void), void (*parent)(void), void (*child)(void)),
     (before, parent, child), INJECT_PTHREAD_ATFORK, errno)
WRAP(int, pthread_mutex_init,
     (pthread_mutex_t * mutex, const pthread_mutexattr_t *attr), (mutex, attr),
     INJECT_PTHREAD_INIT, errno)
WRAP(int, pthread_cond_init,
     (pthread_cond_t * cond, const pthread_condattr_t *attr), (cond, attr),
     INJECT_PTHREAD_INIT, errno)
WRAP(int, pthread_condattr_init, (pthread_condattr_t * attr), (attr),
     INJECT_PTHREAD_INIT, errno)
WRAP(int, pthread_condattr_setclock,
     (pthread_condattr_t * attr, clockid_t clock), (attr, clock),
     INJECT_PTHREAD_INIT, errno)
