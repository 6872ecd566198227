// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Per-CPU counters. A block has an area for each CPU that there can be, and in
 * each area one word of every counter: so the words that one CPU writes lie side
 * by side, and no cache line of them has a word that another CPU writes. Areas
 * are of 16 words in the first block, of twice as many in each next one up to
 * 512, a page: a process with few devices needs little.
 *
 * Blocks are zeroed by calloc(), which for large ones has the kernel do it: a
 * page of a CPU that uses no device is not there until the counter is killed.
 *
 * The pool is the registry's, reg->lock guards it; words are anybody's, see
 * ref.c. A counter is given back with its device, when nobody has a reference on
 * that: then no get, hold or put can be on its way to the words any more. The
 * word of CPU 0 links those that wait to be used again.
 */
#include <stdlib.h>

#include "shard.h"

#define MAX_CODE 5

struct ibc__shard_block {
	struct ibc__shard_block *next;
	/* the areas, aligned to their size */
};

static size_t area_size(unsigned int code)
{
	return (size_t)1 << (code + IBC_SHARD_SHIFT);
}

static int add_block(struct ibc__shard_pool *pool)
{
	size_t area = area_size(pool->code);
	struct ibc__shard_block *block;
	uintptr_t words;

	if (ibc__num_cpus > SIZE_MAX / area - 2)
		return -1;
	block = calloc(1, sizeof(*block) + area * (ibc__num_cpus + 1));
	if (!block)
		return -1;
	block->next = pool->blocks;
	pool->blocks = block;
	words = ((uintptr_t)(block + 1) + area - 1) & ~(uintptr_t)(area - 1);
	pool->next = words + pool->code;
	pool->left = area / sizeof(uint64_t);
	if (pool->code < MAX_CODE)
		pool->code++;
	return 0;
}

ibc__shards ibc__shards_get(struct ibc__shard_pool *pool)
{
	ibc__shards shards = pool->spare;

	if (shards) {
		pool->spare = atomic_load_explicit(ibc__shard(shards, 0),
						   memory_order_relaxed);
		atomic_store_explicit(ibc__shard(shards, 0), 0,
				      memory_order_relaxed);
		return shards;
	}
	if (!pool->left && add_block(pool))
		return 0;
	shards = pool->next;
	pool->next += sizeof(uint64_t);
	pool->left--;
	return shards;
}

void ibc__shards_put(struct ibc__shard_pool *pool, ibc__shards shards)
{
	if (!shards)
		return;
	atomic_store_explicit(ibc__shard(shards, 0), pool->spare,
			      memory_order_relaxed);
	pool->spare = shards;
}

void ibc__shards_free_all(struct ibc__shard_pool *pool)
{
	struct ibc__shard_block *block;

	while ((block = pool->blocks)) {
		pool->blocks = block->next;
		free(block);
	}
}
