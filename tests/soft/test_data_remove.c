// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Hot removal while data flows, in both styles: a process with QPs on two devices
 * sends from one to the other without a pause, and from the other to the one; then
 * one is removed. IBC_LONG=1: 200 times.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"

static const struct flow rc = { .type = IBV_QPT_RC };

struct traffic {
	struct end end;
	struct address peer;
	pthread_t thread;
	unsigned int pending; /* of what it sends */
	atomic_bool stop;
	atomic_uint done; /* completions without an error */
	atomic_int first; /* error, if any */
	atomic_int error; /* of a verb */
};

static bool is_over(struct traffic *t)
{
	return t->stop || t->error || t->first != IBV_WC_SUCCESS;
}

/* what it sends does not depend on what the other one sends */
static void post(struct traffic *t)
{
	t->error = end_send(&t->end, 1, 0, 4096);
	if (!t->error)
		t->error = end_rdma(&t->end, 2, IBV_WR_RDMA_WRITE, 0, 65536,
				    &t->peer, 1 << 19);
}

static void completed(struct traffic *t, const struct ibv_wc *wc)
{
	if (wc->status != IBV_WC_SUCCESS) {
		t->first = wc->status;
		return;
	}
	t->done++;
	if (wc->wr_id)
		t->pending--;
	else
		t->error = end_recv(&t->end, 0, 1 << 20, 4096);
}

static void *flow_on(void *arg)
{
	struct traffic *t = arg;
	struct ibv_wc wc;
	int n;

	while (!is_over(t)) {
		if (!t->pending) {
			post(t);
			t->pending = 2;
		}
		n = ibv_poll_cq(t->end.cq, 1, &wc);
		if (n < 0)
			t->error = -n;
		else if (n)
			completed(t, &wc);
	}
	return NULL;
}

static void wait_for_traffic(struct traffic *t)
{
	int64_t until = soft_now_ms() + 60000;

	while (t->done < 50)
		assert_true(soft_now_ms() < until);
}

static void start(struct traffic t[2])
{
	int i;

	memset(t, 0, 2 * sizeof(*t));
	end_open(&t[0].end, "soft0", &rc);
	end_open(&t[1].end, "soft1", &rc);
	for (i = 0; i < 2; i++)
		end_address(&t[i].end, &t[!i].peer);
	flow_connect(&t[0].end, &t[1].end, &rc);
	for (i = 0; i < 16; i++)
		assert_int_equal(end_recv(&t[i % 2].end, 0, 1 << 20, 4096), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(
			pthread_create(&t[i].thread, NULL, flow_on, &t[i]), 0);
	for (i = 0; i < 2; i++)
		wait_for_traffic(&t[i]);
}

static void finish(struct traffic t[2])
{
	int i;

	for (i = 0; i < 2; i++) {
		t[i].stop = true;
		pthread_join(t[i].thread, NULL);
	}
	end_close(&t[0].end);
	end_close(&t[1].end);
}

/* verbs fail there; here the peer does not answer, and the rest is flushed */
static void fatal_once(struct soft_test *test)
{
	struct traffic t[2];
	struct ibv_wc wc;

	assert_int_equal(softverbs_add_device(test->sv, "soft1", 0, 1,
					      SOFTVERBS_REMOVAL_FATAL),
			 0);
	start(t);
	assert_int_equal(softverbs_remove_device(test->sv, "soft1", 0), 0);
	pthread_join(t[1].thread, NULL);
	assert_int_equal(t[1].error, EIO);
	pthread_join(t[0].thread, NULL);
	assert_int_equal(t[0].error, 0);
	assert_int_equal(t[0].first, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(end_state(&t[0].end), IBV_QPS_ERR);
	while (ibv_poll_cq(t[0].end.cq, 1, &wc) > 0)
		assert_int_equal(wc.status, IBV_WC_WR_FLUSH_ERR);
	end_close(&t[0].end);
	assert_int_equal(end_event(&t[1].end), IBV_EVENT_DEVICE_FATAL);
	assert_int_equal(ibv_poll_cq(t[1].end.cq, 1, &wc), -EIO);
	end_close(&t[1].end);
}

/* who holds it goes on, as long as he likes; it is gone when he closes it */
static void *remove_it(void *arg)
{
	struct soft_test *test = arg;

	assert_int_equal(softverbs_remove_device(test->sv, "soft1", 60000), 0);
	return NULL;
}

static void waits_once(struct soft_test *test)
{
	struct traffic t[2];
	unsigned int before;
	pthread_t remover;

	assert_int_equal(softverbs_add_device(test->sv, "soft1", 0, 1,
					      SOFTVERBS_REMOVAL_WAIT),
			 0);
	start(t);
	assert_int_equal(pthread_create(&remover, NULL, remove_it, test), 0);
	while (soft_count_contexts(test, "uverbs1") >= 0)
		;
	before = t[0].done;
	while (t[0].done < before + 20)
		assert_int_equal(t[0].first, IBV_WC_SUCCESS);
	finish(t);
	pthread_join(remover, NULL);
	assert_int_equal(t[0].error, 0);
	assert_int_equal(t[1].error, 0);
}

static int rounds(void)
{
	return getenv("IBC_LONG") ? 200 : 10;
}

static void fatal(void **state)
{
	int i;

	for (i = 0; i < rounds(); i++)
		fatal_once(*state);
}

static void waits(void **state)
{
	int i;

	for (i = 0; i < rounds(); i++)
		waits_once(*state);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(fatal), TEST(waits) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
