// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Slots: one per (device, client id), in chunks that double in size and are
 * never moved or unmapped while the device lives, so that get walks there
 * without a lock. Slots and chunks are made when a client is registered (for
 * all devices) or a device appears (for all clients), both of which can report
 * ENOMEM; nothing later can.
 *
 * What get sees of a slot are ->cur and ->status (and, if it is the quick one, what
 * found.c has). Killing a slot sets ->status
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
	unsigned int n, offset;

	if (ibc__found_make(dev, id))
		return ENOMEM;
	if (ibc__slot(dev, id))
		return 0;
	n = locate(id, &offset);
	chunk = calloc(chunk_size(n), sizeof(*chunk));
	if (!chunk)
		return ENOMEM;
	atomic_store_explicit(&dev->chunks[n], chunk, memory_order_release);
	return 0;
}

/* those that are never used stay as calloc() left them, untouched */
static void use(struct ibc__slot *slot, struct ibc_device *dev, unsigned int id)
{
	if (slot->dev)
		return;
	slot->dev = dev;
	slot->found = ibc__found(dev, id);
	slot->found->what = IBC_FOUND_OTHER;
	ibc__ref_init(&slot->first, slot);
	slot->spare = &slot->first;
}

void ibc__slot_attach(struct ibc_device *dev, struct ibc__client *c)
{
	struct ibc__slot *slot = ibc__slot(dev, c->id);

	use(slot, dev, c->id);
	slot->client = c;
	slot->state = IBC_SLOT_NEW;
	slot->tried = false;
	slot->failures = 0;
	slot->status = dev->state == IBC_DEVICE_LIVE ? ENOENT : ENODEV;
}

static void free_refs(struct ibc__shard_pool *pool, struct ibc__slot *slot)
{
	struct ibc__ref *ref;

	while ((ref = slot->extra)) {
		slot->extra = ref->sibling;
		ibc__shards_put(pool, ref->shards);
		free(ref);
	}
}

/* all references on all data that the slot's client has of the device */
uint64_t ibc__slot_refs(struct ibc__slot *slot)
{
	uint64_t refs = ibc__ref_count(&slot->first);
	struct ibc__ref *ref;

	for (ref = slot->extra; ref; ref = ref->sibling)
		refs += ibc__ref_count(ref);
	return refs;
}

void ibc__slots_free(struct ibc_device *dev)
{
	struct ibc__slot *chunk;
	unsigned int i, n;

	for (n = 0; n < IBC_NUM_CHUNKS; n++) {
		chunk = dev->chunks[n];
		for (i = 0; chunk && i < chunk_size(n); i++)
			free_refs(&dev->reg->shards, &chunk[i]);
		free(chunk);
	}
	ibc__found_free(dev);
}

/*
 * What get finds from here on. The quick one finds what the first counter has while
 * that is ->cur and no longer: else one could find the next object, and a later
 * one still the one before.
 */
void ibc__slot_set(struct ibc__slot *slot, struct ibc__ref *ref)
{
	uintptr_t other = ref && ref->live ? (uintptr_t)ref : 0;

	if (ref != &slot->first)
		atomic_store_explicit(&slot->found->what,
				      other + IBC_FOUND_OTHER,
				      memory_order_release);
	atomic_store_explicit(&slot->cur, ref, memory_order_release);
	if (ref == &slot->first)
		atomic_store_explicit(&slot->found->what, (uintptr_t)ref->data,
				      memory_order_release);
}

/* the registry and those who wait for it get @refs references at once */
void ibc__slot_publish(struct ibc__slot *slot, struct ibc__ref *ref,
		       unsigned int refs)
{
	ibc__ref_publish(ref, refs,
			 slot->client->flags & IBC_CLIENT_FREE_UNUSED);
	ibc__slot_set(slot, ref);
}

static bool final(int status)
{
	return status == ENODEV || status == ESHUTDOWN;
}

/* what is in the slot and still has references; empties it of what has none */
struct ibc__ref *ibc__slot_current(struct ibc__slot *slot)
{
	struct ibc__ref *ref = slot->cur;

	if (ref && !(atomic_load(&ref->word) & IBC_REF_COUNT))
		ibc__slot_set(slot, ref = NULL);
	return ref;
}

/*
 * What is in the slot, with a reference that is the caller's: the registry's or,
 * with FREE_UNUSED, one taken here. NULL: nothing, or it became unused. What is
 * to be closed must not become so just before: a get that had found it would say
 * that there is nothing, while there is what replaces it.
 */
struct ibc__ref *ibc__slot_keep(struct ibc__slot *slot)
{
	struct ibc__ref *ref = ibc__slot_current(slot);

	if (ref && slot->client->flags & IBC_CLIENT_FREE_UNUSED &&
	    !ibc__ref_tryget(ref, 1))
		ref = NULL;
	return ref;
}

/*
 * From here on get says @status. What was published is kept in ->held, with one
 * reference, until ibc__slot_drop().
 */
void ibc__slot_kill(struct ibc__slot *slot, int status)
{
	struct ibc__ref *ref;

	if (!final(slot->status))
		slot->status = status;
	ref = ibc__slot_keep(slot);
	if (ref) {
		slot->held = ref;
		ibc__ref_kill(ref);
	}
	ibc__slot_set(slot, NULL);
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
