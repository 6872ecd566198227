// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The counter of one data object. Its word has the count and, in the top bit,
 * IBC_REF_CLOSED: no further get. Get is a compare-and-swap that fails on a
 * closed or a zero word, so zero is final: whoever makes the count zero frees
 * the object, and nobody else can have it.
 *
 * Memory order: the data is written before the word becomes non-zero (release),
 * and read after the word was counted up (acquire). The last put must see every
 * holder's writes to the object before it is freed (acq_rel).
 */
#include <sched.h>
#include <unistd.h>

#include "private.h"

/* lock held */
struct ibc__ref *ibc__ref_alloc(struct ibc__slot *slot)
{
	struct ibc__ref *ref = slot->spare;

	if (ref) {
		slot->spare = ref->next;
		return ref;
	}
	ref = calloc(1, sizeof(*ref));
	if (!ref)
		return NULL;
	ref->slot = slot;
	ref->sibling = slot->extra;
	slot->extra = ref;
	return ref;
}

/* lock held */
void ibc__ref_recycle(struct ibc__ref *ref)
{
	struct ibc__tracker *t = ref->slot->dev->reg->tracker;

	if (t)
		ibc__holders_forget(t, &ref->holders);
	ref->data = NULL;
	ref->next = ref->slot->spare;
	ref->slot->spare = ref;
}

/* takes @count references, unless no more may be had: no lock, signal-safe */
bool ibc__ref_tryget(struct ibc__ref *ref, uint64_t count)
{
	uint64_t word = atomic_load_explicit(&ref->word, memory_order_relaxed);

	do {
		if (!word || word & IBC_REF_CLOSED)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&ref->word, &word, word + count, memory_order_acquire,
		memory_order_relaxed));
	return true;
}

/* the count is zero: empty the slot if it still has this, then free */
static void ref_free(struct ibc__ref *ref)
{
	struct ibc__slot *slot = ref->slot;
	struct ibc_registry *reg = slot->dev->reg;
	struct ibc_client *client = slot->client->client;
	struct ibc__frame frame;

	ibc__lock(reg);
	if (slot->cur == ref)
		slot->cur = NULL;
	ibc__unlock(reg);

	ibc__enter(&frame, reg);
	if (client->free_client_data)
		client->free_client_data(ref->data);
	ibc__leave(&frame);

	ibc__lock(reg);
	reg->stats.frees++;
	ibc__ref_recycle(ref);
	ibc__unpin(slot);
	ibc__unlock(reg);
}

/*
 * Signal-safe. The registry cannot be closed between the push and the wake:
 * ibc_close() waits until nobody is between the two.
 */
static void defer_free(struct ibc_registry *reg, struct ibc__ref *ref)
{
	const uint64_t one = 1;
	int error = errno;

	atomic_fetch_add(&reg->pushers, 1);
	ref->next = atomic_load(&reg->deferred);
	while (!atomic_compare_exchange_weak(&reg->deferred, &ref->next, ref))
		;
	/* fails only when the count is full: then it is readable anyway */
	if (write(reg->wake_fd, &one, sizeof(one)) < 0)
		errno = error;
	atomic_fetch_sub(&reg->pushers, 1);
}

bool ibc__ref_put(struct ibc__ref *ref)
{
	struct ibc__slot *slot = ref->slot;
	uint64_t old;

	old = atomic_fetch_sub_explicit(&ref->word, 1, memory_order_acq_rel);
	if ((old & IBC_REF_COUNT) != 1)
		return false;
	if (slot->client->flags & IBC_CLIENT_DEFER_FREE)
		defer_free(slot->dev->reg, ref);
	else
		ref_free(ref);
	return true;
}

/* the job of DEFER_FREE: one object each time; the only one that pops */
bool ibc__reap_deferred(struct ibc__job *job)
{
	struct ibc_registry *reg = job->reg;
	struct ibc__ref *ref = atomic_load(&reg->deferred);

	while (ref &&
	       !atomic_compare_exchange_weak(&reg->deferred, &ref, ref->next))
		;
	if (!ref)
		return false;
	ibc__unlock(reg);
	ref_free(ref);
	ibc__lock(reg);
	return atomic_load(&reg->deferred);
}
