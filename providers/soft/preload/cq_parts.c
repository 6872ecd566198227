// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Polling a CQ by parts, as ibv_start_poll(3) has it: who has started holds the
 * lock until he ends, unless there was nothing.
 */
#include <errno.h>
#include <time.h>

#include "preload.h"

static struct soft_cq *cq_of(struct ibv_cq_ex *ex)
{
	return (struct soft_cq *)ex;
}

/* lock held */
static int take(struct ibv_cq_ex *ex)
{
	struct soft_cq *cq = cq_of(ex);

	if (!soft_cq_take(cq, &cq->ring.current))
		return ENOENT;
	ex->wr_id = cq->ring.current.wr_id;
	ex->status = cq->ring.current.status;
	return 0;
}

static int start_poll(struct ibv_cq_ex *ex, struct ibv_poll_cq_attr *attr)
{
	struct soft_cq *cq = cq_of(ex);
	int error = soft_enter(ex->context, "poll_cq");

	if (attr->comp_mask)
		return EINVAL;
	if (error)
		return error;
	if (soft_cq_is_empty(cq) || soft_is_inherited(to_context(ex->context)))
		return ENOENT;
	pthread_mutex_lock(&cq->ring.lock);
	error = take(ex);
	if (error)
		pthread_mutex_unlock(&cq->ring.lock);
	return error;
}

static int next_poll(struct ibv_cq_ex *ex)
{
	return take(ex);
}

static void end_poll(struct ibv_cq_ex *ex)
{
	pthread_mutex_unlock(&cq_of(ex)->ring.lock);
}

#define READ(type, name, field)                       \
	static type read_##name(struct ibv_cq_ex *ex) \
	{                                             \
		return cq_of(ex)->ring.current.field; \
	}

READ(enum ibv_wc_opcode, opcode, opcode)
READ(uint32_t, vendor_err, vendor_err)
READ(uint32_t, byte_len, byte_len)
READ(__be32, imm_data, imm_data)
READ(uint32_t, qp_num, qp_num)
READ(uint32_t, src_qp, src_qp)
READ(unsigned int, wc_flags, wc_flags)
READ(uint32_t, slid, slid)
READ(uint8_t, sl, sl)
READ(uint8_t, dlid_path_bits, dlid_path_bits)

static uint64_t read_completion_ts(struct ibv_cq_ex *ex)
{
	return cq_of(ex)->ring.stamp;
}

static uint64_t read_completion_wallclock_ns(struct ibv_cq_ex *ex)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec -
	       (soft_now_ns() - cq_of(ex)->ring.stamp);
}

void soft_fill_poll(struct ibv_cq_ex *ex)
{
	ex->start_poll = start_poll;
	ex->next_poll = next_poll;
	ex->end_poll = end_poll;
	ex->read_opcode = read_opcode;
	ex->read_vendor_err = read_vendor_err;
	ex->read_byte_len = read_byte_len;
	ex->read_imm_data = read_imm_data;
	ex->read_qp_num = read_qp_num;
	ex->read_src_qp = read_src_qp;
	ex->read_wc_flags = read_wc_flags;
	ex->read_slid = read_slid;
	ex->read_sl = read_sl;
	ex->read_dlid_path_bits = read_dlid_path_bits;
	ex->read_completion_ts = read_completion_ts;
	ex->read_completion_wallclock_ns = read_completion_wallclock_ns;
}
