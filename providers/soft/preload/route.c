// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Where a message goes: from a GID or LID to a device of the fabric, from a QP
 * number to the context that has it. Looked up when a QP sends for the first time,
 * and again when the other one is gone; nothing here is on the way of a message.
 *
 * No lock but those of the files that are looked into, one at a time.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "preload.h"

struct search {
	const struct soft_address *to;
	uint32_t qpn;
	struct soft_route *route;
};

static bool is_port(const struct sv_state *state, uint32_t port,
		    const struct soft_address *to)
{
	const struct sv_port *p = &state->ports[port - 1];
	unsigned int i;

	if (!p->up)
		return false;
	if (!to->is_global)
		return state->ib && soft_lid(state, port) == to->dlid;
	for (i = 0; i < SV_NUM_GIDS; i++)
		if (!memcmp(p->gid[i], to->dgid, sizeof(to->dgid)))
			return true;
	return false;
}

static bool is_device(int dir, const struct soft_address *to)
{
	struct sv_state state;
	bool yes = false;
	uint32_t port;

	if (sv_state_load(dir, &state))
		return false;
	for (port = 1; !yes && port <= state.num_ports; port++)
		yes = is_port(&state, port, to);
	sv_state_free(&state);
	return yes;
}

/* lock held */
static bool find_in_chunk(struct soft_shm *shm, unsigned int chunk,
			  uint32_t qpn, uint32_t *index)
{
	uint32_t first = 64 * ((1U << chunk) - 1), i;
	const struct sd_qp *qp;

	for (i = first; i < first + (64U << chunk); i++) {
		qp = soft_shm_record(shm, SD_QPS, i);
		if (!qp)
			return false;
		if (qp->qpn == qpn) {
			*index = i;
			return true;
		}
	}
	return false;
}

static bool find_qp(struct soft_shm *shm, uint32_t qpn, uint32_t *index)
{
	unsigned int chunk;

	for (chunk = 0; chunk < SD_NUM_CHUNKS; chunk++)
		if (find_in_chunk(shm, chunk, qpn, index))
			return true;
	return false;
}

static int look_into(int contexts, const char *id, void *arg)
{
	struct search *s = arg;
	struct soft_shm *shm = soft_shm_open(contexts, id);
	bool yes;

	if (!shm)
		return 0;
	if (soft_shm_lock(shm)) {
		soft_shm_put(shm);
		return 0;
	}
	yes = find_qp(shm, s->qpn, &s->route->index);
	soft_shm_unlock(shm);
	if (!yes) {
		soft_shm_put(shm);
		return 0;
	}
	s->route->shm = shm;
	s->route->qpn = s->qpn;
	s->route->to = *s->to;
	return 1;
}

static int look_at(int dir, struct search *s)
{
	if (!is_device(dir, s->to))
		return 0;
	return sv_for_each_entry(dir, "contexts", look_into, s);
}

static int look_at_entry(int parent, const char *entry, void *arg)
{
	int dir = sv_open_dir(parent, entry), found;

	if (dir < 0)
		return 0;
	found = look_at(dir, arg);
	close(dir);
	return found;
}

int soft_route_find(struct soft_context *ctx, const struct soft_address *to,
		    uint32_t qpn, struct soft_route *route)
{
	struct search s = { .to = to, .qpn = qpn, .route = route };
	struct softverbs *sv;
	int found, saved = errno;

	route->shm = NULL;
	if (!qpn)
		return ENOENT;
	found = look_at(ctx->dir, &s);
	sv = found ? NULL : sv_open_existing(ctx->dev->fabric);
	if (sv) {
		found = sv_for_each_entry(sv->dir, SV_LISTED, look_at_entry,
					  &s);
		/* what is held still after its removal works as before */
		if (!found)
			found = sv_for_each_entry(sv->dir, "removed",
						  look_at_entry, &s);
		softverbs_close(sv);
	}
	errno = saved;
	return found ? 0 : ENOENT;
}

void soft_route_drop(struct soft_route *route)
{
	if (route->shm)
		soft_shm_put(route->shm);
	route->shm = NULL;
}

/* a number is of one device only: the same one may be there at another */
bool soft_route_leads_to(const struct soft_route *route,
			 const struct soft_address *to, uint32_t qpn)
{
	const struct soft_address *old = &route->to;

	if (!route->shm || route->qpn != qpn || old->is_global != to->is_global)
		return false;
	return to->is_global ? !memcmp(old->dgid, to->dgid, sizeof(to->dgid)) :
			       old->dlid == to->dlid;
}

void soft_address_fill(const struct sv_state *state,
		       const struct ibv_ah_attr *attr, uint8_t port,
		       struct soft_address *to)
{
	const struct sv_port *p;

	memset(to, 0, sizeof(*to));
	to->is_global = attr->is_global;
	to->dlid = attr->dlid;
	if (attr->is_global)
		memcpy(to->dgid, attr->grh.dgid.raw, sizeof(to->dgid));
	if (!port || port > state->num_ports)
		return;
	p = &state->ports[port - 1];
	if (attr->is_global && attr->grh.sgid_index < SV_NUM_GIDS)
		memcpy(to->sgid, p->gid[attr->grh.sgid_index],
		       sizeof(to->sgid));
	to->slid = state->ib ? soft_lid(state, port) : 0;
}
