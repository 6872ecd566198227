// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * inotify as a source, on a /dev of the test's own: watches of /dev and of
 * /dev/infiniband come to a temporary directory.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake.h"
#include "private.h"

static char dev[64];
static struct ibc_registry *reg;
static struct ibc_client client = { .name = "inotify" };

int __real_inotify_add_watch(int fd, const char *path, uint32_t mask);
int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask);
int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask)
{
	char instead[PATH_MAX];

	if (strncmp(path, "/dev", 4) != 0)
		return __real_inotify_add_watch(fd, path, mask);
	snprintf(instead, sizeof(instead), "%s%s", dev, path + 4);
	return __real_inotify_add_watch(fd, instead, mask);
}

/* in that /dev */
static const char *path(const char *name)
{
	static char paths[2][PATH_MAX];
	static unsigned int n;

	n ^= 1;
	snprintf(paths[n], sizeof(paths[n]), "%s/%s", dev, name);
	return paths[n];
}

static void make(const char *name)
{
	int fd = open(path(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
}

static struct ibc__source *source(void)
{
	return &reg->sources[IBC_SOURCE_INOTIFY];
}

static uint64_t hints(void)
{
	uint64_t before = source()->hints;

	while (ibc_dispatch(reg, 0) == 0)
		;
	return source()->hints - before;
}

static int setup(void **state)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };

	(void)state;
	snprintf(dev, sizeof(dev), "/tmp/ibc-dev-XXXXXX");
	assert_non_null(mkdtemp(dev));
	assert_int_equal(mkdir(path("infiniband"), 0700), 0);
	fake_start();
	fake_add("soft0", 0x1111);
	setenv("IBC_SOURCES", "inotify", 1);
	reg = ibc_open(&attr);
	unsetenv("IBC_SOURCES");
	assert_non_null(reg);
	assert_int_equal(ibc_register_client(reg, &client), 0);
	hints();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (ibc_unregister_client(&client) || ibc_close(reg))
		return -1;
	rmdir(path("infiniband"));
	if (rmdir(dev))
		return -1;
	return fake_stop() ? 0 : -1;
}

static void a_node_that_goes_makes_its_device_suspect(void **state)
{
	uint64_t before = source()->false_hints;

	(void)state;
	make("infiniband/uverbs0");
	assert_true(hints() > 0);
	assert_int_equal(source()->false_hints, before);
	assert_int_equal(unlink(path("infiniband/uverbs0")), 0);
	assert_true(hints() > 0);
	/* it was asked, and is there still */
	assert_int_equal(source()->false_hints, before + 1);
}

static void a_node_that_is_moved_or_opened_up_is_a_hint(void **state)
{
	uint64_t before = source()->false_hints;

	(void)state;
	make("infiniband/uverbs7");
	hints();
	assert_int_equal(chmod(path("infiniband/uverbs7"), 0666), 0);
	assert_true(hints() > 0);
	assert_int_equal(rename(path("infiniband/uverbs7"),
				path("infiniband/uverbs0")),
			 0);
	assert_true(hints() > 0);
	assert_int_equal(source()->false_hints, before);
	assert_int_equal(rename(path("infiniband/uverbs0"),
				path("infiniband/other")),
			 0);
	assert_true(hints() > 0);
	assert_int_equal(source()->false_hints, before + 1);
	assert_int_equal(unlink(path("infiniband/other")), 0);
}

static void what_is_no_node_is_no_hint(void **state)
{
	(void)state;
	make("infiniband/rdma_cm");
	make("null");
	assert_int_equal(unlink(path("infiniband/rdma_cm")), 0);
	assert_int_equal(unlink(path("null")), 0);
	assert_int_equal(hints(), 0);
}

static void the_directory_may_go_and_come(void **state)
{
	(void)state;
	assert_int_equal(rmdir(path("infiniband")), 0);
	assert_true(hints() > 0);
	assert_int_equal(mkdir(path("infiniband"), 0700), 0);
	assert_true(hints() > 0);
	make("infiniband/uverbs0");
	assert_true(hints() > 0);
	assert_int_equal(unlink(path("infiniband/uverbs0")), 0);
}

/* as many as the kernel keeps for one that does not read, and more */
static void an_overflow_is_a_hint(void **state)
{
	unsigned int i, max = 0;
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "re");

	(void)state;
	if (!f || fscanf(f, "%u", &max) != 1 || max > 1000000)
		max = 0;
	if (f)
		fclose(f);
	if (!max)
		skip();
	make("infiniband/a");
	make("infiniband/b");
	hints();
	for (i = 0; i <= max; i++) /* two in turn: equal ones are merged */
		assert_int_equal(
			chmod(path(i & 1 ? "infiniband/a" : "infiniband/b"),
			      0600),
			0);
	assert_true(hints() > 0);
	assert_int_equal(unlink(path("infiniband/a")), 0);
	assert_int_equal(unlink(path("infiniband/b")), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_node_that_goes_makes_its_device_suspect),
		TEST(a_node_that_is_moved_or_opened_up_is_a_hint),
		TEST(what_is_no_node_is_no_hint),
		TEST(the_directory_may_go_and_come),
		TEST(an_overflow_is_a_hint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
