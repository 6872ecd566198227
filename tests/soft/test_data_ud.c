// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Datagrams, multicast, and UC: where nobody answers. */
#include <string.h>

#include "flow.h"

#define GRH  40
#define QKEY 0x1234

static const struct flow ud = { .type = IBV_QPT_UD };
static const struct flow uc = { .type = IBV_QPT_UC };

struct pair {
	struct end a, b;
	struct address of_a, of_b;
	struct ibv_ah *ah; /* @a's, to @b */
};

static struct ibv_ah *make_ah(struct end *end, const union ibv_gid *to)
{
	struct ibv_ah_attr attr = { .is_global = 1, .port_num = 1 };
	struct ibv_ah *ah;

	attr.grh.dgid = *to;
	ah = ibv_create_ah(end->pd, &attr);
	assert_non_null(ah);
	return ah;
}

static void open_pair(struct pair *p, const struct flow *flow)
{
	end_open(&p->a, "soft0", flow);
	end_open(&p->b, "soft0", flow);
	flow_connect(&p->a, &p->b, flow);
	end_address(&p->a, &p->of_a);
	end_address(&p->b, &p->of_b);
	p->ah = make_ah(&p->a, &p->of_b.gid);
}

static void close_pair(struct pair *p)
{
	assert_int_equal(ibv_destroy_ah(p->ah), 0);
	end_close(&p->a);
	end_close(&p->b);
}

struct datagram {
	struct ibv_ah *ah;
	uint32_t qpn, qkey, length;
	bool has_imm;
};

static void send_to(struct end *end, uint64_t id, const struct datagram *d)
{
	struct ibv_sge sge = { (uintptr_t)end->memory, d->length,
			       end->mr->lkey };
	struct ibv_send_wr wr = {
		.wr_id = id,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = d->has_imm ? IBV_WR_SEND_WITH_IMM : IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
		.imm_data = 77,
		.wr.ud = { d->ah, d->qpn, d->qkey },
	};
	struct ibv_send_wr *bad;

	assert_int_equal(ibv_post_send(end->qp, &wr, &bad), 0);
}

static void datagrams(void **state)
{
	struct datagram d = { .qkey = QKEY, .length = 1000, .has_imm = true };
	const struct ibv_grh *grh;
	struct ibv_wc wc;
	struct pair p;

	(void)state;
	open_pair(&p, &ud);
	d.ah = p.ah;
	d.qpn = p.of_b.qpn;
	fill_memory(p.a.memory, 1000, 5);
	assert_int_equal(end_recv(&p.b, 1, 0, 2000), 0);
	send_to(&p.a, 2, &d);
	end_expect(&p.a, 2, IBV_WC_SUCCESS);
	wc = end_poll(&p.b);
	assert_int_equal(wc.status, IBV_WC_SUCCESS);
	assert_int_equal(wc.byte_len, 1000 + GRH);
	assert_int_equal(wc.src_qp, p.of_a.qpn);
	assert_int_equal(wc.wc_flags, IBV_WC_GRH | IBV_WC_WITH_IMM);
	assert_int_equal(wc.imm_data, 77);
	assert_true(is_filled(p.b.memory + GRH, 1000, 5));
	grh = (const struct ibv_grh *)p.b.memory;
	assert_memory_equal(&grh->sgid, &p.of_a.gid, sizeof(grh->sgid));
	assert_memory_equal(&grh->dgid, &p.of_b.gid, sizeof(grh->dgid));
	close_pair(&p);
}

/* back to who sent it, by what came with it */
static void answer(void **state)
{
	struct datagram d = { .qkey = QKEY, .length = 10 };
	struct ibv_ah_attr attr;
	struct ibv_ah *ah;
	struct ibv_wc wc;
	struct pair p;

	(void)state;
	open_pair(&p, &ud);
	d.ah = p.ah;
	d.qpn = p.of_b.qpn;
	assert_int_equal(end_recv(&p.b, 1, 0, 100), 0);
	assert_int_equal(end_recv(&p.a, 2, 0, 100), 0);
	send_to(&p.a, 3, &d);
	end_expect(&p.a, 3, IBV_WC_SUCCESS);
	wc = end_poll(&p.b);
	assert_int_equal(ibv_init_ah_from_wc(p.b.context, 1, &wc,
					     (struct ibv_grh *)p.b.memory,
					     &attr),
			 0);
	assert_int_equal(attr.is_global, 1);
	assert_memory_equal(&attr.grh.dgid, &p.of_a.gid, 16);
	ah = ibv_create_ah_from_wc(p.b.pd, &wc, (struct ibv_grh *)p.b.memory,
				   1);
	assert_non_null(ah);
	d.ah = ah;
	d.qpn = wc.src_qp;
	send_to(&p.b, 4, &d);
	end_expect(&p.b, 4, IBV_WC_SUCCESS);
	end_expect(&p.a, 2, IBV_WC_SUCCESS);
	assert_int_equal(ibv_destroy_ah(ah), 0);
	close_pair(&p);
}

/* the sender never knows, and the receive is there for the next one */
static void lost(void **state)
{
	struct datagram d = { .qkey = QKEY, .length = 10 };
	struct pair p;

	(void)state;
	open_pair(&p, &ud);
	d.ah = p.ah;
	d.qpn = p.of_b.qpn;
	send_to(&p.a, 1, &d); /* no receive */
	end_expect(&p.a, 1, IBV_WC_SUCCESS);
	assert_int_equal(end_recv(&p.b, 9, 0, GRH + 10), 0);
	d.qkey = QKEY + 1;
	send_to(&p.a, 2, &d);
	end_expect(&p.a, 2, IBV_WC_SUCCESS);
	d.qkey = QKEY;
	d.qpn = 0xabcdef;
	send_to(&p.a, 3, &d);
	end_expect(&p.a, 3, IBV_WC_SUCCESS);
	d.qpn = p.of_b.qpn;
	d.length = 11; /* too long for it */
	send_to(&p.a, 4, &d);
	end_expect(&p.a, 4, IBV_WC_SUCCESS);
	end_expect_none(&p.b);
	d.length = 10;
	send_to(&p.a, 5, &d);
	end_expect(&p.a, 5, IBV_WC_SUCCESS);
	end_expect(&p.b, 9, IBV_WC_SUCCESS);
	assert_int_equal(end_state(&p.b), IBV_QPS_RTS);
	close_pair(&p);
}

/* the path carries 1,024 bytes: what is longer is an error at home */
static void too_long(void **state)
{
	struct datagram d = { .qkey = QKEY, .length = 1025 };
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTS };
	struct pair p;

	(void)state;
	open_pair(&p, &ud);
	d.ah = p.ah;
	d.qpn = p.of_b.qpn;
	send_to(&p.a, 1, &d);
	end_expect(&p.a, 1, IBV_WC_LOC_LEN_ERR);
	assert_int_equal(end_state(&p.a), IBV_QPS_SQE);
	assert_int_equal(ibv_modify_qp(p.a.qp, &attr, IBV_QP_STATE), 0);
	assert_int_equal(end_recv(&p.b, 2, 0, 2000), 0);
	d.length = 1024;
	send_to(&p.a, 3, &d);
	end_expect(&p.a, 3, IBV_WC_SUCCESS);
	end_expect(&p.b, 2, IBV_WC_SUCCESS);
	close_pair(&p);
}

static void multicast(void **state)
{
	struct datagram d = { .qpn = 0xffffff, .qkey = QKEY, .length = 20 };
	union ibv_gid group = { .raw = { 0xff, 0x0e, 1, 2, 3 } };
	struct pair p;

	(void)state;
	open_pair(&p, &ud);
	assert_int_equal(ibv_attach_mcast(p.b.qp, &p.of_a.gid, 0), EINVAL);
	assert_int_equal(ibv_detach_mcast(p.b.qp, &group, 0), EINVAL);
	assert_int_equal(ibv_attach_mcast(p.b.qp, &group, 0), 0);
	assert_int_equal(ibv_attach_mcast(p.a.qp, &group, 0), 0);
	d.ah = make_ah(&p.a, &group);
	fill_memory(p.a.memory, 20, 6);
	assert_int_equal(end_recv(&p.b, 1, 0, 100), 0);
	assert_int_equal(end_recv(&p.a, 2, 1000, 100), 0);
	send_to(&p.a, 3, &d);
	end_poll(&p.a);
	end_poll(&p.a);
	end_expect(&p.b, 1, IBV_WC_SUCCESS);
	assert_true(is_filled(p.b.memory + GRH, 20, 6));
	assert_true(is_filled(p.a.memory + 1000 + GRH, 20, 6));
	assert_int_equal(ibv_detach_mcast(p.b.qp, &group, 0), 0);
	assert_int_equal(end_recv(&p.b, 4, 0, 100), 0);
	send_to(&p.a, 5, &d);
	end_expect(&p.a, 5, IBV_WC_SUCCESS);
	end_expect_none(&p.b);
	assert_int_equal(ibv_destroy_ah(d.ah), 0);
	close_pair(&p);
}

/* ---- UC ---- */

static void unreliable(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p, &uc);
	assert_int_equal(end_send(&p.a, 1, 0, 10), 0); /* no receive */
	end_expect(&p.a, 1, IBV_WC_SUCCESS);
	assert_int_equal(end_recv(&p.b, 2, 100, 10), 0);
	fill_memory(p.a.memory, 10, 2);
	assert_int_equal(end_send(&p.a, 3, 0, 10), 0);
	end_expect(&p.a, 3, IBV_WC_SUCCESS);
	end_expect(&p.b, 2, IBV_WC_SUCCESS);
	assert_true(is_filled(p.b.memory + 100, 10, 2));
	assert_int_equal(
		end_rdma(&p.a, 4, IBV_WR_RDMA_WRITE, 0, 10, &p.of_b, 500), 0);
	end_expect(&p.a, 4, IBV_WC_SUCCESS);
	assert_true(is_filled(p.b.memory + 500, 10, 2));
	/* one that is refused is lost */
	p.of_b.rkey ^= 1;
	assert_int_equal(
		end_rdma(&p.a, 5, IBV_WR_RDMA_WRITE, 0, 10, &p.of_b, 600), 0);
	end_expect(&p.a, 5, IBV_WC_SUCCESS);
	assert_int_equal(p.b.memory[601], 0);
	assert_int_equal(end_state(&p.b), IBV_QPS_RTS);
	assert_int_equal(end_rdma(&p.a, 6, IBV_WR_RDMA_READ, 0, 10, &p.of_b, 0),
			 EINVAL);
	close_pair(&p);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(datagrams), TEST(answer),	  TEST(lost),
		TEST(too_long),	 TEST(multicast), TEST(unreliable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
