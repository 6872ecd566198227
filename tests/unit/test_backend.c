// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The backend that calls libibverbs: today's name of a device, by a sysfs of the
 * test's own, and why a device does not open, by a /dev of the test's own.
 */
#include <endian.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "private.h"

#define GUID 0x0011223344556677ULL

static char dir[64]; /* empty: libibverbs finds no sysfs */
static struct ibv_device device;
static struct ibv_context opened;
static int open_error, node_error;

const char *__wrap_ibv_get_sysfs_path(void);
const char *__wrap_ibv_get_sysfs_path(void)
{
	return dir[0] ? dir : NULL;
}

__be64 __wrap_ibv_get_device_guid(struct ibv_device *of);
__be64 __wrap_ibv_get_device_guid(struct ibv_device *of)
{
	(void)of;
	return htobe64(GUID);
}

struct ibv_context *__wrap_ibv_open_device(struct ibv_device *of);
struct ibv_context *__wrap_ibv_open_device(struct ibv_device *of)
{
	assert_ptr_equal(of, &device);
	errno = open_error;
	return open_error ? NULL : &opened;
}

int __wrap_ibv_query_device(struct ibv_context *context,
			    struct ibv_device_attr *attr);
int __wrap_ibv_query_device(struct ibv_context *context,
			    struct ibv_device_attr *attr)
{
	(void)attr;
	assert_ptr_equal(context, &opened);
	return EIO;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	if (strcmp(path, "/dev/infiniband/uverbs0") != 0)
		return __real_open(path, flags, 0600);
	errno = node_error;
	return node_error ? -1 : __real_open("/dev/null", flags);
}

/* a file of that sysfs, and the directories above it */
static void put(const char *name, const char *text)
{
	char path[PATH_MAX], *slash;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	slash = path + strlen(dir);
	while ((slash = strchr(slash + 1, '/'))) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void drop(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	remove(path);
}

static int setup(void **state)
{
	(void)state;
	memset(&device, 0, sizeof(device));
	strcpy(device.name, "soft0");
	strcpy(device.dev_name, "uverbs0");
	strcpy(dir, "/tmp/ibc-sysfs-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const names[] = {
		"class/infiniband_verbs/uverbs0/ibdev",
		"class/infiniband_verbs/uverbs0",
		"class/infiniband_verbs",
		"class/infiniband/soft9/node_guid",
		"class/infiniband/soft9",
		"class/infiniband",
		"class",
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		drop(names[i]);
	return rmdir(dir);
}

static void expect(int error, const char *wanted)
{
	char name[64] = "unchanged";

	assert_int_equal(ibc__verbs_backend.read_device_name(&device, name,
							     sizeof(name)),
			 error);
	assert_string_equal(name, error ? "unchanged" : wanted);
}

#define IBDEV "class/infiniband_verbs/uverbs0/ibdev"

static void the_name_is_that_of_the_node(void **state)
{
	(void)state;
	put(IBDEV, "soft0\n");
	expect(0, "soft0");
}

static void a_renamed_device_has_the_guid_still(void **state)
{
	(void)state;
	put(IBDEV, "soft9\n");
	expect(ESTALE, NULL); /* there is no GUID to be read */
	put("class/infiniband/soft9/node_guid", "ffff:2233:4455:6677\n");
	expect(ESTALE, NULL); /* another device has the node now */
	put("class/infiniband/soft9/node_guid", "0011:2233:4455:6677\n");
	expect(0, "soft9");
}

static void what_sysfs_does_not_tell_is_an_error(void **state)
{
	char made[sizeof(dir)];

	(void)state;
	expect(ENOENT, NULL);
	put(IBDEV, "");
	expect(ENODATA, NULL);
	put(IBDEV, "\n");
	expect(ENODATA, NULL);
	device.dev_name[0] = '\0';
	expect(ENOENT, NULL);
	strcpy(device.dev_name, "uverbs0");
	strcpy(made, dir);
	dir[0] = '\0';
	expect(ENOENT, NULL);
	strcpy(dir, made);
}

static int error_of_open(int of_verbs, int of_node)
{
	open_error = of_verbs;
	node_error = of_node;
	assert_null(ibc__verbs_backend.open_device(&device));
	return errno;
}

/* libibverbs says ENOENT, or nothing, where the node may not be opened */
static void why_it_does_not_open_is_asked_of_the_node(void **state)
{
	(void)state;
	assert_int_equal(error_of_open(ENOENT, EACCES), EACCES);
	assert_int_equal(error_of_open(ENOENT, EPERM), EPERM);
	assert_int_equal(error_of_open(ENOMEM, ENOENT), ENOMEM);
	assert_int_equal(error_of_open(EIO, 0), EIO);
	open_error = 0;
	assert_ptr_equal(ibc__verbs_backend.open_device(&device), &opened);
}

static void the_probe_is_a_verb(void **state)
{
	(void)state;
	assert_int_equal(ibc__verbs_backend.probe(&opened), EIO);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_name_is_that_of_the_node),
		TEST(a_renamed_device_has_the_guid_still),
		TEST(what_sysfs_does_not_tell_is_an_error),
		TEST(why_it_does_not_open_is_asked_of_the_node),
		TEST(the_probe_is_a_verb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
