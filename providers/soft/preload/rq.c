// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Receive queues, of QPs and SRQs: a ring in the own file, which the owner fills
 * without the lock on it and whoever sends to him empties with it. What is private
 * stays here: a slot for each posted request, with its id, from posting to polling.
 * The ring carries the number of the slot, and so does the completion.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "preload.h"

size_t sd_recv_size(uint32_t max_sge)
{
	return sizeof(struct sd_recv) + max_sge * sizeof(struct sd_sge);
}

static void free_arrays(struct soft_rq *rq)
{
	free(rq->free);
	free(rq->wr_ids);
	free(rq->used);
	rq->free = NULL;
	rq->wr_ids = NULL;
	rq->used = NULL;
}

static int alloc_arrays(struct soft_rq *rq, uint32_t num)
{
	rq->free = calloc(num, sizeof(*rq->free));
	rq->wr_ids = calloc(num, sizeof(*rq->wr_ids));
	rq->used = calloc(num, sizeof(*rq->used));
	if (rq->free && rq->wr_ids && rq->used)
		return 0;
	free_arrays(rq);
	return ENOMEM;
}

static void forget_all(struct soft_rq *rq)
{
	uint32_t i;

	/* the first one on top */
	for (i = 0; i < rq->max_wr; i++)
		rq->free[i] = rq->max_wr - 1 - i;
	memset(rq->used, 0, rq->max_wr * sizeof(*rq->used));
	rq->num_free = rq->max_wr;
}

int soft_rq_init(struct soft_context *ctx, struct soft_rq *rq,
		 struct sd_rq *shared, uint32_t max_wr, uint32_t max_sge)
{
	uint32_t num = soft_power_of_two(max_wr);
	int error;

	pthread_mutex_init(&rq->lock, NULL);
	rq->shared = shared;
	rq->num = num;
	rq->max_wr = rq->limit = max_wr;
	rq->max_sge = max_sge;
	memset(shared, 0, sizeof(*shared));
	if (!max_wr)
		return 0;
	error = alloc_arrays(rq, max_wr);
	if (error)
		return error;
	error = soft_region_alloc(ctx->shm, num * sd_recv_size(max_sge),
				  &rq->ring);
	if (error)
		return error;
	forget_all(rq);
	shared->num = num;
	shared->max_sge = max_sge;
	shared->ring = rq->ring.offset;
	return 0;
}

void soft_rq_done(struct soft_context *ctx, struct soft_rq *rq)
{
	soft_region_free(ctx->shm, &rq->ring);
	/* who polls a CQ may look for it; in a child nobody does */
	if (soft_is_inherited(ctx)) {
		free_arrays(rq);
		return;
	}
	pthread_mutex_lock(&rq->lock);
	free_arrays(rq);
	rq->max_wr = rq->limit = rq->num_free = 0;
	pthread_mutex_unlock(&rq->lock);
}

void soft_rq_reset(struct soft_rq *rq)
{
	pthread_mutex_lock(&rq->lock);
	rq->shared->head = rq->shared->tail = 0;
	if (rq->max_wr)
		forget_all(rq);
	pthread_mutex_unlock(&rq->lock);
}

/* ---- another size ---- */

static struct sd_recv *recv_at(void *ring, uint32_t num, uint32_t max_sge,
			       uint64_t n)
{
	return (void *)((char *)ring + (n & (num - 1)) * sd_recv_size(max_sge));
}

/* the arrays are never made smaller: a slot may be anywhere in them */
static int grow_arrays(struct soft_rq *rq, uint32_t max_wr)
{
	struct soft_rq new = {};
	uint32_t i;

	if (max_wr <= rq->max_wr)
		return 0;
	if (alloc_arrays(&new, max_wr))
		return ENOMEM;
	memcpy(new.wr_ids, rq->wr_ids, rq->max_wr * sizeof(*new.wr_ids));
	memcpy(new.used, rq->used, rq->max_wr * sizeof(*new.used));
	for (i = rq->max_wr; i < max_wr; i++)
		new.free[new.num_free++] = i;
	memcpy(new.free + new.num_free, rq->free,
	       rq->num_free * sizeof(*new.free));
	new.num_free += rq->num_free;
	free_arrays(rq);
	rq->free = new.free;
	rq->wr_ids = new.wr_ids;
	rq->used = new.used;
	rq->num_free = new.num_free;
	rq->max_wr = max_wr;
	return 0;
}

/* lock held */
static int grow_ring(struct soft_context *ctx, struct soft_rq *rq, uint32_t num)
{
	size_t size = sd_recv_size(rq->max_sge);
	struct sd_rq *shared = rq->shared;
	struct soft_region ring;
	uint64_t n;
	int error;

	if (num <= rq->num)
		return 0;
	error = soft_region_alloc(ctx->shm, num * size, &ring);
	if (error)
		return error;
	for (n = shared->head; n != shared->tail; n++)
		memcpy(recv_at(ring.at, num, rq->max_sge, n),
		       recv_at(rq->ring.at, rq->num, rq->max_sge, n), size);
	soft_region_free(ctx->shm, &rq->ring);
	rq->ring = ring;
	rq->num = num;
	shared->ring = ring.offset;
	shared->num = num;
	return 0;
}

int soft_rq_resize(struct soft_context *ctx, struct soft_rq *rq,
		   uint32_t max_wr)
{
	int error = 0;

	pthread_mutex_lock(&rq->lock);
	if (rq->max_wr - rq->num_free > max_wr)
		error = EINVAL;
	if (!error)
		error = grow_ring(ctx, rq, soft_power_of_two(max_wr));
	if (!error)
		error = grow_arrays(rq, max_wr);
	if (!error)
		rq->limit = max_wr;
	pthread_mutex_unlock(&rq->lock);
	return error;
}

/* ---- posting ---- */

/* lock held */
static void fill(struct soft_rq *rq, uint32_t cookie,
		 const struct ibv_recv_wr *wr)
{
	uint64_t tail = rq->shared->tail;
	struct sd_recv *recv = recv_at(rq->ring.at, rq->num, rq->max_sge, tail);
	int i;

	recv->cookie = cookie;
	recv->num_sge = wr->num_sge;
	for (i = 0; i < wr->num_sge; i++)
		recv->sge[i] = (struct sd_sge){ wr->sg_list[i].addr,
						wr->sg_list[i].length,
						wr->sg_list[i].lkey };
	__atomic_store_n(&rq->shared->tail, tail + 1, __ATOMIC_SEQ_CST);
}

int soft_rq_post(struct soft_rq *rq, const struct ibv_recv_wr *wr)
{
	uint32_t cookie;

	if (wr->num_sge < 0 || (uint32_t)wr->num_sge > rq->max_sge)
		return EINVAL;
	pthread_mutex_lock(&rq->lock);
	if (rq->max_wr - rq->num_free >= rq->limit) {
		pthread_mutex_unlock(&rq->lock);
		return ENOMEM;
	}
	cookie = rq->free[--rq->num_free];
	rq->used[cookie] = true;
	rq->wr_ids[cookie] = wr->wr_id;
	fill(rq, cookie, wr);
	pthread_mutex_unlock(&rq->lock);
	return 0;
}

bool soft_rq_take(struct soft_rq *rq, uint32_t cookie, uint64_t *wr_id)
{
	bool is_used;

	pthread_mutex_lock(&rq->lock);
	is_used = cookie < rq->max_wr && rq->used[cookie];
	if (is_used) {
		*wr_id = rq->wr_ids[cookie];
		rq->used[cookie] = false;
		rq->free[rq->num_free++] = cookie;
	}
	pthread_mutex_unlock(&rq->lock);
	return is_used;
}

/* ---- the verbs ---- */

/* it is in error: what was just posted, too, is flushed */
static void flush(struct soft_qp *qp)
{
	struct soft_context *ctx = to_context(qp->ibv.context);
	struct soft_notices notices = {};
	struct soft_target target;

	if (soft_shm_lock(ctx->shm))
		return;
	if (soft_target_own(&target, qp, &notices) &&
	    target.qp->state == IBV_QPS_ERR)
		soft_target_flush(&target);
	soft_shm_unlock(ctx->shm);
	soft_tell(ctx->shm, &notices);
}

static int post_all(struct soft_rq *rq, struct ibv_recv_wr *wr,
		    struct ibv_recv_wr **bad)
{
	int error = 0;

	for (; wr && !error; wr = error ? wr : wr->next)
		error = soft_rq_post(rq, wr);
	if (error)
		*bad = wr;
	return error;
}

int soft_post_recv(struct ibv_qp *ibv, struct ibv_recv_wr *wr,
		   struct ibv_recv_wr **bad)
{
	struct soft_qp *qp = (struct soft_qp *)ibv;
	int error = soft_enter(ibv->context, "post_recv");
	uint32_t state;

	state = __atomic_load_n(&qp->shared->state, __ATOMIC_SEQ_CST);
	if (!error && soft_is_inherited(to_context(ibv->context)))
		error = EIO;
	if (!error && (ibv->srq || state == IBV_QPS_RESET))
		error = EINVAL;
	if (error) {
		*bad = wr;
		return soft_fail(error);
	}
	error = post_all(&qp->rq, wr, bad);
	/* after the store of tail; who sets the error looks at tail after that */
	state = __atomic_load_n(&qp->shared->state, __ATOMIC_SEQ_CST);
	if (state == IBV_QPS_ERR)
		flush(qp);
	return soft_fail(error);
}

int soft_post_srq_recv(struct ibv_srq *ibv, struct ibv_recv_wr *wr,
		       struct ibv_recv_wr **bad)
{
	struct soft_srq *srq = (struct soft_srq *)ibv;
	int error = soft_enter(ibv->context, "post_srq_recv");

	if (!error && soft_is_inherited(to_context(ibv->context)))
		error = EIO;
	if (error) {
		*bad = wr;
		return soft_fail(error);
	}
	return soft_fail(post_all(&srq->rq, wr, bad));
}
