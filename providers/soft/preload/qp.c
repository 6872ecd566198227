// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Queue pairs: their life and attributes. Nothing flows yet. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "preload.h"

static struct soft_use *cq_use(struct ibv_cq *cq)
{
	return &((struct soft_cq *)cq)->use;
}

/* all that it is made from, each once for each part that it plays */
static void use_all(struct soft_context *ctx, const struct ibv_qp *qp,
		    void (*use)(struct soft_context *ctx, struct soft_use *use))
{
	use(ctx, &((struct soft_pd *)qp->pd)->use);
	use(ctx, cq_use(qp->send_cq));
	use(ctx, cq_use(qp->recv_cq));
	if (qp->srq)
		use(ctx, &((struct soft_srq *)qp->srq)->use);
}

/* ---- making them ---- */

static int check_cap(const struct ibv_qp_init_attr *init)
{
	const struct ibv_qp_cap *cap = &init->cap;

	if (cap->max_send_wr > SOFT_MAX_QP_WR ||
	    cap->max_send_sge > SOFT_MAX_SGE ||
	    cap->max_inline_data > SOFT_MAX_INLINE)
		return EINVAL;
	/* with an SRQ it has no receive queue of its own */
	if (!init->srq && (cap->max_recv_wr > SOFT_MAX_QP_WR ||
			   cap->max_recv_sge > SOFT_MAX_SGE))
		return EINVAL;
	return 0;
}

static int check_init(const struct ibv_pd *pd,
		      const struct ibv_qp_init_attr *init)
{
	if (init->qp_type != IBV_QPT_RC && init->qp_type != IBV_QPT_UC &&
	    init->qp_type != IBV_QPT_UD)
		return EOPNOTSUPP;
	if (!init->send_cq || !init->recv_cq ||
	    init->send_cq->context != pd->context ||
	    init->recv_cq->context != pd->context)
		return EINVAL;
	if (init->srq && init->srq->context != pd->context)
		return EINVAL;
	return check_cap(init);
}

static void set_fields(struct soft_qp *qp, struct ibv_pd *pd,
		       const struct ibv_qp_init_attr *init)
{
	qp->ibv.context = pd->context;
	qp->ibv.qp_context = init->qp_context;
	qp->ibv.pd = pd;
	qp->ibv.send_cq = init->send_cq;
	qp->ibv.recv_cq = init->recv_cq;
	qp->ibv.srq = init->srq;
	qp->ibv.qp_type = init->qp_type;
	qp->ibv.state = IBV_QPS_RESET;
	pthread_mutex_init(&qp->ibv.mutex, NULL);
	pthread_cond_init(&qp->ibv.cond, NULL);
	qp->object.ibv = qp;
	qp->object.mutex = &qp->ibv.mutex;
	qp->object.cond = &qp->ibv.cond;
	qp->object.acked = &qp->ibv.events_completed;
	qp->init = *init;
	if (init->srq) {
		qp->init.cap.max_recv_wr = 0;
		qp->init.cap.max_recv_sge = 0;
	}
	qp->attr.cap = qp->init.cap;
	qp->attr.qp_state = qp->attr.cur_qp_state = IBV_QPS_RESET;
	qp->attr.path_mig_state = IBV_MIG_MIGRATED;
}

static void free_qp(struct soft_qp *qp)
{
	pthread_mutex_destroy(&qp->ibv.mutex);
	pthread_cond_destroy(&qp->ibv.cond);
	free(qp);
}

static struct ibv_qp *create(struct ibv_pd *pd, const char *verb,
			     struct ibv_qp_init_attr *init)
{
	struct soft_context *ctx = to_context(pd->context);
	int error = soft_enter(pd->context, verb);
	struct soft_qp *qp;

	if (!error)
		error = check_init(pd, init);
	if (error)
		return soft_fail_null(error);
	qp = calloc(1, sizeof(*qp));
	if (!qp)
		return NULL;
	set_fields(qp, pd, init);
	error = soft_take_number(ctx, &qp->ibv.qp_num);
	if (!error)
		error = soft_object_add(ctx, &qp->object, SV_QP,
					&qp->ibv.qp_num);
	if (error) {
		free_qp(qp);
		return soft_fail_null(error);
	}
	qp->ibv.handle = qp->object.slot;
	use_all(ctx, &qp->ibv, soft_use_get);
	init->cap = qp->init.cap;
	return &qp->ibv;
}

struct ibv_qp *soft_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *init)
{
	return create(pd, "create_qp", init);
}

/* as far as it asks for no more than the plain one */
struct ibv_qp *soft_create_qp_ex(struct ibv_context *context,
				 struct ibv_qp_init_attr_ex *ex)
{
	const uint32_t known =
		IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_CREATE_FLAGS;
	struct ibv_qp_init_attr init;
	struct ibv_qp *qp;

	memcpy(&init, ex, sizeof(init)); /* it begins with that */
	if (ex->comp_mask & ~known ||
	    (ex->comp_mask & IBV_QP_INIT_ATTR_CREATE_FLAGS && ex->create_flags))
		return soft_fail_null(EOPNOTSUPP);
	if (!(ex->comp_mask & IBV_QP_INIT_ATTR_PD) || !ex->pd ||
	    ex->pd->context != context)
		return soft_fail_null(EINVAL);
	qp = create(ex->pd, "create_qp_ex", &init);
	if (qp)
		ex->cap = init.cap;
	return qp;
}

/* ---- modifying them ---- */

static int check_path(const struct sv_state *state, const struct soft_qp *qp,
		      const struct ibv_qp_attr *attr, int mask)
{
	struct ibv_ah_attr ah;
	int error = 0;

	if (mask & IBV_QP_PORT &&
	    (!attr->port_num || attr->port_num > state->num_ports))
		return EINVAL;
	if (mask & IBV_QP_PKEY_INDEX && attr->pkey_index >= SV_NUM_PKEYS)
		return EINVAL;
	if (mask & IBV_QP_AV) {
		/* the path leaves by the port that it names, if it names one */
		ah = attr->ah_attr;
		if (!ah.port_num)
			ah.port_num = qp->attr.port_num;
		error = soft_check_ah_attr(state, &ah);
	}
	if (!error && mask & IBV_QP_ALT_PATH) {
		ah = attr->alt_ah_attr;
		if (!ah.port_num)
			ah.port_num = attr->alt_port_num;
		error = attr->alt_pkey_index >= SV_NUM_PKEYS ||
					attr->alt_timeout > 31 ?
				EINVAL :
				soft_check_ah_attr(state, &ah);
	}
	return error;
}

static int check_values(const struct ibv_qp_attr *attr, int mask)
{
	const struct {
		int mask;
		bool bad;
	} checks[] = {
		{ IBV_QP_PATH_MTU, attr->path_mtu < IBV_MTU_256 ||
					   attr->path_mtu > IBV_MTU_4096 },
		{ IBV_QP_TIMEOUT, attr->timeout > 31 },
		{ IBV_QP_RETRY_CNT, attr->retry_cnt > 7 },
		{ IBV_QP_RNR_RETRY, attr->rnr_retry > 7 },
		{ IBV_QP_MIN_RNR_TIMER, attr->min_rnr_timer > 31 },
		{ IBV_QP_MAX_QP_RD_ATOMIC,
		  attr->max_rd_atomic > SOFT_MAX_RD_ATOMIC },
		{ IBV_QP_MAX_DEST_RD_ATOMIC,
		  attr->max_dest_rd_atomic > SOFT_MAX_RD_ATOMIC },
		{ IBV_QP_DEST_QPN, attr->dest_qp_num > 0xffffff },
		{ IBV_QP_PATH_MIG_STATE,
		  attr->path_mig_state > (unsigned int)IBV_MIG_ARMED },
		{ IBV_QP_ACCESS_FLAGS,
		  attr->qp_access_flags &
			  ~(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
			    IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC |
			    IBV_ACCESS_MW_BIND | IBV_ACCESS_OPTIONAL_RANGE) },
	};
	unsigned int i;

	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (mask & checks[i].mask && checks[i].bad)
			return EINVAL;
	return 0;
}

/* lock held */
static int check_state(const struct soft_qp *qp, const struct ibv_qp_attr *attr,
		       int mask, enum ibv_qp_state *to)
{
	enum ibv_qp_state from = qp->ibv.state;

	if (mask & IBV_QP_CUR_STATE && attr->cur_qp_state != from)
		return EINVAL;
	*to = mask & IBV_QP_STATE ? attr->qp_state : from;
	if (!soft_qp_transition_is_good(qp->ibv.qp_type, from, *to, mask))
		return EINVAL;
	return check_values(attr, mask);
}

#define COPY(bit, field)                         \
	do {                                     \
		if (mask & (bit))                \
			to->field = from->field; \
	} while (0)

static void copy_attr(struct ibv_qp_attr *to, const struct ibv_qp_attr *from,
		      int mask)
{
	COPY(IBV_QP_EN_SQD_ASYNC_NOTIFY, en_sqd_async_notify);
	COPY(IBV_QP_ACCESS_FLAGS, qp_access_flags);
	COPY(IBV_QP_PKEY_INDEX, pkey_index);
	COPY(IBV_QP_PORT, port_num);
	COPY(IBV_QP_QKEY, qkey);
	COPY(IBV_QP_AV, ah_attr);
	COPY(IBV_QP_PATH_MTU, path_mtu);
	COPY(IBV_QP_TIMEOUT, timeout);
	COPY(IBV_QP_RETRY_CNT, retry_cnt);
	COPY(IBV_QP_RNR_RETRY, rnr_retry);
	COPY(IBV_QP_RQ_PSN, rq_psn);
	COPY(IBV_QP_MAX_QP_RD_ATOMIC, max_rd_atomic);
	COPY(IBV_QP_ALT_PATH, alt_ah_attr);
	COPY(IBV_QP_ALT_PATH, alt_pkey_index);
	COPY(IBV_QP_ALT_PATH, alt_port_num);
	COPY(IBV_QP_ALT_PATH, alt_timeout);
	COPY(IBV_QP_MIN_RNR_TIMER, min_rnr_timer);
	COPY(IBV_QP_SQ_PSN, sq_psn);
	COPY(IBV_QP_MAX_DEST_RD_ATOMIC, max_dest_rd_atomic);
	COPY(IBV_QP_PATH_MIG_STATE, path_mig_state);
	COPY(IBV_QP_DEST_QPN, dest_qp_num);
	to->rq_psn &= 0xffffff;
	to->sq_psn &= 0xffffff;
}

/* lock held; a reset QP is as new */
static void apply(struct soft_qp *qp, const struct ibv_qp_attr *attr, int mask,
		  enum ibv_qp_state to)
{
	if (to == IBV_QPS_RESET) {
		memset(&qp->attr, 0, sizeof(qp->attr));
		qp->attr.cap = qp->init.cap;
		qp->attr.path_mig_state = IBV_MIG_MIGRATED;
	} else {
		copy_attr(&qp->attr, attr, mask);
	}
	if (to != IBV_QPS_SQD)
		qp->attr.en_sqd_async_notify = 0;
	qp->attr.qp_state = qp->attr.cur_qp_state = to;
	qp->ibv.state = to;
}

static int modify(struct soft_context *ctx, struct soft_qp *qp,
		  const struct ibv_qp_attr *attr, int mask)
{
	enum ibv_qp_state to;
	bool drained = false;
	struct sv_state state;
	int error = sv_state_load(ctx->dir, &state);

	if (error)
		return error;
	pthread_mutex_lock(&ctx->lock);
	error = check_state(qp, attr, mask, &to);
	if (!error)
		error = check_path(&state, qp, attr, mask);
	if (!error) {
		drained = to == IBV_QPS_SQD && qp->ibv.state == IBV_QPS_RTS &&
			  mask & IBV_QP_EN_SQD_ASYNC_NOTIFY &&
			  attr->en_sqd_async_notify;
		apply(qp, attr, mask, to);
	}
	pthread_mutex_unlock(&ctx->lock);
	sv_state_free(&state);
	if (drained)
		soft_raise(ctx, IBV_EVENT_SQ_DRAINED, qp->object.id);
	return error;
}

int soft_modify_qp(struct ibv_qp *ibv, struct ibv_qp_attr *attr, int mask)
{
	int error = soft_enter(ibv->context, "modify_qp"), saved = errno;

	if (!error)
		error = modify(to_context(ibv->context), (struct soft_qp *)ibv,
			       attr, mask);
	errno = saved;
	return soft_fail(error);
}

int soft_query_qp(struct ibv_qp *ibv, struct ibv_qp_attr *attr, int mask,
		  struct ibv_qp_init_attr *init)
{
	struct soft_context *ctx = to_context(ibv->context);
	struct soft_qp *qp = (struct soft_qp *)ibv;
	int error = soft_enter(ibv->context, "query_qp");

	(void)mask; /* as in the kernel, all is told */
	if (error)
		return soft_fail(error);
	pthread_mutex_lock(&ctx->lock);
	*attr = qp->attr;
	*init = qp->init;
	pthread_mutex_unlock(&ctx->lock);
	return 0;
}

int soft_destroy_qp(struct ibv_qp *ibv)
{
	struct soft_context *ctx = to_context(ibv->context);
	struct soft_qp *qp = (struct soft_qp *)ibv;
	int error = soft_enter_destroy(ibv->context, "destroy_qp");

	if (error)
		return soft_fail(error);
	soft_object_remove(ctx, &qp->object);
	use_all(ctx, ibv, soft_use_put);
	free_qp(qp);
	return 0;
}
