// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Situations of Documentation/situations.md that no other test of the contract
 * makes: what was reported of others, once more.
 */
#include "ear.h"

/* ---- reading when there is nothing, or when a signal comes ---- */

static void read_after(int error)
{
	fake_fail(FAKE_EVENT, error, 2);
	ear_send(IBV_EVENT_LID_CHANGE, 1);
	fake_fail(FAKE_EVENT, 0, 0);
}

/* openucx/ucx #1507 */
static void g15_nothing_to_read_is_no_error(void **state)
{
	(void)state;
	ear_begin();
	h_log_capture();
	listen_device(&ear, 0);
	read_after(EAGAIN);
	assert_int_equal(heard(&ear), 1);
	read_after(EINTR);
	assert_int_equal(heard(&ear), 2);
	assert_true(h2_is(dev, IBC_DEVICE_LIVE));
	assert_int_equal(h_logged(IBC_LOG_ERROR, ""), 0);
	assert_int_equal(h_logged(IBC_LOG_WARNING, ""), 0);
	deaf(&ear);
	ear_end();
}

/* ---- a GUID that is none ---- */

/* linux-rdma/rdma-core #1547: two NICs whose node_guid is 0 are two */
static void g14_a_guid_of_zero_is_nobodys(void **state)
{
	struct ibc_device *first, *second, *again;

	(void)state;
	rec_init(&a, "a", 0);
	fake_add("soft0", 0);
	fake_add("soft1", 0);
	rec_register(&a);
	first = h_device("soft0");
	second = h_device("soft1");
	assert_ptr_not_equal(first, second);
	fake_remove("soft0", FAKE_WAIT);
	wait_for(h2_is(first, IBC_DEVICE_GONE));
	assert_true(h2_is(second, IBC_DEVICE_LIVE));
	fake_add("soft0", 0);
	again = h_device_after("soft0", ibc_device_incarnation(first));
	wait_for(h_count(&a, H_ADD) == 3); /* it is found before add() */
	assert_int_equal(h_count(&a, H_REMOVE), 1);
	ibc_put_device(first);
	ibc_put_device(second);
	ibc_put_device(again);
	rec_unregister(&a);
}

/* ---- whose qp_context is it ---- */

static void count_own(struct rec *rec, struct ibc_device *d,
		      struct ibc_client_data *data,
		      const struct ibc_event *event)
{
	(void)d;
	(void)data;
	check(event->async.event_type == IBV_EVENT_QP_FATAL);
	check(event->element_context == &qp || event->element_context == &qp2);
	rec->arg = event->element_context;
}

/*
 * spdk lib/nvmf/rdma.c takes each qp_context for its own struct: here two users
 * of one context each hear of their own QP, by the handler's argument.
 */
static void g15_two_users_of_a_context_hear_of_their_own(void **state)
{
	struct ear first = {}, second = {};

	(void)state;
	ear_begin();
	a.on_event = count_own;
	listen_qp(&first, qp, 0);
	listen_qp(&second, qp2, 0);
	ear_send(IBV_EVENT_QP_FATAL, (uintptr_t)qp2);
	assert_int_equal(heard(&first), 0);
	assert_int_equal(heard(&second), 1);
	assert_int_equal(second.num, qp2->qp_num);
	ear_send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	assert_int_equal(heard(&first), 1);
	assert_int_equal(heard(&second), 1);
	assert_int_equal(h_count(&a, H_EVENT), 2);
	deaf(&first);
	deaf(&second);
	ear_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g15_nothing_to_read_is_no_error),
		ON_FAKE(IN_ALL, g14_a_guid_of_zero_is_nobodys),
		IN_ALL(g15_two_users_of_a_context_hear_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
