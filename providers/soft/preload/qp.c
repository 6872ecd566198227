// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Queue pairs: their life and attributes. The state is in the file `data`, where
 * others may set it to ERR; what is here follows.
 */
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

/* in the file, where those look who send to it */
static int publish_new(struct soft_context *ctx, struct soft_qp *qp)
{
	const struct soft_srq *srq = (const struct soft_srq *)qp->ibv.srq;
	struct sd_qp *shared = qp->shared;

	if (soft_shm_lock(ctx->shm))
		return EIO;
	shared->type = qp->ibv.qp_type;
	shared->pd = qp->ibv.pd->handle;
	shared->cq = ((struct soft_cq *)qp->ibv.recv_cq)->ring.index;
	shared->srq = srq ? srq->object.slot + 1 : 0;
	shared->object = qp->object.id;
	shared->state = IBV_QPS_RESET;
	shared->flags = 0;
	shared->qpn = qp->ibv.qp_num;
	soft_shm_unlock(ctx->shm);
	return 0;
}

static int start(struct soft_context *ctx, struct soft_qp *qp)
{
	const struct ibv_qp_cap *cap = &qp->init.cap;
	int error = soft_sq_init(qp, &qp->init);

	if (error)
		return error;
	qp->index = qp->object.slot;
	qp->shared = soft_own_record(ctx->shm, SD_QPS, qp->index);
	if (!qp->shared)
		return ENOMEM;
	error = soft_rq_init(ctx, &qp->rq, &qp->shared->rq, cap->max_recv_wr,
			     cap->max_recv_sge);
	return error ? error : publish_new(ctx, qp);
}

static void stop(struct soft_context *ctx, struct soft_qp *qp)
{
	soft_rq_done(ctx, &qp->rq);
	soft_sq_done(qp);
}

static struct ibv_qp *create(struct ibv_pd *pd, const char *verb,
			     struct ibv_qp_init_attr *init)
{
	struct soft_context *ctx = to_context(pd->context);
	int error = soft_enter(pd->context, verb);
	struct soft_qp *qp;

	if (!error)
		error = check_init(pd, init);
	if (!error)
		error = soft_shm_own(ctx);
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
	error = start(ctx, qp);
	if (error) {
		soft_object_remove(ctx, &qp->object);
		stop(ctx, qp);
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
	const uint32_t known = IBV_QP_INIT_ATTR_PD |
			       IBV_QP_INIT_ATTR_CREATE_FLAGS |
			       IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
	const bool ops = ex->comp_mask & IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
	struct ibv_qp_init_attr init;
	struct ibv_qp *qp;

	memcpy(&init, ex, sizeof(init)); /* it begins with that */
	if (ex->comp_mask & ~known ||
	    (ex->comp_mask & IBV_QP_INIT_ATTR_CREATE_FLAGS && ex->create_flags))
		return soft_fail_null(EOPNOTSUPP);
	if (ops && !soft_qp_has_ops(ex->qp_type, ex->send_ops_flags))
		return soft_fail_null(EOPNOTSUPP);
	if (!(ex->comp_mask & IBV_QP_INIT_ATTR_PD) || !ex->pd ||
	    ex->pd->context != context)
		return soft_fail_null(EINVAL);
	qp = create(ex->pd, "create_qp_ex", &init);
	if (!qp)
		return NULL;
	ex->cap = init.cap;
	if (ops) {
		((struct soft_qp *)qp)->has_ops = true;
		soft_fill_qp_ex(&((struct soft_qp *)qp)->ex);
	}
	return qp;
}

struct ibv_qp_ex *soft_qp_to_qp_ex(struct ibv_qp *ibv)
{
	struct soft_qp *qp = (struct soft_qp *)ibv;

	return qp->has_ops ? &qp->ex : NULL;
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
			    IBV_ACCESS_MW_BIND | IBV_ACCESS_ON_DEMAND |
			    IBV_ACCESS_OPTIONAL_RANGE) },
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
	enum ibv_qp_state from = qp->shared->state;

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

static bool is_ready(enum ibv_qp_state state)
{
	return state == IBV_QPS_RTR || state == IBV_QPS_RTS ||
	       state == IBV_QPS_SQD;
}

/* what others are to know of it, with the lock on the file */
static void publish_attr(struct soft_qp *qp, enum ibv_qp_state to)
{
	struct sd_qp *shared = qp->shared;

	shared->access = qp->attr.qp_access_flags;
	shared->dest_qpn = qp->attr.dest_qp_num;
	shared->qkey = qp->attr.qkey;
	shared->rnr_timer = qp->attr.min_rnr_timer;
	memset(shared->dgid, 0, sizeof(shared->dgid));
	if (is_ready(to) && qp->to.is_global)
		memcpy(shared->dgid, qp->to.dgid, sizeof(shared->dgid));
}

static void fail_locked(struct soft_qp *qp, struct soft_notices *notices)
{
	struct soft_target target;

	if (soft_target_own(&target, qp, notices))
		soft_target_fail(&target, SOFT_NO_EVENT);
}

bool soft_qp_enter_error(struct soft_qp *qp)
{
	struct soft_context *ctx = to_context(qp->ibv.context);
	bool entered;

	if (soft_shm_lock(ctx->shm))
		return false;
	entered = qp->shared->state != IBV_QPS_ERR;
	__atomic_store_n(&qp->shared->state, IBV_QPS_ERR, __ATOMIC_SEQ_CST);
	soft_shm_unlock(ctx->shm);
	return entered;
}

void soft_qp_end(struct soft_qp *qp)
{
	struct soft_context *ctx = to_context(qp->ibv.context);
	struct soft_notices notices = {};
	struct soft_target target;

	if (soft_shm_lock(ctx->shm))
		return;
	if (soft_target_own(&target, qp, &notices))
		soft_target_end(&target);
	soft_shm_unlock(ctx->shm);
	soft_tell(ctx->shm, &notices);
}

static void purge(struct soft_qp *qp)
{
	soft_cq_purge((struct soft_cq *)qp->ibv.send_cq, qp);
	if (qp->ibv.recv_cq != qp->ibv.send_cq)
		soft_cq_purge((struct soft_cq *)qp->ibv.recv_cq, qp);
}

/* soft_sq.lock held: others see it, and what is under way follows */
static int publish(struct soft_qp *qp, enum ibv_qp_state to)
{
	struct soft_context *ctx = to_context(qp->ibv.context);
	struct soft_notices notices = {};

	if (soft_shm_lock(ctx->shm))
		return EIO;
	publish_attr(qp, to);
	if (to == IBV_QPS_ERR) {
		fail_locked(qp, &notices);
	} else {
		__atomic_store_n(&qp->shared->state, to, __ATOMIC_SEQ_CST);
		if (to == IBV_QPS_RESET) {
			qp->shared->flags = 0;
			soft_rq_reset(&qp->rq);
		}
	}
	soft_shm_unlock(ctx->shm);
	soft_tell(ctx->shm, &notices);
	/* first nobody has it who would say how far the old one had come */
	if (to == IBV_QPS_RESET) {
		purge(qp);
		soft_sq_reset(qp);
	}
	soft_sq_run(qp);
	return 0;
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

/* by the port that it names, or the QP's */
static void set_path(struct soft_qp *qp, const struct sv_state *state)
{
	const struct ibv_ah_attr *ah = &qp->attr.ah_attr;

	soft_address_fill(state, ah,
			  ah->port_num ? ah->port_num : qp->attr.port_num,
			  &qp->to);
}

/* soft_sq.lock held */
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
		drained = to == IBV_QPS_SQD &&
			  qp->shared->state == IBV_QPS_RTS &&
			  mask & IBV_QP_EN_SQD_ASYNC_NOTIFY &&
			  attr->en_sqd_async_notify;
		apply(qp, attr, mask, to);
		if (mask & IBV_QP_AV)
			set_path(qp, &state);
		qp->mtu = soft_mtu(&state);
	}
	pthread_mutex_unlock(&ctx->lock);
	if (!error)
		error = publish(qp, to);
	sv_state_free(&state);
	if (drained)
		soft_raise(ctx, IBV_EVENT_SQ_DRAINED, qp->object.id);
	return error;
}

int soft_modify_qp(struct ibv_qp *ibv, struct ibv_qp_attr *attr, int mask)
{
	struct soft_qp *qp = (struct soft_qp *)ibv;
	int error = soft_enter(ibv->context, "modify_qp"), saved = errno;

	if (!error && soft_is_inherited(to_context(ibv->context)))
		error = EIO;
	if (!error) {
		pthread_mutex_lock(&qp->sq.lock);
		error = modify(to_context(ibv->context), qp, attr, mask);
		pthread_mutex_unlock(&qp->sq.lock);
	}
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
	qp->ibv.state = qp->attr.qp_state = qp->attr.cur_qp_state =
		qp->shared->state;
	*attr = qp->attr;
	*init = qp->init;
	pthread_mutex_unlock(&ctx->lock);
	return 0;
}

struct soft_qp *soft_qp_of_cq(struct soft_context *ctx, uint32_t slot,
			      uint32_t qpn, const struct ibv_cq *cq)
{
	const struct soft_object *object;
	struct soft_qp *qp = NULL;

	pthread_mutex_lock(&ctx->lock);
	object = soft_table_get(&ctx->events, slot);
	if (object && object->kind == SV_QP)
		qp = object->ibv;
	if (qp && (qp->ibv.qp_num != qpn ||
		   (qp->ibv.send_cq != cq && qp->ibv.recv_cq != cq)))
		qp = NULL;
	pthread_mutex_unlock(&ctx->lock);
	return qp;
}

/* nothing comes any more, and nothing is sent */
static void unpublish(struct soft_context *ctx, struct soft_qp *qp)
{
	pthread_mutex_lock(&qp->sq.lock);
	if (!soft_shm_lock(ctx->shm)) {
		__atomic_store_n(&qp->shared->state, IBV_QPS_RESET,
				 __ATOMIC_SEQ_CST);
		qp->shared->qpn = 0;
		soft_shm_unlock(ctx->shm);
	}
	pthread_mutex_unlock(&qp->sq.lock);
}

int soft_destroy_qp(struct ibv_qp *ibv)
{
	struct soft_context *ctx = to_context(ibv->context);
	struct soft_qp *qp = (struct soft_qp *)ibv;
	int error = soft_enter_destroy(ibv->context, "destroy_qp");

	if (error)
		return soft_fail(error);
	if (!soft_is_inherited(ctx)) {
		soft_leave_groups(ctx, qp);
		unpublish(ctx, qp);
		soft_retry_never(qp);
	}
	/* a receive of an SRQ is given back by who still knows whose it was */
	if (!soft_is_inherited(ctx))
		purge(qp);
	/* first nobody finds it, then nobody has it: see cq_ring.c */
	soft_object_remove(ctx, &qp->object);
	if (!soft_is_inherited(ctx))
		purge(qp);
	use_all(ctx, ibv, soft_use_put);
	stop(ctx, qp);
	free_qp(qp);
	return 0;
}
