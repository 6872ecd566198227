// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The lock on a fabric, among processes that come from one another. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kill_fabric.h"

static void *busy(void *arg)
{
	bool up = false;

	(void)arg;
	for (;; up = !up)
		softverbs_set_port(kill_sv, "waits", 1, up);
	return NULL;
}

/* its children outlive it, and end when @ends[1] is closed */
static void run_parent(int *ends, int ready)
{
	pthread_t thread;
	char c;
	int i;

	alarm(KILL_LIMIT_S);
	close(ends[1]);
	if (pthread_create(&thread, NULL, busy, NULL))
		_exit(1);
	for (i = 0; i < 5; i++)
		if (!fork())
			_exit(read(ends[0], &c, 1) != 0);
	if (write(ready, "", 1) == 1)
		pause();
	_exit(1);
}

/* a lock belongs to who took it, not to whom it forks meanwhile */
static void forked_children(void **state)
{
	int ends[2], ready[2], status;
	unsigned int i;
	pid_t pid;
	char c;

	(void)state;
	for (i = 0; i < 20; i++) {
		kill_at("a kill of one with children, round %u", i);
		kill_add_two();
		assert_int_equal(pipe(ends), 0);
		assert_int_equal(pipe(ready), 0);
		fflush(NULL);
		pid = fork();
		if (!pid)
			run_parent(ends, ready[1]);
		close(ready[1]);
		assert_int_equal(read(ready[0], &c, 1), 1);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		kill_check_all();
		close(ends[0]);
		close(ends[1]);
		close(ready[0]);
	}
}

static int add_many(const char *prefix)
{
	char name[16];
	int i, error = 0;

	for (i = 0; i < 30 && !error; i++) {
		snprintf(name, sizeof(name), "%s%d", prefix, i);
		error = softverbs_add_device(kill_sv, name, 0, 1, 0);
	}
	return error;
}

static void *add_and_remove(void *arg)
{
	char name[16], new_name[16];
	intptr_t error = 0;
	int i;

	for (i = 0; i < 50 && !error; i++) {
		snprintf(name, sizeof(name), "%s%d", (char *)arg, i);
		snprintf(new_name, sizeof(new_name), "%snew", (char *)arg);
		error = softverbs_add_device(kill_sv, name, 0, 1, i % 2);
		if (!error)
			error = softverbs_rename_device(kill_sv, name,
							new_name);
		if (!error)
			error = softverbs_remove_device(kill_sv, new_name, 0);
	}
	return (void *)error;
}

/* threads with one struct softverbs exclude each other, and leave no lock */
static void threads(void **state)
{
	static char names[4][8] = { "a", "b", "c", "d" };
	int i, num_fds = soft_count_fds();
	pthread_t thread[4];
	void *error;

	(void)state;
	kill_at("threads with the same fabric");
	alarm(KILL_LIMIT_S);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL,
						add_and_remove, names[i]),
				 0);
	for (i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(thread[i], &error), 0);
		assert_null(error);
	}
	alarm(0);
	assert_int_equal(soft_count_fds(), num_fds);
	kill_remove_all();
}

/* parent and child go on with the same fabric, and still exclude each other */
static void shared(void **state)
{
	struct fabric fabric;
	int status;
	pid_t pid;

	(void)state;
	kill_at("two with the same fabric");
	fflush(NULL);
	pid = fork();
	if (!pid)
		_exit(add_many("child"));
	assert_int_equal(add_many("parent"), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	kill_read(kill_dir, &fabric);
	assert_int_equal(fabric.num_listed, 60);
	kill_remove_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KILL_TEST(forked_children),
		KILL_TEST(shared),
		KILL_TEST(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
