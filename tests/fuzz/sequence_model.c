// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See sequence.h. */
#include <string.h>

#include "sequence.h"

static bool free_unused(const struct client *c)
{
	return c->ibc.flags & IBC_CLIENT_FREE_UNUSED;
}

unsigned int model_count(const struct object *o)
{
	return o->mine + o->registrys + o->borrowed;
}

/* without a reference it is free to be freed, and found no more */
static void maybe_unused(struct object *o)
{
	struct pair *pair = &world.clients[o->client].pairs[o->device];

	if (!model_count(o) && pair->slot == o)
		pair->slot = NULL;
}

void model_put(struct object *o)
{
	fuzz_check(o->mine);
	o->mine--;
	maybe_unused(o);
}

/* get fails from here on; what was there is kept for remove() */
static void kill(struct client *c, struct pair *pair, int why)
{
	if (!pair->why)
		pair->why = why;
	if (!pair->slot)
		return;
	pair->held = pair->slot;
	pair->held->registrys = true;
	pair->slot = NULL;
	(void)c;
}

static void drop_held(struct pair *pair)
{
	struct object *o = pair->held;

	pair->held = NULL;
	if (o)
		o->registrys = false;
}

void model_sync(void)
{
	struct device *d;
	unsigned int i, n;

	for (n = 0; n < world.num_devices; n++) {
		d = &world.devices[n];
		if (d->going || !d->dev ||
		    ibc_device_state(d->dev) == IBC_DEVICE_LIVE)
			continue;
		fuzz_check(d->reason);
		d->going = true;
		for (i = 0; i < NUM_CLIENTS; i++)
			if (world.clients[i].registered)
				kill(&world.clients[i],
				     &world.clients[i].pairs[n], ENODEV);
	}
}

struct device *model_device(struct ibc_device *dev)
{
	struct device *d;
	unsigned int i;

	for (i = 0; i < world.num_devices; i++)
		if (world.devices[i].dev == dev)
			return &world.devices[i];
	if (world.num_devices == MAX_DEVICES)
		return NULL;
	d = &world.devices[world.num_devices++];
	d->dev = ibc_get_device(dev);
	fuzz_check(d->dev);
	d->index = ibc_device_index(dev);
	/* a removal may have begun for a reason before we knew of it */
	d->reason = true;
	for (i = 0; i < NUM_NAMES; i++)
		if (world.kernel[i].listed && !world.kernel[i].kept_away &&
		    world.kernel[i].index == d->index)
			d->reason = false;
	for (i = 0; i < NUM_CLIENTS; i++)
		if (world.clients[i].dying)
			world.clients[i].pairs[d - world.devices].why =
				ESHUTDOWN;
	model_sync();
	return d;
}

struct object *model_new_object(unsigned int client, unsigned int device)
{
	struct object *o;
	unsigned int i;

	for (i = 0; i < MAX_OBJECTS; i++) {
		o = &world.objects[i];
		if (o->used && !o->freed)
			continue;
		memset(o, 0, sizeof(*o));
		memset(&o->data, 0xa5, sizeof(o->data));
		o->client = client;
		o->device = device;
		o->used = true;
		return o;
	}
	return NULL;
}

int model_status(struct client *c, unsigned int device)
{
	struct pair *pair = &c->pairs[device];

	if (!c->registered)
		return EINVAL;
	if (pair->why)
		return pair->why;
	switch (pair->state) {
	case PAIR_ADDING:
	case PAIR_ADDED:
		return 0;
	case PAIR_DECLINED:
		return EOPNOTSUPP;
	default:
		return ENOENT;
	}
}

void model_set(struct client *c, unsigned int device, struct object *o)
{
	struct pair *pair = &c->pairs[device];
	struct object *old = pair->slot;

	if (old == o)
		return;
	pair->slot = o;
	if (o)
		o->registrys = !free_unused(c);
	if (old)
		old->registrys = false;
}

void model_dies(struct client *c)
{
	unsigned int n;

	model_sync();
	if (c->dying)
		return;
	c->dying = true;
	for (n = 0; n < world.num_devices; n++)
		kill(c, &c->pairs[n], ESHUTDOWN);
}

void model_is_gone(struct client *c)
{
	unsigned int i;

	for (i = 0; i < MAX_OBJECTS; i++)
		fuzz_check(!world.objects[i].used || world.objects[i].freed ||
			   &world.clients[world.objects[i].client] != c);
	for (i = 0; i < world.num_devices; i++)
		fuzz_check(c->pairs[i].state != PAIR_ADDED &&
			   c->pairs[i].state != PAIR_ADDING);
	memset(c->pairs, 0, sizeof(c->pairs));
	c->registered = c->dying = false;
	fuzz_check(!c->ibc.opaque[0]);
}

/* ---- the clients' callbacks ---- */

/* one at a time for each device, and not after the client has left */
static struct pair *begin(struct client *c, struct ibc_device *dev, bool open)
{
	struct device *d = model_device(dev);

	fuzz_check(c->registered);
	fuzz_check(!!ibc_device_context(dev) == open);
	if (!d)
		return NULL;
	fuzz_check(d->callbacks++ == 0);
	world.depth++;
	model_sync();
	return &c->pairs[d - world.devices];
}

static void end(struct pair *pair, struct client *c)
{
	if (!pair)
		return;
	sequence_step();
	model_sync();
	world.devices[pair - c->pairs].callbacks--;
	world.depth--;
}

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	struct client *c = (struct client *)client;
	struct pair *pair = begin(c, dev, true);
	int result = c->add_result;

	if (!pair) /* one too many for the model */
		return EOPNOTSUPP;
	fuzz_check(!c->dying && !pair->why);
	fuzz_check(pair->state == PAIR_NEW || pair->state == PAIR_RETRY);
	c->add_result = 0;
	pair->state = PAIR_ADDING;
	end(pair, c);
	if (!result) {
		pair->state = PAIR_ADDED;
		return 0;
	}
	pair->state = result == EOPNOTSUPP ? PAIR_DECLINED : PAIR_RETRY;
	kill(c, pair, 0);
	drop_held(pair);
	return result;
}

static void remove_(struct ibc_client *client, struct ibc_device *dev,
		    struct ibc_client_data *data)
{
	struct client *c = (struct client *)client;
	struct pair *pair = begin(c, dev, true);

	fuzz_check(pair && pair->state == PAIR_ADDED && pair->why);
	fuzz_check(data == (pair->held ? &pair->held->data : NULL));
	pair->state = PAIR_REMOVING;
	end(pair, c);
	pair->state = PAIR_REMOVED;
	drop_held(pair);
}

static void gone(struct ibc_client *client, struct ibc_device *dev)
{
	struct client *c = (struct client *)client;
	struct pair *pair = begin(c, dev, false);

	fuzz_check(ibc_device_state(dev) == IBC_DEVICE_GONE);
	fuzz_check(pair && pair->state == PAIR_REMOVED);
	pair->state = PAIR_GONE;
	end(pair, c);
}

static void rename_(struct ibc_client *client, struct ibc_device *dev,
		    const char *old_name)
{
	struct client *c = (struct client *)client;
	struct pair *pair = begin(c, dev, true);

	fuzz_check(pair && pair->state == PAIR_ADDED);
	fuzz_check(old_name[0]);
	end(pair, c);
}

static void event(struct ibc_client *client, struct ibc_device *dev,
		  struct ibc_client_data *data, const struct ibc_event *e)
{
	struct client *c = (struct client *)client;
	struct pair *pair = begin(c, dev, true);
	struct object *o;

	fuzz_check(pair && pair->state == PAIR_ADDED && e->count);
	o = pair->slot ? pair->slot : pair->held;
	fuzz_check(data == (o ? &o->data : NULL));
	if (o)
		o->borrowed = true;
	end(pair, c);
	if (!o)
		return;
	o->borrowed = false;
	maybe_unused(o);
}

static struct ibc_client_data *alloc(struct ibc_client *client,
				     struct ibc_device *dev)
{
	struct client *c = (struct client *)client;
	struct device *d = model_device(dev);
	unsigned int n = d - world.devices;
	struct pair *pair = &c->pairs[n];
	struct object *o;
	int error = c->alloc_error;

	c->alloc_error = 0;
	fuzz_check(d && c->registered && ibc_device_context(dev));
	fuzz_check(pair->allocating);
	world.depth++;
	sequence_step();
	world.depth--;
	model_sync();
	fuzz_check(ibc_device_context(dev));
	o = error ? NULL : model_new_object(c - world.clients, n);
	if (!o) {
		errno = pair->error = error ? error : ENOSPC;
		return NULL;
	}
	pair->error = model_status(c, n);
	if (pair->error)
		return &o->data; /* nobody wants it any more */
	if (!pair->slot)
		model_set(c, n, o);
	pair->result = pair->slot;
	pair->result->mine++;
	return &o->data;
}

static void free_(struct ibc_client_data *data)
{
	struct object *o = (struct object *)data;
	struct client *c = &world.clients[o->client];

	fuzz_check(o->used && !o->freed && !model_count(o));
	fuzz_check(c->registered);
	fuzz_check(data->device == world.devices[o->device].dev &&
		   data->client == &c->ibc);
	fuzz_check(ibc_device_context(data->device));
	world.depth++;
	sequence_step();
	world.depth--;
	fuzz_check(ibc_device_context(data->device));
	o->freed = true;
}

void model_client(struct client *c, uint32_t flags)
{
	memset(c, 0, sizeof(*c));
	c->ibc.name = "client";
	c->ibc.flags = flags;
	c->ibc.add = add;
	c->ibc.remove = remove_;
	c->ibc.gone = gone;
	c->ibc.rename = rename_;
	c->ibc.event = event;
	c->ibc.alloc_client_data = alloc;
	c->ibc.free_client_data = free_;
	c->registered = true;
	for (unsigned int n = 0; n < world.num_devices; n++)
		if (world.devices[n].going)
			c->pairs[n].why = ENODEV;
}

/* ---- at rest ---- */

static unsigned int objects_of(unsigned int device)
{
	unsigned int i, n = 0;

	for (i = 0; i < MAX_OBJECTS; i++)
		n += world.objects[i].used && !world.objects[i].freed &&
		     world.objects[i].device == device;
	return n;
}

static void pair_settled(struct client *c, unsigned int n)
{
	struct device *d = &world.devices[n];
	enum pair_state state = c->pairs[n].state;
	bool open = ibc_device_state(d->dev) == IBC_DEVICE_DRAINING;

	fuzz_check(state != PAIR_ADDING && state != PAIR_REMOVING);
	if (!d->going)
		fuzz_check(c->dying ? state != PAIR_ADDED : state != PAIR_NEW);
	else
		fuzz_check(state != PAIR_ADDED);
	if (d->going && !open && !c->dying)
		fuzz_check(state != PAIR_REMOVED);
}

void model_settled(void)
{
	struct device *d;
	unsigned int i, n;

	for (i = 0; i < MAX_OBJECTS; i++)
		fuzz_check(!world.objects[i].used || world.objects[i].freed ||
			   model_count(&world.objects[i]));
	for (n = 0; n < world.num_devices; n++) {
		d = &world.devices[n];
		fuzz_check(d->going ==
			   (ibc_device_state(d->dev) != IBC_DEVICE_LIVE));
		if (d->going)
			fuzz_check((ibc_device_state(d->dev) ==
				    IBC_DEVICE_GONE) == !objects_of(n));
		for (i = 0; i < NUM_CLIENTS; i++)
			if (world.clients[i].registered)
				pair_settled(&world.clients[i], n);
	}
}
