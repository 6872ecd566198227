// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* QPs of ids: made with what the program left out, and led to their states. */
#include <errno.h>
#include <string.h>

#include "cm.h"

#define DEFAULT_TIMEOUT 17 /* 0.5 s */
#define HOP_LIMIT	64

/* ---- attributes ---- */

void cm_fill_ah(const struct cm_id *id, const union ibv_gid *gid, uint16_t lid,
		struct ibv_ah_attr *ah)
{
	memset(ah, 0, sizeof(*ah));
	ah->is_global = 1;
	ah->grh.dgid = *gid;
	ah->grh.hop_limit = HOP_LIMIT;
	ah->dlid = lid;
	ah->port_num = id->place.port;
}

static void fill_init(const struct cm_id *id, struct ibv_qp_attr *attr,
		      int *mask)
{
	attr->pkey_index = 0;
	attr->port_num = id->place.port;
	*mask = IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT;
	if (id->ibv.qp_type == IBV_QPT_UD) {
		attr->qkey = RDMA_UDP_QKEY;
		*mask |= IBV_QP_QKEY;
		return;
	}
	attr->qp_access_flags = IBV_ACCESS_REMOTE_WRITE;
	if (id->ibv.qp_type == IBV_QPT_RC)
		attr->qp_access_flags |=
			IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC;
	*mask |= IBV_QP_ACCESS_FLAGS;
}

static void fill_rtr(const struct cm_id *id, struct ibv_qp_attr *attr,
		     int *mask)
{
	union ibv_gid gid;

	*mask = IBV_QP_STATE;
	if (id->ibv.qp_type == IBV_QPT_UD)
		return;
	memcpy(&gid, id->peer.gid, sizeof(gid));
	cm_fill_ah(id, &gid, id->peer.lid, &attr->ah_attr);
	attr->path_mtu = id->peer.mtu < (uint32_t)id->place.mtu ?
				 (enum ibv_mtu)id->peer.mtu :
				 id->place.mtu;
	attr->dest_qp_num = id->peer.qp_num;
	attr->rq_psn = id->peer.psn;
	*mask |= IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN;
	if (id->ibv.qp_type != IBV_QPT_RC)
		return;
	attr->max_dest_rd_atomic = id->param.responder_resources;
	attr->min_rnr_timer = 0;
	*mask |= IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
}

/* how often to try after RNR is for the peer to say: his are the receives */
static void fill_rts(const struct cm_id *id, struct ibv_qp_attr *attr,
		     int *mask)
{
	uint8_t depth = id->param.initiator_depth;

	attr->sq_psn = id->psn;
	*mask = IBV_QP_STATE | IBV_QP_SQ_PSN;
	if (id->ibv.qp_type != IBV_QPT_RC)
		return;
	attr->timeout = id->ack_timeout ? id->ack_timeout : DEFAULT_TIMEOUT;
	attr->retry_cnt = id->param.retry_count;
	attr->rnr_retry = id->peer.rnr_retry_count;
	attr->max_rd_atomic = depth < id->peer.responder_resources ?
				      depth :
				      id->peer.responder_resources;
	*mask |= IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
		 IBV_QP_MAX_QP_RD_ATOMIC;
}

static int fill_attr(struct cm_id *id, struct ibv_qp_attr *attr, int *mask)
{
	bool ud = id->ibv.qp_type == IBV_QPT_UD;
	int error = 0;

	pthread_mutex_lock(&cm_lock);
	if (!id->place.dev)
		error = EINVAL;
	else if (attr->qp_state == IBV_QPS_INIT)
		fill_init(id, attr, mask);
	else if (!ud && !id->peer.magic)
		error = EINVAL; /* there is nobody yet */
	else if (attr->qp_state == IBV_QPS_RTR)
		fill_rtr(id, attr, mask);
	else if (attr->qp_state == IBV_QPS_RTS)
		fill_rts(id, attr, mask);
	else
		error = EINVAL;
	pthread_mutex_unlock(&cm_lock);
	return error;
}

int cm_init_qp_attr(struct rdma_cm_id *id, struct ibv_qp_attr *attr, int *mask)
{
	if (!attr || !mask)
		return cm_result(EINVAL);
	return cm_result(fill_attr(to_id(id), attr, mask));
}

/* ---- states ---- */

static int change(struct cm_id *id, struct ibv_qp *qp, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = { .qp_state = state };
	int mask = 0, error = fill_attr(id, &attr, &mask);

	return error ? error : CM_VERB(ibv_modify_qp)(qp, &attr, mask);
}

int cm_qp_ready(struct cm_id *id)
{
	int error = change(id, id->ibv.qp, IBV_QPS_RTR);

	return error ? error : change(id, id->ibv.qp, IBV_QPS_RTS);
}

int cm_qp_error(struct cm_id *id)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_ERR };

	if (!id->ibv.qp)
		return 0;
	return CM_VERB(ibv_modify_qp)(id->ibv.qp, &attr, IBV_QP_STATE);
}

/* connected ones wait for the peer, the others need none */
static int prepare(struct cm_id *id, struct ibv_qp *qp)
{
	int error = change(id, qp, IBV_QPS_INIT);

	if (!error && qp->qp_type == IBV_QPT_UD)
		error = change(id, qp, IBV_QPS_RTR);
	if (!error && qp->qp_type == IBV_QPT_UD)
		error = change(id, qp, IBV_QPS_RTS);
	return error;
}

/* ---- what the program left out ---- */

static int choose_pd(struct cm_id *id, struct ibv_pd **pd)
{
	if (!id->ibv.verbs)
		return EINVAL;
	if (!*pd)
		return cm_device_pd(id->place.dev, pd);
	return (*pd)->context == id->ibv.verbs ? 0 : EINVAL;
}

static int make_cq(struct rdma_cm_id *id, int size,
		   struct ibv_comp_channel **channel, struct ibv_cq **cq)
{
	*channel = CM_VERB(ibv_create_comp_channel)(id->verbs);
	if (!*channel)
		return errno;
	*cq = CM_VERB(ibv_create_cq)(id->verbs, size, id, *channel, 0);
	return *cq ? 0 : errno;
}

static void free_cq(struct ibv_comp_channel **channel, struct ibv_cq **cq)
{
	if (*cq)
		CM_VERB(ibv_destroy_cq)(*cq);
	if (*channel)
		CM_VERB(ibv_destroy_comp_channel)(*channel);
	*cq = NULL;
	*channel = NULL;
}

static void free_cqs(struct rdma_cm_id *id)
{
	free_cq(&id->recv_cq_channel, &id->recv_cq);
	free_cq(&id->send_cq_channel, &id->send_cq);
}

static int choose_cqs(struct rdma_cm_id *id, struct ibv_cq **send,
		      struct ibv_cq **recv, const struct ibv_qp_cap *cap)
{
	int error = 0;

	if (!*send && cap->max_send_wr)
		error = make_cq(id, cap->max_send_wr, &id->send_cq_channel,
				&id->send_cq);
	if (!error && !*recv && cap->max_recv_wr)
		error = make_cq(id, cap->max_recv_wr, &id->recv_cq_channel,
				&id->recv_cq);
	if (error)
		return error;
	if (!*send)
		*send = id->send_cq;
	if (!*recv)
		*recv = id->recv_cq;
	return 0;
}

/* ---- making and destroying ---- */

static struct ibv_qp *call_create_qp_ex(struct ibv_context *context,
					struct ibv_qp_init_attr_ex *init)
{
	struct verbs_context *verbs = verbs_get_ctx_op(context, create_qp_ex);

	if (verbs)
		return verbs->create_qp_ex(context, init);
	errno = EOPNOTSUPP;
	return NULL;
}

static struct ibv_qp *create(struct ibv_pd *pd,
			     struct ibv_qp_init_attr_ex *init)
{
	struct ibv_qp_init_attr plain;
	struct ibv_qp *qp;

	if (init->comp_mask != IBV_QP_INIT_ATTR_PD)
		return call_create_qp_ex(pd->context, init);
	memcpy(&plain, init, sizeof(plain)); /* it begins with that */
	qp = CM_VERB(ibv_create_qp)(pd, &plain);
	memcpy(init, &plain, sizeof(plain));
	return qp;
}

static int make_qp(struct rdma_cm_id *id, struct ibv_qp_init_attr_ex *init)
{
	struct ibv_qp *qp = create(init->pd, init);
	int error;

	if (!qp)
		return errno;
	id->qp_type = init->qp_type;
	error = prepare(to_id(id), qp);
	if (error) {
		CM_VERB(ibv_destroy_qp)(qp);
		return error;
	}
	id->pd = init->pd;
	id->qp = qp;
	return 0;
}

int cm_create_qp_ex(struct rdma_cm_id *id, struct ibv_qp_init_attr_ex *init)
{
	int error;

	if (!init || id->qp)
		return cm_result(EINVAL);
	if (!(init->comp_mask & IBV_QP_INIT_ATTR_PD)) {
		init->comp_mask |= IBV_QP_INIT_ATTR_PD;
		init->pd = id->pd;
	}
	error = choose_pd(to_id(id), &init->pd);
	if (error)
		return cm_result(error);
	if (id->srq && !init->srq)
		init->srq = id->srq;
	error = choose_cqs(id, &init->send_cq, &init->recv_cq, &init->cap);
	if (!error)
		error = make_qp(id, init);
	if (error)
		free_cqs(id);
	return cm_result(error);
}

int cm_create_qp(struct rdma_cm_id *id, struct ibv_pd *pd,
		 struct ibv_qp_init_attr *init)
{
	struct ibv_qp_init_attr_ex ex = {};
	int ret;

	if (!init)
		return cm_result(EINVAL);
	memcpy(&ex, init, sizeof(*init));
	ex.comp_mask = IBV_QP_INIT_ATTR_PD;
	ex.pd = pd ? pd : id->pd;
	ret = cm_create_qp_ex(id, &ex);
	memcpy(init, &ex, sizeof(*init));
	return ret;
}

void cm_destroy_qp(struct rdma_cm_id *id)
{
	if (id->qp)
		CM_VERB(ibv_destroy_qp)(id->qp);
	id->qp = NULL;
	free_cqs(id);
}

/* ---- shared receive queues ---- */

int cm_create_srq(struct rdma_cm_id *id, struct ibv_pd *pd,
		  struct ibv_srq_init_attr *init)
{
	int error = init && !id->srq ? choose_pd(to_id(id), &pd) : EINVAL;

	if (error)
		return cm_result(error);
	id->srq = CM_VERB(ibv_create_srq)(pd, init);
	if (!id->srq)
		return -1;
	if (!id->pd)
		id->pd = pd;
	return 0;
}

/* the plain kind, which is the one that there is */
int cm_create_srq_ex(struct rdma_cm_id *id, struct ibv_srq_init_attr_ex *ex)
{
	struct ibv_srq_init_attr init;
	int ret;

	if (!ex)
		return cm_result(EINVAL);
	if (ex->comp_mask & IBV_SRQ_INIT_ATTR_TYPE &&
	    ex->srq_type != IBV_SRQT_BASIC)
		return cm_result(EOPNOTSUPP);
	init.srq_context = ex->srq_context;
	init.attr = ex->attr;
	ret = cm_create_srq(
		id, ex->comp_mask & IBV_SRQ_INIT_ATTR_PD ? ex->pd : NULL,
		&init);
	ex->attr = init.attr;
	return ret;
}

void cm_destroy_srq(struct rdma_cm_id *id)
{
	if (id->srq)
		CM_VERB(ibv_destroy_srq)(id->srq);
	id->srq = NULL;
}
