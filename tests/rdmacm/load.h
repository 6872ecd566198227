/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * load: very many clients of nvme_style_target in one process. One thread and one
 * epoll instance: librdmacm's events, the registry, each device's completions, and
 * standard input. load.c has the loop and the connections, load_device.c what those
 * of a device share, and the requests.
 */
#ifndef RDMACM_LOAD_H
#define RDMACM_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <infiniband/ibclient_rdmacm.h>

#define MAX_CONNECTIONS 1024

struct load_device;

struct load_connection {
	LIST_ENTRY(load_connection) entry; /* of its device's */
	struct rdma_cm_id *id;
	struct load_device *device; /* a reference: its data */
	unsigned int life;	    /* how often it has been begun */
	unsigned int address;	    /* the one in use */
	unsigned long tag;	    /* of the newest request */
	bool answered;		    /* since the check began */
	_Alignas(8) char request[64];
	char answer[64];
};

struct load_device {
	struct ibc_client_data base;
	struct ibv_pd *pd;
	struct ibv_mr *mr; /* of all connections' */
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	LIST_HEAD(, load_connection) connections;
};

extern struct load_connection load_connections[MAX_CONNECTIONS];

/* NULL and errno; its channel does not block */
struct load_device *load_device_make(struct ibv_context *context);
void load_device_destroy(struct load_device *d);
/* false and errno */
bool load_make_qp(struct load_connection *c);
bool load_request(struct load_connection *c);
/* the channel is readable; @answered is called for each good answer */
void load_completions(struct load_device *d,
		      void (*answered)(struct load_connection *c));

#endif /* RDMACM_LOAD_H */
