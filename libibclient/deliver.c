// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Async events, second half: telling, as steps of the device's job, the clients,
 * one at a time in the order of registration, then the handlers (handler.c):
 * those come last because one of them may destroy the event's object. The event
 * that is being told is out of the queue, so that nothing is merged into what
 * some have heard already.
 *
 * What came late, after the removal began, waits until the clients have had
 * their remove(), so that a storm of it does not hold that up: then none of them
 * is told any more.
 *
 * A port's state becomes sticky when all have heard of it: a client that comes
 * later hears it from ibc__replay(), one that comes meanwhile from the delivery
 * itself; a handler in both cases from ibc__handlers_replay().
 */
#include "private.h"
#include "data.h"

static bool wants(struct ibc__slot *slot, const struct ibc_event *event)
{
	struct ibc_client *client = slot->client->client;
	unsigned int type = event->async.event_type;

	if (!client->event)
		return false;
	return !client->event_mask ||
	       (type < 64 && client->event_mask & 1ULL << type);
}

/* lock held; what the callback may borrow, with a reference of the library's */
static struct ibc__ref *borrow(struct ibc__slot *slot)
{
	struct ibc__ref *ref = slot->held;

	if (ref) { /* closed already, but for those who have it */
		ibc__ref_hold(ref);
		return ref;
	}
	ref = ibc__slot_current(slot);
	return ref && ibc__ref_tryget(ref, 1) ? ref : NULL;
}

/* lock held; it is dropped for the callback */
static void tell(struct ibc__slot *slot, const struct ibc_event *event)
{
	struct ibc_registry *reg = slot->dev->reg;
	struct ibc_client *client = slot->client->client;
	struct ibc__ref *ref = borrow(slot);
	struct ibc__frame frame;

	ibc__unlock(reg);
	ibc__enter(&frame, reg);
	client->event(client, slot->dev, ref ? ref->data : NULL, event);
	ibc__leave(&frame);
	if (ref)
		ibc__ref_put(ref);
	ibc__lock(reg);
}

static void make_sticky(struct ibc_device *dev, const struct ibc_event *event)
{
	int type = event->async.event_type;
	int port = event->async.element.port_num;

	if ((type == IBV_EVENT_PORT_ACTIVE || type == IBV_EVENT_PORT_ERR) &&
	    port >= 0 && port < 256)
		dev->events.sticky[port] = type;
}

/* the next event, if it is time for it */
static bool begin(struct ibc_device *dev)
{
	struct ibc__pending *p = TAILQ_FIRST(&dev->events.queue);

	if (!p || (p->late && dev->state == IBC_DEVICE_REMOVING))
		return false;
	dev->events.current = ibc__event_pop(dev);
	dev->events.cursor = 0;
	IBC_PROBE(event, dev, (int)p->event.async.event_type,
		  p->event.element_num, p->event.count);
	ibc__handlers_begin(dev);
	dev->reg->stats.events_delivered++;
	return true;
}

static bool tell_next_client(struct ibc_device *dev)
{
	struct ibc__events *events = &dev->events;
	struct ibc__slot *slot;

	slot = ibc__next_slot(dev, events->cursor);
	while (slot && !wants(slot, &events->current->event))
		slot = ibc__next_slot(dev, slot->client->seq);
	if (!slot)
		return false;
	events->cursor = slot->client->seq;
	tell(slot, &events->current->event);
	return true;
}

/* false: all have heard of ->current */
static bool tell_next(struct ibc_device *dev)
{
	return tell_next_client(dev) || ibc__handlers_tell(dev);
}

static void finish(struct ibc_device *dev)
{
	struct ibc__events *events = &dev->events;

	make_sticky(dev, &events->current->event);
	free(events->current);
	events->current = NULL;
}

/*
 * One receiver further, and past the end of one event; false: nothing to deliver.
 * What is told first to a new handler comes between one event and the next.
 */
bool ibc__deliver(struct ibc_device *dev)
{
	if (dev->events.current) {
		if (tell_next(dev))
			return true;
		finish(dev);
		if (ibc__handlers_replay(dev))
			return true;
	}
	if (!begin(dev))
		return false;
	if (!tell_next(dev))
		finish(dev);
	return true;
}

/* lock held: what became of a port last, as it is told to who comes later */
bool ibc__sticky_event(struct ibc_device *dev, unsigned int port,
		       struct ibc_event *event)
{
	if (!dev->events.sticky[port])
		return false;
	memset(event, 0, sizeof(*event));
	event->async.event_type = dev->events.sticky[port];
	event->async.element.port_num = port;
	event->element_num = port;
	event->count = 1;
	event->flags = IBC_EVENT_REPLAYED;
	return true;
}

/* lock held; a step of the job: what happened to the ports before it came */
void ibc__replay(struct ibc_device *dev, struct ibc__slot *slot)
{
	struct ibc_event event;
	unsigned int port;

	for (port = 0; port < 256; port++) {
		if (dev->state == IBC_DEVICE_LIVE && !slot->client->dying &&
		    ibc__sticky_event(dev, port, &event) && wants(slot, &event))
			tell(slot, &event);
	}
}
