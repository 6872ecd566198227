// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Functions that we have nothing for: those of no device, then those of a device
 * that ours do not support.
 */
#include "wrap.h"

/* ---- of no device ---- */

#define PLAIN(type, name, params, args, missing) \
	WRAP(type, name, params, args, false, missing, missing)
#define PLAIN_VOID(name, params, args) \
	WRAP_VOID(name, params, args, false, (void)0)

PLAIN(int, ibv_rate_to_mult, (enum ibv_rate rate), (rate), -1)
PLAIN(enum ibv_rate, mult_to_ibv_rate, (int mult), (mult), IBV_RATE_MAX)
PLAIN(int, ibv_rate_to_mbps, (enum ibv_rate rate), (rate), -1)
PLAIN(enum ibv_rate, mbps_to_ibv_rate, (int mbps), (mbps), IBV_RATE_MAX)
PLAIN(const char *, ibv_wc_status_str, (enum ibv_wc_status status), (status),
      "unknown")
PLAIN(const char *, ibv_node_type_str, (enum ibv_node_type type), (type),
      "unknown")
PLAIN(const char *, ibv_port_state_str, (enum ibv_port_state state), (state),
      "unknown")
PLAIN(const char *, ibv_event_type_str, (enum ibv_event_type event), (event),
      "unknown")
PLAIN(int, ibv_fork_init, (void), (), 0)
PLAIN(enum ibv_fork_status, ibv_is_fork_initialized, (void), (),
      IBV_FORK_DISABLED)
PLAIN(int, ibv_dontfork_range, (void *base, size_t size), (base, size), 0)
PLAIN(int, ibv_dofork_range, (void *base, size_t size), (base, size), 0)
PLAIN(int, ibv_read_sysfs_file,
      (const char *dir, const char *file, char *buf, size_t size),
      (dir, file, buf, size), -1)
PLAIN_VOID(ibv_register_driver, (const char *name, void *init), (name, init))
PLAIN_VOID(ibv_copy_ah_attr_from_kern,
	   (struct ibv_ah_attr * dst, struct ib_uverbs_ah_attr *src),
	   (dst, src))
PLAIN_VOID(ibv_copy_qp_attr_from_kern,
	   (struct ibv_qp_attr * dst, struct ib_uverbs_qp_attr *src),
	   (dst, src))
PLAIN_VOID(ibv_copy_path_rec_from_kern,
	   (struct ibv_sa_path_rec * dst, struct ib_user_path_rec *src),
	   (dst, src))
PLAIN_VOID(ibv_copy_path_rec_to_kern,
	   (struct ib_user_path_rec * dst, struct ibv_sa_path_rec *src),
	   (dst, src))

/* ---- not supported: @verb is what faults call it ---- */

#define NO(name, verb, context, params, args)                \
	WRAP(int, name, params, args, soft_is_ours(context), \
	     soft_unsupported(context, verb), EOPNOTSUPP)
#define NO_NULL(type, name, verb, context, params, args)               \
	WRAP(struct type *, name, params, args, soft_is_ours(context), \
	     soft_unsupported_null(context, verb), NULL)
/* of what cannot be had, so is never one of ours */
#define NEVER(name, params, args) \
	WRAP(int, name, params, args, false, 0, EOPNOTSUPP)

NO_NULL(ibv_dm, ibv_import_dm, "alloc_dm", context,
	(struct ibv_context * context, uint32_t handle), (context, handle))
WRAP_VOID(ibv_unimport_dm, (struct ibv_dm * dm), (dm),
	  soft_is_ours(dm->context), (void)0)
NO_NULL(ibv_mr, ibv_reg_dmabuf_mr, "reg_dmabuf_mr", pd->context,
	(struct ibv_pd * pd, uint64_t offset, size_t length, uint64_t iova,
	 int fd, int access),
	(pd, offset, length, iova, fd, access))
NO(ibv_resolve_eth_l2_from_gid, "create_ah", context,
   (struct ibv_context * context, struct ibv_ah_attr *attr,
    uint8_t mac[ETHERNET_LL_SIZE], uint16_t *vid),
   (context, attr, mac, vid))
NO(ibv_query_ece, "query_qp", qp->context,
   (struct ibv_qp * qp, struct ibv_ece *ece), (qp, ece))
NO(ibv_set_ece, "modify_qp", qp->context,
   (struct ibv_qp * qp, struct ibv_ece *ece), (qp, ece))
/* "no" is an answer */
WRAP(int, ibv_query_qp_data_in_order,
     (struct ibv_qp * qp, enum ibv_wr_opcode op, uint32_t flags),
     (qp, op, flags), soft_is_ours(qp->context), 0, 0)

/* ---- of later releases than the headers we are built with ---- */

NO_NULL(ibv_dmah, ibv_alloc_dmah, "alloc_dm", context,
	(struct ibv_context * context, struct ibv_dmah_init_attr *attr),
	(context, attr))
NEVER(ibv_dealloc_dmah, (struct ibv_dmah * dmah), (dmah))
NO_NULL(ibv_mr, ibv_reg_mr_ex, "reg_mr", pd->context,
	(struct ibv_pd * pd, struct ibv_mr_init_attr *attr), (pd, attr))
NO(ibv_dm_export_dmabuf_fd, "alloc_dm", dm->context, (struct ibv_dm * dm), (dm))
NO(ibv_query_port_speed, "query_port", context,
   (struct ibv_context * context, uint32_t port, uint64_t *speed),
   (context, port, speed))
WRAP(void *, ibv_alloc_buf,
     (struct ibv_pd * pd, size_t size, struct ibv_buf **buf), (pd, size, buf),
     soft_is_ours(pd->context), soft_unsupported_null(pd->context, "reg_mr"),
     NULL)
WRAP_VOID(ibv_free_buf, (struct ibv_buf * buf), (buf), false, (void)0)
NEVER(ibv_export_buf_dmabuf_fd, (struct ibv_buf * buf), (buf))
NO_NULL(ibv_mr, ibv_reg_buf_mr, "reg_mr", pd->context,
	(struct ibv_pd * pd, struct ibv_buf *buf, void *addr, size_t length,
	 int access),
	(pd, buf, addr, length, access))
NO(_ibv_query_comp_cntr_caps, "query_device", context,
   (struct ibv_context * context, struct ibv_comp_cntr_caps *caps, size_t size),
   (context, caps, size))
NO_NULL(ibv_comp_cntr, ibv_create_comp_cntr, "create_cq", context,
	(struct ibv_context * context, struct ibv_comp_cntr_init_attr *attr),
	(context, attr))
NEVER(ibv_destroy_comp_cntr, (struct ibv_comp_cntr * cntr), (cntr))
NEVER(ibv_set_comp_cntr, (struct ibv_comp_cntr * cntr, uint64_t value),
      (cntr, value))
NEVER(ibv_set_err_comp_cntr, (struct ibv_comp_cntr * cntr, uint64_t value),
      (cntr, value))
NEVER(ibv_inc_comp_cntr, (struct ibv_comp_cntr * cntr, uint64_t amount),
      (cntr, amount))
NEVER(ibv_inc_err_comp_cntr, (struct ibv_comp_cntr * cntr, uint64_t amount),
      (cntr, amount))
NEVER(ibv_read_comp_cntr, (struct ibv_comp_cntr * cntr, uint64_t *value),
      (cntr, value))
NEVER(ibv_read_err_comp_cntr, (struct ibv_comp_cntr * cntr, uint64_t *value),
      (cntr, value))
NO(ibv_qp_attach_comp_cntr, "modify_qp", qp->context,
   (struct ibv_qp * qp, struct ibv_comp_cntr *cntr,
    struct ibv_qp_attach_comp_cntr_attr *attr),
   (qp, cntr, attr))
