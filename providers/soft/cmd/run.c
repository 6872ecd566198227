// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * softverbs run: a program on a fresh fabric.
 *
 * Signals that are to end it are blocked until CMD runs, and then handed on to
 * it: so the fabric is removed whenever they come, and CMD hears of each.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"

#define MAX_DEVICES 100000

struct run {
	unsigned long devices;
	uint32_t removal;
	char dir[PATH_MAX];
	bool temporary;
	sigset_t mask; /* as it was */
};

/* ---- signals ---- */

static const int signals[] = { SIGINT, SIGQUIT, SIGTERM,
			       SIGHUP, SIGUSR1, SIGUSR2 };

#define NUM_SIGNALS (sizeof(signals) / sizeof(signals[0]))

static volatile sig_atomic_t child;

/* what the terminal sends, CMD has got too */
static void forward(int sig, siginfo_t *info, void *context)
{
	int error = errno;

	(void)context;
	if (child > 0 && info->si_code != SI_KERNEL)
		kill(child, sig);
	errno = error;
}

/* those that were ignored stay so, here and in CMD */
static void take_signals(struct run *run)
{
	struct sigaction action = { .sa_sigaction = forward,
				    .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sigaction old;
	sigset_t set;
	unsigned int i;

	sigemptyset(&set);
	for (i = 0; i < NUM_SIGNALS; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, &run->mask);
	for (i = 0; i < NUM_SIGNALS; i++) {
		sigaction(signals[i], NULL, &old);
		if (old.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
}

/* in CMD's process: no handler of ours may run */
static void reset_signals(const struct run *run)
{
	struct sigaction old;
	unsigned int i;

	for (i = 0; i < NUM_SIGNALS; i++) {
		sigaction(signals[i], NULL, &old);
		if (old.sa_handler != SIG_IGN)
			signal(signals[i], SIG_DFL);
	}
	sigprocmask(SIG_SETMASK, &run->mask, NULL);
}

/* ---- the fabric ---- */

static int make_dir(struct run *run)
{
	const char *tmp = getenv("TMPDIR");

	if (cmd_dir) {
		snprintf(run->dir, sizeof(run->dir), "%s", cmd_dir);
		return EXIT_OK;
	}
	snprintf(run->dir, sizeof(run->dir), "%s/softverbs-run-XXXXXX",
		 tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(run->dir))
		return cmd_fail_errno(tmp && *tmp ? tmp : "/tmp", errno);
	run->temporary = true;
	return EXIT_OK;
}

static int first_name(struct sv_device *dev, void *arg)
{
	char(*name)[SV_NAME_MAX] = arg;

	memcpy(*name, dev->state.name, SV_NAME_MAX);
	return 1;
}

/* fresh: what a directory of an earlier run has left goes first */
static int empty(struct softverbs *sv)
{
	char name[SV_NAME_MAX];
	int error = 0;

	while (!error && sv_device_each(sv, first_name, &name) == 1) {
		error = softverbs_remove_device(sv, name, 0);
		/* unlisted, which is enough */
		if (error == ETIMEDOUT || error == ENODEV)
			error = 0;
	}
	return error ? cmd_fail_errno(sv->path, error) : EXIT_OK;
}

static int fill(struct run *run)
{
	struct softverbs *sv = cmd_open();
	char name[SV_NAME_MAX] = "";
	unsigned long i;
	int status, error = 0;

	if (!sv)
		return EXIT_FAILED;
	status = empty(sv);
	for (i = 0; i < run->devices && !error && !status; i++) {
		snprintf(name, sizeof(name), "soft%lu", i);
		error = softverbs_add_device(sv, name, 0, 1, run->removal);
	}
	if (status)
		softverbs_close(sv);
	return status ? status : cmd_result(sv, name, error);
}

static void remove_dir(const struct run *run)
{
	struct softverbs *sv;
	char name[SV_NAME_MAX];
	int error = 0;

	if (!run->temporary)
		return;
	sv = sv_open_existing(run->dir);
	while (sv && (!error || error == ETIMEDOUT) &&
	       sv_device_each(sv, first_name, &name) == 1)
		error = softverbs_remove_device(sv, name, 0);
	softverbs_close(sv);
	sv_remove_tree(AT_FDCWD, run->dir, 6);
}

/* ---- the program ---- */

static void exec_command(const struct run *run, const char *preload,
			 char **argv)
{
	char real[PATH_MAX];
	int error;

	reset_signals(run);
	if (!realpath(run->dir, real))
		_exit(cmd_fail_errno(run->dir, errno));
	setenv("SOFTVERBS_DIR", real, 1);
	setenv("LD_PRELOAD", preload, 1);
	execvp(argv[0], argv);
	error = errno;
	cmd_fail(argv[0], strerror(error));
	_exit(error == ENOENT ? 127 : 126);
}

/* once it is reaped its pid may be anybody's: no signal may go there */
static int reap_child(int *status)
{
	pid_t pid = child;

	child = 0;
	return waitpid(pid, status, 0) < 0;
}

static int wait_for_child(void)
{
	siginfo_t info;
	int status;

	while (waitid(P_PID, child, &info, WEXITED | WNOWAIT) < 0)
		if (errno != EINTR)
			return cmd_fail_errno("waitid", errno);
	if (reap_child(&status))
		return cmd_fail_errno("waitpid", errno);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run_child(const struct run *run, const char *preload, char **argv)
{
	child = fork();
	if (!child)
		exec_command(run, preload, argv);
	if (child < 0)
		return cmd_fail_errno("fork", errno);
	sigprocmask(SIG_SETMASK, &run->mask, NULL);
	return wait_for_child();
}

static int run_on_fabric(struct run *run, const char *preload, char **argv)
{
	int status;

	take_signals(run);
	status = make_dir(run);
	if (status)
		return status;
	cmd_dir = run->dir;
	status = fill(run);
	if (!status)
		status = run_child(run, preload, argv);
	remove_dir(run);
	return status;
}

enum { OPTION_REMOVAL = 256 };

static int take(int option, const char *value, void *arg)
{
	struct run *run = arg;

	if (option == OPTION_REMOVAL)
		return cmd_removal(value, &run->removal);
	return cmd_number("-n", value, 0, MAX_DEVICES, &run->devices) ?
		       EXIT_OK :
		       EXIT_USAGE;
}

int cmd_run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "devices", required_argument, NULL, 'n' },
		{ "removal", required_argument, NULL, OPTION_REMOVAL },
		CMD_OPTIONS
	};
	struct run run = { .devices = 1, .removal = SOFTVERBS_REMOVAL_WAIT };
	int status = cmd_options(argc, argv, "+:n:", options, take, &run);
	char *preload;

	if (status)
		return status;
	if (optind == argc)
		return cmd_wrong("CMD", "no command to run is given");
	preload = cmd_preload();
	if (!preload)
		return EXIT_FAILED;
	status = run_on_fabric(&run, preload, argv + optind);
	free(preload);
	return status;
}
