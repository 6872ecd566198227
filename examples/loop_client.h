/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the loop examples have in common: a client with a PD, a CQ and a QP for
 * each device. All of it runs in the thread of the loop, so nothing needs a
 * lock: callbacks run in loop_dispatch(), loop_start() and loop_end(), and
 * nowhere else.
 */
#ifndef LOOP_CLIENT_H
#define LOOP_CLIENT_H

#include <stdbool.h>
#include <infiniband/ibclient.h>

/* ---- loop_client.c ---- */

/* opens a registry without threads and registers; false: it has said why */
bool loop_start(void);
/* what to poll for reading; the same from loop_start() to loop_end() */
int loop_fd(void);
/* it is readable: runs what is due; false: it has said why to give up */
bool loop_dispatch(void);
/*
 * Standard input is readable; false: it has ended. "h" begins work on every
 * device, which holds its data, "p" ends it, "q" quits.
 */
bool loop_input(void);
/* after the loop: frees everything; the exit status */
int loop_end(void);

/* ---- loop_data.c: the data of a device ---- */

struct loop_data {
	struct ibc_client_data base; /* the first member */
	struct loop_data *next;	     /* of those at work */
	bool works;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
	struct ibc_event_handler *on_port, *on_qp;
};

struct ibc_client_data *loop_data_alloc(struct ibc_client *client,
					struct ibc_device *dev);
void loop_data_free(struct ibc_client_data *data);
/* takes a reference on the data of each device; puts them */
void loop_work_begin(struct ibc_registry *reg, struct ibc_client *client);
void loop_work_end(void);

#endif
