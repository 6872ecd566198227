// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantees 6 and 19: code that comes and goes. A library that has a client is
 * unloaded, or the process exits, and it unregisters in its destructor;
 * libibclient itself stays, whoever closes it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "two_libs/load.h"

static struct ibv_context context;
static int kernel_end;

static int setup(void **state)
{
	(void)state;
	two_libs_make_context(&context, &kernel_end);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(context.async_fd);
	close(kernel_end);
	return 0;
}

/* a library in full use: a device, data of it */
static const struct lib_ops *use(const char *path, void **handle)
{
	const struct lib_ops *lib = two_libs_load(path, handle);
	const char *owner;

	assert_non_null(lib->open());
	assert_int_equal(lib->adopt(&context), 0);
	lib->wait_added(1);
	assert_non_null(lib->data(&owner));
	return lib;
}

static void g06_a_destructor_may_unregister(void **state)
{
	int i;
	void *handle;

	(void)state;
	for (i = 0; i < 3; i++) {
		use(IBC_TEST_ONE, &handle);
		assert_int_equal(dlclose(handle), 0);
		assert_false(two_libs_is_loaded(IBC_TEST_ONE));
	}
}

/* what comes next is only told to the one that is left */
static void g06_the_other_one_goes_on(void **state)
{
	const struct lib_ops *two;
	void *handles[2];

	(void)state;
	two = use(IBC_TEST_TWO, &handles[1]);
	use(IBC_TEST_ONE, &handles[0]);
	assert_int_equal(dlclose(handles[0]), 0);
	assert_false(two_libs_is_loaded(IBC_TEST_ONE));
	assert_int_equal(two->remove(), 0);
	two->wait_removed(1);
	assert_int_equal(dlclose(handles[1]), 0);
	assert_false(two_libs_is_loaded(IBC_TEST_TWO));
}

/* it may have threads that run its code */
static void g19_libibclient_is_not_unloaded(void **state)
{
	struct ibc_registry *(*open)(const struct ibc_registry_attr *attr);
	int (*close)(struct ibc_registry * reg);
	struct ibc_registry *reg;
	void *handle = dlopen(IBC_TEST_LIB, RTLD_NOW | RTLD_LOCAL);

	(void)state;
	assert_non_null(handle);
	open = dlsym(handle, "ibc_open");
	close = dlsym(handle, "ibc_close");
	reg = open(NULL);
	assert_non_null(reg);
	assert_int_equal(dlclose(handle), 0);
	assert_true(two_libs_is_loaded(IBC_TEST_LIB));
	assert_ptr_equal(open(NULL), reg);
	assert_int_equal(close(reg), 0);
	assert_int_equal(close(reg), 0);
}

/* ---- exit, in processes of their own ---- */

enum { LIB_FIRST = 1, LIB_LAST = 2, CLOSED = 4 };

static void load_lib(int how)
{
	void *handle = dlopen(IBC_TEST_LIB, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		_exit(1);
	if (how & CLOSED)
		dlclose(handle);
}

/* loads, uses, exits: the destructors run in some order */
static void play(int how)
{
	void *handles[2];
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		alarm(100);
		if (how & LIB_FIRST)
			load_lib(how);
		use(IBC_TEST_ONE, &handles[0]);
		use(IBC_TEST_TWO, &handles[1]);
		if (how & LIB_LAST)
			load_lib(how);
		exit(7);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void g19_exit_with_destructors_that_unregister(void **state)
{
	(void)state;
	play(0);
	play(LIB_FIRST);
	play(LIB_LAST);
	play(LIB_FIRST | CLOSED);
	play(LIB_LAST | CLOSED);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* the children are to load it for themselves: first */
		T(g19_exit_with_destructors_that_unregister),
		T(g06_a_destructor_may_unregister),
		T(g06_the_other_one_goes_on),
		T(g19_libibclient_is_not_unloaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
