// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What somebody does to another's context who has the lock on its file: takes a
 * receive, puts a completion in, sets a QP to the error state. All of it is the
 * other's memory, and may be nonsense: see data.h.
 *
 * He may be killed at any moment. A completion and the receive it is of change
 * together by the journal: see soft_shm_lock().
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "preload.h"

bool soft_target_own(struct soft_target *target, const struct soft_qp *qp,
		     struct soft_notices *notices)
{
	struct soft_context *ctx = to_context(qp->ibv.context);

	*target = (struct soft_target){
		.shm = ctx->shm,
		.qp = soft_shm_record(ctx->shm, SD_QPS, qp->index),
		.index = qp->index,
		.qpn = qp->ibv.qp_num,
		.notices = notices,
	};
	return target->qp;
}

void soft_notice(struct soft_notices *notices, uint32_t type, uint64_t element)
{
	const unsigned int max =
		sizeof(notices->events) / sizeof(notices->events[0]);

	if (notices->num < max)
		notices->events[notices->num++] =
			(struct sv_event){ element, type, 0 };
}

/* ---- receives ---- */

static struct sd_srq *get_srq(struct soft_target *target)
{
	struct sd_srq *srq;

	if (!target->qp->srq)
		return NULL;
	srq = soft_shm_record(target->shm, SD_SRQS, target->qp->srq - 1);
	return srq && srq->used ? srq : NULL;
}

static struct sd_rq *get_rq(struct soft_target *target, uint32_t *pd)
{
	struct sd_srq *srq = get_srq(target);

	*pd = srq ? srq->pd : target->qp->pd;
	if (target->qp->srq)
		return srq ? &srq->rq : NULL;
	return &target->qp->rq;
}

static bool is_power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

bool soft_target_peek(struct soft_target *target, struct soft_recv *recv)
{
	const struct sd_rq *shared = get_rq(target, &recv->pd);
	const struct sd_recv *from;
	struct sd_rq rq;
	size_t size;
	uint32_t i;

	if (!shared)
		return false;
	rq = *shared;
	rq.tail = __atomic_load_n(&shared->tail, __ATOMIC_SEQ_CST);
	if (rq.tail == rq.head || rq.tail - rq.head > rq.num ||
	    !is_power_of_two(rq.num) || rq.max_sge > SD_MAX_SGE)
		return false;
	size = sd_recv_size(rq.max_sge);
	if (rq.ring > target->shm->mapped)
		return false;
	from = soft_shm_at(target->shm,
			   rq.ring + (rq.head & (rq.num - 1)) * size, size);
	if (!from)
		return false;
	recv->cookie = from->cookie;
	recv->num_sge = from->num_sge;
	if (recv->num_sge > rq.max_sge)
		recv->num_sge = rq.max_sge;
	for (i = 0; i < recv->num_sge; i++)
		recv->sge[i] = from->sge[i];
	return true;
}

static void begin(struct soft_target *target, const struct sd_rq *rq,
		  const struct sd_cq *cq)
{
	struct sd_header *header = (void *)target->shm->map;

	header->journal.is_srq = !!target->qp->srq;
	header->journal.queue =
		target->qp->srq ? target->qp->srq - 1 : target->index;
	header->journal.cq = target->qp->cq;
	header->journal.head = rq->head + 1;
	header->journal.tail = cq->tail + 1;
	__atomic_store_n(&header->journal.begun, 1, __ATOMIC_RELEASE);
}

static void end(struct soft_target *target, struct sd_rq *rq)
{
	struct sd_header *header = (void *)target->shm->map;

	__atomic_store_n(&rq->head, rq->head + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&header->journal.begun, 0, __ATOMIC_RELEASE);
}

static void check_limit(struct soft_target *target)
{
	struct sd_srq *srq = get_srq(target);

	if (!srq || !srq->limit || srq->rq.tail - srq->rq.head >= srq->limit)
		return;
	srq->limit = 0;
	soft_notice(target->notices, IBV_EVENT_SRQ_LIMIT_REACHED, srq->object);
}

/* ---- completions ---- */

static void wake(struct soft_target *target, struct sd_cq *cq,
		 const struct sd_cqe *cqe)
{
	uint32_t armed = __atomic_load_n(&cq->armed, __ATOMIC_SEQ_CST);

	if (armed == SD_NOT_ARMED || cq->channel == SD_NO_CHANNEL)
		return;
	if (armed == SD_ARMED_SOLICITED && !cqe->solicited &&
	    cqe->status == IBV_WC_SUCCESS)
		return;
	if (__atomic_exchange_n(&cq->armed, SD_NOT_ARMED, __ATOMIC_SEQ_CST) ==
	    SD_NOT_ARMED)
		return;
	target->notices->has_cq = true;
	target->notices->channel = cq->channel;
	target->notices->cq = cq->object;
}

static struct sd_cqe *next_cqe(struct soft_target *target, struct sd_cq *cq)
{
	uint32_t num = cq->num;

	if (!is_power_of_two(num) || cq->ring > target->shm->mapped)
		return NULL;
	return soft_shm_at(target->shm,
			   cq->ring + (cq->tail & (num - 1)) *
					      sizeof(struct sd_cqe),
			   sizeof(struct sd_cqe));
}

static bool is_full(const struct sd_cq *cq)
{
	return cq->tail - __atomic_load_n(&cq->head, __ATOMIC_ACQUIRE) >=
	       cq->num;
}

/* a CQ that overran takes nothing more, and its QPs are of no use */
static void overrun(struct soft_target *target, struct sd_cq *cq)
{
	if (cq->broken)
		return;
	cq->broken = 1;
	soft_notice(target->notices, IBV_EVENT_CQ_ERR, cq->object);
	if (target->qp->state != IBV_QPS_ERR) {
		__atomic_store_n(&target->qp->state, IBV_QPS_ERR,
				 __ATOMIC_SEQ_CST);
		soft_notice(target->notices, IBV_EVENT_QP_FATAL,
			    target->qp->object);
	}
}

void soft_target_complete(struct soft_target *target,
			  const struct soft_recv *recv, struct sd_cqe *cqe)
{
	struct sd_cq *cq = soft_shm_record(target->shm, SD_CQS, target->qp->cq);
	struct sd_cqe *at;
	struct sd_rq *rq;
	uint32_t pd;

	rq = get_rq(target, &pd);
	if (!cq || !cq->used || !rq)
		return;
	at = next_cqe(target, cq);
	if (!at || cq->broken || is_full(cq)) {
		overrun(target, cq);
		__atomic_store_n(&rq->head, rq->head + 1, __ATOMIC_RELEASE);
		return;
	}
	cqe->qp = target->index;
	cqe->qpn = target->qp->qpn;
	cqe->cookie = recv->cookie;
	cqe->stamp = cq->is_stamped ? soft_now_ns() : 0;
	begin(target, rq, cq);
	*at = *cqe;
	if (target->shm->is_own)
		atomic_fetch_add_explicit(&target->shm->arrived, 1,
					  memory_order_release);
	__atomic_store_n(&cq->tail, cq->tail + 1, __ATOMIC_SEQ_CST);
	end(target, rq);
	wake(target, cq, cqe);
	check_limit(target);
}

/* ---- errors ---- */

void soft_target_flush(struct soft_target *target)
{
	uint32_t left = target->qp->rq.num;
	struct soft_recv recv;
	struct sd_cqe cqe;

	if (target->qp->srq)
		return;
	for (; left && soft_target_peek(target, &recv); left--) {
		cqe = (struct sd_cqe){ .status = IBV_WC_WR_FLUSH_ERR };
		soft_target_complete(target, &recv, &cqe);
	}
}

void soft_target_end(struct soft_target *target)
{
	soft_target_flush(target);
	if (target->qp->srq)
		soft_notice(target->notices, IBV_EVENT_QP_LAST_WQE_REACHED,
			    target->qp->object);
}

void soft_target_fail(struct soft_target *target, uint32_t event)
{
	if (target->qp->state == IBV_QPS_ERR)
		return;
	/* before what was posted is looked at: see soft_post_recv() */
	__atomic_store_n(&target->qp->state, IBV_QPS_ERR, __ATOMIC_SEQ_CST);
	if (event != SOFT_NO_EVENT)
		soft_notice(target->notices, event, target->qp->object);
	soft_target_end(target);
}

/* ---- memory ---- */

int soft_target_range(struct soft_target *target, uint32_t pd, uint32_t key,
		      uint64_t addr, uint64_t length, uint32_t access,
		      struct iovec *iov)
{
	const struct sd_mr *shared;
	struct sd_mr mr;

	shared = key >> 8 ?
			 soft_shm_record(target->shm, SD_MRS, (key >> 8) - 1) :
			 NULL;
	if (!shared)
		return EACCES;
	mr = *shared;
	if (mr.qpn && mr.qpn != target->qp->qpn)
		return EACCES;
	if (mr.key != key || mr.pd != pd || (mr.access & access) != access ||
	    addr < mr.iova || addr - mr.iova > mr.length ||
	    length > mr.length - (addr - mr.iova))
		return EACCES;
	iov->iov_base = (void *)(uintptr_t)(mr.addr + (addr - mr.iova));
	iov->iov_len = length;
	if (target->shm->is_own &&
	    !soft_mr_covers(target->shm->owner, mr.parent ? mr.parent : key,
			    iov))
		return EACCES;
	return 0;
}

/* ---- afterwards ---- */

/* mutex held; -1: it is gone */
static int open_fifo(struct soft_shm *shm, uint32_t name)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/comp-%u", shm->id, name);
	return openat(shm->contexts, path,
		      O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
}

/* mutex held */
static int get_fifo(struct soft_shm *shm, uint32_t name)
{
	struct soft_fifo *fifo;
	unsigned int i;

	for (i = 0; i < SOFT_NUM_FIFOS; i++)
		if (shm->fifos[i].fd >= 0 && shm->fifos[i].name == name)
			return shm->fifos[i].fd;
	fifo = &shm->fifos[shm->next_fifo++ % SOFT_NUM_FIFOS];
	if (fifo->fd >= 0)
		close(fifo->fd);
	fifo->fd = open_fifo(shm, name);
	fifo->name = name;
	return fifo->fd;
}

static void tell_cq(struct soft_shm *shm, const struct soft_notices *notices)
{
	int fd;

	pthread_mutex_lock(&shm->mutex);
	fd = get_fifo(shm, notices->channel);
	if (fd >= 0 &&
	    sv_write_quietly(fd, &notices->cq, sizeof(notices->cq)) == EAGAIN &&
	    fcntl(fd, F_SETPIPE_SZ, 1 << 20) > 0)
		sv_write_quietly(fd, &notices->cq, sizeof(notices->cq));
	pthread_mutex_unlock(&shm->mutex);
}

void soft_tell(struct soft_shm *shm, const struct soft_notices *notices)
{
	struct sv_context ctx;
	int saved = errno;
	unsigned int i;

	if (notices->has_cq)
		tell_cq(shm, notices);
	if (notices->num && sv_context_open(&ctx, shm->contexts, shm->id)) {
		for (i = 0; i < notices->num; i++)
			sv_context_send(&ctx, &notices->events[i]);
		sv_context_close(&ctx);
	}
	errno = saved;
}
