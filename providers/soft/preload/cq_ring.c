// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What a CQ holds: two rings. One is in the own file; what was received, or
 * flushed of that, is put in there by whoever has the lock on it. The other one is
 * private: what this process's own sends came to. Each entry of it says how many
 * the other one had had before: so they are polled in the order they came.
 *
 * soft_cq_ring.lock guards both heads, put_lock the tail of the private ring; who
 * changes the rings themselves has both. Polling an empty CQ takes no lock and
 * makes no system call.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "preload.h"

/* ---- making it ---- */

static int alloc_rings(struct soft_context *ctx, uint32_t num,
		       struct soft_region *region, struct soft_cqe **own)
{
	int error = soft_region_alloc(ctx->shm, num * sizeof(struct sd_cqe),
				      region);

	if (error)
		return error;
	*own = calloc(num, sizeof(**own));
	if (*own)
		return 0;
	soft_region_free(ctx->shm, region);
	return ENOMEM;
}

int soft_cq_ring_init(struct soft_context *ctx, struct soft_cq *cq,
		      bool is_stamped)
{
	struct soft_cq_ring *ring = &cq->ring;
	struct soft_channel *channel = (struct soft_channel *)cq->ibv.channel;
	int error;

	pthread_mutex_init(&ring->lock, NULL);
	pthread_mutex_init(&ring->put_lock, NULL);
	ring->index = cq->object.slot;
	ring->num = soft_power_of_two(cq->ibv.cqe);
	ring->shared = soft_own_record(ctx->shm, SD_CQS, ring->index);
	if (!ring->shared)
		return ENOMEM;
	error = alloc_rings(ctx, ring->num, &ring->region, &ring->own);
	if (error)
		return error;
	error = soft_shm_lock(ctx->shm);
	if (error) {
		soft_cq_ring_done(ctx, cq);
		return EIO;
	}
	*ring->shared = (struct sd_cq){
		.used = 1,
		.num = ring->num,
		.ring = ring->region.offset,
		.channel = channel ? channel->name : SD_NO_CHANNEL,
		.object = cq->object.id,
		.is_stamped = is_stamped,
	};
	soft_shm_unlock(ctx->shm);
	return 0;
}

static void lock_both(struct soft_cq_ring *ring)
{
	pthread_mutex_lock(&ring->lock);
	pthread_mutex_lock(&ring->put_lock);
}

static void unlock_both(struct soft_cq_ring *ring)
{
	pthread_mutex_unlock(&ring->put_lock);
	pthread_mutex_unlock(&ring->lock);
}

/* after the end of the device its QPs may still be there, and look */
void soft_cq_ring_done(struct soft_context *ctx, struct soft_cq *cq)
{
	struct soft_cq_ring *ring = &cq->ring;

	if (!ring->own)
		return;
	if (soft_is_inherited(ctx)) {
		soft_region_free(ctx->shm, &ring->region);
		free(ring->own);
		return;
	}
	if (!soft_shm_lock(ctx->shm)) {
		ring->shared->used = 0;
		soft_shm_unlock(ctx->shm);
	}
	lock_both(ring);
	soft_region_free(ctx->shm, &ring->region);
	free(ring->own);
	ring->own = NULL;
	ring->head = ring->tail = 0;
	unlock_both(ring);
}

static uint64_t own_tail(struct soft_cq_ring *ring)
{
	return __atomic_load_n(&ring->tail, __ATOMIC_SEQ_CST);
}

/* ---- what others put in ---- */

static struct sd_cqe *shared_at(struct soft_cq_ring *ring, uint64_t n)
{
	return (struct sd_cqe *)ring->region.at + (n & (ring->num - 1));
}

static uint64_t shared_tail(struct soft_cq_ring *ring)
{
	return __atomic_load_n(&ring->shared->tail, __ATOMIC_SEQ_CST);
}

/* it is not freed as long as the lock is held: see soft_destroy_qp() */
static struct soft_qp *qp_of(struct soft_cq *cq, uint32_t index, uint32_t qpn)
{
	return soft_qp_of_cq(to_context(cq->ibv.context), index, qpn, &cq->ibv);
}

/* lock held; false: it is of nobody, or says nonsense */
static bool read_shared(struct soft_cq *cq, const struct sd_cqe *cqe,
			struct ibv_wc *wc)
{
	struct soft_qp *qp = cqe->qpn ? qp_of(cq, cqe->qp, cqe->qpn) : NULL;
	struct soft_rq *rq;

	if (!qp || qp->ibv.recv_cq != &cq->ibv)
		return false;
	rq = qp->ibv.srq ? &((struct soft_srq *)qp->ibv.srq)->rq : &qp->rq;
	if (!soft_rq_take(rq, cqe->cookie, &wc->wr_id))
		return false;
	wc->status = cqe->status <= IBV_WC_GENERAL_ERR ? cqe->status :
							 IBV_WC_GENERAL_ERR;
	wc->opcode = cqe->opcode == IBV_WC_RECV_RDMA_WITH_IMM ?
			     IBV_WC_RECV_RDMA_WITH_IMM :
			     IBV_WC_RECV;
	cq->ring.stamp = cqe->stamp;
	wc->vendor_err = cqe->vendor_err;
	wc->byte_len = cqe->byte_len;
	wc->imm_data = cqe->imm;
	wc->qp_num = cqe->qpn;
	wc->src_qp = cqe->src_qp;
	wc->wc_flags =
		cqe->flags & (IBV_WC_GRH | IBV_WC_WITH_IMM | IBV_WC_WITH_INV);
	wc->slid = cqe->slid;
	wc->pkey_index = 0;
	wc->sl = 0;
	wc->dlid_path_bits = 0;
	return true;
}

/* lock held */
static bool take_shared(struct soft_cq *cq, struct ibv_wc *wc)
{
	struct soft_context *ctx = to_context(cq->ibv.context);
	struct soft_cq_ring *ring = &cq->ring;
	uint64_t tail = shared_tail(ring);
	struct sd_cqe cqe;
	bool is_good = false;

	/* more than there is room for is nonsense, and is passed by */
	if (tail - ring->shared_head > ring->num)
		__atomic_store_n(&ring->shared_head, tail, __ATOMIC_RELAXED);
	while (!is_good && ring->own && ring->shared_head != tail) {
		atomic_load_explicit(&ctx->shm->arrived, memory_order_acquire);
		cqe = *shared_at(ring, ring->shared_head);
		__atomic_store_n(&ring->shared_head, ring->shared_head + 1,
				 __ATOMIC_RELAXED);
		__atomic_store_n(&ring->shared->head, ring->shared_head,
				 __ATOMIC_RELEASE);
		is_good = read_shared(cq, &cqe, wc);
	}
	return is_good;
}

/* ---- what we put in ---- */

static void overrun(struct soft_cq *cq)
{
	if (!__atomic_exchange_n(&cq->ring.shared->broken, 1, __ATOMIC_SEQ_CST))
		soft_raise(to_context(cq->ibv.context), IBV_EVENT_CQ_ERR,
			   cq->object.id);
}

static void wake(struct soft_cq *cq, const struct soft_cqe *cqe)
{
	struct soft_context *ctx = to_context(cq->ibv.context);
	struct sd_cq *shared = cq->ring.shared;
	struct soft_notices notices = { .has_cq = true };
	uint32_t armed = __atomic_load_n(&shared->armed, __ATOMIC_SEQ_CST);

	if (!cq->ibv.channel || armed == SD_NOT_ARMED ||
	    (armed == SD_ARMED_SOLICITED && cqe->wc.status == IBV_WC_SUCCESS) ||
	    __atomic_exchange_n(&shared->armed, SD_NOT_ARMED,
				__ATOMIC_SEQ_CST) == SD_NOT_ARMED)
		return;
	notices.channel = ((struct soft_channel *)cq->ibv.channel)->name;
	notices.cq = cq->object.id;
	soft_tell(ctx->shm, &notices);
}

bool soft_cq_put(struct soft_cq *cq, const struct soft_cqe *cqe)
{
	struct soft_cq_ring *ring = &cq->ring;
	struct soft_cqe *at;
	bool fits;

	pthread_mutex_lock(&ring->put_lock);
	fits = ring->own &&
	       ring->tail - __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) <
		       ring->num &&
	       !__atomic_load_n(&ring->shared->broken, __ATOMIC_RELAXED);
	if (fits) {
		at = &ring->own[ring->tail & (ring->num - 1)];
		*at = *cqe;
		at->after = shared_tail(ring);
		at->stamp = ring->shared->is_stamped ? soft_now_ns() : 0;
		__atomic_store_n(&ring->tail, ring->tail + 1, __ATOMIC_SEQ_CST);
	}
	pthread_mutex_unlock(&ring->put_lock);
	if (fits)
		wake(cq, cqe);
	else if (ring->own)
		overrun(cq);
	return fits || !ring->own;
}

/* lock held */
static bool take_own(struct soft_cq *cq, struct ibv_wc *wc)
{
	struct soft_cq_ring *ring = &cq->ring;
	struct soft_cqe cqe;
	struct soft_qp *qp;

	while (ring->own && ring->head != own_tail(ring)) {
		cqe = ring->own[ring->head & (ring->num - 1)];
		__atomic_store_n(&ring->head, ring->head + 1, __ATOMIC_RELEASE);
		if (!cqe.wc.qp_num)
			continue;
		*wc = cqe.wc;
		ring->stamp = cqe.stamp;
		qp = qp_of(cq, cqe.qp, cqe.wc.qp_num);
		if (qp)
			atomic_store(&qp->sq.freed, cqe.sent_to);
		return true;
	}
	return false;
}

/* ---- polling ---- */

bool soft_cq_is_empty(struct soft_cq *cq)
{
	struct soft_cq_ring *ring = &cq->ring;

	return __atomic_load_n(&ring->head, __ATOMIC_RELAXED) ==
		       own_tail(ring) &&
	       __atomic_load_n(&ring->shared_head, __ATOMIC_RELAXED) ==
		       shared_tail(ring);
}

static bool own_is_first(struct soft_cq_ring *ring)
{
	return ring->own && ring->head != own_tail(ring) &&
	       (int64_t)(ring->own[ring->head & (ring->num - 1)].after -
			 ring->shared_head) <= 0;
}

/* in the order they came, so that the reason comes before what it led to */
bool soft_cq_take(struct soft_cq *cq, struct ibv_wc *wc)
{
	if (own_is_first(&cq->ring))
		return take_own(cq, wc) || take_shared(cq, wc);
	return take_shared(cq, wc) || take_own(cq, wc);
}

/* ---- rings that change ---- */

/* lock held */
static void purge_shared(struct soft_cq_ring *ring, struct soft_qp *qp)
{
	struct soft_srq *srq = (struct soft_srq *)qp->ibv.srq;
	uint64_t n, tail = shared_tail(ring), wr_id;
	struct sd_cqe *cqe;

	if (tail - ring->shared_head > ring->num)
		return;
	for (n = ring->shared_head; n != tail; n++) {
		cqe = shared_at(ring, n);
		if (cqe->qpn != qp->ibv.qp_num)
			continue;
		if (srq)
			soft_rq_take(&srq->rq, cqe->cookie, &wr_id);
		cqe->qpn = 0;
	}
}

static struct soft_cqe *own_at(struct soft_cq_ring *ring, uint64_t n)
{
	return &ring->own[n & (ring->num - 1)];
}

static void purge_own(struct soft_cq_ring *ring, struct soft_qp *qp)
{
	uint64_t n;

	for (n = ring->head; n != own_tail(ring); n++)
		if (own_at(ring, n)->wc.qp_num == qp->ibv.qp_num)
			own_at(ring, n)->wc.qp_num = 0;
}

/* what of the own ones, below @own, came when the other had @from has @to now */
static uint64_t move_after(struct soft_cq_ring *ring, uint64_t own,
			   uint64_t from, uint64_t to)
{
	struct soft_cqe *cqe;

	for (; own != ring->head; own--) {
		cqe = own_at(ring, own - 1);
		if ((int64_t)(cqe->after - from) < 0)
			break;
		if (cqe->after == from)
			cqe->after = to;
	}
	return own;
}

/* lock held; what is left moves up, so that nothing but the head changes */
static void squeeze_shared(struct soft_cq_ring *ring)
{
	uint64_t from = shared_tail(ring), to = from, own = own_tail(ring);
	const struct sd_cqe *cqe;

	if (from - ring->shared_head > ring->num)
		return;
	while (from != ring->shared_head) {
		own = move_after(ring, own, from, to);
		cqe = shared_at(ring, --from);
		if (cqe->qpn)
			*shared_at(ring, --to) = *cqe;
	}
	__atomic_store_n(&ring->shared_head, to, __ATOMIC_RELAXED);
	__atomic_store_n(&ring->shared->head, to, __ATOMIC_RELEASE);
}

static void squeeze_own(struct soft_cq_ring *ring)
{
	uint64_t from = own_tail(ring), to = from;
	const struct soft_cqe *cqe;

	while (from != ring->head) {
		cqe = own_at(ring, --from);
		if (cqe->wc.qp_num)
			*own_at(ring, --to) = *cqe;
	}
	__atomic_store_n(&ring->head, to, __ATOMIC_RELEASE);
}

/* who only ever destroys QPs has a CQ that never fills */
void soft_cq_purge(struct soft_cq *cq, struct soft_qp *qp)
{
	struct soft_cq_ring *ring = &cq->ring;

	pthread_mutex_lock(&ring->lock);
	if (ring->own) {
		purge_shared(ring, qp);
		purge_own(ring, qp);
		squeeze_shared(ring);
		squeeze_own(ring);
	}
	pthread_mutex_unlock(&ring->lock);
}

/* all locks held */
static int move_rings(struct soft_cq_ring *ring, struct soft_region *region,
		      struct soft_cqe *own, uint32_t num)
{
	uint64_t tail = shared_tail(ring), n;

	if (tail - ring->shared_head > num || ring->tail - ring->head > num)
		return EINVAL;
	for (n = ring->shared_head; n != tail; n++)
		((struct sd_cqe *)region->at)[n & (num - 1)] =
			*shared_at(ring, n);
	for (n = ring->head; n != ring->tail; n++)
		own[n & (num - 1)] = ring->own[n & (ring->num - 1)];
	ring->shared->ring = region->offset;
	ring->shared->num = num;
	return 0;
}

static void swap_rings(struct soft_cq_ring *ring, struct soft_region *region,
		       struct soft_cqe **own, uint32_t num)
{
	struct soft_region old_region = ring->region;
	struct soft_cqe *old_own = ring->own;

	ring->region = *region;
	ring->own = *own;
	ring->num = num;
	*region = old_region;
	*own = old_own;
}

int soft_cq_ring_resize(struct soft_context *ctx, struct soft_cq *cq, int cqe)
{
	struct soft_cq_ring *ring = &cq->ring;
	uint32_t num = soft_power_of_two(cqe);
	struct soft_region region;
	struct soft_cqe *own;
	int error = alloc_rings(ctx, num, &region, &own);

	if (error)
		return error;
	error = soft_shm_lock(ctx->shm) ? EIO : 0;
	if (!error) {
		lock_both(ring);
		error = move_rings(ring, &region, own, num);
		if (!error)
			swap_rings(ring, &region, &own, num);
		unlock_both(ring);
		soft_shm_unlock(ctx->shm);
	}
	soft_region_free(ctx->shm, &region);
	free(own);
	return error;
}
