// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Objects of a softverbs device: numbers, limits, who needs whom. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "soft_test.h"

static char buffer[8192];

static void pd_and_mr(void **state)
{
	struct soft_test *test = *state;
	struct ibv_pd *pd = ibv_alloc_pd(test->context), *other;
	struct ibv_mr *mr, *mr2;

	assert_non_null(pd);
	assert_ptr_equal(pd->context, test->context);
	mr = ibv_reg_mr(pd, buffer, sizeof(buffer),
			IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	assert_non_null(mr);
	assert_ptr_equal(mr->addr, buffer);
	assert_int_equal(mr->length, sizeof(buffer));
	assert_ptr_equal(mr->pd, pd);
	mr2 = ibv_reg_mr_iova(pd, buffer, 1, 0x1000, 0);
	assert_non_null(mr2);
	assert_int_not_equal(mr->lkey, mr2->lkey);
	assert_int_equal(ibv_dealloc_pd(pd), EBUSY);

	other = ibv_alloc_pd(test->context);
	assert_int_not_equal(other->handle, pd->handle);
	assert_int_equal(
		ibv_rereg_mr(mr, IBV_REREG_MR_CHANGE_PD, other, NULL, 0, 0), 0);
	assert_ptr_equal(mr->pd, other);
	assert_int_equal(ibv_rereg_mr(mr, 1 << 5, NULL, NULL, 0, 0),
			 IBV_REREG_MR_ERR_INPUT);
	assert_int_equal(ibv_dereg_mr(mr2), 0);
	assert_int_equal(ibv_dealloc_pd(pd), 0);
	assert_int_equal(ibv_dealloc_pd(other), EBUSY);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	assert_int_equal(ibv_dealloc_pd(other), 0);
}

static void bad_mr(void **state)
{
	struct soft_test *test = *state;
	struct ibv_pd *pd = ibv_alloc_pd(test->context);
	void *gone =
		mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* hidden from the macro that picks another function for constants */
	volatile int access;

	access = IBV_ACCESS_REMOTE_WRITE;
	assert_error(ibv_reg_mr(pd, buffer, 1, access), EINVAL);
	access = IBV_ACCESS_REMOTE_ATOMIC;
	assert_error(ibv_reg_mr(pd, buffer, 1, access), EINVAL);
	access = 1 << 15;
	assert_error(ibv_reg_mr(pd, buffer, 1, access), EINVAL);
	/* nothing is pinned: memory may come later */
	access = IBV_ACCESS_ON_DEMAND;
	assert_int_equal(ibv_dereg_mr(ibv_reg_mr(pd, buffer, 1, access)), 0);
	access = IBV_ACCESS_RELAXED_ORDERING;
	assert_int_equal(ibv_dereg_mr(ibv_reg_mr(pd, buffer, 1, access)), 0);
	assert_error(ibv_reg_mr(pd, buffer, 0, 0), EINVAL);
	assert_error(ibv_reg_mr(pd, buffer, (size_t)-1, 0), EINVAL);
	munmap(gone, 4096);
	assert_error(ibv_reg_mr(pd, gone, 4096, 0), EFAULT);
	assert_error(ibv_reg_dmabuf_mr(pd, 0, 4096, 0, 0, 0), EOPNOTSUPP);
	assert_int_equal(ibv_dealloc_pd(pd), 0);
}

static void cq_and_channel(void **state)
{
	struct soft_test *test = *state;
	struct ibv_comp_channel *channel =
		ibv_create_comp_channel(test->context);
	struct ibv_cq *cq, *got;
	struct ibv_wc wc;
	void *context;

	assert_non_null(channel);
	assert_error(ibv_create_cq(test->context, 0, NULL, NULL, 0), EINVAL);
	assert_error(ibv_create_cq(test->context, -1, NULL, NULL, 0), EINVAL);
	assert_error(ibv_create_cq(test->context, 1 << 30, NULL, NULL, 0),
		     EINVAL);
	assert_error(ibv_create_cq(test->context, 1, NULL, NULL, 99), EINVAL);
	cq = ibv_create_cq(test->context, 10, buffer, channel, 0);
	assert_non_null(cq);
	assert_true(cq->cqe >= 10);
	assert_ptr_equal(cq->cq_context, buffer);
	assert_int_equal(ibv_destroy_comp_channel(channel), EBUSY);
	assert_int_equal(ibv_req_notify_cq(cq, 0), 0);
	assert_int_equal(ibv_poll_cq(cq, 1, &wc), 0);
	assert_int_equal(ibv_resize_cq(cq, 100), 0);
	assert_int_equal(ibv_resize_cq(cq, 0), EINVAL);
	fcntl(channel->fd, F_SETFL, O_NONBLOCK);
	assert_int_equal(ibv_get_cq_event(channel, &got, &context), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(ibv_destroy_cq(cq), 0);
	assert_int_equal(ibv_destroy_comp_channel(channel), 0);
}

static void cq_ex(void **state)
{
	struct soft_test *test = *state;
	struct ibv_cq_init_attr_ex attr = {
		.cqe = 16,
		.wc_flags = IBV_WC_EX_WITH_BYTE_LEN,
	};
	struct ibv_poll_cq_attr poll = {};
	struct ibv_cq_ex *cq = ibv_create_cq_ex(test->context, &attr);

	assert_non_null(cq);
	assert_int_equal(ibv_start_poll(cq, &poll), ENOENT);
	assert_int_equal(ibv_destroy_cq(ibv_cq_ex_to_cq(cq)), 0);
	attr.wc_flags = IBV_WC_EX_WITH_CVLAN;
	assert_error(ibv_create_cq_ex(test->context, &attr), EOPNOTSUPP);
}

static void qp_and_users(void **state)
{
	struct soft_test *test = *state;
	struct ibv_context *other = soft_open("soft0");
	struct ibv_pd *pd = ibv_alloc_pd(test->context);
	struct ibv_cq *cq = ibv_create_cq(test->context, 1, NULL, NULL, 0);
	struct ibv_cq *foreign = ibv_create_cq(other, 1, NULL, NULL, 0);
	struct ibv_srq_init_attr srq_init = { .attr = { .max_wr = 8 } };
	struct ibv_srq *srq = ibv_create_srq(pd, &srq_init);
	struct ibv_qp_init_attr init = {
		.send_cq = cq,
		.recv_cq = cq,
		.srq = srq,
		.cap = { .max_send_wr = 4, .max_recv_wr = 9 },
		.qp_type = IBV_QPT_RC,
	};
	struct ibv_qp *qp = ibv_create_qp(pd, &init), *qp2;

	assert_non_null(qp);
	assert_int_equal(init.cap.max_recv_wr, 0);
	assert_int_equal(qp->state, IBV_QPS_RESET);
	assert_null(ibv_qp_to_qp_ex(qp));
	assert_int_equal(ibv_dealloc_pd(pd), EBUSY);
	assert_int_equal(ibv_destroy_cq(cq), EBUSY);
	assert_int_equal(ibv_destroy_srq(srq), EBUSY);
	qp2 = ibv_create_qp(pd, &init);
	assert_int_not_equal(qp->qp_num, qp2->qp_num);
	assert_int_not_equal(qp->handle, qp2->handle);
	assert_int_equal(ibv_destroy_qp(qp2), 0);

	init.recv_cq = NULL;
	assert_error(ibv_create_qp(pd, &init), EINVAL);
	init.recv_cq = foreign;
	assert_error(ibv_create_qp(pd, &init), EINVAL);
	init.recv_cq = cq;
	init.cap.max_send_wr = 1 << 20;
	assert_error(ibv_create_qp(pd, &init), EINVAL);
	init.cap.max_send_wr = 1;
	init.qp_type = IBV_QPT_RAW_PACKET;
	assert_error(ibv_create_qp(pd, &init), EOPNOTSUPP);

	assert_int_equal(ibv_destroy_qp(qp), 0);
	assert_int_equal(ibv_destroy_srq(srq), 0);
	assert_int_equal(ibv_destroy_cq(cq), 0);
	assert_int_equal(ibv_dealloc_pd(pd), 0);
	assert_int_equal(ibv_destroy_cq(foreign), 0);
	assert_int_equal(ibv_close_device(other), 0);
}

/* numbers are the device's, not the context's */
static void qp_numbers(void **state)
{
	struct soft_test *test = *state;
	struct ibv_context *contexts[2] = { test->context, soft_open("soft0") };
	struct ibv_qp_init_attr init = { .qp_type = IBV_QPT_UD };
	struct ibv_qp *qps[2][50];
	struct ibv_pd *pds[2];
	struct ibv_cq *cqs[2];
	int c, i, j;

	for (c = 0; c < 2; c++) {
		pds[c] = ibv_alloc_pd(contexts[c]);
		cqs[c] = ibv_create_cq(contexts[c], 1, NULL, NULL, 0);
	}
	for (i = 0; i < 50; i++) {
		for (c = 0; c < 2; c++) {
			init.send_cq = init.recv_cq = cqs[c];
			qps[c][i] = ibv_create_qp(pds[c], &init);
			assert_non_null(qps[c][i]);
		}
	}
	for (i = 0; i < 50; i++)
		for (j = 0; j < 50; j++)
			assert_int_not_equal(qps[0][i]->qp_num,
					     qps[1][j]->qp_num);
	for (c = 0; c < 2; c++) {
		for (i = 0; i < 50; i++)
			assert_int_equal(ibv_destroy_qp(qps[c][i]), 0);
		assert_int_equal(ibv_destroy_cq(cqs[c]), 0);
		assert_int_equal(ibv_dealloc_pd(pds[c]), 0);
	}
	assert_int_equal(ibv_close_device(contexts[1]), 0);
}

static void srq(void **state)
{
	struct soft_test *test = *state;
	struct ibv_pd *pd = ibv_alloc_pd(test->context);
	struct ibv_srq_init_attr init = { .attr = { .max_wr = 16,
						    .max_sge = 2 } };
	struct ibv_srq *srq = ibv_create_srq(pd, &init);
	struct ibv_srq_attr attr = { .srq_limit = 8 };
	uint32_t num;

	assert_non_null(srq);
	assert_int_equal(ibv_modify_srq(srq, &attr, IBV_SRQ_LIMIT), 0);
	memset(&attr, 0, sizeof(attr));
	assert_int_equal(ibv_query_srq(srq, &attr), 0);
	assert_int_equal(attr.max_wr, 16);
	assert_int_equal(attr.srq_limit, 8);
	attr.srq_limit = 17;
	assert_int_equal(ibv_modify_srq(srq, &attr, IBV_SRQ_LIMIT), EINVAL);
	attr.max_wr = 4; /* below the limit */
	assert_int_equal(ibv_modify_srq(srq, &attr, IBV_SRQ_MAX_WR), EINVAL);
	assert_int_equal(ibv_modify_srq(srq, &attr, 1 << 5), EINVAL);
	assert_int_equal(ibv_get_srq_num(srq, &num), 0);
	assert_int_equal(num, srq->handle);
	assert_int_equal(ibv_dealloc_pd(pd), EBUSY);
	assert_int_equal(ibv_destroy_srq(srq), 0);
	init.attr.max_wr = 0;
	assert_error(ibv_create_srq(pd, &init), EINVAL);
	init.attr.max_wr = 1 << 30;
	assert_error(ibv_create_srq(pd, &init), EINVAL);
	assert_int_equal(ibv_dealloc_pd(pd), 0);
}

static int set_wq(struct ibv_wq *wq, enum ibv_wq_state to)
{
	struct ibv_wq_attr attr = { .attr_mask = IBV_WQ_ATTR_STATE,
				    .wq_state = to };

	return ibv_modify_wq(wq, &attr);
}

static void wq(void **state)
{
	struct soft_test *test = *state;
	struct ibv_pd *pd = ibv_alloc_pd(test->context);
	struct ibv_cq *cq = ibv_create_cq(test->context, 1, NULL, NULL, 0);
	struct ibv_wq_init_attr init = { .wq_type = IBV_WQT_RQ,
					 .max_wr = 1,
					 .max_sge = 1,
					 .pd = pd,
					 .cq = cq };
	struct ibv_wq *wq = ibv_create_wq(test->context, &init);
	struct ibv_recv_wr wr = {}, *bad;

	assert_non_null(wq);
	assert_int_equal(ibv_destroy_cq(cq), EBUSY);
	assert_int_equal(ibv_dealloc_pd(pd), EBUSY);
	assert_int_equal(ibv_post_wq_recv(wq, &wr, &bad), EOPNOTSUPP);
	assert_int_equal(set_wq(wq, IBV_WQS_ERR), EINVAL);
	assert_int_equal(set_wq(wq, IBV_WQS_RDY), 0);
	assert_int_equal(wq->state, IBV_WQS_RDY);
	assert_int_equal(set_wq(wq, IBV_WQS_ERR), 0);
	assert_int_equal(set_wq(wq, IBV_WQS_RDY), EINVAL);
	assert_int_equal(set_wq(wq, IBV_WQS_RESET), 0);
	assert_int_equal(ibv_destroy_wq(wq), 0);
	init.max_wr = 0;
	assert_error(ibv_create_wq(test->context, &init), EINVAL);
	assert_int_equal(ibv_destroy_cq(cq), 0);
	assert_int_equal(ibv_dealloc_pd(pd), 0);
}

static void ah(void **state)
{
	struct soft_test *test = *state;
	struct ibv_pd *pd = ibv_alloc_pd(test->context);
	struct ibv_ah_attr attr = { .is_global = 1, .port_num = 1 };
	struct ibv_ah *ah = ibv_create_ah(pd, &attr);

	assert_non_null(ah);
	assert_int_equal(ibv_dealloc_pd(pd), EBUSY);
	assert_int_equal(ibv_destroy_ah(ah), 0);
	attr.port_num = 3;
	assert_error(ibv_create_ah(pd, &attr), EINVAL);
	attr.port_num = 1;
	attr.grh.sgid_index = 5; /* none there */
	assert_error(ibv_create_ah(pd, &attr), EINVAL);
	attr.grh.sgid_index = 0;
	attr.is_global = 0; /* not with RoCE */
	assert_error(ibv_create_ah(pd, &attr), EINVAL);
	assert_int_equal(ibv_dealloc_pd(pd), 0);
}

/* none of these may crash */
static void unsupported(void **state)
{
	struct soft_test *test = *state;
	struct ibv_context *context = test->context;
	struct ibv_pd *pd = ibv_alloc_pd(context);
	struct ibv_cq *cq = ibv_create_cq(context, 1, NULL, NULL, 0);
	struct ibv_qp_init_attr init = { .send_cq = cq,
					 .recv_cq = cq,
					 .qp_type = IBV_QPT_UD };
	struct ibv_qp *qp = ibv_create_qp(pd, &init);
	struct ibv_srq_init_attr srq_init = { .attr = { .max_wr = 1 } };
	struct ibv_srq *srq = ibv_create_srq(pd, &srq_init);
	struct ibv_send_wr send = {}, *bad_send;
	struct ibv_recv_wr recv = {}, *bad_recv;
	struct ibv_qp_init_attr_ex ex = { .comp_mask = ~0U, .pd = pd };
	struct ibv_srq_init_attr_ex srq_ex = { .comp_mask = ~0U, .pd = pd };
	struct ibv_modify_cq_attr modify_cq = {};
	struct ibv_counters_init_attr counters = {};
	struct ibv_flow_action_esp_attr esp = {};
	struct ibv_ops_wr op = {}, *bad_op;
	struct ibv_qp_rate_limit_attr rate = {};
	struct ibv_ece ece = {};

	assert_int_equal(ibv_post_send(qp, &send, &bad_send), EINVAL);
	assert_ptr_equal(bad_send, &send);
	assert_int_equal(ibv_post_recv(qp, &recv, &bad_recv), EINVAL);
	assert_ptr_equal(bad_recv, &recv);
	assert_int_equal(ibv_post_srq_recv(srq, &recv, &bad_recv), 0);
	assert_int_equal(ibv_post_srq_ops(srq, &op, &bad_op), EOPNOTSUPP);
	assert_error(ibv_create_qp_ex(context, &ex), EOPNOTSUPP);
	assert_error(ibv_create_srq_ex(context, &srq_ex), EOPNOTSUPP);
	assert_error(ibv_alloc_dm(context, &(struct ibv_alloc_dm_attr){}),
		     EOPNOTSUPP);
	assert_error(ibv_alloc_null_mr(pd), EOPNOTSUPP);
	assert_error(ibv_open_xrcd(context, &(struct ibv_xrcd_init_attr){}),
		     EOPNOTSUPP);
	assert_error(ibv_open_qp(context, &(struct ibv_qp_open_attr){}),
		     EOPNOTSUPP);
	assert_error(ibv_create_rwq_ind_table(
			     context, &(struct ibv_rwq_ind_table_init_attr){}),
		     EOPNOTSUPP);
	assert_error(ibv_create_flow(qp, &(struct ibv_flow_attr){}),
		     EOPNOTSUPP);
	assert_error(ibv_create_counters(context, &counters), EOPNOTSUPP);
	assert_error(ibv_create_flow_action_esp(context, &esp), EOPNOTSUPP);
	assert_error(ibv_import_dm(context, 1), EOPNOTSUPP);
	assert_int_equal(ibv_modify_cq(cq, &modify_cq), EOPNOTSUPP);
	assert_int_equal(ibv_modify_qp_rate_limit(qp, &rate), EOPNOTSUPP);
	assert_int_equal(ibv_query_ece(qp, &ece), EOPNOTSUPP);
	assert_int_equal(ibv_set_ece(qp, &ece), EOPNOTSUPP);
	assert_int_equal(ibv_query_qp_data_in_order(qp, IBV_WR_SEND, 0), 0);
	assert_int_equal(ibv_destroy_qp(qp), 0);
	assert_int_equal(ibv_destroy_srq(srq), 0);
	assert_int_equal(ibv_destroy_cq(cq), 0);
	assert_int_equal(ibv_dealloc_pd(pd), 0);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pd_and_mr),   TEST(bad_mr),       TEST(cq_and_channel),
		TEST(cq_ex),	   TEST(qp_and_users), TEST(qp_numbers),
		TEST(srq),	   TEST(wq),	       TEST(ah),
		TEST(unsupported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
