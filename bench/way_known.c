// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How three that are in wide use share a PD for each device. Written from what they
 * do, as of 2026, in their shape; none of their code is here. None has clients: a
 * slot is its device's, whoever asks.
 *
 * SPDK, spdk_rdma_utils_get_pd() and spdk_rdma_utils_put_pd(): a global mutex; each
 * of the two fetches the list of devices, sorts it and merges it with the last one;
 * get then walks its own list for the context, put for the PD. (The list comes from
 * librdmacm, which fetches, sorts and merges for itself before; here that is done
 * once.)
 *
 * librdmacm, ucma_get_device() and ucma_put_device(): a global mutex, a walk for the
 * GUID or the index, a count; the PD is there once it was asked for.
 *
 * NCCL, ncclIbInitCommDevBase() and ncclIbDestroyBase(): an array, so nothing is
 * looked up; a mutex and a count in each device. Devices cannot be removed.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "device_list.h"
#include "table.h"

struct pd {
	int unused;
};

struct device {
	_Alignas(64) pthread_mutex_t mutex; /* NCCL's */
	struct device *next;
	uint64_t guid;
	int index;
	bool removed, opened;
	uint64_t refs;
	struct pd *pd, the_pd;
};

struct known {
	const struct table *table;
	pthread_mutex_t mutex; /* the others' */
	struct device *device, *first;
	struct device **last_list; /* SPDK's, sorted */
};

static uint64_t refs(const struct known *c, struct place at)
{
	return c->device[at.device].refs;
}

static void *open_known(const struct table *t)
{
	struct known *c = need_memory(sizeof(*c));
	unsigned int i;

	c->table = t;
	pthread_mutex_init(&c->mutex, NULL);
	c->device = need_memory(t->devices * sizeof(*c->device));
	for (i = t->devices; i--;) {
		pthread_mutex_init(&c->device[i].mutex, NULL);
		c->device[i].guid = i + 1;
		c->device[i].index = i;
		c->device[i].opened = true;
		c->device[i].refs = 1;
		c->device[i].pd = &c->device[i].the_pd;
		c->device[i].next = c->first;
		c->first = &c->device[i];
	}
	return c;
}

BALANCED(balanced, struct known, refs)

static bool close_known(void *context)
{
	struct known *c = context;
	bool good = balanced(c);
	unsigned int i;

	for (i = 0; i < c->table->devices; i++)
		pthread_mutex_destroy(&c->device[i].mutex);
	pthread_mutex_destroy(&c->mutex);
	free(c->last_list);
	free(c->device);
	free(c);
	return good;
}

/* ---- SPDK ---- */

static int compare(const void *a, const void *b)
{
	struct device *const *x = a, *const *y = b;

	return (*x > *y) - (*x < *y);
}

/* a list of what there is; in no order, to its reader */
static struct device **fetch(struct known *c)
{
	unsigned int i, num = c->table->devices;
	struct device **list;

	device_list(num);
	list = malloc((num + 1) * sizeof(*list));
	if (!list)
		fail("no memory for a list");
	for (i = 0; i < num; i++)
		list[i] = &c->device[num - 1 - i];
	list[num] = NULL;
	return list;
}

/* what is in one and not in the other has come or gone: here nothing has */
static void merge(struct device **old, struct device **new)
{
	while (*old || *new) {
		if (!*old || (*new &&*new < *old)) {
			(*new ++)->removed = false;
		} else if (!*new || *old < *new) {
			(*old++)->removed = true;
		} else {
			old++;
			new ++;
		}
	}
}

static void sync_devices(struct known *c)
{
	struct device **list = fetch(c);

	qsort(list, c->table->devices, sizeof(*list), compare);
	if (c->last_list)
		merge(c->last_list, list);
	free(c->last_list);
	c->last_list = list;
}

static inline struct pd *spdk_get(struct known *c, struct place at)
{
	const struct device *want = &c->device[at.device];
	struct pd *pd = NULL;
	struct device *d;

	pthread_mutex_lock(&c->mutex);
	sync_devices(c);
	for (d = c->first; d && (d != want || d->removed); d = d->next)
		;
	if (d) {
		d->refs++;
		pd = d->pd;
	}
	pthread_mutex_unlock(&c->mutex);
	return pd;
}

static inline void spdk_put(struct known *c, struct place at, struct pd *pd)
{
	struct device *d;

	(void)at;
	pthread_mutex_lock(&c->mutex);
	for (d = c->first; d; d = d->next) {
		if (d->pd != pd)
			continue;
		d->refs--;
		if (d->removed && !d->refs)
			abort(); /* nothing goes here */
	}
	sync_devices(c);
	pthread_mutex_unlock(&c->mutex);
}

LOOP(spdk_loop, struct known, spdk_get, spdk_put)
CHECK(spdk_check, struct known, spdk_get, spdk_put, refs)

const struct way way_spdk = {
	.name = "SPDK's way",
	.what = "a global mutex, the device list on get and on put",
	.open = open_known,
	.close = close_known,
	.check = spdk_check,
	.get_put = spdk_loop,
	.alloc_put = spdk_loop,
	.max_slots = 64,
};

/* the two lists of a get and a put, without the rest */
static void two_lists(void *context, unsigned int thread, uint64_t from,
		      uint64_t count)
{
	const struct known *c = context;

	(void)thread;
	(void)from;
	while (count--) {
		device_list(c->table->devices);
		device_list(c->table->devices);
	}
}

const struct way way_spdk_list = {
	.name = "  of that, the device lists",
	.what = "the two lists alone, without a lock",
	.open = open_known,
	.close = close_known,
	.check = spdk_check,
	.get_put = two_lists,
	.max_slots = 64,
};

/* ---- librdmacm ---- */

static inline bool matches(const struct device *d, uint64_t guid, int index)
{
	return d->index >= 0 && index >= 0 ? d->index == index :
					     d->guid == guid;
}

static inline struct device *librdmacm_get(struct known *c, struct place at)
{
	unsigned int want = at.device;
	struct device *d;

	pthread_mutex_lock(&c->mutex);
	for (d = c->first; d; d = d->next)
		if (!d->removed && matches(d, want + 1, want))
			break;
	if (d) {
		d->refs++;
		if (!d->opened || !d->pd)
			d->pd = &d->the_pd;
	}
	pthread_mutex_unlock(&c->mutex);
	return d;
}

static inline void librdmacm_put(struct known *c, struct place at,
				 struct device *d)
{
	(void)at;
	pthread_mutex_lock(&c->mutex);
	if (!--d->refs)
		d->pd = NULL;
	pthread_mutex_unlock(&c->mutex);
}

LOOP(librdmacm_loop, struct known, librdmacm_get, librdmacm_put)
CHECK(librdmacm_check, struct known, librdmacm_get, librdmacm_put, refs)

const struct way way_librdmacm = {
	.name = "librdmacm's way",
	.what = "a global mutex, a walk",
	.open = open_known,
	.close = close_known,
	.check = librdmacm_check,
	.get_put = librdmacm_loop,
	.alloc_put = librdmacm_loop,
};

/* ---- NCCL ---- */

static inline struct pd *nccl_get(struct known *c, struct place at)
{
	struct device *d = &c->device[at.device];
	struct pd *pd;

	pthread_mutex_lock(&d->mutex);
	if (!d->refs++)
		d->pd = &d->the_pd;
	pd = d->pd;
	pthread_mutex_unlock(&d->mutex);
	return pd;
}

static inline void nccl_put(struct known *c, struct place at, struct pd *pd)
{
	struct device *d = &c->device[at.device];

	(void)pd;
	pthread_mutex_lock(&d->mutex);
	if (!--d->refs)
		d->pd = NULL;
	pthread_mutex_unlock(&d->mutex);
}

LOOP(nccl_loop, struct known, nccl_get, nccl_put)
CHECK(nccl_check, struct known, nccl_get, nccl_put, refs)

const struct way way_nccl = {
	.name = "NCCL's way",
	.what = "a mutex in each device, no lookup, no removal",
	.open = open_known,
	.close = close_known,
	.check = nccl_check,
	.get_put = nccl_loop,
	.alloc_put = nccl_loop,
};
