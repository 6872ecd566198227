// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What the clients on a device share, and their requests; see load.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "wire.h"

/* each connection's: a receive, a send, and what is flushed of both */
#define CQ_DEPTH (4 * MAX_CONNECTIONS)

struct load_connection load_connections[MAX_CONNECTIONS];

/* ---- a device ---- */

void load_device_destroy(struct load_device *d)
{
	if (d->cq)
		ibv_destroy_cq(d->cq);
	if (d->channel)
		ibv_destroy_comp_channel(d->channel);
	if (d->mr)
		ibv_dereg_mr(d->mr);
	if (d->pd)
		ibv_dealloc_pd(d->pd);
	free(d);
}

static bool make(struct load_device *d, struct ibv_context *context)
{
	LIST_INIT(&d->connections);
	d->pd = ibv_alloc_pd(context);
	d->channel = ibv_create_comp_channel(context);
	if (!d->pd || !d->channel)
		return false;
	d->mr = ibv_reg_mr(d->pd, load_connections, sizeof(load_connections),
			   IBV_ACCESS_LOCAL_WRITE);
	d->cq = ibv_create_cq(context, CQ_DEPTH, d, d->channel, 0);
	return d->mr && d->cq && !ibv_req_notify_cq(d->cq, 0) &&
	       !fcntl(d->channel->fd, F_SETFL, O_NONBLOCK);
}

struct load_device *load_device_make(struct ibv_context *context)
{
	struct load_device *d = calloc(1, sizeof(*d));
	int error;

	if (!d || make(d, context))
		return d;
	error = errno;
	load_device_destroy(d);
	errno = error;
	return NULL;
}

/* ---- a connection ---- */

bool load_make_qp(struct load_connection *c)
{
	struct ibv_qp_init_attr attr = {
		.qp_type = IBV_QPT_RC,
		.send_cq = c->device->cq,
		.recv_cq = c->device->cq,
		.cap = { 2, 2, 1, 1, 0 },
	};

	return !rdma_create_qp(c->id, c->device->pd, &attr);
}

/* a completion of an earlier life may still be in the CQ: it is nobody's */
static uint64_t wr_id(const struct load_connection *c)
{
	return (uint64_t)c->life << 32 | (c - load_connections);
}

static struct load_connection *of_wr_id(uint64_t id)
{
	struct load_connection *c = &load_connections[id & 0xffffffff];

	return c->id && wr_id(c) == id ? c : NULL;
}

static bool post_receive(struct load_connection *c)
{
	struct ibv_sge sge = { (uintptr_t)c->answer, sizeof(c->answer),
			       c->device->mr->lkey };
	struct ibv_recv_wr wr = { .wr_id = wr_id(c),
				  .sg_list = &sge,
				  .num_sge = 1 },
			   *bad;

	return !ibv_post_recv(c->id->qp, &wr, &bad);
}

bool load_request(struct load_connection *c)
{
	struct ibv_sge sge = { (uintptr_t)c->request, sizeof(c->request),
			       c->device->mr->lkey };
	struct ibv_send_wr wr = { .wr_id = wr_id(c),
				  .sg_list = &sge,
				  .num_sge = 1,
				  .opcode = IBV_WR_SEND,
				  .send_flags = IBV_SEND_SIGNALED },
			   *bad;
	struct wire_request *request = (struct wire_request *)c->request;

	*request = (struct wire_request){ .op = WIRE_ECHO, .tag = ++c->tag };
	memset(c->answer, 0, sizeof(c->answer));
	return post_receive(c) && !ibv_post_send(c->id->qp, &wr, &bad);
}

/* ---- completions ---- */

static void complete(const struct ibv_wc *wc,
		     void (*answered)(struct load_connection *c))
{
	struct load_connection *c = of_wr_id(wc->wr_id);

	if (!c)
		return;
	if (wc->status != IBV_WC_SUCCESS) {
		rdma_disconnect(c->id);
		return;
	}
	if (wc->opcode != IBV_WC_RECV)
		return;
	if (memcmp(c->answer, c->request, sizeof(c->answer))) {
		fprintf(stderr, "load: request %lu: a wrong answer\n", c->tag);
		exit(1);
	}
	answered(c);
}

static bool is_readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 1;
}

void load_completions(struct load_device *d,
		      void (*answered)(struct load_connection *c))
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
			complete(&wc[i], answered);
	} while (n > 0 && !is_readable(d->channel->fd));
}
