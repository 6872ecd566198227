// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Two shared libraries in one process, each of which uses the real
 * libibclient.so and opens the shared registry. This program itself is not
 * linked with it. The machine may have no RDMA, so the device is a context that
 * one of the two adopts.
 */
#include <dlfcn.h>
#include <unistd.h>

#include "two_libs/load.h"

static void *handles[2];
static const struct lib_ops *one, *two;
static struct ibv_context context;
static int kernel_end;

static int setup(void **state)
{
	(void)state;
	one = two_libs_load(IBC_TEST_ONE, &handles[0]);
	two = two_libs_load(IBC_TEST_TWO, &handles[1]);
	assert_ptr_not_equal(one, two);
	two_libs_make_context(&context, &kernel_end);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(context.async_fd);
	close(kernel_end);
	dlclose(handles[0]);
	dlclose(handles[1]);
	return 0;
}

static void they_share_the_registry_and_not_the_data(void **state)
{
	struct ibc_registry *a = one->open(), *b = two->open();
	const char *owner_one, *owner_two;
	void *data_one, *data_two;

	(void)state;
	assert_non_null(a);
	assert_ptr_equal(a, b);
	assert_int_equal(one->adopt(&context), 0);
	one->wait_added(1);
	two->wait_added(1);
	assert_ptr_equal(one->context(), &context);
	assert_ptr_equal(two->context(), &context);
	assert_int_equal(one->incarnation(), two->incarnation());

	data_one = one->data(&owner_one);
	data_two = two->data(&owner_two);
	assert_non_null(data_one);
	assert_non_null(data_two);
	assert_ptr_not_equal(data_one, data_two);
	assert_string_equal(owner_one, "one");
	assert_string_equal(owner_two, "two");
	assert_ptr_equal(one->data(&owner_one), data_one);

	assert_int_equal(two->remove(), 0);
	one->wait_removed(1);
	two->wait_removed(1);
	assert_int_equal(one->close(), 0);
	assert_int_equal(two->close(), 0);
}

/* the code of one may go while the other stays; the registry is counted */
static void one_may_be_unloaded_while_the_other_works(void **state)
{
	const char *owner;
	void *data;

	(void)state;
	assert_non_null(one->open());
	assert_non_null(two->open());
	assert_int_equal(one->adopt(&context), 0);
	one->wait_added(1);
	two->wait_added(1);
	data = two->data(&owner);
	assert_non_null(data);
	assert_non_null(one->data(&owner));
	assert_int_equal(one->close(), 0);
	dlclose(handles[0]);
	assert_ptr_equal(two->data(&owner), data);
	assert_int_equal(two->remove(), 0);
	two->wait_removed(1);
	assert_int_equal(two->close(), 0);
	one = two_libs_load(IBC_TEST_ONE, &handles[0]);
	assert_non_null(one->open());
	assert_int_equal(one->close(), 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(they_share_the_registry_and_not_the_data),
		T(one_may_be_unloaded_while_the_other_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
