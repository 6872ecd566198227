// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * One message, from the memory it is sent from to what it does at the other side,
 * in the thread of who sends it. The other's file is locked while it moves: so no
 * MR that it uses is deregistered meanwhile, and atomics are one after another.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "preload.h"

#define MAX_MESSAGE (1U << 30)

struct message {
	struct soft_qp *qp;
	const struct soft_send *send;
	struct soft_target target;
	struct soft_notices notices;
	struct ibv_grh grh;
	/* with the GRH in front, where there is one */
	struct iovec local[SD_MAX_SGE + 1];
	unsigned int num_local;
	uint64_t length; /* without it */
	struct soft_outcome outcome;
};

static void fail(struct message *m, enum ibv_wc_status status, int error)
{
	m->outcome.status = status;
	m->outcome.vendor_err = error;
}

static bool is_reliable(const struct message *m)
{
	return m->qp->ibv.qp_type == IBV_QPT_RC;
}

static bool is_datagram(const struct message *m)
{
	return m->qp->ibv.qp_type == IBV_QPT_UD;
}

/* nobody answers; who waits for no answer does not know */
static void lose(struct message *m)
{
	if (is_reliable(m))
		m->outcome.again = SOFT_NO_ANSWER;
}

static bool is_atomic(const struct soft_send *send)
{
	return send->opcode == IBV_WR_ATOMIC_CMP_AND_SWP ||
	       send->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
}

static bool fetches(const struct soft_send *send)
{
	return send->opcode == IBV_WR_RDMA_READ || is_atomic(send);
}

/* ---- this side ---- */

static int gather(struct message *m)
{
	const struct soft_send *send = m->send;
	struct soft_context *ctx = to_context(m->qp->ibv.context);
	int access = fetches(send) ? IBV_ACCESS_LOCAL_WRITE : 0;
	uint32_t i;

	if (send->opcode == IBV_WR_ATOMIC_WRITE) {
		m->local[m->num_local].iov_base = (void *)&send->swap;
		m->local[m->num_local++].iov_len = sizeof(send->swap);
		m->length = sizeof(send->swap);
		return 0;
	}
	if (send->flags & IBV_SEND_INLINE) {
		m->local[m->num_local].iov_base =
			(void *)&send->sge[m->qp->sq.max_sge];
		m->local[m->num_local++].iov_len = send->inline_len;
		m->length = send->inline_len;
		return 0;
	}
	for (i = 0; i < send->num_sge; i++) {
		if (soft_local_range(ctx, m->qp->ibv.pd, &send->sge[i], access,
				     &m->local[m->num_local]))
			return EACCES;
		m->length += m->local[m->num_local++].iov_len;
	}
	return 0;
}

static void make_grh(struct message *m)
{
	const struct soft_address *to = &m->send->to;

	m->grh.version_tclass_flow = htobe32(6U << 28);
	m->grh.next_hdr = 0x1b;
	m->grh.hop_limit = 64;
	memcpy(m->grh.sgid.raw, to->sgid, sizeof(to->sgid));
	memcpy(m->grh.dgid.raw, to->dgid, sizeof(to->dgid));
	m->local[0].iov_base = &m->grh;
	m->local[0].iov_len = sizeof(m->grh);
	m->num_local = 1;
}

static bool prepare(struct message *m)
{
	uint64_t max = MAX_MESSAGE;

	if (is_datagram(m)) {
		make_grh(m);
		max = m->qp->mtu;
	}
	if (gather(m))
		fail(m, IBV_WC_LOC_PROT_ERR, EACCES);
	else if (m->length > max)
		fail(m, IBV_WC_LOC_LEN_ERR, EMSGSIZE);
	else if (is_atomic(m->send) && m->length != 8)
		fail(m, IBV_WC_LOC_LEN_ERR, EINVAL);
	m->grh.paylen = htobe16((uint16_t)m->length);
	m->outcome.byte_len = (uint32_t)m->length;
	return m->outcome.status == IBV_WC_SUCCESS;
}

/* ---- receiving ---- */

static struct sd_cqe cqe_of(const struct message *m, uint32_t status)
{
	const struct soft_send *send = m->send;
	const bool write = send->opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
	struct sd_cqe cqe = {
		.status = status,
		.opcode = write ? IBV_WC_RECV_RDMA_WITH_IMM : IBV_WC_RECV,
		.byte_len = (uint32_t)m->length,
		.src_qp = m->qp->ibv.qp_num,
		.solicited = !!(send->flags & IBV_SEND_SOLICITED),
	};

	if (write || send->opcode == IBV_WR_SEND_WITH_IMM) {
		cqe.imm = send->imm;
		cqe.flags = IBV_WC_WITH_IMM;
	}
	if (send->opcode == IBV_WR_SEND_WITH_INV) {
		cqe.imm = send->imm;
		cqe.flags = IBV_WC_WITH_INV;
	}
	if (is_datagram(m)) {
		cqe.byte_len += sizeof(m->grh);
		cqe.slid = send->to.slid;
		if (send->to.is_global)
			cqe.flags |= IBV_WC_GRH;
	}
	return cqe;
}

/* what the receiver got wrong; the sender's QP learns it if it is told */
static void refuse(struct message *m, const struct soft_recv *recv,
		   enum ibv_wc_status theirs, enum ibv_wc_status ours)
{
	struct sd_cqe cqe = cqe_of(m, theirs);

	if (!is_reliable(m))
		return;
	/* who sees the completion finds the QP in that state */
	__atomic_store_n(&m->target.qp->state, IBV_QPS_ERR, __ATOMIC_SEQ_CST);
	soft_target_complete(&m->target, recv, &cqe);
	soft_target_end(&m->target);
	fail(m, ours, 0);
}

/* as much of what was posted as the message needs */
static int place(struct message *m, const struct soft_recv *recv,
		 struct iovec *iov, unsigned int *num)
{
	uint64_t left = m->length + (is_datagram(m) ? sizeof(m->grh) : 0), n;
	uint32_t i;

	*num = 0;
	for (i = 0; left && i < recv->num_sge; i++) {
		n = recv->sge[i].length < left ? recv->sge[i].length : left;
		if (!n)
			continue;
		if (soft_target_range(&m->target, recv->pd, recv->sge[i].lkey,
				      recv->sge[i].addr, n,
				      IBV_ACCESS_LOCAL_WRITE, &iov[*num]))
			return EACCES;
		++*num;
		left -= n;
	}
	return left ? EMSGSIZE : 0;
}

/* of a copy */
static void copy_failed(struct message *m, const struct soft_recv *recv,
			int error)
{
	if (error == ESRCH)
		lose(m);
	else if (error != EFAULT)
		fail(m, IBV_WC_LOC_QP_OP_ERR, error);
	else if (recv)
		refuse(m, recv, IBV_WC_LOC_PROT_ERR, IBV_WC_REM_OP_ERR);
	else
		fail(m, IBV_WC_REM_ACCESS_ERR, error);
}

static bool get_receive(struct message *m, struct soft_recv *recv)
{
	if (soft_target_peek(&m->target, recv))
		return true;
	if (is_reliable(m)) {
		m->outcome.again = SOFT_NOT_READY;
		m->outcome.rnr_timer = m->target.qp->rnr_timer;
	}
	return false;
}

static void do_send(struct message *m)
{
	struct iovec remote[SD_MAX_SGE];
	struct soft_recv recv;
	struct sd_cqe cqe;
	unsigned int num;
	int error;

	if (!get_receive(m, &recv))
		return;
	error = place(m, &recv, remote, &num);
	if (error == EMSGSIZE) {
		refuse(m, &recv, IBV_WC_LOC_LEN_ERR, IBV_WC_REM_INV_REQ_ERR);
		return;
	}
	if (error) {
		refuse(m, &recv, IBV_WC_LOC_PROT_ERR, IBV_WC_REM_OP_ERR);
		return;
	}
	error = soft_copy(m->target.shm, m->local, m->num_local, remote, num,
			  true);
	if (error) {
		copy_failed(m, &recv, error);
		return;
	}
	if (m->send->opcode == IBV_WR_SEND_WITH_INV &&
	    !soft_mw_invalidate(m->target.shm, m->target.qpn, m->send->imm)) {
		refuse(m, &recv, IBV_WC_LOC_ACCESS_ERR, IBV_WC_REM_ACCESS_ERR);
		return;
	}
	cqe = cqe_of(m, IBV_WC_SUCCESS);
	soft_target_complete(&m->target, &recv, &cqe);
}

/* ---- one-sided ---- */

static bool reach(struct message *m, uint32_t access, struct iovec *remote)
{
	const struct sd_qp *qp = m->target.qp;

	if (!m->length)
		return true;
	if ((qp->access & access) == access &&
	    !soft_target_range(&m->target, qp->pd, m->send->rkey,
			       m->send->remote_addr, m->length, access, remote))
		return true;
	if (is_reliable(m)) {
		soft_target_fail(&m->target, IBV_EVENT_QP_ACCESS_ERR);
		fail(m, IBV_WC_REM_ACCESS_ERR, EACCES);
	}
	return false;
}

static void do_write(struct message *m)
{
	const bool imm = m->send->opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
	struct iovec remote = {};
	struct soft_recv recv;
	struct sd_cqe cqe;
	int error;

	if (imm && !get_receive(m, &recv))
		return;
	if (!reach(m, IBV_ACCESS_REMOTE_WRITE, &remote))
		return;
	error = soft_copy(m->target.shm, m->local, m->num_local, &remote, 1,
			  true);
	if (error) {
		copy_failed(m, NULL, error);
	} else if (imm) {
		cqe = cqe_of(m, IBV_WC_SUCCESS);
		soft_target_complete(&m->target, &recv, &cqe);
	}
}

static bool is_aligned(struct message *m)
{
	if (m->send->remote_addr % 8 == 0)
		return true;
	soft_target_fail(&m->target, IBV_EVENT_QP_REQ_ERR);
	fail(m, IBV_WC_REM_INV_REQ_ERR, EINVAL);
	return false;
}

/* eight bytes at once, where the CPU lets us */
static void do_atomic_write(struct message *m)
{
	struct iovec remote = {};
	int error = 0;

	if (!is_aligned(m) || !reach(m, IBV_ACCESS_REMOTE_WRITE, &remote))
		return;
	if (m->target.shm->is_own && (uintptr_t)remote.iov_base % 8 == 0)
		__atomic_store_n((uint64_t *)remote.iov_base, m->send->swap,
				 __ATOMIC_SEQ_CST);
	else
		error = soft_copy(m->target.shm, m->local, m->num_local,
				  &remote, 1, true);
	if (error)
		copy_failed(m, NULL, error);
}

static void do_read(struct message *m)
{
	struct iovec remote = {};
	int error;

	if (!reach(m, IBV_ACCESS_REMOTE_READ, &remote))
		return;
	error = soft_copy(m->target.shm, m->local, m->num_local, &remote, 1,
			  false);
	if (error)
		copy_failed(m, NULL, error);
}

static uint64_t result_of(const struct soft_send *send, uint64_t old)
{
	if (send->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD)
		return old + send->compare_add;
	return old == send->compare_add ? send->swap : old;
}

/* also for threads that look at their own memory: it changes at once */
static uint64_t change_here(const struct soft_send *send, uint64_t *at)
{
	uint64_t old = __atomic_load_n(at, __ATOMIC_SEQ_CST);

	while (!__atomic_compare_exchange_n(at, &old, result_of(send, old),
					    false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST))
		;
	return old;
}

/* not for who looks at his own memory: IBV_ATOMIC_HCA */
static int change_there(struct message *m, const struct iovec *remote,
			uint64_t *old)
{
	uint64_t new;
	struct iovec here = { old, sizeof(*old) };
	int error = soft_copy(m->target.shm, &here, 1, remote, 1, false);

	if (error)
		return error;
	new = result_of(m->send, *old);
	here.iov_base = &new;
	return soft_copy(m->target.shm, &here, 1, remote, 1, true);
}

static void scatter(struct message *m, const void *from)
{
	const char *at = from;
	unsigned int i;

	for (i = 0; i < m->num_local; i++) {
		memcpy(m->local[i].iov_base, at, m->local[i].iov_len);
		at += m->local[i].iov_len;
	}
}

static void do_atomic(struct message *m)
{
	struct iovec remote = {};
	uint64_t old = 0;
	int error = 0;

	if (!is_aligned(m) || !reach(m, IBV_ACCESS_REMOTE_ATOMIC, &remote))
		return;
	error = soft_shm_lock_atomics(m->target.shm);
	if (error) {
		lose(m);
		return;
	}
	if (m->target.shm->is_own && (uintptr_t)remote.iov_base % 8 == 0)
		old = change_here(m->send, remote.iov_base);
	else
		error = change_there(m, &remote, &old);
	soft_shm_unlock_atomics(m->target.shm);
	if (error)
		copy_failed(m, NULL, error);
	else
		scatter(m, &old);
}

/* ---- the other side ---- */

static bool is_connected(const struct message *m, const struct sd_qp *qp)
{
	static const uint8_t none[16];

	if (is_datagram(m))
		return true;
	if (qp->dest_qpn != m->qp->ibv.qp_num)
		return false;
	return !memcmp(qp->dgid, none, sizeof(none)) ||
	       !m->send->to.is_global ||
	       !memcmp(qp->dgid, m->send->to.sgid, sizeof(none));
}

static bool accepts(struct message *m)
{
	struct sd_qp *qp = m->target.qp;
	uint32_t qkey = m->send->qkey;

	if (!qp || qp->qpn != m->target.qpn ||
	    qp->type != (uint32_t)m->qp->ibv.qp_type ||
	    (qp->state != IBV_QPS_RTR && qp->state != IBV_QPS_RTS &&
	     qp->state != IBV_QPS_SQD) ||
	    !is_connected(m, qp))
		return false;
	if (qkey >> 31)
		qkey = m->qp->shared->qkey;
	if (is_datagram(m) && qp->qkey != qkey)
		return false;
	if (!is_datagram(m) && qp->state == IBV_QPS_RTR &&
	    !(qp->flags & SD_QP_ESTABLISHED)) {
		qp->flags |= SD_QP_ESTABLISHED;
		soft_notice(m->target.notices, IBV_EVENT_COMM_EST, qp->object);
	}
	return true;
}

static void arrive(struct message *m)
{
	switch (m->send->opcode) {
	case IBV_WR_SEND:
	case IBV_WR_SEND_WITH_IMM:
	case IBV_WR_SEND_WITH_INV:
		do_send(m);
		break;
	case IBV_WR_RDMA_WRITE:
	case IBV_WR_RDMA_WRITE_WITH_IMM:
		do_write(m);
		break;
	case IBV_WR_RDMA_READ:
		do_read(m);
		break;
	case IBV_WR_ATOMIC_WRITE:
		do_atomic_write(m);
		break;
	default:
		do_atomic(m);
		break;
	}
}

static bool find(struct message *m, struct soft_route *route)
{
	if (soft_route_leads_to(route, &m->send->to, m->send->qpn))
		return true;
	soft_route_drop(route);
	return !soft_route_find(to_context(m->qp->ibv.context), &m->send->to,
				m->send->qpn, route);
}

/* a copy for one of the group */
static void deliver(struct soft_target *target, void *arg)
{
	struct message *m = arg;

	m->target = *target;
	if (accepts(m))
		do_send(m);
}

struct soft_outcome soft_move(struct soft_qp *qp, const struct soft_send *send,
			      struct soft_route *route)
{
	struct message m = { .qp = qp, .send = send };
	bool is_there;

	if (send->opcode == IBV_WR_BIND_MW)
		m.outcome.status = soft_mw_bind(qp, send);
	else if (send->opcode == IBV_WR_LOCAL_INV)
		m.outcome.status = soft_mw_invalidate_own(qp, send->imm);
	if (send->opcode == IBV_WR_BIND_MW ||
	    send->opcode == IBV_WR_LOCAL_INV || !prepare(&m))
		return m.outcome;
	if (is_datagram(&m) && soft_is_multicast(&send->to)) {
		soft_multicast(to_context(qp->ibv.context), &send->to, deliver,
			       &m);
		return m.outcome;
	}
	if (!find(&m, route)) {
		lose(&m);
		return m.outcome;
	}
	if (soft_shm_lock(route->shm)) {
		soft_route_drop(route);
		lose(&m);
		return m.outcome;
	}
	m.target = (struct soft_target){
		.shm = route->shm,
		.qp = soft_shm_record(route->shm, SD_QPS, route->index),
		.index = route->index,
		.qpn = route->qpn,
		.notices = &m.notices,
	};
	is_there = accepts(&m);
	if (is_there)
		arrive(&m);
	soft_shm_unlock(route->shm);
	soft_tell(route->shm, &m.notices);
	if (!is_there) {
		soft_route_drop(route);
		lose(&m);
	}
	return m.outcome;
}
