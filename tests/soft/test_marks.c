// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Faults are seen by the very next verb, of every process, and exactly as often
 * as was asked for, though verbs do not look at them as long as there are none.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soft_test.h"

static void set(struct soft_test *test, const char *spec)
{
	assert_int_equal(softverbs_set_fault(test->sv, "soft0", spec), 0);
}

static int query(struct ibv_context *context)
{
	struct ibv_device_attr attr;

	return ibv_query_device(context, &attr);
}

/* ---- while others find that there is nothing ---- */

struct busy {
	struct ibv_context *context;
	atomic_bool stop;
	atomic_uint failed;
};

static void *do_other_verbs(void *arg)
{
	struct busy *busy = arg;
	struct ibv_pd *pd;

	while (!busy->stop) {
		pd = ibv_alloc_pd(busy->context);
		if (!pd || ibv_dealloc_pd(pd))
			busy->failed++;
	}
	return NULL;
}

static void next_verb(void **state)
{
	struct soft_test *test = *state;
	struct busy busy = { .context = test->context };
	struct ibv_context *other = soft_open("soft0");
	pthread_t threads[3];
	int i;

	for (i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, do_other_verbs, &busy);
	for (i = 0; i < 1000; i++) {
		set(test, "query_device=ENOMEM:2");
		assert_int_equal(query(test->context), ENOMEM);
		assert_int_equal(query(i % 2 ? other : test->context), ENOMEM);
		assert_int_equal(query(test->context), 0);
		assert_int_equal(query(other), 0);
	}
	busy.stop = true;
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(busy.failed, 0);
	assert_int_equal(ibv_close_device(other), 0);
}

/* ---- counted across processes ---- */

#define PROCESSES 4
#define THREADS	  3
#define ROUNDS	  400
#define FAULTS	  1000

static void *count_failures(void *arg)
{
	struct busy *busy = arg;
	int i, error;

	for (i = 0; i < ROUNDS; i++) {
		error = query(busy->context);
		if (error == EPROTO)
			busy->failed++;
		else if (error)
			busy->failed += 1000000;
	}
	return NULL;
}

static unsigned int child_counts(int ready, int go)
{
	struct busy busy = { .context = soft_open("soft0") };
	pthread_t threads[THREADS];
	char c;
	int i;

	if (!busy.context || query(busy.context) || write(ready, "", 1) != 1 ||
	    read(go, &c, 1) != 0)
		return 1000000;
	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, count_failures, &busy);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ibv_close_device(busy.context);
	return busy.failed;
}

static void counted(void **state)
{
	struct soft_test *test = *state;
	int ready[2], go[2], result[2], i, status;
	unsigned int failed, all = 0;
	pid_t pid[PROCESSES];
	char c;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(result), 0);
	for (i = 0; i < PROCESSES; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			close(go[1]);
			failed = child_counts(ready[1], go[0]);
			_exit(write(result[1], &failed, sizeof(failed)) !=
			      sizeof(failed));
		}
	}
	for (i = 0; i < PROCESSES; i++)
		assert_int_equal(read(ready[0], &c, 1), 1);
	set(test, "query_device=EPROTO:1000");
	close(go[1]);
	for (i = 0; i < PROCESSES; i++) {
		assert_int_equal(read(result[0], &failed, sizeof(failed)),
				 sizeof(failed));
		all += failed;
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(all, FAULTS);
	assert_int_equal(query(test->context), 0);
	close(ready[0]);
	close(ready[1]);
	close(go[0]);
	close(result[0]);
	close(result[1]);
}

/* ---- who opens later, who is forked, who takes them back ---- */

static void later(void **state)
{
	struct soft_test *test = *state;
	struct ibv_context *other;
	pid_t pid;
	int status;

	set(test, "query_device=ENOMEM");
	other = soft_open("soft0");
	assert_non_null(other);
	assert_int_equal(query(other), ENOMEM);
	pid = fork();
	if (pid == 0)
		_exit(query(other) != ENOMEM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	set(test, "none");
	assert_int_equal(query(other), 0);
	assert_int_equal(query(test->context), 0);
	/* a delay is no error, and stays */
	set(test, "query_device=delay:30");
	for (int i = 0; i < 2; i++) {
		int64_t start = soft_now_ms();

		assert_int_equal(query(other), 0);
		assert_true(soft_now_ms() - start >= 29);
	}
	assert_int_equal(ibv_close_device(other), 0);
}

/* those that are removed go on having theirs */
static void removed(void **state)
{
	struct soft_test *test = *state;

	set(test, "query_device=ENOMEM:2");
	assert_int_equal(softverbs_remove_device(test->sv, "soft0", 0),
			 ETIMEDOUT);
	assert_int_equal(query(test->context), ENOMEM);
	assert_int_equal(query(test->context), ENOMEM);
	assert_int_equal(query(test->context), 0);
}

/* closing, too: it may be tried again */
static void close_fails(void **state)
{
	struct soft_test *test = *state;

	set(test, "close=EBUSY:1");
	errno = 0;
	assert_int_equal(ibv_close_device(test->context), -1);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(query(test->context), 0);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(next_verb), TEST(counted),	    TEST(later),
		TEST(removed),	 TEST(close_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
