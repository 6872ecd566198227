// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantees 16 and 17: equal events, storms, and what latecomers hear. */
#include "harness2.h"

static struct rec a, b;
static struct ibc_device *dev;
static struct ibv_context *context;
static struct gate gate;

static void begin(void)
{
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	dev = h_device("soft0");
	context = ibc_device_context(dev);
	gate_close(&gate);
}

static void end(void)
{
	ibc_put_device(dev);
	rec_unregister(&a);
}

static void send(enum ibv_event_type type, uintptr_t port)
{
	fake_context_event(context, type, port);
}

/*
 * Until open_up() nothing more is told: the client is kept in the callback of
 * an event of port 99, or, where the test dispatches, nobody dispatches.
 */
static void hold_up(void)
{
	if (h_mode == H_MANUAL)
		return;
	a.gate[H_EVENT] = &gate;
	send(IBV_EVENT_LID_CHANGE, 99);
	wait_for(gate_entered(&gate) == 1);
}

/* n events in all have been read, and queued */
static void all_read(unsigned int n)
{
	if (h_mode != H_MANUAL)
		n++;
	while (h_mode == H_MANUAL && fake_acks() < n) {
		ibc__lock(h_reg);
		ibc__events_read(dev, 0);
		ibc__unlock(h_reg);
	}
	wait_for(h2_stats(h_reg).events_read == n);
}

static void open_up(void)
{
	gate_open(&gate);
	h_fence();
}

/* the nth event of a client, after that of hold_up() */
static struct ibc_event event_of(struct rec *rec, unsigned int n)
{
	int at;

	if (h_mode != H_MANUAL && a.gate[H_EVENT] && rec == &a)
		n++;
	wait_for((at = h_find(rec, H_EVENT, n)) >= 0);
	return h_record(at).event;
}

static void expect(unsigned int n, enum ibv_event_type type, int port,
		   unsigned int count)
{
	struct ibc_event event = event_of(&a, n);

	assert_int_equal(event.async.event_type, type);
	assert_int_equal(event.async.element.port_num, port);
	assert_int_equal(event.count, count);
}

static void expect_no_more_than(unsigned int n)
{
	h_fence();
	if (h_mode != H_MANUAL && a.gate[H_EVENT])
		n++;
	assert_int_equal(h_count(&a, H_EVENT), n);
}

/* ---- 16: merging ---- */

static void g16_equal_pending_events_are_one_with_a_count(void **state)
{
	struct ibc_stats stats;
	unsigned int i;

	(void)state;
	begin();
	hold_up();
	for (i = 0; i < 100; i++)
		send(IBV_EVENT_GID_CHANGE, 1);
	all_read(100);
	open_up();
	expect(0, IBV_EVENT_GID_CHANGE, 1, 100);
	expect_no_more_than(1);
	stats = h2_stats(h_reg);
	assert_int_equal(stats.events_merged, 99);
	assert_int_equal(stats.events_read,
			 stats.events_merged + stats.events_delivered);
	end();
}

static void g16_not_across_a_different_event_of_the_element(void **state)
{
	(void)state;
	begin();
	hold_up();
	send(IBV_EVENT_PORT_ERR, 1);
	send(IBV_EVENT_PORT_ERR, 1);
	send(IBV_EVENT_PORT_ACTIVE, 1);
	send(IBV_EVENT_PORT_ERR, 1);
	send(IBV_EVENT_PORT_ACTIVE, 1);
	send(IBV_EVENT_PORT_ACTIVE, 1);
	all_read(6);
	open_up();
	expect(0, IBV_EVENT_PORT_ERR, 1, 2);
	expect(1, IBV_EVENT_PORT_ACTIVE, 1, 1);
	expect(2, IBV_EVENT_PORT_ERR, 1, 1);
	expect(3, IBV_EVENT_PORT_ACTIVE, 1, 2);
	expect_no_more_than(4);
	end();
}

/* events of other elements between do not matter, and are not merged either */
static void g16_other_elements_are_apart(void **state)
{
	struct ibv_qp *qps[2];
	unsigned int i;

	(void)state;
	begin();
	qps[0] = fake_make_qp(context, NULL);
	qps[1] = fake_make_qp(context, NULL);
	hold_up();
	for (i = 0; i < 3; i++) {
		send(IBV_EVENT_PORT_ERR, 1);
		send(IBV_EVENT_PORT_ERR, 2);
		send(IBV_EVENT_QP_FATAL, (uintptr_t)qps[0]);
		send(IBV_EVENT_QP_FATAL, (uintptr_t)qps[1]);
	}
	all_read(12);
	open_up();
	expect(0, IBV_EVENT_PORT_ERR, 1, 3);
	expect(1, IBV_EVENT_PORT_ERR, 2, 3);
	assert_ptr_equal(event_of(&a, 2).async.element.qp, qps[0]);
	assert_int_equal(event_of(&a, 2).count, 3);
	assert_ptr_equal(event_of(&a, 3).async.element.qp, qps[1]);
	assert_int_equal(event_of(&a, 3).count, 3);
	expect_no_more_than(4);
	fake_destroy_qp(qps[0]);
	fake_destroy_qp(qps[1]);
	end();
}

/* many elements at once, more than the library has room for in its table */
static void g16_many_elements_keep_their_counts(void **state)
{
	struct ibv_qp *qps[300];
	unsigned int i;

	(void)state;
	begin();
	for (i = 0; i < 300; i++)
		qps[i] = fake_make_qp(context, NULL);
	hold_up();
	for (i = 0; i < 900; i++) {
		send(IBV_EVENT_COMM_EST, (uintptr_t)qps[i * 7 % 300]);
		if (i % 50 == 49)
			all_read(i + 1);
	}
	open_up();
	for (i = 0; i < 300; i++) {
		assert_ptr_equal(event_of(&a, i).async.element.qp,
				 qps[i * 7 % 300]);
		assert_int_equal(event_of(&a, i).count, 3);
	}
	expect_no_more_than(300);
	for (i = 0; i < 300; i++)
		fake_destroy_qp(qps[i]);
	end();
}

/* who has heard of one already must hear of the next one */
static void g16_nothing_is_merged_into_what_is_being_told(void **state)
{
	(void)state;
	begin();
	rec_init(&b, "b", 0);
	rec_register(&b);
	b.gate[H_EVENT] = &gate; /* a has heard it, b hears it now */
	send(IBV_EVENT_PORT_ERR, 1);
	wait_for(gate_entered(&gate) == 1);
	send(IBV_EVENT_PORT_ERR, 1);
	wait_for(h2_stats(h_reg).events_read == 2);
	gate_open(&gate);
	wait_for(h_count(&b, H_EVENT) == 2);
	wait_for(h_count(&a, H_EVENT) == 2);
	expect(0, IBV_EVENT_PORT_ERR, 1, 1);
	expect(1, IBV_EVENT_PORT_ERR, 1, 1);
	rec_unregister(&b);
	end();
}

static unsigned int heard[2]; /* by port */

static void sum(struct rec *rec, struct ibc_device *d,
		struct ibc_client_data *data, const struct ibc_event *event)
{
	(void)rec;
	(void)d;
	(void)data;
	check(event->element_num < 2);
	__atomic_add_fetch(&heard[event->element_num], event->count,
			   __ATOMIC_SEQ_CST);
	h_changed();
}

#define STORM 5000

static void storm(struct worker *w)
{
	unsigned int i;

	(void)w;
	for (i = 0; i < STORM; i++) {
		/* two kinds, so that not all are merged; the pipe is finite */
		send(i % 3 ? IBV_EVENT_PORT_ERR : IBV_EVENT_PORT_ACTIVE, 1);
		while (fake_acks() + 1000 < i)
			sched_yield();
	}
}

static void g16_what_was_read_is_never_dropped(void **state)
{
	struct worker w = {};

	(void)state;
	begin();
	a.on_event = sum;
	memset(heard, 0, sizeof(heard));
	worker_start(&w, storm);
	wait_for(__atomic_load_n(&heard[1], __ATOMIC_SEQ_CST) == STORM);
	worker_join(&w);
	assert_int_equal(h2_stats(h_reg).events_read, STORM);
	end();
}

/* each event of soft0 brings another one: a storm that never ends */
static void echo(struct rec *rec, struct ibc_device *d,
		 struct ibc_client_data *data, const struct ibc_event *event)
{
	struct ibv_async_event next = event->async;

	(void)rec;
	(void)data;
	if (d == dev && !gate_entered(&gate))
		check(ibc_report_event(d, &next) == 0);
}

static void g16_a_storm_does_not_starve_another_device(void **state)
{
	struct ibc_device *other;

	(void)state;
	begin();
	a.on_event = echo;
	fake_add("soft1", 0x22);
	other = h_device("soft1");
	wait_for(h_count(&a, H_ADD) == 2);
	send(IBV_EVENT_PORT_ERR, 1);
	wait_for(h_count(&a, H_EVENT) > 100);
	fake_context_event(ibc_device_context(other), IBV_EVENT_LID_CHANGE, 1);
	wait_for(h_count_of(&a, H_EVENT, ibc_device_incarnation(other)) == 1);
	ibc_remove_device(other);
	wait_for(h_count_of(&a, H_GONE, ibc_device_incarnation(other)) == 1);
	gate_open(&gate);
	gate_wait(&gate); /* ends the storm */
	ibc_put_device(other);
	end();
}

/* ---- 17: what latecomers hear ---- */

static void late(void)
{
	rec_init(&b, "b", 0);
	rec_register(&b);
	h_fence();
}

static void expect_replayed(unsigned int n, enum ibv_event_type type,
			    unsigned int port)
{
	struct ibc_event event = event_of(&b, n);

	assert_int_equal(event.async.event_type, type);
	assert_int_equal(event.async.element.port_num, port);
	assert_int_equal(event.element_num, port);
	assert_int_equal(event.count, 1);
	assert_int_equal(event.flags, IBC_EVENT_REPLAYED);
	assert_null(event.element_context);
}

static void told(enum ibv_event_type type, uintptr_t port)
{
	unsigned int n = h_count(&a, H_EVENT);

	send(type, port);
	wait_for(h_count(&a, H_EVENT) == n + 1);
	h_fence();
}

static void g17_the_last_state_of_each_port_is_replayed_once(void **state)
{
	(void)state;
	begin();
	told(IBV_EVENT_PORT_ERR, 1);
	told(IBV_EVENT_PORT_ACTIVE, 1);
	told(IBV_EVENT_PORT_ACTIVE, 2);
	told(IBV_EVENT_PORT_ERR, 2);
	told(IBV_EVENT_PORT_ACTIVE, 255);
	late();
	expect_replayed(0, IBV_EVENT_PORT_ACTIVE, 1);
	expect_replayed(1, IBV_EVENT_PORT_ERR, 2);
	expect_replayed(2, IBV_EVENT_PORT_ACTIVE, 255);
	assert_int_equal(h_count(&b, H_EVENT), 3);
	assert_true(h_before(&b, H_ADD, &b, H_EVENT));
	assert_int_equal(h_count(&a, H_EVENT), 5); /* who was there: no */
	/* what happens now is no replay */
	told(IBV_EVENT_PORT_ERR, 1);
	wait_for(h_count(&b, H_EVENT) == 4);
	assert_int_equal(event_of(&b, 3).flags, 0);
	rec_unregister(&b);
	end();
}

static void g17_other_events_are_not_replayed(void **state)
{
	struct ibv_qp *qp;

	(void)state;
	begin();
	qp = fake_make_qp(context, NULL);
	told(IBV_EVENT_LID_CHANGE, 1);
	told(IBV_EVENT_GID_CHANGE, 1);
	told(IBV_EVENT_CLIENT_REREGISTER, 1);
	told(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	late();
	assert_int_equal(h_count(&b, H_EVENT), 0);
	fake_destroy_qp(qp);
	rec_unregister(&b);
	end();
}

static void g17_a_replay_heeds_the_mask(void **state)
{
	(void)state;
	begin();
	told(IBV_EVENT_PORT_ERR, 1);
	told(IBV_EVENT_PORT_ACTIVE, 2);
	rec_init(&b, "b", 0);
	b.client.event_mask = 1ULL << IBV_EVENT_PORT_ERR;
	rec_register(&b);
	h_fence();
	expect_replayed(0, IBV_EVENT_PORT_ERR, 1);
	assert_int_equal(h_count(&b, H_EVENT), 1);
	rec_unregister(&b);
	end();
}

static int fail_once(struct rec *rec, struct ibc_device *d)
{
	(void)d;
	return h_count(rec, H_ADD) == 1 ? ENOMEM : 0;
}

/* not before its add() has returned 0, and not twice */
static void g17_replayed_after_the_add_that_succeeds(void **state)
{
	(void)state;
	begin();
	told(IBV_EVENT_PORT_ERR, 1);
	rec_init(&b, "b", 0);
	b.on_add = fail_once;
	rec_register(&b);
	wait_for(h_count(&b, H_EVENT) == 1);
	h_fence();
	assert_int_equal(h_count(&b, H_ADD), 2);
	assert_true(h_find(&b, H_ADD, 1) < h_find(&b, H_EVENT, 0));
	assert_int_equal(h_count(&b, H_EVENT), 1);
	rec_unregister(&b);
	end();
}

static void register_b(struct worker *w)
{
	rec_register(w->rec);
}

/* the state before it, then what happened: the last told is the last */
static void g17_who_registers_in_the_middle_hears_it_once(void **state)
{
	struct worker w = { .rec = &b };

	(void)state;
	begin();
	told(IBV_EVENT_PORT_ACTIVE, 1);
	a.gate[H_EVENT] = &gate;
	send(IBV_EVENT_PORT_ERR, 1);
	wait_for(gate_entered(&gate) == 1);
	rec_init(&b, "b", 0);
	worker_start(&w, register_b);
	wait_for(__atomic_load_n(&b.client.opaque[0], __ATOMIC_SEQ_CST));
	gate_open(&gate);
	worker_join(&w);
	wait_for(h_count(&b, H_EVENT) == 2);
	h_fence();
	expect_replayed(0, IBV_EVENT_PORT_ACTIVE, 1);
	assert_int_equal(event_of(&b, 1).async.event_type, IBV_EVENT_PORT_ERR);
	assert_int_equal(event_of(&b, 1).flags, 0);
	assert_int_equal(h_count(&b, H_EVENT), 2);
	rec_unregister(&b);
	end();
}

/* nobody was there to hear it: it is kept all the same */
static void g17_kept_while_there_is_no_client(void **state)
{
	struct ibv_context *other;
	struct ibc_device *adopted;
	struct ibv_async_event event = { .event_type = IBV_EVENT_PORT_ERR };

	(void)state;
	fake_add("soft0", 0x11);
	other = fake_open("soft0");
	adopted = ibc_adopt_context(h_reg, other, 0);
	event.element.port_num = 1;
	assert_int_equal(ibc_report_event(adopted, &event), 0);
	h_fence();
	late();
	wait_for(h_count(&b, H_EVENT) == 1);
	expect_replayed(0, IBV_EVENT_PORT_ERR, 1);
	h2_remove(adopted);
	fake_close(other);
	rec_unregister(&b);
}

static void g17_a_new_incarnation_begins_anew(void **state)
{
	struct ibc_device *next;

	(void)state;
	begin();
	told(IBV_EVENT_PORT_ERR, 1);
	fake_remove("soft0", FAKE_WAIT);
	fake_add("soft0", 0x11);
	next = h_device_after("soft0", ibc_device_incarnation(dev));
	wait_for(h_count(&a, H_GONE) == 1);
	late();
	assert_int_equal(h_count(&b, H_EVENT), 0);
	rec_unregister(&b);
	ibc_put_device(next);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_HELD(g16_equal_pending_events_are_one_with_a_count),
		IN_HELD(g16_not_across_a_different_event_of_the_element),
		IN_HELD(g16_other_elements_are_apart),
		IN_HELD(g16_many_elements_keep_their_counts),
		IN_PARALLEL(g16_nothing_is_merged_into_what_is_being_told),
		IN_ALL(g16_what_was_read_is_never_dropped),
		IN_ALL(g16_a_storm_does_not_starve_another_device),
		IN_ALL(g17_the_last_state_of_each_port_is_replayed_once),
		IN_ALL(g17_other_events_are_not_replayed),
		IN_ALL(g17_a_replay_heeds_the_mask),
		IN_ALL(g17_replayed_after_the_add_that_succeeds),
		IN_PARALLEL(g17_who_registers_in_the_middle_hears_it_once),
		IN_ALL(g17_kept_while_there_is_no_client),
		IN_ALL(g17_a_new_incarnation_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
