// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The objects. Freed memory is poisoned; without a sanitizer it is kept for a
 * while and looked at again before it goes.
 */
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "inside.h"

#define ALIVE	   0xa11ea11ea11ea11eULL
#define POISON	   0xdb
#define QUARANTINE 512

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct data *kept[QUARANTINE];
static unsigned int num_kept;

static void release(struct data *data)
{
	const unsigned char *byte = (const unsigned char *)data;
	size_t i;

	for (i = 0; data && i < sizeof(*data); i++)
		must(byte[i] == POISON);
	free(data);
}

static void bury(struct data *data)
{
	struct data *old;

	memset((void *)data, POISON, sizeof(*data));
	if (SANITIZED) {
		free(data);
		return;
	}
	pthread_mutex_lock(&lock);
	old = kept[num_kept % QUARANTINE];
	kept[num_kept++ % QUARANTINE] = data;
	pthread_mutex_unlock(&lock);
	release(old);
}

void data_end_quarantine(void)
{
	unsigned int i;

	for (i = 0; i < QUARANTINE; i++) {
		release(kept[i]);
		kept[i] = NULL;
	}
}

bool is_refusal(int error)
{
	return error == ENOENT || error == ENODEV || error == ESHUTDOWN ||
	       error == EOPNOTSUPP;
}

static struct data *make(struct client *c, struct ibc_device *dev)
{
	struct data *data = calloc(1, sizeof(*data));

	must(data);
	data->magic = ALIVE;
	data->client = c;
	data->pair = pair_of(c, dev);
	data->payload = ibc_device_incarnation(dev);
	return data;
}

static void born(struct data *data)
{
	atomic_fetch_add_explicit(&data->pair->objects, 1,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&data->client->objects, 1,
				  memory_order_relaxed);
	count(ALLOCS);
}

struct data *data_make(struct client *c, struct ibc_device *dev)
{
	struct data *data = make(c, dev);
	int error = ibc_init_client_data(&data->ibc, dev, &c->ibc);

	if (error) {
		must(error == ENODEV || error == ESHUTDOWN);
		free(data);
		return NULL;
	}
	born(data);
	data_came(&data->ibc, &c->ibc, dev);
	return data;
}

struct ibc_client_data *data_alloc(struct ibc_client *client,
				   struct ibc_device *dev)
{
	static atomic_uint calls;
	struct client *c = client_of(client);
	struct pair *pair = pair_of(c, dev);
	struct dice dice = dice_of(
		torture_seed, ibc_device_incarnation(dev),
		atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed));
	struct data *data = NULL;

	must(ibc_device_context(dev));
	must(!atomic_exchange_explicit(&pair->allocating, true,
				       memory_order_relaxed));
	must(!keeps_one_object(c, pair) ||
	     !atomic_load_explicit(&pair->objects, memory_order_relaxed));
	act_in_alloc(c, dev, &dice);
	if (roll(&dice, 6) == 0) {
		count(ALLOCS_FAILED);
	} else {
		data = make(c, dev);
		born(data);
	}
	must(ibc_device_context(dev));
	atomic_store_explicit(&pair->allocating, false, memory_order_relaxed);
	errno = DATA_ERRNO;
	return data ? &data->ibc : NULL;
}

void data_check(struct ibc_client_data *ibc)
{
	struct data *data = (struct data *)ibc;

	must(data->magic == ALIVE);
	must(ibc->client == &data->client->ibc);
	must(data->payload == ibc_device_incarnation(ibc->device));
	must(ibc_device_context(ibc->device));
}

void data_free(struct ibc_client_data *ibc)
{
	struct data *data = (struct data *)ibc;

	data_check(ibc);
	must(!data->client->fenced);
	must(!atomic_load_explicit(&data->holders, memory_order_relaxed));
	count_down(&data->pair->objects);
	count_down(&data->client->objects);
	bury(data);
	count(FREES);
}

void data_came(struct ibc_client_data *ibc, struct ibc_client *client,
	       struct ibc_device *dev)
{
	struct data *data = (struct data *)ibc;

	must(ibc->client == client && ibc->device == dev);
	atomic_fetch_add_explicit(&data->holders, 1, memory_order_relaxed);
	atomic_store_explicit(&data->pair->got, true, memory_order_relaxed);
	data_check(ibc);
}

void data_goes(struct ibc_client_data *ibc)
{
	struct data *data = (struct data *)ibc;

	data_check(ibc);
	must(atomic_fetch_sub_explicit(&data->holders, 1,
				       memory_order_relaxed) > 0);
}
