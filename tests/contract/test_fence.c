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

/* the struct of a device that nobody has a reference on, and that is gone */
static void g18_a_handler_keeps_the_device(void **state)
{
	(void)state;
	ear_begin();
	listen_device(&ear, 0);
	listen_qp(&ear2, qp, 0);
	fake_destroy_qp(qp);
	fake_destroy_qp(qp2);
	ibc_put_device(dev);
	fake_remove("soft0", FAKE_WAIT);
	wait_for(h_count(&a, H_GONE) == 1);
	h_fence();
	rec_unregister(&a);
	h_fence();
	deaf(&ear);
	h_fence();
	deaf(&ear2);
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
static unsigned int reported, counted;

static void count_it(struct ear *e, struct ibc_device *d,
		     const struct ibc_event *event)
{
	(void)e;
	(void)d;
	counted += event->count;
}

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
	reported = i;
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
	counted = 0;
	ear.hook = count_it;
	listen_device(&ear, 0); /* one that stays, and hears all */
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
	assert_int_equal(counted, reported);
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
		IN_ALL(g18_a_handler_keeps_the_device),
		IN_ALL(g18_unregister_and_destroy_in_a_storm),
		IN_THREADS(g18_two_threads_unregister_it),
		IN_THREADS(g18_itself_while_another_thread_does),
		IN_THREADS(g18_unregister_waits_for_a_replay),
		IN_ALL(g18_itself_in_a_replay),
		IN_ALL(g18_unregister_is_a_fence_in_a_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
