// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Buffers, requests and answers of a device; see nvme_style_target.c. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "nvme_style_device.h"

/* what a completion is of; with the buffer's number it is the wr_id */
enum { IS_RECEIVE, IS_WRITE, IS_SEND, NUM_KINDS };

static uint64_t wr_id(struct device *d, struct buffer *buffer, int kind)
{
	return (buffer - d->buffers) * NUM_KINDS + kind;
}

/* ---- a device's resources ---- */

static int post_receive(struct device *d, struct buffer *buffer)
{
	struct ibv_sge sge = { .addr = (uintptr_t)buffer->data,
			       .length = WIRE_SIZE,
			       .lkey = d->mr->lkey };
	struct ibv_recv_wr wr = { .wr_id = wr_id(d, buffer, IS_RECEIVE),
				  .sg_list = &sge,
				  .num_sge = 1 },
			   *bad;

	buffer->owner = NULL;
	return ibv_post_srq_recv(d->srq, &wr, &bad);
}

void device_destroy(struct device *d)
{
	if (d->srq)
		ibv_destroy_srq(d->srq);
	if (d->cq)
		ibv_destroy_cq(d->cq);
	if (d->channel)
		ibv_destroy_comp_channel(d->channel); /* epoll forgets it */
	if (d->mr)
		ibv_dereg_mr(d->mr);
	if (d->pd)
		ibv_dealloc_pd(d->pd);
	free(d->buffers);
	free(d);
}

static bool make_resources(struct device *d, struct ibv_context *context)
{
	struct ibv_srq_init_attr attr = {
		.attr = { .max_wr = NUM_BUFFERS, .max_sge = 1 },
	};
	const size_t size = NUM_BUFFERS * sizeof(*d->buffers);
	int i;

	d->buffers = calloc(1, size);
	d->pd = ibv_alloc_pd(context);
	d->channel = ibv_create_comp_channel(context);
	if (!d->buffers || !d->pd || !d->channel)
		return false;
	d->mr = ibv_reg_mr(d->pd, d->buffers, size, IBV_ACCESS_LOCAL_WRITE);
	d->cq = ibv_create_cq(context, 4 * NUM_BUFFERS, d, d->channel, 0);
	d->srq = ibv_create_srq(d->pd, &attr);
	if (!d->mr || !d->cq || !d->srq || ibv_req_notify_cq(d->cq, 0))
		return false;
	for (i = 0; i < NUM_BUFFERS; i++)
		if (post_receive(d, &d->buffers[i]))
			return false;
	return !fcntl(d->channel->fd, F_SETFL, O_NONBLOCK);
}

struct device *device_make(struct ibv_context *context)
{
	struct device *d = calloc(1, sizeof(*d));
	int error;

	if (!d)
		return NULL;
	LIST_INIT(&d->connections);
	if (make_resources(d, context))
		return d;
	error = errno;
	device_destroy(d);
	errno = error;
	return NULL;
}

/* ---- QPs ---- */

bool device_make_qp(struct device *d, struct rdma_cm_id *id)
{
	struct ibv_qp_init_attr attr = {
		.qp_type = IBV_QPT_RC,
		.send_cq = d->cq,
		.recv_cq = d->cq,
		.srq = d->srq,
		.cap = { .max_send_wr = 2 * QP_DEPTH, .max_send_sge = 1 },
	};

	return !rdma_create_qp(id, d->pd, &attr);
}

void device_destroy_qp(struct device *d, struct connection *c)
{
	int i;

	if (c->id->qp)
		rdma_destroy_qp(c->id);
	for (i = 0; i < NUM_BUFFERS; i++)
		if (d->buffers[i].owner == c)
			post_receive(d, &d->buffers[i]);
}

static struct connection *by_number(struct device *d, uint32_t qp_num)
{
	struct connection *c;

	LIST_FOREACH(c, &d->connections, entry)
	if (c->id->qp && c->id->qp->qp_num == qp_num)
		return c;
	return NULL;
}

/* ---- requests ---- */

static void answer(struct device *d, struct connection *c,
		   struct buffer *buffer, uint32_t length)
{
	const struct wire_request *request = (void *)buffer->data;
	char *block = buffer->data + WIRE_SIZE;
	struct ibv_sge sge[2] = {
		{ (uintptr_t)buffer->data, length, d->mr->lkey },
		{ (uintptr_t)block, WIRE_SIZE, d->mr->lkey },
	};
	struct ibv_send_wr send = { .wr_id = wr_id(d, buffer, IS_SEND),
				    .sg_list = &sge[0],
				    .num_sge = 1,
				    .opcode = IBV_WR_SEND,
				    .send_flags = IBV_SEND_SIGNALED };
	struct ibv_send_wr write = { .next = &send,
				     .wr_id = wr_id(d, buffer, IS_WRITE),
				     .sg_list = &sge[1],
				     .num_sge = 1,
				     .opcode = IBV_WR_RDMA_WRITE };
	struct ibv_send_wr *first = &send, *bad;

	if (length >= sizeof(*request) && request->op == WIRE_READ) {
		memset(block, wire_byte(request->block), WIRE_SIZE);
		write.wr.rdma.remote_addr = request->addr;
		write.wr.rdma.rkey = request->rkey;
		first = &write;
	}
	buffer->owner = c;
	if (ibv_post_send(c->id->qp, first, &bad)) {
		post_receive(d, buffer);
		rdma_disconnect(c->id);
	}
}

/*
 * Each answer has one send, which says that the buffer is free again, sent or not. If
 * the QP is destroyed the buffer was taken back with it.
 */
static void complete(struct device *d, const struct ibv_wc *wc)
{
	struct buffer *buffer = &d->buffers[wc->wr_id / NUM_KINDS];
	struct connection *c = by_number(d, wc->qp_num);
	bool good = wc->status == IBV_WC_SUCCESS;

	switch (wc->wr_id % NUM_KINDS) {
	case IS_RECEIVE:
		if (good && c)
			answer(d, c, buffer, wc->byte_len);
		else
			post_receive(d, buffer);
		break;
	case IS_SEND:
		if (c && buffer->owner == c)
			post_receive(d, buffer);
		break;
	}
	if (!good && c)
		rdma_disconnect(c->id);
}

static bool is_readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 1;
}

/*
 * A device under load must not keep the loop from the others, so this ends as soon
 * as it will be called again: what comes after the CQ was armed makes the channel
 * readable. While that is not so, all that is in the CQ was there before.
 */
void device_completions(struct device *d)
{
	struct ibv_wc wc[16];
	struct ibv_cq *cq;
	void *context;
	int i, n;

	if (ibv_get_cq_event(d->channel, &cq, &context))
		return;
	ibv_ack_cq_events(cq, 1);
	ibv_req_notify_cq(cq, 0);
	do {
		n = ibv_poll_cq(cq, 16, wc);
		for (i = 0; i < n; i++)
			complete(d, &wc[i]);
	} while (n > 0 && !is_readable(d->channel->fd));
}
