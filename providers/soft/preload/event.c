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
	object = soft_table_get(&ctx->events, slot);
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

static bool is_empty(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 0;
}

/* its queue was too full for the event, and now is empty */
static bool must_tell(struct soft_context *ctx)
{
	return soft_told(ctx) == SV_TELL_YOURSELF &&
	       !atomic_exchange(&ctx->has_ended, true);
}

static int read_event(struct soft_context *ctx, struct sv_event *event)
{
	ssize_t n;

	/* one that is being told this moment waits for that */
	if (soft_is_fatal(ctx) && soft_told(ctx) != SV_NOT_TOLD &&
	    is_empty(ctx->ibv.async_fd)) {
		*event = (struct sv_event){ .type = IBV_EVENT_DEVICE_FATAL };
		return must_tell(ctx) ? 0 : EIO;
	}
	n = read(ctx->ibv.async_fd, event, sizeof(*event));
	if (n < 0)
		return errno;
	if (n != sizeof(*event))
		return EIO;
	if (event->type != SV_EVENT_END)
		return 0;
	/* for the next reader; there is room, since nothing else comes now */
	n = write(ctx->ibv.async_fd, event, sizeof(*event));
	return EIO;
}

int soft_get_async_event(struct ibv_context *context,
			 struct ibv_async_event *event)
{
	struct soft_context *ctx = to_context(context);
	int saved = errno, error = soft_take_fault(ctx, "get_async_event");
	struct sv_event from;

	while (!error) {
		error = read_event(ctx, &from);
		if (!error && fill(ctx, &from, event)) {
			errno = saved;
			return 0;
		}
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
	struct soft_wq *wq = (struct soft_wq *)event->element.wq;

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
		ack(&wq->mutex, &wq->cond, &wq->acked);
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
