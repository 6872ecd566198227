// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantee 15: how events are read, acknowledged, reported and ordered. */
#include <fcntl.h>

#include "harness2.h"

static struct rec a, b;
static struct ibc_device *dev;
static struct ibv_context *context;

static void begin(void)
{
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	dev = h_device("soft0");
	context = ibc_device_context(dev);
}

static void end(void)
{
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* the nth event of a client */
static struct ibc_event event_of(struct rec *rec, unsigned int n)
{
	int at;

	wait_for((at = h_find(rec, H_EVENT, n)) >= 0);
	return h_record(at).event;
}

/* ---- one reader ---- */

static unsigned int readers, calls;

static void read_slowly(void *arg)
{
	(void)arg;
	check(__atomic_add_fetch(&readers, 1, __ATOMIC_SEQ_CST) == 1);
	sched_yield();
	__atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
	__atomic_sub_fetch(&readers, 1, __ATOMIC_SEQ_CST);
}

static void g15_one_reader_per_context(void **state)
{
	unsigned int i;

	(void)state;
	begin();
	assert_true(fcntl(context->async_fd, F_GETFL) & O_NONBLOCK);
	readers = calls = 0;
	fake_on(FAKE_EVENT, read_slowly, NULL);
	for (i = 0; i < 200; i++) {
		fake_context_event(context, IBV_EVENT_LID_CHANGE, 1);
		fake_context_event(context, IBV_EVENT_PKEY_CHANGE, 1);
	}
	wait_for(fake_acks() == 400);
	h_fence();
	fake_on(FAKE_EVENT, NULL, NULL);
	assert_true(__atomic_load_n(&calls, __ATOMIC_SEQ_CST) >= 400);
	end();
}

static struct gate reading;

static void read_at_the_gate(void *arg)
{
	(void)arg;
	gate_wait(&reading);
}

/* its job has done all that it can do by now */
static bool waits(void)
{
	bool is;

	ibc__lock(h_reg);
	is = dev->state >= IBC_DEVICE_DRAINING && !dev->job.queued &&
	     !dev->job.running;
	ibc__unlock(h_reg);
	return is;
}

static void g15_the_context_is_open_while_they_are_read(void **state)
{
	(void)state;
	gate_close(&reading);
	begin();
	fake_on(FAKE_EVENT, read_at_the_gate, NULL);
	fake_context_event(context, IBV_EVENT_LID_CHANGE, 1);
	wait_for(gate_entered(&reading) == 1);
	check(ibc_remove_device(dev) == 0);
	wait_for(waits());
	check(fake_context_is_open(context));
	gate_open(&reading);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	fake_on(FAKE_EVENT, NULL, NULL);
	end();
}

/* ---- copied, acknowledged, told: in this order ---- */

static struct ibv_qp qp;
static struct ibv_cq cq;
static struct ibv_srq srq;
static struct ibv_wq wq;
static int qp_mark, cq_mark, srq_mark, wq_mark;

static void make_objects(void)
{
	qp.qp_num = 0x1234;
	qp.qp_context = &qp_mark;
	cq.cq_context = &cq_mark;
	srq.handle = 0x55; /* the fake's number of it */
	srq.srq_context = &srq_mark;
	wq.wq_num = 0x77;
	wq.wq_context = &wq_mark;
}

/* once acknowledged, whoever destroys the object may go on */
static void destroyed(void *arg)
{
	(void)arg;
	memset(&qp, 0xee, sizeof(qp));
	memset(&cq, 0xee, sizeof(cq));
	memset(&srq, 0xee, sizeof(srq));
	memset(&wq, 0xee, sizeof(wq));
}

static void acknowledged(struct rec *rec, struct ibc_device *d,
			 struct ibc_client_data *data,
			 const struct ibc_event *event)
{
	(void)d;
	(void)data;
	(void)event;
	/* as many as were told, this one included; the next may be read now */
	check(fake_acks() >= h_count(rec, H_EVENT));
}

static void object_event(enum ibv_event_type type, void *object, uint32_t num,
			 void *element_context)
{
	static unsigned int nth;
	struct ibc_event event;

	nth = h_count(&a, H_EVENT);
	make_objects();
	fake_context_event(context, type, (uintptr_t)object);
	event = event_of(&a, nth);
	assert_int_equal(event.async.event_type, type);
	assert_ptr_equal(event.async.element.qp, object);
	assert_int_equal(event.element_num, num);
	assert_ptr_equal(event.element_context, element_context);
	assert_int_equal(event.count, 1);
	assert_int_equal(event.flags, 0);
}

static void g15_copied_then_acknowledged_then_told(void **state)
{
	(void)state;
	begin();
	a.on_event = acknowledged;
	fake_on(FAKE_ACK, destroyed, NULL);
	object_event(IBV_EVENT_QP_FATAL, &qp, 0x1234, &qp_mark);
	object_event(IBV_EVENT_QP_REQ_ERR, &qp, 0x1234, &qp_mark);
	object_event(IBV_EVENT_QP_ACCESS_ERR, &qp, 0x1234, &qp_mark);
	object_event(IBV_EVENT_COMM_EST, &qp, 0x1234, &qp_mark);
	object_event(IBV_EVENT_SQ_DRAINED, &qp, 0x1234, &qp_mark);
	object_event(IBV_EVENT_PATH_MIG, &qp, 0x1234, &qp_mark);
	object_event(IBV_EVENT_PATH_MIG_ERR, &qp, 0x1234, &qp_mark);
	object_event(IBV_EVENT_QP_LAST_WQE_REACHED, &qp, 0x1234, &qp_mark);
	object_event(IBV_EVENT_CQ_ERR, &cq, 0, &cq_mark);
	object_event(IBV_EVENT_SRQ_ERR, &srq, 0x55, &srq_mark);
	object_event(IBV_EVENT_SRQ_LIMIT_REACHED, &srq, 0x55, &srq_mark);
	object_event(IBV_EVENT_WQ_FATAL, &wq, 0x77, &wq_mark);
	assert_int_equal(fake_acks(), 12);
	end();
}

static void g15_ports_are_told_by_number(void **state)
{
	static const enum ibv_event_type types[] = {
		IBV_EVENT_PORT_ACTIVE, IBV_EVENT_PORT_ERR,
		IBV_EVENT_LID_CHANGE,  IBV_EVENT_PKEY_CHANGE,
		IBV_EVENT_SM_CHANGE,   IBV_EVENT_CLIENT_REREGISTER,
		IBV_EVENT_GID_CHANGE,
	};
	struct ibc_event event;
	unsigned int i;

	(void)state;
	begin();
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		fake_context_event(context, types[i], i + 1);
		event = event_of(&a, i);
		assert_int_equal(event.async.event_type, types[i]);
		assert_int_equal(event.async.element.port_num, i + 1);
		assert_int_equal(event.element_num, i + 1);
		assert_null(event.element_context);
	}
	end();
}

/* what a newer kernel sends is passed on to those who want every type */
static void g15_unknown_types_are_passed_on(void **state)
{
	(void)state;
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_init(&b, "b", 0);
	b.client.event_mask = ~0ULL;
	rec_register(&a);
	rec_register(&b);
	fake_event("soft0", 50, 1);
	fake_event("soft0", 70, 1);
	fake_event("soft0", IBV_EVENT_PORT_ERR, 1);
	wait_for(h_count(&b, H_EVENT) == 2); /* a mask ends at 63 */
	assert_int_equal(h_count(&a, H_EVENT), 3);
	assert_int_equal(event_of(&a, 1).async.event_type, 70);
	rec_unregister(&b);
	rec_unregister(&a);
}

static void g15_every_client_hears_what_its_mask_says(void **state)
{
	(void)state;
	begin();
	rec_init(&b, "b", 0);
	b.client.event_mask =
		1ULL << IBV_EVENT_LID_CHANGE | 1ULL << IBV_EVENT_SM_CHANGE;
	rec_register(&b);
	fake_context_event(context, IBV_EVENT_PORT_ERR, 1);
	fake_context_event(context, IBV_EVENT_LID_CHANGE, 1);
	fake_context_event(context, IBV_EVENT_SM_CHANGE, 1);
	wait_for(h_count(NULL, H_EVENT) == 5);
	assert_int_equal(h_count(&a, H_EVENT), 3);
	assert_int_equal(event_of(&b, 0).async.event_type,
			 IBV_EVENT_LID_CHANGE);
	assert_int_equal(event_of(&b, 1).async.event_type, IBV_EVENT_SM_CHANGE);
	rec_unregister(&b);
	end();
}

/* ---- reported events ---- */

static void g15_reporting_serves_any_device(void **state)
{
	struct ibv_async_event event = { .event_type = IBV_EVENT_PORT_ERR };
	struct ibc_device *adopted;
	struct ibv_context *other;

	(void)state;
	begin();
	other = fake_open("soft0");
	adopted = ibc_adopt_context(h_reg, other, 0);
	event.element.port_num = 3;
	assert_int_equal(ibc_report_event(adopted, &event), 0);
	assert_int_equal(event_of(&a, 0).element_num, 3);
	assert_int_equal(ibc_report_event(dev, &event), 0);
	assert_int_equal(event_of(&a, 1).element_num, 3);
	assert_int_equal(fake_acks(), 0); /* that is the reporter's to do */
	assert_int_equal(h2_stats(h_reg).events_read, 2);
	h2_remove(adopted);
	fake_close(other);
	end();
}

/* a client that is busy does not keep the reporter waiting */
static void g15_reporting_only_queues(void **state)
{
	struct ibv_async_event event = { .event_type = IBV_EVENT_QP_FATAL };
	struct gate gate = {};
	pthread_t self = pthread_self();
	unsigned int i;

	(void)state;
	begin();
	if (h_mode != H_MANUAL)
		a.gate[H_EVENT] = &gate;
	make_objects();
	event.element.qp = &qp;
	for (i = 0; i < 3; i++) {
		assert_int_equal(ibc_report_event(dev, &event), 0);
		if (h_mode == H_MANUAL)
			assert_int_equal(h_count(&a, H_EVENT), 0);
		else
			wait_for(gate_entered(&gate) == 1);
	}
	destroyed(NULL); /* acknowledged and destroyed by the reporter */
	gate_open(&gate);
	assert_int_equal(event_of(&a, 0).element_num, 0x1234);
	assert_ptr_equal(event_of(&a, 0).element_context, &qp_mark);
	if (h_mode != H_MANUAL)
		assert_false(pthread_equal(
			h_record(h_find(&a, H_EVENT, 0)).thread, self));
	end();
}

static void g15_reporting_is_enodev_when_it_goes(void **state)
{
	struct ibv_async_event port = { .event_type = IBV_EVENT_PORT_ERR };
	struct ibv_async_event object = { .event_type = IBV_EVENT_QP_FATAL };
	struct ibv_async_event fatal = { .event_type = IBV_EVENT_DEVICE_FATAL };
	struct ibc_client_data *data;

	(void)state;
	begin();
	make_objects();
	port.element.port_num = 1;
	object.element.qp = &qp;
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	ibc_remove_device(dev);
	assert_int_equal(ibc_report_event(dev, &port), ENODEV);
	assert_int_equal(ibc_report_event(dev, &fatal), ENODEV);
	assert_int_equal(ibc_report_event(dev, &object), 0);
	wait_for(h2_is(dev, IBC_DEVICE_DRAINING));
	assert_int_equal(ibc_report_event(dev, &port), ENODEV);
	assert_int_equal(ibc_report_event(dev, &fatal), ENODEV);
	assert_int_equal(ibc_report_event(dev, &object), 0);
	ibc_put_client_data(data);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	assert_int_equal(ibc_report_event(dev, &object), ENODEV);
	assert_int_equal(ibc_report_event(dev, &port), ENODEV);
	h_fence();
	assert_int_equal(h_count(&a, H_EVENT), 0); /* handlers' only */
	end();
}

static void g15_garbage_is_not_reported(void **state)
{
	struct ibv_async_event event = { .event_type = 77 };

	(void)state;
	begin();
	assert_int_equal(ibc_report_event(dev, &event), EINVAL);
	event.event_type = IBV_EVENT_QP_FATAL; /* of no QP */
	assert_int_equal(ibc_report_event(dev, &event), EINVAL);
	h_fence();
	assert_int_equal(h_count(&a, H_EVENT), 0);
	end();
}

/* ---- before the removal, and after it began ---- */

static void g15_events_before_the_removal_come_before_remove(void **state)
{
	struct gate gate = {};

	(void)state;
	begin();
	if (h_mode != H_MANUAL)
		a.gate[H_EVENT] = &gate;
	fake_context_event(context, IBV_EVENT_PORT_ERR, 1);
	fake_context_event(context, IBV_EVENT_PORT_ERR, 2);
	fake_context_event(context, IBV_EVENT_PORT_ERR, 3);
	if (h_mode == H_MANUAL) /* reads all, tells none yet */
		while (fake_acks() < 3) {
			ibc__lock(h_reg);
			ibc__events_read(dev, 0);
			ibc__unlock(h_reg);
		}
	/* queued, too, which comes after the acknowledgement */
	wait_for(h2_stats(h_reg).events_read == 3);
	ibc_remove_device(dev);
	gate_open(&gate);
	wait_for(h_count(&a, H_GONE) == 1);
	assert_int_equal(h_count(&a, H_EVENT), 3);
	assert_true(h_find(&a, H_EVENT, 2) < h_find(&a, H_REMOVE, 0));
	end();
}

/* each client hears all of them before its remove(), not some before another */
static void g15_all_clients_hear_them_before_the_first_remove(void **state)
{
	(void)state;
	begin();
	rec_init(&b, "b", 0);
	rec_register(&b);
	fake_context_event(context, IBV_EVENT_PORT_ERR, 1);
	fake_context_event(context, IBV_EVENT_DEVICE_FATAL, 0);
	wait_for(h_count(NULL, H_REMOVE) == 2);
	assert_int_equal(h_count_of(&a, H_EVENT, ibc_device_incarnation(dev)),
			 2);
	assert_int_equal(h_count_of(&b, H_EVENT, ibc_device_incarnation(dev)),
			 2);
	assert_true(h_find(NULL, H_EVENT, 3) < h_find(NULL, H_REMOVE, 0));
	rec_unregister(&b);
	end();
}

/* they are read and acknowledged: who destroys an object waits for that */
static void g15_events_while_draining_are_acknowledged(void **state)
{
	struct ibc_client_data *data;
	struct ibv_qp *last;

	(void)state;
	begin();
	last = fake_make_qp(context, NULL);
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	ibc_remove_device(dev);
	wait_for(h2_is(dev, IBC_DEVICE_DRAINING));
	fake_context_event(context, IBV_EVENT_QP_LAST_WQE_REACHED,
			   (uintptr_t)last);
	fake_context_event(context, IBV_EVENT_PORT_ERR, 1);
	wait_for(fake_acks() == 2);
	h_fence();
	assert_int_equal(h_count(&a, H_EVENT), 0);
	fake_destroy_qp(last);
	ibc_put_client_data(data);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	end();
}

static void borrowed(struct rec *rec, struct ibc_device *d,
		     struct ibc_client_data *data,
		     const struct ibc_event *event)
{
	(void)event;
	check(data);
	/* withdrawn while it is borrowed: it stays until we return */
	check(ibc_set_client_data(d, &rec->client, NULL) == 0);
	check(rec_live(rec) == 1);
	check(data->device == d);
}

static void g15_data_is_borrowed_for_the_callback(void **state)
{
	(void)state;
	begin();
	fake_context_event(context, IBV_EVENT_PORT_ERR, 1);
	event_of(&a, 0);
	assert_null(h_record(h_find(&a, H_EVENT, 0)).data); /* none yet */
	h_fence();
	a.on_event = borrowed;
	ibc_put_client_data(ibc_alloc_or_get_client_data(dev, &a.client));
	fake_context_event(context, IBV_EVENT_PORT_ERR, 1);
	event_of(&a, 1);
	wait_for(rec_live(&a) == 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g15_one_reader_per_context),
		IN_PARALLEL(g15_the_context_is_open_while_they_are_read),
		ON_FAKE(IN_ALL, g15_copied_then_acknowledged_then_told),
		IN_ALL(g15_ports_are_told_by_number),
		IN_ALL(g15_unknown_types_are_passed_on),
		IN_ALL(g15_every_client_hears_what_its_mask_says),
		IN_ALL(g15_reporting_serves_any_device),
		IN_ALL(g15_reporting_only_queues),
		IN_ALL(g15_reporting_is_enodev_when_it_goes),
		IN_ALL(g15_garbage_is_not_reported),
		IN_HELD(g15_events_before_the_removal_come_before_remove),
		IN_ALL(g15_all_clients_hear_them_before_the_first_remove),
		IN_ALL(g15_events_while_draining_are_acknowledged),
		IN_ALL(g15_data_is_borrowed_for_the_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
