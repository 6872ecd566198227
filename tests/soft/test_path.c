// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Long paths: a fabric whose devices could not be listed is refused. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "soft_test.h"

#define LONGEST 174 /* with the longest name it fits in ibv_device.ibdev_path */

static char top[] = "/tmp/soft-path-XXXXXX";
static char name[64];

/* a path of @len bytes below top */
static void make_path(char *path, size_t len)
{
	size_t used = strlen(top);

	memset(path, 'x', len);
	memcpy(path, top, used);
	path[used] = '/';
	path[len] = '\0';
}

static void longest(void **state)
{
	struct ibv_device **list;
	char path[PATH_MAX];
	struct softverbs *sv;
	int num;

	(void)state;
	make_path(path, LONGEST);
	setenv("SOFTVERBS_DIR", path, 1);
	sv = softverbs_open(NULL);
	assert_non_null(sv);
	assert_int_equal(softverbs_add_device(sv, name, 0, 1, 0), 0);
	list = ibv_get_device_list(&num);
	assert_non_null(list);
	assert_string_equal(ibv_get_device_name(list[num - 1]), name);
	ibv_free_device_list(list);
	assert_int_equal(softverbs_remove_device(sv, name, 0), 0);
	softverbs_close(sv);
}

static void too_long(void **state)
{
	char path[PATH_MAX];

	(void)state;
	make_path(path, LONGEST + 1);
	assert_error(softverbs_open(path), ENAMETOOLONG);
	assert_int_equal(access(path, F_OK), -1);
	/* where it is counts, not how it is called */
	assert_int_equal(chdir(top), 0);
	assert_error(softverbs_open(path + strlen(top) + 1), ENAMETOOLONG);
	assert_int_equal(chdir("/"), 0);
	setenv("SOFTVERBS_DIR", path, 1);
	assert_error(softverbs_open(NULL), ENAMETOOLONG);
}

static int setup(void **state)
{
	(void)state;
	unsetenv("LD_PRELOAD");
	memset(name, 'n', sizeof(name) - 1);
	return mkdtemp(top) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", top);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
