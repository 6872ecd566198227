// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * One thread polls a CQ for ever, while another one uses, resets and destroys the
 * QPs whose completions are in it.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "flow.h"

#define DEPTH 4
/* a sanitizer sees in each what others see in many */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 600
#else
#define ROUNDS 3000
#endif

static const struct flow rc = { .type = IBV_QPT_RC,
				.depth = DEPTH,
				.rnr_retry = 1 };
static const struct flow with_srq = { .type = IBV_QPT_RC,
				      .depth = DEPTH,
				      .has_srq = true };

struct poller {
	struct ibv_cq *cq;
	atomic_bool stop;
	atomic_int wrong;
	pthread_t thread;
};

static void *poll_on(void *arg)
{
	struct poller *p = arg;
	struct ibv_wc wc;
	int n;

	while (!p->stop) {
		n = ibv_poll_cq(p->cq, 1, &wc);
		if (n < 0 || (n && wc.status))
			p->wrong++;
	}
	return NULL;
}

static void start(struct poller *p, struct ibv_cq *cq)
{
	memset(p, 0, sizeof(*p));
	p->cq = cq;
	assert_int_equal(pthread_create(&p->thread, NULL, poll_on, p), 0);
}

static void stop(struct poller *p)
{
	p->stop = true;
	assert_int_equal(pthread_join(p->thread, NULL), 0);
	assert_int_equal(p->wrong, 0);
}

static void reset(struct end *end)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };

	assert_int_equal(ibv_modify_qp(end->qp, &attr, IBV_QP_STATE), 0);
}

/* as good as new each time: it takes as much as it can hold */
static void resets(void **state)
{
	struct address self;
	struct poller p;
	struct end end;
	int round, i;

	(void)state;
	end_open(&end, "soft0", &rc);
	end_address(&end, &self);
	start(&p, end.cq);
	for (round = 0; round < ROUNDS; round++) {
		end_connect(&end, &self, &rc);
		for (i = 0; i < DEPTH; i++)
			assert_int_equal(end_rdma(&end, i, IBV_WR_RDMA_WRITE, 0,
						  8, &self, 64),
					 0);
		reset(&end);
	}
	stop(&p);
	end_expect_none(&end);
	end_close(&end);
}

static void make_qp(struct end *end)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC,
		.send_cq = end->cq,
		.recv_cq = end->cq,
		.srq = end->srq,
		.cap = { .max_send_wr = DEPTH, .max_send_sge = 1 },
	};

	end->qp = ibv_create_qp(end->pd, &init);
	assert_non_null(end->qp);
}

/* every receive of an SRQ can be posted again, whoever took it */
static void srq_of_many(void **state)
{
	struct address self;
	struct poller p;
	struct end end;
	int round, i;

	(void)state;
	end_open(&end, "soft0", &with_srq);
	start(&p, end.cq);
	for (round = 0; round < ROUNDS; round++) {
		end_address(&end, &self);
		end_connect(&end, &self, &with_srq);
		for (i = 0; i < DEPTH; i++) {
			assert_int_equal(end_recv(&end, i, 0, 8), 0);
			assert_int_equal(end_send(&end, i, 0, 8), 0);
		}
		assert_int_equal(ibv_destroy_qp(end.qp), 0);
		make_qp(&end);
	}
	stop(&p);
	end_expect_none(&end);
	end_close(&end);
}

static void message_to_itself(struct end *end, uint64_t id)
{
	assert_int_equal(end_recv(end, id, 0, 8), 0);
	assert_int_equal(end_send(end, id + 1, 0, 8), 0);
}

/* what is purged takes no room, and what is left stays in order */
static void unpolled(void **state)
{
	struct end end, other;
	struct address self;
	int round, i;

	(void)state;
	end_open(&end, "soft0", &with_srq);
	other = end;
	make_qp(&other);
	end_address(&other, &self);
	end_connect(&other, &self, &with_srq);
	for (round = 0; round < 100; round++) {
		end_address(&end, &self);
		end_connect(&end, &self, &with_srq);
		message_to_itself(&end, 100);
		if (round % 50 == 0)
			message_to_itself(&other, round);
		message_to_itself(&end, 102);
		assert_int_equal(ibv_destroy_qp(end.qp), 0);
		make_qp(&end);
	}
	for (i = 0; i < 2; i++) {
		end_expect(&other, 50 * i, IBV_WC_SUCCESS);
		end_expect(&other, 50 * i + 1, IBV_WC_SUCCESS);
	}
	end_expect_none(&end);
	assert_int_equal(ibv_destroy_qp(other.qp), 0);
	end_close(&end);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(unpolled),
		TEST(resets),
		TEST(srq_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
