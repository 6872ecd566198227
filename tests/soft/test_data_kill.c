// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A peer that is killed or stopped at some moment of its traffic. IBC_LONG=1: ten
 * times as often.
 */
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "flow_peer.h"
#include "flow_traffic.h"

static const struct flow rc = { .type = IBV_QPT_RC };
static const struct flow shared = { .type = IBV_QPT_RC, .has_srq = true };

#define MAX_ROUNDS 400

static int num_rounds(void)
{
	const char *text = getenv("IBC_LONG");

	return text && !strcmp(text, "1") ? MAX_ROUNDS : MAX_ROUNDS / 10;
}

/* all of them while this process has no thread; each waits for its turn */
static void start_all(struct peer *peers, void (*body)(struct peer *, void *))
{
	int i;

	for (i = 0; i < num_rounds(); i++)
		peer_start(&peers[i], body, NULL);
}

static int setup(void **state)
{
	struct soft_test *test;

	if (soft_setup(state))
		return -1;
	/* whoever is forked first has nothing of it */
	test = *state;
	assert_int_equal(ibv_close_device(test->context), 0);
	test->context = NULL;
	return 0;
}

/* each time the same, and anywhere within a round */
static void spin_a_while(unsigned int *seed)
{
	int n = rand_r(seed) % 3000;

	while (n-- > 0)
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void reset(struct end *end)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };

	assert_int_equal(ibv_modify_qp(end->qp, &attr, IBV_QP_STATE), 0);
}

/* whoever comes by sweeps what the dead have left */
static void nothing_is_left(struct soft_test *test, int contexts)
{
	assert_int_equal(softverbs_send_event(test->sv, "soft0", "SM_CHANGE"),
			 0);
	assert_int_equal(soft_count_contexts(test, "uverbs0"), contexts);
}

/* ---- killed ---- */

static void rush(struct peer *up, void *arg)
{
	struct traffic t = {};

	(void)arg;
	peer_hear(up);
	end_open(&t.end, "soft0", &rc);
	peer_connect(up, &t.end, &t.to, &rc);
	traffic_run(&t);
}

/* one QP for all of them, one after the other */
static void killed(void **state)
{
	struct soft_test *test = *state;
	struct traffic t = {};
	unsigned int seed = 1;
	struct peer peers[MAX_ROUNDS], *peer = peers;
	int i;

	start_all(peers, rush);
	end_open(&t.end, "soft0", &rc);
	for (i = 0; i < num_rounds(); i++, peer++) {
		peer_tell(peer);
		peer_connect(peer, &t.end, &t.to, &rc);
		traffic_start(&t);
		traffic_wait(&t, 1 + rand_r(&seed) % 10);
		spin_a_while(&seed);
		peer_kill(peer);
		traffic_join(&t);
		traffic_survived(&t);
		reset(&t.end);
		end_expect_none(&t.end);
		t.status = IBV_WC_SUCCESS;
		nothing_is_left(test, 1);
	}
	end_close(&t.end);
	nothing_is_left(test, 0);
}

/* sends only, as fast as it can */
static void shower(struct peer *up, void *arg)
{
	struct address theirs;
	struct end end;

	(void)arg;
	peer_hear(up);
	end_open(&end, "soft0", &rc);
	peer_connect(up, &end, &theirs, &rc);
	for (;;) {
		assert_int_equal(end_send(&end, 1, 0, 1), 0);
		end_expect(&end, 1, IBV_WC_SUCCESS);
	}
}

/*
 * In the middle of a receive it is taken with its completion or not at all: what
 * was posted is there for the next one, no more and no less.
 */
static void none_is_lost(struct end *end, unsigned int posted)
{
	struct address self;
	unsigned int i;

	reset(end);
	end_address(end, &self);
	end_connect(end, &self, &shared);
	for (i = 0; i < posted; i++) {
		assert_int_equal(end_send(end, 2, 0, 1), 0);
		assert_int_equal(end_poll(end).status, IBV_WC_SUCCESS);
		assert_int_equal(end_poll(end).status, IBV_WC_SUCCESS);
	}
	end_expect_none(end);
}

static unsigned int receive_some(struct end *end, unsigned int num)
{
	unsigned int i;

	for (i = 0; i < num; i++) {
		end_expect(end, 3, IBV_WC_SUCCESS);
		assert_int_equal(end_recv(end, 3, 0, 8), 0);
	}
	return num;
}

static void killed_receiving(void **state)
{
	struct address theirs;
	unsigned int seed = 2, i, posted;
	struct peer peers[MAX_ROUNDS], *peer = peers;
	struct ibv_wc wc;
	struct end end;
	int round;

	(void)state;
	start_all(peers, shower);
	end_open(&end, "soft0", &shared);
	for (round = 0; round < num_rounds(); round++, peer++) {
		peer_tell(peer);
		for (i = 0; i < 64; i++)
			assert_int_equal(end_recv(&end, 3, 0, 8), 0);
		assert_int_equal(end_recv(&end, 3, 0, 8), ENOMEM);
		peer_connect(peer, &end, &theirs, &shared);
		receive_some(&end, 64 + rand_r(&seed) % 64);
		spin_a_while(&seed);
		peer_kill(peer);
		/* what has come is polled, the rest is there still */
		for (posted = 64; ibv_poll_cq(end.cq, 1, &wc) == 1; posted--)
			assert_int_equal(wc.status, IBV_WC_SUCCESS);
		none_is_lost(&end, posted);
		reset(&end);
	}
	end_close(&end);
}

/* ---- stopped ---- */

static void serve(struct peer *up, void *arg)
{
	struct address theirs;
	struct end end;

	(void)arg;
	end_open(&end, "soft1", &rc);
	peer_connect(up, &end, &theirs, &rc);
	peer_hear(up);
	end_close(&end);
}

/* as one that is stopped at the worst moment has it */
static void hold_lock(struct peer *up, void *arg)
{
	struct soft_test *test = arg;
	char pattern[256];
	glob_t found;
	int fd;

	peer_hear(up);
	snprintf(pattern, sizeof(pattern),
		 "%s/class/infiniband_verbs/uverbs1/contexts/*/data",
		 test->dir);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 1);
	fd = open(found.gl_pathv[0], O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	peer_tell(up);
	peer_hear(up);
}

/* it is as if the link were silent */
static void stopped(void **state)
{
	struct soft_test *test = *state;
	struct peer server, holder;
	struct address theirs;
	struct end end;

	assert_int_equal(softverbs_add_device(test->sv, "soft1", 0, 1,
					      SOFTVERBS_REMOVAL_WAIT),
			 0);
	peer_start(&holder, hold_lock, test);
	peer_start(&server, serve, NULL);
	end_open(&end, "soft0", &rc);
	peer_connect(&server, &end, &theirs, &rc);
	peer_tell(&holder);
	peer_hear(&holder);
	peer_stop(&holder);
	assert_int_equal(end_rdma(&end, 1, IBV_WR_RDMA_WRITE, 0, 8, &theirs, 0),
			 0);
	end_expect(&end, 1, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(end_state(&end), IBV_QPS_ERR);
	/* and then goes on */
	peer_kill(&holder);
	reset(&end);
	end_connect(&end, &theirs, &rc);
	assert_int_equal(end_rdma(&end, 2, IBV_WR_RDMA_WRITE, 0, 8, &theirs, 0),
			 0);
	end_expect(&end, 2, IBV_WC_SUCCESS);
	peer_tell(&server);
	peer_join(&server);
	end_close(&end);
	assert_int_equal(softverbs_remove_device(test->sv, "soft1", 0), 0);
}

/*
 * With the lock on what this process has: its verbs end, and a key is of no use
 * when it is deregistered, whoever goes on some day.
 */
static void stopped_here(void **state)
{
	struct soft_test *test = *state;
	struct peer holder;
	struct address of_b;
	struct end a, b;
	struct ibv_mr *mr;

	assert_int_equal(softverbs_add_device(test->sv, "soft1", 0, 1,
					      SOFTVERBS_REMOVAL_WAIT),
			 0);
	peer_start(&holder, hold_lock, test);
	end_open(&a, "soft0", &rc);
	end_open(&b, "soft1", &rc);
	flow_connect(&a, &b, &rc);
	end_address(&b, &of_b);
	mr = ibv_reg_mr(b.pd, b.memory, 4096, FLOW_ALL);
	assert_non_null(mr);
	of_b.rkey = mr->rkey;
	assert_int_equal(end_rdma(&a, 1, IBV_WR_RDMA_WRITE, 0, 8, &of_b, 0), 0);
	end_expect(&a, 1, IBV_WC_SUCCESS);
	peer_tell(&holder);
	peer_hear(&holder);
	peer_stop(&holder);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	peer_kill(&holder);
	assert_int_equal(end_rdma(&a, 2, IBV_WR_RDMA_WRITE, 0, 8, &of_b, 0), 0);
	end_expect(&a, 2, IBV_WC_REM_ACCESS_ERR);
	end_close(&a);
	end_close(&b);
	assert_int_equal(softverbs_remove_device(test->sv, "soft1", 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(killed),
		TEST(killed_receiving),
		TEST(stopped),
		TEST(stopped_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
