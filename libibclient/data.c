// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Client data: get, hold, put, init, set, cmpxchg. alloc.c has alloc_or_get.
 *
 * data->opaque[0] is the object's counter, opaque[1] a cookie by which an
 * object that was never initialised is told. reg->lock is taken by what
 * publishes; get, hold and put take none.
 *
 * What gives the caller a reference tells holders.c, if asked for, and put does
 * before it drops one. The library's own references are none of that.
 */
#include "data.h"

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
	struct ibc__ref *ref, *last = NULL;
	int status;

	for (;;) {
		ref = atomic_load_explicit(&slot->cur, memory_order_acquire);
		if (!ref || ref == last)
			break;
		if (ibc__ref_tryget(ref, 1))
			return checked(ref, client);
		last = ref; /* replaced meanwhile, or its last put */
	}
	status = atomic_load_explicit(&slot->status, memory_order_acquire);
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

struct ibc__ref *ibc__data_ref(struct ibc_client_data *data)
{
	struct ibc__ref *ref = (struct ibc__ref *)data->opaque[0];

	return data->opaque[1] == ibc__data_cookie(data, ref) ? ref : NULL;
}

/* tracked, or there is something wrong */
static __attribute__((noinline)) struct ibc_client_data *
get_otherwise(struct ibc_device *dev, struct ibc_client *client, void *caller)
{
	struct ibc__slot *slot = ibc__data_slot(dev, client);
	struct ibc_client_data *data =
		slot ? ibc__slot_get(slot, client) : NULL;

	if (data)
		ibc__came(ibc__data_ref(data), caller);
	return data;
}

struct ibc_client_data *ibc_get_client_data(struct ibc_device *dev,
					    struct ibc_client *client)
{
	struct ibc__slot *slot;

	if (!dev || dev->magic != IBC_DEVICE_MAGIC || !ibc__plain(dev->reg))
		return get_otherwise(dev, client, __builtin_return_address(0));
	slot = slot_of(dev, client);
	return slot ? ibc__slot_get(slot, client) : NULL;
}

static bool is_ours(struct ibc__ref *ref)
{
	return ref->slot->dev->reg->generation == ibc__generation;
}

static __attribute__((noinline)) void hold_otherwise(struct ibc__ref *ref,
						     void *caller)
{
	if (!is_ours(ref))
		return;
	atomic_fetch_add_explicit(&ref->word, 1, memory_order_relaxed);
	ibc__came(ref, caller);
}

void ibc_hold_client_data(struct ibc_client_data *data)
{
	struct ibc__ref *ref = data ? ibc__data_ref(data) : NULL;

	if (!ref)
		return;
	if (ibc__plain(ref->slot->dev->reg))
		atomic_fetch_add_explicit(&ref->word, 1, memory_order_relaxed);
	else
		hold_otherwise(ref, __builtin_return_address(0));
}

/* the record goes before the reference: while there is something to hold */
static __attribute__((noinline)) bool put_otherwise(struct ibc__ref *ref)
{
	if (!is_ours(ref))
		return false;
	ibc__holder_goes(ref->slot->dev->reg->tracker, ref);
	return ibc__ref_put(ref);
}

bool ibc_put_client_data(struct ibc_client_data *data)
{
	struct ibc__ref *ref = data ? ibc__data_ref(data) : NULL;

	if (!ref)
		return false;
	if (ibc__plain(ref->slot->dev->reg))
		return ibc__ref_put(ref);
	return put_otherwise(ref);
}

/* lock held: why the device or the client can have no new data, or 0 */
int ibc__data_going(struct ibc__slot *slot, struct ibc_client *client)
{
	if (slot->dev->state != IBC_DEVICE_LIVE)
		return ENODEV;
	if (!slot->client || slot->client->client != client ||
	    slot->client->dying)
		return ESHUTDOWN;
	return 0;
}

/* lock held: as get would say, or 0 */
int ibc__data_status(struct ibc__slot *slot, struct ibc_client *client)
{
	if (!slot->client || slot->client->client != client)
		return ESHUTDOWN; /* unregistered beside us */
	return slot->status;
}

/* @ref is of the slot, and nobody else's */
void ibc__data_attach(struct ibc_client_data *data, struct ibc__slot *slot,
		      struct ibc_client *client, struct ibc__ref *ref)
{
	data->device = slot->dev;
	data->client = client;
	data->opaque[0] = (uintptr_t)ref;
	data->opaque[1] = ibc__data_cookie(data, ref);
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
		atomic_store(&ref->word, IBC_REF_CLOSED | 1);
		ibc__pin(slot);
		ibc__came(ref, __builtin_return_address(0));
	}
	ibc__unlock(dev->reg);
	return error;
}

/* what is in the slot and still has references; empties it of what has none */
struct ibc__ref *ibc__slot_current(struct ibc__slot *slot)
{
	struct ibc__ref *ref = slot->cur;

	if (ref && !(atomic_load(&ref->word) & IBC_REF_COUNT))
		slot->cur = ref = NULL;
	return ref;
}

/*
 * Lock held. Puts @ref (NULL: nothing) in the slot; returns what the registry
 * had a reference on, to be put without the lock.
 */
static struct ibc__ref *replace(struct ibc__slot *slot, struct ibc__ref *ref)
{
	bool unused = slot->client->flags & IBC_CLIENT_FREE_UNUSED;
	struct ibc__ref *old = ibc__slot_current(slot);

	if (old == ref)
		return NULL;
	if (ref)
		ibc__slot_publish(slot, ref, unused ? 0 : 1);
	else
		slot->cur = NULL;
	if (old)
		atomic_fetch_or(&old->word, IBC_REF_CLOSED);
	return unused ? NULL : old;
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
