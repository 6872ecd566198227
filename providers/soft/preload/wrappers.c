// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Verbs that we have: ours for objects of ours, else libibverbs'. */
#include "wrap.h"

/* an error is an errno value, or NULL, or -1 */
#define VERB(name, context, params, args)                          \
	WRAP(int, ibv_##name, params, args, soft_is_ours(context), \
	     soft_##name args, EOPNOTSUPP)
#define VERB_NULL(type, name, context, params, args)                         \
	WRAP(struct type *, ibv_##name, params, args, soft_is_ours(context), \
	     soft_##name args, NULL)
#define VERB_MINUS(type, name, context, params, args, ours) \
	WRAP(type, name, params, args, soft_is_ours(context), ours, -1)

/* ---- devices ---- */

WRAP(const char *, ibv_get_device_name, (struct ibv_device * device), (device),
     soft_is_device(device), device->name, NULL)
WRAP(__be64, ibv_get_device_guid, (struct ibv_device * device), (device),
     soft_is_device(device), ((struct soft_device *)device)->guid, 0)
WRAP(int, ibv_get_device_index, (struct ibv_device * device), (device),
     soft_is_device(device), (int)((struct soft_device *)device)->index, -1)
WRAP(struct ibv_context *, ibv_open_device, (struct ibv_device * device),
     (device), soft_is_device(device), soft_open_device(device), NULL)
VERB(close_device, context, (struct ibv_context * context), (context))

/* ---- queries ---- */

VERB(query_device, context,
     (struct ibv_context * context, struct ibv_device_attr *attr),
     (context, attr))
WRAP(int, ibv_query_port,
     (struct ibv_context * context, uint8_t port,
      struct _compat_ibv_port_attr *attr),
     (context, port, attr), soft_is_ours(context),
     soft_query_port_compat(context, port, attr), EOPNOTSUPP)
VERB_MINUS(int, ibv_query_gid, context,
	   (struct ibv_context * context, uint8_t port, int index,
	    union ibv_gid *gid),
	   (context, port, index, gid),
	   soft_query_gid(context, port, index, gid))
VERB_MINUS(int, ibv_query_gid_type, context,
	   (struct ibv_context * context, uint8_t port, unsigned int index,
	    int *type),
	   (context, port, index, type),
	   soft_query_gid_type(context, port, index, type))
WRAP(int, _ibv_query_gid_ex,
     (struct ibv_context * context, uint32_t port, uint32_t index,
      struct ibv_gid_entry *entry, uint32_t flags, size_t size),
     (context, port, index, entry, flags, size), soft_is_ours(context),
     soft_query_gid_ex(context, port, index, entry, flags, size), EOPNOTSUPP)
WRAP(ssize_t, _ibv_query_gid_table,
     (struct ibv_context * context, struct ibv_gid_entry *entries, size_t max,
      uint32_t flags, size_t size),
     (context, entries, max, flags, size), soft_is_ours(context),
     soft_query_gid_table(context, entries, max, flags, size), -EOPNOTSUPP)
VERB_MINUS(int, ibv_query_pkey, context,
	   (struct ibv_context * context, uint8_t port, int index,
	    __be16 *pkey),
	   (context, port, index, pkey),
	   soft_query_pkey(context, port, index, pkey))
VERB_MINUS(int, ibv_get_pkey_index, context,
	   (struct ibv_context * context, uint8_t port, __be16 pkey),
	   (context, port, pkey), soft_get_pkey_index(context, port, pkey))

/* ---- protection domains, memory, address handles ---- */

VERB_NULL(ibv_pd, alloc_pd, context, (struct ibv_context * context), (context))
VERB(dealloc_pd, pd->context, (struct ibv_pd * pd), (pd))
WRAP(struct ibv_mr *, ibv_reg_mr,
     (struct ibv_pd * pd, void *addr, size_t length, int access),
     (pd, addr, length, access), soft_is_ours(pd->context),
     soft_reg_mr(pd, addr, length, (uintptr_t)addr, access), NULL)
WRAP(struct ibv_mr *, ibv_reg_mr_iova,
     (struct ibv_pd * pd, void *addr, size_t length, uint64_t iova, int access),
     (pd, addr, length, iova, access), soft_is_ours(pd->context),
     soft_reg_mr(pd, addr, length, iova, access), NULL)
WRAP(struct ibv_mr *, ibv_reg_mr_iova2,
     (struct ibv_pd * pd, void *addr, size_t length, uint64_t iova,
      unsigned int access),
     (pd, addr, length, iova, access), soft_is_ours(pd->context),
     soft_reg_mr(pd, addr, length, iova, (int)access), NULL)
/* what was opened by the kernel is no FIFO */
WRAP(struct ibv_context *, ibv_import_device, (int cmd_fd), (cmd_fd),
     soft_is_fifo(cmd_fd), soft_import_device(cmd_fd), NULL)
VERB_NULL(ibv_pd, import_pd, context,
	  (struct ibv_context * context, uint32_t handle), (context, handle))
WRAP_VOID(ibv_unimport_pd, (struct ibv_pd * pd), (pd),
	  soft_is_ours(pd->context), soft_unimport_pd(pd))
VERB_NULL(ibv_mr, import_mr, pd->context, (struct ibv_pd * pd, uint32_t handle),
	  (pd, handle))
WRAP_VOID(ibv_unimport_mr, (struct ibv_mr * mr), (mr),
	  soft_is_ours(mr->context), soft_unimport_mr(mr))
VERB(rereg_mr, mr->context,
     (struct ibv_mr * mr, int flags, struct ibv_pd *pd, void *addr,
      size_t length, int access),
     (mr, flags, pd, addr, length, access))
VERB(dereg_mr, mr->context, (struct ibv_mr * mr), (mr))
VERB_NULL(ibv_ah, create_ah, pd->context,
	  (struct ibv_pd * pd, struct ibv_ah_attr *attr), (pd, attr))
VERB_MINUS(int, ibv_init_ah_from_wc, context,
	   (struct ibv_context * context, uint8_t port, struct ibv_wc *wc,
	    struct ibv_grh *grh, struct ibv_ah_attr *attr),
	   (context, port, wc, grh, attr),
	   soft_init_ah_from_wc(context, port, wc, grh, attr))
VERB_NULL(ibv_ah, create_ah_from_wc, pd->context,
	  (struct ibv_pd * pd, struct ibv_wc *wc, struct ibv_grh *grh,
	   uint8_t port),
	  (pd, wc, grh, port))
VERB(destroy_ah, ah->context, (struct ibv_ah * ah), (ah))

/* ---- completion queues ---- */

VERB_NULL(ibv_comp_channel, create_comp_channel, context,
	  (struct ibv_context * context), (context))
VERB(destroy_comp_channel, channel->context,
     (struct ibv_comp_channel * channel), (channel))
VERB_MINUS(int, ibv_get_cq_event, channel->context,
	   (struct ibv_comp_channel * channel, struct ibv_cq **cq,
	    void **cq_context),
	   (channel, cq, cq_context),
	   soft_get_cq_event(channel, cq, cq_context))
WRAP_VOID(ibv_ack_cq_events, (struct ibv_cq * cq, unsigned int num), (cq, num),
	  soft_is_ours(cq->context), soft_ack_cq_events(cq, num))
VERB_NULL(ibv_cq, create_cq, context,
	  (struct ibv_context * context, int cqe, void *cq_context,
	   struct ibv_comp_channel *channel, int comp_vector),
	  (context, cqe, cq_context, channel, comp_vector))
VERB(resize_cq, cq->context, (struct ibv_cq * cq, int cqe), (cq, cqe))
VERB(destroy_cq, cq->context, (struct ibv_cq * cq), (cq))

/* ---- queue pairs ---- */

VERB_NULL(ibv_qp, create_qp, pd->context,
	  (struct ibv_pd * pd, struct ibv_qp_init_attr *init), (pd, init))
VERB(modify_qp, qp->context,
     (struct ibv_qp * qp, struct ibv_qp_attr *attr, int mask), (qp, attr, mask))
VERB(query_qp, qp->context,
     (struct ibv_qp * qp, struct ibv_qp_attr *attr, int mask,
      struct ibv_qp_init_attr *init),
     (qp, attr, mask, init))
/* NULL: not made with ibv_create_qp_ex() and IBV_QP_INIT_ATTR_SEND_OPS_FLAGS */
VERB_NULL(ibv_qp_ex, qp_to_qp_ex, qp->context, (struct ibv_qp * qp), (qp))
VERB(attach_mcast, qp->context,
     (struct ibv_qp * qp, const union ibv_gid *gid, uint16_t lid),
     (qp, gid, lid))
VERB(detach_mcast, qp->context,
     (struct ibv_qp * qp, const union ibv_gid *gid, uint16_t lid),
     (qp, gid, lid))
VERB(destroy_qp, qp->context, (struct ibv_qp * qp), (qp))

/* ---- shared receive queues ---- */

VERB_NULL(ibv_srq, create_srq, pd->context,
	  (struct ibv_pd * pd, struct ibv_srq_init_attr *init), (pd, init))
VERB(modify_srq, srq->context,
     (struct ibv_srq * srq, struct ibv_srq_attr *attr, int mask),
     (srq, attr, mask))
VERB(query_srq, srq->context, (struct ibv_srq * srq, struct ibv_srq_attr *attr),
     (srq, attr))
VERB(destroy_srq, srq->context, (struct ibv_srq * srq), (srq))

/* ---- asynchronous events ---- */

static bool event_is_ours(const struct ibv_async_event *event)
{
	const struct ibv_context *context = soft_event_context(event);

	return context && soft_is_ours(context);
}

VERB_MINUS(int, ibv_get_async_event, context,
	   (struct ibv_context * context, struct ibv_async_event *event),
	   (context, event), soft_get_async_event(context, event))
WRAP_VOID(ibv_ack_async_event, (struct ibv_async_event * event), (event),
	  event_is_ours(event), soft_ack_async_event(event))
