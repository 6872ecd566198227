// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Multicast groups. There is no subnet to ask: a group's GID is made of its
 * address, so all who join it agree, and joining succeeds at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cm.h"

#define MULTICAST_LID 0xc000
#define MULTICAST_QPN 0xffffff

/* an IPv4 group as IP over InfiniBand has it; IPv6 is as long as a GID */
static void make_gid(union ibv_gid *gid, const struct cm_address *address)
{
	static const uint8_t ipv4[12] = { 0xff, 0x12, 0x40, 0x1b, 0xff, 0xff };

	memcpy(gid->raw, address->ip, sizeof(gid->raw));
	if (address->family == 4)
		memcpy(gid->raw, ipv4, sizeof(ipv4));
}

static struct cm_group **find(struct cm_id *id,
			      const struct cm_address *address)
{
	struct cm_group **at = &id->groups;

	while (*at && !cm_address_is_same(&(*at)->address, address))
		at = &(*at)->next;
	return at;
}

static void fill_event(struct cm_event *event, const struct cm_id *id,
		       struct cm_group *group)
{
	struct rdma_ud_param *ud = &event->ibv.param.ud;

	event->group = group;
	ud->private_data = group->context;
	cm_fill_ah(id, &group->gid, MULTICAST_LID, &ud->ah_attr);
	ud->qp_num = MULTICAST_QPN;
	ud->qkey = RDMA_UDP_QKEY;
}

/* lock held */
static int add(struct cm_id *id, const struct cm_address *address,
	       void *context)
{
	struct cm_group **at = find(id, address), *group;
	struct cm_event *event;

	if (*at)
		return EADDRINUSE;
	group = calloc(1, sizeof(*group));
	if (!group)
		return ENOMEM;
	group->address = *address;
	group->context = context;
	make_gid(&group->gid, address);
	event = cm_event_add(id, RDMA_CM_EVENT_MULTICAST_JOIN, 0);
	if (!event) {
		free(group);
		return ENOMEM;
	}
	fill_event(event, id, group);
	*at = group;
	return 0;
}

int cm_join(struct rdma_cm_id *ibv, const struct sockaddr *addr, void *context)
{
	struct cm_id *id = to_id(ibv);
	struct cm_address address;
	int error = EINVAL;

	if (!addr)
		return cm_result(EINVAL);
	if (!cm_address_from(&address, addr))
		return cm_result(EAFNOSUPPORT);
	pthread_mutex_lock(&cm_lock);
	if (id->place.dev && id->state != CM_REMOVED && cm_is_ud(id))
		error = add(id, &address, context);
	pthread_mutex_unlock(&cm_lock);
	return error ? cm_result(error) : cm_complete(id);
}

/* one that only sends is none the worse for hearing */
int cm_join_multicast_ex(struct rdma_cm_id *id,
			 struct rdma_cm_join_mc_attr_ex *attr, void *context)
{
	if (!attr || attr->comp_mask >= RDMA_CM_JOIN_MC_ATTR_RESERVED ||
	    !(attr->comp_mask & RDMA_CM_JOIN_MC_ATTR_ADDRESS))
		return cm_result(EINVAL);
	if (attr->comp_mask & RDMA_CM_JOIN_MC_ATTR_JOIN_FLAGS &&
	    attr->join_flags >= RDMA_MC_JOIN_FLAG_RESERVED)
		return cm_result(EINVAL);
	return cm_join(id, attr->addr, context);
}

void cm_process_join(struct cm_event *event)
{
	struct cm_group *group = event->group;
	struct cm_id *id = to_id(event->ibv.id);
	int error;

	if (!id->ibv.qp)
		return;
	error = CM_VERB(ibv_attach_mcast)(id->ibv.qp, &group->gid,
					  MULTICAST_LID);
	pthread_mutex_lock(&cm_lock);
	group->attached = !error;
	pthread_mutex_unlock(&cm_lock);
	if (error) {
		event->ibv.event = RDMA_CM_EVENT_MULTICAST_ERROR;
		event->ibv.status = -error;
	}
}

int cm_leave(struct rdma_cm_id *ibv, const struct sockaddr *addr)
{
	struct cm_id *id = to_id(ibv);
	struct cm_group **at, *group;
	struct cm_address address;

	if (!addr || !cm_address_from(&address, addr))
		return cm_result(EINVAL);
	pthread_mutex_lock(&cm_lock);
	at = find(id, &address);
	group = *at;
	if (group) {
		*at = group->next;
		cm_events_drop(id, group);
		/* an event that was got speaks of it */
		cm_events_wait(id);
	}
	pthread_mutex_unlock(&cm_lock);
	if (!group)
		return cm_result(EADDRNOTAVAIL);
	if (group->attached && ibv->qp)
		CM_VERB(ibv_detach_mcast)(ibv->qp, &group->gid, MULTICAST_LID);
	free(group);
	return 0;
}

void cm_groups_free(struct cm_id *id)
{
	struct cm_group *group;

	while ((group = id->groups)) {
		id->groups = group->next;
		free(group);
	}
}
