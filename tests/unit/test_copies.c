// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Several copies of libibclient in one process: a static one in a plug-in beside
 * the shared one, and a shared one at another path. They work, and say so; one
 * copy that several use says nothing.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "two_libs/load.h"

struct said {
	unsigned int count;
	char text[2048];
};

static void sink(int level, const char *message, void *arg)
{
	struct said *said = arg;

	if (level != IBC_LOG_WARNING || !strstr(message, "copies of libibcl"))
		return;
	said->count++;
	snprintf(said->text, sizeof(said->text), "%s", message);
}

static void libraries_that_share_one_say_nothing(void **state)
{
	const struct lib_ops *one, *two;
	struct said said = {};
	void *handles[2];

	(void)state;
	one = two_libs_load(IBC_TEST_ONE, &handles[0]);
	two = two_libs_load(IBC_TEST_TWO, &handles[1]);
	one->set_log(sink, &said);
	assert_ptr_equal(one->open(), two->open());
	assert_int_equal(said.count, 0);
	assert_int_equal(one->close(), 0);
	assert_int_equal(two->close(), 0);
	one->set_log(NULL, NULL);
	dlclose(handles[0]);
	dlclose(handles[1]);
}

/* a shared library at a path of its own, as one that a package came with */
struct copy {
	void *handle;
	struct ibc_registry *(*open)(const struct ibc_registry_attr *attr);
	int (*close)(struct ibc_registry *reg);
	void (*set_log)(void (*fn)(int level, const char *message, void *arg),
			void *arg);
};

static void load_copy(const char *path, struct copy *copy)
{
	copy->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!copy->handle)
		fail_msg("%s", dlerror());
	copy->open = dlsym(copy->handle, "ibc_open");
	copy->close = dlsym(copy->handle, "ibc_close");
	copy->set_log = dlsym(copy->handle, "ibc_set_log");
	assert_true(copy->open && copy->close && copy->set_log);
}

static void a_shared_one_at_another_path_is_told_of(void **state)
{
	struct ibc_registry *a, *b, *again;
	struct copy first, second;
	struct said said = {};

	(void)state;
	load_copy(IBC_TEST_LIB, &first);
	load_copy(IBC_TEST_COPY, &second);
	second.set_log(sink, &said);
	a = first.open(NULL);
	b = second.open(NULL);
	assert_true(a && b && a != b);
	assert_int_equal(said.count, 1);
	assert_non_null(strstr(said.text, "there are 2 copies"));
	assert_non_null(strstr(said.text, IBC_TEST_DIR "/libibclient.so"));
	assert_non_null(strstr(said.text, IBC_TEST_COPY));
	assert_non_null(strstr(said.text, IBC_TEST_VERSION " in "));

	again = second.open(&(struct ibc_registry_attr){});
	assert_non_null(again);
	assert_int_equal(said.count, 1);
	assert_int_equal(second.close(again), 0);
	assert_int_equal(first.close(a), 0);
	assert_int_equal(second.close(b), 0);
	second.set_log(NULL, NULL);
	dlclose(first.handle);
	dlclose(second.handle);
}

#ifdef IBC_TEST_STATIC
static void a_static_one_in_a_plugin_is_told_of(void **state)
{
	const struct lib_ops *shared, *plugin;
	struct said said = {};
	void *handles[2];
	struct ibc_registry *a, *b;

	(void)state;
	shared = two_libs_load(IBC_TEST_ONE, &handles[0]);
	plugin = two_libs_load(IBC_TEST_STATIC, &handles[1]);
	plugin->set_log(sink, &said);
	a = shared->open();
	b = plugin->open();
	assert_true(a && b && a != b);
	assert_int_equal(said.count, 1);
	assert_non_null(strstr(said.text, IBC_TEST_STATIC));
	assert_int_equal(shared->close(), 0);
	assert_int_equal(plugin->close(), 0);
	plugin->set_log(NULL, NULL);
	dlclose(handles[0]);
	dlclose(handles[1]);
}
#endif

int main(void)
{
	/* the library is never unloaded: in this order */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(libraries_that_share_one_say_nothing),
		cmocka_unit_test(a_shared_one_at_another_path_is_told_of),
#ifdef IBC_TEST_STATIC
		cmocka_unit_test(a_static_one_in_a_plugin_is_told_of),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
