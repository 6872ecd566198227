// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Queues and memory that several QPs, threads and contexts share. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "flow.h"

#define NUM	 4
#define MESSAGES 1000

static const struct flow rc = { .type = IBV_QPT_RC };
static const struct flow with_srq = { .type = IBV_QPT_RC, .has_srq = true };

/* ---- one CQ, two threads ---- */

struct polling {
	struct end *end;
	atomic_uint *left;
	atomic_uchar *seen; /* how often, by id */
	bool wrong;
	pthread_t thread;
};

static void *poll_all(void *arg)
{
	struct polling *p = arg;
	struct ibv_wc wc[3];
	int n, i;

	while (*p->left) {
		n = ibv_poll_cq(p->end->cq, 3, wc);
		for (i = 0; i < n; i++) {
			p->seen[wc[i].wr_id]++;
			p->wrong |= wc[i].status != IBV_WC_SUCCESS;
			p->wrong |= end_recv(p->end, wc[i].wr_id + 64, 0, 4);
		}
		p->wrong |= n < 0;
		*p->left -= n > 0 ? n : 0;
	}
	return NULL;
}

/* each completion comes to one of them, and once */
static void two_pollers(void **state)
{
	static atomic_uchar seen[4 * MESSAGES];
	atomic_uint left = MESSAGES;
	struct polling p[2];
	struct end a, b;
	int i;

	(void)state;
	end_open(&a, "soft0", &rc);
	end_open(&b, "soft0", &rc);
	flow_connect(&a, &b, &rc);
	for (i = 0; i < 64; i++)
		assert_int_equal(end_recv(&b, i, 0, 4), 0);
	for (i = 0; i < 2; i++) {
		p[i] = (struct polling){ &b, &left, seen, false, 0 };
		assert_int_equal(
			pthread_create(&p[i].thread, NULL, poll_all, &p[i]), 0);
	}
	for (i = 0; i < MESSAGES; i++) {
		assert_int_equal(end_send(&a, i, 0, 4), 0);
		end_expect(&a, i, IBV_WC_SUCCESS);
	}
	for (i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(p[i].thread, NULL), 0);
		assert_false(p[i].wrong);
	}
	for (i = 0; i < 4 * MESSAGES; i++)
		assert_true(seen[i] <= 1);
	end_expect_none(&b);
	end_close(&a);
	end_close(&b);
}

/* ---- one SRQ ---- */

/* with a CQ of its own; the rest is that of @all */
static void add_qp(struct end *end, const struct end *all)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC,
		.srq = all->srq,
		.cap = { .max_send_wr = 4, .max_send_sge = 1 },
	};

	*end = *all;
	end->cq = ibv_create_cq(all->context, 64, NULL, NULL, 0);
	assert_non_null(end->cq);
	init.send_cq = init.recv_cq = end->cq;
	end->qp = ibv_create_qp(all->pd, &init);
	assert_non_null(end->qp);
}

static void drop_qp(struct end *end)
{
	assert_int_equal(ibv_destroy_qp(end->qp), 0);
	assert_int_equal(ibv_destroy_cq(end->cq), 0);
}

/* in the order of the posts, to whichever QP needs the next */
static void srq_of_several(void **state)
{
	struct end all, to[NUM], from[NUM];
	struct ibv_wc wc;
	int i;

	(void)state;
	end_open(&all, "soft0", &with_srq);
	for (i = 0; i < NUM; i++) {
		end_open(&from[i], "soft0", &rc);
		add_qp(&to[i], &all);
		flow_connect(&from[i], &to[i], &rc);
	}
	for (i = 0; i < 3 * NUM; i++)
		assert_int_equal(end_recv(&all, i, 64 * i, 64), 0);
	for (i = 0; i < 3 * NUM; i++) {
		from[i % NUM].memory[0] = (char)i;
		assert_int_equal(end_send(&from[i % NUM], i, 0, 1), 0);
		end_expect(&from[i % NUM], i, IBV_WC_SUCCESS);
	}
	for (i = 0; i < 3 * NUM; i++) {
		wc = end_poll(&to[i % NUM]);
		assert_int_equal(wc.wr_id, i);
		assert_int_equal(wc.qp_num, to[i % NUM].qp->qp_num);
		assert_int_equal(all.memory[64 * i], i);
	}
	for (i = 0; i < NUM; i++) {
		end_expect_none(&to[i]);
		drop_qp(&to[i]);
		end_close(&from[i]);
	}
	end_close(&all);
}

/* ---- one number ---- */

struct adding {
	struct end here, there;
	struct address to;
	bool wrong;
	pthread_t thread;
};

static void *add_ones(void *arg)
{
	struct adding *a = arg;
	struct ibv_wc wc;
	int i, n;

	for (i = 0; i < MESSAGES && !a->wrong; i++) {
		a->wrong |= end_atomic(&a->here, i, IBV_WR_ATOMIC_FETCH_AND_ADD,
				       &a->to, 0, 1, 0);
		while (!a->wrong && !(n = ibv_poll_cq(a->here.cq, 1, &wc)))
			;
		a->wrong |= n != 1 || wc.status != IBV_WC_SUCCESS;
	}
	return NULL;
}

/* the same memory in several contexts of the device, as IBV_ATOMIC_HCA says */
static void one_number(void **state)
{
	static uint64_t number;
	struct adding a[NUM];
	struct ibv_mr *mr[NUM];
	int i;

	(void)state;
	number = 0;
	for (i = 0; i < NUM; i++) {
		end_open(&a[i].here, "soft0", &rc);
		end_open(&a[i].there, "soft0", &rc);
		flow_connect(&a[i].here, &a[i].there, &rc);
		mr[i] = ibv_reg_mr(a[i].there.pd, &number, sizeof(number),
				   FLOW_ALL);
		assert_non_null(mr[i]);
		a[i].wrong = false;
		a[i].to = (struct address){ .rkey = mr[i]->rkey,
					    .memory = (uintptr_t)&number };
	}
	for (i = 0; i < NUM; i++)
		assert_int_equal(
			pthread_create(&a[i].thread, NULL, add_ones, &a[i]), 0);
	for (i = 0; i < NUM; i++) {
		assert_int_equal(pthread_join(a[i].thread, NULL), 0);
		assert_false(a[i].wrong);
	}
	assert_int_equal(number, NUM * MESSAGES);
	for (i = 0; i < NUM; i++) {
		assert_int_equal(ibv_dereg_mr(mr[i]), 0);
		end_close(&a[i].here);
		end_close(&a[i].there);
	}
}

/* ---- waking up ---- */

static bool has_event(struct end *end)
{
	struct pollfd fd = { .fd = end->channel->fd, .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

static void take_event(struct end *end)
{
	struct ibv_cq *cq;
	void *context;

	assert_int_equal(ibv_get_cq_event(end->channel, &cq, &context), 0);
	assert_ptr_equal(cq, end->cq);
	ibv_ack_cq_events(cq, 1);
}

/* what is there when it is asked for wakes nobody; what comes then, does */
static void between_arm_and_poll(void **state)
{
	struct end a, b;
	int i;

	(void)state;
	end_open(&a, "soft0", &rc);
	end_open(&b, "soft0", &rc);
	flow_connect(&a, &b, &rc);
	for (i = 0; i < 4; i++)
		assert_int_equal(end_recv(&b, i, 0, 4), 0);
	assert_int_equal(end_send(&a, 10, 0, 4), 0);
	assert_int_equal(ibv_req_notify_cq(b.cq, 0), 0);
	assert_false(has_event(&b));
	assert_int_equal(end_send(&a, 11, 0, 4), 0);
	end_expect(&b, 0, IBV_WC_SUCCESS);
	end_expect(&b, 1, IBV_WC_SUCCESS);
	end_expect_none(&b);
	take_event(&b);
	assert_int_equal(end_send(&a, 12, 0, 4), 0);
	assert_false(has_event(&b));
	end_close(&a);
	end_close(&b);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_pollers),
		TEST(srq_of_several),
		TEST(one_number),
		TEST(between_arm_and_poll),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
