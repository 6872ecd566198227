// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Client data: get, hold, put, init, set, cmpxchg. alloc.c has alloc_or_get.
 *
 * data->opaque[3] is the object's counter, opaque[4] a cookie by which an
 * object that was never initialised is told; for the others see quick.h. reg->lock
 * is taken by what publishes; get, hold and put take none.
 *
 * Get, hold and put first try the usual case. If it is another, or was on the way,
 * they begin anew by a function that knows all cases.
 *
 * What gives the caller a reference tells holders.c, if asked for, and put does
 * before it drops one. The library's own references are none of that.
 */
#include "data.h"
#include "quick.h"

/*
 * A client that is unregistered beside us may be registered anew, elsewhere,
 * between the look at it and the look at its slot: what was found must be its.
 */
static struct ibc_client_data *checked(struct ibc__ref *ref,
				       struct ibc_client *client)
{
	if (ref->data->client == client)
		return ref->data;
	ibc__ref_put(ref);
	return ibc__null(ESHUTDOWN);
}

struct ibc_client_data *ibc__slot_get(struct ibc__slot *slot,
				      struct ibc_client *client)
{
	enum ibc__got got;
	struct ibc__ref *ref;
	int status;

	do {
		ref = atomic_load_explicit(&slot->cur, memory_order_acquire);
		got = ref ? ibc__ref_get(ref, 1) : IBC_GOT_NOTHING;
		if (got == IBC_GOT)
			return checked(ref, client);
		status = atomic_load_explicit(&slot->status,
					      memory_order_acquire);
		/* closed but no status: there is something else by now */
	} while (got == IBC_GOT_CLOSED && !status);
	return ibc__null(status ? status : ENOENT);
}

static struct ibc__slot *slot_of(struct ibc_device *dev,
				 struct ibc_client *client)
{
	struct ibc__client *c = client ? ibc__client_of(client) : NULL;
	struct ibc__slot *slot;

	if (!c || c->reg != dev->reg)
		return ibc__null(EINVAL);
	slot = ibc__slot(dev, c->id);
	return slot ? slot : ibc__null(EINVAL);
}

/* NULL and errno if the pair cannot be right */
struct ibc__slot *ibc__data_slot(struct ibc_device *dev,
				 struct ibc_client *client)
{
	int error = ibc__device_check(dev);

	return error ? ibc__null(error) : slot_of(dev, client);
}

/* @taken: where a reference was taken on what may not be the client's; or 0 */
static __attribute__((noinline)) struct ibc_client_data *
get_otherwise(struct ibc_device *dev, struct ibc_client *client,
	      uintptr_t taken, void *caller)
{
	struct ibc__slot *slot = ibc__data_slot(dev, client);
	struct ibc_client_data *data;

	if (taken)
		ibc__ref_put(ibc__found_ref(dev, taken));
	data = slot ? ibc__slot_get(slot, client) : NULL;
	if (data)
		ibc__came(ibc__data_ref(data), caller);
	return data;
}

/* nobody counts there: what has replaced it may be counted elsewhere, see found.c */
__attribute__((noinline)) struct ibc_client_data *
ibc__quick_get_other(struct ibc_device *dev, struct ibc_client *client,
		     struct ibc__found *found, ibc__otherwise *otherwise,
		     void *caller)
{
	uintptr_t what =
		atomic_load_explicit(&found->what, memory_order_acquire);
	struct ibc__ref *ref = (struct ibc__ref *)(what - IBC_FOUND_OTHER);

	if (what > IBC_FOUND_OTHER && what & IBC_FOUND_OTHER &&
	    ibc__ref_shard_add(ref, IBC_SHARD_ONE, memory_order_acquire)) {
		if (__builtin_expect(ref->data->client == client, 1))
			return ref->data;
		ibc__ref_put(ref);
	}
	return otherwise(dev, client, 0, caller);
}

struct ibc_client_data *ibc_get_client_data(struct ibc_device *dev,
					    struct ibc_client *client)
{
	return ibc__quick_get(dev, client, get_otherwise);
}

/* of this process; of a parent's nothing is done */
static struct ibc__ref *our_ref(struct ibc_client_data *data)
{
	struct ibc__ref *ref = data ? ibc__data_ref(data) : NULL;

	return ref && ref->reg->generation == ibc__generation ? ref : NULL;
}

static __attribute__((noinline)) void
hold_otherwise(struct ibc_client_data *data, void *caller)
{
	struct ibc__ref *ref = our_ref(data);

	if (!ref)
		return;
	ibc__ref_hold(ref);
	ibc__came(ref, caller);
}

void ibc_hold_client_data(struct ibc_client_data *data)
{
	if (!ibc__quick_add(data, IBC_SHARD_ONE, memory_order_relaxed))
		hold_otherwise(data, __builtin_return_address(0));
}

/* the record goes before the reference: while there is something to hold */
static __attribute__((noinline)) bool
put_otherwise(struct ibc_client_data *data)
{
	struct ibc__ref *ref = our_ref(data);

	if (!ref)
		return false;
	if (ref->reg->tracker)
		ibc__holder_goes(ref->reg->tracker, ref);
	return ibc__ref_put(ref);
}

bool ibc_put_client_data(struct ibc_client_data *data)
{
	if (ibc__quick_add(data, -IBC_SHARD_ONE, memory_order_release))
		return false;
	return put_otherwise(data);
}

/* lock held: why the device or the client can have no new data, or 0 */
int ibc__data_going(struct ibc__slot *slot, struct ibc_client *client)
{
	if (slot->dev->state != IBC_DEVICE_LIVE)
		return ENODEV;
	if (slot->client->client != client || slot->client->dying)
		return ESHUTDOWN;
	return 0;
}

/* lock held: as get would say, or 0 */
int ibc__data_status(struct ibc__slot *slot, struct ibc_client *client)
{
	if (slot->client->client != client)
		return ESHUTDOWN; /* unregistered beside us */
	return slot->status;
}

/* @ref is of the slot, and nobody else's */
void ibc__data_attach(struct ibc_client_data *data, struct ibc__slot *slot,
		      struct ibc_client *client, struct ibc__ref *ref)
{
	data->device = slot->dev;
	data->client = client;
	data->opaque[3] = (uintptr_t)ref;
	data->opaque[4] = ibc__data_cookie(data, ref);
	ibc__quick_data(data, ref);
	ref->data = data;
}

int ibc_init_client_data(struct ibc_client_data *data, struct ibc_device *dev,
			 struct ibc_client *client)
{
	struct ibc__slot *slot = ibc__data_slot(dev, client);
	struct ibc__ref *ref = NULL;
	int error;

	if (!slot)
		return errno;
	if (!data)
		return EINVAL;
	ibc__lock(dev->reg);
	error = ibc__data_going(slot, client);
	if (!error) {
		ref = ibc__ref_alloc(slot);
		error = ref ? 0 : ENOMEM;
	}
	if (!error) {
		ibc__data_attach(data, slot, client, ref);
		ibc__ref_first(ref);
		ibc__pin(slot);
		IBC_PROBE(init, dev, ibc__client_name(slot->client), data);
		ibc__came(ref, __builtin_return_address(0));
	}
	ibc__unlock(dev->reg);
	return error;
}

/*
 * Lock held. Puts @ref (NULL: nothing) in the slot; returns what is to be put
 * without the lock.
 */
static struct ibc__ref *replace(struct ibc__slot *slot, struct ibc__ref *ref)
{
	bool unused = slot->client->flags & IBC_CLIENT_FREE_UNUSED;
	struct ibc__ref *old;

	if (ibc__slot_current(slot) == ref)
		return NULL;
	old = ibc__slot_keep(slot);
	if (ref)
		ibc__slot_publish(slot, ref, unused ? 0 : 1);
	else
		ibc__slot_set(slot, NULL);
	if (old)
		ibc__ref_kill(old);
	return old;
}

/* @data may be NULL; anything else must have been initialised for the pair */
static int check_data(struct ibc_client_data *data, struct ibc_device *dev,
		      struct ibc_client *client, struct ibc__ref **ref)
{
	*ref = NULL;
	if (!data)
		return 0;
	if (data->device != dev || data->client != client)
		return EINVAL;
	*ref = ibc__data_ref(data);
	return *ref ? 0 : EINVAL;
}

int ibc_set_client_data(struct ibc_device *dev, struct ibc_client *client,
			struct ibc_client_data *data)
{
	struct ibc__slot *slot = ibc__data_slot(dev, client);
	struct ibc__ref *ref, *old = NULL;
	int error;

	if (!slot)
		return errno;
	error = check_data(data, dev, client, &ref);
	if (error)
		return error;
	ibc__lock(dev->reg);
	error = ibc__data_status(slot, client);
	if (!error)
		old = replace(slot, ref);
	ibc__unlock(dev->reg);
	if (old)
		ibc__ref_put(old);
	return error;
}

/* lock held; what there is instead of the expected, with a reference */
static struct ibc_client_data *winner(struct ibc__slot *slot)
{
	struct ibc__ref *ref = ibc__slot_current(slot);

	return ref && ibc__ref_tryget(ref, 1) ? ref->data : NULL;
}

/* lock held; *old: as replace() */
static int exchange(struct ibc__slot *slot, struct ibc_client_data *expected,
		    struct ibc__ref *ref, struct ibc_client_data **current,
		    struct ibc__ref **old)
{
	struct ibc__ref *present = ibc__slot_current(slot);

	if ((present ? present->data : NULL) == expected) {
		*old = replace(slot, ref);
		return 0;
	}
	if (current)
		*current = winner(slot);
	return EAGAIN;
}

int ibc_cmpxchg_client_data(struct ibc_device *dev, struct ibc_client *client,
			    struct ibc_client_data *old,
			    struct ibc_client_data *data,
			    struct ibc_client_data **current)
{
	struct ibc__slot *slot = ibc__data_slot(dev, client);
	struct ibc__ref *ref, *dropped = NULL;
	int error;

	if (current)
		*current = NULL;
	if (!slot)
		return errno;
	error = check_data(data, dev, client, &ref);
	if (error)
		return error;
	ibc__lock(dev->reg);
	error = ibc__data_status(slot, client);
	if (!error)
		error = exchange(slot, old, ref, current, &dropped);
	ibc__unlock(dev->reg);
	if (current && *current)
		ibc__came(ibc__data_ref(*current), __builtin_return_address(0));
	if (dropped)
		ibc__ref_put(dropped);
	return error;
}
