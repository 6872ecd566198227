// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A libibverbs that has one device, to stand behind the interposer where there
 * is no hardware: what reaches it must be meant for it.
 */
#include <stdlib.h>
#include <string.h>

#include <infiniband/verbs.h>

static struct ibv_device device = { .name = "real0", .dev_name = "uverbs0" };

static void check(const void *is, const void *should_be)
{
	if (is != should_be)
		abort();
}

struct ibv_device **ibv_get_device_list(int *num)
{
	struct ibv_device **list = calloc(2, sizeof(*list));

	list[0] = &device;
	if (num)
		*num = 1;
	return list;
}

void ibv_free_device_list(struct ibv_device **list)
{
	check(list[0], &device);
	check(list[1], NULL);
	free(list);
}

const char *ibv_get_device_name(struct ibv_device *dev)
{
	check(dev, &device);
	return dev->name;
}

__be64 ibv_get_device_guid(struct ibv_device *dev)
{
	check(dev, &device);
	return 42;
}

static int poll_cq(struct ibv_cq *cq, int num, struct ibv_wc *wc)
{
	(void)cq;
	(void)num;
	(void)wc;
	return 0;
}

struct ibv_context *ibv_open_device(struct ibv_device *dev)
{
	struct ibv_context *context = calloc(1, sizeof(*context));

	check(dev, &device);
	context->device = dev;
	context->ops.poll_cq = poll_cq;
	return context;
}

int ibv_close_device(struct ibv_context *context)
{
	check(context->device, &device);
	free(context);
	return 0;
}

int ibv_query_device(struct ibv_context *context, struct ibv_device_attr *attr)
{
	check(context->device, &device);
	memset(attr, 0, sizeof(*attr));
	attr->phys_port_cnt = 9;
	return 0;
}

struct ibv_pd *ibv_alloc_pd(struct ibv_context *context)
{
	struct ibv_pd *pd = calloc(1, sizeof(*pd));

	check(context->device, &device);
	pd->context = context;
	return pd;
}

int ibv_dealloc_pd(struct ibv_pd *pd)
{
	check(pd->context->device, &device);
	free(pd);
	return 0;
}

void ibv_ack_async_event(struct ibv_async_event *event)
{
	if (event->event_type == IBV_EVENT_QP_FATAL)
		check(event->element.qp->context->device, &device);
}
