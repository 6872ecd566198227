// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A program to be looked at: a client that keeps a reference of each device, until
 * it reads a line; then it puts all of them. It ends at the end of its input. Its name
 * has what a terminal might obey, and a letter that is two bytes.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <infiniband/ibclient.h>

#define MAX_KEPT 16

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the next two */
static struct ibc_client_data *kept[MAX_KEPT];
static unsigned int num_kept;

static struct ibc_client_data *alloc(struct ibc_client *client,
				     struct ibc_device *dev)
{
	(void)client, (void)dev;
	return calloc(1, sizeof(struct ibc_client_data));
}

static void free_data(struct ibc_client_data *data)
{
	free(data);
}

/* not static: its name is what holds */
int keep_for_ever(struct ibc_client *client, struct ibc_device *dev);
int keep_for_ever(struct ibc_client *client, struct ibc_device *dev)
{
	struct ibc_client_data *data =
		ibc_alloc_or_get_client_data(dev, client);

	pthread_mutex_lock(&lock);
	if (data && num_kept < MAX_KEPT)
		kept[num_kept++] = data;
	pthread_mutex_unlock(&lock);
	printf("has %s\n", ibc_device_name(dev));
	return 0;
}

static void put_all(void)
{
	pthread_mutex_lock(&lock);
	while (num_kept)
		ibc_put_client_data(kept[--num_kept]);
	pthread_mutex_unlock(&lock);
}

int main(void)
{
	struct ibc_client client = { .name = "h\303\266lder\033[31m",
				     .add = keep_for_ever,
				     .alloc_client_data = alloc,
				     .free_client_data = free_data };
	struct ibc_registry *reg = ibc_open(NULL);
	char line[64];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!reg || ibc_register_client(reg, &client))
		return 1;
	while (fgets(line, sizeof(line), stdin))
		put_all();
	put_all();
	return ibc_unregister_client(&client) || ibc_close(reg);
}
