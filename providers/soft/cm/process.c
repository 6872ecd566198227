// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What an event asks for before the program sees it. In the program's thread and
 * without the lock, since verbs may take their time. The event is counted
 * already, so the id cannot go meanwhile.
 */
#include <errno.h>

#include "cm.h"

/* he said yes: the QP gets ready, and then he is told */
static void respond(struct cm_event *event)
{
	struct cm_id *id = to_id(event->ibv.id);
	int error;

	if (!id->ibv.qp)
		return; /* the program does it, and calls rdma_establish() */
	error = cm_qp_ready(id);
	event->ibv.event =
		error ? RDMA_CM_EVENT_CONNECT_ERROR : RDMA_CM_EVENT_ESTABLISHED;
	event->ibv.status = -error;
	pthread_mutex_lock(&cm_lock);
	/* if he is gone already, that is the next event */
	if (id->state == CM_RESPONDED && error) {
		cm_refuse(id, false);
		cm_id_hang_up(id);
		id->state = CM_ENDED;
	} else if (id->state == CM_RESPONDED) {
		id->state = CM_CONNECTED;
		cm_send(id, CM_RTU, NULL, 0);
	}
	pthread_mutex_unlock(&cm_lock);
	if (error)
		cm_qp_error(id);
}

/* an id that the program will not see */
static void give_up(struct cm_event *event)
{
	struct cm_id *id = to_id(event->ibv.id);

	pthread_mutex_lock(&cm_lock);
	cm_refuse(id, true);
	cm_id_bury(id);
	pthread_mutex_unlock(&cm_lock);
	cm_ids_sweep();
	cm_ack_event(&event->ibv);
}

static bool introduce(struct cm_event *event)
{
	struct cm_id *listener = to_id(event->ibv.listen_id);
	struct cm_id *id = to_id(event->ibv.id);

	if (cm_id_settle(id, &id->src) || cm_id_show_route(id)) {
		give_up(event);
		return false;
	}
	cm_id_show_place(id);
	if (listener->sync && cm_migrate_id(&id->ibv, NULL)) {
		give_up(event);
		return false;
	}
	return true;
}

bool cm_process_event(struct cm_event *event)
{
	struct rdma_cm_id *id = event->ibv.id;

	switch (event->ibv.event) {
	case RDMA_CM_EVENT_CONNECT_REQUEST:
		return introduce(event);
	case RDMA_CM_EVENT_CONNECT_RESPONSE:
		respond(event);
		break;
	case RDMA_CM_EVENT_REJECTED:
		if (id->qp && !cm_is_ud(to_id(id)))
			cm_qp_error(to_id(id));
		break;
	case RDMA_CM_EVENT_MULTICAST_JOIN:
		cm_process_join(event);
		break;
	default:
		break;
	}
	return true;
}
