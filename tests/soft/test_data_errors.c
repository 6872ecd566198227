// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What goes wrong between two QPs: the status at each side, the states they are in
 * afterwards, and that everything posted is flushed.
 */
#include <string.h>

#include "flow.h"

static const struct flow rc = { .type = IBV_QPT_RC };

/* with one more request behind, and a receive at each side */
static void fails(struct flow_pair *p, enum ibv_wc_status ours, bool theirs)
{
	end_expect(&p->a, 1, ours);
	assert_int_equal(end_state(&p->a), IBV_QPS_ERR);
	end_expect(&p->a, 50, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(end_send(&p->a, 2, 0, 1), 0);
	end_expect(&p->a, 2, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(end_recv(&p->a, 51, 0, 1), 0);
	end_expect(&p->a, 51, IBV_WC_WR_FLUSH_ERR);
	end_expect_none(&p->a);
	if (theirs) {
		assert_int_equal(end_state(&p->b), IBV_QPS_ERR);
		end_expect(&p->b, 60, IBV_WC_WR_FLUSH_ERR);
		assert_int_equal(end_recv(&p->b, 61, 0, 1), 0);
		end_expect(&p->b, 61, IBV_WC_WR_FLUSH_ERR);
	} else {
		assert_int_equal(end_state(&p->b), IBV_QPS_RTS);
	}
	end_expect_none(&p->b);
}

static void prepare(struct flow_pair *p, const struct flow *flow)
{
	flow_open(p, flow);
	assert_int_equal(end_recv(&p->a, 50, 0, 1), 0);
	assert_int_equal(end_recv(&p->b, 60, 0, 64), 0);
}

/* ---- keys ---- */

struct key_case {
	enum ibv_wr_opcode opcode;
	int access;    /* of the memory that is meant */
	int64_t shift; /* of the first byte meant */
	uint32_t length;
	int qp_access;
	bool other_pd, stale;
};

/* an MR of 4096 bytes at 8192 of @end's memory */
static struct ibv_mr *make_mr(struct end *end, const struct key_case *c,
			      struct ibv_pd **pd)
{
	struct ibv_mr *mr;

	*pd = c->other_pd ? ibv_alloc_pd(end->context) : end->pd;
	mr = ibv_reg_mr(*pd, end->memory + 8192, 4096, c->access);
	assert_non_null(mr);
	return mr;
}

static void drop_mr(struct end *end, struct ibv_mr *mr, struct ibv_pd *pd)
{
	if (mr)
		assert_int_equal(ibv_dereg_mr(mr), 0);
	if (pd != end->pd)
		assert_int_equal(ibv_dealloc_pd(pd), 0);
}

static void remote_key(const struct key_case *c, enum ibv_wc_status status)
{
	struct flow flow = rc;
	struct address to;
	struct ibv_mr *mr;
	struct ibv_pd *pd;
	struct flow_pair p;

	flow.access = c->qp_access;
	prepare(&p, &flow);
	mr = make_mr(&p.b, c, &pd);
	to = p.of_b;
	to.rkey = mr->rkey;
	if (c->stale) {
		assert_int_equal(ibv_dereg_mr(mr), 0);
		mr = NULL;
	}
	assert_int_equal(end_rdma(&p.a, 1, c->opcode, 0, c->length, &to,
				  8192 + c->shift),
			 0);
	if (status == IBV_WC_SUCCESS) {
		end_expect(&p.a, 1, status);
	} else {
		fails(&p, status, true);
		assert_int_equal(end_event(&p.b), IBV_EVENT_QP_ACCESS_ERR);
	}
	drop_mr(&p.b, mr, pd);
	flow_close(&p);
}

#define WRITES (IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE)

static void remote_access(void **state)
{
	const struct key_case good = {
		IBV_WR_RDMA_WRITE, WRITES, 0, 4096, WRITES, false, false
	};
	struct key_case c = good;

	(void)state;
	remote_key(&good, IBV_WC_SUCCESS);
	c.shift = -1;
	c.length = 1;
	remote_key(&c, IBV_WC_REM_ACCESS_ERR);
	c.shift = 4095;
	remote_key(&c, IBV_WC_SUCCESS);
	c.shift = 4096;
	remote_key(&c, IBV_WC_REM_ACCESS_ERR);
	c = good;
	c.shift = 1;
	remote_key(&c, IBV_WC_REM_ACCESS_ERR);
	c = good;
	c.stale = true;
	remote_key(&c, IBV_WC_REM_ACCESS_ERR);
	c = good;
	c.other_pd = true;
	remote_key(&c, IBV_WC_REM_ACCESS_ERR);
	c = good;
	c.access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ;
	remote_key(&c, IBV_WC_REM_ACCESS_ERR);
	c = good;
	c.qp_access = IBV_ACCESS_REMOTE_READ;
	remote_key(&c, IBV_WC_REM_ACCESS_ERR);
	c = good;
	c.opcode = IBV_WR_RDMA_READ;
	remote_key(&c, IBV_WC_REM_ACCESS_ERR);
	/* no byte, no key */
	c = good;
	c.stale = true;
	c.length = 0;
	remote_key(&c, IBV_WC_SUCCESS);
}

/* of @a's own memory */
static void local_key(const struct key_case *c, enum ibv_wc_status status)
{
	struct ibv_sge sge = { .length = c->length };
	struct ibv_send_wr wr = { .wr_id = 1,
				  .sg_list = &sge,
				  .num_sge = 1,
				  .opcode = c->opcode,
				  .send_flags = IBV_SEND_SIGNALED };
	struct ibv_send_wr *bad;
	struct ibv_mr *mr;
	struct ibv_pd *pd;
	struct flow_pair p;

	prepare(&p, &rc);
	mr = make_mr(&p.a, c, &pd);
	sge.addr = (uintptr_t)mr->addr + c->shift;
	sge.lkey = c->stale ? mr->lkey ^ 1 : mr->lkey;
	wr.wr.rdma.remote_addr = p.of_b.memory;
	wr.wr.rdma.rkey = p.of_b.rkey;
	assert_int_equal(ibv_post_send(p.a.qp, &wr, &bad), 0);
	if (status == IBV_WC_SUCCESS)
		end_expect(&p.a, 1, status);
	else
		fails(&p, status, false);
	drop_mr(&p.a, mr, pd);
	flow_close(&p);
}

static void local_protection(void **state)
{
	const struct key_case good = { .opcode = IBV_WR_SEND, .length = 64 };
	struct key_case c = good;

	(void)state;
	local_key(&good, IBV_WC_SUCCESS);
	c.shift = 4096 - 63;
	local_key(&c, IBV_WC_LOC_PROT_ERR);
	c = good;
	c.shift = -1;
	local_key(&c, IBV_WC_LOC_PROT_ERR);
	c = good;
	c.stale = true;
	local_key(&c, IBV_WC_LOC_PROT_ERR);
	c = good;
	c.other_pd = true;
	local_key(&c, IBV_WC_LOC_PROT_ERR);
	/* what is read has to be written here */
	c = good;
	c.opcode = IBV_WR_RDMA_READ;
	local_key(&c, IBV_WC_LOC_PROT_ERR);
	c.access = IBV_ACCESS_LOCAL_WRITE;
	local_key(&c, IBV_WC_SUCCESS);
}

/* ---- receives ---- */

static void too_small(void **state)
{
	struct flow_pair p;

	(void)state;
	prepare(&p, &rc);
	assert_int_equal(end_recv(&p.b, 62, 0, 64), 0);
	assert_int_equal(end_send(&p.a, 1, 0, 65), 0);
	end_expect(&p.b, 60, IBV_WC_LOC_LEN_ERR);
	end_expect(&p.b, 62, IBV_WC_WR_FLUSH_ERR);
	end_expect(&p.a, 1, IBV_WC_REM_INV_REQ_ERR);
	end_expect(&p.a, 50, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(end_state(&p.b), IBV_QPS_ERR);
	flow_close(&p);
}

static void bad_receive(void **state)
{
	struct ibv_sge sge = { .length = 64, .lkey = 0x123456 };
	struct ibv_recv_wr wr = { .wr_id = 9, .sg_list = &sge, .num_sge = 1 };
	struct ibv_recv_wr *bad;
	struct flow_pair p;

	(void)state;
	flow_open(&p, &rc);
	sge.addr = (uintptr_t)p.b.memory;
	assert_int_equal(ibv_post_recv(p.b.qp, &wr, &bad), 0);
	assert_int_equal(end_send(&p.a, 1, 0, 1), 0);
	end_expect(&p.a, 1, IBV_WC_REM_OP_ERR);
	end_expect(&p.b, 9, IBV_WC_LOC_PROT_ERR);
	assert_int_equal(end_state(&p.a), IBV_QPS_ERR);
	assert_int_equal(end_state(&p.b), IBV_QPS_ERR);
	flow_close(&p);
}

static void unaligned_atomic(void **state)
{
	struct flow_pair p;

	(void)state;
	prepare(&p, &rc);
	assert_int_equal(end_atomic(&p.a, 1, IBV_WR_ATOMIC_FETCH_AND_ADD,
				    &p.of_b, 4, 1, 0),
			 0);
	fails(&p, IBV_WC_REM_INV_REQ_ERR, true);
	assert_int_equal(end_event(&p.b), IBV_EVENT_QP_REQ_ERR);
	flow_close(&p);
}

static void no_receive(void **state)
{
	const struct flow flow = { .type = IBV_QPT_RC, .rnr_retry = 2 };
	struct flow_pair p;

	(void)state;
	flow_open(&p, &flow);
	assert_int_equal(end_recv(&p.a, 50, 0, 1), 0);
	assert_int_equal(end_send(&p.a, 1, 0, 1), 0);
	fails(&p, IBV_WC_RNR_RETRY_EXC_ERR, false);
	flow_close(&p);
}

/* ---- nobody there ---- */

static void reset(struct end *end)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };

	assert_int_equal(ibv_modify_qp(end->qp, &attr, IBV_QP_STATE), 0);
}

static void no_answer(void **state)
{
	struct flow_pair p;

	(void)state;
	prepare(&p, &rc);
	reset(&p.b);
	assert_int_equal(end_send(&p.a, 1, 0, 1), 0);
	assert_int_equal(end_send(&p.a, 3, 0, 1), 0);
	end_expect(&p.a, 1, IBV_WC_RETRY_EXC_ERR);
	end_expect(&p.a, 50, IBV_WC_WR_FLUSH_ERR);
	end_expect(&p.a, 3, IBV_WC_WR_FLUSH_ERR);
	end_expect_none(&p.b); /* a reset QP has nothing left */
	flow_close(&p);
}

static void closed_peer(void **state)
{
	struct flow_pair p;

	(void)state;
	prepare(&p, &rc);
	assert_int_equal(end_rdma(&p.a, 4, IBV_WR_RDMA_WRITE, 0, 8, &p.of_b, 0),
			 0);
	end_expect(&p.a, 4, IBV_WC_SUCCESS);
	end_close(&p.b);
	assert_int_equal(end_rdma(&p.a, 1, IBV_WR_RDMA_WRITE, 0, 8, &p.of_b, 0),
			 0);
	end_expect(&p.a, 1, IBV_WC_RETRY_EXC_ERR);
	end_expect(&p.a, 50, IBV_WC_WR_FLUSH_ERR);
	end_close(&p.a);
}

/* ready to receive only: that is enough, and is told */
static void established(void **state)
{
	struct address of_a, of_b;
	struct end a, b;

	(void)state;
	end_open(&a, "soft0", &rc);
	end_open(&b, "soft0", &rc);
	end_address(&a, &of_a);
	end_address(&b, &of_b);
	end_connect(&a, &of_b, &rc);
	end_ready(&b, &of_a, &rc);
	assert_int_equal(end_recv(&b, 1, 0, 8), 0);
	assert_int_equal(end_send(&a, 2, 0, 8), 0);
	end_expect(&a, 2, IBV_WC_SUCCESS);
	end_expect(&b, 1, IBV_WC_SUCCESS);
	assert_int_equal(end_event(&b), IBV_EVENT_COMM_EST);
	assert_int_equal(end_send(&b, 3, 0, 8), EINVAL);
	end_start(&b, &rc);
	end_close(&a);
	end_close(&b);
}

/* ---- states ---- */

static void to_error(void **state)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_ERR };
	struct flow_pair p;

	(void)state;
	flow_open(&p, &rc);
	assert_int_equal(end_send(&p.a, 1, 0, 1), 0); /* waits */
	assert_int_equal(end_recv(&p.a, 2, 0, 1), 0);
	assert_int_equal(end_recv(&p.a, 3, 0, 1), 0);
	assert_int_equal(ibv_modify_qp(p.a.qp, &attr, IBV_QP_STATE), 0);
	end_poll(&p.a);
	end_poll(&p.a);
	assert_int_equal(end_poll(&p.a).status, IBV_WC_WR_FLUSH_ERR);
	end_expect_none(&p.a);
	/* nothing of it arrives, now or later */
	assert_int_equal(end_recv(&p.b, 4, 0, 1), 0);
	end_expect_none(&p.b);
	flow_close(&p);
}

static void drained(void **state)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_SQD };
	struct flow_pair p;

	(void)state;
	flow_open(&p, &rc);
	assert_int_equal(end_recv(&p.b, 1, 0, 1), 0);
	assert_int_equal(ibv_modify_qp(p.a.qp, &attr, IBV_QP_STATE), 0);
	assert_int_equal(end_send(&p.a, 2, 0, 1), 0);
	end_expect_none(&p.a);
	end_expect_none(&p.b);
	attr.qp_state = IBV_QPS_RTS;
	assert_int_equal(ibv_modify_qp(p.a.qp, &attr, IBV_QP_STATE), 0);
	end_expect(&p.a, 2, IBV_WC_SUCCESS);
	end_expect(&p.b, 1, IBV_WC_SUCCESS);
	flow_close(&p);
}

static void last_wqe(void **state)
{
	const struct flow flow = { .type = IBV_QPT_RC, .has_srq = true };
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_ERR };
	struct flow_pair p;

	(void)state;
	flow_open(&p, &flow);
	assert_int_equal(end_recv(&p.b, 1, 0, 1), 0);
	assert_int_equal(ibv_modify_qp(p.b.qp, &attr, IBV_QP_STATE), 0);
	assert_int_equal(end_event(&p.b), IBV_EVENT_QP_LAST_WQE_REACHED);
	end_expect_none(&p.b); /* the SRQ's are not flushed */
	flow_close(&p);
}

/* more than the CQ holds: it says so, and is of no more use */
static void overrun(void **state)
{
	const struct flow flow = { .type = IBV_QPT_RC, .cqe = 4 };
	struct flow_pair p;
	int i;

	(void)state;
	flow_open(&p, &flow);
	for (i = 0; i < 5; i++)
		assert_int_equal(end_recv(&p.b, i, 0, 1), 0);
	for (i = 0; i < 5; i++) {
		assert_int_equal(end_send(&p.a, i, 0, 1), 0);
		end_poll(&p.a);
	}
	assert_int_equal(end_event(&p.b), IBV_EVENT_CQ_ERR);
	assert_int_equal(end_event(&p.b), IBV_EVENT_QP_FATAL);
	assert_int_equal(end_state(&p.b), IBV_QPS_ERR);
	flow_close(&p);
}

/* by what it sends itself: the QP is of no more use, the other end's is */
static void own_overrun(void **state)
{
	const struct flow flow = { .type = IBV_QPT_RC, .cqe = 4 };
	struct flow_pair p;
	int i;

	(void)state;
	flow_open(&p, &flow);
	assert_int_equal(end_recv(&p.a, 9, 0, 1), 0);
	for (i = 0; i < 5; i++) {
		assert_int_equal(end_recv(&p.b, i, 0, 1), 0);
		assert_int_equal(end_send(&p.a, i, 0, 1), 0);
		end_poll(&p.b);
	}
	assert_int_equal(end_event(&p.a), IBV_EVENT_CQ_ERR);
	assert_int_equal(end_event(&p.a), IBV_EVENT_QP_FATAL);
	assert_int_equal(end_state(&p.a), IBV_QPS_ERR);
	assert_int_equal(end_state(&p.b), IBV_QPS_RTS);
	/* said once */
	assert_int_equal(end_send(&p.a, 6, 0, 1), 0);
	flow_close(&p);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(remote_access), TEST(local_protection), TEST(too_small),
		TEST(bad_receive),   TEST(unaligned_atomic), TEST(no_receive),
		TEST(no_answer),     TEST(closed_peer),	     TEST(established),
		TEST(to_error),	     TEST(drained),	     TEST(last_wqe),
		TEST(overrun),	     TEST(own_overrun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
