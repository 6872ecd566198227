/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The usual get, hold and put, which call nothing and touch little.
 *
 * They ask one thing of a client or of data: is it one, initialised, in an
 * untracked registry of this process? A word of opaque has the answer, the sum of two
 * addresses and of a key that is another one in a forked child. Where it is another
 * number, or the CPU is not known, or no shard is live, nothing was done that
 * counts, and the caller begins anew by functions that know all cases.
 *
 *	of a client: [2] the client, its registry and the key; [3] its place
 *	of data:     [0] the data, its counter's words and the key; [1] those
 *		     words, [2] their stride: beside ->client, which get reads
 *
 * So a get reads the client, the device, what is found there and a count (found.c),
 * and a put the data and a count. Between a get's two looks at a client this may have
 * been unregistered: then [3] is 0, and leads to nothing. Or it may be registered
 * elsewhere by now: what is another client's is seen by the data.
 */
#ifndef IBC_QUICK_H
#define IBC_QUICK_H

#include "private.h"

static inline uintptr_t ibc__quick(const void *what, uintptr_t of)
{
	return (uintptr_t)what + of + ibc__quick_key;
}

/* of this process, and untracked */
static inline bool ibc__plain(struct ibc_registry *reg)
{
	return __builtin_expect(reg->plain == ibc__generation, 1);
}

static inline void ibc__quick_client(struct ibc_client *client,
				     struct ibc__client *c)
{
	uintptr_t place = c ? ibc__found_place(c->id) : 0;
	uintptr_t quick = 0;

	if (place && ibc__plain(c->reg))
		quick = ibc__quick(client, (uintptr_t)c->reg);
	__atomic_store_n(&client->opaque[3], place, __ATOMIC_RELAXED);
	__atomic_store_n(&client->opaque[2], quick, __ATOMIC_RELEASE);
}

static inline void ibc__quick_data(struct ibc_client_data *data,
				   struct ibc__ref *ref)
{
	uintptr_t words = (uintptr_t)atomic_load(&ref->words);

	data->opaque[0] = ibc__plain(ref->reg) ? ibc__quick(data, words) : 0;
	data->opaque[1] = words;
	data->opaque[2] = atomic_load(&ref->stride);
}

/* what is found at the place, or NULL: the device has no such region */
static inline struct ibc__found *ibc__found_at(struct ibc_device *dev,
					       uintptr_t place)
{
	char *region = (char *)atomic_load_explicit(
		(_Atomic(struct ibc__found *) *)((char *)dev +
						 place % IBC_PLACE_UNIT),
		memory_order_acquire);

	return region ? (void *)(region + place / IBC_PLACE_UNIT) : NULL;
}

/* @taken: where a reference was taken, on whatever it was, by who begins anew; or 0 */
typedef struct ibc_client_data *ibc__otherwise(struct ibc_device *dev,
					       struct ibc_client *client,
					       uintptr_t taken, void *caller);

struct ibc_client_data *ibc__quick_get_other(struct ibc_device *dev,
					     struct ibc_client *client,
					     struct ibc__found *found,
					     ibc__otherwise *otherwise,
					     void *caller);

/* a reference on data of the client, or what @otherwise says */
static inline __attribute__((always_inline)) struct ibc_client_data *
ibc__quick_get(struct ibc_device *dev, struct ibc_client *client,
	       ibc__otherwise *otherwise)
{
	uintptr_t quick, place, what, taken = 0;
	struct ibc_client_data *data;
	struct ibc__found *found;
	size_t cpu;

	if (!dev || !client)
		goto anew;
	quick = __atomic_load_n(&client->opaque[2], __ATOMIC_ACQUIRE);
	if (quick != ibc__quick(client, (uintptr_t)dev->reg))
		goto anew;
	place = __atomic_load_n(&client->opaque[3], __ATOMIC_RELAXED);
	found = ibc__found_at(dev, place);
	if (!found || !ibc__cpu_quick(&cpu))
		goto anew;
	if (!(atomic_fetch_add_explicit(ibc__found_word(found, cpu),
					IBC_SHARD_ONE, memory_order_acquire) &
	      IBC_SHARD_LIVE))
		return ibc__quick_get_other(dev, client, found, otherwise,
					    __builtin_return_address(0));
	what = atomic_load_explicit(&found->what, memory_order_relaxed);
	data = (struct ibc_client_data *)what;
	if (!(what & IBC_FOUND_OTHER) &&
	    __builtin_expect(data->client == client, 1))
		return data;
	taken = place;
anew:
	return otherwise(dev, client, taken, __builtin_return_address(0));
}

/* false: begin anew */
static inline bool ibc__quick_add(struct ibc_client_data *data, uint64_t add,
				  memory_order order)
{
	_Atomic uint64_t *shard;
	size_t cpu;

	if (!data || data->opaque[0] != ibc__quick(data, data->opaque[1]) ||
	    !ibc__cpu_quick(&cpu))
		return false;
	shard = (void *)(data->opaque[1] + cpu * data->opaque[2]);
	return atomic_fetch_add_explicit(shard, add, order) & IBC_SHARD_LIVE;
}

#endif /* IBC_QUICK_H */
