// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <sched.h>

#include "flow_traffic.h"

#define SIZE	 20000
#define LIMIT_MS 60000

static int fill_queues(struct traffic *t)
{
	int error = end_recv(&t->end, 1, SIZE, SIZE);

	if (!error)
		error = end_recv(&t->end, 1, SIZE, SIZE);
	if (!error)
		error = end_send(&t->end, 2, 0, SIZE);
	if (!error)
		error = end_rdma(&t->end, 3, IBV_WR_RDMA_READ, 2 * SIZE, SIZE,
				 &t->to, 0);
	return error;
}

/* a receive for a receive; after a READ the next SEND and READ */
static int go_on(struct traffic *t, const struct ibv_wc *wc)
{
	int error = 0;

	if (wc->wr_id == 1)
		return end_recv(&t->end, 1, SIZE, SIZE);
	if (wc->wr_id == 2)
		return 0;
	t->rounds++;
	error = end_send(&t->end, 2, 0, SIZE);
	return error ? error :
		       end_rdma(&t->end, 3, IBV_WR_RDMA_READ, 2 * SIZE, SIZE,
				&t->to, 0);
}

void traffic_run(struct traffic *t)
{
	struct ibv_wc wc;
	int n;

	t->error = fill_queues(t);
	while (!t->error && !t->status && !t->stop) {
		n = ibv_poll_cq(t->end.cq, 1, &wc);
		if (n < 0)
			t->error = -n;
		else if (n && wc.status)
			t->status = wc.status;
		else if (n)
			t->error = go_on(t, &wc);
	}
}

static void *run(void *arg)
{
	traffic_run(arg);
	return NULL;
}

void traffic_start(struct traffic *t)
{
	assert_int_equal(pthread_create(&t->thread, NULL, run, t), 0);
}

void traffic_join(struct traffic *t)
{
	assert_int_equal(pthread_join(t->thread, NULL), 0);
}

void traffic_wait(struct traffic *t, unsigned int rounds)
{
	int64_t until = soft_now_ms() + LIMIT_MS;

	rounds += t->rounds;
	while (t->rounds < rounds) {
		assert_true(soft_now_ms() < until);
		sched_yield();
	}
}

void traffic_survived(struct traffic *t)
{
	struct ibv_wc wc;
	int num = 0;

	assert_int_equal(t->error, 0);
	assert_int_equal(t->status, IBV_WC_RETRY_EXC_ERR);
	/* two receives always are posted */
	while (num < 2) {
		wc = end_poll(&t->end);
		if (wc.wr_id == 1) {
			assert_true(wc.status == IBV_WC_SUCCESS ||
				    wc.status == IBV_WC_WR_FLUSH_ERR);
			num++;
		}
	}
	assert_int_equal(end_send(&t->end, 7, 0, 1), 0);
	assert_int_equal(end_recv(&t->end, 8, 0, 1), 0);
	do
		wc = end_poll(&t->end);
	while (wc.wr_id != 8);
	end_expect_none(&t->end);
	assert_int_equal(end_state(&t->end), IBV_QPS_ERR);
}
