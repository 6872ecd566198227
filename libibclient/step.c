// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The job of a live device: what to do next, from its state alone. One step is
 * at most one callback; then the job goes to the end of the line. open.c has
 * the steps before it is live, remove.c those after.
 *
 * reg->lock is held; it is dropped for the callback. Only the job itself
 * changes a slot's ->state, so a step finds it as it left it.
 */
#include "private.h"

struct ibc__slot *ibc__next_slot(struct ibc_device *dev, uint64_t after)
{
	struct ibc__client *c;
	struct ibc__slot *slot;

	TAILQ_FOREACH(c, &dev->reg->clients, entry) {
		slot = ibc__slot(dev, c->id);
		if (c->seq > after && !c->dying &&
		    slot->state == IBC_SLOT_ADDED)
			return slot;
	}
	return NULL;
}

/* clients that unregister: of several the last first, as in a removal */
static bool step_unregister(struct ibc_device *dev)
{
	struct ibc__client *c;
	struct ibc__slot *slot;

	TAILQ_FOREACH_REVERSE(c, &dev->reg->clients, ibc__clients, entry) {
		if (!c->dying)
			continue;
		slot = ibc__slot(dev, c->id);
		if (ibc__remove_slot(slot))
			return true;
	}
	return false;
}

static int call_add(struct ibc__slot *slot)
{
	struct ibc_client *client = slot->client->client;
	struct ibc_registry *reg = slot->dev->reg;
	struct ibc__frame frame;
	int ret;

	ibc__unlock(reg);
	ibc__enter(&frame, reg);
	ret = client->add ? client->add(client, slot->dev) : 0;
	ibc__leave(&frame);
	ibc__lock(reg);
	return ret < 0 ? -ret : ret;
}

/* the slot is emptied; what was in it is put last, which drops the lock */
static void add_failed(struct ibc__slot *slot, int error)
{
	struct ibc__client *c = slot->client;
	struct ibc_device *dev = slot->dev;

	if (error == EOPNOTSUPP) {
		slot->state = IBC_SLOT_DECLINED;
		ibc__slot_kill(slot, EOPNOTSUPP);
	} else {
		slot->state = IBC_SLOT_RETRY;
		slot->retry_at = ibc__now() + ibc__backoff(slot->failures++);
		ibc__slot_kill(slot, ENOENT);
		dev->reg->stats.adds_failed++;
		ibc__log(dev->reg, IBC_LOG_WARNING,
			 "%s: client %s: add() failed: %s; trying again",
			 dev->name, ibc__client_name(c), strerror(error));
	}
	c->active--;
	ibc__client_changed(c);
	ibc__slot_drop(slot);
}

static void add(struct ibc__slot *slot)
{
	struct ibc_registry *reg = slot->dev->reg;
	int error;

	slot->state = IBC_SLOT_ADDING;
	slot->client->active++;
	slot->status = 0;
	error = call_add(slot);
	IBC_PROBE(add, slot->dev, ibc__client_name(slot->client), error);
	slot->tried = true;
	slot->client->told++;
	if (error) {
		add_failed(slot, error);
	} else {
		slot->state = IBC_SLOT_ADDED;
		slot->failures = 0;
		reg->stats.adds++;
		ibc__replay(slot->dev, slot);
	}
	ibc__changed(reg);
}

/* in the order of registration: those before have had their add() */
static bool step_add(struct ibc_device *dev)
{
	struct ibc__client *c;
	struct ibc__slot *slot;

	TAILQ_FOREACH(c, &dev->reg->clients, entry) {
		slot = ibc__slot(dev, c->id);
		if (c->dying)
			continue;
		if (slot->state == IBC_SLOT_RETRY &&
		    slot->retry_at > ibc__now()) {
			ibc__device_at(dev, slot->retry_at);
			continue;
		}
		if (slot->state != IBC_SLOT_NEW &&
		    slot->state != IBC_SLOT_RETRY)
			continue;
		add(slot);
		return true;
	}
	return false;
}

static bool step_rename(struct ibc_device *dev)
{
	struct ibc_registry *reg = dev->reg;
	struct ibc__frame frame;
	struct ibc_client *client;
	struct ibc__slot *slot;

	if (!dev->old_name)
		return false;
	slot = ibc__next_slot(dev, dev->rename_cursor);
	if (!slot) {
		dev->old_name = dev->next_old_name;
		dev->next_old_name = NULL;
		dev->rename_cursor = 0;
		return true;
	}
	dev->rename_cursor = slot->client->seq;
	client = slot->client->client;
	if (!client->rename)
		return true;
	ibc__unlock(reg);
	ibc__enter(&frame, reg);
	client->rename(client, dev, dev->old_name);
	ibc__leave(&frame);
	ibc__lock(reg);
	return true;
}

/* reading events had stopped: no memory, or epoll would not look again */
bool ibc__step_reread(struct ibc_device *dev)
{
	if (!dev->reread_at)
		return false;
	if (dev->reread_at > ibc__now()) {
		ibc__device_at(dev, dev->reread_at);
		return false;
	}
	dev->reread_at = 0;
	ibc__events_read(dev, 0);
	return true;
}

bool ibc__device_step(struct ibc__job *job)
{
	struct ibc_device *dev = ibc__container_of(job, struct ibc_device, job);

	if (ibc__device_finished(dev))
		return false;
	if (step_unregister(dev))
		return true;
	if (dev->state != IBC_DEVICE_LIVE)
		return ibc__step_remove(dev);
	if (dev->stage == IBC_STAGE_LISTED)
		return ibc__step_open(dev);
	if (dev->stage == IBC_STAGE_VERIFY)
		return false;
	/* events last: of a storm there are always some */
	return ibc__step_probe(dev) || step_add(dev) || step_rename(dev) ||
	       ibc__step_reread(dev) || ibc__handlers_replay(dev) ||
	       ibc__deliver(dev);
}
