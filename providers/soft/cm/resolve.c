// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Binding, resolving, listening. All of it is known at once, so the events are
 * queued before the calls return.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cm.h"

/* ---- what the program sees ---- */

void cm_id_show_place(struct cm_id *id)
{
	struct rdma_addr *addr = &id->ibv.route.addr;

	id->ibv.verbs = id->place.dev ? id->place.dev->verbs : NULL;
	id->ibv.port_num = id->place.port;
	cm_address_to(&id->src, &addr->src_storage);
	cm_address_to(&id->dst, &addr->dst_storage);
	if (!id->place.dev)
		return;
	addr->addr.ibaddr.sgid = id->place.gid;
	addr->addr.ibaddr.pkey = htobe16(id->place.pkey);
}

/* to the peer's GID as he has said it, or as his address has it here */
int cm_id_show_route(struct cm_id *id)
{
	struct ibv_sa_path_rec *path = calloc(1, sizeof(*path));

	if (!path)
		return ENOMEM;
	if (id->peer.magic)
		memcpy(&path->dgid, id->peer.gid, sizeof(path->dgid));
	else
		path->dgid = id->dst_gid;
	path->sgid = id->place.gid;
	path->slid = htobe16(id->place.lid);
	path->dlid = htobe16(id->peer.magic ? id->peer.lid : id->place.lid);
	path->hop_limit = 64;
	path->reversible = 1;
	path->numb_path = 1;
	path->pkey = htobe16(id->place.pkey);
	path->mtu_selector = 2; /* exactly */
	path->mtu = id->place.mtu;
	path->rate_selector = 2;
	path->rate = IBV_RATE_100_GBPS;
	path->packet_life_time_selector = 2;
	path->packet_life_time = 18;
	free(id->ibv.route.path_rec);
	id->ibv.route.path_rec = path;
	id->ibv.route.num_paths = 1;
	id->ibv.route.addr.addr.ibaddr.dgid = path->dgid;
	return 0;
}

/* ---- states ---- */

/* from one of two states; an errno value */
static int change_state(struct cm_id *id, enum cm_state from,
			enum cm_state other, enum cm_state to)
{
	int error = EINVAL;

	pthread_mutex_lock(&cm_lock);
	if (id->state == from || id->state == other) {
		id->state = to;
		error = 0;
	}
	pthread_mutex_unlock(&cm_lock);
	return error;
}

static void set_state(struct cm_id *id, enum cm_state to)
{
	pthread_mutex_lock(&cm_lock);
	/* unless the device went in the meantime */
	if (id->state != CM_REMOVED)
		id->state = to;
	pthread_mutex_unlock(&cm_lock);
}

static int say(struct cm_id *id, enum rdma_cm_event_type type, int status)
{
	struct cm_event *event;

	pthread_mutex_lock(&cm_lock);
	event = cm_event_add(id, type, status);
	pthread_mutex_unlock(&cm_lock);
	return event ? 0 : ENOMEM;
}

/* ---- binding ---- */

static int check_local(const struct cm_address *address)
{
	struct softverbs *sv = cm_fabric();
	bool local;

	if (!sv)
		return ENODEV;
	local = cm_address_is_local(sv, address);
	softverbs_close(sv);
	return local ? 0 : EADDRNOTAVAIL;
}

/* from now on the id hears of the end of the device */
int cm_id_settle(struct cm_id *id, const struct cm_address *address)
{
	struct cm_place place, other;
	int error = cm_place_find(address, &place);

	if (error)
		return error;
	other = place;
	pthread_mutex_lock(&cm_lock);
	if (place.dev->removed) {
		error = ENODEV;
	} else {
		/* from an attempt to resolve that went no further */
		other = id->place;
		id->place = place;
	}
	pthread_mutex_unlock(&cm_lock);
	cm_place_put(&other);
	return error;
}

static int bind_to(struct cm_id *id, const struct cm_address *from)
{
	struct cm_address address = *from;
	bool any = cm_address_is_any(&address);
	int error = any ? cm_thread_start() : check_local(&address);

	if (!error && !any)
		error = cm_id_settle(id, &address);
	if (!error)
		error = cm_port_take(id, &address);
	if (error) {
		cm_place_put(&id->place);
		return error;
	}
	id->src = address;
	cm_id_show_place(id);
	return 0;
}

int cm_bind_addr(struct rdma_cm_id *ibv, struct sockaddr *addr)
{
	struct cm_address address;
	struct cm_id *id = to_id(ibv);
	int error;

	if (!addr)
		return cm_result(EINVAL);
	if (!cm_address_from(&address, addr))
		return cm_result(EAFNOSUPPORT);
	error = change_state(id, CM_IDLE, CM_IDLE, CM_BOUND);
	if (error)
		return cm_result(error);
	error = bind_to(id, &address);
	if (error)
		set_state(id, CM_IDLE);
	return cm_result(error);
}

/* ---- resolving ---- */

/* "any" is this machine, as with TCP */
static void to_loopback(struct cm_address *address)
{
	struct cm_address loopback;

	if (!cm_address_is_any(address))
		return;
	cm_address_from_text(&loopback,
			     address->family == 4 ? "127.0.0.1" : "::1");
	memcpy(address->ip, loopback.ip, sizeof(address->ip));
}

static bool is_multicast(const struct cm_address *address)
{
	return address->family == 4 ? address->ip[12] >> 4 == 0xe :
				      address->ip[0] == 0xff;
}

/* a machine reaches itself from the address it goes to; a group from its own */
static void choose_source(struct cm_id *id)
{
	uint16_t port = id->src.port ? id->src.port : cm_port_ephemeral();

	if (!id->src.family || cm_address_is_any(&id->src)) {
		id->src = id->dst;
		if (is_multicast(&id->dst))
			memset(id->src.ip + (id->dst.family == 4 ? 12 : 0), 0,
			       id->dst.family == 4 ? 4 : 16);
		to_loopback(&id->src);
	}
	id->src.port = port;
}

static int resolve(struct cm_id *id, const struct cm_address *dst)
{
	int error = 0;

	id->dst = *dst;
	to_loopback(&id->dst);
	if (!is_multicast(&id->dst))
		error = check_local(&id->dst);
	if (error)
		return error == EADDRNOTAVAIL ? EHOSTUNREACH : error;
	choose_source(id);
	if (!id->place.dev)
		error = cm_id_settle(id, &id->src);
	if (error)
		return error;
	id->dst_gid = id->place.gid;
	if (!is_multicast(&id->dst))
		error = cm_place_gid(&id->dst, &id->dst_gid);
	if (!error)
		cm_id_show_place(id);
	return error;
}

static int bind_source(struct rdma_cm_id *ibv, struct sockaddr *src)
{
	struct cm_id *id = to_id(ibv);
	struct cm_address address;
	bool bound;

	pthread_mutex_lock(&cm_lock);
	bound = id->state != CM_IDLE;
	pthread_mutex_unlock(&cm_lock);
	if (bound || !src)
		return 0;
	if (!cm_address_from(&address, src))
		return cm_result(EAFNOSUPPORT);
	/* an address without a port takes none that others could want */
	if (cm_address_is_any(&address) && !address.port)
		return 0;
	return cm_bind_addr(ibv, src);
}

int cm_resolve_addr(struct rdma_cm_id *ibv, struct sockaddr *src,
		    struct sockaddr *dst, int timeout_ms)
{
	struct cm_id *id = to_id(ibv);
	struct cm_address address;
	int error;

	(void)timeout_ms;
	if (!dst)
		return cm_result(EINVAL);
	if (!cm_address_from(&address, dst))
		return cm_result(EAFNOSUPPORT);
	if (bind_source(ibv, src))
		return -1;
	error = change_state(id, CM_IDLE, CM_BOUND, CM_ADDR_RESOLVED);
	if (error)
		return cm_result(error);
	error = resolve(id, &address);
	if (error) {
		set_state(id, id->port_fd >= 0 ? CM_BOUND : CM_IDLE);
		error = say(id, RDMA_CM_EVENT_ADDR_ERROR, -error);
	} else {
		error = say(id, RDMA_CM_EVENT_ADDR_RESOLVED, 0);
	}
	return error ? cm_result(error) : cm_complete(id);
}

int cm_resolve_route(struct rdma_cm_id *ibv, int timeout_ms)
{
	struct cm_id *id = to_id(ibv);
	int error;

	(void)timeout_ms;
	error = change_state(id, CM_ADDR_RESOLVED, CM_ADDR_RESOLVED,
			     CM_ROUTE_RESOLVED);
	if (!error)
		error = cm_id_show_route(id);
	if (!error)
		error = say(id, RDMA_CM_EVENT_ROUTE_RESOLVED, 0);
	return error ? cm_result(error) : cm_complete(id);
}

/* ---- listening ---- */

#define MAX_BACKLOG 1024

int cm_listen(struct rdma_cm_id *ibv, int backlog)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	struct cm_id *id = to_id(ibv);
	bool idle;
	int error;

	pthread_mutex_lock(&cm_lock);
	idle = id->state == CM_IDLE;
	pthread_mutex_unlock(&cm_lock);
	if (idle && cm_bind_addr(ibv, (struct sockaddr *)&any))
		return -1;
	id->backlog =
		backlog > 0 && backlog < MAX_BACKLOG ? backlog : MAX_BACKLOG;
	error = change_state(id, CM_BOUND, CM_BOUND, CM_LISTEN);
	return cm_result(error);
}
