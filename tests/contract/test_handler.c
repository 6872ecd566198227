// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantees 15 to 18 for event handlers: whose events, when, and the fence. */
#include "harness2.h"

#define BIT(type) (1ULL << IBV_EVENT_##type)

/* a handler that writes down what it hears */
struct ear {
	struct ibc_event_handler *handler;
	struct gate *gate;
	void (*hook)(struct ear *ear, struct ibc_device *dev,
		     const struct ibc_event *event);
	void *arg;
	unsigned int heard; /* calls; the rest is of the last one */
	uint32_t count, flags, num;
	int type;
	int result;
	unsigned int at; /* place of the last call among all */
};

static struct rec a;
static struct ibc_device *dev;
static struct ibv_context *context;
static struct ibv_qp *qp, *qp2;
static struct ear ear, ear2;
static unsigned int order;

static unsigned int heard(struct ear *e)
{
	return __atomic_load_n(&e->heard, __ATOMIC_SEQ_CST);
}

static void hear(struct ibc_device *d, const struct ibc_event *event, void *arg)
{
	struct ear *e = arg;

	check(ibc_device_state(d) == IBC_DEVICE_GONE || ibc_device_context(d));
	e->type = event->async.event_type;
	e->count = event->count;
	e->flags = event->flags;
	e->num = event->element_num;
	e->at = __atomic_add_fetch(&order, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&e->heard, 1, __ATOMIC_SEQ_CST);
	h_changed();
	if (e->gate)
		gate_wait(e->gate);
	if (e->hook)
		e->hook(e, d, event);
}

static void begin(void)
{
	memset(&ear, 0, sizeof(ear));
	memset(&ear2, 0, sizeof(ear2));
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	dev = h_device("soft0");
	context = ibc_device_context(dev);
	qp = fake_make_qp(context, &qp);
	qp2 = fake_make_qp(context, &qp2);
}

static void end(void)
{
	if (qp)
		fake_destroy_qp(qp);
	if (qp2)
		fake_destroy_qp(qp2);
	ibc_put_device(dev);
	rec_unregister(&a);
}

static void listen_to(struct ear *e, struct ibc_event_filter filter)
{
	e->handler = ibc_register_event_handler(dev, &filter, hear, e);
	check(e->handler);
}

static void listen_qp(struct ear *e, struct ibv_qp *of, uint64_t mask)
{
	listen_to(e, (struct ibc_event_filter){ .scope = IBC_SCOPE_QP,
						.qp = of,
						.type_mask = mask });
}

static void deaf(struct ear *e)
{
	assert_int_equal(ibc_unregister_event_handler(e->handler), 0);
}

/* acknowledged, but is it queued? */
static bool is_read(void)
{
	bool reading;

	ibc__lock(h_reg);
	reading = dev->reading;
	ibc__unlock(h_reg);
	return !reading;
}

static void send(enum ibv_event_type type, uintptr_t element)
{
	unsigned int n = fake_acks();

	fake_context_event(context, type, element);
	wait_for(fake_acks() == n + 1);
	wait_for(is_read());
	h_fence();
}

/* ---- 15: whose events ---- */

static void g15_a_handler_of_the_device_hears_all(void **state)
{
	(void)state;
	begin();
	listen_to(&ear, (struct ibc_event_filter){ .scope = IBC_SCOPE_DEVICE });
	listen_to(&ear2,
		  (struct ibc_event_filter){ .scope = IBC_SCOPE_DEVICE,
					     .type_mask = BIT(QP_FATAL) });
	send(IBV_EVENT_GID_CHANGE, 1);
	assert_int_equal(ear.type, IBV_EVENT_GID_CHANGE);
	send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	assert_int_equal(ear.num, qp->qp_num);
	assert_int_equal(heard(&ear), 2);
	assert_int_equal(heard(&ear2), 1);
	deaf(&ear);
	send(IBV_EVENT_GID_CHANGE, 1);
	assert_int_equal(heard(&ear), 2);
	deaf(&ear2);
	end();
}

static void g15_a_handler_of_a_port_hears_that_port(void **state)
{
	(void)state;
	begin();
	listen_to(&ear, (struct ibc_event_filter){ .scope = IBC_SCOPE_PORT,
						   .port_num = 2 });
	listen_to(&ear2,
		  (struct ibc_event_filter){ .scope = IBC_SCOPE_PORT,
					     .type_mask = BIT(LID_CHANGE) });
	send(IBV_EVENT_LID_CHANGE, 1);
	send(IBV_EVENT_LID_CHANGE, 2);
	send(IBV_EVENT_SM_CHANGE, 2);
	send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	assert_int_equal(heard(&ear), 2);
	assert_int_equal(ear.type, IBV_EVENT_SM_CHANGE);
	assert_int_equal(heard(&ear2), 2);
	deaf(&ear);
	deaf(&ear2);
	end();
}

static void g15_a_handler_of_an_object_hears_that_object(void **state)
{
	(void)state;
	begin();
	listen_qp(&ear, qp, 0);
	listen_qp(&ear2, qp2, BIT(SQ_DRAINED));
	send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	send(IBV_EVENT_COMM_EST, (uintptr_t)qp2);
	send(IBV_EVENT_SQ_DRAINED, (uintptr_t)qp2);
	send(IBV_EVENT_LID_CHANGE, 1);
	assert_int_equal(heard(&ear), 1);
	assert_int_equal(ear.num, qp->qp_num);
	assert_int_equal(heard(&ear2), 1);
	assert_int_equal(ear2.type, IBV_EVENT_SQ_DRAINED);
	deaf(&ear);
	deaf(&ear2);
	end();
}

/* the fakes need no more of an object than its address */
static void g15_each_kind_of_object(void **state)
{
	static struct ibv_cq cq;
	static struct ibv_srq srq;
	static struct ibv_wq wq;
	struct ear ears[3] = {};

	(void)state;
	begin();
	listen_to(&ears[0], (struct ibc_event_filter){ .scope = IBC_SCOPE_CQ,
						       .cq = &cq });
	listen_to(&ears[1], (struct ibc_event_filter){ .scope = IBC_SCOPE_SRQ,
						       .srq = &srq });
	listen_to(&ears[2], (struct ibc_event_filter){ .scope = IBC_SCOPE_WQ,
						       .wq = &wq });
	send(IBV_EVENT_CQ_ERR, (uintptr_t)&cq);
	send(IBV_EVENT_SRQ_LIMIT_REACHED, (uintptr_t)&srq);
	send(IBV_EVENT_WQ_FATAL, (uintptr_t)&wq);
	assert_int_equal(ears[0].type, IBV_EVENT_CQ_ERR);
	assert_int_equal(ears[1].type, IBV_EVENT_SRQ_LIMIT_REACHED);
	assert_int_equal(ears[2].type, IBV_EVENT_WQ_FATAL);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(heard(&ears[i]), 1);
		deaf(&ears[i]);
	}
	end();
}

static void wrong(struct ibc_event_filter filter)
{
	check_null(ibc_register_event_handler(dev, &filter, hear, NULL),
		   EINVAL);
}

static void g15_a_wrong_filter_is_einval(void **state)
{
	struct ibc_event_filter filter = { .scope = IBC_SCOPE_DEVICE };

	(void)state;
	begin();
	wrong((struct ibc_event_filter){ .comp_mask = 1 });
	wrong((struct ibc_event_filter){ .scope = IBC_SCOPE_WQ + 1 });
	wrong((struct ibc_event_filter){ .scope = IBC_SCOPE_QP });
	wrong((struct ibc_event_filter){ .scope = IBC_SCOPE_CQ });
	wrong((struct ibc_event_filter){ .scope = IBC_SCOPE_SRQ });
	wrong((struct ibc_event_filter){ .scope = IBC_SCOPE_WQ });
	wrong((struct ibc_event_filter){ .scope = IBC_SCOPE_PORT,
					 .port_num = 256 });
	wrong((struct ibc_event_filter){
		.scope = IBC_SCOPE_QP, .qp = qp, .type_mask = BIT(CQ_ERR) });
	check_null(ibc_register_event_handler(NULL, &filter, hear, NULL),
		   EINVAL);
	check_null(ibc_register_event_handler(dev, NULL, hear, NULL), EINVAL);
	check_null(ibc_register_event_handler(dev, &filter, NULL, NULL),
		   EINVAL);
	assert_int_equal(ibc_unregister_event_handler(NULL), EINVAL);
	end();
}

static void destroy_own(struct ear *e, struct ibc_device *d,
			const struct ibc_event *event)
{
	(void)d;
	fake_destroy_qp(event->async.element.qp);
	qp = NULL;
	e->result = ibc_unregister_event_handler(e->handler);
}

static void g15_a_handler_may_destroy_its_object(void **state)
{
	(void)state;
	begin();
	ear.hook = destroy_own;
	listen_qp(&ear, qp, 0);
	send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	assert_null(qp);
	assert_int_equal(ear.result, 0);
	assert_int_equal(heard(&ear), 1);
	end();
}

/* a later handler for the same address does not hear of the earlier object */
static void g15_events_are_for_the_handlers_of_their_time(void **state)
{
	struct ibv_async_event event = { .event_type = IBV_EVENT_QP_FATAL };

	(void)state;
	begin();
	event.element.qp = qp;
	listen_qp(&ear, qp, 0);
	assert_int_equal(ibc_report_event(dev, &event), 0);
	if (h_mode == H_MANUAL) { /* it waits: nobody dispatches */
		listen_qp(&ear2, qp, 0);
		assert_int_equal(ibc_report_event(dev, &event), 0);
		h_fence();
		assert_int_equal(heard(&ear), 2); /* and it is not merged */
		assert_int_equal(heard(&ear2), 1);
		deaf(&ear2);
	}
	deaf(&ear);
	end();
}

static void g15_handlers_of_adopted_contexts(void **state)
{
	struct ibv_async_event event = { .event_type = IBV_EVENT_QP_FATAL };
	struct ibc_event_filter filter = { .scope = IBC_SCOPE_QP };
	struct ibv_context *other;
	struct ibc_device *adopted;
	struct ibv_qp *theirs;

	(void)state;
	begin();
	other = fake_open("soft0");
	adopted = ibc_adopt_context(h_reg, other, 0);
	theirs = fake_make_qp(other, NULL);
	filter.qp = theirs;
	check_null(ibc_register_event_handler(dev, &filter, hear, &ear),
		   EINVAL); /* of another context */
	ear.handler = ibc_register_event_handler(adopted, &filter, hear, &ear);
	assert_non_null(ear.handler);
	event.element.qp = theirs;
	assert_int_equal(ibc_report_event(adopted, &event), 0);
	wait_for(heard(&ear) == 1);
	assert_int_equal(ear.num, theirs->qp_num);
	deaf(&ear);
	fake_destroy_qp(theirs);
	h2_remove(adopted);
	fake_close(other);
	end();
}

static void g15_while_draining_only_the_objects_handlers(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	begin();
	listen_qp(&ear, qp, 0);
	listen_to(&ear2,
		  (struct ibc_event_filter){ .scope = IBC_SCOPE_DEVICE });
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	ibc_remove_device(dev);
	wait_for(h2_is(dev, IBC_DEVICE_DRAINING));
	send(IBV_EVENT_QP_LAST_WQE_REACHED, (uintptr_t)qp);
	send(IBV_EVENT_QP_LAST_WQE_REACHED, (uintptr_t)qp2);
	send(IBV_EVENT_LID_CHANGE, 1);
	wait_for(heard(&ear) == 1);
	assert_int_equal(ear.type, IBV_EVENT_QP_LAST_WQE_REACHED);
	assert_int_equal(heard(&ear2), 0);
	assert_int_equal(h_count(&a, H_EVENT), 0);
	check_null(ibc_register_event_handler(
			   dev, &(struct ibc_event_filter){ .scope = 0 }, hear,
			   NULL),
		   ENODEV);
	fake_destroy_qp(qp);
	fake_destroy_qp(qp2);
	qp = qp2 = NULL;
	ibc_put_client_data(data);
	wait_for(h2_is(dev, IBC_DEVICE_GONE)); /* handlers do not hold it */
	deaf(&ear);
	deaf(&ear2);
	end();
}

/* ---- 16, 17 ---- */

static void g16_clients_first_then_handlers_in_order(void **state)
{
	struct ear third = {};

	(void)state;
	begin();
	listen_qp(&third, qp, 0);
	listen_to(&ear, (struct ibc_event_filter){ .scope = IBC_SCOPE_DEVICE });
	listen_to(&ear2,
		  (struct ibc_event_filter){ .scope = IBC_SCOPE_DEVICE });
	send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	assert_int_equal(h_count(&a, H_EVENT), 1);
	assert_true(ear.at < ear2.at);
	assert_true(ear2.at < third.at);
	deaf(&ear);
	deaf(&ear2);
	deaf(&third);
	end();
}

static void g17_port_state_is_replayed_once(void **state)
{
	struct ear third = {}, fourth = {};

	(void)state;
	begin();
	send(IBV_EVENT_PORT_ACTIVE, 2);
	send(IBV_EVENT_PORT_ERR, 2);
	listen_to(&ear, (struct ibc_event_filter){ .scope = IBC_SCOPE_PORT,
						   .port_num = 2 });
	listen_to(&ear2, (struct ibc_event_filter){ .scope = IBC_SCOPE_PORT,
						    .port_num = 1 });
	listen_to(&third,
		  (struct ibc_event_filter){ .scope = IBC_SCOPE_DEVICE,
					     .type_mask = BIT(PORT_ACTIVE) });
	listen_qp(&fourth, qp, 0);
	wait_for(heard(&ear) == 1);
	h_fence();
	assert_int_equal(ear.type, IBV_EVENT_PORT_ERR);
	assert_int_equal(ear.flags, IBC_EVENT_REPLAYED);
	assert_int_equal(ear.num, 2);
	assert_int_equal(heard(&ear2), 0);
	assert_int_equal(heard(&third), 0);
	assert_int_equal(heard(&fourth), 0);
	send(IBV_EVENT_PORT_ACTIVE, 2);
	assert_int_equal(heard(&ear), 2);
	assert_int_equal(ear.flags, 0);
	assert_int_equal(heard(&third), 1);
	deaf(&ear);
	deaf(&ear2);
	deaf(&third);
	deaf(&fourth);
	end();
}

static void g17_any_scope_may_ask_for_device_fatal(void **state)
{
	(void)state;
	begin();
	listen_qp(&ear, qp, BIT(DEVICE_FATAL));
	listen_qp(&ear2, qp, 0);
	fake_destroy_qp(qp2);
	qp2 = NULL;
	fake_context_event(context, IBV_EVENT_DEVICE_FATAL, 0);
	wait_for(h_count(&a, H_REMOVE) == 1);
	assert_int_equal(heard(&ear), 1);
	assert_int_equal(heard(&ear2), 0);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	deaf(&ear);
	deaf(&ear2);
	end();
}

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
	begin();
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
	send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	assert_int_equal(heard(&ear), 1);
	end();
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
	begin();
	ear.hook = unregister_other;
	ear.arg = &ear2;
	listen_qp(&ear, qp, 0);
	listen_qp(&ear2, qp, 0);
	listen_qp(&third, qp, 0);
	send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	assert_int_equal(ear.result, 0);
	assert_int_equal(heard(&ear2), 0);
	assert_int_equal(heard(&third), 1);
	deaf(&ear);
	deaf(&third);
	end();
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
	begin();
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
	end();
}

static void g18_close_is_ebusy(void **state)
{
	(void)state;
	begin();
	listen_to(&ear, (struct ibc_event_filter){ .scope = IBC_SCOPE_DEVICE });
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
	begin();
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
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g15_a_handler_of_the_device_hears_all),
		IN_ALL(g15_a_handler_of_a_port_hears_that_port),
		IN_ALL(g15_a_handler_of_an_object_hears_that_object),
		ON_FAKE(IN_ALL, g15_each_kind_of_object),
		IN_ALL(g15_a_wrong_filter_is_einval),
		IN_ALL(g15_a_handler_may_destroy_its_object),
		IN_ALL(g15_events_are_for_the_handlers_of_their_time),
		IN_ALL(g15_handlers_of_adopted_contexts),
		IN_ALL(g15_while_draining_only_the_objects_handlers),
		IN_ALL(g16_clients_first_then_handlers_in_order),
		IN_ALL(g17_port_state_is_replayed_once),
		ON_FAKE(IN_ALL, g17_any_scope_may_ask_for_device_fatal),
		IN_THREADS(g18_unregister_waits_while_it_runs),
		IN_ALL(g18_unregister_of_another_in_a_callback),
		IN_PARALLEL(g18_edeadlk_where_it_would_wait),
		IN_ALL(g18_close_is_ebusy),
		IN_ALL(g18_unregister_and_destroy_in_a_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
