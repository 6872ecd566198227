// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Completion queues: their life, and the verbs that look into them. */
#include <errno.h>
#include <stdlib.h>

#include "preload.h"

/* ---- making them ---- */

struct cq_attr {
	uint32_t cqe;
	void *cq_context;
	struct ibv_comp_channel *channel;
	uint32_t comp_vector;
	bool is_stamped;
};

static int check(struct ibv_context *context, const struct cq_attr *attr)
{
	if (!attr->cqe || attr->cqe > SOFT_MAX_CQE)
		return EINVAL;
	if (attr->comp_vector >= (uint32_t)context->num_comp_vectors)
		return EINVAL;
	if (attr->channel && attr->channel->context != context)
		return EINVAL;
	return 0;
}

static void init(struct soft_cq *cq, struct ibv_context *context,
		 const struct cq_attr *attr)
{
	cq->ibv.context = context;
	cq->ibv.channel = attr->channel;
	cq->ibv.cq_context = attr->cq_context;
	cq->ibv.cqe = attr->cqe;
	pthread_mutex_init(&cq->ibv.mutex, NULL);
	pthread_cond_init(&cq->ibv.cond, NULL);
	soft_fill_poll(&cq->ex);
	soft_use_init(&cq->use, cq);
	cq->object.ibv = cq;
	cq->object.mutex = &cq->ibv.mutex;
	cq->object.cond = &cq->ibv.cond;
	cq->object.acked = &cq->ibv.async_events_completed;
}

/* as libibverbs: the public count is of the CQs, under the context's lock */
static void use_channel(struct soft_context *ctx, struct ibv_comp_channel *ibv)
{
	struct soft_channel *channel = (struct soft_channel *)ibv;

	if (!channel)
		return;
	soft_use_get(ctx, &channel->use);
	pthread_mutex_lock(&ctx->lock);
	ibv->refcnt++;
	pthread_mutex_unlock(&ctx->lock);
}

static void unuse_channel(struct soft_context *ctx,
			  struct ibv_comp_channel *ibv)
{
	struct soft_channel *channel = (struct soft_channel *)ibv;

	if (!channel)
		return;
	pthread_mutex_lock(&ctx->lock);
	ibv->refcnt--;
	pthread_mutex_unlock(&ctx->lock);
	soft_use_put(ctx, &channel->use);
}

static void free_cq(struct soft_context *ctx, struct soft_cq *cq)
{
	pthread_mutex_destroy(&cq->ibv.mutex);
	pthread_cond_destroy(&cq->ibv.cond);
	soft_use_destroy(ctx, &cq->use);
}

static struct soft_cq *create(struct ibv_context *context, const char *verb,
			      const struct cq_attr *attr)
{
	struct soft_context *ctx = to_context(context);
	int error = soft_enter(context, verb);
	struct soft_cq *cq;

	if (!error)
		error = check(context, attr);
	if (!error)
		error = soft_shm_own(ctx);
	if (error)
		return soft_fail_null(error);
	cq = calloc(1, sizeof(*cq));
	if (!cq)
		return NULL;
	init(cq, context, attr);
	error = soft_object_add(ctx, &cq->object, SV_CQ, NULL);
	if (error) {
		free_cq(ctx, cq);
		return soft_fail_null(error);
	}
	error = soft_cq_ring_init(ctx, cq, attr->is_stamped);
	if (error) {
		soft_object_remove(ctx, &cq->object);
		free_cq(ctx, cq);
		return soft_fail_null(error);
	}
	cq->ibv.handle = cq->object.slot;
	use_channel(ctx, attr->channel);
	return cq;
}

struct ibv_cq *soft_create_cq(struct ibv_context *context, int cqe,
			      void *cq_context,
			      struct ibv_comp_channel *channel, int comp_vector)
{
	const struct cq_attr attr = { cqe < 0 ? 0 : cqe, cq_context, channel,
				      comp_vector, false };
	struct soft_cq *cq = create(context, "create_cq", &attr);

	return cq ? &cq->ibv : NULL;
}

struct ibv_cq_ex *soft_create_cq_ex(struct ibv_context *context,
				    struct ibv_cq_init_attr_ex *ex)
{
	const uint64_t stamps = IBV_WC_EX_WITH_COMPLETION_TIMESTAMP |
				IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK;
	const uint64_t known = IBV_WC_STANDARD_FLAGS | stamps;
	const struct cq_attr attr = { ex->cqe, ex->cq_context, ex->channel,
				      ex->comp_vector, ex->wc_flags & stamps };
	struct soft_cq *cq;

	if (ex->wc_flags & ~known ||
	    ex->comp_mask & ~(uint32_t)(IBV_CQ_INIT_ATTR_MASK_FLAGS |
					IBV_CQ_INIT_ATTR_MASK_PD))
		return soft_fail_null(EOPNOTSUPP);
	if (ex->comp_mask & IBV_CQ_INIT_ATTR_MASK_FLAGS &&
	    ex->flags & ~(uint32_t)IBV_CREATE_CQ_ATTR_SINGLE_THREADED)
		return soft_fail_null(EOPNOTSUPP);
	cq = create(context, "create_cq_ex", &attr);
	return cq ? &cq->ex : NULL;
}

/* ---- using them ---- */

int soft_resize_cq(struct ibv_cq *ibv, int cqe)
{
	struct soft_context *ctx = to_context(ibv->context);
	struct soft_cq *cq = (struct soft_cq *)ibv;
	int error = soft_enter(ibv->context, "resize_cq");

	if (!error && (cqe < 1 || cqe > SOFT_MAX_CQE))
		error = EINVAL;
	if (!error)
		error = soft_cq_ring_resize(ctx, cq, cqe);
	if (!error)
		ibv->cqe = cqe;
	return soft_fail(error);
}

/* also what tells that a context is ours */
int soft_poll_cq(struct ibv_cq *ibv, int num, struct ibv_wc *wc)
{
	struct soft_cq *cq = (struct soft_cq *)ibv;
	int error = soft_enter(ibv->context, "poll_cq"), n = 0;

	if (error)
		return -soft_fail(error);
	if (soft_cq_is_empty(cq) || soft_is_inherited(to_context(ibv->context)))
		return 0;
	pthread_mutex_lock(&cq->ring.lock);
	while (n < num && soft_cq_take(cq, &wc[n]))
		n++;
	pthread_mutex_unlock(&cq->ring.lock);
	return n;
}

/* asking for all is not taken back by asking for less */
int soft_req_notify_cq(struct ibv_cq *ibv, int solicited_only)
{
	struct sd_cq *shared = ((struct soft_cq *)ibv)->ring.shared;
	int error = soft_enter(ibv->context, "req_notify_cq");
	uint32_t not_armed = SD_NOT_ARMED;

	if (!error && soft_is_inherited(to_context(ibv->context)))
		error = EIO;
	if (error)
		return soft_fail(error);
	if (solicited_only)
		__atomic_compare_exchange_n(&shared->armed, &not_armed,
					    SD_ARMED_SOLICITED, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	else
		__atomic_store_n(&shared->armed, SD_ARMED, __ATOMIC_SEQ_CST);
	return 0;
}

void soft_ack_cq_events(struct ibv_cq *cq, unsigned int num)
{
	pthread_mutex_lock(&cq->mutex);
	cq->comp_events_completed += num;
	pthread_cond_signal(&cq->cond);
	pthread_mutex_unlock(&cq->mutex);
}

int soft_destroy_cq(struct ibv_cq *ibv)
{
	struct soft_context *ctx = to_context(ibv->context);
	struct soft_cq *cq = (struct soft_cq *)ibv;
	int error = soft_enter_destroy(ibv->context, "destroy_cq");

	if (!error)
		error = soft_use_check(ctx, &cq->use);
	if (error)
		return soft_fail(error);
	soft_object_remove(ctx, &cq->object);
	pthread_mutex_lock(&ibv->mutex);
	while (ibv->comp_events_completed != cq->comp_got)
		pthread_cond_wait(&ibv->cond, &ibv->mutex);
	pthread_mutex_unlock(&ibv->mutex);
	soft_cq_ring_done(ctx, cq);
	unuse_channel(ctx, ibv->channel);
	free_cq(ctx, cq);
	return 0;
}
