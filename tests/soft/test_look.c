// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Who looks at a fabric while another process opens a device of it. Both only
 * read what is there, so they may do it beside each other: after each system call
 * of the one, stopped under ptrace, `softverbs list` is run as a whole.
 */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kill_fabric.h"

extern char **environ;

/* ---- who opens ---- */

static void run_opener(void)
{
	struct ibv_context *context;

	alarm(4 * KILL_LIMIT_S); /* a hundred lists, of a slow machine's */
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(2);
	raise(SIGSTOP);
	context = soft_open("waits");
	if (!context)
		_exit(3);
	_exit(ibv_close_device(context) ? 4 : 0);
}

/* ---- who looks ---- */

/* it changes something, and nobody may look */
static bool locked_alone(void)
{
	char path[128];
	bool alone;
	int fd;

	snprintf(path, sizeof(path), "%s/lock", kill_dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	alone = flock(fd, LOCK_SH | LOCK_NB) != 0;
	close(fd);
	return alone;
}

static void look(void)
{
	char *argv[] = { getenv("SOFTVERBS_COMMAND"), (char *)"list", NULL };
	posix_spawn_file_actions_t actions;
	int status;
	pid_t pid;

	assert_non_null(argv[0]);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	assert_int_equal(
		posix_spawn(&pid, argv[0], &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* one stop before a system call, and one after it; returns how it ended */
static int step(pid_t pid, unsigned int *looks)
{
	bool after = false;
	int status, sig = 0;

	for (;;) {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)sig))
			kill_fail("it cannot go on: %s", strerror(errno));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status))
			return status;
		sig = WSTOPSIG(status);
		if (sig != (SIGTRAP | 0x80))
			continue;
		sig = 0;
		after = !after;
		if (after || locked_alone())
			continue;
		look();
		++*looks;
	}
}

static void a_list_leaves_who_opens_alone(void **state)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
	unsigned int looks = 0;
	int status;
	pid_t pid;

	(void)state;
	kill_at("a list beside who opens");
	kill_add_two();
	fflush(NULL);
	pid = fork();
	if (!pid)
		run_opener();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status)) {
		print_message("ptrace is not permitted here\n");
		kill_remove_all();
		skip();
	}
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)options),
			 0);
	status = step(pid, &looks);
	print_message("listed %u times\n", looks);
	if (status)
		kill_fail("it ended with %x", status);
	assert_true(looks > 10);
	kill_check_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KILL_TEST(a_list_leaves_who_opens_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
