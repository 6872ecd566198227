// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See sequence.h: the data of clients. */
#include "sequence.h"

struct place {
	struct client *c;
	struct device *d;
	unsigned int n;
	struct pair *pair;
	int status;
};

/* a client and a device; false: there is none yet */
static bool place(struct input *in, struct place *p)
{
	p->c = sequence_client(in);
	p->d = sequence_device(in);
	if (!p->d)
		return false;
	model_sync();
	p->n = p->d - world.devices;
	p->pair = &p->c->pairs[p->n];
	p->status = model_status(p->c, p->n);
	return true;
}

static void check_got(struct ibc_client_data *data, const struct object *o,
		      int error)
{
	if (o)
		fuzz_check(data == &o->data);
	else
		fuzz_check(!data && errno == error);
}

void sequence_get(struct input *in)
{
	struct ibc_client_data *data;
	struct place p;

	if (!place(in, &p))
		return;
	errno = 0;
	data = ibc_get_client_data(p.d->dev, &p.c->ibc);
	check_got(data, p.status ? NULL : p.pair->slot,
		  p.status ? p.status : ENOENT);
	if (data)
		p.pair->slot->mine++;
}

void sequence_alloc_or_get(struct input *in)
{
	struct ibc_client_data *data;
	struct place p;

	if (!place(in, &p))
		return;
	if (p.status || p.pair->slot || p.pair->allocating) {
		errno = 0;
		data = ibc_alloc_or_get_client_data(p.d->dev, &p.c->ibc);
		check_got(data, p.status ? NULL : p.pair->slot,
			  p.status ? p.status : EDEADLK);
		if (data)
			p.pair->slot->mine++;
		return;
	}
	p.pair->allocating = true;
	p.pair->result = NULL;
	p.pair->error = 0;
	errno = 0;
	data = ibc_alloc_or_get_client_data(p.d->dev, &p.c->ibc);
	p.pair->allocating = false;
	check_got(data, p.pair->result, p.pair->error);
}

static struct object *object(struct input *in)
{
	struct object *o = &world.objects[number(in) % MAX_OBJECTS];

	return o->used && !o->freed && o->mine ? o : NULL;
}

void sequence_hold(struct input *in)
{
	struct object *o = object(in);

	if (!o || o->mine > 100)
		return;
	o->mine++;
	ibc_hold_client_data(&o->data);
}

void sequence_put(struct object *o)
{
	bool defer = world.clients[o->client].ibc.flags & IBC_CLIENT_DEFER_FREE;
	bool last;

	model_sync();
	last = model_count(o) == 1;
	model_put(o);
	fuzz_check(ibc_put_client_data(&o->data) == last);
	if (last && !defer)
		fuzz_check(o->freed);
}

void sequence_put_one(struct input *in)
{
	struct object *o = object(in);

	if (o)
		sequence_put(o);
}

void sequence_init(struct input *in)
{
	struct object *o;
	struct place p;
	int error;

	if (!place(in, &p))
		return;
	o = model_new_object(p.c - world.clients, p.n);
	if (!o)
		return;
	error = !p.c->registered ? EINVAL :
		p.d->going	 ? ENODEV :
		p.c->dying	 ? ESHUTDOWN :
				   0;
	fuzz_check(ibc_init_client_data(&o->data, p.d->dev, &p.c->ibc) ==
		   error);
	o->used = !error;
	o->mine = !error;
}

void sequence_set(struct input *in)
{
	struct object *o = object(in);
	struct place p;
	int error;

	if (!place(in, &p))
		return;
	if (!p.c->registered)
		error = EINVAL;
	else if (o && (&world.clients[o->client] != p.c || o->device != p.n))
		error = EINVAL;
	else
		error = p.status;
	if (!error)
		model_set(p.c, p.n, o);
	fuzz_check(ibc_set_client_data(p.d->dev, &p.c->ibc,
				       o ? &o->data : NULL) == error);
}

void sequence_cmpxchg(struct input *in)
{
	struct object *old = object(in), *o = object(in), *winner = NULL;
	struct ibc_client_data *current = NULL;
	struct place p;
	int error;

	if (!place(in, &p))
		return;
	if (!p.c->registered)
		error = EINVAL;
	else if (o && (&world.clients[o->client] != p.c || o->device != p.n))
		error = EINVAL;
	else
		error = p.status;
	if (!error && p.pair->slot != old) {
		error = EAGAIN;
		winner = p.pair->slot;
	}
	if (!error)
		model_set(p.c, p.n, o);
	fuzz_check(ibc_cmpxchg_client_data(
			   p.d->dev, &p.c->ibc, old ? &old->data : NULL,
			   o ? &o->data : NULL, &current) == error);
	fuzz_check(current == (winner ? &winner->data : NULL));
	if (winner)
		winner->mine++;
}
