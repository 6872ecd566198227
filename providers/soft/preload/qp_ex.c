// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Sending by ibv_wr_start(3) and its kin: requests are built in the slots of the
 * send queue, behind its tail, and are posted all at once or not at all. Who has
 * started holds soft_sq.lock until he completes or aborts.
 */
#include <errno.h>
#include <string.h>

#include "preload.h"

static struct soft_qp *qp_of(struct ibv_qp_ex *ex)
{
	return (struct soft_qp *)ex;
}

static void start(struct ibv_qp_ex *ex)
{
	struct soft_sq *sq = &qp_of(ex)->sq;

	pthread_mutex_lock(&sq->lock);
	sq->built = sq->tail;
	sq->building = NULL;
	sq->error = 0;
}

/* NULL: it is over, and completing says why */
static struct soft_send *add(struct ibv_qp_ex *ex, enum ibv_wr_opcode opcode)
{
	struct soft_qp *qp = qp_of(ex);
	struct soft_sq *sq = &qp->sq;
	struct soft_send *send;

	sq->building = NULL;
	if (!sq->error && sq->built - atomic_load(&sq->freed) >= sq->max_wr)
		sq->error = ENOMEM;
	if (sq->error)
		return NULL;
	send = soft_sq_slot(sq, sq->built++);
	memset(send, 0, sizeof(*send));
	send->wr_id = ex->wr_id;
	send->opcode = opcode;
	send->flags = ex->wr_flags & ~(unsigned int)IBV_SEND_INLINE;
	send->to = qp->to;
	send->qpn = qp->attr.dest_qp_num;
	sq->building = send;
	return send;
}

static void add_rdma(struct ibv_qp_ex *ex, enum ibv_wr_opcode opcode,
		     uint32_t rkey, uint64_t remote_addr, uint32_t imm)
{
	struct soft_send *send = add(ex, opcode);

	if (!send)
		return;
	send->rkey = rkey;
	send->remote_addr = remote_addr;
	send->imm = imm;
}

static void add_atomic(struct ibv_qp_ex *ex, enum ibv_wr_opcode opcode,
		       uint32_t rkey, uint64_t remote_addr,
		       uint64_t compare_add, uint64_t swap)
{
	struct soft_send *send = add(ex, opcode);

	if (!send)
		return;
	send->rkey = rkey;
	send->remote_addr = remote_addr;
	send->compare_add = compare_add;
	send->swap = swap;
}

/* ---- requests ---- */

static void wr_send(struct ibv_qp_ex *ex)
{
	add(ex, IBV_WR_SEND);
}

static void wr_send_imm(struct ibv_qp_ex *ex, __be32 imm)
{
	add_rdma(ex, IBV_WR_SEND_WITH_IMM, 0, 0, imm);
}

static void wr_send_inv(struct ibv_qp_ex *ex, uint32_t rkey)
{
	add_rdma(ex, IBV_WR_SEND_WITH_INV, 0, 0, rkey);
}

static void wr_rdma_write(struct ibv_qp_ex *ex, uint32_t rkey,
			  uint64_t remote_addr)
{
	add_rdma(ex, IBV_WR_RDMA_WRITE, rkey, remote_addr, 0);
}

static void wr_rdma_write_imm(struct ibv_qp_ex *ex, uint32_t rkey,
			      uint64_t remote_addr, __be32 imm)
{
	add_rdma(ex, IBV_WR_RDMA_WRITE_WITH_IMM, rkey, remote_addr, imm);
}

static void wr_rdma_read(struct ibv_qp_ex *ex, uint32_t rkey,
			 uint64_t remote_addr)
{
	add_rdma(ex, IBV_WR_RDMA_READ, rkey, remote_addr, 0);
}

static void wr_atomic_cmp_swp(struct ibv_qp_ex *ex, uint32_t rkey,
			      uint64_t remote_addr, uint64_t compare,
			      uint64_t swap)
{
	add_atomic(ex, IBV_WR_ATOMIC_CMP_AND_SWP, rkey, remote_addr, compare,
		   swap);
}

static void wr_atomic_fetch_add(struct ibv_qp_ex *ex, uint32_t rkey,
				uint64_t remote_addr, uint64_t value)
{
	add_atomic(ex, IBV_WR_ATOMIC_FETCH_AND_ADD, rkey, remote_addr, value,
		   0);
}

static void wr_local_inv(struct ibv_qp_ex *ex, uint32_t rkey)
{
	add_rdma(ex, IBV_WR_LOCAL_INV, 0, 0, rkey);
}

static void wr_bind_mw(struct ibv_qp_ex *ex, struct ibv_mw *mw, uint32_t rkey,
		       const struct ibv_mw_bind_info *info)
{
	struct soft_send *send = add(ex, IBV_WR_BIND_MW);

	if (!send)
		return;
	send->rkey = rkey;
	send->mw = mw;
	send->bind = *info;
}

/* ---- where to ---- */

static void wr_set_ud_addr(struct ibv_qp_ex *ex, struct ibv_ah *ah,
			   uint32_t qpn, uint32_t qkey)
{
	struct soft_send *send = qp_of(ex)->sq.building;

	if (!send)
		return;
	send->to = ((struct soft_ah *)ah)->to;
	send->qpn = qpn & 0xffffff;
	send->qkey = qkey;
}

/* ---- what ---- */

static void wr_set_sge_list(struct ibv_qp_ex *ex, size_t num,
			    const struct ibv_sge *list)
{
	struct soft_sq *sq = &qp_of(ex)->sq;

	if (!sq->building)
		return;
	if (num > sq->max_sge) {
		sq->error = EINVAL;
		return;
	}
	sq->building->num_sge = num;
	if (num)
		memcpy(sq->building->sge, list, num * sizeof(*list));
}

static void wr_set_sge(struct ibv_qp_ex *ex, uint32_t lkey, uint64_t addr,
		       uint32_t length)
{
	const struct ibv_sge sge = { addr, length, lkey };

	wr_set_sge_list(ex, 1, &sge);
}

static void wr_set_inline_data_list(struct ibv_qp_ex *ex, size_t num,
				    const struct ibv_data_buf *list)
{
	struct soft_sq *sq = &qp_of(ex)->sq;
	struct soft_send *send = sq->building;
	size_t i;

	if (!send)
		return;
	send->flags |= IBV_SEND_INLINE;
	for (i = 0; i < num; i++) {
		if (list[i].length > sq->max_inline - send->inline_len) {
			sq->error = EINVAL;
			return;
		}
		memcpy((char *)&send->sge[sq->max_sge] + send->inline_len,
		       list[i].addr, list[i].length);
		send->inline_len += list[i].length;
	}
}

static void wr_set_inline_data(struct ibv_qp_ex *ex, void *addr, size_t length)
{
	const struct ibv_data_buf buf = { addr, length };

	wr_set_inline_data_list(ex, 1, &buf);
}

static void wr_atomic_write(struct ibv_qp_ex *ex, uint32_t rkey,
			    uint64_t remote_addr, const void *value)
{
	struct soft_send *send;

	add_rdma(ex, IBV_WR_ATOMIC_WRITE, rkey, remote_addr, 0);
	send = qp_of(ex)->sq.building;
	if (send)
		memcpy(&send->swap, value, sizeof(send->swap));
}

/* ---- the end ---- */

static void finish(struct soft_sq *sq)
{
	sq->building = NULL;
	pthread_mutex_unlock(&sq->lock);
}

static int complete(struct ibv_qp_ex *ex)
{
	struct soft_qp *qp = qp_of(ex);
	struct soft_sq *sq = &qp->sq;
	int error = soft_enter(ex->qp_base.context, "post_send");

	if (!error && soft_is_inherited(to_context(ex->qp_base.context)))
		error = EIO;
	if (!error)
		error = sq->error;
	if (!error && !soft_sq_may_post(qp))
		error = EINVAL;
	if (!error) {
		sq->tail = sq->built;
		soft_sq_go(qp);
	}
	finish(sq);
	return error;
}

static void abandon(struct ibv_qp_ex *ex)
{
	finish(&qp_of(ex)->sq);
}

#define RDMA_OPS                                              \
	(IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM | \
	 IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM)
#define RC_OPS                                                               \
	(RDMA_OPS | IBV_QP_EX_WITH_RDMA_READ |                               \
	 IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP |                                 \
	 IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD | IBV_QP_EX_WITH_ATOMIC_WRITE | \
	 IBV_QP_EX_WITH_LOCAL_INV | IBV_QP_EX_WITH_BIND_MW |                 \
	 IBV_QP_EX_WITH_SEND_WITH_INV)
#define UC_OPS                                                          \
	(RDMA_OPS | IBV_QP_EX_WITH_LOCAL_INV | IBV_QP_EX_WITH_BIND_MW | \
	 IBV_QP_EX_WITH_SEND_WITH_INV)
#define UD_OPS (IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM)

bool soft_qp_has_ops(enum ibv_qp_type type, uint64_t ops)
{
	uint64_t known = type == IBV_QPT_RC ? RC_OPS :
			 type == IBV_QPT_UC ? UC_OPS :
					      UD_OPS;

	return !(ops & ~known);
}

void soft_fill_qp_ex(struct ibv_qp_ex *ex)
{
	ex->wr_start = start;
	ex->wr_complete = complete;
	ex->wr_abort = abandon;
	ex->wr_send = wr_send;
	ex->wr_send_imm = wr_send_imm;
	ex->wr_send_inv = wr_send_inv;
	ex->wr_rdma_write = wr_rdma_write;
	ex->wr_rdma_write_imm = wr_rdma_write_imm;
	ex->wr_rdma_read = wr_rdma_read;
	ex->wr_atomic_cmp_swp = wr_atomic_cmp_swp;
	ex->wr_atomic_fetch_add = wr_atomic_fetch_add;
	ex->wr_atomic_write = wr_atomic_write;
	ex->wr_local_inv = wr_local_inv;
	ex->wr_bind_mw = wr_bind_mw;
	ex->wr_set_ud_addr = wr_set_ud_addr;
	ex->wr_set_sge = wr_set_sge;
	ex->wr_set_sge_list = wr_set_sge_list;
	ex->wr_set_inline_data = wr_set_inline_data;
	ex->wr_set_inline_data_list = wr_set_inline_data_list;
}
