// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Async events, first half: reading, resolving, acknowledging, queueing.
 *
 * The leader of the loop reads, one reader per context at a time (->reading,
 * and EPOLLONESHOT), without reg->lock. While an event is unacknowledged its
 * object cannot be destroyed: so number and context pointer are copied first,
 * then it is acknowledged, and only then anybody hears of it.
 *
 * The queue merges equal events, by looking at the newest pending one of the
 * same element: an older one of the same type with a different one in between
 * is left alone, so the last one told is the last that happened.
 */
#include <fcntl.h>
#include <sys/epoll.h>

#include "private.h"

/* IBV_EVENT_DEVICE_SPEED_CHANGE: no header before rdma-core 62 has it */
#define DEVICE_SPEED_CHANGE 20

enum ibc__element ibc__event_element(int type)
{
	switch (type) {
	case IBV_EVENT_CQ_ERR:
		return IBC_ELEMENT_CQ;
	case IBV_EVENT_QP_FATAL:
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
	case IBV_EVENT_COMM_EST:
	case IBV_EVENT_SQ_DRAINED:
	case IBV_EVENT_PATH_MIG:
	case IBV_EVENT_PATH_MIG_ERR:
	case IBV_EVENT_QP_LAST_WQE_REACHED:
		return IBC_ELEMENT_QP;
	case IBV_EVENT_SRQ_ERR:
	case IBV_EVENT_SRQ_LIMIT_REACHED:
		return IBC_ELEMENT_SRQ;
	case IBV_EVENT_WQ_FATAL:
		return IBC_ELEMENT_WQ;
	case IBV_EVENT_DEVICE_FATAL:
	case DEVICE_SPEED_CHANGE:
		return IBC_ELEMENT_DEVICE;
	case IBV_EVENT_PORT_ACTIVE:
	case IBV_EVENT_PORT_ERR:
	case IBV_EVENT_LID_CHANGE:
	case IBV_EVENT_PKEY_CHANGE:
	case IBV_EVENT_SM_CHANGE:
	case IBV_EVENT_CLIENT_REREGISTER:
	case IBV_EVENT_GID_CHANGE:
		return IBC_ELEMENT_PORT;
	default:
		return IBC_ELEMENT_UNKNOWN;
	}
}

static void resolve_object(const struct ibv_async_event *async,
			   enum ibc__element element, struct ibc_event *event)
{
	switch (element) {
	case IBC_ELEMENT_QP:
		event->element_num = async->element.qp->qp_num;
		event->element_context = async->element.qp->qp_context;
		break;
	case IBC_ELEMENT_CQ:
		event->element_context = async->element.cq->cq_context;
		break;
	case IBC_ELEMENT_SRQ:
		event->element_context = async->element.srq->srq_context;
		if (ibc__backend->get_srq_num(async->element.srq,
					      &event->element_num))
			event->element_num = 0;
		break;
	case IBC_ELEMENT_WQ:
		event->element_num = async->element.wq->wq_num;
		event->element_context = async->element.wq->wq_context;
		break;
	default:
		event->element_num = async->element.port_num;
		break;
	}
}

/* the event is not acknowledged yet: its object exists */
int ibc__event_resolve(const struct ibv_async_event *async,
		       struct ibc_event *event)
{
	enum ibc__element element = ibc__event_element(async->event_type);

	memset(event, 0, sizeof(*event));
	event->async = *async;
	event->count = 1;
	switch (element) {
	case IBC_ELEMENT_DEVICE:
	case IBC_ELEMENT_UNKNOWN:
		return 0;
	case IBC_ELEMENT_PORT:
		break;
	default:
		if (!async->element.qp)
			return EINVAL;
	}
	resolve_object(async, element, event);
	return 0;
}

static uintptr_t element_key(const struct ibc__pending *p)
{
	switch (p->element) {
	case IBC_ELEMENT_DEVICE:
		return 0;
	case IBC_ELEMENT_PORT:
	case IBC_ELEMENT_UNKNOWN:
		return (unsigned int)p->event.async.element.port_num;
	default:
		return (uintptr_t)p->event.async.element.qp;
	}
}

static struct ibc__pending **bucket(struct ibc_device *dev, uintptr_t key)
{
	uint64_t hash = key * 0x9e3779b97f4a7c15ULL >> 32;

	return &dev->events.last[hash % IBC_EVENT_BUCKETS];
}

/* where the newest pending event of this element hangs, or would */
static struct ibc__pending **newest(struct ibc_device *dev,
				    const struct ibc__pending *p)
{
	struct ibc__pending **at = bucket(dev, p->key);

	while (*at && ((*at)->key != p->key || (*at)->element != p->element))
		at = &(*at)->older;
	return at;
}

/*
 * Lock held. Once a removal began the clients have no claim on what comes, nor
 * have the handlers of the device and of ports: only those of the object.
 */
static bool is_wanted(struct ibc_device *dev, struct ibc__pending *p)
{
	p->late = dev->state != IBC_DEVICE_LIVE;
	return !p->late || ibc__handlers_of_object(dev, p);
}

/* lock held: told as one, to the same receivers */
static bool are_equal(struct ibc_device *dev, const struct ibc__pending *old,
		      const struct ibc__pending *p)
{
	return old->event.async.event_type == p->event.async.event_type &&
	       old->late == p->late &&
	       old->event.element_num == p->event.element_num &&
	       old->event.element_context == p->event.element_context &&
	       !ibc__handlers_since(dev, old);
}

/* lock held; takes @p over */
void ibc__event_queue(struct ibc_device *dev, struct ibc__pending *p)
{
	struct ibc_registry *reg = dev->reg;
	struct ibc__pending **at;

	p->element = ibc__event_element(p->event.async.event_type);
	p->key = element_key(p);
	at = newest(dev, p);
	reg->stats.events_read += p->event.count;
	if (!is_wanted(dev, p)) {
		free(p);
		return;
	}
	if (*at && are_equal(dev, *at, p)) {
		(*at)->event.count += p->event.count;
		reg->stats.events_merged += p->event.count;
		free(p);
		return;
	}
	p->older = *at ? (*at)->older : NULL;
	*at = p;
	TAILQ_INSERT_TAIL(&dev->events.queue, p, entry);
	ibc__kick(&dev->job);
	if (p->event.async.event_type != IBV_EVENT_DEVICE_FATAL)
		return;
	if (p->reported)
		ibc__begin_removal(dev, IBC_REASON_FATAL, IBC_BY_CALLER);
	else
		ibc__async_fatal(dev);
}

/* lock held: the oldest one, no more to be merged into */
struct ibc__pending *ibc__event_pop(struct ibc_device *dev)
{
	struct ibc__pending *p = TAILQ_FIRST(&dev->events.queue);
	struct ibc__pending **at;

	if (!p)
		return NULL;
	TAILQ_REMOVE(&dev->events.queue, p, entry);
	at = newest(dev, p);
	if (*at == p)
		*at = p->older;
	return p;
}

#define BATCH 64

struct batch {
	struct ibc__pending *events[BATCH];
	unsigned int num;
	int error; /* why it ended, 0: it is full */
};

/* no lock held. An event is read only when there is memory to keep it. */
static void read_batch(struct ibc_device *dev, struct ibv_context *context,
		       struct batch *batch)
{
	struct ibv_async_event async;
	struct ibc__pending *p;

	for (batch->num = 0; batch->num < BATCH; batch->num++) {
		p = calloc(1, sizeof(*p));
		if (!p) {
			batch->error = ENOMEM;
			return;
		}
		errno = 0;
		while (ibc__backend->get_async_event(context, &async)) {
			if (errno == EINTR)
				continue;
			batch->error = errno ? errno : EIO;
			free(p);
			return;
		}
		ibc__event_resolve(&async, &p->event);
		p->bound = ibc__handlers_bound(dev);
		ibc__backend->ack_async_event(&async);
		batch->events[batch->num] = p;
	}
	batch->error = 0;
}

/* lock held: look again in a moment, whatever the descriptor says */
static void reread_later(struct ibc_device *dev)
{
	dev->reread_at = ibc__now() + 100;
	ibc__device_at(dev, dev->reread_at);
}

static void rearm(struct ibc_device *dev, struct ibv_context *context)
{
	if (ibc__epoll_set(dev->reg, EPOLL_CTL_MOD, context->async_fd,
			   EPOLLIN | EPOLLONESHOT,
			   IBC_EPOLL_DEVICE + dev->incarnation))
		reread_later(dev);
}

/* lock held; @ready: what epoll said */
static void after_batch(struct ibc_device *dev, struct ibv_context *context,
			int error, uint32_t ready)
{
	if (!error)
		rearm(dev, context);
	else if (error == ENOMEM)
		reread_later(dev);
	else if (error != EAGAIN && error != EWOULDBLOCK)
		ibc__async_failed(dev);
	else if (ready & (EPOLLERR | EPOLLHUP))
		ibc__async_hung_up(dev);
	else
		rearm(dev, context);
}

/* lock held; it is dropped for reading */
void ibc__events_read(struct ibc_device *dev, uint32_t ready)
{
	struct ibc_registry *reg = dev->reg;
	struct ibv_context *context = dev->context;
	struct batch batch;
	unsigned int i;

	if (!dev->watched || dev->reading || !context)
		return;
	if (!dev->read_events) {
		ibc__async_hung_up(dev);
		return;
	}
	dev->reading = true;
	ibc__unlock(reg);
	read_batch(dev, context, &batch);
	ibc__lock(reg);
	dev->reading = false;
	for (i = 0; i < batch.num; i++)
		ibc__event_queue(dev, batch.events[i]);
	after_batch(dev, context, batch.error, ready);
	if (dev->state != IBC_DEVICE_LIVE)
		ibc__kick(&dev->job); /* it may wait for the reader */
}

static int set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return errno;
	return 0;
}

/*
 * Lock held. Without @read only a hang-up is of interest, and a descriptor that
 * epoll does not take is its owner's affair. One that is watched already is from
 * now on watched so; after a failure all is as before. Nobody can hear of an
 * event before the descriptor does not block, since the lock is held.
 */
int ibc__events_watch(struct ibc_device *dev, struct ibv_context *context,
		      bool read)
{
	uint32_t events = (read ? EPOLLIN : 0) | EPOLLONESHOT;
	uint64_t id = IBC_EPOLL_DEVICE + dev->incarnation;
	int fd = context->async_fd, error;

	if (fd < 0 && !dev->adopted)
		return 0;
	error = ibc__epoll_set(dev->reg,
			       dev->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd,
			       events, id);
	if (!error && read) {
		error = set_nonblock(fd);
		if (error && dev->watched)
			ibc__epoll_set(dev->reg, EPOLL_CTL_MOD, fd,
				       EPOLLONESHOT, id);
		else if (error)
			epoll_ctl(dev->reg->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	}
	if (error)
		return read ? error : 0;
	dev->watched = true;
	dev->read_events = read;
	return 0;
}

/* lock held */
void ibc__events_unwatch(struct ibc_device *dev)
{
	struct ibv_context *context = dev->context;

	if (!dev->watched)
		return;
	dev->watched = false;
	epoll_ctl(dev->reg->epoll_fd, EPOLL_CTL_DEL, context->async_fd, NULL);
}
