// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See ear.h. */
#include "ear.h"

struct rec a;
struct ibc_device *dev;
struct ibv_context *context;
struct ibv_qp *qp, *qp2;
struct ear ear, ear2;
static unsigned int order;

unsigned int heard(struct ear *e)
{
	return __atomic_load_n(&e->heard, __ATOMIC_SEQ_CST);
}

void hear(struct ibc_device *d, const struct ibc_event *event, void *arg)
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

void ear_begin(void)
{
	memset(&ear, 0, sizeof(ear));
	memset(&ear2, 0, sizeof(ear2));
	order = 0;
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	dev = h_device("soft0");
	context = ibc_device_context(dev);
	qp = fake_make_qp(context, &qp);
	qp2 = fake_make_qp(context, &qp2);
}

void ear_end(void)
{
	if (qp)
		fake_destroy_qp(qp);
	if (qp2)
		fake_destroy_qp(qp2);
	ibc_put_device(dev);
	rec_unregister(&a);
}

void listen_to(struct ear *e, struct ibc_event_filter filter)
{
	e->handler = ibc_register_event_handler(dev, &filter, hear, e);
	check(e->handler);
}

void listen_qp(struct ear *e, struct ibv_qp *of, uint64_t mask)
{
	listen_to(e, (struct ibc_event_filter){ .scope = IBC_SCOPE_QP,
						.qp = of,
						.type_mask = mask });
}

void listen_device(struct ear *e, uint64_t mask)
{
	listen_to(e, (struct ibc_event_filter){ .scope = IBC_SCOPE_DEVICE,
						.type_mask = mask });
}

void deaf(struct ear *e)
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

void ear_send(enum ibv_event_type type, uintptr_t element)
{
	unsigned int n = fake_acks();

	fake_context_event(context, type, element);
	wait_for(fake_acks() == n + 1);
	wait_for(is_read());
	h_fence();
}
