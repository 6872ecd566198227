// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The history of each (client, incarnation), and whether what is called next
 * may follow. Tables of a fixed size, by incarnation, so that a run may last for
 * days; an entry that is taken anew must have come to its end.
 */
#include <string.h>

#include "history.h"

/* is a callback of this device running? Plain: see torture.h. */
static bool busy[NUM_PAIRS];

static bool *busy_of(struct ibc_device *dev)
{
	return &busy[ibc_device_incarnation(dev) % NUM_PAIRS];
}

void device_enter(struct ibc_device *dev)
{
	bool *is = busy_of(dev);

	must(!*is);
	*is = true;
}

void device_leave(struct ibc_device *dev)
{
	bool *is = busy_of(dev);

	must(*is);
	*is = false;
}

struct pair *pair_of(struct client *c, struct ibc_device *dev)
{
	return &c->pairs[ibc_device_incarnation(dev) % NUM_PAIRS];
}

/* an earlier incarnation or registration had it */
static void take_anew(struct client *c, struct pair *pair, uint64_t incarnation)
{
	must(pair->registration != c->registration || pair->state != ADDED);
	pair->incarnation = incarnation;
	pair->registration = c->registration;
	pair->state = NOTHING;
	atomic_store_explicit(&pair->failed_once, false, memory_order_relaxed);
	atomic_store_explicit(&pair->got, false, memory_order_relaxed);
}

struct pair *callback_begins(struct client *c, struct ibc_device *dev)
{
	uint64_t incarnation = ibc_device_incarnation(dev);
	struct pair *pair = pair_of(c, dev);

	must(!c->fenced);
	device_enter(dev);
	if (pair->incarnation != incarnation ||
	    pair->registration != c->registration)
		take_anew(c, pair, incarnation);
	return pair;
}

void callback_ends(struct client *c, struct ibc_device *dev)
{
	must(!c->fenced);
	device_leave(dev);
}

/* others replace, withdraw or free it, or one of a failed add() is left */
bool keeps_one_object(struct client *c, struct pair *pair)
{
	return !c->replaces && !(c->ibc.flags & IBC_CLIENT_FREE_UNUSED) &&
	       !atomic_load_explicit(&pair->failed_once, memory_order_relaxed);
}

void history_begin(struct client *c)
{
	c->registration++;
	c->fenced = false;
	atomic_store_explicit(&c->removed, 0, memory_order_relaxed);
	must(!atomic_load_explicit(&c->objects, memory_order_relaxed));
}

/* plain reads of what callbacks wrote: the fence orders them, or TSan speaks */
void history_end(struct client *c)
{
	unsigned int i;

	c->fenced = true;
	must(!atomic_load_explicit(&c->objects, memory_order_relaxed));
	for (i = 0; i < NUM_PAIRS; i++) {
		if (c->pairs[i].registration != c->registration)
			continue;
		must(c->pairs[i].state != ADDED);
		must(!c->pairs[i].allocating && !c->pairs[i].objects);
	}
	for (i = 0; i < 4; i++)
		must(!c->ibc.opaque[i]);
}

void history_forget(void)
{
	unsigned int i;

	for (i = 0; i < NUM_PAIRS; i++)
		must(!busy[i]);
}
