// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Slots: one per (device, client id), in chunks that double in size and are
 * never moved or unmapped while the device lives, so that get walks there
 * without a lock. Slots and chunks are made when a client is registered (for
 * all devices) or a device appears (for all clients), both of which can report
 * ENOMEM; nothing later can.
 *
 * What get sees of a slot are ->cur and ->status. Killing a slot sets ->status
 * first, then closes the counter, then empties ->cur: a get that starts later
 * finds the status, one that was under way has its reference or fails.
 *
 * reg->lock is held in all functions but ibc__slot().
 */
#include "private.h"

static unsigned int chunk_size(unsigned int chunk)
{
	return 1U << (chunk + IBC_CHUNK_SHIFT);
}

/* ids 0-3 are in chunk 0, 4-11 in chunk 1, 12-27 in chunk 2, ... */
static unsigned int locate(unsigned int id, unsigned int *offset)
{
	unsigned int pos = id + (1U << IBC_CHUNK_SHIFT);
	unsigned int top = 31 - __builtin_clz(pos);

	*offset = pos - (1U << top);
	return top - IBC_CHUNK_SHIFT;
}

/* NULL for an id that the device has no slot for */
struct ibc__slot *ibc__slot(struct ibc_device *dev, unsigned int id)
{
	struct ibc__slot *chunk;
	unsigned int offset;

	chunk = atomic_load_explicit(&dev->chunks[locate(id, &offset)],
				     memory_order_acquire);
	return chunk ? &chunk[offset] : NULL;
}

int ibc__slot_make(struct ibc_device *dev, unsigned int id)
{
	struct ibc__slot *chunk;
	unsigned int i, n, offset;

	if (ibc__slot(dev, id))
		return 0;
	n = locate(id, &offset);
	chunk = calloc(chunk_size(n), sizeof(*chunk));
	if (!chunk)
		return ENOMEM;
	for (i = 0; i < chunk_size(n); i++) {
		chunk[i].dev = dev;
		chunk[i].status = ENOENT;
		chunk[i].first.slot = &chunk[i];
		chunk[i].spare = &chunk[i].first;
	}
	atomic_store_explicit(&dev->chunks[n], chunk, memory_order_release);
	return 0;
}

void ibc__slot_attach(struct ibc_device *dev, struct ibc__client *c)
{
	struct ibc__slot *slot = ibc__slot(dev, c->id);

	slot->client = c;
	slot->state = IBC_SLOT_NEW;
	slot->tried = false;
	slot->failures = 0;
	slot->status = dev->state == IBC_DEVICE_LIVE ? ENOENT : ENODEV;
}

/* nothing of the client is left in it */
void ibc__slot_detach(struct ibc__slot *slot)
{
	slot->client = NULL;
	slot->state = IBC_SLOT_NEW;
	slot->status = ENOENT;
}

static void free_extra(struct ibc__slot *slot)
{
	struct ibc__ref *ref;

	while ((ref = slot->extra)) {
		slot->extra = ref->sibling;
		free(ref);
	}
}

/* all references on all data that the slot's client has of the device */
uint64_t ibc__slot_refs(struct ibc__slot *slot)
{
	uint64_t refs = slot->first.word & IBC_REF_COUNT;
	struct ibc__ref *ref;

	for (ref = slot->extra; ref; ref = ref->sibling)
		refs += ref->word & IBC_REF_COUNT;
	return refs;
}

void ibc__slots_free(struct ibc_device *dev)
{
	struct ibc__slot *chunk;
	unsigned int i, n;

	for (n = 0; n < IBC_NUM_CHUNKS; n++) {
		chunk = dev->chunks[n];
		for (i = 0; chunk && i < chunk_size(n); i++)
			free_extra(&chunk[i]);
		free(chunk);
	}
}

/* the registry and those who wait for it get @refs references at once */
void ibc__slot_publish(struct ibc__slot *slot, struct ibc__ref *ref,
		       uint64_t refs)
{
	uint64_t word = ref->word;

	while (!atomic_compare_exchange_weak_explicit(
		&ref->word, &word, (word & ~IBC_REF_CLOSED) + refs,
		memory_order_release, memory_order_relaxed))
		;
	atomic_store_explicit(&slot->cur, ref, memory_order_release);
}

static bool final(int status)
{
	return status == ENODEV || status == ESHUTDOWN;
}

/*
 * From here on get says @status. What was published is kept in ->held, with one
 * reference, until ibc__slot_drop(): the registry's own or, with FREE_UNUSED,
 * one taken here if there is still any.
 */
void ibc__slot_kill(struct ibc__slot *slot, int status)
{
	struct ibc__ref *ref = slot->cur;

	if (!final(slot->status))
		slot->status = status;
	if (!ref)
		return;
	if (!(slot->client->flags & IBC_CLIENT_FREE_UNUSED) ||
	    ibc__ref_tryget(ref, 1))
		slot->held = ref;
	atomic_fetch_or(&ref->word, IBC_REF_CLOSED);
	slot->cur = NULL;
}

/* drops the lock: the last put runs the client's code */
void ibc__slot_drop(struct ibc__slot *slot)
{
	struct ibc_registry *reg = slot->dev->reg;
	struct ibc__ref *ref = slot->held;

	if (!ref)
		return;
	slot->held = NULL;
	ibc__unlock(reg);
	ibc__ref_put(ref);
	ibc__lock(reg);
}

/* data, or an alloc callback that may make it, keeps context and client */
void ibc__pin(struct ibc__slot *slot)
{
	slot->dev->pins++;
	slot->client->pins++;
}

void ibc__unpin(struct ibc__slot *slot)
{
	struct ibc_device *dev = slot->dev;

	slot->client->pins--;
	dev->pins--;
	if (!dev->pins && dev->state != IBC_DEVICE_LIVE)
		ibc__kick(&dev->job);
	ibc__client_changed(slot->client);
	ibc__changed(dev->reg);
}
