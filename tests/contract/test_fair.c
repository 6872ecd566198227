// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantee 16: a storm on one device does not starve another, told by the order
 * of what is heard. That of times is tests/soft/test_fair.c. Nor does one that
 * comes during a removal hold that up.
 */
#include "ear.h"

#define STORM 5000

static struct ibc_device *other;
static unsigned int sum;

/* an event of the other device comes while the storm is told */
static void tenth(struct ear *e, struct ibc_device *d,
		  const struct ibc_event *event)
{
	(void)d;
	sum += event->count;
	if (heard(e) == 10)
		fake_context_event(e->arg, IBV_EVENT_LID_CHANGE, 1);
}

static void report_storm(void)
{
	struct ibv_async_event event = { .element.port_num = 1 };
	unsigned int i;

	for (i = 0; i < STORM; i++) {
		event.event_type =
			i % 2 ? IBV_EVENT_PORT_ACTIVE : IBV_EVENT_PORT_ERR;
		check(ibc_report_event(dev, &event) == 0);
	}
}

static void listen_to_other(struct ear *e)
{
	struct ibc_event_filter filter = { .scope = IBC_SCOPE_DEVICE };

	e->handler = ibc_register_event_handler(other, &filter, hear, e);
	check(e->handler);
}

/* one dispatcher, and all of the storm is queued: yet it looks for news */
static void g16_a_storm_leaves_no_other_device_unread(void **state)
{
	struct gate gate = {};

	(void)state;
	ear_begin();
	fake_add("soft1", 0x22);
	other = h_device("soft1");
	sum = 0;
	ear.gate = &gate;
	ear.hook = tenth;
	ear.arg = ibc_device_context(other);
	listen_device(&ear, 0);
	listen_to_other(&ear2);
	report_storm();
	gate_open(&gate);
	wait_for(heard(&ear) == STORM && heard(&ear2) == 1);
	h_fence();
	assert_int_equal(sum, STORM);
	assert_true(ear2.at < 100);
	deaf(&ear);
	deaf(&ear2);
	ibc_put_device(other);
	ear_end();
}

/* ---- turns ---- */

#define TURNS 200

static unsigned int lead; /* the most that one was ahead of the other */

static void note_lead(struct ear *e, struct ibc_device *d,
		      const struct ibc_event *event)
{
	unsigned int mine = heard(e), its = heard(e->arg);

	(void)d;
	(void)event;
	if (its < TURNS && mine > its && mine - its > lead)
		lead = mine - its;
}

static void report_turns(struct ibc_device *of)
{
	struct ibv_async_event event = { .element.port_num = 1 };
	unsigned int i;

	for (i = 0; i < TURNS; i++) {
		event.event_type =
			i % 2 ? IBV_EVENT_PORT_ACTIVE : IBV_EVENT_PORT_ERR;
		check(ibc_report_event(of, &event) == 0);
	}
}

static void g16_two_busy_devices_take_turns(void **state)
{
	(void)state;
	ear_begin();
	fake_add("soft1", 0x22);
	other = h_device("soft1");
	lead = 0;
	ear.hook = ear2.hook = note_lead;
	ear.arg = &ear2;
	ear2.arg = &ear;
	listen_device(&ear, 0);
	listen_to_other(&ear2);
	report_turns(dev);
	report_turns(other);
	wait_for(heard(&ear) == TURNS && heard(&ear2) == TURNS);
	h_fence();
	assert_in_range(lead, 1, 2);
	deaf(&ear);
	deaf(&ear2);
	ibc_put_device(other);
	ear_end();
}

/* ---- what comes while the removal is under way ---- */

static void report_late(struct rec *rec, struct ibc_device *d,
			struct ibc_client_data *data)
{
	struct ibv_async_event event = {
		.event_type = IBV_EVENT_QP_LAST_WQE_REACHED,
		.element.qp = qp,
	};

	(void)rec;
	(void)data;
	check(ibc_report_event(d, &event) == 0);
}

static void after_all_removes(struct ear *e, struct ibc_device *d,
			      const struct ibc_event *event)
{
	(void)e;
	(void)d;
	(void)event;
	check(h_count(&a, H_REMOVE) == 1);
}

/* remove() of all clients first: a storm of it would hold that up */
static void g15_what_comes_late_waits_for_remove(void **state)
{
	struct ibc_client_data *data;
	struct rec last;

	(void)state;
	ear_begin();
	ear.hook = after_all_removes;
	listen_qp(&ear, qp, 0);
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	rec_init(&last, "last", 0);
	last.on_remove = report_late;
	rec_register(&last);
	ibc_remove_device(dev);
	wait_for(heard(&ear) == 1);
	assert_int_equal(h_count(&a, H_EVENT), 0);
	fake_destroy_qp(qp);
	fake_destroy_qp(qp2);
	qp = qp2 = NULL;
	ibc_put_client_data(data);
	deaf(&ear);
	rec_unregister(&last);
	ear_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MANUAL(g16_a_storm_leaves_no_other_device_unread),
		H_TEST(g16_a_storm_leaves_no_other_device_unread, H_ONE),
		IN_MANUAL(g16_two_busy_devices_take_turns),
		IN_ALL(g15_what_comes_late_waits_for_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
