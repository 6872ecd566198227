// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantee 18: when an event handler is unregistered, it is. */
#include "ear.h"

/* ---- 18: the fence ---- */

static void unregister_it(struct worker *w)
{
	w->error = ibc_unregister_event_handler(w->arg);
}

static void g18_unregister_waits_while_it_runs(void **state)
{
	struct worker w = {};
	struct gate gate = {};

	(void)state;
	ear_begin();
	ear.gate = &gate;
	listen_qp(&ear, qp, 0);
	listen_qp(&ear2, qp2, 0);
	fake_context_event(context, IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	wait_for(gate_entered(&gate) == 1);
	deaf(&ear2); /* another one: no reason to wait */
	w.arg = ear.handler;
	worker_start(&w, unregister_it);
	worker_wait_blocked(&w);
	assert_false(worker_finished(&w));
	gate_open(&gate);
	worker_join(&w);
	assert_int_equal(w.error, 0);
	ear_send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	assert_int_equal(heard(&ear), 1);
	ear_end();
}

static void unregister_other(struct ear *e, struct ibc_device *d,
			     const struct ibc_event *event)
{
	struct ear *other = e->arg;

	(void)d;
	(void)event;
	e->result = ibc_unregister_event_handler(other->handler);
}

/* of the same device: it does not run, also if it would be the next */
static void g18_unregister_of_another_in_a_callback(void **state)
{
	struct ear third = {};

	(void)state;
	ear_begin();
	ear.hook = unregister_other;
	ear.arg = &ear2;
	listen_qp(&ear, qp, 0);
	listen_qp(&ear2, qp, 0);
	listen_qp(&third, qp, 0);
	ear_send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	assert_int_equal(ear.result, 0);
	assert_int_equal(heard(&ear2), 0);
	assert_int_equal(heard(&third), 1);
	deaf(&ear);
	deaf(&third);
	ear_end();
}

static struct ear *victim;
static atomic_int said;

static void unregister_victim(struct rec *rec, struct ibc_device *d,
			      struct ibc_client_data *data,
			      const struct ibc_event *event)
{
	(void)rec;
	(void)data;
	(void)event;
	if (d == dev)
		return;
	said = ibc_unregister_event_handler(victim->handler);
	h_changed();
}

/* a handler of another device that runs: disarmed, and to be called again */
static void g18_edeadlk_where_it_would_wait(void **state)
{
	struct gate gate = {};
	struct ibc_device *other;

	(void)state;
	ear_begin();
	fake_add("soft1", 0x12);
	other = h_device("soft1");
	a.on_event = NULL;
	ear.gate = &gate;
	listen_qp(&ear, qp, 0);
	fake_context_event(context, IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	wait_for(gate_entered(&gate) == 1);
	victim = &ear;
	said = -1;
	a.on_event = unregister_victim;
	fake_context_event(ibc_device_context(other), IBV_EVENT_LID_CHANGE, 1);
	wait_for(said != -1);
	assert_int_equal(said, EDEADLK);
	fake_context_event(context, IBV_EVENT_COMM_EST, (uintptr_t)qp);
	gate_open(&gate);
	wait_for(h_count(&a, H_EVENT) == 3);
	h_fence();
	assert_int_equal(heard(&ear), 1);
	a.on_event = NULL;
	deaf(&ear);
	ibc_put_device(other);
	ear_end();
}

static void g18_close_is_ebusy(void **state)
{
	(void)state;
	ear_begin();
	listen_device(&ear, 0);
	fake_destroy_qp(qp);
	fake_destroy_qp(qp2);
	rec_unregister(&a);
	ibc_put_device(dev);
	assert_int_equal(ibc_close(h_reg), EBUSY);
	deaf(&ear);
}

/* they unregister, then destroy, while events of it go on coming */
static void g18_unregister_and_destroy_in_a_storm(void **state)
{
	struct ibv_async_event event = { .event_type = IBV_EVENT_QP_FATAL };
	unsigned int i, j;
	struct ibv_qp *own;

	(void)state;
	ear_begin();
	for (i = 0; i < 200; i++) {
		own = fake_make_qp(context, NULL);
		event.element.qp = own;
		listen_qp(&ear, own, 0);
		for (j = 0; j < 4; j++) {
			event.event_type =
				j & 1 ? IBV_EVENT_COMM_EST : IBV_EVENT_QP_FATAL;
			assert_int_equal(ibc_report_event(dev, &event), 0);
		}
		deaf(&ear);
		j = heard(&ear);
		fake_destroy_qp(own);
		assert_int_equal(heard(&ear), j);
	}
	h_fence();
	ear_end();
}

/* ---- beside each other ---- */

static void start_unregister(struct worker *w, struct ear *e)
{
	w->arg = e->handler;
	worker_start(w, unregister_it);
	worker_wait_blocked(w);
	assert_false(worker_finished(w));
}

/* while it runs: both wait, both get 0, and one of them frees it */
static void g18_two_threads_unregister_it(void **state)
{
	struct worker w[2] = {};
	struct gate gate = {};
	int i;

	(void)state;
	ear_begin();
	ear.gate = &gate;
	listen_qp(&ear, qp, 0);
	fake_context_event(context, IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	wait_for(gate_entered(&gate) == 1);
	for (i = 0; i < 2; i++)
		start_unregister(&w[i], &ear);
	gate_open(&gate);
	for (i = 0; i < 2; i++) {
		worker_join(&w[i]);
		assert_int_equal(w[i].error, 0);
	}
	ear_send(IBV_EVENT_COMM_EST, (uintptr_t)qp);
	assert_int_equal(heard(&ear), 1);
	ear_end();
}

static void unregister_itself(struct ear *e, struct ibc_device *d,
			      const struct ibc_event *event)
{
	(void)d;
	(void)event;
	e->result = ibc_unregister_event_handler(e->handler);
}

static void g18_itself_while_another_thread_does(void **state)
{
	struct worker w = {};
	struct gate gate = {};

	(void)state;
	ear_begin();
	ear.gate = &gate;
	ear.hook = unregister_itself;
	ear.result = -1;
	listen_device(&ear, 0);
	fake_context_event(context, IBV_EVENT_LID_CHANGE, 1);
	wait_for(gate_entered(&gate) == 1);
	start_unregister(&w, &ear);
	gate_open(&gate);
	worker_join(&w);
	assert_int_equal(w.error, 0);
	assert_int_equal(ear.result, 0);
	ear_send(IBV_EVENT_LID_CHANGE, 1);
	assert_int_equal(heard(&ear), 1);
	ear_end();
}

/* also of a replay, which is a call as any other */
static void g18_unregister_waits_for_a_replay(void **state)
{
	struct worker w = {};
	struct gate gate = {};

	(void)state;
	ear_begin();
	ear_send(IBV_EVENT_PORT_ERR, 1);
	ear_send(IBV_EVENT_PORT_ERR, 2);
	ear.gate = &gate;
	listen_device(&ear, 0);
	wait_for(gate_entered(&gate) == 1);
	start_unregister(&w, &ear);
	gate_open(&gate);
	worker_join(&w);
	assert_int_equal(w.error, 0);
	h_fence();
	assert_int_equal(heard(&ear), 1);
	ear_end();
}

static void g18_itself_in_a_replay(void **state)
{
	struct gate gate = {};

	(void)state;
	ear_begin();
	ear_send(IBV_EVENT_PORT_ERR, 1);
	ear_send(IBV_EVENT_PORT_ERR, 2);
	ear.gate = &gate; /* until it knows what it is to unregister */
	ear.hook = unregister_itself;
	ear.result = -1;
	listen_device(&ear, 0);
	listen_device(&ear2, 0);
	gate_open(&gate);
	wait_for(heard(&ear2) == 2);
	assert_int_equal(ear.result, 0);
	assert_int_equal(heard(&ear), 1);
	deaf(&ear2);
	ear_end();
}

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

/* ---- in a storm ---- */

#define POISON 0xa5a5a5a5
#define ALIVE  0x11223344

/* what a handler uses, gone as soon as it is unregistered */
struct prey {
	unsigned int magic, calls;
	struct prey *self;
};

static void use_prey(struct ibc_device *d, const struct ibc_event *event,
		     void *arg)
{
	struct prey *prey = arg;

	(void)d;
	check(event->count > 0);
	check(prey->magic == ALIVE && prey->self == prey);
	prey->calls++;
}

#define ROUNDS 400

static void come_and_go(struct worker *w)
{
	static const uint32_t scopes[] = { IBC_SCOPE_DEVICE, IBC_SCOPE_PORT,
					   IBC_SCOPE_QP };
	struct ibc_event_filter filter = { .comp_mask = 0 };
	struct ibc_event_handler *handler;
	struct prey *prey;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		prey = malloc(sizeof(*prey));
		check(prey);
		*prey = (struct prey){ ALIVE, 0, prey };
		filter.scope = scopes[i % 3];
		filter.qp = filter.scope == IBC_SCOPE_QP ? w->arg : NULL;
		handler = ibc_register_event_handler(dev, &filter, use_prey,
						     prey);
		check(handler);
		if (i % 4)
			sched_yield();
		check(ibc_unregister_event_handler(handler) == 0);
		prey->magic = POISON;
		prey->self = NULL;
		free(prey);
	}
}

static bool storming;

static void make_storm(struct worker *w)
{
	struct ibv_async_event event;
	unsigned int i = 0;

	(void)w;
	while (__atomic_load_n(&storming, __ATOMIC_SEQ_CST)) {
		event.event_type = i % 2 ? IBV_EVENT_QP_FATAL :
					   IBV_EVENT_PORT_ERR + i / 2 % 3;
		if (i % 2)
			event.element.qp = i % 4 == 1 ? qp : qp2;
		else
			event.element.port_num = 1 + i / 4 % 2;
		check(ibc_report_event(dev, &event) == 0);
		if (++i % 64 == 0)
			sched_yield();
	}
}

static bool all_finished(struct worker *w, unsigned int n)
{
	while (n--)
		if (!worker_finished(&w[n]))
			return false;
	return true;
}

static void g18_unregister_is_a_fence_in_a_storm(void **state)
{
	struct worker w[3] = {}, storm = {};
	unsigned int i;

	(void)state;
	ear_begin();
	listen_device(&ear, 0); /* one that stays */
	storming = true;
	worker_start(&storm, make_storm);
	for (i = 0; i < 3; i++) {
		w[i].arg = i % 2 ? qp2 : qp;
		worker_start(&w[i], come_and_go);
	}
	wait_for(all_finished(w, 3));
	for (i = 0; i < 3; i++)
		worker_join(&w[i]);
	__atomic_store_n(&storming, false, __ATOMIC_SEQ_CST);
	worker_join(&storm);
	h_fence();
	assert_true(heard(&ear) > 0);
	deaf(&ear);
	ear_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_THREADS(g18_unregister_waits_while_it_runs),
		IN_ALL(g18_unregister_of_another_in_a_callback),
		IN_PARALLEL(g18_edeadlk_where_it_would_wait),
		IN_ALL(g18_close_is_ebusy),
		IN_ALL(g18_unregister_and_destroy_in_a_storm),
		IN_THREADS(g18_two_threads_unregister_it),
		IN_THREADS(g18_itself_while_another_thread_does),
		IN_THREADS(g18_unregister_waits_for_a_replay),
		IN_ALL(g18_itself_in_a_replay),
		IN_ALL(g18_some_are_unregistered_while_they_are_told),
		ON_FAKE(IN_ALL, g18_some_are_unregistered_in_device_fatal),
		IN_ALL(g18_registered_in_a_handler_it_hears_the_next),
		IN_ALL(g18_a_handler_registers_itself_anew),
		IN_ALL(g17_registered_in_a_handler_it_hears_the_state_once),
		IN_ALL(g18_unregister_is_a_fence_in_a_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
