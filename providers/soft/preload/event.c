// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Asynchronous events: records in the FIFO `async`, each read and written as a
 * whole. Those of an object carry its id.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "preload.h"

/* counts the event; NULL: it was destroyed meanwhile */
static void *find_object(struct soft_context *ctx, enum sv_kind kind,
			 uint64_t id)
{
	uint32_t slot = id % SV_MAX_OBJECTS;
	struct soft_object *object;
	void *ibv = NULL;

	pthread_mutex_lock(&ctx->lock);
	object = slot < ctx->events.num ? ctx->events.slots[slot] : NULL;
	if (object && object->id == id && object->kind == kind) {
		object->got++;
		ibv = object->ibv;
	}
	pthread_mutex_unlock(&ctx->lock);
	return ibv;
}

/* false: of an object that is gone */
static bool fill(struct soft_context *ctx, const struct sv_event *from,
		 struct ibv_async_event *event)
{
	enum sv_kind kind = sv_event_kind(from->type);
	void *object;

	event->event_type = from->type;
	if (kind == SV_NONE) {
		event->element.port_num = from->element;
		return true;
	}
	object = find_object(ctx, kind, from->element);
	event->element.qp = object; /* the members are all pointers */
	return object;
}

/* the kernel ends the queue of a device that is gone, once it is empty */
static bool is_over(struct soft_context *ctx)
{
	struct pollfd fd = { .fd = ctx->ibv.async_fd, .events = POLLIN };

	return soft_is_fatal(ctx) && poll(&fd, 1, 0) == 0;
}

static int read_event(struct soft_context *ctx, struct sv_event *event)
{
	ssize_t n;

	if (is_over(ctx))
		return EIO;
	n = read(ctx->ibv.async_fd, event, sizeof(*event));
	if (n < 0)
		return errno;
	return n == sizeof(*event) ? 0 : EIO;
}

int soft_get_async_event(struct ibv_context *context,
			 struct ibv_async_event *event)
{
	struct soft_context *ctx = to_context(context);
	int error = soft_take_fault(ctx->dir, "get_async_event");
	struct sv_event from;

	while (!error) {
		error = read_event(ctx, &from);
		if (!error && fill(ctx, &from, event))
			return 0;
	}
	errno = error;
	return -1;
}

struct ibv_context *soft_event_context(const struct ibv_async_event *event)
{
	switch (sv_event_kind(event->event_type)) {
	case SV_CQ:
		return event->element.cq->context;
	case SV_QP:
		return event->element.qp->context;
	case SV_SRQ:
		return event->element.srq->context;
	case SV_WQ:
		return event->element.wq->context;
	default:
		return NULL;
	}
}

static void ack(pthread_mutex_t *mutex, pthread_cond_t *cond, uint32_t *acked)
{
	pthread_mutex_lock(mutex);
	++*acked;
	pthread_cond_signal(cond);
	pthread_mutex_unlock(mutex);
}

void soft_ack_async_event(struct ibv_async_event *event)
{
	struct ibv_srq *srq = event->element.srq;
	struct ibv_cq *cq = event->element.cq;
	struct ibv_qp *qp = event->element.qp;
	struct ibv_wq *wq = event->element.wq;

	switch (sv_event_kind(event->event_type)) {
	case SV_CQ:
		ack(&cq->mutex, &cq->cond, &cq->async_events_completed);
		break;
	case SV_QP:
		ack(&qp->mutex, &qp->cond, &qp->events_completed);
		break;
	case SV_SRQ:
		ack(&srq->mutex, &srq->cond, &srq->events_completed);
		break;
	case SV_WQ:
		ack(&wq->mutex, &wq->cond, &wq->events_completed);
		break;
	default:
		break;
	}
}

/* by the way that others take: this end of the FIFO may block */
void soft_raise(struct soft_context *ctx, uint32_t type, uint64_t element)
{
	const struct sv_event event = { element, type, 0 };
	int contexts = sv_open_dir(ctx->dir, "contexts");
	struct sv_context self;

	if (contexts < 0)
		return;
	if (sv_context_open(&self, contexts, ctx->id)) {
		sv_context_send(&self, &event);
		sv_context_close(&self);
	}
	close(contexts);
}
