// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What peers say. In our thread, with the lock: no verb is called here. Whoever
 * says what is not to be said in that state is treated as if he were gone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cm.h"

/* ---- events ---- */

/* programs see all the room there is, as with InfiniBand: zeros behind the data */
static void add_data(struct cm_event *event, const struct cm_message *message,
		     const void **data, uint8_t *len)
{
	*len = cm_message_room(message->type);
	memcpy(event->data, message->data, *len);
	*data = event->data;
}

/* each side's resources are what the other one asks for */
static void fill_conn(struct cm_event *event, const struct cm_message *message)
{
	struct rdma_conn_param *conn = &event->ibv.param.conn;

	add_data(event, message, &conn->private_data, &conn->private_data_len);
	conn->responder_resources = message->initiator_depth;
	conn->initiator_depth = message->responder_resources;
	conn->flow_control = message->flow_control;
	conn->retry_count = message->retry_count;
	conn->rnr_retry_count = message->rnr_retry_count;
	conn->srq = message->srq;
	conn->qp_num = message->qp_num;
}

static void fill_ud(struct cm_event *event, const struct cm_id *id,
		    const struct cm_message *message)
{
	struct rdma_ud_param *ud = &event->ibv.param.ud;
	union ibv_gid gid;

	add_data(event, message, &ud->private_data, &ud->private_data_len);
	if (message->type != CM_SIDR_REP)
		return;
	memcpy(&gid, message->gid, sizeof(gid));
	cm_fill_ah(id, &gid, message->lid, &ud->ah_attr);
	ud->qp_num = message->qp_num;
	ud->qkey = message->qkey;
}

/* ---- the end ---- */

static void ended(struct cm_id *id)
{
	bool ours = id->state == CM_ENDING;

	cm_id_hang_up(id);
	id->state = CM_ENDED;
	id->told_end = true;
	cm_event_add(id, RDMA_CM_EVENT_DISCONNECTED, 0);
	/* else when the program agrees */
	if (ours)
		cm_timewait_start(id);
}

void cm_peer_gone(struct cm_id *id)
{
	switch (id->state) {
	case CM_EMBRYO:
		cm_id_bury(id);
		break;
	case CM_CONNECT:
	case CM_ACCEPTED:
		cm_fail(id, RDMA_CM_EVENT_UNREACHABLE, -ETIMEDOUT);
		break;
	case CM_RESPONDED:
	case CM_CONNECTED:
	case CM_ENDING:
		ended(id);
		break;
	default:
		/* asked, and did not wait: accepting will say so */
		cm_id_hang_up(id);
		break;
	}
}

/* ---- requests ---- */

static void promote(struct cm_id *id, const struct cm_message *message)
{
	struct cm_id *listener = id->listener;
	struct cm_event *event;

	id->peer = *message;
	id->state = CM_REQUESTED;
	id->ibv.context = listener->ibv.context;
	id->ibv.channel = listener->ibv.channel;
	event = cm_event_add(id, RDMA_CM_EVENT_CONNECT_REQUEST, 0);
	if (!event) {
		cm_id_bury(id);
		return;
	}
	cm_event_of_listener(event, listener);
	if (cm_is_ud(id))
		fill_ud(event, id, message);
	else
		fill_conn(event, message);
}

static void request(struct cm_id *id, const struct cm_message *message)
{
	struct cm_id *listener = id->listener;
	bool listens = listener->state == CM_LISTEN;

	id->src = message->dst;
	id->src.port = listener->src.port;
	id->dst = message->src;
	if (message->type != (cm_is_ud(id) ? CM_SIDR_REQ : CM_REQ)) {
		cm_id_bury(id);
	} else if (!listens || listener->pending >= listener->backlog) {
		cm_refuse(id, !listens);
		cm_id_bury(id);
	} else {
		promote(id, message);
	}
}

static int add_caller(struct cm_id *listener, int fd)
{
	struct cm_id *id = cm_id_new(NULL, NULL, listener->ibv.ps);

	if (!id || cm_table_add(id)) {
		free(id);
		close(fd);
		return ENOMEM;
	}
	id->listener = listener;
	id->state = CM_EMBRYO;
	id->fd = fd;
	if (cm_watch(id, CM_SOURCE_PEER))
		cm_id_bury(id);
	return 0;
}

void cm_take_callers(struct cm_id *listener)
{
	int fd;

	do {
		fd = accept4(listener->port_fd, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0 && add_caller(listener, fd))
			return;
	} while (fd >= 0 || errno == ECONNABORTED || errno == EINTR);
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		cm_port_pause(listener);
}

/* ---- answers ---- */

static void answered(struct cm_id *id, const struct cm_message *message)
{
	struct cm_event *event;

	if (message->type == CM_REJ) {
		cm_id_hang_up(id);
		id->state = CM_ENDED;
		event = cm_event_add(id, RDMA_CM_EVENT_REJECTED,
				     (int)message->reason);
	} else {
		id->peer = *message;
		id->state = CM_RESPONDED;
		event = cm_event_add(id, RDMA_CM_EVENT_CONNECT_RESPONSE, 0);
	}
	if (event)
		fill_conn(event, message);
}

static void looked_up(struct cm_id *id, const struct cm_message *message)
{
	struct cm_event *event;

	cm_id_hang_up(id);
	id->state = CM_ENDED;
	id->peer = *message;
	event = cm_event_add(id,
			     message->reason ? RDMA_CM_EVENT_UNREACHABLE :
					       RDMA_CM_EVENT_ESTABLISHED,
			     (int)message->reason);
	if (event)
		fill_ud(event, id, message);
}

static void on_connect(struct cm_id *id, const struct cm_message *message)
{
	if (cm_is_ud(id) && message->type == CM_SIDR_REP)
		looked_up(id, message);
	else if (!cm_is_ud(id) &&
		 (message->type == CM_REP || message->type == CM_REJ))
		answered(id, message);
	else
		cm_peer_gone(id);
}

static void on_accepted(struct cm_id *id, const struct cm_message *message)
{
	if (message->type == CM_RTU) {
		id->state = CM_CONNECTED;
		cm_event_add(id, RDMA_CM_EVENT_ESTABLISHED, 0);
	} else if (message->type == CM_REJ) {
		answered(id, message);
	} else if (message->type == CM_DREQ) {
		cm_send(id, CM_DREP, NULL, 0);
		ended(id);
	} else {
		cm_peer_gone(id);
	}
}

static void on_connected(struct cm_id *id, const struct cm_message *message)
{
	/* after rdma_notify() it is no news */
	if (message->type == CM_RTU && id->state == CM_CONNECTED)
		return;
	if (message->type == CM_DREQ)
		cm_send(id, CM_DREP, NULL, 0);
	ended(id);
}

void cm_receive_packet(struct cm_id *id, const void *data, size_t len)
{
	struct cm_message message;

	if (!cm_message_read(&message, data, len) || message.ps != id->ibv.ps) {
		cm_peer_gone(id);
		return;
	}
	switch (id->state) {
	case CM_EMBRYO:
		request(id, &message);
		break;
	case CM_CONNECT:
		on_connect(id, &message);
		break;
	case CM_ACCEPTED:
		on_accepted(id, &message);
		break;
	case CM_RESPONDED:
	case CM_CONNECTED:
	case CM_ENDING:
		on_connected(id, &message);
		break;
	default:
		cm_peer_gone(id);
		break;
	}
}

void cm_receive(struct cm_id *id)
{
	uint8_t packet[sizeof(struct cm_message) + 1];
	ssize_t n;

	if (id->fd < 0)
		return;
	n = recv(id->fd, packet, sizeof(packet), MSG_DONTWAIT);
	if (n > 0)
		cm_receive_packet(id, packet, n);
	else if (!n || (errno != EAGAIN && errno != EINTR))
		cm_peer_gone(id);
}
