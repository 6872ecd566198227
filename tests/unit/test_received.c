// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What sources make of what their descriptors give them: what no test can have
 * the kernel say. In the place of the source's descriptor is one whose other
 * end is the test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <linux/netlink.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fed.h"

/* the source has something to read on @fd; returns how many hints that was */
static unsigned int receive(const struct ibc__source_ops *ops, int fd)
{
	struct ibc__source source = { .ops = ops, .fd = fd };
	uint64_t before;

	ibc__lock(fed_reg);
	before = fed_reg->stats.hints;
	ops->ready(fed_reg, &source);
	before = fed_reg->stats.hints - before;
	ibc__unlock(fed_reg);
	return before;
}

static const char removed[] = "ACTION=remove\0SUBSYSTEM=infiniband_verbs\0"
			      "DEVPATH=/devices/infiniband_verbs/uverbs0";

static void a_uevent_of_the_kernel_is_believed(void **state)
{
	int fds[2];

	(void)state;
	/* no address, as the kernel has none: the sender is number 0 */
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(send(fds[1], removed, sizeof(removed), 0),
			 sizeof(removed));
	assert_int_equal(receive(&ibc__source_uevent, fds[0]), 1);
	assert_true(fed_suspect(fed_soft0));
	close(fds[0]);
	close(fds[1]);
}

static int open_netlink(struct sockaddr_nl *addr)
{
	socklen_t len = sizeof(*addr);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_USERSOCK);

	memset(addr, 0, sizeof(*addr));
	addr->nl_family = AF_NETLINK;
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)addr, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)addr, &len), 0);
	return fd;
}

/* any process may send to a netlink socket; the kernel says who it was */
static void a_uevent_of_a_process_is_not_believed(void **state)
{
	struct sockaddr_nl to, from;
	int fd = open_netlink(&to), sender = open_netlink(&from);
	char left;

	(void)state;
	assert_int_equal(sendto(sender, removed, sizeof(removed), 0,
				(struct sockaddr *)&to, sizeof(to)),
			 sizeof(removed));
	assert_int_equal(receive(&ibc__source_uevent, fd), 0);
	assert_false(fed_suspect(fed_soft0));
	assert_int_equal(recv(fd, &left, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
	close(sender);
	close(fd);
}

/* the kernel's queue was full: anything may have happened, renames too */
static void an_overrun_of_inotify_asks_for_a_list(void **state)
{
	const struct inotify_event overrun = { .wd = -1,
					       .mask = IN_Q_OVERFLOW };
	bool names;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], &overrun, sizeof(overrun)),
			 sizeof(overrun));
	close(fds[1]);
	assert_int_equal(receive(&ibc__source_inotify, fds[0]), 1);
	close(fds[0]);
	ibc__lock(fed_reg);
	names = fed_reg->scan_names;
	ibc__unlock(fed_reg);
	assert_true(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FED(a_uevent_of_the_kernel_is_believed),
		FED(a_uevent_of_a_process_is_not_believed),
		FED(an_overrun_of_inotify_asks_for_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
