// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Event handlers: of one device, port or object.
 *
 * Ownership. A handler is its owner's until ibc_unregister_event_handler() has
 * returned 0. It keeps the device's struct and the registry, as a reference on
 * the device does, but neither the context nor a removal: what is left of it
 * when the device is gone is silent until it is unregistered.
 *
 * Lookup. Handlers of scope DEVICE and PORT are in one list; those of objects
 * in a hash by the object's address, made with the first of them. A device
 * without handlers pays one look at an empty list per event.
 *
 * Which objects. An address may be that of another object by the time an event
 * is told. So the number of the newest handler is noted before the event is
 * acknowledged (->bound): until then the object cannot be destroyed, and who
 * destroys it has unregistered its handler before; so those of this address
 * that are not newer, and are still there, are the object's. The same holds
 * for merging: not across the registration of a handler for the object.
 *
 * Calling. A handler runs as a step of the device's job, so never beside
 * another callback of the device: after the clients' event(), first those of
 * the device and of ports, then those of the object, each kind in the order of
 * registration. reg->lock guards all of it, and is not held in the call.
 * ->at is the last handler that was told of the event; who unlinks that one
 * moves ->at back, so that the walk survives any change of the list. Who comes
 * while an event is told does not hear of it (->upto), else one that registers
 * itself anew would hear it for ever; a port's state is replayed to it then.
 *
 * Fence. ->dying stops further calls, at once. Then unregister waits while the
 * handler runs in another thread; in its own callback it only unlinks it, and
 * whoever made the call frees it; in any other callback it does not wait: two
 * that did so for each other would wait for ever.
 */
#include "private.h"

#define BUCKETS	      256
#define HANDLER_MAGIC 0x1bce7e47

enum { STAGE_GENERAL, STAGE_OBJECT, NUM_STAGES };

static uint64_t type_bit(int type)
{
	return type >= 0 && type < 64 ? 1ULL << type : 0;
}

#define FATAL_BIT type_bit(IBV_EVENT_DEVICE_FATAL)

static bool of_object(enum ibc__element element)
{
	return element >= IBC_ELEMENT_QP && element <= IBC_ELEMENT_WQ;
}

static struct ibc__handler_list *bucket(struct ibc_device *dev, uintptr_t key)
{
	uint64_t hash = (uint64_t)key * 0x9e3779b97f4a7c15ULL >> 32;

	return &dev->handlers.buckets[hash % BUCKETS];
}

/* lock held: a device that nobody sees yet */
void ibc__handlers_init(struct ibc_device *dev)
{
	TAILQ_INIT(&dev->handlers.general);
	TAILQ_INIT(&dev->handlers.fatal);
	TAILQ_INIT(&dev->handlers.fresh);
}

/* lock held: none is left */
void ibc__handlers_free(struct ibc_device *dev)
{
	free(dev->handlers.buckets);
}

/* no lock needed; for ->bound, before the event is acknowledged */
uint64_t ibc__handlers_bound(struct ibc_device *dev)
{
	return atomic_load(&dev->handlers.seq);
}

/* ---- who hears what ---- */

static bool hears(const struct ibc_event_handler *h,
		  const struct ibc_event *event)
{
	int type = event->async.event_type;

	if (h->dying || (!h->any && !(h->mask & type_bit(type))))
		return false;
	return h->scope != IBC_SCOPE_PORT || !h->key ||
	       type == IBV_EVENT_DEVICE_FATAL || h->key == event->element_num;
}

static bool is_of(const struct ibc_event_handler *h,
		  const struct ibc_event *event)
{
	return (int)h->scope ==
		       (int)ibc__event_element(event->async.event_type) &&
	       h->key == (uintptr_t)event->async.element.qp;
}

/* lock held: a handler of the event's object with seq > @after, <= @upto */
static bool any_between(struct ibc_device *dev, const struct ibc_event *event,
			uint64_t after, uint64_t upto)
{
	struct ibc_event_handler *h;

	if (!dev->handlers.buckets ||
	    !of_object(ibc__event_element(event->async.event_type)))
		return false;
	TAILQ_FOREACH(h, bucket(dev, (uintptr_t)event->async.element.qp), chain)
		if (h->seq > after && h->seq <= upto && is_of(h, event) &&
		    hears(h, event))
			return true;
	return false;
}

/* lock held: is it of an object whose handlers want it? */
bool ibc__handlers_of_object(struct ibc_device *dev,
			     const struct ibc__pending *p)
{
	return any_between(dev, &p->event, 0, p->bound);
}

/* lock held: has its object got a handler that this event is not for? */
bool ibc__handlers_since(struct ibc_device *dev, const struct ibc__pending *p)
{
	return any_between(dev, &p->event, p->bound, UINT64_MAX);
}

/* ---- calling ---- */

/* lock held; it is dropped for the call. The handler may be freed by it. */
static void call(struct ibc_event_handler *h, const struct ibc_event *event)
{
	struct ibc_device *dev = h->dev;
	struct ibc_registry *reg = dev->reg;
	struct ibc__frame frame;

	h->running = true;
	h->thread = pthread_self();
	ibc__unlock(reg);
	ibc__enter(&frame, reg);
	h->fn(dev, event, h->arg);
	ibc__leave(&frame);
	ibc__lock(reg);
	h->running = false;
	if (h->waiters) {
		ibc__changed(reg);
	} else if (h->unlinked) {
		h->magic = 0;
		free(h);
	}
}

/* lock held: ->current is a new one. What came late is its object's alone. */
void ibc__handlers_begin(struct ibc_device *dev)
{
	dev->handlers.at = NULL;
	dev->handlers.upto = atomic_load(&dev->handlers.seq);
	dev->handlers.stage =
		dev->events.current->late ? STAGE_OBJECT : STAGE_GENERAL;
}

/* the list of this stage for this event, and by which link it is walked */
static struct ibc__handler_list *list_of(struct ibc_device *dev, bool *chained)
{
	const struct ibc_event *event = &dev->events.current->event;
	struct ibc__handlers *hs = &dev->handlers;

	*chained = false;
	if (hs->stage == STAGE_GENERAL)
		return &hs->general;
	if (event->async.event_type == IBV_EVENT_DEVICE_FATAL)
		return &hs->fatal;
	if (!hs->buckets ||
	    !of_object(ibc__event_element(event->async.event_type)))
		return NULL;
	*chained = true;
	return bucket(dev, (uintptr_t)event->async.element.qp);
}

/* the next one after ->at that is to hear of ->current */
static struct ibc_event_handler *next_in_stage(struct ibc_device *dev)
{
	const struct ibc__pending *p = dev->events.current;
	struct ibc_event_handler *h = dev->handlers.at;
	struct ibc__handler_list *list;
	uint64_t upto;
	bool chained;

	list = list_of(dev, &chained);
	if (!list)
		return NULL;
	upto = chained ? p->bound : dev->handlers.upto;
	do {
		if (!h)
			h = TAILQ_FIRST(list);
		else
			h = chained ? TAILQ_NEXT(h, chain) :
				      TAILQ_NEXT(h, entry);
		if (h && h->seq <= upto && hears(h, &p->event) &&
		    (!chained || is_of(h, &p->event)))
			return h;
	} while (h);
	return NULL;
}

/* lock held; a step of the job; false: all have heard of ->current */
bool ibc__handlers_tell(struct ibc_device *dev)
{
	struct ibc__handlers *hs = &dev->handlers;
	struct ibc_event_handler *h;

	while (hs->stage < NUM_STAGES) {
		h = next_in_stage(dev);
		if (h) {
			hs->at = h;
			call(h, &dev->events.current->event);
			return true;
		}
		hs->stage++;
		hs->at = NULL;
	}
	return false;
}

/* what happened to the next port before this one was registered */
static bool replay_one(struct ibc_event_handler *h)
{
	struct ibc_event event;

	while (h->replay < 256) {
		if (!ibc__sticky_event(h->dev, h->replay++, &event) ||
		    !hears(h, &event))
			continue;
		call(h, &event);
		return true;
	}
	return false;
}

/*
 * Lock held; a step of the job, between one event and the next: what is told next
 * happened after what is replayed. One that is told here may be freed by that,
 * but then it is in no list any more.
 */
bool ibc__handlers_replay(struct ibc_device *dev)
{
	struct ibc__handlers *hs = &dev->handlers;
	struct ibc_event_handler *h;

	if (dev->events.current)
		return false;
	while ((h = TAILQ_FIRST(&hs->fresh))) {
		if (replay_one(h))
			return true;
		TAILQ_REMOVE(&hs->fresh, h, fresh);
		h->is_fresh = false;
	}
	return false;
}

/* ---- registering ---- */

/* what can be about an element of this scope, and DEVICE_FATAL */
static uint64_t types_of(uint32_t scope)
{
	uint64_t types = FATAL_BIT;
	int type;

	if (scope == IBC_SCOPE_DEVICE)
		return UINT64_MAX;
	for (type = 0; type < 64; type++)
		if ((int)ibc__event_element(type) == (int)scope)
			types |= type_bit(type);
	return types;
}

static struct ibv_context *context_of(const struct ibc_event_filter *filter)
{
	switch (filter->scope) {
	case IBC_SCOPE_QP:
		return filter->qp->context;
	case IBC_SCOPE_CQ:
		return filter->cq->context;
	case IBC_SCOPE_SRQ:
		return filter->srq->context;
	default:
		return filter->wq->context;
	}
}

static int check_filter(const struct ibc_event_filter *filter)
{
	if (!filter || filter->comp_mask || filter->scope > IBC_SCOPE_WQ)
		return EINVAL;
	if (filter->type_mask && !(filter->type_mask & types_of(filter->scope)))
		return EINVAL; /* it would never be called */
	if (filter->scope == IBC_SCOPE_PORT)
		return filter->port_num > 255 ? EINVAL : 0;
	if (filter->scope != IBC_SCOPE_DEVICE && !filter->qp)
		return EINVAL;
	return 0;
}

static struct ibc_event_handler *
make_handler(struct ibc_device *dev, const struct ibc_event_filter *filter)
{
	struct ibc_event_handler *h = calloc(1, sizeof(*h));
	uint64_t types = types_of(filter->scope);

	if (!h)
		return NULL;
	h->magic = HANDLER_MAGIC;
	h->dev = dev;
	h->scope = filter->scope;
	if (h->scope == IBC_SCOPE_PORT)
		h->key = filter->port_num;
	else if (h->scope != IBC_SCOPE_DEVICE)
		h->key = (uintptr_t)filter->qp;
	if (filter->type_mask)
		h->mask = filter->type_mask & types;
	else if (h->scope != IBC_SCOPE_DEVICE)
		h->mask = types & ~FATAL_BIT;
	else
		h->any = true;
	return h;
}

static int make_buckets(struct ibc_device *dev)
{
	struct ibc__handlers *hs = &dev->handlers;
	unsigned int i;

	if (hs->buckets)
		return 0;
	hs->buckets = calloc(BUCKETS, sizeof(*hs->buckets));
	if (!hs->buckets)
		return ENOMEM;
	for (i = 0; i < BUCKETS; i++)
		TAILQ_INIT(&hs->buckets[i]);
	return 0;
}

static void link_general(struct ibc_event_handler *h)
{
	struct ibc_device *dev = h->dev;

	TAILQ_INSERT_TAIL(&dev->handlers.general, h, entry);
	TAILQ_INSERT_TAIL(&dev->handlers.fresh, h, fresh);
	h->is_fresh = true;
	ibc__kick(&dev->job);
}

static void link_object(struct ibc_event_handler *h)
{
	TAILQ_INSERT_TAIL(bucket(h->dev, h->key), h, chain);
	if (h->mask & FATAL_BIT)
		TAILQ_INSERT_TAIL(&h->dev->handlers.fatal, h, entry);
}

/* lock held */
static int insert(struct ibc_event_handler *h,
		  const struct ibc_event_filter *filter)
{
	bool object = of_object((enum ibc__element)h->scope);
	struct ibc_device *dev = h->dev;
	struct ibv_context *context;

	if (!ibc__device_live(dev))
		return ENODEV;
	if (object) {
		context = context_of(filter); /* NULL: it cannot be told */
		if (context && context != dev->context)
			return EINVAL;
		if (make_buckets(dev))
			return ENOMEM;
	}
	dev->handlers.num++;
	h->seq = atomic_fetch_add(&dev->handlers.seq, 1) + 1;
	if (object)
		link_object(h);
	else
		link_general(h);
	return 0;
}

struct ibc_event_handler *
ibc_register_event_handler(struct ibc_device *dev,
			   const struct ibc_event_filter *filter,
			   void (*fn)(struct ibc_device *dev,
				      const struct ibc_event *event, void *arg),
			   void *arg)
{
	struct ibc_event_handler *h;
	int error = ibc__device_check(dev);

	if (!error)
		error = fn ? check_filter(filter) : EINVAL;
	if (error)
		return ibc__null(error);
	h = make_handler(dev, filter);
	if (!h)
		return ibc__null(ENOMEM);
	h->fn = fn;
	h->arg = arg;
	ibc__lock(dev->reg);
	error = insert(h, filter);
	ibc__unlock(dev->reg);
	if (!error)
		return h;
	free(h);
	return ibc__null(error);
}

/* ---- unregistering ---- */

/* the walk goes on after the one before */
static void step_back(struct ibc_event_handler *h)
{
	struct ibc__handlers *hs = &h->dev->handlers;
	bool chained;

	if (hs->at != h || !list_of(h->dev, &chained))
		return;
	hs->at = chained ? TAILQ_PREV(h, ibc__handler_list, chain) :
			   TAILQ_PREV(h, ibc__handler_list, entry);
}

/* lock held: the device has it no more, and may go for what it is concerned */
static void unlink_handler(struct ibc_event_handler *h)
{
	struct ibc_device *dev = h->dev;
	struct ibc__handlers *hs = &dev->handlers;

	step_back(h);
	if (h->is_fresh)
		TAILQ_REMOVE(&hs->fresh, h, fresh);
	if (!of_object((enum ibc__element)h->scope)) {
		TAILQ_REMOVE(&hs->general, h, entry);
	} else {
		TAILQ_REMOVE(bucket(dev, h->key), h, chain);
		if (h->mask & FATAL_BIT)
			TAILQ_REMOVE(&hs->fatal, h, entry);
	}
	h->is_fresh = false;
	h->unlinked = true;
	hs->num--;
	ibc__device_unused(dev);
}

/* lock held: it runs, in this thread: it is freed when it returns */
static int from_itself(struct ibc_event_handler *h)
{
	if (h->unlinked)
		return EINVAL;
	h->dying = true;
	if (!h->waiters)
		unlink_handler(h);
	return 0;
}

/* lock held: it is not called again, and the caller may wait for it */
static int fence(struct ibc_registry *reg, struct ibc_event_handler *h)
{
	h->dying = true;
	if (h->running && ibc__in_callback(reg))
		return EDEADLK;
	h->waiters++;
	while (h->running)
		ibc__cond_wait(reg, &reg->changed, IBC_FOREVER);
	if (--h->waiters)
		return 0;
	if (!h->unlinked)
		unlink_handler(h);
	h->magic = 0;
	free(h);
	return 0;
}

int ibc_unregister_event_handler(struct ibc_event_handler *handler)
{
	struct ibc_registry *reg;
	int error;

	if (!handler || handler->magic != HANDLER_MAGIC)
		return EINVAL;
	error = ibc__device_check(handler->dev);
	if (error)
		return error;
	reg = handler->dev->reg;
	ibc__lock(reg);
	if (handler->running && pthread_equal(handler->thread, pthread_self()))
		error = from_itself(handler);
	else
		error = fence(reg, handler);
	ibc__unlock(reg);
	return error;
}
