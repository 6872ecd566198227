// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The removal of a device, whoever tells of it first:
 *
 *   LIVE		ibc__begin_removal(): every slot is killed, so that no
 *			reference is given out any more
 *   REMOVING		events read before, then remove() in the reverse of the
 *			order of registration, each followed by the registry's put
 *   DRAINING		until the last data is freed; the context stays open, and
 *			the handlers of objects hear what comes (LAST_WQE_REACHED)
 *   GONE		context closed, or its owner's; gone(); finished
 *
 * All but the first are steps of the device's job. reg->lock is held, and
 * dropped for callbacks and for closing.
 */
#include "private.h"

static const char *const reasons[] = {
	[IBC_REASON_ABSENT] = "it left the device list",
	[IBC_REASON_FATAL] = "DEVICE_FATAL",
	[IBC_REASON_ERROR] = "its verbs fail",
	[IBC_REASON_UNREADABLE] = "its async events cannot be read",
	[IBC_REASON_HANGUP] = "its async descriptor hung up",
	[IBC_REASON_CALLER] = "asked for by ibc_remove_device()",
};

/* it failed again soon after it was opened anew: wait longer this time */
static void set_claim(struct ibc_device *dev, enum ibc__reason reason)
{
	const uint64_t soon = 10000;
	uint64_t now = ibc__now();

	if (dev->adopted || reason == IBC_REASON_ABSENT) {
		dev->claim = IBC_CLAIM_NONE;
		return;
	}
	if (reason == IBC_REASON_CALLER) {
		dev->claim = IBC_CLAIM_NEVER;
		return;
	}
	dev->claim = IBC_CLAIM_LATER;
	if (dev->announced && now - dev->live_since > soon)
		dev->relapses = 0;
	dev->reopen_at = now + ibc__backoff(dev->relapses++ + 2);
	ibc__scan_at(dev->reg, dev->reopen_at);
}

const char *ibc__reason_name(enum ibc__reason reason)
{
	return reasons[reason];
}

/* for ibc_dump(): the oldest is forgotten */
static void remember(struct ibc_device *dev, enum ibc__reason reason,
		     enum ibc__by by)
{
	struct ibc_registry *reg = dev->reg;
	struct ibc__removal *r;

	if (!dev->announced)
		return;
	if (by < IBC_NUM_SOURCES)
		reg->sources[by].removals++;
	r = &reg->removals[reg->num_removals++ % IBC_NUM_REMOVALS];
	snprintf(r->name, sizeof(r->name), "%s", dev->name);
	r->index = dev->id.index;
	r->incarnation = dev->incarnation;
	r->reason = reason;
	r->by = by;
}

/* the one trigger: whoever comes second finds the device not LIVE any more */
void ibc__begin_removal(struct ibc_device *dev, enum ibc__reason reason,
			enum ibc__by by)
{
	struct ibc_registry *reg = dev->reg;
	struct ibc__client *c;

	if (dev->state != IBC_DEVICE_LIVE)
		return;
	set_claim(dev, reason);
	dev->state = IBC_DEVICE_REMOVING;
	remember(dev, reason, by);
	TAILQ_FOREACH(c, &reg->clients, entry)
		ibc__slot_kill(ibc__slot(dev, c->id), ENODEV);
	ibc__log(reg, dev->announced ? IBC_LOG_INFO : IBC_LOG_DEBUG,
		 "%s: removal begins: %s (told by %s)", dev->name,
		 reasons[reason], ibc__by_name(by));
	IBC_PROBE(removal, dev, reasons[reason], ibc__by_name(by));
	ibc__kick(&dev->job);
	ibc__changed(reg);
}

/* what remove() is owed, and the registry's reference: did it do anything? */
bool ibc__remove_slot(struct ibc__slot *slot)
{
	struct ibc_registry *reg = slot->dev->reg;
	struct ibc__client *c = slot->client;
	struct ibc__frame frame;

	if (slot->state != IBC_SLOT_ADDED)
		return false;
	slot->state = IBC_SLOT_REMOVING;
	reg->stats.removes++;
	if (c->client->remove) {
		struct ibc_client_data *data =
			slot->held ? slot->held->data : NULL;

		ibc__unlock(reg);
		ibc__enter(&frame, reg);
		c->client->remove(c->client, slot->dev, data);
		ibc__leave(&frame);
		ibc__lock(reg);
	}
	IBC_PROBE(remove, slot->dev, ibc__client_name(c),
		  slot->held ? slot->held->data : NULL);
	slot->state = IBC_SLOT_REMOVED;
	c->active--;
	ibc__client_changed(c);
	ibc__changed(reg);
	ibc__slot_drop(slot);
	return true;
}

static bool step_removing(struct ibc_device *dev)
{
	struct ibc_registry *reg = dev->reg;
	struct ibc__client *c;

	if (ibc__handlers_replay(dev) || ibc__deliver(dev))
		return true;
	TAILQ_FOREACH_REVERSE(c, &reg->clients, ibc__clients, entry)
		if (ibc__remove_slot(ibc__slot(dev, c->id)))
			return true;
	dev->state = IBC_DEVICE_DRAINING;
	dev->warn_at = ibc__now() + reg->attr.drain_warn_ms;
	ibc__changed(reg);
	return true;
}

/* with who holds the references, if that is known */
static void warn_of(struct ibc__slot *slot, uint64_t refs)
{
	struct ibc__held_list *held;

	ibc__held_list(slot, &held); /* without memory, without the list */
	ibc__log_held(slot->dev->reg, IBC_LOG_WARNING, held,
		      "%s: its removal is held up by client %s, "
		      "%llu references left%s",
		      slot->dev->name, ibc__client_name(slot->client),
		      (unsigned long long)refs,
		      slot->attempt ? ", alloc_client_data() runs" : "");
}

static void warn(struct ibc_device *dev)
{
	struct ibc__client *c;
	struct ibc__slot *slot;
	bool found = false;
	uint64_t refs;

	dev->warn_at = 0;
	TAILQ_FOREACH(c, &dev->reg->clients, entry) {
		slot = ibc__slot(dev, c->id);
		refs = ibc__slot_refs(slot);
		if (!refs && !slot->attempt)
			continue;
		warn_of(slot, refs);
		found = true;
	}
	if (!found && dev->pins)
		ibc__log(
			dev->reg, IBC_LOG_WARNING,
			"%s: its removal is held up by a free_client_data(), "
			"or the function of an ibc_for_each_device(), that has "
			"not returned",
			dev->name);
}

/*
 * Lock held; it is dropped. Whatever it says, libibverbs has let go of the context:
 * there is nothing to be done but to tell.
 */
void ibc__close_device(struct ibc_device *dev, struct ibv_context *context)
{
	struct ibc_registry *reg = dev->reg;
	int error;

	ibc__unlock(reg);
	error = ibc__context_close(reg, context);
	if (error < 0)
		error = errno;
	IBC_PROBE(close, dev, error);
	ibc__lock(reg);
	if (error)
		ibc__log(reg, IBC_LOG_ERROR, "%s: closing it failed: %s",
			 dev->name, strerror(error));
}

static void close_context(struct ibc_device *dev)
{
	struct ibc_registry *reg = dev->reg;
	struct ibv_context *context = dev->context;

	ibc__events_unwatch(dev);
	ibc__timer_stop(reg, &dev->timer); /* nobody is to be warned */
	dev->context = NULL;
	if (context && !dev->adopted)
		ibc__close_device(dev, context);
	ibc__let_go(dev);
	dev->state = IBC_DEVICE_GONE;
	dev->stage = IBC_STAGE_CLOSED;
	if (dev->announced) {
		reg->stats.devices_gone++;
		ibc__log(reg, IBC_LOG_INFO, "%s: device gone", dev->name);
	}
	ibc__changed(reg);
}

static bool step_draining(struct ibc_device *dev)
{
	bool drained = !dev->pins && !dev->reading;

	if (drained) /* what was read is told yet, then it is over */
		ibc__events_unwatch(dev);
	if (ibc__deliver(dev))
		return true;
	if (drained) {
		IBC_PROBE(drain, dev);
		close_context(dev);
		return true;
	}
	if (dev->warn_at && dev->warn_at <= ibc__now())
		warn(dev);
	ibc__device_at(dev, dev->warn_at);
	return ibc__step_reread(dev);
}

static void call_gone(struct ibc__slot *slot)
{
	struct ibc_registry *reg = slot->dev->reg;
	struct ibc__client *c = slot->client;
	struct ibc__frame frame;

	slot->state = IBC_SLOT_DONE;
	if (!c->client->gone)
		return;
	c->running++;
	ibc__unlock(reg);
	ibc__enter(&frame, reg);
	c->client->gone(c->client, slot->dev);
	ibc__leave(&frame);
	IBC_PROBE(gone, slot->dev, ibc__client_name(c));
	ibc__lock(reg);
	c->running--;
	ibc__client_changed(c);
	ibc__changed(reg);
}

static bool step_gone(struct ibc_device *dev)
{
	struct ibc__client *c;
	struct ibc__slot *slot;

	TAILQ_FOREACH_REVERSE(c, &dev->reg->clients, ibc__clients, entry) {
		slot = ibc__slot(dev, c->id);
		if (c->dying || slot->state != IBC_SLOT_REMOVED)
			continue;
		call_gone(slot);
		return true;
	}
	ibc__device_finish(dev);
	ibc__changed(dev->reg);
	return false;
}

bool ibc__step_remove(struct ibc_device *dev)
{
	switch ((enum ibc_device_state)dev->state) {
	case IBC_DEVICE_REMOVING:
		return step_removing(dev);
	case IBC_DEVICE_DRAINING:
		return step_draining(dev);
	default:
		return step_gone(dev);
	}
}

int ibc_remove_device(struct ibc_device *dev)
{
	int error = ibc__device_check(dev);

	if (error)
		return error;
	ibc__lock(dev->reg);
	ibc__begin_removal(dev, IBC_REASON_CALLER, IBC_BY_CALLER);
	if (dev->claim == IBC_CLAIM_LATER)
		dev->claim = IBC_CLAIM_NEVER;
	ibc__unlock(dev->reg);
	return 0;
}

static bool drained(void *arg)
{
	struct ibc_device *dev = arg;

	return ibc__device_finished(dev);
}

int ibc_wait_drained(struct ibc_device *dev, int timeout_ms)
{
	int error = ibc__device_check(dev);
	uint64_t deadline;

	if (!error)
		error = ibc__deadline(timeout_ms, &deadline);
	if (error)
		return error;
	if (ibc__in_callback(dev->reg))
		return EDEADLK;
	ibc__lock(dev->reg);
	error = ibc__wait(dev->reg, drained, dev, deadline);
	ibc__unlock(dev->reg);
	return error;
}
