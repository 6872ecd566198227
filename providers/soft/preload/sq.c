// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Send queues. Who posts sends at once, in his own thread, in order; what did not
 * arrive stays at the head and is tried again by the context's thread (retry.c),
 * and what is posted meanwhile waits behind it. A slot is free again when its
 * completion, or a later one of the queue, was polled: as in hardware.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "preload.h"

#define US	      1000LL /* in ns */
#define FIRST_LOOK_NS (50 * US)

/* what SQD holds back is flushed if the other one sets the QP to ERR */
#define HELD_NS (10000 * US)

int soft_sq_init(struct soft_qp *qp, const struct ibv_qp_init_attr *init)
{
	struct soft_sq *sq = &qp->sq;
	size_t size = sizeof(struct soft_send) +
		      init->cap.max_send_sge * sizeof(struct ibv_sge) +
		      init->cap.max_inline_data;

	pthread_mutex_init(&sq->lock, NULL);
	sq->slot_size = (size + 7) & ~(size_t)7;
	sq->max_wr = init->cap.max_send_wr;
	sq->max_sge = init->cap.max_send_sge;
	sq->max_inline = init->cap.max_inline_data;
	sq->sig_all = init->sq_sig_all;
	if (!sq->max_wr)
		return 0;
	sq->slots = calloc(sq->max_wr, sq->slot_size);
	return sq->slots ? 0 : ENOMEM;
}

void soft_sq_done(struct soft_qp *qp)
{
	soft_route_drop(&qp->sq.route);
	pthread_mutex_destroy(&qp->sq.lock);
	free(qp->sq.slots);
}

void soft_sq_reset(struct soft_qp *qp)
{
	struct soft_sq *sq = &qp->sq;

	sq->head = sq->tail = 0;
	atomic_store(&sq->freed, 0);
	sq->tries = 0;
	sq->since = 0;
	sq->again = SOFT_DONE;
	soft_route_drop(&sq->route);
}

struct soft_send *soft_sq_slot(struct soft_sq *sq, uint64_t n)
{
	return (void *)(sq->slots + n % sq->max_wr * sq->slot_size);
}

/* ---- completions ---- */

static enum ibv_wc_opcode wc_opcode(uint32_t opcode)
{
	switch (opcode) {
	case IBV_WR_RDMA_WRITE:
	case IBV_WR_RDMA_WRITE_WITH_IMM:
		return IBV_WC_RDMA_WRITE;
	case IBV_WR_RDMA_READ:
		return IBV_WC_RDMA_READ;
	case IBV_WR_ATOMIC_CMP_AND_SWP:
		return IBV_WC_COMP_SWAP;
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		return IBV_WC_FETCH_ADD;
	case IBV_WR_ATOMIC_WRITE:
		return IBV_WC_ATOMIC_WRITE;
	case IBV_WR_BIND_MW:
		return IBV_WC_BIND_MW;
	case IBV_WR_LOCAL_INV:
		return IBV_WC_LOCAL_INV;
	default:
		return IBV_WC_SEND;
	}
}

/* as arrive.c does for who receives; what else was posted is dropped like this one */
static void overran(struct soft_qp *qp)
{
	if (!soft_qp_enter_error(qp))
		return;
	soft_raise(to_context(qp->ibv.context), IBV_EVENT_QP_FATAL,
		   qp->object.id);
	soft_qp_end(qp);
}

/* that of the head, which is over then */
static void complete(struct soft_qp *qp, const struct soft_outcome *outcome)
{
	struct soft_sq *sq = &qp->sq;
	const struct soft_send *send = soft_sq_slot(sq, sq->head);
	struct soft_cqe cqe = {
		.wc = { .wr_id = send->wr_id,
			.status = outcome->status,
			.opcode = wc_opcode(send->opcode),
			.vendor_err = outcome->vendor_err,
			.byte_len = outcome->byte_len,
			.qp_num = qp->ibv.qp_num },
		.qp = qp->index,
		.sent_to = ++sq->head,
	};

	sq->tries = 0;
	sq->since = 0;
	sq->again = SOFT_DONE;
	if ((sq->sig_all || send->flags & IBV_SEND_SIGNALED ||
	     outcome->status != IBV_WC_SUCCESS) &&
	    !soft_cq_put((struct soft_cq *)qp->ibv.send_cq, &cqe))
		overran(qp);
}

static void flush(struct soft_qp *qp)
{
	const struct soft_outcome flushed = { .status = IBV_WC_WR_FLUSH_ERR };

	while (qp->sq.head != qp->sq.tail)
		complete(qp, &flushed);
}

/*
 * RC ends for both directions, the others for what they send. Who sees the
 * completion finds the QP in that state.
 */
static void fail(struct soft_qp *qp, const struct soft_outcome *outcome)
{
	const bool both = qp->ibv.qp_type == IBV_QPT_RC;
	const bool entered = both && soft_qp_enter_error(qp);

	if (!both)
		__atomic_store_n(&qp->shared->state, IBV_QPS_SQE,
				 __ATOMIC_SEQ_CST);
	complete(qp, outcome);
	if (entered)
		soft_qp_end(qp);
	flush(qp);
}

/* ---- sending again ---- */

/* of the InfiniBand specification, in 10 µs */
static int64_t rnr_ns(uint32_t timer)
{
	static const uint32_t times[32] = {
		65536, 1,    2,	   3,	  4,	 6,	8,     12,
		16,    24,   32,   48,	  64,	 96,	128,   192,
		256,   384,  512,  768,	  1024,	 1536,	2048,  3072,
		4096,  6144, 8192, 12288, 16384, 24576, 32768, 49152,
	};

	return times[timer % 32] * 10 * US;
}

/* 4.096 µs by a power of two; without a time-out it is asked for all the same */
static int64_t timeout_ns(uint8_t timeout)
{
	return timeout ? 4096LL << timeout : 4096LL << 14;
}

/*
 * A receiver says how long it wants to be left alone, and a path how long an answer
 * may take. Asking is cheap here, so it is asked in between, less and less often;
 * that does not count.
 */
static int64_t next_look(const struct soft_sq *sq, int64_t period, int64_t now)
{
	int64_t past = now - sq->since;
	int64_t ns = past > FIRST_LOOK_NS ? past : FIRST_LOOK_NS;

	return past + ns > period ? period - past : ns;
}

/* the time that a look takes counts, too: a lock may be waited for */
static void count_try(struct soft_sq *sq, int64_t period, int64_t now)
{
	if (!sq->since) {
		sq->since = now;
	} else if (now - sq->since >= period) {
		sq->tries++;
		sq->since = now;
	}
}

/* how often the head may be tried, and when next; false: no more */
static bool may_try_again(struct soft_qp *qp, const struct soft_outcome *o,
			  int64_t *ns, enum ibv_wc_status *status)
{
	struct soft_sq *sq = &qp->sq;
	bool for_ever;
	unsigned int most;
	int64_t period, now = soft_now_ns();

	if (sq->again != o->again) {
		sq->tries = 0;
		sq->since = 0;
	}
	sq->again = o->again;
	if (o->again == SOFT_NOT_READY) {
		most = qp->attr.rnr_retry;
		for_ever = most == 7;
		period = rnr_ns(o->rnr_timer);
		*status = IBV_WC_RNR_RETRY_EXC_ERR;
	} else {
		/* the answer to the last one is waited for, too */
		most = qp->attr.retry_cnt + 1;
		for_ever = !qp->attr.timeout;
		period = timeout_ns(qp->attr.timeout);
		*status = IBV_WC_RETRY_EXC_ERR;
	}
	count_try(sq, period, now);
	if (!for_ever && sq->tries >= most)
		return false;
	*ns = next_look(sq, period, now);
	return true;
}

/* false: it waits */
static bool give_up_or_wait(struct soft_qp *qp, struct soft_outcome *outcome)
{
	int64_t ns;

	if (may_try_again(qp, outcome, &ns, &outcome->status) &&
	    soft_retry_later(qp, ns))
		return false;
	outcome->again = SOFT_DONE;
	return true;
}

void soft_sq_run(struct soft_qp *qp)
{
	struct soft_context *ctx = to_context(qp->ibv.context);
	struct soft_sq *sq = &qp->sq;
	struct soft_outcome outcome;
	uint32_t state;

	while (sq->head != sq->tail && !soft_is_fatal(ctx)) {
		state = __atomic_load_n(&qp->shared->state, __ATOMIC_SEQ_CST);
		if (state == IBV_QPS_ERR || state == IBV_QPS_SQE) {
			flush(qp);
			return;
		}
		if (state == IBV_QPS_SQD)
			soft_retry_later(qp, HELD_NS);
		if (state != IBV_QPS_RTS)
			return;
		outcome = soft_move(qp, soft_sq_slot(sq, sq->head), &sq->route);
		if (outcome.again != SOFT_DONE &&
		    !give_up_or_wait(qp, &outcome))
			return;
		if (outcome.status == IBV_WC_SUCCESS)
			complete(qp, &outcome);
		else
			fail(qp, &outcome);
	}
}

/* ---- posting ---- */

static bool is_allowed(enum ibv_qp_type type, enum ibv_wr_opcode opcode)
{
	switch (opcode) {
	case IBV_WR_SEND:
	case IBV_WR_SEND_WITH_IMM:
		return true;
	case IBV_WR_RDMA_WRITE:
	case IBV_WR_RDMA_WRITE_WITH_IMM:
	case IBV_WR_SEND_WITH_INV:
	case IBV_WR_BIND_MW:
	case IBV_WR_LOCAL_INV:
		return type == IBV_QPT_RC || type == IBV_QPT_UC;
	case IBV_WR_RDMA_READ:
	case IBV_WR_ATOMIC_CMP_AND_SWP:
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		return type == IBV_QPT_RC;
	default:
		return false;
	}
}

static int check(const struct soft_qp *qp, const struct ibv_send_wr *wr)
{
	const struct soft_sq *sq = &qp->sq;
	uint64_t length = 0;
	int i;

	if (wr->opcode > IBV_WR_SEND_WITH_INV)
		return EOPNOTSUPP;
	if (!is_allowed(qp->ibv.qp_type, wr->opcode))
		return EINVAL;
	if (wr->num_sge < 0 || (uint32_t)wr->num_sge > sq->max_sge)
		return EINVAL;
	if (qp->ibv.qp_type == IBV_QPT_UD && !wr->wr.ud.ah)
		return EINVAL;
	if (!(wr->send_flags & IBV_SEND_INLINE))
		return 0;
	if (wr->opcode == IBV_WR_RDMA_READ ||
	    wr->opcode == IBV_WR_ATOMIC_CMP_AND_SWP ||
	    wr->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD)
		return EINVAL;
	for (i = 0; i < wr->num_sge; i++)
		length += wr->sg_list[i].length;
	return length > sq->max_inline ? EINVAL : 0;
}

static void copy_inline(struct soft_sq *sq, struct soft_send *send,
			const struct ibv_send_wr *wr)
{
	char *at = (char *)&send->sge[sq->max_sge];
	int i;

	send->inline_len = 0;
	for (i = 0; i < wr->num_sge; i++) {
		memcpy(at + send->inline_len,
		       (void *)(uintptr_t)wr->sg_list[i].addr,
		       wr->sg_list[i].length);
		send->inline_len += wr->sg_list[i].length;
	}
}

static void fill_target(struct soft_qp *qp, struct soft_send *send,
			const struct ibv_send_wr *wr)
{
	const struct soft_ah *ah;

	if (qp->ibv.qp_type == IBV_QPT_UD) {
		ah = (const struct soft_ah *)wr->wr.ud.ah;
		send->to = ah->to;
		send->qpn = wr->wr.ud.remote_qpn & 0xffffff;
		send->qkey = wr->wr.ud.remote_qkey;
		return;
	}
	send->to = qp->to;
	send->qpn = qp->attr.dest_qp_num;
	if (wr->opcode == IBV_WR_ATOMIC_CMP_AND_SWP ||
	    wr->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		send->remote_addr = wr->wr.atomic.remote_addr;
		send->rkey = wr->wr.atomic.rkey;
		send->compare_add = wr->wr.atomic.compare_add;
		send->swap = wr->wr.atomic.swap;
	} else {
		send->remote_addr = wr->wr.rdma.remote_addr;
		send->rkey = wr->wr.rdma.rkey;
	}
}

static void fill(struct soft_qp *qp, struct soft_send *send,
		 const struct ibv_send_wr *wr)
{
	send->wr_id = wr->wr_id;
	send->opcode = wr->opcode;
	send->flags = wr->send_flags;
	send->imm = wr->imm_data;
	if (wr->opcode == IBV_WR_BIND_MW) {
		send->rkey = wr->bind_mw.rkey;
		send->mw = wr->bind_mw.mw;
		send->bind = wr->bind_mw.bind_info;
	} else {
		fill_target(qp, send, wr);
	}
	send->num_sge = wr->num_sge;
	if (wr->send_flags & IBV_SEND_INLINE)
		copy_inline(&qp->sq, send, wr);
	else if (wr->num_sge)
		memcpy(send->sge, wr->sg_list,
		       wr->num_sge * sizeof(*wr->sg_list));
}

bool soft_sq_may_post(struct soft_qp *qp)
{
	uint32_t state = __atomic_load_n(&qp->shared->state, __ATOMIC_SEQ_CST);

	return state != IBV_QPS_RESET && state != IBV_QPS_INIT &&
	       state != IBV_QPS_RTR;
}

/* behind one that waits, it waits, too */
void soft_sq_go(struct soft_qp *qp)
{
	if (qp->sq.again == SOFT_DONE ||
	    __atomic_load_n(&qp->shared->state, __ATOMIC_SEQ_CST) ==
		    IBV_QPS_ERR)
		soft_sq_run(qp);
}

/* lock held */
static int post(struct soft_qp *qp, const struct ibv_send_wr *wr)
{
	struct soft_sq *sq = &qp->sq;
	int error;

	if (!soft_sq_may_post(qp))
		return EINVAL;
	error = check(qp, wr);
	if (error)
		return error;
	if (sq->tail - atomic_load(&sq->freed) >= sq->max_wr)
		return ENOMEM;
	fill(qp, soft_sq_slot(sq, sq->tail), wr);
	sq->tail++;
	soft_sq_go(qp);
	return 0;
}

int soft_post_send(struct ibv_qp *ibv, struct ibv_send_wr *wr,
		   struct ibv_send_wr **bad)
{
	struct soft_qp *qp = (struct soft_qp *)ibv;
	int error = soft_enter(ibv->context, "post_send"), saved = errno;

	if (!error && soft_is_inherited(to_context(ibv->context)))
		error = EIO;
	if (error) {
		*bad = wr;
		return soft_fail(error);
	}
	pthread_mutex_lock(&qp->sq.lock);
	for (; wr; wr = wr->next) {
		error = post(qp, wr);
		if (error) {
			*bad = wr;
			break;
		}
	}
	pthread_mutex_unlock(&qp->sq.lock);
	errno = saved;
	return soft_fail(error);
}
