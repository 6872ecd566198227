// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RDMA netlink as a source: what it makes of kernels, good and odd, and of their
 * news. The kernel is played here: calls that the library makes on a
 * NETLINK_RDMA socket come to the __wrap functions below and those of played.c.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake.h"
#include "netlink_message.h"
#include "played.h"
#include "private.h"

static struct {
	int socket_error, send_error, join_error;
	bool initial, answers, once;
	struct message answer;
	unsigned int sockets, questions, joins;
} kernel;

static struct ibc_registry *reg;
static struct ibc_client client = { .name = "netlink" };
static struct ibc_device *soft0;

/* ---- the kernel ---- */

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol)
{
	if (domain != AF_NETLINK || protocol != NETLINK_RDMA)
		return __real_socket(domain, type, protocol);
	kernel.sockets++;
	errno = kernel.socket_error;
	if (errno)
		return -1;
	return played_open();
}

int __real_setsockopt(int fd, int level, int name, const void *value,
		      socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value,
		      socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value,
		      socklen_t len)
{
	if (fd != played_fd)
		return __real_setsockopt(fd, level, name, value, len);
	if (level != SOL_NETLINK)
		return 0;
	assert_int_equal(name, NETLINK_ADD_MEMBERSHIP);
	assert_int_equal(*(const int *)value, 4);
	kernel.joins++;
	errno = kernel.join_error;
	return errno ? -1 : 0;
}

ssize_t __wrap_sendto(int fd, const void *buf, size_t len, int flags,
		      const struct sockaddr *to, socklen_t to_len);
ssize_t __wrap_sendto(int fd, const void *buf, size_t len, int flags,
		      const struct sockaddr *to, socklen_t to_len)
{
	struct nlmsghdr header;

	(void)flags;
	(void)to;
	(void)to_len;
	assert_int_equal(fd, played_fd);
	assert_int_equal(len, sizeof(header));
	memcpy(&header, buf, sizeof(header));
	assert_int_equal(header.nlmsg_type, SYS_GET);
	assert_int_equal(header.nlmsg_flags, NLM_F_REQUEST);
	kernel.questions++;
	errno = kernel.send_error;
	return errno ? -1 : (ssize_t)len;
}

ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags)
{
	(void)flags;
	assert_int_equal(fd, played_fd);
	if (!kernel.answers) {
		errno = EAGAIN;
		return -1;
	}
	kernel.answers = !kernel.once;
	return played_take(&kernel.answer, buf, size);
}

int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode)
{
	if (!strcmp(path, "/proc/sys/net/core/somaxconn"))
		return 0;
	if (!strcmp(path, "/proc/sys/net/core/netdev_max_backlog"))
		return kernel.initial ? 0 : -1;
	return __real_access(path, mode);
}

/* ---- the registry ---- */

static struct ibc__source *source(void)
{
	return &reg->sources[IBC_SOURCE_NETLINK];
}

static void open_registry(const char *sources)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };

	setenv("IBC_SOURCES", sources, 1);
	reg = ibc_open(&attr);
	unsetenv("IBC_SOURCES");
	assert_non_null(reg);
}

static void dispatch(void)
{
	while (ibc_dispatch(reg, 0) == 0)
		;
}

static void watch_devices(void)
{
	assert_int_equal(ibc_register_client(reg, &client), 0);
	dispatch();
	soft0 = ibc_get_device_by_name(reg, "soft0");
	assert_non_null(soft0);
}

static int setup(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	played_reset();
	kernel.initial = kernel.answers = true;
	begin(&kernel.answer, SYS_GET);
	put_u8(&kernel.answer, NETNS_MODE, 1);
	put_u8(&kernel.answer, MONITOR_MODE, 1);
	end(&kernel.answer);
	fake_start();
	fake_in_sysfs();
	fake_add("soft0", 0x1111);
	fake_add("soft1", 0x2222);
	soft0 = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (soft0) {
		ibc_put_device(soft0);
		if (ibc_unregister_client(&client))
			return -1;
	}
	if (ibc_close(reg))
		return -1;
	return fake_stop() ? 0 : -1;
}

/* ---- which kernels send ---- */

static void expect(enum ibc__source_state wanted, const char *why)
{
	assert_int_equal(source()->state, wanted);
	assert_non_null(strstr(source()->why, why));
	assert_int_equal(source()->fd >= 0, wanted == IBC_SOURCE_ACTIVE);
	assert_false(source()->trusted);
}

static void a_kernel_that_sends_is_listened_to(void **state)
{
	(void)state;
	open_registry("netlink");
	expect(IBC_SOURCE_ACTIVE, "RDMA netlink");
	assert_int_equal(kernel.questions, 1);
	assert_int_equal(kernel.joins, 1);
}

static void a_kernel_that_never_sends_is_told_apart(void **state)
{
	(void)state;
	begin(&kernel.answer, SYS_GET);
	put_u8(&kernel.answer, NETNS_MODE, 1);
	end(&kernel.answer);
	open_registry("netlink");
	expect(IBC_SOURCE_ABSENT, "never sends any");
	assert_int_equal(kernel.joins, 0); /* root could, in vain */
}

static void a_kernel_whose_monitor_is_off_is_told_apart(void **state)
{
	(void)state;
	begin(&kernel.answer, SYS_GET);
	put_u8(&kernel.answer, MONITOR_MODE, 0);
	end(&kernel.answer);
	open_registry("netlink");
	expect(IBC_SOURCE_ABSENT, "never sends any");
}

static void another_network_namespace_hears_nothing(void **state)
{
	(void)state;
	kernel.initial = false;
	open_registry("netlink");
	expect(IBC_SOURCE_ABSENT, "initial network namespace");
}

/* devices belong to namespaces then, and so do their messages */
static void an_exclusive_namespace_hears_of_its_own(void **state)
{
	(void)state;
	kernel.initial = false;
	begin(&kernel.answer, SYS_GET);
	put_u8(&kernel.answer, MONITOR_MODE, 1);
	put_u8(&kernel.answer, NETNS_MODE, 0);
	end(&kernel.answer);
	open_registry("netlink");
	expect(IBC_SOURCE_ACTIVE, "RDMA netlink");
}

static void who_may_not_join_has_failed(void **state)
{
	(void)state;
	kernel.join_error = EPERM;
	open_registry("netlink");
	expect(IBC_SOURCE_FAILED, "joining the notify group: Operation not");
}

static void a_question_that_cannot_be_sent_has_failed(void **state)
{
	(void)state;
	kernel.send_error = ECONNREFUSED;
	open_registry("netlink");
	expect(IBC_SOURCE_FAILED, "asking the kernel: Connection refused");
}

static void a_question_refused_has_failed(void **state)
{
	int32_t code = -EPERM;

	(void)state;
	begin(&kernel.answer, NLMSG_ERROR);
	memcpy(kernel.answer.bytes + kernel.answer.len, &code, sizeof(code));
	kernel.answer.len += sizeof(code);
	end(&kernel.answer);
	open_registry("netlink");
	expect(IBC_SOURCE_FAILED, "asking the kernel: Operation not");
}

static void no_answer_has_failed(void **state)
{
	(void)state;
	kernel.answers = false;
	open_registry("netlink");
	expect(IBC_SOURCE_FAILED, "asking the kernel");
}

/* ours comes behind it, or not at all */
static void another_answer_is_none(void **state)
{
	(void)state;
	kernel.answer = news(REGISTER, 0);
	kernel.once = true;
	open_registry("netlink");
	expect(IBC_SOURCE_FAILED, "asking the kernel");
}

static void a_socket_refused_has_failed(void **state)
{
	(void)state;
	kernel.socket_error = EACCES;
	open_registry("netlink");
	expect(IBC_SOURCE_FAILED, "socket: Permission denied");
}

/* and the modules may come any time */
static void without_rdma_it_is_absent_until_there_are_devices(void **state)
{
	(void)state;
	fake_no_rdma(true);
	kernel.socket_error = EPROTONOSUPPORT;
	open_registry("netlink,timer");
	expect(IBC_SOURCE_ABSENT, "no RDMA");
	assert_int_equal(reg->scan_period, 1000);
	assert_int_equal(ibc_register_client(reg, &client), 0);
	assert_int_equal(ibc_rescan(reg), 0);
	assert_int_equal(kernel.sockets, 1); /* a list without devices */
	kernel.socket_error = 0;
	fake_no_rdma(false);
	assert_int_equal(ibc_rescan(reg), 0);
	dispatch();
	expect(IBC_SOURCE_ACTIVE, "RDMA netlink");
	assert_int_equal(kernel.sockets, 2);
	assert_int_equal(reg->scan_period, 5000);
	assert_int_equal(ibc_rescan(reg), 0);
	assert_int_equal(kernel.sockets, 2);
	soft0 = ibc_get_device_by_name(reg, "soft0");
	played_send(news(UNREGISTER, 0)); /* it is polled */
	dispatch();
	assert_int_equal(source()->hints, 1);
}

/* of a device in use it tells too late: it does not make the clock needless */
static void the_clock_goes_on_beside_it(void **state)
{
	(void)state;
	open_registry("netlink,timer");
	assert_int_equal(reg->sources[IBC_SOURCE_TIMER].state,
			 IBC_SOURCE_ACTIVE);
	assert_int_equal(reg->scan_period, 5000);
}

/* ---- hints ---- */

static uint64_t scans(void)
{
	return reg->stats.scans;
}

static void unregister_removes_what_the_list_confirms(void **state)
{
	uint64_t before;

	(void)state;
	open_registry("netlink");
	watch_devices();
	fake_remove("soft0", FAKE_WAIT);
	before = scans();
	dispatch();
	assert_int_equal(ibc_device_state(soft0), IBC_DEVICE_LIVE);
	played_send(news(UNREGISTER, 0));
	dispatch();
	assert_int_equal(ibc_device_state(soft0), IBC_DEVICE_GONE);
	assert_int_equal(scans(), before + 1);
	assert_int_equal(source()->hints, 1);
	assert_int_equal(source()->scans, 1);
	assert_int_equal(source()->removals, 1);
	assert_int_equal(source()->false_hints, 0);
	assert_int_equal(reg->removals[0].by, IBC_SOURCE_NETLINK);
}

static void a_false_hint_costs_one_list_and_one_verb(void **state)
{
	uint64_t before;

	(void)state;
	open_registry("netlink");
	watch_devices();
	before = scans();
	played_send(news(UNREGISTER, 1)); /* soft1's */
	dispatch();
	assert_int_equal(scans(), before + 1);
	assert_int_equal(fake_calls(FAKE_PROBE), 1);
	assert_int_equal(source()->false_hints, 1);
	assert_int_equal(reg->stats.false_hints, 1);
	assert_int_equal(ibc_device_state(soft0), IBC_DEVICE_LIVE);
}

static void a_burst_costs_one_list(void **state)
{
	uint64_t before;
	unsigned int i;

	(void)state;
	open_registry("netlink");
	watch_devices();
	before = scans();
	for (i = 0; i < PLAYED_QUEUE; i++)
		played_send(news(i % 2 ? REGISTER : UNREGISTER, 7));
	dispatch();
	assert_int_equal(source()->hints, PLAYED_QUEUE);
	assert_int_equal(source()->scans, 1);
	assert_int_equal(scans(), before + 1);
}

static void register_finds_what_is_new(void **state)
{
	struct ibc_device *soft2;

	(void)state;
	open_registry("netlink");
	watch_devices();
	fake_add("soft2", 0x3333);
	played_send(news(REGISTER, 2));
	dispatch();
	soft2 = ibc_get_device_by_name(reg, "soft2");
	assert_non_null(soft2);
	ibc_put_device(soft2);
}

static void an_overrun_means_a_list_with_names(void **state)
{
	struct message interrupted = { .error = EINTR };
	struct message lost = { .error = ENOBUFS };
	uint64_t before;

	(void)state;
	open_registry("netlink");
	watch_devices();
	before = scans();
	fake_rename("soft0", "roce0");
	played_send(interrupted);
	played_send(lost);
	dispatch();
	assert_int_equal(scans(), before + 1);
	assert_string_equal(ibc_device_name(soft0), "roce0");
}

static void a_rename_asks_for_names(void **state)
{
	(void)state;
	open_registry("netlink");
	watch_devices();
	fake_rename("soft0", "roce0");
	played_send(news(RENAME, 0));
	dispatch();
	assert_string_equal(ibc_device_name(soft0), "roce0");
}

static void other_processes_are_not_believed(void **state)
{
	struct message m = news(UNREGISTER, 0);

	(void)state;
	open_registry("netlink");
	watch_devices();
	m.pid = 4711;
	played_send(m);
	dispatch();
	assert_int_equal(source()->hints, 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_kernel_that_sends_is_listened_to),
		T(a_kernel_that_never_sends_is_told_apart),
		T(a_kernel_whose_monitor_is_off_is_told_apart),
		T(another_network_namespace_hears_nothing),
		T(an_exclusive_namespace_hears_of_its_own),
		T(who_may_not_join_has_failed),
		T(a_question_that_cannot_be_sent_has_failed),
		T(a_question_refused_has_failed),
		T(no_answer_has_failed),
		T(another_answer_is_none),
		T(a_socket_refused_has_failed),
		T(without_rdma_it_is_absent_until_there_are_devices),
		T(the_clock_goes_on_beside_it),
		T(unregister_removes_what_the_list_confirms),
		T(a_false_hint_costs_one_list_and_one_verb),
		T(a_burst_costs_one_list),
		T(register_finds_what_is_new),
		T(an_overrun_means_a_list_with_names),
		T(a_rename_asks_for_names),
		T(other_processes_are_not_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
