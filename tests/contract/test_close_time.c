// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantee 10: the context is closed as soon as the last data of its device is
 * freed. The kernel's removal waits for that, so: how soon is it, from the last
 * put to the call of ibv_close_device(), beside what a hand-over to a waiting
 * thread by an eventfd takes anyway? In turns, on the same machine.
 */
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "harness2.h"

#define ROUNDS	    41
#define MAX_MORE_NS 1000000

static struct ibc_client client;
static _Atomic int64_t closed_at;

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int64_t report(const char *what, int64_t *ns)
{
	qsort(ns, ROUNDS, sizeof(*ns), compare);
	printf("measured: %s: median %.3f ms, min %.3f, max %.3f (of %d)\n",
	       what, (double)ns[ROUNDS / 2] / 1e6, (double)ns[0] / 1e6,
	       (double)ns[ROUNDS - 1] / 1e6, ROUNDS);
	fflush(stdout);
	return ns[ROUNDS / 2];
}

/* ---- the hand-over ---- */

static int64_t read_at;

static void wait_for_eventfd(struct worker *w)
{
	uint64_t count;

	check(read(*(int *)w->arg, &count, sizeof(count)) == sizeof(count));
	read_at = now_ns();
}

static int64_t hand_over(void)
{
	const uint64_t one = 1;
	int fd = eventfd(0, EFD_CLOEXEC);
	struct worker w = { .arg = &fd };
	int64_t start;

	check(fd >= 0);
	worker_start(&w, wait_for_eventfd);
	worker_wait_blocked(&w);
	start = now_ns();
	check(write(fd, &one, sizeof(one)) == sizeof(one));
	worker_join(&w);
	close(fd);
	return read_at - start;
}

/* ---- the last put ---- */

static void at_close(void *arg)
{
	(void)arg;
	closed_at = now_ns();
}

/* a dispatcher waits for what comes, and nothing is left to do */
static bool at_rest(void)
{
	bool rests;

	ibc__lock(h_reg);
	rests = h_reg->polling && !h_reg->running && TAILQ_EMPTY(&h_reg->ready);
	ibc__unlock(h_reg);
	return rests;
}

static int64_t last_put(void)
{
	struct ibc_client_data *data;
	struct ibc_device *dev;
	int64_t start;

	fake_add("soft0", 0x11);
	dev = h_device("soft0");
	/* not before its add() */
	wait_for((data = ibc_alloc_or_get_client_data(dev, &client)));
	fake_remove("soft0", FAKE_WAIT);
	wait_for(h2_is(dev, IBC_DEVICE_DRAINING) && at_rest());
	closed_at = 0;
	start = now_ns();
	check(ibc_put_client_data(data));
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	check(closed_at);
	ibc_put_device(dev);
	return closed_at - start;
}

/* ---- both ---- */

static struct ibc_client_data *make(struct ibc_client *c, struct ibc_device *d)
{
	(void)c;
	(void)d;
	return calloc(1, sizeof(struct ibc_client_data));
}

static void destroy(struct ibc_client_data *data)
{
	free(data);
}

static void measure(const char *what, uint32_t flags)
{
	int64_t ours[ROUNDS], beside[ROUNDS], more;
	int i;

	client = (struct ibc_client){ .name = "timed",
				      .flags = flags,
				      .alloc_client_data = make,
				      .free_client_data = destroy };
	check(ibc_register_client(h_reg, &client) == 0);
	fake_on(FAKE_CLOSE, at_close, NULL);
	for (i = 0; i < ROUNDS; i++) {
		beside[i] = hand_over();
		ours[i] = last_put();
	}
	fake_on(FAKE_CLOSE, NULL, NULL);
	check(ibc_unregister_client(&client) == 0);
	more = report(what, ours) - report("  a hand-over by eventfd", beside);
	assert_true(more <= MAX_MORE_NS);
}

static void g10_the_last_put_closes_at_once(void **state)
{
	(void)state;
	measure("last put to ibv_close_device()", 0);
}

/* the dispatcher frees, then closes */
static void g10_the_last_put_closes_at_once_defer_free(void **state)
{
	(void)state;
	measure("last put to ibv_close_device(), DEFER_FREE",
		IBC_CLIENT_DEFER_FREE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		H_TEST(g10_the_last_put_closes_at_once, H_ONE),
		H_TEST(g10_the_last_put_closes_at_once, H_FOUR),
		H_TEST(g10_the_last_put_closes_at_once_defer_free, H_ONE),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
