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

static struct ibv_context *open_real(void)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *context = ibv_open_device(list[0]);

	ibv_free_device_list(list);
	return context;
}

/* events of a real device are read and acknowledged by libibverbs */
static void real_events(void **state)
{
	struct ibv_comp_channel channel = {};
	struct ibv_async_event event;
	struct ibv_context *context;
	void *cq_context;
	struct ibv_cq *cq;

	(void)state;
	channel.context = context = open_real();
	assert_int_equal(ibv_get_async_event(context, &event), 0);
	assert_int_equal(event.event_type, IBV_EVENT_PORT_ACTIVE);
	assert_int_equal(event.element.port_num, 9);
	ibv_ack_async_event(&event);
	assert_int_equal(ibv_get_cq_event(&channel, &cq, &cq_context), 0);
	assert_ptr_equal(cq_context, &channel);
	cq = ibv_create_cq(context, 1, NULL, &channel, 0);
	assert_ptr_equal(cq->channel, &channel);
	ibv_ack_cq_events(cq, 3);
	assert_int_equal(cq->comp_events_completed, 3);
	assert_int_equal(ibv_destroy_cq(cq), 0);
	assert_int_equal(ibv_close_device(context), 0);
}

/* arguments and answers are passed on as they are */
static void real_verbs(void **state)
{
	struct ibv_context *context = open_real();
	struct ibv_qp qp = { .context = context };
	struct ibv_pd pd = { .context = context };
	struct ibv_gid_entry entries[1];
	struct ibv_ece ece = {};
	struct ibv_mr *mr;
	__be16 pkey;

	(void)state;
	mr = ibv_reg_mr(&pd, &pkey, sizeof(pkey), IBV_ACCESS_RELAXED_ORDERING);
	assert_ptr_equal(mr->addr, &pkey);
	assert_int_equal(mr->length, sizeof(pkey));
	assert_int_equal(ibv_dereg_mr(mr), 0);
	assert_int_equal(ibv_modify_qp(&qp, NULL, 5), 1005);
	assert_int_equal(ibv_query_pkey(context, 2, 3, &pkey), 42);
	assert_int_equal(pkey, 2003);
	assert_int_equal(ibv_query_gid_table(context, entries, 1, 0), 1001);
	assert_int_equal(ibv_attach_mcast(&qp, NULL, 7), 2007);
	/* what that libibverbs does not have */
	assert_int_equal(ibv_set_ece(&qp, &ece), EOPNOTSUPP);
	assert_int_equal(ibv_close_device(context), 0);
	context = ibv_import_device(4711);
	assert_non_null(context);
	assert_int_equal(ibv_close_device(context), 0);
}

/* a fault or a removal of ours is none of theirs */
static void real_is_spared(void **state)
{
	struct ibv_context *context = open_real();
	struct soft_test *test = *state;
	struct ibv_device_attr attr;

	assert_int_equal(softverbs_set_fault(test->sv, "soft0",
					     "query_device=EIO close=EBUSY"),
			 0);
	assert_int_equal(ibv_query_device(test->context, &attr), EIO);
	assert_int_equal(ibv_query_device(context, &attr), 0);
	assert_int_equal(ibv_close_device(context), 0);
	assert_int_equal(softverbs_set_fault(test->sv, "soft0", "none"), 0);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both),	  TEST(real_alone),	TEST(real_events),
		TEST(real_verbs), TEST(real_is_spared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
