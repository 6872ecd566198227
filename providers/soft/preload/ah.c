// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Address handles. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "preload.h"

/* the port and the source GID must be there; RoCE knows no LIDs */
int soft_check_ah_attr(const struct sv_state *state,
		       const struct ibv_ah_attr *attr)
{
	static const uint8_t none[16];
	const struct sv_port *port;

	if (!attr->port_num || attr->port_num > state->num_ports)
		return EINVAL;
	if (!attr->is_global)
		return state->ib ? 0 : EINVAL;
	port = &state->ports[attr->port_num - 1];
	if (attr->grh.sgid_index >= SV_NUM_GIDS ||
	    !memcmp(port->gid[attr->grh.sgid_index], none, sizeof(none)))
		return EINVAL;
	return 0;
}

static int resolve(struct soft_context *ctx, const struct ibv_ah_attr *attr,
		   struct soft_address *to)
{
	struct sv_state state;
	int error = sv_state_load(ctx->dir, &state);

	if (error)
		return error;
	error = soft_check_ah_attr(&state, attr);
	if (!error)
		soft_address_fill(&state, attr, attr->port_num, to);
	sv_state_free(&state);
	return error;
}

struct ibv_ah *soft_create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attr)
{
	struct soft_context *ctx = to_context(pd->context);
	int error = soft_enter(pd->context, "create_ah");
	struct soft_address to;
	struct soft_ah *ah;

	if (!error)
		error = resolve(ctx, attr, &to);
	if (error)
		return soft_fail_null(error);
	ah = calloc(1, sizeof(*ah));
	if (!ah)
		return NULL;
	ah->ibv.context = pd->context;
	ah->ibv.pd = pd;
	ah->ibv.handle = soft_next_handle(ctx);
	ah->attr = *attr;
	ah->to = to;
	soft_use_get(ctx, &((struct soft_pd *)pd)->use);
	return &ah->ibv;
}

int soft_destroy_ah(struct ibv_ah *ah)
{
	struct soft_context *ctx = to_context(ah->context);
	int error = soft_enter_destroy(ah->context, "destroy_ah");

	if (error)
		return soft_fail(error);
	soft_use_put(ctx, &((struct soft_pd *)ah->pd)->use);
	free(ah);
	return 0;
}

/* ---- to answer a datagram ---- */

static int find_gid(struct soft_context *ctx, uint8_t port,
		    const union ibv_gid *gid)
{
	struct sv_state state;
	int found = -1, i;

	if (sv_state_load(ctx->dir, &state))
		return -1;
	for (i = 0;
	     found < 0 && port && port <= state.num_ports && i < SV_NUM_GIDS;
	     i++)
		if (!memcmp(state.ports[port - 1].gid[i], gid->raw,
			    sizeof(gid->raw)))
			found = i;
	sv_state_free(&state);
	return found;
}

/* 0, or -1 and errno; a group was its own address: any of ours will do */
int soft_init_ah_from_wc(struct ibv_context *context, uint8_t port,
			 struct ibv_wc *wc, struct ibv_grh *grh,
			 struct ibv_ah_attr *attr)
{
	struct soft_context *ctx = to_context(context);
	int error = soft_enter(context, "create_ah"), index = 0;
	uint32_t flow;

	memset(attr, 0, sizeof(*attr));
	attr->dlid = wc->slid;
	attr->sl = wc->sl;
	attr->src_path_bits = wc->dlid_path_bits;
	attr->port_num = port;
	if (!error && wc->wc_flags & IBV_WC_GRH) {
		if (grh->dgid.raw[0] != 0xff)
			index = find_gid(ctx, port, &grh->dgid);
		if (index < 0)
			error = ENOENT;
		flow = be32toh(grh->version_tclass_flow);
		attr->is_global = 1;
		attr->grh.dgid = grh->sgid;
		attr->grh.sgid_index = index;
		attr->grh.flow_label = flow & 0xfffff;
		attr->grh.traffic_class = flow >> 20 & 0xff;
		attr->grh.hop_limit = 0xff;
	}
	if (!error)
		return 0;
	errno = error;
	return -1;
}

struct ibv_ah *soft_create_ah_from_wc(struct ibv_pd *pd, struct ibv_wc *wc,
				      struct ibv_grh *grh, uint8_t port)
{
	struct ibv_ah_attr attr;

	if (soft_init_ah_from_wc(pd->context, port, wc, grh, &attr))
		return NULL;
	return soft_create_ah(pd, &attr);
}
