// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Connecting, answering, ending: the calls of the program. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cm.h"

/* ---- messages ---- */

static uint32_t random_number(void)
{
	static atomic_uint next;
	uint32_t number;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number))
		number = atomic_fetch_add(&next, 1) * 2654435761U;
	return number & CM_MAX_NUMBER;
}

static void fill_param(struct cm_message *message, const struct cm_id *id,
		       const struct rdma_conn_param *param)
{
	message->qp_num = (id->ibv.qp ? id->ibv.qp->qp_num : param->qp_num) &
			  CM_MAX_NUMBER;
	message->responder_resources = param->responder_resources;
	message->initiator_depth = param->initiator_depth;
	message->flow_control = param->flow_control != 0;
	message->retry_count = param->retry_count;
	message->rnr_retry_count = param->rnr_retry_count;
	message->srq = id->ibv.qp ? id->ibv.qp->srq != NULL : param->srq != 0;
}

static void fill_data(struct cm_message *message, const void *data, uint8_t len)
{
	const uint8_t room = cm_message_room(message->type);

	message->data_len = len < room ? len : room;
	if (message->data_len)
		memcpy(message->data, data, message->data_len);
}

int cm_send(struct cm_id *id, enum cm_message_type type,
	    const struct rdma_conn_param *param, uint32_t reason)
{
	struct cm_message message = {
		.magic = CM_MAGIC,
		.version = CM_VERSION,
		.type = type,
		.ps = id->ibv.ps,
		.reason = reason,
		.src = id->src,
		.dst = id->dst,
		.lid = id->place.lid,
		.mtu = id->place.mtu ? id->place.mtu : IBV_MTU_256,
		.psn = id->psn,
		.qkey = RDMA_UDP_QKEY,
		.ece_vendor = id->ece.vendor_id,
		.ece_options = id->ece.options,
	};

	if (id->fd < 0)
		return ENOTCONN;
	memcpy(message.gid, &id->place.gid, sizeof(message.gid));
	if (param) {
		fill_param(&message, id, param);
		fill_data(&message, param->private_data,
			  param->private_data_len);
	}
	if (send(id->fd, &message, sizeof(message),
		 MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(message))
		return errno;
	return 0;
}

void cm_refuse(struct cm_id *id, bool nobody_listens)
{
	if (cm_is_ud(id))
		cm_send(id, CM_SIDR_REP, NULL,
			nobody_listens ? CM_REASON_SIDR_UNSUPPORTED :
					 CM_REASON_SIDR_REJECT);
	else
		cm_send(id, CM_REJ, NULL,
			nobody_listens ? CM_REASON_SERVICE_ID :
					 CM_REASON_CONSUMER);
}

void cm_fail(struct cm_id *id, enum rdma_cm_event_type type, int status)
{
	cm_id_hang_up(id);
	id->state = CM_ENDED;
	cm_event_add(id, type, status);
}

/* ---- parameters ---- */

static int check_param(const struct cm_id *id,
		       const struct rdma_conn_param *param,
		       enum cm_message_type type)
{
	const uint8_t max = id->place.dev ? id->place.dev->max_rd_atomic : 0;

	if (!param)
		return id->ibv.qp ? 0 : EINVAL;
	if (param->private_data_len > cm_message_room(type) ||
	    (param->private_data_len && !param->private_data))
		return EINVAL;
	if (cm_is_ud(id))
		return 0;
	if ((param->responder_resources != RDMA_MAX_RESP_RES &&
	     param->responder_resources > max) ||
	    (param->initiator_depth != RDMA_MAX_INIT_DEPTH &&
	     param->initiator_depth > max))
		return EINVAL;
	return 0;
}

static uint8_t limit(uint8_t value, uint8_t max)
{
	return value < max ? value : max;
}

/* what is not said is as much as the device has, or the peer offers */
static void set_param(struct cm_id *id, const struct rdma_conn_param *param,
		      bool answer)
{
	static const struct rdma_conn_param defaults = {
		.responder_resources = RDMA_MAX_RESP_RES,
		.initiator_depth = RDMA_MAX_INIT_DEPTH,
		.retry_count = CM_MAX_RETRY,
		.rnr_retry_count = CM_MAX_RETRY,
	};
	const uint8_t max = id->place.dev->max_rd_atomic;
	struct rdma_conn_param *p = &id->param;

	*p = param ? *param : defaults;
	if (!p->private_data_len && id->ep_data && !answer) {
		p->private_data = id->ep_data;
		p->private_data_len = id->ep_data_len;
	}
	if (p->responder_resources == RDMA_MAX_RESP_RES)
		p->responder_resources =
			answer ? id->peer.initiator_depth : max;
	if (p->initiator_depth == RDMA_MAX_INIT_DEPTH)
		p->initiator_depth =
			answer ? id->peer.responder_resources : max;
	p->responder_resources = limit(p->responder_resources, max);
	p->initiator_depth = limit(p->initiator_depth, max);
	p->retry_count = limit(answer ? id->peer.retry_count : p->retry_count,
			       CM_MAX_RETRY);
	p->rnr_retry_count = limit(p->rnr_retry_count, CM_MAX_RETRY);
}

/* ---- asking ---- */

static int begin_connect(struct cm_id *id, const struct rdma_conn_param *param)
{
	enum cm_message_type type = cm_is_ud(id) ? CM_SIDR_REQ : CM_REQ;
	int error;

	pthread_mutex_lock(&cm_lock);
	error = id->state == CM_ROUTE_RESOLVED ? 0 : EINVAL;
	/* an address lookup has no parameters but its data */
	if (!error && !(cm_is_ud(id) && !param))
		error = check_param(id, param, type);
	if (!error) {
		id->state = CM_CONNECT;
		id->psn = random_number();
		set_param(id, param, false);
	}
	pthread_mutex_unlock(&cm_lock);
	return error;
}

/* lock held: nobody has the port, or has no room for us */
static void not_reached(struct cm_id *id, int error)
{
	bool nobody = error == ENOENT || error == ECONNREFUSED;

	if (!nobody)
		cm_fail(id, RDMA_CM_EVENT_UNREACHABLE, -ETIMEDOUT);
	else if (cm_is_ud(id))
		cm_fail(id, RDMA_CM_EVENT_UNREACHABLE,
			CM_REASON_SIDR_UNSUPPORTED);
	else
		cm_fail(id, RDMA_CM_EVENT_REJECTED, CM_REASON_SERVICE_ID);
}

static void ask(struct cm_id *id, int fd)
{
	int error;

	id->fd = fd;
	error = cm_send(id, cm_is_ud(id) ? CM_SIDR_REQ : CM_REQ, &id->param, 0);
	if (!error)
		error = cm_watch(id, CM_SOURCE_PEER);
	if (error)
		not_reached(id, error);
}

int cm_connect(struct rdma_cm_id *ibv, struct rdma_conn_param *param)
{
	struct cm_id *id = to_id(ibv);
	int fd, error = begin_connect(id, param);

	if (error)
		return cm_result(error);
	error = cm_port_connect(id, &fd);
	pthread_mutex_lock(&cm_lock);
	if (id->state != CM_CONNECT) { /* the device is gone */
		if (!error)
			close(fd);
		error = EINVAL;
	} else if (error == EMFILE || error == ENFILE || error == ENOMEM) {
		id->state = CM_ROUTE_RESOLVED;
	} else {
		if (error)
			not_reached(id, error);
		else
			ask(id, fd);
		error = 0;
	}
	pthread_mutex_unlock(&cm_lock);
	return error ? cm_result(error) : cm_complete(id);
}

/* ---- answering ---- */

static int begin_accept(struct cm_id *id, const struct rdma_conn_param *param)
{
	enum cm_message_type type = cm_is_ud(id) ? CM_SIDR_REP : CM_REP;
	int error;

	pthread_mutex_lock(&cm_lock);
	error = id->state == CM_REQUESTED && id->place.dev ? 0 : EINVAL;
	if (!error)
		error = check_param(id, param, type);
	if (!error) {
		id->psn = random_number();
		set_param(id, param, true);
	}
	pthread_mutex_unlock(&cm_lock);
	return error;
}

/* lock held; he who is gone is not answered, and the program gets to know */
static void answer(struct cm_id *id)
{
	bool ud = cm_is_ud(id);
	int error = cm_send(id, ud ? CM_SIDR_REP : CM_REP, &id->param, 0);

	id->state = CM_ACCEPTED;
	if (ud) {
		cm_id_hang_up(id);
		id->state = CM_ENDED;
	} else if (error) {
		cm_fail(id, RDMA_CM_EVENT_UNREACHABLE, -ETIMEDOUT);
	}
}

int cm_accept(struct rdma_cm_id *ibv, struct rdma_conn_param *param)
{
	struct cm_id *id = to_id(ibv);
	int error = begin_accept(id, param);

	if (!error && ibv->qp && !cm_is_ud(id))
		error = cm_qp_ready(id);
	if (error)
		return cm_result(error);
	pthread_mutex_lock(&cm_lock);
	if (id->state == CM_REQUESTED)
		answer(id);
	else
		error = EINVAL;
	pthread_mutex_unlock(&cm_lock);
	if (error)
		return cm_result(error);
	return cm_is_ud(id) ? 0 : cm_complete(id);
}

int cm_reject(struct rdma_cm_id *ibv, const void *data, uint8_t len,
	      uint32_t reason)
{
	const struct rdma_conn_param param = { .private_data = data,
					       .private_data_len = len };
	struct cm_id *id = to_id(ibv);
	enum cm_message_type type = cm_is_ud(id) ? CM_SIDR_REP : CM_REJ;
	int error = 0;

	pthread_mutex_lock(&cm_lock);
	if (len > cm_message_room(type) || (len && !data) ||
	    (id->state != CM_REQUESTED && id->state != CM_RESPONDED))
		error = EINVAL;
	if (!error) {
		/* he may be gone, which is as good */
		cm_send(id, type, &param,
			cm_is_ud(id) ? CM_REASON_SIDR_REJECT : reason);
		cm_id_hang_up(id);
		id->state = CM_ENDED;
	}
	pthread_mutex_unlock(&cm_lock);
	return cm_result(error);
}

/* ---- established ---- */

int cm_establish(struct rdma_cm_id *ibv)
{
	struct cm_id *id = to_id(ibv);
	int error = EINVAL;

	pthread_mutex_lock(&cm_lock);
	if (!ibv->qp && id->state == CM_RESPONDED) {
		id->state = CM_CONNECTED;
		/* if he is gone, that is the next event */
		cm_send(id, CM_RTU, NULL, 0);
		error = 0;
	}
	pthread_mutex_unlock(&cm_lock);
	return cm_result(error);
}

/* the QP heard of the peer before we did */
int cm_notify(struct rdma_cm_id *ibv, enum ibv_event_type event)
{
	struct cm_id *id = to_id(ibv);
	int error = EINVAL;

	pthread_mutex_lock(&cm_lock);
	if (event == IBV_EVENT_COMM_EST && id->state == CM_ACCEPTED) {
		id->state = CM_CONNECTED;
		cm_event_add(id, RDMA_CM_EVENT_ESTABLISHED, 0);
		error = 0;
	} else if (event == IBV_EVENT_COMM_EST && id->state == CM_CONNECTED) {
		error = EISCONN;
	}
	pthread_mutex_unlock(&cm_lock);
	return cm_result(error);
}

/* ---- the end ---- */

/* lock held; an errno value, or -1: there is an event to come */
static int end(struct cm_id *id)
{
	switch (id->state) {
	case CM_CONNECTED:
	case CM_ACCEPTED:
	case CM_RESPONDED:
		id->state = CM_ENDING;
		if (cm_send(id, CM_DREQ, NULL, 0))
			cm_peer_gone(id);
		return -1;
	case CM_ENDED:
		/* refused, or not reached: there is nothing to end */
		if (!id->told_end)
			return 0;
		cm_timewait_start(id);
		return -1;
	case CM_ENDING:
		return 0;
	default:
		return EINVAL;
	}
}

/* first of all the QP, as librdmacm does: even if there is nothing to disconnect */
int cm_disconnect(struct rdma_cm_id *ibv)
{
	struct cm_id *id = to_id(ibv);
	int error = cm_qp_error(id);
	bool first;

	if (error)
		return cm_result(error);

	pthread_mutex_lock(&cm_lock);
	first = !id->timewait;
	error = end(id);
	pthread_mutex_unlock(&cm_lock);
	if (error > 0)
		return cm_result(error);
	return error < 0 && first ? cm_complete(id) : 0;
}
