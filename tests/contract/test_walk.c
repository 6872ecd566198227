// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantee 18: handlers come and go in handlers, while an event goes from one to
 * the next.
 */
#include "ear.h"

/* ---- who is unregistered while an event is told ---- */

#define EARS 4

static struct ear ears[EARS];
static unsigned int victims; /* by their bits, of the one that unregisters */

static void unregister_victims(struct ear *e, struct ibc_device *d,
			       const struct ibc_event *event)
{
	int i;

	(void)e;
	(void)d;
	(void)event;
	for (i = 0; i < EARS; i++)
		if (victims & 1U << i)
			check(!ibc_unregister_event_handler(ears[i].handler));
}

/* the nth of four unregisters some: exactly the others hear of it, once */
static void expect_others(int nth, unsigned int mask, enum ibv_event_type type,
			  uintptr_t element)
{
	unsigned int want, all = (1U << EARS) - 1;
	int i;

	victims = mask;
	ear_send(type, element);
	for (i = 0; i < EARS; i++) {
		want = i > nth && mask & 1U << i ? 0 : 1;
		assert_int_equal(heard(&ears[i]), want);
	}
	victims = 0;
	ear_send(type, element);
	for (i = 0; i < EARS; i++)
		if (all & ~mask & 1U << i)
			deaf(&ears[i]);
}

static void unregister_some(uint32_t scope, enum ibv_event_type type,
			    uintptr_t element)
{
	struct ibc_event_filter filter = { .scope = scope, .qp = qp };
	unsigned int mask;
	int i, nth;

	for (nth = 0; nth < EARS; nth++) {
		for (mask = 0; mask < 1U << EARS; mask++) {
			memset(ears, 0, sizeof(ears));
			for (i = 0; i < EARS; i++)
				listen_to(&ears[i], filter);
			ears[nth].hook = unregister_victims;
			expect_others(nth, mask, type, element);
		}
	}
}

static void g18_some_are_unregistered_while_they_are_told(void **state)
{
	(void)state;
	ear_begin();
	unregister_some(IBC_SCOPE_DEVICE, IBV_EVENT_LID_CHANGE, 1);
	unregister_some(IBC_SCOPE_QP, IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	ear_end();
}

/* DEVICE_FATAL has a list of its own */
static void g18_some_are_unregistered_in_device_fatal(void **state)
{
	int i;

	(void)state;
	ear_begin();
	memset(ears, 0, sizeof(ears));
	for (i = 0; i < EARS; i++)
		listen_qp(&ears[i], qp, BIT(DEVICE_FATAL));
	ears[1].hook = unregister_victims;
	victims = 1 << 0 | 1 << 1 | 1 << 2;
	fake_context_event(context, IBV_EVENT_DEVICE_FATAL, 0);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	assert_int_equal(heard(&ears[0]), 1);
	assert_int_equal(heard(&ears[1]), 1);
	assert_int_equal(heard(&ears[2]), 0);
	assert_int_equal(heard(&ears[3]), 1);
	deaf(&ears[3]);
	fake_destroy_qp(qp);
	fake_destroy_qp(qp2);
	qp = qp2 = NULL;
	ear_end();
}

/* ---- who is registered while an event is told ---- */

static void register_ear2(struct ear *e, struct ibc_device *d,
			  const struct ibc_event *event)
{
	(void)d;
	(void)event;
	if (!ear2.handler)
		listen_to(&ear2, *(struct ibc_event_filter *)e->arg);
}

static void registered_meanwhile(struct ibc_event_filter filter,
				 enum ibv_event_type type, uintptr_t element)
{
	ear.hook = register_ear2;
	ear.arg = &filter;
	listen_to(&ear, filter);
	ear_send(type, element);
	assert_int_equal(heard(&ear), 1);
	assert_int_equal(heard(&ear2), 0); /* it is not for this one */
	ear_send(type, element);
	assert_int_equal(heard(&ear), 2);
	assert_int_equal(heard(&ear2), 1);
	deaf(&ear);
	deaf(&ear2);
	memset(&ear, 0, sizeof(ear));
	memset(&ear2, 0, sizeof(ear2));
}

static void g18_registered_in_a_handler_it_hears_the_next(void **state)
{
	struct ibc_event_filter of_qp = { .scope = IBC_SCOPE_QP };
	struct ibc_event_filter of_device = { .scope = IBC_SCOPE_DEVICE };

	(void)state;
	ear_begin();
	of_qp.qp = qp;
	registered_meanwhile(of_qp, IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	registered_meanwhile(of_device, IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	registered_meanwhile(of_device, IBV_EVENT_LID_CHANGE, 1);
	ear_end();
}

/* for one event, and then for the next: those that do so must not go round */
static void register_again(struct ear *e, struct ibc_device *d,
			   const struct ibc_event *event)
{
	(void)d;
	(void)event;
	check(ibc_unregister_event_handler(e->handler) == 0);
	if (heard(e) < 10)
		listen_device(e, BIT(LID_CHANGE));
	else
		e->handler = NULL;
}

static void g18_a_handler_registers_itself_anew(void **state)
{
	unsigned int i;

	(void)state;
	ear_begin();
	ear.hook = register_again;
	listen_device(&ear, BIT(LID_CHANGE));
	for (i = 1; i <= 3; i++) {
		ear_send(IBV_EVENT_LID_CHANGE, 1);
		assert_int_equal(heard(&ear), i);
	}
	deaf(&ear);
	ear_end();
}

/* a state that is told just then: it is replayed to it, and comes once */
static void g17_registered_in_a_handler_it_hears_the_state_once(void **state)
{
	struct ibc_event_filter filter = { .scope = IBC_SCOPE_PORT };

	(void)state;
	ear_begin();
	ear_send(IBV_EVENT_PORT_ACTIVE, 1);
	ear.hook = register_ear2;
	ear.arg = &filter;
	listen_to(&ear, filter);
	h_fence();
	deaf(&ear2); /* registered in the replay, of what was told before */
	memset(&ear2, 0, sizeof(ear2));
	ear_send(IBV_EVENT_PORT_ERR, 1);
	assert_int_equal(heard(&ear), 2);
	assert_int_equal(heard(&ear2), 1);
	assert_int_equal(ear2.type, IBV_EVENT_PORT_ERR);
	assert_int_equal(ear2.flags, IBC_EVENT_REPLAYED);
	deaf(&ear);
	deaf(&ear2);
	ear_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g18_some_are_unregistered_while_they_are_told),
		ON_FAKE(IN_ALL, g18_some_are_unregistered_in_device_fatal),
		IN_ALL(g18_registered_in_a_handler_it_hears_the_next),
		IN_ALL(g18_a_handler_registers_itself_anew),
		IN_ALL(g17_registered_in_a_handler_it_hears_the_state_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
