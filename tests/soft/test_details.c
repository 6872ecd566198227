// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Small print of objects that is easily lost. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "soft_test.h"

#define MANY_PAGES 10000

/* memory that has a hole, wherever it is; without one it is good */
static void with_a_hole(void **state)
{
	struct soft_test *test = *state;
	struct ibv_pd *pd = ibv_alloc_pd(test->context);
	size_t page = sysconf(_SC_PAGESIZE), size = MANY_PAGES * page;
	const size_t holes[] = { MANY_PAGES / 2, 1,    4096,
				 8191,		 8192, MANY_PAGES - 2 };
	struct ibv_mr *mr;
	char *memory;
	unsigned int i;

	for (i = 0; i < sizeof(holes) / sizeof(holes[0]); i++) {
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(memory, MAP_FAILED);
		mr = ibv_reg_mr(pd, memory + 1, size - 1, 0);
		assert_non_null(mr);
		assert_int_equal(ibv_dereg_mr(mr), 0);
		munmap(memory + holes[i] * page, page);
		assert_error(ibv_reg_mr(pd, memory + 1, size - 1, 0), EFAULT);
		munmap(memory, size);
	}
	assert_int_equal(ibv_dealloc_pd(pd), 0);
}

/* memory of which only one end is there */
static void half_mapped(void **state)
{
	struct soft_test *test = *state;
	struct ibv_pd *pd = ibv_alloc_pd(test->context);
	size_t page = sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ibv_mr *mr;

	munmap(memory, page);
	munmap(memory + 2 * page, page);
	assert_error(ibv_reg_mr(pd, memory, 2 * page, 0), EFAULT);
	assert_error(ibv_reg_mr(pd, memory + page, page + 1, 0), EFAULT);
	assert_error(ibv_reg_mr(pd, NULL, 1, 0), EFAULT);
	mr = ibv_reg_mr(pd, memory + page, page, 0);
	assert_non_null(mr);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	munmap(memory + page, page);
	assert_int_equal(ibv_dealloc_pd(pd), 0);
}

static void wq_state_that_it_has(void **state)
{
	struct soft_test *test = *state;
	struct ibv_wq_attr attr = {
		.attr_mask = IBV_WQ_ATTR_STATE | IBV_WQ_ATTR_CURR_STATE,
		.curr_wq_state = IBV_WQS_RDY,
		.wq_state = IBV_WQS_RDY,
	};
	struct soft_objects o;

	soft_make_objects(test->context, &o);
	assert_int_equal(ibv_modify_wq(o.wq, &attr), EINVAL);
	attr.curr_wq_state = IBV_WQS_RESET;
	assert_int_equal(ibv_modify_wq(o.wq, &attr), 0);
	assert_int_equal(ibv_modify_wq(o.wq, &attr), EINVAL);
	soft_destroy_objects(&o);
}

static int to_state(struct ibv_qp *qp, enum ibv_qp_state state, int mask)
{
	struct ibv_qp_attr attr = {
		.qp_state = state,
		.port_num = 1,
		.en_sqd_async_notify = 1,
	};

	return ibv_modify_qp(qp, &attr, IBV_QP_STATE | mask);
}

/* who asked to be told of the drained queue is told once */
static void notify_is_over(void **state)
{
	struct soft_test *test = *state;
	struct ibv_qp_init_attr init = { .qp_type = IBV_QPT_UD };
	struct ibv_qp_attr attr;
	struct ibv_async_event event;
	struct soft_objects o;
	struct ibv_qp *qp;

	soft_make_objects(test->context, &o);
	init.send_cq = init.recv_cq = o.cq;
	qp = ibv_create_qp(o.pd, &init);
	assert_int_equal(to_state(qp, IBV_QPS_INIT,
				  IBV_QP_PKEY_INDEX | IBV_QP_PORT |
					  IBV_QP_QKEY),
			 0);
	assert_int_equal(to_state(qp, IBV_QPS_RTR, 0), 0);
	assert_int_equal(to_state(qp, IBV_QPS_RTS, IBV_QP_SQ_PSN), 0);
	assert_int_equal(to_state(qp, IBV_QPS_SQD, IBV_QP_EN_SQD_ASYNC_NOTIFY),
			 0);
	assert_int_equal(ibv_query_qp(qp, &attr, ~0, &init), 0);
	assert_int_equal(attr.en_sqd_async_notify, 1);
	assert_int_equal(to_state(qp, IBV_QPS_RTS, 0), 0);
	assert_int_equal(ibv_query_qp(qp, &attr, ~0, &init), 0);
	assert_int_equal(attr.en_sqd_async_notify, 0);
	assert_int_equal(ibv_get_async_event(test->context, &event), 0);
	assert_int_equal(event.event_type, IBV_EVENT_SQ_DRAINED);
	ibv_ack_async_event(&event);
	assert_int_equal(ibv_destroy_qp(qp), 0);
	soft_destroy_objects(&o);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(half_mapped),
		TEST(with_a_hole),
		TEST(wq_state_that_it_has),
		TEST(notify_is_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
