// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The slots of a context that inline functions of verbs.h call. What has none of
 * its own says EOPNOTSUPP; it is here so that faults and the end of the device
 * reach it, too.
 */
#include <errno.h>

#include "preload.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

int soft_unsupported(struct ibv_context *context, const char *verb)
{
	int error = soft_enter(context, verb);

	return soft_fail(error ? error : EOPNOTSUPP);
}

void *soft_unsupported_null(struct ibv_context *context, const char *verb)
{
	soft_unsupported(context, verb);
	return NULL;
}

#define NO_INT(verb, context, ...)                       \
	static int no_##verb(__VA_ARGS__)                \
	{                                                \
		return soft_unsupported(context, #verb); \
	}

#define NO_POINTER(type, verb, context, ...)                  \
	static struct type *no_##verb(__VA_ARGS__)            \
	{                                                     \
		return soft_unsupported_null(context, #verb); \
	}

NO_INT(modify_cq, cq->context, struct ibv_cq *cq,
       struct ibv_modify_cq_attr *attr)
NO_POINTER(ibv_dm, alloc_dm, context, struct ibv_context *context,
	   struct ibv_alloc_dm_attr *attr)
NO_POINTER(ibv_xrcd, open_xrcd, context, struct ibv_context *context,
	   struct ibv_xrcd_init_attr *attr)
NO_POINTER(ibv_rwq_ind_table, create_rwq_ind_table, context,
	   struct ibv_context *context,
	   struct ibv_rwq_ind_table_init_attr *attr)
NO_POINTER(ibv_flow, create_flow, qp->context, struct ibv_qp *qp,
	   struct ibv_flow_attr *attr)

static struct ibv_mr *no_alloc_null_mr(struct ibv_pd *pd)
{
	return soft_unsupported_null(pd->context, "reg_mr");
}

static struct ibv_qp *no_open_qp(struct ibv_context *context,
				 struct ibv_qp_open_attr *attr)
{
	return soft_unsupported_null(context, "create_qp");
}

/* verbs.h calls it without looking whether it is there */
static int close_xrcd(struct ibv_xrcd *xrcd)
{
	return soft_unsupported(xrcd->context, "close_xrcd");
}

/* ---- filling ---- */

static void fill_public(struct ibv_context_ops *ops)
{
	ops->_compat_query_device = soft_query_device;
	ops->_compat_query_port = soft_query_port_compat;
	ops->alloc_mw = soft_alloc_mw;
	ops->bind_mw = soft_bind_mw;
	ops->dealloc_mw = soft_dealloc_mw;
	ops->poll_cq = soft_poll_cq; /* also the sign that it is ours */
	ops->req_notify_cq = soft_req_notify_cq;
	ops->post_srq_recv = soft_post_srq_recv;
	ops->post_send = soft_post_send;
	ops->post_recv = soft_post_recv;
}

void soft_fill_ops(struct soft_context *ctx)
{
	struct verbs_context *v = verbs_get_ctx(&ctx->ibv);

	fill_public(&ctx->ibv.ops);
	v->query_port = soft_query_port;
	v->query_device_ex = soft_query_device_ex;
	v->query_rt_values = soft_query_rt_values;
	v->advise_mr = soft_advise_mr;
	v->alloc_null_mr = no_alloc_null_mr;
	v->alloc_dm = no_alloc_dm;
	v->dealloc_td = soft_dealloc_td;
	v->alloc_td = soft_alloc_td;
	v->alloc_parent_domain = soft_alloc_parent_domain;
	v->create_cq_ex = soft_create_cq_ex;
	v->modify_cq = no_modify_cq;
	v->create_srq_ex = soft_create_srq_ex;
	v->get_srq_num = soft_get_srq_num;
	v->create_qp_ex = soft_create_qp_ex;
	v->open_qp = no_open_qp;
	v->create_wq = soft_create_wq;
	v->modify_wq = soft_modify_wq;
	v->destroy_wq = soft_destroy_wq;
	v->create_rwq_ind_table = no_create_rwq_ind_table;
	v->open_xrcd = no_open_xrcd;
	v->close_xrcd = close_xrcd;
	v->ibv_create_flow = no_create_flow;
}
