// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Uevents as a source: whether the kernel sends any to this network namespace,
 * and what is made of those that come. The kernel is played here.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake.h"
#include "netlink_message.h"
#include "played.h"
#include "private.h"

enum owner { INITIAL, SOMEBODY, UNTOLD, NO_PROC };

static enum owner owner;
static struct ibc_registry *reg;
static struct ibc_client client = { .name = "uevent" };
static struct ibc_device *soft0;

/* ---- the kernel ---- */

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol)
{
	if (domain != AF_NETLINK || protocol != NETLINK_KOBJECT_UEVENT)
		return __real_socket(domain, type, protocol);
	return played_open();
}

int __real_bind(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	if (fd != played_fd)
		return __real_bind(fd, addr, len);
	assert_int_equal(((const struct sockaddr_nl *)addr)->nl_groups, 1);
	return 0;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	if (!strcmp(path, "/proc/self/ns/net") && owner == NO_PROC) {
		errno = ENOENT;
		return -1;
	}
	return __real_open(path, flags, 0600);
}

/* who owns the namespace: here is a descriptor of its, or of another file */
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	(void)fd;
	assert_int_equal(request, NS_GET_USERNS);
	errno = EPERM;
	if (owner == UNTOLD)
		return -1;
	return __real_open(owner == SOMEBODY ? "/" : "/proc/self/ns/user",
			   O_RDONLY | O_CLOEXEC);
}

/* ---- the registry ---- */

static struct ibc__source *source(void)
{
	return &reg->sources[IBC_SOURCE_UEVENT];
}

static void open_registry(enum owner of)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };

	owner = of;
	setenv("IBC_SOURCES", "uevent", 1);
	reg = ibc_open(&attr);
	unsetenv("IBC_SOURCES");
	assert_non_null(reg);
}

static void watch_devices(void)
{
	open_registry(UNTOLD);
	assert_int_equal(source()->state, IBC_SOURCE_ACTIVE);
	assert_int_equal(ibc_register_client(reg, &client), 0);
	soft0 = ibc_get_device_by_name(reg, "soft0");
	assert_non_null(soft0);
}

static int setup(void **state)
{
	(void)state;
	played_reset();
	fake_start();
	fake_in_sysfs();
	fake_add("soft0", 0x1111);
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

/* the hints that what was sent is worth */
static uint64_t hints(void)
{
	uint64_t before = source()->hints;

	while (ibc_dispatch(reg, 0) == 0)
		;
	return source()->hints - before;
}

static struct message uevent(const char *action)
{
	struct message m;

	memset(&m, 0, sizeof(m));
	m.len = snprintf((char *)m.bytes, sizeof(m.bytes),
			 "ACTION=%s%cSUBSYSTEM=infiniband_verbs%c"
			 "DEVPATH=/devices/x/infiniband_verbs/uverbs0",
			 action, 0, 0);
	return m;
}

/* ---- the tests ---- */

static void what_the_kernel_sends_is_heard(void **state)
{
	(void)state;
	watch_devices();
	played_send(uevent("remove"));
	assert_int_equal(hints(), 1);
	assert_int_equal(source()->false_hints, 1); /* it is there still */
	played_send(uevent("add"));
	played_send(uevent("change"));
	assert_int_equal(hints(), 1);
}

static void what_a_process_sends_is_not(void **state)
{
	struct message m = uevent("remove");

	(void)state;
	watch_devices();
	m.pid = 1234;
	played_send(m);
	assert_int_equal(hints(), 0);
}

static void lost_ones_are_a_hint(void **state)
{
	struct message lost = { .error = ENOBUFS },
		       interrupted = { .error = EINTR };

	(void)state;
	watch_devices();
	played_send(interrupted);
	played_send(lost);
	played_send(uevent("remove"));
	assert_int_equal(hints(), 2);
}

static void a_namespace_of_its_own_hears_nothing(void **state)
{
	(void)state;
	open_registry(SOMEBODY);
	assert_int_equal(source()->state, IBC_SOURCE_ABSENT);
	assert_non_null(strstr(source()->why, "a user namespace owns"));
	assert_int_equal(source()->fd, -1);
	assert_int_equal(played_fd, -1);
}

static void where_proc_does_not_tell_it_listens(void **state)
{
	(void)state;
	open_registry(NO_PROC);
	assert_int_equal(source()->state, IBC_SOURCE_ACTIVE);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_the_kernel_sends_is_heard),
		TEST(what_a_process_sends_is_not),
		TEST(lost_ones_are_a_hint),
		TEST(a_namespace_of_its_own_hears_nothing),
		TEST(where_proc_does_not_tell_it_listens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
