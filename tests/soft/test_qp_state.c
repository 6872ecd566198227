// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The state machine of queue pairs: every pair of states, every attribute bit
 * there and not there.
 */
#include <string.h>

#include "soft_test.h"

#define NUM_STATES 7 /* RESET, INIT, RTR, RTS, SQD, SQE, ERR */
#define ALL_BITS \
	(((IBV_QP_DEST_QPN << 1) - 1) | IBV_QP_RATE_LIMIT | 1 << 21 | 1 << 30)

/* one letter a bit, so that a line below can be read against the specification */
static int bits(const char *letters)
{
	static const struct {
		char letter;
		int bit;
	} map[] = {
		{ 'c', IBV_QP_CUR_STATE },
		{ 'n', IBV_QP_EN_SQD_ASYNC_NOTIFY },
		{ 'a', IBV_QP_ACCESS_FLAGS },
		{ 'k', IBV_QP_PKEY_INDEX },
		{ 'p', IBV_QP_PORT },
		{ 'q', IBV_QP_QKEY },
		{ 'v', IBV_QP_AV },
		{ 'm', IBV_QP_PATH_MTU },
		{ 't', IBV_QP_TIMEOUT },
		{ 'r', IBV_QP_RETRY_CNT },
		{ 'R', IBV_QP_RNR_RETRY },
		{ 'Q', IBV_QP_RQ_PSN },
		{ 'i', IBV_QP_MAX_QP_RD_ATOMIC },
		{ 'l', IBV_QP_ALT_PATH },
		{ 'w', IBV_QP_MIN_RNR_TIMER },
		{ 'S', IBV_QP_SQ_PSN },
		{ 'd', IBV_QP_MAX_DEST_RD_ATOMIC },
		{ 'g', IBV_QP_PATH_MIG_STATE },
		{ 'D', IBV_QP_DEST_QPN },
	};
	int mask = 0;
	unsigned int i;

	for (i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (strchr(letters, map[i].letter))
			mask |= map[i].bit;
	return mask;
}

static const struct {
	enum ibv_qp_state from, to;
	const char *rc[2], *uc[2], *ud[2]; /* needed, allowed */
} legal[] = {
	{ 0, 1, { "kpa", "" }, { "kpa", "" }, { "kpq", "" } },
	{ 1, 1, { "", "kpa" }, { "", "kpa" }, { "", "kpq" } },
	{ 1, 2, { "vmDQdw", "lak" }, { "vmDQ", "lak" }, { "", "kq" } },
	{ 2, 3, { "trRSi", "clawg" }, { "S", "clag" }, { "S", "cq" } },
	{ 3, 3, { "", "clawg" }, { "", "clag" }, { "", "cq" } },
	{ 3, 4, { "", "n" }, { "", "n" }, { "", "n" } },
	{ 4, 3, { "", "clawg" }, { "", "clag" }, { "", "cq" } },
	{ 4, 4, { "", "pvtrRidlakwg" }, { "", "vlakg" }, { "", "kq" } },
};

/* false: no such transition */
static bool masks(enum ibv_qp_type type, int from, int to, int *needed,
		  int *allowed)
{
	const char *const *strings;
	unsigned int i;

	*needed = *allowed = 0;
	if (to == IBV_QPS_RESET || to == IBV_QPS_ERR)
		return true;
	for (i = 0; i < sizeof(legal) / sizeof(legal[0]); i++) {
		if ((int)legal[i].from != from || (int)legal[i].to != to)
			continue;
		strings = type == IBV_QPT_RC ? legal[i].rc :
			  type == IBV_QPT_UC ? legal[i].uc :
					       legal[i].ud;
		*needed = bits(strings[0]);
		*allowed = bits(strings[1]);
		return true;
	}
	return false;
}

struct fixture {
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
};

static void make(struct soft_test *test, struct fixture *f,
		 enum ibv_qp_type type)
{
	struct ibv_qp_init_attr init = { .qp_type = type };

	f->pd = ibv_alloc_pd(test->context);
	f->cq = ibv_create_cq(test->context, 1, NULL, NULL, 0);
	init.send_cq = init.recv_cq = f->cq;
	f->qp = ibv_create_qp(f->pd, &init);
	assert_non_null(f->qp);
}

static void unmake(struct fixture *f)
{
	assert_int_equal(ibv_destroy_qp(f->qp), 0);
	assert_int_equal(ibv_destroy_cq(f->cq), 0);
	assert_int_equal(ibv_dealloc_pd(f->pd), 0);
}

/* values that are good in every state */
static struct ibv_qp_attr good_attr(int from, int to)
{
	return (struct ibv_qp_attr){
		.qp_state = to,
		.cur_qp_state = from,
		.path_mtu = IBV_MTU_1024,
		.ah_attr = { .is_global = 1, .port_num = 1 },
		.alt_ah_attr = { .is_global = 1, .port_num = 2 },
		.alt_port_num = 2,
		.port_num = 1,
		.max_rd_atomic = 1,
		.max_dest_rd_atomic = 1,
		.timeout = 14,
		.retry_cnt = 7,
		.rnr_retry = 7,
		.min_rnr_timer = 12,
	};
}

static int try_modify(struct ibv_qp *qp, int from, int to, int mask)
{
	struct ibv_qp_attr attr = good_attr(from, to);

	return ibv_modify_qp(qp, &attr, mask | IBV_QP_STATE);
}

/* there is no way to SQE without a failing send */
static void bring_to(struct ibv_qp *qp, int state)
{
	static const int next[] = { 1, 2, 3, 4 };
	int needed, allowed, i;

	assert_int_equal(try_modify(qp, 0, IBV_QPS_RESET, 0), 0);
	if (state == IBV_QPS_ERR)
		assert_int_equal(try_modify(qp, 0, IBV_QPS_ERR, 0), 0);
	for (i = 0; i < state && state != IBV_QPS_ERR; i++) {
		masks(qp->qp_type, i, next[i], &needed, &allowed);
		assert_int_equal(try_modify(qp, i, next[i], needed), 0);
	}
	assert_int_equal(qp->state, state);
}

static void check_bits(struct ibv_qp *qp, int from, int to)
{
	int needed, allowed, expected, i;
	bool good = masks(qp->qp_type, from, to, &needed, &allowed);

	for (i = 1; i < 31; i++) {
		if (!(ALL_BITS & 1 << i))
			continue;
		/* the bit the other way round */
		if (!good || needed & 1 << i || !(allowed & 1 << i))
			expected = EINVAL;
		else
			expected = 0;
		bring_to(qp, from);
		assert_int_equal(try_modify(qp, from, to, needed ^ 1 << i),
				 expected);
		assert_int_equal(qp->state, expected ? from : to);
	}
	bring_to(qp, from);
	assert_int_equal(try_modify(qp, from, to, needed), good ? 0 : EINVAL);
	bring_to(qp, from);
	assert_int_equal(try_modify(qp, from, to, needed | allowed),
			 good ? 0 : EINVAL);
}

static void every_transition(struct soft_test *test, enum ibv_qp_type type)
{
	static const int from[] = { IBV_QPS_RESET, IBV_QPS_INIT, IBV_QPS_RTR,
				    IBV_QPS_RTS,   IBV_QPS_SQD,	 IBV_QPS_ERR };
	struct fixture f;
	unsigned int i;
	int to;

	make(test, &f, type);
	for (i = 0; i < sizeof(from) / sizeof(from[0]); i++)
		for (to = 0; to <= NUM_STATES; to++)
			check_bits(f.qp, from[i], to);
	unmake(&f);
}

static void rc(void **state)
{
	every_transition(*state, IBV_QPT_RC);
}

static void uc(void **state)
{
	every_transition(*state, IBV_QPT_UC);
}

static void ud(void **state)
{
	every_transition(*state, IBV_QPT_UD);
}

static void wrong_current_state(void **state)
{
	struct fixture f;
	int needed, allowed;

	make(*state, &f, IBV_QPT_RC);
	bring_to(f.qp, IBV_QPS_RTR);
	masks(IBV_QPT_RC, IBV_QPS_RTR, IBV_QPS_RTS, &needed, &allowed);
	assert_int_equal(try_modify(f.qp, IBV_QPS_INIT, IBV_QPS_RTS,
				    needed | IBV_QP_CUR_STATE),
			 EINVAL);
	unmake(&f);
}

static int to_rtr(struct ibv_qp *qp, const struct ibv_qp_attr *attr)
{
	struct ibv_qp_attr copy = *attr;
	int needed, allowed;

	bring_to(qp, IBV_QPS_INIT);
	masks(IBV_QPT_RC, IBV_QPS_INIT, IBV_QPS_RTR, &needed, &allowed);
	return ibv_modify_qp(qp, &copy, needed | IBV_QP_STATE);
}

static void bad_values(void **state)
{
	struct ibv_qp_attr good = good_attr(IBV_QPS_INIT, IBV_QPS_RTR), attr;
	struct fixture f;

	make(*state, &f, IBV_QPT_RC);
	assert_int_equal(to_rtr(f.qp, &good), 0);
#define BAD(field, value)                                      \
	do {                                                   \
		attr = good;                                   \
		attr.field = value;                            \
		assert_int_equal(to_rtr(f.qp, &attr), EINVAL); \
	} while (0)
	BAD(path_mtu, 0);
	BAD(path_mtu, 6);
	BAD(dest_qp_num, 1 << 24);
	BAD(min_rnr_timer, 32);
	BAD(max_dest_rd_atomic, 255);
	BAD(ah_attr.port_num, 3);
	BAD(ah_attr.is_global, 0);
	BAD(ah_attr.grh.sgid_index, 4);
	unmake(&f);
}

static void query(void **state)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;
	struct fixture f;

	make(*state, &f, IBV_QPT_RC);
	bring_to(f.qp, IBV_QPS_RTS);
	assert_int_equal(ibv_query_qp(f.qp, &attr, IBV_QP_STATE, &init), 0);
	assert_int_equal(attr.qp_state, IBV_QPS_RTS);
	assert_int_equal(attr.path_mtu, IBV_MTU_1024);
	assert_int_equal(attr.timeout, 14);
	assert_int_equal(attr.ah_attr.port_num, 1);
	assert_int_equal(init.qp_type, IBV_QPT_RC);
	assert_ptr_equal(init.send_cq, f.cq);
	bring_to(f.qp, IBV_QPS_RESET);
	assert_int_equal(ibv_query_qp(f.qp, &attr, IBV_QP_STATE, &init), 0);
	assert_int_equal(attr.qp_state, IBV_QPS_RESET);
	assert_int_equal(attr.timeout, 0);
	unmake(&f);
}

static void drained(void **state)
{
	struct soft_test *test = *state;
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_SQD,
				    .en_sqd_async_notify = 1 };
	struct ibv_async_event event;
	struct fixture f;

	make(test, &f, IBV_QPT_RC);
	bring_to(f.qp, IBV_QPS_RTS);
	assert_int_equal(ibv_modify_qp(f.qp, &attr,
				       IBV_QP_STATE |
					       IBV_QP_EN_SQD_ASYNC_NOTIFY),
			 0);
	assert_int_equal(ibv_get_async_event(test->context, &event), 0);
	assert_int_equal(event.event_type, IBV_EVENT_SQ_DRAINED);
	assert_ptr_equal(event.element.qp, f.qp);
	ibv_ack_async_event(&event);
	unmake(&f);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rc),
		TEST(uc),
		TEST(ud),
		TEST(bad_values),
		TEST(query),
		TEST(drained),
		TEST(wrong_current_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
