/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The counter of one data object: see ref.c. */
#ifndef IBC_REF_H
#define IBC_REF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "holders.h"
#include "shard.h"

struct ibc__slot;
struct ibc__job;
struct ibc_client_data;
struct ibc_registry;

/*
 * Type-stable: a ref belongs to its slot for as long as the device lives and
 * is reused only there, so that a get which raced a replacement still finds a
 * counter.
 */
struct ibc__ref {
	/* the word of CPU 0, and how far it is to the next one's */
	_Atomic(char *) words;
	_Atomic size_t stride;
	_Atomic uint64_t word;	      /* count, and IBC_REF_CLOSED */
	struct ibc_client_data *data; /* written while the count is zero */
	struct ibc__slot *slot;
	struct ibc_registry *reg;
	struct ibc__ref *next; /* in the slot's spares, or waiting for free */
	struct ibc__ref *sibling; /* all of the slot's, but its first */
	ibc__shards shards;	  /* what ->words is of; 0: of ->none. lock */
	_Atomic uint64_t none;	  /* a word that is never live */
	bool live;		  /* the shards count; lock */
	struct ibc__holders holders;
};

/* no further get by way of the word: see ref.c for who gets at all */
#define IBC_REF_CLOSED (1ULL << 63)
#define IBC_REF_COUNT  (IBC_REF_CLOSED - 1)
/* in the count while the shards count, too: it does not become zero */
#define IBC_REF_BIAS (1ULL << 62)

/* of a shard's word; the rest is a signed count */
#define IBC_SHARD_LIVE 1ULL
#define IBC_SHARD_ONE  2ULL

enum ibc__got {
	IBC_GOT,	 /* a reference */
	IBC_GOT_CLOSED,	 /* none: look at the slot again */
	IBC_GOT_NOTHING, /* none: it is about to be freed */
};

/* lock held */
void ibc__ref_init(struct ibc__ref *ref, struct ibc__slot *slot);
struct ibc__ref *ibc__ref_alloc(struct ibc__slot *slot);
void ibc__ref_recycle(struct ibc__ref *ref);
void ibc__ref_first(struct ibc__ref *ref);
void ibc__ref_publish(struct ibc__ref *ref, unsigned int refs, bool unused);
void ibc__ref_kill(struct ibc__ref *ref);
uint64_t ibc__ref_count(struct ibc__ref *ref);

bool ibc__reap_deferred(struct ibc__job *job);

/* what the functions below do where the shards do not count */
enum ibc__got ibc__ref_get_word(struct ibc__ref *ref, unsigned int count);
bool ibc__ref_put_word(struct ibc__ref *ref);

/*
 * The word of a CPU. The stride is read first: with an old one, which is 0, any
 * ->words are right.
 */
static inline _Atomic uint64_t *ibc__ref_shard(struct ibc__ref *ref, size_t cpu)
{
	cpu *= atomic_load_explicit(&ref->stride, memory_order_acquire);
	return (_Atomic uint64_t *)(atomic_load_explicit(&ref->words,
							 memory_order_relaxed) +
				    cpu);
}

/*
 * Adds to the word of this CPU, if there is one. True: it counts. False: what
 * was added there does not, and nobody takes it back.
 */
static inline bool ibc__ref_shard_add(struct ibc__ref *ref, uint64_t add,
				      memory_order order)
{
	_Atomic uint64_t *shard;

	if (!atomic_load_explicit(&ref->stride, memory_order_acquire))
		return false;
	shard = ibc__ref_shard(ref, ibc__cpu());
	return atomic_fetch_add_explicit(shard, add, order) & IBC_SHARD_LIVE;
}

/* takes @count references, unless no more may be had: no lock, signal-safe */
static inline enum ibc__got ibc__ref_get(struct ibc__ref *ref,
					 unsigned int count)
{
	if (__builtin_expect(ibc__ref_shard_add(ref, count * IBC_SHARD_ONE,
						memory_order_acquire),
			     1))
		return IBC_GOT;
	return ibc__ref_get_word(ref, count);
}

static inline bool ibc__ref_tryget(struct ibc__ref *ref, unsigned int count)
{
	return ibc__ref_get(ref, count) == IBC_GOT;
}

/* one more, by who has one: no lock, signal-safe */
static inline void ibc__ref_hold(struct ibc__ref *ref)
{
	if (!ibc__ref_shard_add(ref, IBC_SHARD_ONE, memory_order_relaxed))
		atomic_fetch_add_explicit(&ref->word, 1, memory_order_relaxed);
}

/* true if it was the last: then the object has been freed, or will be */
static inline bool ibc__ref_put(struct ibc__ref *ref)
{
	if (__builtin_expect(ibc__ref_shard_add(ref, -IBC_SHARD_ONE,
						memory_order_release),
			     1))
		return false;
	return ibc__ref_put_word(ref);
}

#endif /* IBC_REF_H */
