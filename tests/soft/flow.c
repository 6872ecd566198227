// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"

#define LIMIT_MS 60000
#define QKEY	 0x1234

/* ---- an end ---- */

static void make_qp(struct end *end, const struct flow *flow)
{
	uint32_t depth = flow->depth ? flow->depth : 64;
	struct ibv_qp_init_attr init = {
		.qp_type = flow->type,
		.send_cq = end->cq,
		.recv_cq = end->cq,
		.srq = end->srq,
		.sq_sig_all = flow->sig_all,
		.cap = { .max_send_wr = depth,
			 .max_recv_wr = depth,
			 .max_send_sge = 4,
			 .max_recv_sge = 4,
			 .max_inline_data = flow->inline_data },
	};

	end->qp = ibv_create_qp(end->pd, &init);
	assert_non_null(end->qp);
}

void end_open(struct end *end, const char *device, const struct flow *flow)
{
	uint32_t depth = flow->depth ? flow->depth : 64;
	struct ibv_srq_init_attr srq = { .attr = { .max_wr = depth,
						   .max_sge = 4 } };

	memset(end, 0, sizeof(*end));
	end->context = soft_open(device);
	assert_non_null(end->context);
	end->channel = ibv_create_comp_channel(end->context);
	assert_non_null(end->channel);
	end->pd = ibv_alloc_pd(end->context);
	assert_non_null(end->pd);
	end->cq = ibv_create_cq(end->context,
				(int)(flow->cqe ? flow->cqe : 4 * depth), NULL,
				end->channel, 0);
	assert_non_null(end->cq);
	if (flow->has_srq) {
		end->srq = ibv_create_srq(end->pd, &srq);
		assert_non_null(end->srq);
	}
	end->memory = calloc(1, FLOW_SIZE);
	assert_non_null(end->memory);
	end->mr = ibv_reg_mr(end->pd, end->memory, FLOW_SIZE, FLOW_ALL);
	assert_non_null(end->mr);
	make_qp(end, flow);
}

void end_close(struct end *end)
{
	assert_int_equal(ibv_destroy_qp(end->qp), 0);
	if (end->srq)
		assert_int_equal(ibv_destroy_srq(end->srq), 0);
	assert_int_equal(ibv_destroy_cq(end->cq), 0);
	assert_int_equal(ibv_destroy_comp_channel(end->channel), 0);
	assert_int_equal(ibv_dereg_mr(end->mr), 0);
	assert_int_equal(ibv_dealloc_pd(end->pd), 0);
	assert_int_equal(ibv_close_device(end->context), 0);
	free(end->memory);
}

void end_address(const struct end *end, struct address *address)
{
	memset(address, 0, sizeof(*address));
	assert_int_equal(ibv_query_gid(end->context, 1, 0, &address->gid), 0);
	address->qpn = end->qp->qp_num;
	address->rkey = end->mr->rkey;
	address->memory = (uintptr_t)end->memory;
}

/* ---- connecting ---- */

static void to_init(struct end *end, const struct flow *flow)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_INIT, .port_num = 1 };
	int mask = IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT;

	if (flow->type == IBV_QPT_UD) {
		attr.qkey = QKEY;
		mask |= IBV_QP_QKEY;
	} else {
		attr.qp_access_flags = flow->access ? flow->access : FLOW_ALL;
		mask |= IBV_QP_ACCESS_FLAGS;
	}
	assert_int_equal(ibv_modify_qp(end->qp, &attr, mask), 0);
}

static void to_rtr(struct end *end, const struct address *peer,
		   const struct flow *flow)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_1024,
		.max_dest_rd_atomic = 1,
		.min_rnr_timer = 1,
		.ah_attr = { .is_global = 1, .port_num = 1 },
	};
	int mask = IBV_QP_STATE;

	if (flow->type != IBV_QPT_UD) {
		attr.dest_qp_num = peer->qpn;
		attr.ah_attr.grh.dgid = peer->gid;
		mask |= IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
			IBV_QP_RQ_PSN;
	}
	if (flow->type == IBV_QPT_RC)
		mask |= IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
	assert_int_equal(ibv_modify_qp(end->qp, &attr, mask), 0);
}

void end_start(struct end *end, const struct flow *flow)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.timeout = flow->timeout ? flow->timeout : 8,
		.retry_cnt = flow->retry_cnt ? flow->retry_cnt : 1,
		.rnr_retry = flow->rnr_retry ? flow->rnr_retry : 7,
		.max_rd_atomic = 1,
	};
	int mask = IBV_QP_STATE | IBV_QP_SQ_PSN;

	if (flow->type == IBV_QPT_RC)
		mask |= IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
			IBV_QP_MAX_QP_RD_ATOMIC;
	assert_int_equal(ibv_modify_qp(end->qp, &attr, mask), 0);
}

void end_ready(struct end *end, const struct address *peer,
	       const struct flow *flow)
{
	to_init(end, flow);
	to_rtr(end, peer, flow);
}

void end_connect(struct end *end, const struct address *peer,
		 const struct flow *flow)
{
	end_ready(end, peer, flow);
	end_start(end, flow);
}

void flow_connect(struct end *a, struct end *b, const struct flow *flow)
{
	struct address of_a, of_b;

	end_address(a, &of_a);
	end_address(b, &of_b);
	end_connect(a, &of_b, flow);
	end_connect(b, &of_a, flow);
}

void flow_open(struct flow_pair *pair, const struct flow *flow)
{
	end_open(&pair->a, "soft0", flow);
	end_open(&pair->b, "soft0", flow);
	flow_connect(&pair->a, &pair->b, flow);
	end_address(&pair->b, &pair->of_b);
}

void flow_close(struct flow_pair *pair)
{
	end_close(&pair->a);
	end_close(&pair->b);
}

/* ---- posting ---- */

static struct ibv_sge sge_of(struct end *end, uint32_t offset, uint32_t length)
{
	return (struct ibv_sge){ (uintptr_t)end->memory + offset, length,
				 end->mr->lkey };
}

int end_recv(struct end *end, uint64_t id, uint32_t offset, uint32_t length)
{
	struct ibv_sge sge = sge_of(end, offset, length);
	struct ibv_recv_wr wr = { .wr_id = id, .sg_list = &sge, .num_sge = 1 };
	struct ibv_recv_wr *bad;

	if (end->srq)
		return ibv_post_srq_recv(end->srq, &wr, &bad);
	return ibv_post_recv(end->qp, &wr, &bad);
}

int end_send(struct end *end, uint64_t id, uint32_t offset, uint32_t length)
{
	return end_rdma(end, id, IBV_WR_SEND, offset, length, NULL, 0);
}

int end_rdma(struct end *end, uint64_t id, enum ibv_wr_opcode opcode,
	     uint32_t offset, uint32_t length, const struct address *peer,
	     uint64_t remote_offset)
{
	struct ibv_sge sge = sge_of(end, offset, length);
	struct ibv_send_wr wr = { .wr_id = id,
				  .sg_list = &sge,
				  .num_sge = 1,
				  .opcode = opcode,
				  .send_flags = IBV_SEND_SIGNALED };
	struct ibv_send_wr *bad;

	if (peer) {
		wr.wr.rdma.remote_addr = peer->memory + remote_offset;
		wr.wr.rdma.rkey = peer->rkey;
	}
	return ibv_post_send(end->qp, &wr, &bad);
}

/* what was there comes to the begin of the end's memory */
int end_atomic(struct end *end, uint64_t id, enum ibv_wr_opcode opcode,
	       const struct address *peer, uint64_t remote_offset,
	       uint64_t compare_add, uint64_t swap)
{
	struct ibv_sge sge = sge_of(end, 0, 8);
	struct ibv_send_wr wr = {
		.wr_id = id,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.atomic = { .remote_addr = peer->memory + remote_offset,
			       .compare_add = compare_add,
			       .swap = swap,
			       .rkey = peer->rkey },
	};
	struct ibv_send_wr *bad;

	return ibv_post_send(end->qp, &wr, &bad);
}

/* ---- what becomes of it ---- */

struct ibv_wc end_poll(struct end *end)
{
	int64_t until = soft_now_ms() + LIMIT_MS;
	struct ibv_wc wc;
	int n;

	while (!(n = ibv_poll_cq(end->cq, 1, &wc)))
		assert_true(soft_now_ms() < until);
	assert_int_equal(n, 1);
	return wc;
}

void end_expect(struct end *end, uint64_t id, enum ibv_wc_status status)
{
	struct ibv_wc wc = end_poll(end);

	assert_int_equal(wc.status, status);
	assert_int_equal(wc.wr_id, id);
	assert_int_equal(wc.qp_num, end->qp->qp_num);
}

void end_expect_none(struct end *end)
{
	struct ibv_wc wc;

	assert_int_equal(ibv_poll_cq(end->cq, 1, &wc), 0);
}

enum ibv_qp_state end_state(struct end *end)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	assert_int_equal(ibv_query_qp(end->qp, &attr, IBV_QP_STATE, &init), 0);
	return attr.qp_state;
}

enum ibv_event_type end_event(struct end *end)
{
	struct pollfd fd = { .fd = end->context->async_fd, .events = POLLIN };
	struct ibv_async_event event;

	assert_int_equal(poll(&fd, 1, LIMIT_MS), 1);
	assert_int_equal(ibv_get_async_event(end->context, &event), 0);
	ibv_ack_async_event(&event);
	return event.event_type;
}

void fill_memory(char *memory, size_t length, unsigned int seed)
{
	size_t i;

	for (i = 0; i < length; i++)
		memory[i] = (char)(i * 31 + i / 251 + seed);
}

bool is_filled(const char *memory, size_t length, unsigned int seed)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (memory[i] != (char)(i * 31 + i / 251 + seed))
			return false;
	return true;
}
