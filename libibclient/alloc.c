// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Allocate once. Who finds the slot empty makes an attempt: it lives on that
 * thread's stack, the slot points to it, and alloc_client_data() runs with no
 * lock held. Those who come meanwhile hang a waiter, on their own stacks, on
 * the attempt; its thread takes a reference for each and fills them all in.
 *
 * A thread that would wait for an attempt first follows the chain: who makes
 * that attempt, what does that thread wait for, and so on. If the chain comes
 * back to itself, nobody would ever wake up: EDEADLK. graph_lock guards the
 * chain, which may run through several registries; it nests inside reg->lock.
 */
#include "data.h"
#include "quick.h"

struct waiter {
	TAILQ_ENTRY(waiter) entry;
	struct thread *thread;
	struct ibc_client_data *data;
	int error;
	bool done;
};

struct thread {
	struct ibc__attempt *waits_for; /* graph_lock */
};

struct ibc__attempt {
	struct thread *thread; /* who makes it */
	struct ibc__ref *ref;  /* for the data to come */
	TAILQ_HEAD(, waiter) waiters;
	unsigned int num_waiters;
};

static pthread_mutex_t graph_lock = PTHREAD_MUTEX_INITIALIZER;
static __thread struct thread self;

/* false if the wait would be for oneself */
static bool may_wait_for(struct ibc__attempt *attempt)
{
	struct ibc__attempt *next = attempt;

	pthread_mutex_lock(&graph_lock);
	while (next && next->thread != &self)
		next = next->thread->waits_for;
	if (!next)
		self.waits_for = attempt;
	pthread_mutex_unlock(&graph_lock);
	return !next;
}

/* lock held; it is dropped while waiting */
static int join_attempt(struct ibc__slot *slot, struct ibc_client_data **data)
{
	struct ibc_registry *reg = slot->dev->reg;
	struct ibc__attempt *attempt = slot->attempt;
	struct waiter waiter = { .thread = &self };

	if (!may_wait_for(attempt))
		return EDEADLK;
	TAILQ_INSERT_TAIL(&attempt->waiters, &waiter, entry);
	attempt->num_waiters++;
	while (!waiter.done)
		ibc__cond_wait(reg, &reg->changed, IBC_FOREVER);
	*data = waiter.data;
	return waiter.error;
}

static struct ibc_client_data *call_alloc(struct ibc__slot *slot,
					  struct ibc_client *client, int *error)
{
	struct ibc_client_data *data;
	struct ibc__frame frame;

	ibc__enter(&frame, slot->dev->reg);
	errno = 0;
	data = client->alloc_client_data(client, slot->dev);
	*error = data ? 0 : errno ? errno : ENOMEM;
	ibc__leave(&frame);
	IBC_PROBE(alloc, slot->dev, ibc__client_name(slot->client), data,
		  *error);
	return data;
}

/*
 * Lock held, after a successful alloc. Publishes the new object or finds why
 * not: the device or the client is going, add() failed meanwhile, or somebody
 * set another object. Returns an errno; *data is what everybody gets.
 */
static int settle(struct ibc__slot *slot, struct ibc_client *client,
		  struct ibc__attempt *attempt, struct ibc_client_data **data)
{
	bool unused = slot->client->flags & IBC_CLIENT_FREE_UNUSED;
	unsigned int callers = attempt->num_waiters + 1;
	struct ibc__ref *present;

	ibc__data_attach(*data, slot, client, attempt->ref);
	if (slot->status)
		return slot->status;
	present = ibc__slot_current(slot);
	if (present && ibc__ref_tryget(present, callers)) {
		*data = present->data;
		return 0;
	}
	ibc__slot_publish(slot, attempt->ref, callers + (unused ? 0 : 1));
	return 0;
}

/*
 * Lock held: tells all who waited. They are taken out of the chain here and
 * not when they wake up: the attempt is gone by then.
 */
static void share(struct ibc__attempt *attempt, struct ibc_client_data *data,
		  int error)
{
	struct waiter *waiter;

	pthread_mutex_lock(&graph_lock);
	while ((waiter = TAILQ_FIRST(&attempt->waiters))) {
		TAILQ_REMOVE(&attempt->waiters, waiter, entry);
		waiter->data = error ? NULL : data;
		waiter->error = error;
		waiter->thread->waits_for = NULL;
		waiter->done = true;
	}
	pthread_mutex_unlock(&graph_lock);
}

/* lock held: the attempt is over; *surplus is an object that nobody wants */
static int conclude(struct ibc__slot *slot, struct ibc_client *client,
		    struct ibc__attempt *attempt, struct ibc_client_data **data,
		    int error, struct ibc__ref **surplus)
{
	struct ibc_registry *reg = slot->dev->reg;
	struct ibc_client_data *made = *data;

	slot->attempt = NULL;
	if (made) {
		reg->stats.allocs++;
		error = settle(slot, client, attempt, data);
		if (error || *data != made) {
			ibc__ref_first(attempt->ref);
			*surplus = attempt->ref;
		}
	} else {
		reg->stats.allocs_failed++;
		ibc__ref_recycle(attempt->ref);
		ibc__unpin(slot);
	}
	share(attempt, *data, error);
	ibc__changed(reg);
	return error;
}

/* lock held; it is dropped for the callback */
static int make_attempt(struct ibc__slot *slot, struct ibc_client *client,
			struct ibc_client_data **data)
{
	struct ibc_registry *reg = slot->dev->reg;
	struct ibc__attempt attempt = { .thread = &self };
	struct ibc__ref *surplus = NULL;
	int error;

	TAILQ_INIT(&attempt.waiters);
	attempt.ref = ibc__ref_alloc(slot);
	if (!attempt.ref)
		return ENOMEM;
	slot->attempt = &attempt;
	ibc__pin(slot);
	ibc__unlock(reg);
	*data = call_alloc(slot, client, &error);
	ibc__lock(reg);
	error = conclude(slot, client, &attempt, data, error, &surplus);
	if (surplus) {
		ibc__unlock(reg);
		ibc__ref_put(surplus);
		ibc__lock(reg);
	}
	return error;
}

/* lock held */
static int alloc_or_get(struct ibc__slot *slot, struct ibc_client *client,
			struct ibc_client_data **data)
{
	int error = ibc__data_status(slot, client);
	struct ibc__ref *ref;

	if (error)
		return error;
	ref = ibc__slot_current(slot);
	if (ref && ibc__ref_tryget(ref, 1)) {
		*data = ref->data;
		return 0;
	}
	if (!client->alloc_client_data)
		return ENOENT;
	if (slot->attempt)
		return join_attempt(slot, data);
	return make_attempt(slot, client, data);
}

/* @taken: where a reference was taken on what may not be the client's; or 0 */
static __attribute__((noinline)) struct ibc_client_data *
alloc_otherwise(struct ibc_device *dev, struct ibc_client *client,
		uintptr_t taken, void *caller)
{
	struct ibc__slot *slot = ibc__data_slot(dev, client);
	struct ibc_client_data *data;
	int error;

	if (taken)
		ibc__ref_put(ibc__found_ref(dev, taken));
	if (!slot)
		return NULL;
	data = ibc__slot_get(slot, client);
	if (!data && errno == ENOENT) {
		ibc__lock(dev->reg);
		error = alloc_or_get(slot, client, &data);
		ibc__unlock(dev->reg);
		if (error)
			return ibc__null(error);
	}
	if (data)
		ibc__came(ibc__data_ref(data), caller);
	return data;
}

struct ibc_client_data *ibc_alloc_or_get_client_data(struct ibc_device *dev,
						     struct ibc_client *client)
{
	return ibc__quick_get(dev, client, alloc_otherwise);
}
