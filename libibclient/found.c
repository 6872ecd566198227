// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What the quick get reads of a device, side by side: for each slot the data that
 * is found there and, for each CPU, the word that counts. So with many slots it
 * touches eight bytes of each and eight of a CPU's, no slot, no counter and no data.
 *
 * Blocks are of 16 slots with neighbouring ids, two cache lines for what is found and
 * as many for each CPU. They lie in regions, the first of one block, each next of
 * twice as many, which are made when a client is registered or a device appears, and
 * never moved while the device lives. What is never used is not touched: a region of
 * 256 CPUs is large, and the kernel gives what is.
 *
 * The words are those of the slot's first counter (ref.c), and ->what is the data that
 * it counts, while that is what the slot has. It is written by who holds reg->lock, in
 * ibc__slot_set(): the data when the counter's shards are live and slot->cur has it,
 * something else before slot->cur has another. So who has counted on a live shard
 * finds there, afterwards, what was counted; or something else, and gives back what
 * he took. Never another object: something else came before the counter was killed,
 * was there when it was published anew, and that is not before the last reference
 * was put.
 *
 * What has replaced the first data, while that had holders, has a counter with words
 * of its own. Then ->what is that counter, as slot->cur is, plus FOUND_OTHER: counters
 * are type-stable, so it is used as one from there. FOUND_OTHER alone is nothing, or
 * what is counted otherwise (FREE_UNUSED). Nobody counts where a slot is unused yet.
 *
 * Memory order: ->what is read after an acquiring addition to a shard that was made
 * live by a release after something else was written, and after what is in the object.
 * So it is read relaxed. The data is stored with release after ->cur, something else
 * before a release of ->cur: who has seen what the slot has next finds nothing older
 * here. A counter is stored with release after it was made, and used after an
 * acquiring load.
 *
 * A place says where that is, in every device: where the pointer to the region is in the
 * device and, in units of IBC_PLACE_UNIT, what of the region. 0 is none.
 */
#include "private.h"

static size_t block_size(void)
{
	return IBC_ROW * (1 + (size_t)ibc__num_cpus);
}

/* blocks 0, 1-2, 3-6, ... are in regions 0, 1, 2, ... */
static unsigned int region_of(unsigned int block)
{
	return 31 - __builtin_clz(block + 1);
}

static unsigned int first_block(unsigned int region)
{
	return (1U << region) - 1;
}

/* in bytes, from where its region begins */
static size_t offset_of(unsigned int id)
{
	unsigned int block = id / IBC_BLOCK_SLOTS;

	return (block - first_block(region_of(block))) * block_size() +
	       id % IBC_BLOCK_SLOTS * sizeof(struct ibc__found);
}

/* lock held */
int ibc__found_make(struct ibc_device *dev, unsigned int id)
{
	unsigned int n = region_of(id / IBC_BLOCK_SLOTS);
	struct ibc__found *region;

	if (dev->regions[n])
		return 0;
	region = ibc__calloc_lines((size_t)(1U << n) * block_size());
	if (!region)
		return ENOMEM;
	atomic_store_explicit(&dev->regions[n], region, memory_order_release);
	return 0;
}

void ibc__found_free(struct ibc_device *dev)
{
	unsigned int n;

	for (n = 0; n < IBC_NUM_REGIONS; n++)
		ibc__free_lines(dev->regions[n]);
}

struct ibc__found *ibc__found(struct ibc_device *dev, unsigned int id)
{
	unsigned int n = region_of(id / IBC_BLOCK_SLOTS);

	return (void *)((char *)dev->regions[n] + offset_of(id));
}

/* 0 as well where it is too far */
uintptr_t ibc__found_place(unsigned int id)
{
	unsigned int n = region_of(id / IBC_BLOCK_SLOTS);
	uintptr_t offset = offset_of(id);
	uintptr_t place = offset * IBC_PLACE_UNIT +
			  offsetof(struct ibc_device, regions[n]);

	_Static_assert(sizeof(struct ibc_device) < IBC_PLACE_UNIT,
		       "a place has too few bits for the region");
	return place / IBC_PLACE_UNIT == offset ? place : 0;
}

/* the counter that a count there is of */
struct ibc__ref *ibc__found_ref(struct ibc_device *dev, uintptr_t place)
{
	unsigned int n = (place % IBC_PLACE_UNIT -
			  offsetof(struct ibc_device, regions)) /
			 sizeof(dev->regions[0]);
	size_t offset = place / IBC_PLACE_UNIT;
	unsigned int block = first_block(n) + offset / block_size();
	unsigned int id = block * IBC_BLOCK_SLOTS +
			  offset % block_size() / sizeof(struct ibc__found);

	return &ibc__slot(dev, id)->first;
}
