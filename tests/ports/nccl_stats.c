// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The counts are the device's client data, so those of a device that is gone live
 * until the last connection has looked, and one that comes begins with zero.
 */
#include <stdlib.h>

#include "nccl_stats.h"

#define BIT(type) (1ULL << IBV_EVENT_##type)

static const uint64_t fatal_types =
	BIT(DEVICE_FATAL) | BIT(CQ_ERR) | BIT(QP_FATAL) | BIT(QP_REQ_ERR) |
	BIT(QP_ACCESS_ERR) | BIT(SRQ_ERR) | BIT(WQ_FATAL);

static struct ibc_client_data *make(struct ibc_client *client,
				    struct ibc_device *dev)
{
	struct nccl_device *d = calloc(1, sizeof(*d));

	(void)client;
	(void)dev;
	return d ? &d->base : NULL;
}

static void destroy(struct ibc_client_data *data)
{
	free(data);
}

/* so that there is something to count in before anybody asks */
static int add(struct ibc_client *client, struct ibc_device *dev)
{
	struct ibc_client_data *data =
		ibc_alloc_or_get_client_data(dev, client);

	if (!data)
		return errno;
	ibc_put_client_data(data);
	return 0;
}

static void event(struct ibc_client *client, struct ibc_device *dev,
		  struct ibc_client_data *data, const struct ibc_event *event)
{
	struct nccl_device *d = (struct nccl_device *)data;
	unsigned int type = event->async.event_type;

	(void)client;
	(void)dev;
	if (!d || type >= NCCL_NUM_TYPES)
		return;
	d->events[type] += event->count;
	if (fatal_types & 1ULL << type)
		d->fatal += event->count;
}

static struct ibc_client client = {
	.name = "nccl",
	.add = add,
	.event = event,
	.alloc_client_data = make,
	.free_client_data = destroy,
};

int nccl_begin(struct ibc_registry *reg)
{
	return ibc_register_client(reg, &client);
}

int nccl_end(void)
{
	return ibc_unregister_client(&client);
}

struct nccl_device *nccl_get(struct ibc_device *dev)
{
	return (struct nccl_device *)ibc_alloc_or_get_client_data(dev, &client);
}

void nccl_put(struct nccl_device *d)
{
	ibc_put_client_data(&d->base);
}
