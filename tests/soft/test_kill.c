// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * kill -9 in the middle of an operation on a fabric: the next command finds it
 * sound. Under ptrace an operation is killed after each of its system calls;
 * beside that, at random times (IBC_SEED=N repeats the choice of
 * operations). Every process here is a fork of the test, and waited for.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kill_fabric.h"

/*
 * Not every call in every run: others in the next one, by the seed; and fewer of a
 * process with a sanitizer, which is slow to fork. All with IBC_LONG=1.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define POINT_STEP 24
#define ROUNDS	   40
#else
#define POINT_STEP 4
#define ROUNDS	   200
#endif

static unsigned int seed;

/* ---- operations, in the child ---- */

static struct ibv_context *child_context;

static void op_add(void)
{
	softverbs_add_device(kill_sv, "fresh", 0, 2, SOFTVERBS_REMOVAL_WAIT);
}

static void op_add_again(void)
{
	softverbs_add_device(kill_sv, "waits", 0, 2, SOFTVERBS_REMOVAL_WAIT);
}

static void op_open_fabric(void)
{
	softverbs_close(softverbs_open(NULL));
}

static void op_remove_waits(void)
{
	softverbs_remove_device(kill_sv, "waits", 0);
}

static void op_remove_fatal(void)
{
	softverbs_remove_device(kill_sv, "fatal", 0);
}

static void op_rename(void)
{
	softverbs_rename_device(kill_sv, "waits", "renamed");
}

static void op_rename_swap(void)
{
	softverbs_remove_device(kill_sv, "waits", 0);
	softverbs_rename_device(kill_sv, "fatal", "waits");
}

static void op_port(void)
{
	softverbs_set_port(kill_sv, "waits", 2, false);
}

static void op_event(void)
{
	softverbs_send_event(kill_sv, "waits", "LID_CHANGE --count 2");
}

static void op_fault(void)
{
	softverbs_set_fault(kill_sv, "waits", "open=EIO:3");
	softverbs_set_fault(kill_sv, "waits", "none");
}

static void child_open(void)
{
	child_context = soft_open("waits");
}

static void child_open_fatal(void)
{
	child_context = soft_open("fatal");
}

static void use_objects(void)
{
	struct ibv_async_event event;
	struct soft_objects o;

	soft_make_objects(child_context, &o);
	softverbs_send_event(kill_sv, "waits", "CQ_ERR --cq 0");
	if (!ibv_get_async_event(child_context, &event))
		ibv_ack_async_event(&event);
	soft_destroy_objects(&o);
}

static void op_open(void)
{
	child_open();
	ibv_close_device(child_context);
}

static void op_close(void)
{
	ibv_close_device(child_context);
}

/* ---- what the parent does before ---- */

static void hold_waits(void)
{
	kill_held = soft_open("waits");
	assert_non_null(kill_held);
}

static void hold_fatal(void)
{
	kill_held = soft_open("fatal");
	assert_non_null(kill_held);
}

/* ---- and while the child is stopped ---- */

static void now_removed(void)
{
	int error = softverbs_remove_device(kill_sv, "waits", 0);

	assert_int_equal(error, ETIMEDOUT);
}

static void now_removed_fatal(void)
{
	assert_int_equal(softverbs_remove_device(kill_sv, "fatal", 0), 0);
}

/* ---- and what the next command is, if not an addition ---- */

static void rename_to_removed(void)
{
	struct fabric fabric;
	int error;

	alarm(KILL_LIMIT_S);
	kill_read(kill_dir, &fabric);
	error = softverbs_rename_device(kill_sv, "fatal", "waits");
	if (error != (kill_has(&fabric, "waits") ? EEXIST : 0))
		kill_fail("renaming: %s", strerror(error));
}

struct op {
	const char *name;
	void (*run)(void);
	void (*parent_before)(void);
	void (*child_before)(void);
	void (*parent_meanwhile)(void);
	void (*parent_after)(void);
};

static const struct op ops[] = {
	{ .name = "open fabric", .run = op_open_fabric },
	{ .name = "add", .run = op_add },
	{ .name = "add what is there", .run = op_add_again },
	{ .name = "remove", .run = op_remove_waits },
	{ .name = "remove, then a rename",
	  .run = op_remove_waits,
	  .parent_after = rename_to_removed },
	{ .name = "remove, held",
	  .run = op_remove_waits,
	  .parent_before = hold_waits },
	{ .name = "remove, fatal", .run = op_remove_fatal },
	{ .name = "remove, fatal, held",
	  .run = op_remove_fatal,
	  .parent_before = hold_fatal },
	{ .name = "rename", .run = op_rename },
	{ .name = "rename, held",
	  .run = op_rename,
	  .parent_before = hold_waits },
	{ .name = "remove, rename to that", .run = op_rename_swap },
	{ .name = "port", .run = op_port, .parent_before = hold_waits },
	{ .name = "event", .run = op_event, .parent_before = hold_waits },
	{ .name = "fault", .run = op_fault },
	{ .name = "open, close", .run = op_open },
	{ .name = "objects", .run = use_objects, .child_before = child_open },
	{ .name = "close", .run = op_close, .child_before = child_open },
	{ .name = "close the removed",
	  .run = op_close,
	  .child_before = child_open,
	  .parent_meanwhile = now_removed },
	{ .name = "close the fatal",
	  .run = op_close,
	  .child_before = child_open_fatal,
	  .parent_meanwhile = now_removed_fatal },
};

#define NUM_OPS (sizeof(ops) / sizeof(ops[0]))

/* ---- at every system call ---- */

static void run_traced(const struct op *op)
{
	alarm(KILL_LIMIT_S);
	if (op->child_before)
		op->child_before();
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(2);
	raise(SIGSTOP);
	op->run();
	_exit(0);
}

/*
 * There is a stop before each system call, and one after it. Kills at the one
 * after call @point; false: it was over before, with *status as by waitpid().
 */
static bool step_and_kill(pid_t pid, unsigned int point, int *status)
{
	unsigned int stop = 0;
	int sig = 0;

	for (;;) {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)sig))
			break;
		if (waitpid(pid, status, 0) != pid || !WIFSTOPPED(*status))
			return false;
		sig = WSTOPSIG(*status);
		if (sig != (SIGTRAP | 0x80))
			continue;
		sig = 0;
		if (stop++ == 2 * point + 1)
			break;
	}
	kill(pid, SIGKILL);
	waitpid(pid, status, 0);
	return true;
}

/* false: nothing was left to kill */
static bool kill_at_point(const struct op *op, unsigned int point)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
	int status;
	bool killed;
	pid_t pid;

	kill_at("\"%s\" killed after call %u", op->name, point);
	kill_add_two();
	if (op->parent_before)
		op->parent_before();
	fflush(NULL);
	pid = fork();
	if (!pid)
		run_traced(op);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSTOPPED(status))
		kill_fail("the child ended with %x", status);
	if (op->parent_meanwhile)
		op->parent_meanwhile();
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)options),
			 0);
	killed = step_and_kill(pid, point, &status);
	if (!killed && status)
		kill_fail("it ended with %x", status);
	if (op->parent_after)
		op->parent_after();
	kill_check_all();
	return killed;
}

static bool may_trace(void)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) ? 1 : 0);
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static bool all_points(void)
{
	const char *text = getenv("IBC_LONG");

	return text && !strcmp(text, "1");
}

static void every_point(void **state)
{
	unsigned int step = all_points() ? 1 : POINT_STEP;
	unsigned int i, point, total = 0;

	(void)state;
	if (!may_trace()) {
		print_message("ptrace is not permitted here: only random "
			      "times are tried\n");
		skip();
	}
	for (i = 0; i < NUM_OPS; i++) {
		for (point = (seed + i) % step; kill_at_point(&ops[i], point);
		     point += step)
			;
		print_message("%s: %u system calls\n", ops[i].name, point);
		total += point;
	}
	print_message("%u system calls\n", total);
}

/* ---- at random times ---- */

static unsigned int random_below(unsigned int n)
{
	return (unsigned int)rand_r(&seed) % n;
}

static void run_random(void)
{
	alarm(KILL_LIMIT_S);
	for (;;) {
		switch (random_below(10)) {
		case 0:
			softverbs_add_device(kill_sv, "waits", 0, 2, 0);
			softverbs_add_device(kill_sv, "fatal", 0, 2, 1);
			break;
		case 1:
			op_add();
			break;
		case 2:
			softverbs_remove_device(kill_sv, "fresh", 0);
			break;
		case 3:
			op_remove_waits();
			break;
		case 4:
			op_remove_fatal();
			break;
		case 5:
			op_rename();
			break;
		case 6:
			softverbs_rename_device(kill_sv, "renamed", "waits");
			break;
		case 7:
			op_event();
			op_port();
			break;
		default:
			child_open();
			if (child_context && random_below(2))
				use_objects();
			if (child_context)
				op_close();
		}
	}
}

static void random_times(void **state)
{
	struct timespec ts = {};
	unsigned int i;
	int status;
	pid_t pid;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		kill_at("a kill at a random time, round %u, seed %u", i, seed);
		kill_add_two();
		if (random_below(2))
			hold_fatal();
		ts.tv_nsec = random_below(8000) * 1000;
		fflush(NULL);
		pid = fork();
		if (!pid)
			run_random();
		nanosleep(&ts, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			kill_fail("the child ended with %x", status);
		kill_check_all();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KILL_TEST(every_point),
		KILL_TEST(random_times),
	};
	const char *text = getenv("IBC_SEED");

	seed = text ? (unsigned int)strtoul(text, NULL, 10) :
		      (unsigned int)time(NULL);
	print_message("IBC_SEED=%u\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
