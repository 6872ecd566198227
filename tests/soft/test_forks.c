// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A process that forks while its other threads are busy with softverbs. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soft_test.h"

#define THREADS 3
#define FORKS	150

struct busy {
	struct ibv_context *context;
	struct ibv_device *device;
	atomic_bool stop;
	atomic_uint rounds;
};

static void *make_and_destroy(void *arg)
{
	struct busy *busy = arg;
	struct soft_objects o;

	while (!busy->stop) {
		soft_make_objects(busy->context, &o);
		soft_destroy_objects(&o);
		busy->rounds++;
	}
	return NULL;
}

static void *open_and_close(void *arg)
{
	struct busy *busy = arg;
	struct ibv_context *context;

	while (!busy->stop) {
		context = soft_open("soft0");
		if (context)
			ibv_close_device(context);
		busy->rounds++;
	}
	return NULL;
}

/*
 * A lock that a thread of the parent held would keep it waiting for ever. Nothing
 * flows in what it inherited, but in what it opens itself. It lists
 * no devices: libibverbs' own lock is not made for forks.
 */
static int child(struct busy *busy)
{
	struct ibv_context *own;
	struct soft_objects o;
	struct ibv_pd *pd;

	alarm(60);
	pd = ibv_alloc_pd(busy->context);
	if (!pd || ibv_create_cq(busy->context, 1, NULL, NULL, 0) ||
	    errno != EIO || ibv_dealloc_pd(pd))
		return 3;
	own = ibv_open_device(busy->device);
	if (!own)
		return 1;
	soft_make_objects(own, &o);
	soft_destroy_objects(&o);
	if (ibv_close_device(own))
		return 1;
	return ibv_close_device(busy->context) ? 2 : 0;
}

static void run(struct soft_test *test, void *(*thread)(void *arg))
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct busy busy = { .context = test->context, .device = list[0] };
	pthread_t threads[THREADS];
	struct soft_objects o;
	int i, status;
	pid_t pid;

	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, thread, &busy);
	while (busy.rounds < THREADS)
		;
	for (i = 0; i < FORKS; i++) {
		pid = fork();
		if (pid == 0)
			_exit(child(&busy));
		assert_true(pid > 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	busy.stop = true;
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ibv_free_device_list(list);
	/* that of the parent is as good as before */
	soft_make_objects(test->context, &o);
	soft_destroy_objects(&o);
	/* those that a child had, too, are swept by whoever comes by */
	assert_int_equal(softverbs_send_event(test->sv, "soft0", "SM_CHANGE"),
			 0);
	assert_int_equal(soft_count_contexts(test, "uverbs0"), 1);
}

static void objects(void **state)
{
	run(*state, make_and_destroy);
}

static void opening(void **state)
{
	run(*state, open_and_close);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(objects), TEST(opening) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
