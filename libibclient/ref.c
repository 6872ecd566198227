// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The counter of one data object: who may have it, and when it is freed.
 *
 * It counts in two places. ->word is one for all CPUs. ->shards has a word for
 * each CPU (shard.c); bit 0 of it says that it is live, the rest counts, in
 * twos. A live shard's count may be below zero: what was taken on one CPU is put
 * on another. The references that there are, at any moment, are
 *
 *	the count of ->word, less IBC_REF_BIAS while the object is published,
 *	and the counts of the shards that are live
 *
 * Get, hold and put add to the shard of the CPU that they run on, in one step
 * with the question whether it is live. If it is, that was all. If not, what
 * they added there is in nobody's sum, ever; hold and put count in ->word
 * instead, and get has nothing. They may be moved to another CPU just before the
 * step: any shard is right.
 *
 * Publish adds BIAS to ->word, then makes the shards live, each with a zero
 * count; kill takes each shard's count and makes it dead in one exchange, adds
 * up, and then adds the sum to ->word and takes BIAS from it. Until then ->word
 * cannot become zero, however many put there meanwhile; from then on it is all
 * there is, and whoever makes it zero frees the object. Both are for who holds
 * reg->lock and, or on behalf of whom, a reference: so the sum is not zero yet.
 *
 * A ref is used again for another object of the slot, so a get that was held up
 * may find it live once more: then it gets that object, which is the slot's, and
 * ->data is read afterwards. Or dead: it looks at the slot again, which has been
 * given another one, or a status, before this one was killed.
 *
 * With FREE_UNUSED the zero must be known at once, without a kill: such objects
 * have no live shard, and get is a compare-and-swap on ->word that fails where
 * that is zero or CLOSED. Zero without CLOSED is an object that is still in the
 * slot but about to be freed: there is none then, and looking again would be
 * waiting for the thread that frees it.
 *
 * Nothing overflows: 62 bits are 140 years of a get that fails each nanosecond.
 *
 * Memory order, access by access:
 *   publish, the shards: release. Who gets by a shard sees ->data, and what the
 *	owner wrote to the object before. So does who reads slot->cur, for it
 *	loads with acquire what was stored with release.
 *   get, its add: acquire, to that. Not release: it hands nothing on.
 *   hold: relaxed. The object is the caller's already.
 *   put, its add on a shard: release, and on ->word: acq_rel. What the holder
 *	did with the object comes before its free.
 *   kill, the exchange: acquire, to those puts; release, so that a get which
 *	finds it dead sees the status or the replacement that came before.
 *   kill, ->word: acq_rel. The last put there, by anybody, sees all that the
 *	killer saw of the shards.
 *   publish, BIAS: relaxed. It is before the shards' release, and a put that
 *	finds no live shard needs no BIAS yet.
 */
#include <sched.h>

#include "private.h"

/* @ref is all zero */
void ibc__ref_init(struct ibc__ref *ref, struct ibc__slot *slot)
{
	ref->slot = slot;
	ref->reg = slot->dev->reg;
	ref->words = (char *)&ref->none;
}

/* lock held; gets and puts of what the ref was last may be on their way to it */
static bool get_shards(struct ibc__ref *ref)
{
	size_t stride = IBC_ROW;
	_Atomic uint64_t *words;

	if (ref == &ref->slot->first) {
		words = ibc__found_word(ref->slot->found, 0);
	} else {
		ref->shards = ibc__shards_get(&ref->reg->shards);
		if (!ref->shards)
			return false;
		words = ibc__shard(ref->shards, 0);
		stride = ibc__shard_stride(ref->shards);
	}
	atomic_store_explicit(&ref->words, (char *)words, memory_order_relaxed);
	atomic_store_explicit(&ref->stride, stride, memory_order_release);
	return true;
}

static struct ibc__ref *new_ref(struct ibc__slot *slot)
{
	struct ibc__ref *ref = calloc(1, sizeof(*ref));

	if (!ref)
		return NULL;
	ibc__ref_init(ref, slot);
	ref->sibling = slot->extra;
	slot->extra = ref;
	ref->next = slot->spare;
	slot->spare = ref;
	return ref;
}

/* lock held; NULL: no memory. A ref that has its shards keeps them. */
struct ibc__ref *ibc__ref_alloc(struct ibc__slot *slot)
{
	bool unused = slot->client->flags & IBC_CLIENT_FREE_UNUSED;
	struct ibc__ref *ref = slot->spare ? slot->spare : new_ref(slot);

	if (!ref)
		return NULL;
	if (!unused && !ref->stride && !get_shards(ref))
		return NULL;
	slot->spare = ref->next;
	atomic_store(&ref->word, IBC_REF_CLOSED);
	return ref;
}

/* lock held */
void ibc__ref_recycle(struct ibc__ref *ref)
{
	struct ibc__tracker *t = ref->reg->tracker;

	if (t)
		ibc__holders_forget(t, &ref->holders);
	ref->data = NULL;
	ref->next = ref->slot->spare;
	ref->slot->spare = ref;
}

/* it has one reference, and cannot be got by others */
void ibc__ref_first(struct ibc__ref *ref)
{
	atomic_store(&ref->word, IBC_REF_CLOSED | 1);
}

static void publish_shards(struct ibc__ref *ref)
{
	unsigned int cpu;

	for (cpu = 0; cpu < ibc__num_cpus; cpu++)
		atomic_store_explicit(ibc__ref_shard(ref, cpu), IBC_SHARD_LIVE,
				      memory_order_release);
	ref->live = true;
}

static void publish_word(struct ibc__ref *ref, unsigned int refs)
{
	uint64_t word = ref->word;

	while (!atomic_compare_exchange_weak_explicit(
		&ref->word, &word, (word & ~IBC_REF_CLOSED) + refs,
		memory_order_release, memory_order_relaxed))
		;
}

/* lock held: @refs references more, and others may get some */
void ibc__ref_publish(struct ibc__ref *ref, unsigned int refs, bool unused)
{
	if (unused) {
		publish_word(ref, refs);
		return;
	}
	atomic_fetch_add_explicit(&ref->word, IBC_REF_BIAS + refs,
				  memory_order_relaxed);
	publish_shards(ref);
}

/* each word is LIVE and a count that may be below zero; so is their sum */
static uint64_t count_of(uint64_t shard)
{
	return (uint64_t)((int64_t)(shard - IBC_SHARD_LIVE) /
			  (int64_t)IBC_SHARD_ONE);
}

/* all that was counted there, and is none of the word's yet */
static uint64_t kill_shards(struct ibc__ref *ref)
{
	uint64_t sum = 0;
	unsigned int cpu;

	for (cpu = 0; cpu < ibc__num_cpus; cpu++)
		sum += count_of(atomic_exchange_explicit(
			ibc__ref_shard(ref, cpu), 0, memory_order_acq_rel));
	ref->live = false;
	return sum;
}

/*
 * Lock held; what is published, and has a reference of the caller's if it is not
 * of FREE_UNUSED. No more get; the slot has something else, or a status.
 */
void ibc__ref_kill(struct ibc__ref *ref)
{
	if (ref->live)
		atomic_fetch_add_explicit(&ref->word,
					  kill_shards(ref) - IBC_REF_BIAS,
					  memory_order_acq_rel);
	else
		atomic_fetch_or(&ref->word, IBC_REF_CLOSED);
}

/* lock held: about how many references there are */
uint64_t ibc__ref_count(struct ibc__ref *ref)
{
	uint64_t count = atomic_load(&ref->word) & IBC_REF_COUNT;
	unsigned int cpu;

	if (!ref->live)
		return count;
	count -= IBC_REF_BIAS;
	for (cpu = 0; cpu < ibc__num_cpus; cpu++)
		count += count_of(atomic_load(ibc__ref_shard(ref, cpu)));
	return (int64_t)count < 0 ? 0 : count; /* they change meanwhile */
}

enum ibc__got ibc__ref_get_word(struct ibc__ref *ref, unsigned int count)
{
	uint64_t word = atomic_load_explicit(&ref->word, memory_order_acquire);

	do {
		if (word & IBC_REF_CLOSED)
			return IBC_GOT_CLOSED;
		if (!word)
			return IBC_GOT_NOTHING;
	} while (!atomic_compare_exchange_weak_explicit(
		&ref->word, &word, word + count, memory_order_acquire,
		memory_order_acquire));
	return IBC_GOT;
}

/* the count is zero: empty the slot if it still has this, then free */
static void ref_free(struct ibc__ref *ref)
{
	struct ibc__slot *slot = ref->slot;
	struct ibc_registry *reg = ref->reg;
	struct ibc_client *client = slot->client->client;
	struct ibc__frame frame;

	ibc__lock(reg);
	if (slot->cur == ref)
		ibc__slot_set(slot, NULL);
	ibc__unlock(reg);

	ibc__enter(&frame, reg);
	IBC_PROBE(free, slot->dev, ibc__client_name(slot->client), ref->data);
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
	atomic_fetch_add(&reg->pushers, 1);
	ref->next = atomic_load(&reg->deferred);
	while (!atomic_compare_exchange_weak(&reg->deferred, &ref->next, ref))
		;
	ibc__write_wake(reg);
	atomic_fetch_sub(&reg->pushers, 1);
}

bool ibc__ref_put_word(struct ibc__ref *ref)
{
	uint64_t old;

	old = atomic_fetch_sub_explicit(&ref->word, 1, memory_order_acq_rel);
	if ((old & IBC_REF_COUNT) != 1)
		return false;
	if (ref->slot->client->flags & IBC_CLIENT_DEFER_FREE)
		defer_free(ref->reg, ref);
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
