// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Shared receive queues, and work queues without a QP. */
#include <errno.h>
#include <stdlib.h>

#include "preload.h"

static int check_srq(const struct ibv_srq_attr *attr)
{
	return !attr->max_wr || attr->max_wr > SOFT_MAX_SRQ_WR ||
			       attr->max_sge > SOFT_MAX_SGE ?
		       EINVAL :
		       0;
}

static void free_srq(struct soft_context *ctx, struct soft_srq *srq)
{
	pthread_mutex_destroy(&srq->ibv.mutex);
	pthread_cond_destroy(&srq->ibv.cond);
	soft_use_destroy(ctx, &srq->use);
}

/* for those who send to its QPs */
static int start_srq(struct soft_context *ctx, struct soft_srq *srq)
{
	struct sd_srq *shared =
		soft_own_record(ctx->shm, SD_SRQS, srq->object.slot);
	int error;

	if (!shared)
		return ENOMEM;
	srq->shared = shared;
	error = soft_rq_init(ctx, &srq->rq, &shared->rq, srq->attr.max_wr,
			     srq->attr.max_sge);
	if (error)
		return error;
	if (soft_shm_lock(ctx->shm))
		return EIO;
	shared->pd = srq->ibv.pd->handle;
	shared->limit = 0;
	shared->object = srq->object.id;
	shared->used = 1;
	soft_shm_unlock(ctx->shm);
	return 0;
}

static void stop_srq(struct soft_context *ctx, struct soft_srq *srq)
{
	if (!soft_shm_lock(ctx->shm)) {
		srq->shared->used = 0;
		soft_shm_unlock(ctx->shm);
	}
	soft_rq_done(ctx, &srq->rq);
}

static struct ibv_srq *create(struct ibv_pd *pd, const char *verb,
			      const struct ibv_srq_attr *attr, void *context)
{
	struct soft_context *ctx = to_context(pd->context);
	int error = soft_enter(pd->context, verb);
	struct soft_srq *srq;

	if (!error)
		error = check_srq(attr);
	if (!error)
		error = soft_shm_own(ctx);
	if (error)
		return soft_fail_null(error);
	srq = calloc(1, sizeof(*srq));
	if (!srq)
		return NULL;
	srq->ibv.context = pd->context;
	srq->ibv.srq_context = context;
	srq->ibv.pd = pd;
	pthread_mutex_init(&srq->ibv.mutex, NULL);
	pthread_cond_init(&srq->ibv.cond, NULL);
	srq->attr = *attr;
	srq->attr.srq_limit = 0;
	soft_use_init(&srq->use, srq);
	srq->object.ibv = srq;
	srq->object.mutex = &srq->ibv.mutex;
	srq->object.cond = &srq->ibv.cond;
	srq->object.acked = &srq->ibv.events_completed;
	error = soft_object_add(ctx, &srq->object, SV_SRQ, NULL);
	if (error) {
		free_srq(ctx, srq);
		return soft_fail_null(error);
	}
	error = start_srq(ctx, srq);
	if (error) {
		soft_object_remove(ctx, &srq->object);
		soft_rq_done(ctx, &srq->rq);
		free_srq(ctx, srq);
		return soft_fail_null(error);
	}
	srq->ibv.handle = srq->object.slot;
	soft_use_get(ctx, &((struct soft_pd *)pd)->use);
	return &srq->ibv;
}

struct ibv_srq *soft_create_srq(struct ibv_pd *pd,
				struct ibv_srq_init_attr *init)
{
	return create(pd, "create_srq", &init->attr, init->srq_context);
}

struct ibv_srq *soft_create_srq_ex(struct ibv_context *context,
				   struct ibv_srq_init_attr_ex *ex)
{
	const uint32_t known = IBV_SRQ_INIT_ATTR_PD | IBV_SRQ_INIT_ATTR_TYPE;

	if (ex->comp_mask & ~known || (ex->comp_mask & IBV_SRQ_INIT_ATTR_TYPE &&
				       ex->srq_type != IBV_SRQT_BASIC))
		return soft_fail_null(EOPNOTSUPP);
	if (!(ex->comp_mask & IBV_SRQ_INIT_ATTR_PD) || !ex->pd ||
	    ex->pd->context != context)
		return soft_fail_null(EINVAL);
	return create(ex->pd, "create_srq_ex", &ex->attr, ex->srq_context);
}

/* both locks held */
static int modify_srq(struct soft_context *ctx, struct soft_srq *srq,
		      const struct ibv_srq_attr *attr, int mask)
{
	struct ibv_srq_attr new = srq->attr;
	int error = 0;

	if (mask & ~(IBV_SRQ_MAX_WR | IBV_SRQ_LIMIT))
		return EINVAL;
	if (mask & IBV_SRQ_MAX_WR)
		new.max_wr = attr->max_wr;
	if (mask & IBV_SRQ_LIMIT)
		new.srq_limit = attr->srq_limit;
	if (check_srq(&new) || new.srq_limit > new.max_wr)
		return EINVAL;
	if (new.max_wr != srq->attr.max_wr)
		error = soft_rq_resize(ctx, &srq->rq, new.max_wr);
	if (error)
		return error;
	if (mask & IBV_SRQ_LIMIT)
		srq->shared->limit = new.srq_limit;
	srq->attr = new;
	return 0;
}

int soft_modify_srq(struct ibv_srq *srq, struct ibv_srq_attr *attr, int mask)
{
	struct soft_context *ctx = to_context(srq->context);
	int error = soft_enter(srq->context, "modify_srq");

	if (error)
		return soft_fail(error);
	if (soft_shm_lock(ctx->shm))
		return soft_fail(EIO);
	pthread_mutex_lock(&ctx->lock);
	error = modify_srq(ctx, (struct soft_srq *)srq, attr, mask);
	pthread_mutex_unlock(&ctx->lock);
	soft_shm_unlock(ctx->shm);
	return soft_fail(error);
}

int soft_query_srq(struct ibv_srq *srq, struct ibv_srq_attr *attr)
{
	struct soft_context *ctx = to_context(srq->context);
	int error = soft_enter(srq->context, "query_srq");

	if (error)
		return soft_fail(error);
	pthread_mutex_lock(&ctx->lock);
	*attr = ((struct soft_srq *)srq)->attr;
	attr->srq_limit = ((struct soft_srq *)srq)->shared->limit;
	pthread_mutex_unlock(&ctx->lock);
	return 0;
}

int soft_get_srq_num(struct ibv_srq *srq, uint32_t *num)
{
	*num = srq->handle;
	return 0;
}

int soft_destroy_srq(struct ibv_srq *ibv)
{
	struct soft_context *ctx = to_context(ibv->context);
	struct soft_srq *srq = (struct soft_srq *)ibv;
	int error = soft_enter_destroy(ibv->context, "destroy_srq");

	if (!error)
		error = soft_use_check(ctx, &srq->use);
	if (error)
		return soft_fail(error);
	soft_object_remove(ctx, &srq->object);
	stop_srq(ctx, srq);
	soft_use_put(ctx, &((struct soft_pd *)ibv->pd)->use);
	free_srq(ctx, srq);
	return 0;
}

/* ---- work queues ---- */

static int post_wq_recv(struct ibv_wq *wq, struct ibv_recv_wr *wr,
			struct ibv_recv_wr **bad)
{
	*bad = wr;
	return soft_unsupported(wq->context, "post_recv");
}

static int check_wq(const struct ibv_context *context,
		    const struct ibv_wq_init_attr *init)
{
	if (init->wq_type != IBV_WQT_RQ)
		return EINVAL;
	if (init->comp_mask || init->create_flags)
		return EOPNOTSUPP;
	if (!init->pd || init->pd->context != context || !init->cq ||
	    init->cq->context != context || !init->max_wr ||
	    init->max_wr > SOFT_MAX_QP_WR || init->max_sge > SOFT_MAX_SGE)
		return EINVAL;
	return 0;
}

static void init_wq(struct soft_wq *wq, const struct ibv_wq_init_attr *init)
{
	wq->ibv.context = init->pd->context;
	wq->ibv.wq_context = init->wq_context;
	wq->ibv.pd = init->pd;
	wq->ibv.cq = init->cq;
	wq->ibv.state = IBV_WQS_RESET;
	wq->ibv.wq_type = init->wq_type;
	wq->ibv.post_recv = post_wq_recv;
	pthread_mutex_init(&wq->mutex, NULL);
	pthread_cond_init(&wq->cond, NULL);
	wq->object.ibv = wq;
	wq->object.mutex = &wq->mutex;
	wq->object.cond = &wq->cond;
	wq->object.acked = &wq->acked;
}

static void free_wq(struct soft_wq *wq)
{
	pthread_mutex_destroy(&wq->mutex);
	pthread_cond_destroy(&wq->cond);
	free(wq);
}

struct ibv_wq *soft_create_wq(struct ibv_context *context,
			      struct ibv_wq_init_attr *init)
{
	struct soft_context *ctx = to_context(context);
	int error = soft_enter(context, "create_wq");
	struct soft_wq *wq;

	if (!error)
		error = check_wq(context, init);
	if (error)
		return soft_fail_null(error);
	wq = calloc(1, sizeof(*wq));
	if (!wq)
		return NULL;
	init_wq(wq, init);
	error = soft_take_number(ctx, &wq->ibv.wq_num);
	if (!error)
		error = soft_object_add(ctx, &wq->object, SV_WQ,
					&wq->ibv.wq_num);
	if (error) {
		free_wq(wq);
		return soft_fail_null(error);
	}
	wq->ibv.handle = wq->object.slot;
	soft_use_get(ctx, &((struct soft_pd *)init->pd)->use);
	soft_use_get(ctx, &((struct soft_cq *)init->cq)->use);
	return &wq->ibv;
}

static bool wq_may_go(enum ibv_wq_state from, enum ibv_wq_state to)
{
	switch (to) {
	case IBV_WQS_RESET:
		return true;
	case IBV_WQS_RDY:
		return from == IBV_WQS_RESET || from == IBV_WQS_RDY;
	case IBV_WQS_ERR:
		return from == IBV_WQS_RDY || from == IBV_WQS_ERR;
	default:
		return false;
	}
}

/* lock held */
static int modify_wq(struct ibv_wq *wq, const struct ibv_wq_attr *attr)
{
	const uint32_t known = IBV_WQ_ATTR_STATE | IBV_WQ_ATTR_CURR_STATE;

	if (attr->attr_mask & IBV_WQ_ATTR_FLAGS)
		return EOPNOTSUPP;
	if (attr->attr_mask & ~known || !attr->attr_mask)
		return EINVAL;
	if (attr->attr_mask & IBV_WQ_ATTR_CURR_STATE &&
	    attr->curr_wq_state != wq->state)
		return EINVAL;
	if (!(attr->attr_mask & IBV_WQ_ATTR_STATE))
		return 0;
	if (!wq_may_go(wq->state, attr->wq_state))
		return EINVAL;
	wq->state = attr->wq_state;
	return 0;
}

int soft_modify_wq(struct ibv_wq *wq, struct ibv_wq_attr *attr)
{
	struct soft_context *ctx = to_context(wq->context);
	int error = soft_enter(wq->context, "modify_wq");

	if (error)
		return soft_fail(error);
	pthread_mutex_lock(&ctx->lock);
	error = modify_wq(wq, attr);
	pthread_mutex_unlock(&ctx->lock);
	return soft_fail(error);
}

int soft_destroy_wq(struct ibv_wq *ibv)
{
	struct soft_context *ctx = to_context(ibv->context);
	struct soft_wq *wq = (struct soft_wq *)ibv;
	int error = soft_enter_destroy(ibv->context, "destroy_wq");

	if (error)
		return soft_fail(error);
	soft_object_remove(ctx, &wq->object);
	soft_use_put(ctx, &((struct soft_cq *)ibv->cq)->use);
	soft_use_put(ctx, &((struct soft_pd *)ibv->pd)->use);
	free_wq(wq);
	return 0;
}
