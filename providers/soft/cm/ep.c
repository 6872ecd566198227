// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Synchronous ids, and end points that are made by one call. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cm.h"

#define RESOLVE_MS 2000 /* said, and not waited for */

/* what an event that is no success means for errno */
static int event_error(const struct rdma_cm_event *event)
{
	if (!event->status)
		return 0;
	if (event->event == RDMA_CM_EVENT_REJECTED)
		return ECONNREFUSED;
	return event->status < 0 ? -event->status : EHOSTUNREACH;
}

int cm_complete(struct cm_id *id)
{
	struct rdma_cm_id *ibv = &id->ibv;
	int error;

	if (!id->sync)
		return 0;
	if (ibv->event) {
		cm_ack_event(ibv->event);
		ibv->event = NULL;
	}
	if (cm_get_event(ibv->channel, &ibv->event))
		return -1;
	error = event_error(ibv->event);
	/* what a program rejects may have any reason, 0 included */
	if (!error && ibv->event->event == RDMA_CM_EVENT_REJECTED)
		error = ECONNREFUSED;
	return cm_result(error);
}

/* ---- end points ---- */

static int keep(struct cm_id *id, struct ibv_pd *pd,
		const struct ibv_qp_init_attr *init)
{
	if (!init)
		return 0;
	id->ep_qp = malloc(sizeof(*init));
	if (!id->ep_qp)
		return cm_result(ENOMEM);
	*id->ep_qp = *init;
	id->ep_pd = pd;
	return 0;
}

static int keep_data(struct cm_id *id, const struct rdma_addrinfo *res)
{
	if (!res->ai_connect_len)
		return 0;
	if (res->ai_connect_len > CM_DATA_MAX)
		return cm_result(EINVAL);
	id->ep_data = malloc(res->ai_connect_len);
	if (!id->ep_data)
		return cm_result(ENOMEM);
	memcpy(id->ep_data, res->ai_connect, res->ai_connect_len);
	id->ep_data_len = res->ai_connect_len;
	return 0;
}

static int make_passive(struct rdma_cm_id *id, const struct rdma_addrinfo *res,
			struct ibv_pd *pd, const struct ibv_qp_init_attr *init)
{
	if (cm_bind_addr(id, res->ai_src_addr))
		return -1;
	return keep(to_id(id), pd, init);
}

static int make_active(struct rdma_cm_id *id, const struct rdma_addrinfo *res,
		       struct ibv_pd *pd, struct ibv_qp_init_attr *init)
{
	if (cm_resolve_addr(id, res->ai_src_addr, res->ai_dst_addr,
			    RESOLVE_MS) ||
	    cm_resolve_route(id, RESOLVE_MS) || keep_data(to_id(id), res))
		return -1;
	if (!init)
		return 0;
	init->qp_type = res->ai_qp_type;
	return cm_create_qp(id, pd, init);
}

int cm_create_ep(struct rdma_cm_id **ibv, struct rdma_addrinfo *res,
		 struct ibv_pd *pd, struct ibv_qp_init_attr *init)
{
	struct rdma_cm_id *id;
	int ret, saved;

	if (!ibv || !res)
		return cm_result(EINVAL);
	if (cm_create_id(NULL, &id, NULL, res->ai_port_space))
		return -1;
	if (res->ai_qp_type)
		id->qp_type = res->ai_qp_type;
	ret = res->ai_flags & RAI_PASSIVE ? make_passive(id, res, pd, init) :
					    make_active(id, res, pd, init);
	if (ret) {
		saved = errno;
		cm_destroy_id(id);
		errno = saved;
		return -1;
	}
	*ibv = id;
	return 0;
}

void cm_destroy_ep(struct rdma_cm_id *id)
{
	cm_destroy_qp(id);
	cm_destroy_srq(id);
	cm_destroy_id(id);
}

/* ---- requests ---- */

static int take_request(struct cm_id *listener, struct rdma_cm_event *event,
			struct rdma_cm_id **id)
{
	struct ibv_qp_init_attr init;

	if (event->event != RDMA_CM_EVENT_CONNECT_REQUEST) {
		cm_ack_event(event);
		return cm_result(EINVAL);
	}
	if (listener->ep_qp) {
		init = *listener->ep_qp;
		init.qp_type = listener->ibv.qp_type;
		if (cm_create_qp(event->id, listener->ep_pd, &init)) {
			cm_reject(event->id, NULL, 0, CM_REASON_CONSUMER);
			cm_destroy_id(event->id);
			cm_ack_event(event);
			return -1;
		}
	}
	*id = event->id;
	(*id)->event = event;
	return 0;
}

int cm_get_request(struct rdma_cm_id *listen, struct rdma_cm_id **id)
{
	struct cm_id *listener = to_id(listen);
	struct rdma_cm_event *event;
	int error;

	if (!id || !listener->sync)
		return cm_result(EINVAL);
	if (listen->event) {
		cm_ack_event(listen->event);
		listen->event = NULL;
	}
	if (cm_get_event(listen->channel, &event))
		return -1;
	error = event_error(event);
	if (error) {
		cm_ack_event(event);
		return cm_result(error);
	}
	return take_request(listener, event, id);
}
