/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* nvme_style_target: what the connections of a device share. */
#ifndef EXAMPLES_NVME_STYLE_DEVICE_H
#define EXAMPLES_NVME_STYLE_DEVICE_H

#include <stdbool.h>
#include <sys/queue.h>

#include <infiniband/ibclient_rdmacm.h>

#include "wire.h"

#define NUM_BUFFERS 256
#define QP_DEPTH    32

struct device;

struct connection {
	LIST_ENTRY(connection) entry;
	struct device *device; /* a reference: its data */
	struct rdma_cm_id *id;
};

/* a buffer is in the SRQ, or being answered from: then it is somebody's */
struct buffer {
	char data[2 * WIRE_SIZE]; /* what came; a block */
	struct connection *owner;
};

struct device {
	struct ibc_client_data base;
	struct ibv_pd *pd;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	struct ibv_srq *srq;
	struct ibv_mr *mr;
	struct buffer *buffers;
	LIST_HEAD(, connection) connections;
};

/* NULL and errno; its channel does not block */
struct device *device_make(struct ibv_context *context);
void device_destroy(struct device *d);
/* the QP of one that is accepted; false and errno */
bool device_make_qp(struct device *d, struct rdma_cm_id *id);
/* destroys it, and takes back what was being answered from */
void device_destroy_qp(struct device *d, struct connection *c);
/* the channel is readable */
void device_completions(struct device *d);

#endif /* EXAMPLES_NVME_STYLE_DEVICE_H */
