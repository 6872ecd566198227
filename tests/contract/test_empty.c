// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantee 21: a machine without RDMA is an empty registry, not an error. */
#include "harness2.h"

static struct rec a;

static int count(struct ibc_device *dev, void *arg)
{
	(void)dev;
	++*(unsigned int *)arg;
	return 0;
}

static void expect_empty(void)
{
	unsigned int n = 0;

	assert_int_equal(ibc_for_each_device(h_reg, count, &n), 0);
	assert_int_equal(n, 0);
	check_null(ibc_get_device_by_name(h_reg, "soft0"), ENODEV);
	check_null(ibc_get_device_by_index(h_reg, 0), ENODEV);
	assert_int_equal(ibc_rescan(h_reg), 0);
	assert_int_equal(h_count(&a, H_ADD), 0);
}

/* the list says ENOSYS; the modules are loaded later */
static void g21_no_rdma_in_the_kernel_is_an_empty_registry(void **state)
{
	(void)state;
	h_log_capture();
	fake_no_rdma(true);
	rec_init(&a, "a", 0);
	rec_register(&a);
	expect_empty();
	h_fence();
	assert_int_equal(h_logged(IBC_LOG_WARNING, ""), 0);
	assert_int_equal(h_logged(IBC_LOG_ERROR, ""), 0);
	rec_unregister(&a);
}

static void g21_an_empty_list_is_an_empty_registry(void **state)
{
	(void)state;
	rec_init(&a, "a", 0);
	rec_register(&a);
	expect_empty();
	rec_unregister(&a);
}

static void g21_devices_may_come_later(void **state)
{
	(void)state;
	fake_no_rdma(true);
	rec_init(&a, "a", 0);
	rec_register(&a);
	fake_no_rdma(false);
	fake_add("soft0", 0x11); /* nobody calls rescan */
	wait_for(h_count(&a, H_ADD) == 1);
	ibc_put_device(h_device("soft0"));
	fake_no_rdma(true); /* the modules are unloaded */
	wait_for(h_count(&a, H_GONE) == 1);
	fake_no_rdma(false);
	wait_for(h_count(&a, H_ADD) == 2);
	rec_unregister(&a);
}

/* opened before there is anything, by a program that starts first */
static void g21_registry_may_be_opened_before_any_device(void **state)
{
	(void)state;
	fake_no_rdma(true);
	h_close(h_reg);
	h_reg = h_open(NULL);
	assert_non_null(h_reg);
	rec_init(&a, "a", 0);
	rec_register(&a);
	expect_empty();
	rec_unregister(&a);
	fake_no_rdma(false);
	fake_add("soft0", 0x11);
	rec_register(&a);
	assert_int_equal(h_count(&a, H_ADD), 1);
	rec_unregister(&a);
}

/* contexts of others work there as well */
static void g21_adopting_works_without_a_list(void **state)
{
	struct ibv_context *context;
	struct ibc_device *dev;

	(void)state;
	fake_add("soft0", 0x11);
	context = fake_open("soft0");
	context->device = NULL;
	fake_no_rdma(true);
	rec_init(&a, "a", 0);
	rec_register(&a);
	dev = ibc_adopt_context(h_reg, context, 0);
	assert_non_null(dev);
	wait_for(h_count(&a, H_ADD) == 1);
	h_fence();
	assert_int_equal(ibc_device_state(dev), IBC_DEVICE_LIVE);
	h2_remove(dev);
	fake_close(context);
	rec_unregister(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g21_no_rdma_in_the_kernel_is_an_empty_registry),
		IN_ALL(g21_an_empty_list_is_an_empty_registry),
		ON_FAKE(IN_ALL, g21_devices_may_come_later),
		IN_ALL(g21_registry_may_be_opened_before_any_device),
		IN_ALL(g21_adopting_works_without_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
