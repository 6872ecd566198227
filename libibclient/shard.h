/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Per-CPU counters, one 8-byte word of each on every CPU: see shard.c. */
#ifndef IBC_SHARD_H
#define IBC_SHARD_H

#include <stdatomic.h>
#include <stdint.h>

#include "cpu.h"

/*
 * One counter: where its word of CPU 0 is, and in the low three bits how far
 * from one CPU's to the next one's. 0: none.
 */
typedef uintptr_t ibc__shards;

#define IBC_SHARD_CODE	0x7
#define IBC_SHARD_SHIFT 7 /* two cache lines: some CPUs fetch pairs */

struct ibc__shard_block;

/* where a registry has its counters from; reg->lock guards it */
struct ibc__shard_pool {
	struct ibc__shard_block *blocks; /* all of them */
	ibc__shards next;		 /* first not used yet, in the newest */
	unsigned int left;		 /* as many are not */
	unsigned int code;		 /* of the next block */
	ibc__shards spare;		 /* given back, linked by their words */
};

static inline size_t ibc__shard_stride(ibc__shards shards)
{
	return (size_t)1 << ((shards & IBC_SHARD_CODE) + IBC_SHARD_SHIFT);
}

/* no lock: any CPU's is right, the caller's own is quick */
static inline _Atomic uint64_t *ibc__shard(ibc__shards shards, unsigned int cpu)
{
	uintptr_t code = shards & IBC_SHARD_CODE;

	return (_Atomic uint64_t *)(shards - code +
				    ((uintptr_t)cpu
				     << (code + IBC_SHARD_SHIFT)));
}

/* all words of a new one are even, and what they count is not said */
ibc__shards ibc__shards_get(struct ibc__shard_pool *pool);
void ibc__shards_put(struct ibc__shard_pool *pool, ibc__shards shards);
void ibc__shards_free_all(struct ibc__shard_pool *pool);

#endif /* IBC_SHARD_H */
