// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Verbs that softverbs does not have, those that no other test calls: the answer
 * is EOPNOTSUPP, and none is a call of NULL. Run with libibverbs and once more
 * with one that gives contexts nothing of its own (fake_verbs.c).
 */
#include <string.h>

#include "soft_test.h"

struct mine {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
};

static void make(struct soft_test *test, struct mine *m)
{
	struct ibv_qp_init_attr init = { .qp_type = IBV_QPT_RC };

	m->context = test->context;
	m->pd = ibv_alloc_pd(m->context);
	m->cq = ibv_create_cq(m->context, 1, NULL, NULL, 0);
	init.send_cq = init.recv_cq = m->cq;
	m->qp = ibv_create_qp(m->pd, &init);
	assert_non_null(m->qp);
}

static void unmake(struct mine *m)
{
	assert_int_equal(ibv_destroy_qp(m->qp), 0);
	assert_int_equal(ibv_destroy_cq(m->cq), 0);
	assert_int_equal(ibv_dealloc_pd(m->pd), 0);
}

static void memory(void **state)
{
	struct mine m;
	struct ibv_dm dm = {};

	make(*state, &m);
	dm.context = m.context;
	assert_error(ibv_reg_dm_mr(m.pd, &dm, 0, 1, IBV_ACCESS_ZERO_BASED),
		     EOPNOTSUPP);
	assert_int_equal(ibv_free_dm(&dm), EOPNOTSUPP);
	assert_error(ibv_reg_dmabuf_mr(m.pd, 0, 1, 0, 0, 0), EOPNOTSUPP);
	assert_error(ibv_alloc_null_mr(m.pd), EOPNOTSUPP);
	unmake(&m);
}

static void sharing(void **state)
{
	struct soft_test *test = *state;
	struct ibv_xrcd xrcd = {};
	struct ibv_dm dm = {};
	struct mine m;

	make(test, &m);
	dm.context = xrcd.context = m.context;
	assert_error(ibv_import_dm(m.context, 0), EOPNOTSUPP);
	ibv_unimport_dm(&dm);
	assert_int_equal(ibv_close_xrcd(&xrcd), EOPNOTSUPP);
	unmake(&m);
}

static void flows(void **state)
{
	struct ibv_flow_action_esp_attr esp = {};
	struct ibv_counter_attach_attr attach = {};
	struct ibv_rwq_ind_table table = {};
	struct ibv_flow_action action = {};
	struct ibv_counters counters = {};
	struct ibv_flow flow = {};
	uint64_t value;
	struct mine m;

	make(*state, &m);
	table.context = action.context = counters.context = flow.context =
		m.context;
	assert_int_equal(ibv_destroy_flow(&flow), EOPNOTSUPP);
	assert_int_equal(ibv_destroy_flow_action(&action), EOPNOTSUPP);
	assert_int_equal(ibv_modify_flow_action_esp(&action, &esp), EOPNOTSUPP);
	assert_int_equal(ibv_destroy_rwq_ind_table(&table), EOPNOTSUPP);
	assert_int_equal(ibv_destroy_counters(&counters), EOPNOTSUPP);
	assert_int_equal(ibv_read_counters(&counters, &value, 1, 0),
			 EOPNOTSUPP);
	assert_int_equal(ibv_attach_counters_point_flow(&counters, &attach,
							&flow),
			 EOPNOTSUPP);
	unmake(&m);
}

/* it needs a port's neighbours */
static void addresses(void **state)
{
	struct ibv_ah_attr attr = { .port_num = 1 };
	uint8_t mac[ETHERNET_LL_SIZE];
	uint16_t vid;
	struct mine m;

	make(*state, &m);
	assert_int_equal(ibv_resolve_eth_l2_from_gid(m.context, &attr, mac,
						     &vid),
			 EOPNOTSUPP);
	unmake(&m);
}

static void extended(void **state)
{
	struct ibv_qp_init_attr_ex init = {
		.qp_type = IBV_QPT_RC,
		.comp_mask =
			IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.send_ops_flags = IBV_QP_EX_WITH_TSO,
	};
	struct ibv_modify_cq_attr modify = {};
	struct mine m;

	make(*state, &m);
	init.pd = m.pd;
	init.send_cq = init.recv_cq = m.cq;
	assert_error(ibv_create_qp_ex(m.context, &init), EOPNOTSUPP);
	assert_null(ibv_qp_to_qp_ex(m.qp));
	assert_int_equal(ibv_modify_cq(m.cq, &modify), EOPNOTSUPP);
	unmake(&m);
}

/* nothing has completed */
static void polling(void **state)
{
	struct soft_test *test = *state;
	struct ibv_cq_init_attr_ex attr = { .cqe = 1,
					    .wc_flags = IBV_WC_STANDARD_FLAGS };
	struct ibv_poll_cq_attr poll = {};
	struct ibv_cq_ex *cq = ibv_create_cq_ex(test->context, &attr);
	struct ibv_wc wc;

	assert_non_null(cq);
	assert_int_equal(ibv_poll_cq(ibv_cq_ex_to_cq(cq), 1, &wc), 0);
	assert_int_equal(ibv_start_poll(cq, &poll), ENOENT);
	poll.comp_mask = 1;
	assert_int_equal(ibv_start_poll(cq, &poll), EINVAL);
	assert_int_equal(ibv_destroy_cq(ibv_cq_ex_to_cq(cq)), 0);
	attr.wc_flags = IBV_WC_EX_WITH_FLOW_TAG;
	assert_error(ibv_create_cq_ex(test->context, &attr), EOPNOTSUPP);
}

/* a fault and the end of the device reach them, too */
static void failing(void **state)
{
	struct soft_test *test = *state;
	struct ibv_send_wr send = {}, *bad = NULL;
	struct mine m;

	make(test, &m);
	assert_int_equal(softverbs_set_fault(test->sv, "soft0",
					     "post_send=ENOMEM:1 "
					     "alloc_mw=EAGAIN"),
			 0);
	assert_int_equal(ibv_post_send(m.qp, &send, &bad), ENOMEM);
	assert_ptr_equal(bad, &send);
	assert_int_equal(ibv_post_send(m.qp, &send, &bad), EINVAL);
	assert_error(ibv_alloc_mw(m.pd, IBV_MW_TYPE_1), EAGAIN);
	assert_int_equal(softverbs_remove_device(test->sv, "soft0", -1), 0);
	assert_error(ibv_alloc_mw(m.pd, IBV_MW_TYPE_1), EIO);
	assert_int_equal(ibv_post_send(m.qp, &send, &bad), EIO);
	unmake(&m);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(memory),
		TEST(sharing),
		TEST(flows),
		TEST(addresses),
		TEST(extended),
		TEST(polling),
		cmocka_unit_test_setup_teardown(failing, soft_setup_fatal,
						soft_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
