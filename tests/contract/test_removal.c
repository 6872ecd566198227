// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantee 13: what begins a removal, and what does not. */
#include "harness2.h"

static struct rec a;
static struct ibc_device *dev;
static struct ibv_context *context;
static uint64_t first;
static unsigned int closes;

/* a client with data on soft0 */
static void begin(void)
{
	ibc_put_client_data(h2_begin(&a, &dev));
	context = ibc_device_context(dev);
	closes = fake_closes();
	first = ibc_device_incarnation(dev);
}

/* it went, once, and told everything once */
static void expect_gone(void)
{
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	wait_for(h_count_of(&a, H_GONE, first) == 1);
	h_fence();
	assert_int_equal(h_count_of(&a, H_ADD, first), 1);
	assert_int_equal(h_count_of(&a, H_REMOVE, first), 1);
	assert_int_equal(h_count_of(&a, H_GONE, first), 1);
	assert_int_equal(h_count_of(&a, H_FREE, first), 1);
	assert_true(h_before(&a, H_REMOVE, &a, H_FREE));
	assert_true(h_before(&a, H_FREE, &a, H_GONE));
	/* not by its address: the device may be open again, there */
	assert_true(fake_closes() > closes);
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* it is there, and nobody heard of anything */
static void expect_live(void)
{
	h_fence();
	assert_int_equal(ibc_device_state(dev), IBC_DEVICE_LIVE);
	assert_int_equal(h_count(&a, H_REMOVE), 0);
	assert_int_equal(h_count(&a, H_FREE), 0);
	assert_int_equal(h_count(&a, H_ADD), 1);
	assert_ptr_equal(ibc_device_context(dev), context);
}

static void end_live(void)
{
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* ---- the triggers, each alone ---- */

static void g13_device_fatal_removes(void **state)
{
	(void)state;
	begin();
	fake_remove("soft0", FAKE_FATAL);
	expect_gone();
}

static void g13_reported_fatal_removes(void **state)
{
	struct ibv_async_event event = { .event_type = IBV_EVENT_DEVICE_FATAL };

	(void)state;
	begin();
	assert_int_equal(ibc_report_event(dev, &event), 0);
	expect_gone();
}

static void reading_fails(int error)
{
	begin();
	fake_fail(FAKE_EVENT, error, 1);
	fake_context_event(context, IBV_EVENT_PORT_ERR, 1);
	expect_gone();
}

static void g13_eio_of_reading_events_removes(void **state)
{
	(void)state;
	reading_fails(EIO);
}

static void g13_enodev_of_reading_events_removes(void **state)
{
	(void)state;
	reading_fails(ENODEV);
}

static void g13_hang_up_of_the_async_fd_removes(void **state)
{
	(void)state;
	begin();
	fake_hang_up(context);
	expect_gone();
}

static void g13_uevent_removes_what_the_list_confirms(void **state)
{
	(void)state;
	begin();
	h_fence(); /* a list that was begun before would have it, still */
	fake_remove("soft0", FAKE_WAIT);
	h2_uevent("remove", "uverbs0");
	expect_gone();
	assert_int_equal(fake_calls(FAKE_PROBE), 0);
}

/* moved to another network namespace: the list has it, its verbs fail */
static void g13_uevent_removes_what_a_verb_confirms(void **state)
{
	(void)state;
	begin();
	fake_fail(FAKE_PROBE, EIO, 1);
	h2_uevent("remove", "uverbs0");
	expect_gone();
}

static void g13_absence_from_a_fresh_list_removes(void **state)
{
	(void)state;
	begin();
	fake_remove("soft0", FAKE_WAIT);
	assert_int_equal(ibc_rescan(h_reg), 0);
	expect_gone();
}

/* the list is read because a source says so; nobody calls rescan */
static void g13_news_lead_to_a_fresh_list(void **state)
{
	(void)state;
	begin();
	fake_remove("soft0", FAKE_WAIT);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	expect_gone();
}

static void g13_remove_device_removes(void **state)
{
	(void)state;
	begin();
	assert_int_equal(ibc_remove_device(dev), 0);
	expect_gone();
}

static void reported(int error, int probe)
{
	begin();
	fake_fail(FAKE_PROBE, probe, 1);
	assert_int_equal(ibc_report_error(dev, error), 0);
	expect_gone();
}

static void g13_reported_error_removes_what_a_verb_confirms(void **state)
{
	int errors[] = { EIO, ENODEV, -EIO, -ENODEV };
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		reported(errors[i], i < 2 ? EIO : ENODEV);
		h_forget();
		fake_remove("soft0", FAKE_WAIT);
		assert_int_equal(ibc_rescan(h_reg), 0);
	}
}

static void g13_reported_error_removes_what_the_list_confirms(void **state)
{
	(void)state;
	begin();
	fake_remove("soft0", FAKE_WAIT);
	assert_int_equal(ibc_report_error(dev, EIO), 0);
	expect_gone();
}

/* ---- one idempotent trigger ---- */

static void everything_at_once(void)
{
	struct ibv_async_event event = { .event_type = IBV_EVENT_DEVICE_FATAL };

	ibc_remove_device(dev);
	ibc_report_event(dev, &event);
	ibc_report_error(dev, EIO);
	ibc_report_error(dev, ENODEV);
	h2_uevent("remove", "uverbs0");
	ibc_rescan(h_reg);
	ibc_remove_device(dev);
}

static void at_once(struct worker *w)
{
	(void)w;
	everything_at_once();
}

static void g13_all_triggers_together_are_one(void **state)
{
	struct worker w[4] = {};
	unsigned int i;

	(void)state;
	begin();
	fake_remove("soft0", FAKE_FATAL);
	for (i = 0; i < 4; i++)
		worker_start(&w[i], at_once);
	for (i = 0; i < 4; i++)
		worker_join(&w[i]);
	everything_at_once();
	expect_gone();
}

static void again_in_remove(struct rec *rec, struct ibc_device *d,
			    struct ibc_client_data *data)
{
	(void)rec;
	(void)data;
	check(d == dev);
	check(ibc_device_state(d) == IBC_DEVICE_REMOVING);
	everything_at_once();
}

static void again_in_gone(struct rec *rec, struct ibc_device *d)
{
	(void)rec;
	(void)d;
	everything_at_once();
}

static void g13_triggers_later_change_nothing(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	begin();
	a.on_remove = again_in_remove;
	a.on_gone = again_in_gone;
	data = ibc_get_client_data(dev, &a.client);
	fake_remove("soft0", FAKE_FATAL);
	wait_for(h2_is(dev, IBC_DEVICE_DRAINING));
	everything_at_once();
	h_fence();
	assert_int_equal(ibc_device_state(dev), IBC_DEVICE_DRAINING);
	ibc_put_client_data(data);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	everything_at_once();
	assert_int_equal(ibc_remove_device(dev), 0);
	expect_gone();
}

static int remove_in_add(struct rec *rec, struct ibc_device *d)
{
	(void)rec;
	check(ibc_remove_device(d) == 0);
	return 0;
}

static void g13_a_device_may_be_removed_in_its_add(void **state)
{
	(void)state;
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	a.on_add = remove_in_add;
	rec_register(&a);
	wait_for(h_count(&a, H_GONE) == 1);
	assert_int_equal(h_count(&a, H_REMOVE), 1);
	rec_unregister(&a);
}

/* ---- hints ---- */

static void g13_a_false_hint_costs_nothing(void **state)
{
	struct ibc_stats before, after;

	(void)state;
	begin();
	before = h2_stats(h_reg);
	assert_int_equal(ibc_report_error(dev, EIO), 0);
	wait_for(h2_stats(h_reg).false_hints == before.false_hints + 1);
	assert_int_equal(fake_calls(FAKE_PROBE), 1);
	h2_uevent("remove", "uverbs0");
	wait_for(h2_stats(h_reg).false_hints == before.false_hints + 2);
	h2_uevent("remove", "uverbs7"); /* nobody's */
	expect_live();
	after = h2_stats(h_reg);
	assert_int_equal(after.false_hints, before.false_hints + 2);
	assert_true(after.hints >= before.hints + 3);
	end_live();
}

/* a verb that fails otherwise proves nothing: asked again, or left at that */
static void g13_a_probe_that_fails_otherwise_is_no_proof(void **state)
{
	static const int errors[] = { ENOMEM, EINTR, EPERM, EINVAL, ENOSYS };
	unsigned int i;

	(void)state;
	begin();
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		fake_fail(FAKE_PROBE, errors[i], 1);
		ibc_report_error(dev, EIO);
		wait_for(h2_stats(h_reg).false_hints == i + 1);
		expect_live();
	}
	end_live();
}

static void g13_other_errors_are_ignored(void **state)
{
	static const int errors[] = { 0,      EAGAIN,	 ENOMEM, EINVAL,
				      EBUSY,  ETIMEDOUT, ENOSPC, -EPERM,
				      100000, INT32_MIN };
	unsigned int i, lists;
	struct ibc_stats stats;

	(void)state;
	begin();
	h_fence();
	lists = fake_calls(FAKE_LIST);
	stats = h2_stats(h_reg);
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		assert_int_equal(ibc_report_error(dev, errors[i]), 0);
	assert_int_equal(h2_stats(h_reg).hints, stats.hints);
	assert_int_equal(fake_calls(FAKE_LIST), lists);
	expect_live();
	assert_int_equal(fake_calls(FAKE_PROBE), 0);
	end_live();
}

/* ---- lists that cannot be read ---- */

static void g13_list_that_cannot_be_read_is_not_empty(void **state)
{
	static const int errors[] = {
		EMFILE, EACCES, ENOMEM, EPERM, EIO, ENOENT
	};
	unsigned int i;

	(void)state;
	begin();
	h_fence(); /* no list but these may fail */
	h_log_capture();
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		fake_fail(FAKE_LIST, errors[i], 1);
		assert_int_equal(ibc_rescan(h_reg), errors[i]);
	}
	expect_live();
	/* the registry's own scans neither; it tries again by itself */
	fake_fail(FAKE_LIST, EMFILE, -1);
	fake_notify();
	wait_for(h_logged(IBC_LOG_WARNING, "cannot read the device list"));
	assert_int_equal(ibc_device_state(dev), IBC_DEVICE_LIVE);
	fake_remove("soft0", FAKE_WAIT); /* while it cannot be seen */
	wait_for(fake_calls(FAKE_LIST) > 12);
	assert_int_equal(h_count(&a, H_REMOVE), 0);
	/* one line for each errno, not for each attempt */
	assert_int_equal(h_logged(IBC_LOG_WARNING, "device list"), 1);
	fake_fail(FAKE_LIST, 0, 0);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	expect_gone();
}

static void g13_enosys_is_an_empty_list(void **state)
{
	(void)state;
	begin();
	fake_no_rdma(true);
	assert_int_equal(ibc_rescan(h_reg), 0);
	expect_gone();
	fake_no_rdma(false);
}

/* a hint, and no list to confirm it: the verb has to decide */
static void g13_a_hint_without_a_list_is_left_to_a_verb(void **state)
{
	(void)state;
	begin();
	fake_fail(FAKE_LIST, EMFILE, -1);
	ibc_report_error(dev, EIO);
	wait_for(fake_calls(FAKE_PROBE) == 1);
	wait_for(h2_stats(h_reg).false_hints == 1);
	assert_int_equal(ibc_device_state(dev), IBC_DEVICE_LIVE);
	fake_fail(FAKE_PROBE, EIO, 1);
	ibc_report_error(dev, EIO);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	fake_fail(FAKE_LIST, 0, 0);
	expect_gone();
}

/* ---- the event that begins it ---- */

static void g13_fatal_that_begins_it_is_an_event_first(void **state)
{
	int at;

	(void)state;
	begin();
	fake_remove("soft0", FAKE_RESET); /* no list says it */
	wait_for(h_count(&a, H_REMOVE) == 1);
	assert_int_equal(h_count(&a, H_EVENT), 1);
	at = h_find(&a, H_EVENT, 0);
	assert_true(at < h_find(&a, H_REMOVE, 0));
	assert_int_equal(h_record(at).event.async.event_type,
			 IBV_EVENT_DEVICE_FATAL);
	assert_int_equal(h_record(at).event.count, 1);
	assert_int_equal(h_record(at).event.flags, 0);
	assert_non_null(h_record(at).data); /* borrowed, though get fails */
	expect_gone();
}

static void g13_who_does_not_want_fatal_gets_remove_only(void **state)
{
	(void)state;
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	a.client.event_mask = 1ULL << IBV_EVENT_PORT_ERR;
	rec_register(&a);
	fake_remove("soft0", FAKE_FATAL);
	wait_for(h_count(&a, H_GONE) == 1);
	assert_int_equal(h_count(&a, H_EVENT), 0);
	rec_unregister(&a);
}

/* the removal had begun otherwise: FATAL is no news */
static void g13_fatal_after_it_began_is_no_event(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	begin();
	data = ibc_get_client_data(dev, &a.client);
	ibc_remove_device(dev);
	fake_context_event(context, IBV_EVENT_DEVICE_FATAL, 0);
	wait_for(h2_is(dev, IBC_DEVICE_DRAINING));
	wait_for(fake_acks() == 1);
	fake_context_event(context, IBV_EVENT_DEVICE_FATAL, 0);
	h_fence();
	assert_int_equal(h_count(&a, H_EVENT), 0);
	ibc_put_client_data(data);
	expect_gone();
}

/* a second one while clients hear of the first */
static void g13_fatal_twice_is_told_once(void **state)
{
	struct gate gate = {};

	(void)state;
	begin();
	if (h_mode != H_MANUAL)
		a.gate[H_EVENT] = &gate;
	fake_context_event(context, IBV_EVENT_DEVICE_FATAL, 0);
	fake_context_event(context, IBV_EVENT_DEVICE_FATAL, 0);
	wait_for(h_count(&a, H_EVENT) == 1);
	if (h_mode != H_MANUAL)
		fake_context_event(context, IBV_EVENT_DEVICE_FATAL, 0);
	gate_open(&gate);
	wait_for(h_count(&a, H_REMOVE) == 1);
	assert_int_equal(h_count_of(&a, H_EVENT, first), 1);
	expect_gone();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g13_device_fatal_removes),
		IN_ALL(g13_reported_fatal_removes),
		IN_ALL(g13_eio_of_reading_events_removes),
		IN_ALL(g13_enodev_of_reading_events_removes),
		ON_FAKE(IN_ALL, g13_hang_up_of_the_async_fd_removes),
		IN_ALL(g13_uevent_removes_what_the_list_confirms),
		IN_ALL(g13_uevent_removes_what_a_verb_confirms),
		IN_ALL(g13_absence_from_a_fresh_list_removes),
		IN_ALL(g13_news_lead_to_a_fresh_list),
		IN_ALL(g13_remove_device_removes),
		IN_ALL(g13_reported_error_removes_what_a_verb_confirms),
		IN_ALL(g13_reported_error_removes_what_the_list_confirms),
		IN_ALL(g13_all_triggers_together_are_one),
		IN_ALL(g13_triggers_later_change_nothing),
		IN_ALL(g13_a_device_may_be_removed_in_its_add),
		IN_ALL(g13_a_false_hint_costs_nothing),
		IN_ALL(g13_a_probe_that_fails_otherwise_is_no_proof),
		IN_ALL(g13_other_errors_are_ignored),
		IN_ALL(g13_list_that_cannot_be_read_is_not_empty),
		IN_ALL(g13_enosys_is_an_empty_list),
		IN_ALL(g13_a_hint_without_a_list_is_left_to_a_verb),
		IN_ALL(g13_fatal_that_begins_it_is_an_event_first),
		IN_ALL(g13_who_does_not_want_fatal_gets_remove_only),
		IN_ALL(g13_fatal_after_it_began_is_no_event),
		IN_ALL(g13_fatal_twice_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
