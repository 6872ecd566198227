// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Attributes of devices and ports, GIDs and P_Keys: what the device's state says
 * at that moment, and else constants.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "preload.h"

#define PORT_ACTIVE_SPEED 32	       /* 25 Gb/s a lane */
#define PORT_ACTIVE_WIDTH 2	       /* four lanes */
#define ATOMIC_WRITE_CAP  (1ULL << 40) /* IB_UVERBS_DEVICE_ATOMIC_WRITE */
#define PHYS_DISABLED	  3
#define PHYS_LINK_UP	  5
#define GID_TYPE_IB	  0
#define GID_TYPE_ROCE_V2  2
#define SYSFS_IB_ROCE_V1  0
#define SYSFS_ROCE_V2	  1

/* on success the state is the caller's to free */
static int load(struct ibv_context *context, const char *verb,
		struct sv_state *state)
{
	int error = soft_enter(context, verb), saved = errno;

	if (!error)
		error = sv_state_load(to_context(context)->dir, state);
	if (!error)
		errno = saved;
	return error;
}

static const struct sv_port *get_port(const struct sv_state *state,
				      uint32_t port)
{
	return port && port <= state->num_ports ? &state->ports[port - 1] :
						  NULL;
}

/* ---- device ---- */

static void fill_device(struct ibv_device_attr *attr,
			const struct sv_state *state)
{
	static const struct ibv_device_attr constants = {
		.fw_ver = "1.0.0",
		.max_mr_size = SOFT_MAX_MR_SIZE,
		.page_size_cap = 0xfffff000,
		.vendor_id = 0x5356,
		.vendor_part_id = 1,
		.hw_ver = 1,
		.max_qp = SOFT_MAX_QP,
		.max_qp_wr = SOFT_MAX_QP_WR,
		.device_cap_flags =
			IBV_DEVICE_CURR_QP_STATE_MOD |
			IBV_DEVICE_SHUTDOWN_PORT |
			IBV_DEVICE_PORT_ACTIVE_EVENT |
			IBV_DEVICE_SYS_IMAGE_GUID | IBV_DEVICE_RC_RNR_NAK_GEN |
			IBV_DEVICE_SRQ_RESIZE | IBV_DEVICE_MEM_WINDOW |
			IBV_DEVICE_MEM_WINDOW_TYPE_2B |
			IBV_DEVICE_MEM_MGT_EXTENSIONS,
		.max_sge = SOFT_MAX_SGE,
		.max_sge_rd = SOFT_MAX_SGE,
		.max_cq = SOFT_MAX_QP,
		.max_cqe = SOFT_MAX_CQE,
		.max_mr = SV_MAX_OBJECTS,
		.max_pd = SV_MAX_OBJECTS,
		.max_qp_rd_atom = SOFT_MAX_RD_ATOMIC,
		.max_res_rd_atom = SOFT_MAX_QP * SOFT_MAX_RD_ATOMIC,
		.max_qp_init_rd_atom = SOFT_MAX_RD_ATOMIC,
		.atomic_cap = IBV_ATOMIC_HCA,
		.max_mw = SV_MAX_OBJECTS,
		.max_mcast_grp = SV_MAX_OBJECTS,
		.max_mcast_qp_attach = SOFT_MAX_QP,
		.max_total_mcast_qp_attach = SOFT_MAX_QP,
		.max_ah = SV_MAX_OBJECTS,
		.max_srq = SOFT_MAX_QP,
		.max_srq_wr = SOFT_MAX_SRQ_WR,
		.max_srq_sge = SOFT_MAX_SGE,
		.max_pkeys = SV_NUM_PKEYS,
		.local_ca_ack_delay = 15,
	};

	*attr = constants;
	attr->node_guid = state->guid;
	attr->sys_image_guid = state->guid;
	attr->phys_port_cnt = state->num_ports;
}

int soft_query_device(struct ibv_context *context, struct ibv_device_attr *attr)
{
	struct sv_state state;
	int error = load(context, "query_device", &state);

	if (error)
		return soft_fail(error);
	fill_device(attr, &state);
	sv_state_free(&state);
	return 0;
}

/* nothing is pinned: all memory is on demand */
static void fill_odp(struct ibv_odp_caps *caps)
{
	const uint32_t all = IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV;
	const uint32_t one_sided = IBV_ODP_SUPPORT_WRITE |
				   IBV_ODP_SUPPORT_READ |
				   IBV_ODP_SUPPORT_ATOMIC;

	caps->general_caps = IBV_ODP_SUPPORT | IBV_ODP_SUPPORT_IMPLICIT;
	caps->per_transport_caps.rc_odp_caps =
		all | one_sided | IBV_ODP_SUPPORT_SRQ_RECV;
	caps->per_transport_caps.uc_odp_caps = all | IBV_ODP_SUPPORT_WRITE;
	caps->per_transport_caps.ud_odp_caps = all;
}

/* @size: of the caller's struct, which may be shorter or longer than ours */
int soft_query_device_ex(struct ibv_context *context,
			 const struct ibv_query_device_ex_input *input,
			 struct ibv_device_attr_ex *attr, size_t size)
{
	struct ibv_device_attr_ex ours = {};
	struct sv_state state;
	int error;

	if ((input && input->comp_mask) || size < sizeof(attr->orig_attr))
		return soft_fail(EINVAL);
	error = load(context, "query_device_ex", &state);
	if (error)
		return soft_fail(error);
	fill_device(&ours.orig_attr, &state);
	ours.device_cap_flags_ex = ours.orig_attr.device_cap_flags;
	ours.max_wq_type_rq = SOFT_MAX_QP;
	ours.device_cap_flags_ex |= ATOMIC_WRITE_CAP;
	ours.completion_timestamp_mask = UINT64_MAX;
	ours.hca_core_clock = 1000000; /* kHz: nanoseconds */
	fill_odp(&ours.odp_caps);
	ours.phys_port_cnt_ex = state.num_ports;
	sv_state_free(&state);
	memset(attr, 0, size);
	memcpy(attr, &ours, size < sizeof(ours) ? size : sizeof(ours));
	return 0;
}

/* the clock of completions */
int soft_query_rt_values(struct ibv_context *context,
			 struct ibv_values_ex *values)
{
	const uint32_t known = IBV_VALUES_MASK_RAW_CLOCK;
	int error = soft_enter(context, "query_rt_values");
	uint32_t wanted = values->comp_mask;

	if (error)
		return soft_fail(error);
	values->comp_mask = wanted & known;
	if (values->comp_mask) {
		values->raw_clock.tv_sec = 0;
		values->raw_clock.tv_nsec = soft_now_ns();
	}
	return 0;
}

/* ---- port ---- */

uint16_t soft_lid(const struct sv_state *state, uint32_t port)
{
	/* unicast: 1 to 0xbfff; the subnet manager's is 1 */
	return 2 + (state->index * SV_MAX_PORTS + port - 1) % 0xbffe;
}

static enum ibv_mtu active_mtu(const struct sv_state *state)
{
	return state->ib ? IBV_MTU_4096 : IBV_MTU_1024;
}

uint32_t soft_mtu(const struct sv_state *state)
{
	return 128U << active_mtu(state);
}

static void fill_port(struct ibv_port_attr *attr, const struct sv_state *state,
		      uint32_t port)
{
	const struct sv_port *p = get_port(state, port);

	*attr = (struct ibv_port_attr){
		.state = p->up ? IBV_PORT_ACTIVE : IBV_PORT_DOWN,
		.phys_state = p->up ? PHYS_LINK_UP : PHYS_DISABLED,
		.max_mtu = IBV_MTU_4096,
		.active_mtu = active_mtu(state),
		.gid_tbl_len = SV_NUM_GIDS,
		.pkey_tbl_len = SV_NUM_PKEYS,
		.port_cap_flags = IBV_PORT_CM_SUP | IBV_PORT_IP_BASED_GIDS,
		.max_msg_sz = 1U << 30,
		.max_vl_num = 1,
		.active_width = PORT_ACTIVE_WIDTH,
		.active_speed = PORT_ACTIVE_SPEED,
		.link_layer = IBV_LINK_LAYER_ETHERNET,
		.flags = IBV_QPF_GRH_REQUIRED,
	};
	if (!state->ib)
		return;
	attr->port_cap_flags = IBV_PORT_CM_SUP | IBV_PORT_SYS_IMAGE_GUID_SUP |
			       IBV_PORT_CLIENT_REG_SUP;
	attr->subnet_timeout = 18;
	attr->link_layer = IBV_LINK_LAYER_INFINIBAND;
	attr->flags = 0;
	attr->lid = soft_lid(state, port);
	attr->sm_lid = 1;
}

int soft_query_port(struct ibv_context *context, uint8_t port,
		    struct ibv_port_attr *attr, size_t size)
{
	struct ibv_port_attr ours;
	struct sv_state state;
	int error = load(context, "query_port", &state);

	if (error)
		return soft_fail(error);
	if (get_port(&state, port)) {
		fill_port(&ours, &state, port);
		memset(attr, 0, size);
		memcpy(attr, &ours, size < sizeof(ours) ? size : sizeof(ours));
	} else {
		error = EINVAL;
	}
	sv_state_free(&state);
	return soft_fail(error);
}

int soft_query_port_compat(struct ibv_context *context, uint8_t port,
			   struct _compat_ibv_port_attr *attr)
{
	return soft_query_port(context, port, (struct ibv_port_attr *)attr,
			       offsetof(struct ibv_port_attr, port_cap_flags2));
}

/* ---- GIDs ---- */

static bool is_set(const uint8_t gid[16])
{
	static const uint8_t none[16];

	return memcmp(gid, none, sizeof(none)) != 0;
}

static bool fill_gid(struct ibv_gid_entry *entry, const struct sv_state *state,
		     uint32_t port, uint32_t index)
{
	const uint8_t *gid = get_port(state, port)->gid[index];

	memset(entry, 0, sizeof(*entry));
	if (!is_set(gid))
		return false;
	memcpy(entry->gid.raw, gid, sizeof(entry->gid.raw));
	entry->port_num = port;
	entry->gid_index = index;
	entry->gid_type = state->ib ? GID_TYPE_IB : GID_TYPE_ROCE_V2;
	return true;
}

/* ENODATA: there is none at that index */
static int get_gid(struct ibv_context *context, const char *verb, uint32_t port,
		   uint32_t index, struct ibv_gid_entry *entry)
{
	struct sv_state state;
	int error = load(context, verb, &state);

	if (error)
		return error;
	if (!get_port(&state, port) || index >= SV_NUM_GIDS)
		error = EINVAL;
	else if (!fill_gid(entry, &state, port, index))
		error = ENODATA;
	sv_state_free(&state);
	return error;
}

int soft_query_gid_ex(struct ibv_context *context, uint32_t port,
		      uint32_t index, struct ibv_gid_entry *entry,
		      uint32_t flags, size_t size)
{
	struct ibv_gid_entry ours;
	int error;

	if (flags)
		return soft_fail(EOPNOTSUPP);
	error = get_gid(context, "query_gid_ex", port, index, &ours);
	if (error)
		return soft_fail(error);
	memset(entry, 0, size);
	memcpy(entry, &ours, size < sizeof(ours) ? size : sizeof(ours));
	return 0;
}

int soft_query_gid(struct ibv_context *context, uint8_t port, int index,
		   union ibv_gid *gid)
{
	struct ibv_gid_entry entry = {};
	int error = get_gid(context, "query_gid", port, index, &entry);

	if (error && error != ENODATA) {
		errno = error;
		return -1;
	}
	*gid = entry.gid; /* all zero, if there is none */
	return 0;
}

int soft_query_gid_type(struct ibv_context *context, uint8_t port,
			unsigned int index, int *type)
{
	struct ibv_gid_entry entry = {};
	int error = get_gid(context, "query_gid", port, index, &entry);

	if (error && error != ENODATA) {
		errno = error;
		return -1;
	}
	*type = entry.gid_type == GID_TYPE_ROCE_V2 ? SYSFS_ROCE_V2 :
						     SYSFS_IB_ROCE_V1;
	return 0;
}

static ssize_t fill_table(const struct sv_state *state, uint8_t *entries,
			  size_t max, size_t size)
{
	struct ibv_gid_entry ours;
	uint32_t port, index;
	size_t num = 0;

	for (port = 1; port <= state->num_ports; port++) {
		for (index = 0; index < SV_NUM_GIDS; index++) {
			if (!fill_gid(&ours, state, port, index))
				continue;
			if (num == max)
				return -EINVAL;
			memset(entries + num * size, 0, size);
			memcpy(entries + num * size, &ours,
			       size < sizeof(ours) ? size : sizeof(ours));
			num++;
		}
	}
	return num;
}

ssize_t soft_query_gid_table(struct ibv_context *context,
			     struct ibv_gid_entry *entries, size_t max,
			     uint32_t flags, size_t size)
{
	struct sv_state state;
	ssize_t ret;
	int error;

	if (flags)
		return -soft_fail(EOPNOTSUPP);
	error = load(context, "query_gid_table", &state);
	if (error)
		return -soft_fail(error);
	ret = fill_table(&state, (uint8_t *)entries, max, size);
	sv_state_free(&state);
	if (ret < 0)
		errno = -ret;
	return ret;
}

/* ---- P_Keys ---- */

int soft_query_pkey(struct ibv_context *context, uint8_t port, int index,
		    __be16 *pkey)
{
	const struct sv_port *p;
	struct sv_state state;
	int error = load(context, "query_pkey", &state);

	if (!error) {
		p = get_port(&state, port);
		if (p && index >= 0 && index < SV_NUM_PKEYS)
			*pkey = htobe16(p->pkey[index]);
		else
			error = EINVAL;
		sv_state_free(&state);
	}
	if (!error)
		return 0;
	errno = error;
	return -1;
}

int soft_get_pkey_index(struct ibv_context *context, uint8_t port, __be16 pkey)
{
	__be16 value;
	int i;

	for (i = 0; i < SV_NUM_PKEYS; i++) {
		if (soft_query_pkey(context, port, i, &value))
			return -1;
		if (value == pkey)
			return i;
	}
	errno = EINVAL;
	return -1;
}
