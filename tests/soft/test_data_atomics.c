// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Several processes that change one number: none of it is lost. */
#include "flow_peer.h"

#define ADDERS 4
#define ADDS   2000

static const struct flow rc = { .type = IBV_QPT_RC };

static int setup(void **state)
{
	struct soft_test *test;

	if (soft_setup(state))
		return -1;
	/* whoever is forked has nothing of it */
	test = *state;
	assert_int_equal(ibv_close_device(test->context), 0);
	test->context = NULL;
	return 0;
}

static void add_ones_to(struct end *end, const struct address *to)
{
	int i;

	for (i = 0; i < ADDS; i++) {
		assert_int_equal(end_atomic(end, i, IBV_WR_ATOMIC_FETCH_AND_ADD,
					    to, 0, 1, 0),
				 0);
		end_expect(end, i, IBV_WC_SUCCESS);
	}
}

/* to where it is told */
static void add_ones(struct peer *up, void *arg)
{
	struct address theirs, to;
	struct end end;

	(void)arg;
	end_open(&end, "soft0", &rc);
	peer_connect(up, &end, &theirs, &rc);
	peer_get(up, &to, sizeof(to));
	add_ones_to(&end, &to);
	end_close(&end);
}

/* the same memory in several contexts of a device, as IBV_ATOMIC_HCA says */
static void several_contexts(void **state)
{
	static uint64_t number;
	struct ibv_mr *mr[ADDERS + 1];
	struct end ends[ADDERS + 1];
	struct peer peers[ADDERS];
	struct address to;
	int i;

	(void)state;
	number = 0;
	for (i = 0; i < ADDERS; i++)
		peer_start(&peers[i], add_ones, NULL);
	for (i = 0; i <= ADDERS; i++) {
		end_open(&ends[i], "soft0", &rc);
		mr[i] = ibv_reg_mr(ends[i].pd, &number, sizeof(number),
				   FLOW_ALL);
		assert_non_null(mr[i]);
		if (i < ADDERS)
			peer_connect(&peers[i], &ends[i], &to, &rc);
	}
	/* the last one is connected with itself, and adds, too */
	end_address(&ends[ADDERS], &to);
	end_connect(&ends[ADDERS], &to, &rc);
	to.memory = (uintptr_t)&number;
	for (i = 0; i <= ADDERS; i++) {
		to.rkey = mr[i]->rkey;
		if (i < ADDERS)
			peer_put(&peers[i], &to, sizeof(to));
	}
	add_ones_to(&ends[ADDERS], &to);
	for (i = 0; i < ADDERS; i++)
		peer_join(&peers[i]);
	assert_int_equal(number, (ADDERS + 1) * ADDS);
	for (i = 0; i <= ADDERS; i++) {
		assert_int_equal(ibv_dereg_mr(mr[i]), 0);
		end_close(&ends[i]);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(several_contexts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
