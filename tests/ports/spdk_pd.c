// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Whose device a context is, how many use its PD, when it goes: all that the
 * registry knows. What is left here is the way back from a PD to its reference,
 * since all that the caller keeps is the PD: a tree under a lock, which get does
 * not need. That lock is the innermost, and nothing is called with it.
 */
#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <stdint.h>
#include <stdlib.h>

#include "spdk_pd.h"

struct shared_pd {
	struct ibc_client_data base; /* the first member */
	struct ibv_pd *pd;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *tree; /* of all struct shared_pd, by their PD */
static struct ibc_registry *registry;

static int compare(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct shared_pd *)a)->pd;
	uintptr_t y = (uintptr_t)((const struct shared_pd *)b)->pd;

	return (x > y) - (x < y);
}

static int insert(struct shared_pd *shared)
{
	void *at;

	pthread_mutex_lock(&lock);
	at = tsearch(shared, &tree, compare);
	pthread_mutex_unlock(&lock);
	return at ? 0 : ENOMEM;
}

static struct shared_pd *find(struct ibv_pd *pd)
{
	struct shared_pd key = { .pd = pd }, *found = NULL, **at;

	pthread_mutex_lock(&lock);
	at = tfind(&key, &tree, compare);
	if (at)
		found = *at; /* the node may be another's once it is unlocked */
	pthread_mutex_unlock(&lock);
	return found;
}

/* ---- the client ---- */

static struct ibc_client_data *make(struct ibc_client *client,
				    struct ibc_device *dev)
{
	struct shared_pd *shared = calloc(1, sizeof(*shared));

	(void)client;
	if (!shared)
		return NULL;
	shared->pd = ibv_alloc_pd(ibc_device_context(dev));
	if (shared->pd && !insert(shared))
		return &shared->base;
	if (shared->pd) {
		ibv_dealloc_pd(shared->pd);
		errno = ENOMEM;
	}
	free(shared);
	return NULL;
}

/* out of the tree first: the address is anybody's once it is deallocated */
static void destroy(struct ibc_client_data *base)
{
	struct shared_pd *shared = (struct shared_pd *)base;

	pthread_mutex_lock(&lock);
	tdelete(shared, &tree, compare);
	pthread_mutex_unlock(&lock);
	ibv_dealloc_pd(shared->pd);
	free(shared);
}

static struct ibc_client client = {
	.name = "spdk_pd",
	.flags = IBC_CLIENT_FREE_UNUSED,
	.alloc_client_data = make,
	.free_client_data = destroy,
};

int spdk_pd_begin(struct ibc_registry *reg)
{
	registry = reg;
	return ibc_register_client(reg, &client);
}

int spdk_pd_end(void)
{
	return ibc_unregister_client(&client);
}

/* ---- get and put ---- */

/*
 * Clients are told of a device in the order of their registration, and registering
 * waits for that: once one that comes after us has heard of the device, we have.
 */
static int wait_until_told(void)
{
	struct ibc_client last = { .name = "spdk_pd, waiting" };
	int error = ibc_register_client(registry, &last);

	return error ? error : ibc_unregister_client(&last);
}

/* adopting one that is known gives the device that it is */
struct ibv_pd *spdk_get_pd(struct ibv_context *context)
{
	struct ibc_device *dev = ibc_adopt_context(registry, context, 0);
	struct ibc_client_data *data;

	if (!dev)
		return NULL;
	data = ibc_alloc_or_get_client_data(dev, &client);
	if (!data && errno == ENOENT) {
		errno = wait_until_told();
		if (!errno)
			data = ibc_alloc_or_get_client_data(dev, &client);
	}
	ibc_put_device(dev);
	return data ? ((struct shared_pd *)data)->pd : NULL;
}

int spdk_put_pd(struct ibv_pd *pd)
{
	struct shared_pd *shared = find(pd);

	if (!shared)
		return EINVAL;
	ibc_put_client_data(&shared->base);
	return 0;
}
