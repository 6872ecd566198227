// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantee 15 with real objects, so only on softverbs: what is told of them,
 * and that whoever destroys one never waits for an event that is told just then.
 */
#include "harness2.h"

static struct rec a;
static struct ibc_device *dev;
static struct ibv_context *context;

static struct {
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_srq *srq;
	struct ibv_wq *wq;
	struct ibv_qp *qp;
	int cq_mark, srq_mark, wq_mark, qp_mark;
} o;

static void make_objects(void)
{
	struct ibv_srq_init_attr srq = { .srq_context = &o.srq_mark,
					 .attr = { .max_wr = 1 } };
	struct ibv_wq_init_attr wq = { .wq_context = &o.wq_mark, .max_wr = 1 };
	struct ibv_qp_init_attr qp = { .qp_context = &o.qp_mark,
				       .qp_type = IBV_QPT_RC };

	o.pd = ibv_alloc_pd(context);
	check(o.pd);
	o.cq = ibv_create_cq(context, 1, &o.cq_mark, NULL, 0);
	check(o.cq);
	o.srq = ibv_create_srq(o.pd, &srq);
	check(o.srq);
	wq.pd = o.pd;
	wq.cq = o.cq;
	o.wq = ibv_create_wq(context, &wq);
	check(o.wq);
	qp.send_cq = qp.recv_cq = o.cq;
	qp.srq = o.srq;
	o.qp = ibv_create_qp(o.pd, &qp);
	check(o.qp);
}

static void destroy_objects(void)
{
	check(!o.qp || ibv_destroy_qp(o.qp) == 0);
	check(!o.wq || ibv_destroy_wq(o.wq) == 0);
	check(!o.srq || ibv_destroy_srq(o.srq) == 0);
	check(!o.cq || ibv_destroy_cq(o.cq) == 0);
	check(ibv_dealloc_pd(o.pd) == 0);
	memset(&o, 0, sizeof(o));
}

static void begin(void)
{
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	dev = h_device("soft0");
	context = ibc_device_context(dev);
	make_objects();
}

static void end(void)
{
	destroy_objects();
	ibc_put_device(dev);
	rec_unregister(&a);
}

static void expect(enum ibv_event_type type, void *object, uint32_t num,
		   void *object_context)
{
	unsigned int nth = h_count(&a, H_EVENT);
	struct ibc_event event;
	int at;

	fake_context_event(context, type, (uintptr_t)object);
	wait_for((at = h_find(&a, H_EVENT, nth)) >= 0);
	event = h_record(at).event;
	assert_int_equal(event.async.event_type, type);
	assert_ptr_equal(event.async.element.qp, object);
	assert_int_equal(event.element_num, num);
	assert_ptr_equal(event.element_context, object_context);
	assert_int_equal(event.count, 1);
	assert_int_equal(event.flags, 0);
}

static void g15_real_objects_are_told_by_number_and_context(void **state)
{
	uint32_t srq_num;

	(void)state;
	begin();
	check(ibv_get_srq_num(o.srq, &srq_num) == 0);
	expect(IBV_EVENT_QP_FATAL, o.qp, o.qp->qp_num, &o.qp_mark);
	expect(IBV_EVENT_QP_REQ_ERR, o.qp, o.qp->qp_num, &o.qp_mark);
	expect(IBV_EVENT_QP_ACCESS_ERR, o.qp, o.qp->qp_num, &o.qp_mark);
	expect(IBV_EVENT_COMM_EST, o.qp, o.qp->qp_num, &o.qp_mark);
	expect(IBV_EVENT_SQ_DRAINED, o.qp, o.qp->qp_num, &o.qp_mark);
	expect(IBV_EVENT_PATH_MIG, o.qp, o.qp->qp_num, &o.qp_mark);
	expect(IBV_EVENT_PATH_MIG_ERR, o.qp, o.qp->qp_num, &o.qp_mark);
	expect(IBV_EVENT_QP_LAST_WQE_REACHED, o.qp, o.qp->qp_num, &o.qp_mark);
	expect(IBV_EVENT_CQ_ERR, o.cq, 0, &o.cq_mark);
	expect(IBV_EVENT_SRQ_ERR, o.srq, srq_num, &o.srq_mark);
	expect(IBV_EVENT_SRQ_LIMIT_REACHED, o.srq, srq_num, &o.srq_mark);
	expect(IBV_EVENT_WQ_FATAL, o.wq, o.wq->wq_num, &o.wq_mark);
	assert_int_equal(fake_acks(), 12);
	end();
}

/* libibverbs lets nobody destroy what has an event that is not acknowledged */
static void destroy_it(struct rec *rec, struct ibc_device *d,
		       struct ibc_client_data *data,
		       const struct ibc_event *event)
{
	(void)rec;
	(void)d;
	(void)data;
	switch (event->async.event_type) {
	case IBV_EVENT_QP_FATAL:
		check(ibv_destroy_qp(event->async.element.qp) == 0);
		o.qp = NULL;
		break;
	case IBV_EVENT_WQ_FATAL:
		check(ibv_destroy_wq(event->async.element.wq) == 0);
		o.wq = NULL;
		break;
	case IBV_EVENT_SRQ_ERR:
		check(ibv_destroy_srq(event->async.element.srq) == 0);
		o.srq = NULL;
		break;
	case IBV_EVENT_CQ_ERR:
		check(ibv_destroy_cq(event->async.element.cq) == 0);
		o.cq = NULL;
		break;
	default:
		break;
	}
	h_changed();
}

static void destroyed_by(enum ibv_event_type type, void *object)
{
	unsigned int n = h_count(&a, H_EVENT);

	fake_context_event(context, type, (uintptr_t)object);
	wait_for(h_count(&a, H_EVENT) == n + 1);
	h_fence();
}

static void g15_an_object_may_be_destroyed_in_its_event(void **state)
{
	(void)state;
	begin();
	a.on_event = destroy_it;
	destroyed_by(IBV_EVENT_QP_FATAL, o.qp);
	assert_null(o.qp);
	destroyed_by(IBV_EVENT_WQ_FATAL, o.wq);
	assert_null(o.wq);
	destroyed_by(IBV_EVENT_SRQ_ERR, o.srq);
	assert_null(o.srq);
	destroyed_by(IBV_EVENT_CQ_ERR, o.cq);
	assert_null(o.cq);
	end();
}

static void destroy_all(struct rec *rec, struct ibc_device *d,
			struct ibc_client_data *data)
{
	struct ibv_device_attr attr;

	(void)rec;
	(void)data;
	check(ibc_device_context(d) == context);
	check(ibv_query_device(context, &attr) == *(int *)rec->arg);
	destroy_objects();
}

/* the context is there in remove(), dead or alive; destroying never fails */
static void removed(enum fake_removal how, int error)
{
	begin();
	a.on_remove = destroy_all;
	a.arg = &error;
	fake_remove("soft0", how);
	wait_for(h_count(&a, H_GONE) == 1);
	check(h_before(&a, H_REMOVE, &a, H_GONE));
	ibc_put_device(dev);
	rec_unregister(&a);
}

static void g01_objects_are_destroyed_in_remove_wait(void **state)
{
	(void)state;
	removed(FAKE_WAIT, 0);
}

static void g01_objects_are_destroyed_in_remove_fatal(void **state)
{
	(void)state;
	removed(FAKE_FATAL, EIO);
}

/* the hardware's events of a device that drains are read and acknowledged */
static void g15_objects_are_destroyed_while_it_drains(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	begin();
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	fake_remove("soft0", FAKE_WAIT);
	wait_for(h2_is(dev, IBC_DEVICE_DRAINING));
	fake_context_event(context, IBV_EVENT_QP_LAST_WQE_REACHED,
			   (uintptr_t)o.qp);
	fake_context_event(context, IBV_EVENT_CQ_ERR, (uintptr_t)o.cq);
	wait_for(fake_acks() == 2);
	destroy_objects();
	ibc_put_client_data(data);
	wait_for(h_count(&a, H_GONE) == 1);
	ibc_put_device(dev);
	rec_unregister(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g15_real_objects_are_told_by_number_and_context),
		IN_ALL(g15_an_object_may_be_destroyed_in_its_event),
		IN_ALL(g01_objects_are_destroyed_in_remove_wait),
		IN_ALL(g01_objects_are_destroyed_in_remove_fatal),
		IN_ALL(g15_objects_are_destroyed_while_it_drains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
