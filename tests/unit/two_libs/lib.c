// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A library that uses libibclient and knows of no other that does. Compiled
 * several times, with different OWNERs. If it is unloaded, or the process exits,
 * while its client is registered, it unregisters it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib.h"

extern const struct lib_ops lib_ops;

struct data {
	struct ibc_client_data base;
	const char *owner;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned int added, removed;
static struct ibc_device *last;
static struct ibc_registry *reg;

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	pthread_mutex_lock(&lock);
	ibc_put_device(last);
	last = ibc_get_device(dev);
	added++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return 0;
}

static void gone(struct ibc_client *client, struct ibc_device *dev,
		 struct ibc_client_data *data)
{
	(void)client;
	(void)dev;
	(void)data;
	pthread_mutex_lock(&lock);
	removed++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static struct ibc_client_data *alloc(struct ibc_client *client,
				     struct ibc_device *dev)
{
	struct data *data = calloc(1, sizeof(*data));

	(void)client;
	(void)dev;
	if (!data)
		return NULL;
	data->owner = OWNER;
	return &data->base;
}

static void release(struct ibc_client_data *data)
{
	free(data);
}

static struct ibc_client client = {
	.name = OWNER,
	.add = add,
	.remove = gone,
	.alloc_client_data = alloc,
	.free_client_data = release,
};

static struct ibc_registry *lib_open(void)
{
	reg = ibc_open(NULL);
	if (reg && ibc_register_client(reg, &client)) {
		ibc_close(reg);
		reg = NULL;
	}
	return reg;
}

static int lib_close(void)
{
	int error;

	ibc_put_device(last);
	last = NULL;
	error = ibc_unregister_client(&client);
	if (!error)
		error = ibc_close(reg);
	if (!error)
		reg = NULL;
	return error;
}

static __attribute__((destructor)) void at_unload(void)
{
	if (reg && lib_close())
		abort();
}

static int lib_adopt(struct ibv_context *context)
{
	struct ibc_device *dev = ibc_adopt_context(reg, context, 0);

	if (!dev)
		return errno;
	ibc_put_device(dev);
	return 0;
}

static void wait_count(const unsigned int *count, unsigned int n)
{
	pthread_mutex_lock(&lock);
	while (*count < n)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void wait_added(unsigned int n)
{
	wait_count(&added, n);
}

static void wait_removed(unsigned int n)
{
	wait_count(&removed, n);
}

static uint64_t incarnation(void)
{
	return ibc_device_incarnation(last);
}

static struct ibv_context *context_of(void)
{
	return ibc_device_context(last);
}

static void *data_of(const char **owner)
{
	struct ibc_client_data *data =
		ibc_alloc_or_get_client_data(last, &client);

	*owner = data ? ((struct data *)data)->owner : NULL;
	ibc_put_client_data(data);
	return data;
}

static int lib_remove(void)
{
	return ibc_remove_device(last);
}

const struct lib_ops lib_ops = {
	.open = lib_open,
	.close = lib_close,
	.adopt = lib_adopt,
	.wait_added = wait_added,
	.wait_removed = wait_removed,
	.incarnation = incarnation,
	.context = context_of,
	.data = data_of,
	.remove = lib_remove,
	.set_log = ibc_set_log,
};
