// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A real device (fake_verbs.c) beside one of softverbs: each gets its own calls.
 * That libibverbs lacks what ours are made with, too: contexts are made plainly.
 */
#include <string.h>

#include "soft_test.h"

static void use(struct ibv_device *dev, int ports)
{
	struct ibv_context *context = ibv_open_device(dev);
	struct ibv_qp qp = { .context = context };
	struct ibv_async_event event = { .event_type = IBV_EVENT_PORT_ERR };
	struct ibv_device_attr attr;
	struct ibv_pd *pd;

	assert_non_null(context);
	assert_ptr_equal(context->device, dev);
	assert_int_equal(ibv_query_device(context, &attr), 0);
	assert_int_equal(attr.phys_port_cnt, ports);
	pd = ibv_alloc_pd(context);
	assert_ptr_equal(pd->context, context);
	assert_int_equal(ibv_dealloc_pd(pd), 0);
	ibv_ack_async_event(&event);
	event.event_type = IBV_EVENT_QP_FATAL;
	event.element.qp = &qp;
	pthread_mutex_init(&qp.mutex, NULL);
	pthread_cond_init(&qp.cond, NULL);
	ibv_ack_async_event(&event);
	assert_int_equal(ibv_close_device(context), 0);
}

static void both(void **state)
{
	struct ibv_device **list;
	int num;

	(void)state;
	list = ibv_get_device_list(&num);
	assert_int_equal(num, 2);
	assert_null(list[2]);
	assert_string_equal(ibv_get_device_name(list[0]), "real0");
	assert_int_equal(ibv_get_device_guid(list[0]), 42);
	use(list[0], 9);
	assert_string_equal(ibv_get_device_name(list[1]), "soft0");
	assert_int_not_equal(ibv_get_device_guid(list[1]), 42);
	use(list[1], 2);
	ibv_free_device_list(list);
}

static void real_alone(void **state)
{
	struct soft_test *test = *state;
	struct ibv_device **list;
	int num;

	assert_int_equal(softverbs_remove_device(test->sv, "soft0", 0),
			 ETIMEDOUT);
	list = ibv_get_device_list(&num);
	assert_int_equal(num, 1);
	use(list[0], 9);
	ibv_free_device_list(list);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(both), TEST(real_alone) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
