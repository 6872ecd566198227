// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Ids: their life, options, and the channel they are on. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cm.h"

static struct cm_id *buried;

/* ---- making and freeing ---- */

static enum ibv_qp_type default_qp_type(enum rdma_port_space ps)
{
	return ps == RDMA_PS_UDP || ps == RDMA_PS_IPOIB ? IBV_QPT_UD :
							  IBV_QPT_RC;
}

struct cm_id *cm_id_new(struct rdma_event_channel *channel, void *context,
			enum rdma_port_space ps)
{
	struct cm_id *id = calloc(1, sizeof(*id));

	if (!id)
		return NULL;
	id->ibv.channel = channel;
	id->ibv.context = context;
	id->ibv.ps = ps;
	id->ibv.qp_type = default_qp_type(ps);
	id->port_fd = id->fd = -1;
	return id;
}

static void bury_embryo(struct cm_id *id, void *arg)
{
	if (id->state == CM_EMBRYO && id->listener == arg)
		cm_id_bury(id);
}

/* lock held: no message and no event of it after this */
static void detach(struct cm_id *id)
{
	if (id->port_fd >= 0)
		cm_table_each(bury_embryo, id);
	cm_timewait_cancel(id);
	cm_port_free(id);
	cm_id_hang_up(id);
	cm_events_drop(id, NULL);
	cm_table_remove(id);
}

void cm_id_hang_up(struct cm_id *id)
{
	if (id->fd >= 0)
		cm_unwatch(id->fd);
	id->fd = -1;
}

/* no lock: the device may have to be closed */
static void free_id(struct cm_id *id)
{
	cm_groups_free(id);
	cm_place_put(&id->place);
	free(id->ibv.route.path_rec);
	free(id->ep_qp);
	free(id->ep_data);
	free(id);
}

void cm_id_bury(struct cm_id *id)
{
	detach(id);
	id->next_timewait = buried;
	buried = id;
}

void cm_ids_sweep(void)
{
	struct cm_id *id;

	do {
		pthread_mutex_lock(&cm_lock);
		id = buried;
		if (id)
			buried = id->next_timewait;
		pthread_mutex_unlock(&cm_lock);
		if (id)
			free_id(id);
	} while (id);
}

int cm_create_id(struct rdma_event_channel *channel, struct rdma_cm_id **ibv,
		 void *context, enum rdma_port_space ps)
{
	struct rdma_event_channel *own = NULL;
	struct cm_id *id;
	int error;

	if (!ibv || !cm_port_space_is_good(ps))
		return cm_result(EINVAL);
	if (!channel)
		channel = own = cm_create_event_channel();
	if (!channel)
		return -1;
	id = cm_id_new(channel, context, ps);
	error = id ? 0 : ENOMEM;
	if (!error) {
		pthread_mutex_lock(&cm_lock);
		error = cm_table_add(id);
		pthread_mutex_unlock(&cm_lock);
	}
	if (error) {
		free(id);
		if (own)
			cm_destroy_event_channel(own);
		return cm_result(error);
	}
	id->sync = own;
	*ibv = &id->ibv;
	return 0;
}

/* what the last synchronous call got, if anything */
static int ack_own(struct cm_id *id)
{
	struct rdma_cm_event *event = id->ibv.event;

	id->ibv.event = NULL;
	return event ? cm_ack_event(event) : 0;
}

int cm_destroy_id(struct rdma_cm_id *ibv)
{
	struct cm_id *id = to_id(ibv);
	struct rdma_event_channel *own = id->sync ? ibv->channel : NULL;

	ack_own(id);
	pthread_mutex_lock(&cm_lock);
	if (id->state == CM_REQUESTED)
		cm_refuse(id, false);
	detach(id);
	cm_events_wait(id);
	pthread_mutex_unlock(&cm_lock);
	free_id(id);
	cm_ids_sweep();
	if (own)
		cm_destroy_event_channel(own);
	return 0;
}

/* ---- to another channel ---- */

int cm_migrate_id(struct rdma_cm_id *ibv, struct rdma_event_channel *channel)
{
	struct rdma_event_channel *own = NULL, *old;
	struct cm_id *id = to_id(ibv);
	bool sync = !channel;

	if (sync)
		channel = cm_create_event_channel();
	if (!channel)
		return -1;
	if (id->sync) {
		own = ibv->channel;
		ack_own(id);
	}
	pthread_mutex_lock(&cm_lock);
	old = ibv->channel;
	if (old != channel)
		cm_events_move(id, (struct cm_channel *)channel);
	id->sync = sync;
	cm_events_wait(id);
	pthread_mutex_unlock(&cm_lock);
	if (own && own != channel)
		cm_destroy_event_channel(own);
	return 0;
}

/* ---- options ---- */

static int set_id_option(struct cm_id *id, int name, const void *value,
			 size_t len)
{
	switch (name) {
	case RDMA_OPTION_ID_TOS:
		return len == sizeof(uint8_t) ? 0 : EINVAL;
	case RDMA_OPTION_ID_REUSEADDR:
		return len == sizeof(int) ? 0 : EINVAL;
	case RDMA_OPTION_ID_AFONLY:
		if (len != sizeof(int) || id->state != CM_IDLE)
			return EINVAL;
		id->af_only = *(const int *)value;
		return 0;
	case RDMA_OPTION_ID_ACK_TIMEOUT:
		if (len != sizeof(uint8_t) || *(const uint8_t *)value > 31)
			return EINVAL;
		id->ack_timeout = *(const uint8_t *)value;
		return 0;
	default:
		return ENOSYS;
	}
}

int cm_set_option(struct rdma_cm_id *ibv, int level, int name, void *value,
		  size_t len)
{
	struct cm_id *id = to_id(ibv);
	int error = ENOSYS;

	if (!value)
		return cm_result(EINVAL);
	pthread_mutex_lock(&cm_lock);
	if (level == RDMA_OPTION_ID)
		error = set_id_option(id, name, value, len);
	pthread_mutex_unlock(&cm_lock);
	return cm_result(error);
}

/* ---- what the peer's device can do besides; ours take it as it comes ---- */

int cm_set_local_ece(struct rdma_cm_id *ibv, struct ibv_ece *ece)
{
	struct cm_id *id = to_id(ibv);

	if (!ece || ibv->qp)
		return cm_result(EINVAL);
	pthread_mutex_lock(&cm_lock);
	id->ece = *ece;
	pthread_mutex_unlock(&cm_lock);
	return 0;
}

int cm_get_remote_ece(struct rdma_cm_id *ibv, struct ibv_ece *ece)
{
	struct cm_id *id = to_id(ibv);

	if (!ece || ibv->qp)
		return cm_result(EINVAL);
	pthread_mutex_lock(&cm_lock);
	*ece = (struct ibv_ece){ .vendor_id = id->peer.ece_vendor,
				 .options = id->peer.ece_options };
	pthread_mutex_unlock(&cm_lock);
	return 0;
}
