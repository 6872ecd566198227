// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantees 15 and 18 for handlers of real objects, so only on softverbs: each
 * hears of its own, and whoever destroys an object, in its handler or after that
 * was unregistered, neither waits for ever nor meets what is freed.
 */
#include <infiniband/softverbs.h>

#include "ear.h"

static struct ibv_pd *pd;
static struct ibv_cq *cq;
static struct ibv_srq *srq;
static struct ibv_wq *wq;
static int qp_mark, cq_mark, srq_mark, wq_mark;

/* the QP of ear_begin() is not on the SRQ */
static struct ibv_qp *make_qp(void)
{
	struct ibv_qp_init_attr init = { .qp_type = IBV_QPT_RC };
	struct ibv_qp *made;

	init.qp_context = &qp_mark;
	init.send_cq = init.recv_cq = cq;
	init.srq = srq;
	made = ibv_create_qp(pd, &init);
	check(made);
	return made;
}

static void begin(void)
{
	struct ibv_srq_init_attr srq_init = { .srq_context = &srq_mark,
					      .attr = { .max_wr = 1 } };
	struct ibv_wq_init_attr wq_init = { .wq_context = &wq_mark,
					    .max_wr = 1 };

	ear_begin();
	pd = ibv_alloc_pd(context);
	check(pd);
	cq = ibv_create_cq(context, 1, &cq_mark, NULL, 0);
	check(cq);
	srq = ibv_create_srq(pd, &srq_init);
	check(srq);
	wq_init.pd = pd;
	wq_init.cq = cq;
	wq = ibv_create_wq(context, &wq_init);
	check(wq);
}

static void end(void)
{
	check(!wq || ibv_destroy_wq(wq) == 0);
	check(!srq || ibv_destroy_srq(srq) == 0);
	check(!cq || ibv_destroy_cq(cq) == 0);
	check(ibv_dealloc_pd(pd) == 0);
	ear_end();
}

/* ---- each hears of its own ---- */

struct object_ear {
	struct ear ear;
	struct ibc_event_filter filter;
	enum ibv_event_type type;
	void *context;
	struct ibc_event event;
};

static void keep(struct ear *e, struct ibc_device *d,
		 const struct ibc_event *event)
{
	struct object_ear *o = (struct object_ear *)e;

	(void)d;
	o->event = *event;
}

static void g15_each_real_object_has_its_handler(void **state)
{
	struct ibv_qp *own;
	int i, j;

	(void)state;
	begin();
	own = make_qp();
	struct object_ear ears[] = {
		{ .filter = { .scope = IBC_SCOPE_QP, .qp = own },
		  .type = IBV_EVENT_QP_FATAL,
		  .context = &qp_mark },
		{ .filter = { .scope = IBC_SCOPE_CQ, .cq = cq },
		  .type = IBV_EVENT_CQ_ERR,
		  .context = &cq_mark },
		{ .filter = { .scope = IBC_SCOPE_SRQ, .srq = srq },
		  .type = IBV_EVENT_SRQ_LIMIT_REACHED,
		  .context = &srq_mark },
		{ .filter = { .scope = IBC_SCOPE_WQ, .wq = wq },
		  .type = IBV_EVENT_WQ_FATAL,
		  .context = &wq_mark },
	};
	for (i = 0; i < 4; i++) {
		ears[i].ear.hook = keep;
		listen_to(&ears[i].ear, ears[i].filter);
	}
	for (i = 0; i < 4; i++) {
		ear_send(ears[i].type, (uintptr_t)ears[i].filter.qp);
		for (j = 0; j < 4; j++)
			assert_int_equal(heard(&ears[j].ear), j <= i);
		assert_int_equal(ears[i].event.async.event_type, ears[i].type);
		assert_ptr_equal(ears[i].event.element_context,
				 ears[i].context);
	}
	assert_int_equal(ears[0].event.element_num, own->qp_num);
	assert_int_equal(ears[3].event.element_num, wq->wq_num);
	for (i = 0; i < 4; i++)
		deaf(&ears[i].ear);
	check(ibv_destroy_qp(own) == 0);
	end();
}

/* ---- destroyed in its own handler ---- */

static void destroy_own(struct ear *e, struct ibc_device *d,
			const struct ibc_event *event)
{
	const struct ibv_async_event *async = &event->async;

	(void)d;
	switch (async->event_type) {
	case IBV_EVENT_QP_FATAL:
		check(ibv_destroy_qp(async->element.qp) == 0);
		break;
	case IBV_EVENT_WQ_FATAL:
		check(ibv_destroy_wq(async->element.wq) == 0);
		wq = NULL;
		break;
	case IBV_EVENT_SRQ_ERR:
		check(ibv_destroy_srq(async->element.srq) == 0);
		srq = NULL;
		break;
	default:
		check(ibv_destroy_cq(async->element.cq) == 0);
		cq = NULL;
	}
	e->result = ibc_unregister_event_handler(e->handler);
}

/* more of its events wait, some of them read: nobody hears of those */
static void destroyed_in_handler(struct ibc_event_filter filter,
				 enum ibv_event_type type)
{
	struct gate gate = {};
	int i;

	memset(&ear, 0, sizeof(ear));
	ear.hook = destroy_own;
	ear.gate = h_mode == H_MANUAL ? NULL : &gate;
	ear.result = -1;
	listen_to(&ear, filter);
	for (i = 0; i < 3; i++)
		fake_context_event(context, type, (uintptr_t)filter.qp);
	if (ear.gate)
		wait_for(gate_entered(&gate) == 1);
	gate_open(&gate);
	wait_for(heard(&ear) == 1);
	h_fence();
	assert_int_equal(heard(&ear), 1);
	assert_int_equal(ear.result, 0);
}

static void g15_a_real_object_may_be_destroyed_in_its_handler(void **state)
{
	(void)state;
	begin();
	destroyed_in_handler((struct ibc_event_filter){ .scope = IBC_SCOPE_QP,
							.qp = make_qp() },
			     IBV_EVENT_QP_FATAL);
	destroyed_in_handler((struct ibc_event_filter){ .scope = IBC_SCOPE_WQ,
							.wq = wq },
			     IBV_EVENT_WQ_FATAL);
	destroyed_in_handler((struct ibc_event_filter){ .scope = IBC_SCOPE_SRQ,
							.srq = srq },
			     IBV_EVENT_SRQ_ERR);
	destroyed_in_handler((struct ibc_event_filter){ .scope = IBC_SCOPE_CQ,
							.cq = cq },
			     IBV_EVENT_CQ_ERR);
	end();
}

/* ---- destroyed by another thread that has unregistered the handler ---- */

static uint32_t target; /* the QP that the storm is about, 0: over */

/* as the hardware would: beside everything else, while the QP exists */
static void storm_of_qp(struct worker *w)
{
	struct softverbs *sv = softverbs_open(NULL);
	char spec[64];
	uint32_t num;

	(void)w;
	check(sv);
	while ((num = __atomic_load_n(&target, __ATOMIC_SEQ_CST))) {
		snprintf(spec, sizeof(spec), "QP_FATAL --qp %u --count 5", num);
		/* ENOENT: it has been destroyed */
		softverbs_send_event(sv, "soft0", spec);
	}
	softverbs_close(sv);
}

static void come_and_go(struct worker *w)
{
	struct ibc_event_filter filter = { .scope = IBC_SCOPE_QP };
	struct ibc_event_handler *handler;
	struct ear *own;
	unsigned int i, n;

	(void)w;
	for (i = 0; i < 60; i++) {
		own = calloc(1, sizeof(*own));
		check(own);
		filter.qp = make_qp();
		handler = ibc_register_event_handler(dev, &filter, hear, own);
		check(handler);
		__atomic_store_n(&target, filter.qp->qp_num, __ATOMIC_SEQ_CST);
		for (n = 0; n < 20 && !heard(own); n++)
			sched_yield();
		check(ibc_unregister_event_handler(handler) == 0);
		check(ibv_destroy_qp(filter.qp) == 0);
		memset(own, 0xa5, sizeof(*own));
		free(own);
	}
}

static void g18_unregistered_then_destroyed_in_a_storm(void **state)
{
	struct worker storm = {}, w = {};

	(void)state;
	begin();
	target = qp->qp_num;
	worker_start(&storm, storm_of_qp);
	worker_start(&w, come_and_go);
	wait_for(worker_finished(&w));
	worker_join(&w);
	__atomic_store_n(&target, 0, __ATOMIC_SEQ_CST);
	worker_join(&storm);
	h_fence();
	end();
}

/* ---- and in the storm's own handler, which the other thread waits for ---- */

static void destroy_if_asked(struct ear *e, struct ibc_device *d,
			     const struct ibc_event *event)
{
	(void)d;
	check(ibc_unregister_event_handler(e->handler) == 0);
	check(ibv_destroy_qp(event->async.element.qp) == 0);
	__atomic_store_n(&e->result, 1, __ATOMIC_SEQ_CST);
	h_changed();
}

static void g15_destroyed_in_its_handler_in_a_storm(void **state)
{
	struct worker storm = {};
	struct ibv_qp *own;
	struct gate gate;
	unsigned int i;

	(void)state;
	begin();
	target = qp->qp_num;
	worker_start(&storm, storm_of_qp);
	for (i = 0; i < 40; i++) {
		own = make_qp();
		memset(&gate, 0, sizeof(gate));
		memset(&ear, 0, sizeof(ear));
		ear.gate = &gate; /* until ->handler is known */
		ear.hook = destroy_if_asked;
		listen_qp(&ear, own, BIT(QP_FATAL));
		gate_open(&gate);
		__atomic_store_n(&target, own->qp_num, __ATOMIC_SEQ_CST);
		wait_for(__atomic_load_n(&ear.result, __ATOMIC_SEQ_CST));
		assert_int_equal(heard(&ear), 1);
	}
	__atomic_store_n(&target, 0, __ATOMIC_SEQ_CST);
	worker_join(&storm);
	h_fence();
	end();
}

/* ---- a context of somebody else's, whose events the library reads ---- */

static void g15_handlers_of_an_adopted_context_that_is_read(void **state)
{
	struct ibc_event_filter filter = { .scope = IBC_SCOPE_QP };
	struct ibv_context *theirs;
	struct ibc_device *adopted;
	struct ibv_qp *their_qp;

	(void)state;
	begin();
	theirs = fake_open("soft0");
	adopted = ibc_adopt_context(h_reg, theirs, IBC_ADOPT_READ_EVENTS);
	assert_non_null(adopted);
	their_qp = fake_make_qp(theirs, &qp_mark);
	filter.qp = their_qp;
	ear.handler = ibc_register_event_handler(adopted, &filter, hear, &ear);
	assert_non_null(ear.handler);
	listen_device(&ear2, 0); /* of the registry's own context */
	fake_context_event(theirs, IBV_EVENT_QP_FATAL, (uintptr_t)their_qp);
	wait_for(heard(&ear) == 1);
	h_fence();
	assert_int_equal(ear.num, their_qp->qp_num);
	assert_int_equal(heard(&ear2), 0);
	deaf(&ear);
	deaf(&ear2);
	fake_destroy_qp(their_qp);
	h2_remove(adopted);
	fake_close(theirs);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g15_each_real_object_has_its_handler),
		IN_ALL(g15_a_real_object_may_be_destroyed_in_its_handler),
		IN_ALL(g18_unregistered_then_destroyed_in_a_storm),
		IN_ALL(g15_destroyed_in_its_handler_in_a_storm),
		IN_ALL(g15_handlers_of_an_adopted_context_that_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
