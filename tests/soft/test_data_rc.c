// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What goes from one RC QP to another, in one process, and how it completes. */
#include <string.h>

#include "flow.h"

static const struct flow rc = { .type = IBV_QPT_RC, .inline_data = 256 };

static void sends(void **state)
{
	static const uint32_t lengths[] = { 0, 1, 7, 4096, 65537, 1 << 20 };
	struct ibv_wc wc;
	struct flow_pair p;
	unsigned int i;

	(void)state;
	flow_open(&p, &rc);
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		fill_memory(p.a.memory + 3, lengths[i], i);
		memset(p.b.memory, 0, FLOW_SIZE);
		assert_int_equal(end_recv(&p.b, 2 * i, 5, lengths[i]), 0);
		assert_int_equal(end_send(&p.a, 2 * i + 1, 3, lengths[i]), 0);
		end_expect(&p.a, 2 * i + 1, IBV_WC_SUCCESS);
		wc = end_poll(&p.b);
		assert_int_equal(wc.status, IBV_WC_SUCCESS);
		assert_int_equal(wc.wr_id, 2 * i);
		assert_int_equal(wc.opcode, IBV_WC_RECV);
		assert_int_equal(wc.byte_len, lengths[i]);
		assert_int_equal(wc.wc_flags, 0);
		assert_true(is_filled(p.b.memory + 5, lengths[i], i));
		/* not a byte more */
		assert_int_equal(p.b.memory[5 + lengths[i]], 0);
		assert_int_equal(p.b.memory[4], 0);
	}
	flow_close(&p);
}

/* three pieces here, two of other sizes there */
static void scatter(void **state)
{
	struct ibv_sge from[3], to[2];
	struct ibv_send_wr send = { .sg_list = from,
				    .num_sge = 3,
				    .opcode = IBV_WR_SEND,
				    .send_flags = IBV_SEND_SIGNALED };
	struct ibv_recv_wr recv = { .sg_list = to, .num_sge = 2 };
	struct ibv_send_wr *bad_send;
	struct ibv_recv_wr *bad_recv;
	struct flow_pair p;

	(void)state;
	flow_open(&p, &rc);
	fill_memory(p.a.memory, 600, 9);
	from[0] = (struct ibv_sge){ (uintptr_t)p.a.memory, 100, p.a.mr->lkey };
	from[1] = (struct ibv_sge){ (uintptr_t)p.a.memory + 100, 0, 0 };
	from[2] = (struct ibv_sge){ (uintptr_t)p.a.memory + 100, 500,
				    p.a.mr->lkey };
	to[0] = (struct ibv_sge){ (uintptr_t)p.b.memory + 1, 333,
				  p.b.mr->lkey };
	to[1] = (struct ibv_sge){ (uintptr_t)p.b.memory + 1000, 333,
				  p.b.mr->lkey };
	assert_int_equal(ibv_post_recv(p.b.qp, &recv, &bad_recv), 0);
	assert_int_equal(ibv_post_send(p.a.qp, &send, &bad_send), 0);
	end_expect(&p.a, 0, IBV_WC_SUCCESS);
	assert_int_equal(end_poll(&p.b).byte_len, 600);
	assert_memory_equal(p.b.memory + 1, p.a.memory, 333);
	assert_memory_equal(p.b.memory + 1000, p.a.memory + 333, 267);
	assert_int_equal(p.b.memory[1267], 0);
	flow_close(&p);
}

static void immediate(void **state)
{
	struct ibv_sge sge = {};
	struct ibv_send_wr wr = { .wr_id = 7,
				  .sg_list = &sge,
				  .num_sge = 1,
				  .opcode = IBV_WR_SEND_WITH_IMM,
				  .send_flags = IBV_SEND_SIGNALED,
				  .imm_data = 0x12345678 };
	struct ibv_send_wr *bad;
	struct ibv_wc wc;
	struct flow_pair p;

	(void)state;
	flow_open(&p, &rc);
	sge = (struct ibv_sge){ (uintptr_t)p.a.memory, 10, p.a.mr->lkey };
	assert_int_equal(end_recv(&p.b, 1, 0, 100), 0);
	assert_int_equal(ibv_post_send(p.a.qp, &wr, &bad), 0);
	end_expect(&p.a, 7, IBV_WC_SUCCESS);
	wc = end_poll(&p.b);
	assert_int_equal(wc.opcode, IBV_WC_RECV);
	assert_int_equal(wc.wc_flags, IBV_WC_WITH_IMM);
	assert_int_equal(wc.imm_data, 0x12345678);
	wr.opcode = IBV_WR_RDMA_WRITE_WITH_IMM;
	wr.imm_data = 99;
	wr.wr.rdma.remote_addr = p.of_b.memory + 50;
	wr.wr.rdma.rkey = p.of_b.rkey;
	fill_memory(p.a.memory, 10, 3);
	assert_int_equal(end_recv(&p.b, 2, 0, 0), 0);
	assert_int_equal(ibv_post_send(p.a.qp, &wr, &bad), 0);
	end_expect(&p.a, 7, IBV_WC_SUCCESS);
	wc = end_poll(&p.b);
	assert_int_equal(wc.wr_id, 2);
	assert_int_equal(wc.opcode, IBV_WC_RECV_RDMA_WITH_IMM);
	assert_int_equal(wc.imm_data, 99);
	assert_int_equal(wc.byte_len, 10);
	assert_true(is_filled(p.b.memory + 50, 10, 3));
	flow_close(&p);
}

static void one_sided(void **state)
{
	struct ibv_wc wc;
	struct flow_pair p;

	(void)state;
	flow_open(&p, &rc);
	fill_memory(p.a.memory, 1 << 20, 1);
	assert_int_equal(end_rdma(&p.a, 1, IBV_WR_RDMA_WRITE, 0, 1 << 20,
				  &p.of_b, 11),
			 0);
	wc = end_poll(&p.a);
	assert_int_equal(wc.opcode, IBV_WC_RDMA_WRITE);
	assert_int_equal(wc.status, IBV_WC_SUCCESS);
	assert_true(is_filled(p.b.memory + 11, 1 << 20, 1));
	memset(p.a.memory, 0, FLOW_SIZE);
	assert_int_equal(end_rdma(&p.a, 2, IBV_WR_RDMA_READ, 5, 1 << 20,
				  &p.of_b, 11),
			 0);
	wc = end_poll(&p.a);
	assert_int_equal(wc.opcode, IBV_WC_RDMA_READ);
	assert_int_equal(wc.byte_len, 1 << 20);
	assert_true(is_filled(p.a.memory + 5, 1 << 20, 1));
	/* nothing of it is told at the other side */
	end_expect_none(&p.b);
	flow_close(&p);
}

static void atomics(void **state)
{
	struct flow_pair p;
	uint64_t *there, *old;

	(void)state;
	flow_open(&p, &rc);
	there = (uint64_t *)(p.b.memory + 64);
	old = (uint64_t *)p.a.memory;
	*there = 5;
	assert_int_equal(end_atomic(&p.a, 1, IBV_WR_ATOMIC_FETCH_AND_ADD,
				    &p.of_b, 64, 3, 0),
			 0);
	assert_int_equal(end_poll(&p.a).opcode, IBV_WC_FETCH_ADD);
	assert_int_equal(*old, 5);
	assert_int_equal(*there, 8);
	assert_int_equal(end_atomic(&p.a, 2, IBV_WR_ATOMIC_CMP_AND_SWP, &p.of_b,
				    64, 7, 100),
			 0);
	assert_int_equal(end_poll(&p.a).opcode, IBV_WC_COMP_SWAP);
	assert_int_equal(*old, 8);
	assert_int_equal(*there, 8);
	assert_int_equal(end_atomic(&p.a, 3, IBV_WR_ATOMIC_CMP_AND_SWP, &p.of_b,
				    64, 8, 100),
			 0);
	end_expect(&p.a, 3, IBV_WC_SUCCESS);
	assert_int_equal(*there, 100);
	flow_close(&p);
}

/* the buffer is free again when the call returns, and needs no key */
static void inline_data(void **state)
{
	char text[] = "inline";
	struct ibv_sge sge = { (uintptr_t)text, sizeof(text), 0 };
	struct ibv_send_wr wr = { .sg_list = &sge,
				  .num_sge = 1,
				  .opcode = IBV_WR_SEND,
				  .send_flags =
					  IBV_SEND_SIGNALED | IBV_SEND_INLINE };
	struct ibv_send_wr *bad;
	struct flow_pair p;

	(void)state;
	flow_open(&p, &rc);
	/* it has to wait for a receive */
	assert_int_equal(ibv_post_send(p.a.qp, &wr, &bad), 0);
	memset(text, 'x', sizeof(text));
	end_expect_none(&p.a);
	assert_int_equal(end_recv(&p.b, 0, 0, 100), 0);
	end_expect(&p.a, 0, IBV_WC_SUCCESS);
	end_expect(&p.b, 0, IBV_WC_SUCCESS);
	assert_string_equal(p.b.memory, "inline");
	sge.length = 257;
	assert_int_equal(ibv_post_send(p.a.qp, &wr, &bad), EINVAL);
	assert_ptr_equal(bad, &wr);
	flow_close(&p);
}

/* a slot is free when a completion behind it was polled */
static void full(void **state)
{
	const struct flow flow = { .type = IBV_QPT_RC, .depth = 4 };
	struct ibv_send_wr wr = { .opcode = IBV_WR_RDMA_WRITE };
	struct ibv_send_wr *bad;
	struct flow_pair p;
	int i;

	(void)state;
	flow_open(&p, &flow);
	for (i = 0; i < 3; i++)
		assert_int_equal(ibv_post_send(p.a.qp, &wr, &bad), 0);
	end_expect_none(&p.a);
	wr.send_flags = IBV_SEND_SIGNALED;
	wr.wr_id = 1;
	assert_int_equal(ibv_post_send(p.a.qp, &wr, &bad), 0);
	assert_int_equal(ibv_post_send(p.a.qp, &wr, &bad), ENOMEM);
	assert_ptr_equal(bad, &wr);
	end_expect(&p.a, 1, IBV_WC_SUCCESS);
	for (i = 0; i < 4; i++)
		assert_int_equal(ibv_post_send(p.a.qp, &wr, &bad), 0);
	assert_int_equal(ibv_post_send(p.a.qp, &wr, &bad), ENOMEM);
	for (i = 0; i < 4; i++)
		assert_int_equal(end_recv(&p.b, i, 0, 1), 0);
	assert_int_equal(end_recv(&p.b, 4, 0, 1), ENOMEM);
	flow_close(&p);
}

/* all at once, and in order */
static void in_order(void **state)
{
	const struct flow flow = { .type = IBV_QPT_RC,
				   .depth = 512,
				   .sig_all = true };
	struct flow_pair p;
	uint32_t i;

	(void)state;
	flow_open(&p, &flow);
	for (i = 0; i < 500; i++)
		assert_int_equal(end_recv(&p.b, i, i * 8, 8), 0);
	for (i = 0; i < 500; i++) {
		memcpy(p.a.memory + i * 8, &i, sizeof(i));
		assert_int_equal(end_send(&p.a, i, i * 8, 8), 0);
	}
	for (i = 0; i < 500; i++) {
		end_expect(&p.a, i, IBV_WC_SUCCESS);
		end_expect(&p.b, i, IBV_WC_SUCCESS);
		assert_memory_equal(p.b.memory + i * 8, &i, sizeof(i));
	}
	flow_close(&p);
}

/* RNR: it waits without its owner polling, and goes when there is a receive */
static void waits_for_receive(void **state)
{
	struct flow_pair p;

	(void)state;
	flow_open(&p, &rc);
	fill_memory(p.a.memory, 100, 4);
	assert_int_equal(end_send(&p.a, 1, 0, 100), 0);
	assert_int_equal(end_send(&p.a, 2, 0, 50), 0);
	assert_int_equal(end_recv(&p.b, 3, 0, 100), 0);
	assert_int_equal(end_recv(&p.b, 4, 200, 100), 0);
	end_expect(&p.b, 3, IBV_WC_SUCCESS);
	end_expect(&p.b, 4, IBV_WC_SUCCESS);
	assert_true(is_filled(p.b.memory + 200, 50, 4));
	end_expect(&p.a, 1, IBV_WC_SUCCESS);
	end_expect(&p.a, 2, IBV_WC_SUCCESS);
	flow_close(&p);
}

/* to a QP of the same context, even to itself */
static void loop(void **state)
{
	struct address self;
	struct end end;

	(void)state;
	end_open(&end, "soft0", &rc);
	end_address(&end, &self);
	end_connect(&end, &self, &rc);
	fill_memory(end.memory, 64, 8);
	assert_int_equal(end_recv(&end, 1, 100, 64), 0);
	assert_int_equal(end_send(&end, 2, 0, 64), 0);
	end_poll(&end);
	end_poll(&end);
	assert_true(is_filled(end.memory + 100, 64, 8));
	end_close(&end);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sends),	 TEST(scatter),	 TEST(immediate),
		TEST(one_sided), TEST(atomics),	 TEST(inline_data),
		TEST(full),	 TEST(in_order), TEST(waits_for_receive),
		TEST(loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
