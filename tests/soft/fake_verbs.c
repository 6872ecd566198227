// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A libibverbs that has one device, to stand behind the interposer where there
 * is no hardware: what reaches it must be meant for it.
 */
#include <errno.h>
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

/* ---- what softverbs has, too: a value of its own from each ---- */

struct ibv_cq *ibv_create_cq(struct ibv_context *context, int cqe,
			     void *cq_context, struct ibv_comp_channel *channel,
			     int comp_vector)
{
	struct ibv_cq *cq = calloc(1, sizeof(*cq));

	(void)cqe;
	(void)comp_vector;
	check(context->device, &device);
	cq->context = context;
	cq->channel = channel;
	cq->cq_context = cq_context;
	return cq;
}

int ibv_destroy_cq(struct ibv_cq *cq)
{
	check(cq->context->device, &device);
	free(cq);
	return 0;
}

int ibv_get_async_event(struct ibv_context *context,
			struct ibv_async_event *event)
{
	check(context->device, &device);
	event->event_type = IBV_EVENT_PORT_ACTIVE;
	event->element.port_num = 9;
	return 0;
}

/* the channel's only member that it looks at leads to the CQ */
int ibv_get_cq_event(struct ibv_comp_channel *channel, struct ibv_cq **cq,
		     void **cq_context)
{
	check(channel->context->device, &device);
	*cq = NULL;
	*cq_context = channel;
	return 0;
}

void ibv_ack_cq_events(struct ibv_cq *cq, unsigned int num)
{
	check(cq->context->device, &device);
	cq->comp_events_completed += num;
}

struct ibv_mr *ibv_reg_mr_iova2(struct ibv_pd *pd, void *addr, size_t length,
				uint64_t iova, unsigned int access)
{
	struct ibv_mr *mr = calloc(1, sizeof(*mr));

	(void)iova;
	(void)access;
	check(pd->context->device, &device);
	mr->context = pd->context;
	mr->addr = addr;
	mr->length = length;
	return mr;
}

int ibv_dereg_mr(struct ibv_mr *mr)
{
	check(mr->context->device, &device);
	free(mr);
	return 0;
}

int ibv_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask)
{
	(void)attr;
	check(qp->context->device, &device);
	return 1000 + mask;
}

int ibv_query_pkey(struct ibv_context *context, uint8_t port, int index,
		   __be16 *pkey)
{
	check(context->device, &device);
	*pkey = 1000 * port + index;
	return 42;
}

ssize_t _ibv_query_gid_table(struct ibv_context *context,
			     struct ibv_gid_entry *entries, size_t max,
			     uint32_t flags, size_t size)
{
	(void)entries;
	(void)flags;
	(void)size;
	check(context->device, &device);
	return max + 1000;
}

int ibv_attach_mcast(struct ibv_qp *qp, const union ibv_gid *gid, uint16_t lid)
{
	(void)gid;
	check(qp->context->device, &device);
	return 2000 + lid;
}

struct ibv_context *ibv_import_device(int fd)
{
	errno = EINVAL;
	return fd == 4711 ? ibv_open_device(&device) : NULL;
}
