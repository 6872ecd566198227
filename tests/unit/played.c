// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See played.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "played.h"

int played_fd = -1;

static struct message queue[PLAYED_QUEUE];
static unsigned int queued, taken;

void played_reset(void)
{
	played_fd = -1;
	queued = taken = 0;
}

int played_open(void)
{
	played_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return played_fd;
}

void played_send(struct message m)
{
	const uint64_t one = 1;

	assert_true(queued < PLAYED_QUEUE);
	queue[queued++] = m;
	assert_int_equal(write(played_fd, &one, sizeof(one)), sizeof(one));
}

ssize_t played_take(const struct message *m, void *buf, size_t size)
{
	errno = m->error;
	if (errno)
		return -1;
	assert_true(m->len <= size);
	memcpy(buf, m->bytes, m->len);
	return m->len;
}

ssize_t __real_recvfrom(int fd, void *buf, size_t size, int flags,
			struct sockaddr *from, socklen_t *from_len);
ssize_t __wrap_recvfrom(int fd, void *buf, size_t size, int flags,
			struct sockaddr *from, socklen_t *from_len);
ssize_t __wrap_recvfrom(int fd, void *buf, size_t size, int flags,
			struct sockaddr *from, socklen_t *from_len)
{
	const struct message *m = &queue[taken];
	uint64_t count;

	if (fd != played_fd)
		return __real_recvfrom(fd, buf, size, flags, from, from_len);
	if (taken == queued) {
		taken = queued = 0;
		if (read(fd, &count, sizeof(count)) < 0)
			errno = EAGAIN;
		errno = EAGAIN;
		return -1;
	}
	taken++;
	((struct sockaddr_nl *)from)->nl_pid = m->pid;
	return played_take(m, buf, size);
}
