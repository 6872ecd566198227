// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How many instructions one get and one put are: at most 60 together. Unlike a
 * time this is the same on each machine, however busy it is.
 *
 * A child is traced, a step at a time. It breaks (int3) before and after a call;
 * what is executed between the two with the stack deeper than at the first break
 * is the call's: the call instruction, the linker's jump, all of the library up to
 * the return. What the caller does to have the arguments in registers is not. Each
 * call is made twice before it is counted, so that nothing is done for the first
 * time. (valgrind would not do: it hides rseq from the library.)
 *
 * The library is the shared one, as programs link it. There is no way to put the
 * fake devices behind it from outside, and no need: the device is a context that the
 * child adopts, of no device that libibverbs knows.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <infiniband/ibclient.h>

/* why there is nothing to be counted here, or NULL */
static const char *why_not(void)
{
#if !defined(__x86_64__) || defined(__ILP32__)
	return "this is not x86-64";
#else
	if (IBC_TEST_SANITIZE[0])
		return "the library counted would be the sanitizer's";
	if (getenv("IBC_UNDER_VALGRIND"))
		return "valgrind traces, and hides rseq";
	return NULL;
#endif
}

#if defined(__x86_64__) && !defined(__ILP32__)

#define AT_MOST 60 /* of get and put together */

/* of glibc since 2.35; 0: threads have no rseq area here */
extern const unsigned int __rseq_size __attribute__((weak));

/* what is counted, in the order in which the child does it */
enum call {
	GET,
	PUT,
	ALLOC_OR_GET,
	PUT_THAT,
	HOLD,
	PUT_HELD,
	NUM_CALLS,
};

/* how the child ends, beside the signals */
enum {
	ENDED_WELL,
	NOT_TRACED = 77,
	NOT_SET_UP,
};

/* ---- the child ---- */

static struct ibc_client_data *alloc(struct ibc_client *client,
				     struct ibc_device *dev)
{
	(void)client;
	(void)dev;
	return calloc(1, sizeof(struct ibc_client_data));
}

static void free_data(struct ibc_client_data *data)
{
	free(data);
}

static struct ibc_client client = {
	.name = "instructions",
	.alloc_client_data = alloc,
	.free_client_data = free_data,
};

/* a context without a device, whose events never come */
static struct ibc_device *adopt(struct ibc_registry *reg)
{
	static struct ibv_context context;
	int fds[2];

	if (pipe(fds))
		return NULL;
	context.async_fd = fds[0];
	context.cmd_fd = -1;
	return ibc_adopt_context(reg, &context, 0);
}

static struct ibc_device *set_up(void)
{
	const struct ibc_registry_attr attr = {
		.flags = IBC_REGISTRY_MANUAL,
		.devices = "none-but-the-adopted",
	};
	struct ibc_registry *reg;
	struct ibc_device *dev;

	unsetenv("IBC_TRACK_REFS");
	reg = ibc_open(&attr);
	if (!reg || ibc_register_client(reg, &client))
		return NULL;
	dev = adopt(reg);
	/* it has data once it was added */
	while (dev && !ibc_alloc_or_get_client_data(dev, &client))
		if (errno != ENOENT || ibc_dispatch(reg, -1))
			return NULL;
	return dev;
}

static bool breaking; /* not in the rounds before it counts */

static inline __attribute__((always_inline)) void step_mark(void)
{
	if (breaking)
		__asm__ volatile("int3" ::: "memory");
}

/* false: something went wrong, and the numbers would be of that */
static bool all_calls(struct ibc_device *dev)
{
	struct ibc_client_data *data, *same;

	step_mark();
	data = ibc_get_client_data(dev, &client);
	step_mark();
	if (!data)
		return false;
	step_mark();
	ibc_put_client_data(data);
	step_mark();

	step_mark();
	same = ibc_alloc_or_get_client_data(dev, &client);
	step_mark();
	if (same != data)
		return false;
	step_mark();
	ibc_put_client_data(same);
	step_mark();

	step_mark();
	ibc_hold_client_data(data);
	step_mark();
	step_mark();
	ibc_put_client_data(data);
	step_mark();
	return true;
}

/* it is never cleared away: the kernel does that */
static void child(void)
{
	struct ibc_device *dev;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(NOT_TRACED);
	dev = set_up();
	if (!dev || !all_calls(dev) || !all_calls(dev))
		_exit(NOT_SET_UP);
	breaking = true;
	_exit(all_calls(dev) ? ENDED_WELL : NOT_SET_UP);
}

/* ---- the parent ---- */

/* false: it has ended, by @status; else it stands still, after a trap */
static bool wait_for_trap(pid_t pid, int *status)
{
	if (waitpid(pid, status, 0) != pid)
		fail_msg("waitpid: %s", strerror(errno));
	if (!WIFSTOPPED(*status))
		return false;
	if (WSTOPSIG(*status) != SIGTRAP)
		fail_msg("the child got signal %d", WSTOPSIG(*status));
	return true;
}

static struct user_regs_struct registers_of(pid_t pid)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs))
		fail_msg("PTRACE_GETREGS: %s", strerror(errno));
	return regs;
}

/* is the next instruction a break? */
static bool before_break(pid_t pid, unsigned long rip)
{
	long word;

	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, pid, rip, NULL);
	if (errno)
		fail_msg("PTRACE_PEEKTEXT: %s", strerror(errno));
	return (word & 0xff) == 0xcc;
}

static void step(pid_t pid)
{
	int status;

	if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL))
		fail_msg("PTRACE_SINGLESTEP: %s", strerror(errno));
	if (!wait_for_trap(pid, &status))
		fail_msg("the child ended in a call: %#x", status);
}

/* from the break behind which it stands to the next */
static unsigned int count_call(pid_t pid)
{
	struct user_regs_struct regs = registers_of(pid);
	unsigned long outside = regs.rsp, before;
	unsigned int count = 0;

	while (!before_break(pid, regs.rip)) {
		before = regs.rsp;
		step(pid);
		regs = registers_of(pid);
		count += regs.rsp < outside || before < outside;
	}
	return count;
}

/* to the next break, or to the end: false */
static bool go_on(pid_t pid, int *status)
{
	if (ptrace(PTRACE_CONT, pid, NULL, NULL))
		fail_msg("PTRACE_CONT: %s", strerror(errno));
	return wait_for_trap(pid, status);
}

static void check_end(int status)
{
	if (!WIFEXITED(status))
		fail_msg("the child ended by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) == NOT_TRACED) {
		print_message(
			"SKIPPED: the instructions of get and put are not "
			"counted: this system lets no process be traced "
			"(ptrace). Allow it, and run the test again.\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), ENDED_WELL);
}

/* all that the child makes between its breaks; or skips the test */
static void count_all(unsigned int counts[NUM_CALLS])
{
	unsigned int i;
	pid_t pid;
	int status;

	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		child();
	/* the child's first stop is its first break */
	if (!wait_for_trap(pid, &status))
		check_end(status);
	for (i = 0; i < NUM_CALLS; i++) {
		counts[i] = count_call(pid);
		step(pid);
		if (go_on(pid, &status) != (i + 1 < NUM_CALLS))
			fail_msg("the child broke %s", i + 1 < NUM_CALLS ?
							       "too rarely" :
							       "too often");
	}
	check_end(status);
}

/* why this build or machine is not held to the limit, or NULL */
static const char *why_no_limit(void)
{
#if !defined(__OPTIMIZE__) || defined(__OPTIMIZE_SIZE__) || \
	defined(IBC_COVERAGE)
	return "this build is not optimised for speed";
#else
	if (!&__rseq_size || !__rseq_size)
		return "threads have no rseq area here";
	return NULL;
#endif
}

static void get_and_put_are_few_instructions(void **state)
{
	const char *reason = why_not(), *no_limit = why_no_limit();
	unsigned int n[NUM_CALLS], both;

	(void)state;
	if (reason) {
		print_message("SKIPPED: no instructions are counted: %s\n",
			      reason);
		skip();
	}
	count_all(n);
	both = n[GET] + n[PUT];
	print_message("measured: instructions: get %u, put %u, together %u "
		      "(at most %d)\n",
		      n[GET], n[PUT], both, AT_MOST);
	print_message("measured: instructions: alloc_or_get of what is there "
		      "%u, put %u; hold %u, put %u\n",
		      n[ALLOC_OR_GET], n[PUT_THAT], n[HOLD], n[PUT_HELD]);
	if (no_limit) {
		print_message("no limit for them: %s\n", no_limit);
		return;
	}
	/* something was counted: each reads, and writes, a few words */
	assert_true(n[GET] > 5 && n[PUT] > 5);
	if (both > AT_MOST)
		fail_msg("get and put are %u instructions together, and may be "
			 "%d",
			 both, AT_MOST);
}

#else

static void get_and_put_are_few_instructions(void **state)
{
	(void)state;
	print_message("SKIPPED: no instructions are counted: %s\n", why_not());
	skip();
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(get_and_put_are_few_instructions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
