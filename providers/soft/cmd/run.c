// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * softverbs run and env: putting programs on a fabric. The interposer is found
 * beside this command (../lib/softverbs, in a build tree), else where it was
 * installed.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"

#define INTERPOSER "softverbs/libsoftverbs-preload.so"

static int find_interposer(char *path, size_t size)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (len > 0) {
		self[len] = '\0';
		slash = strrchr(self, '/');
		*slash = '\0';
		if ((size_t)snprintf(path, size, "%s/../lib/" INTERPOSER,
				     self) < size &&
		    access(path, R_OK) == 0)
			return EXIT_OK;
	}
	snprintf(path, size, "%s/" INTERPOSER, SOFTVERBS_LIBDIR);
	if (access(path, R_OK) == 0)
		return EXIT_OK;
	return cmd_fail(path, "the interposer is not there: is softverbs "
			      "installed as a whole?");
}

/* ours first, then what was there */
static int preload_value(char *buf, size_t size)
{
	const char *old = getenv("LD_PRELOAD");
	char path[PATH_MAX + 64];

	if (find_interposer(path, sizeof(path)))
		return EXIT_FAILED;
	if (old && strstr(old, INTERPOSER))
		snprintf(buf, size, "%s", old);
	else
		snprintf(buf, size, "%s%s%s", path, old && *old ? ":" : "",
			 old ? old : "");
	return EXIT_OK;
}

/* a word of the shell's, whatever is in it */
static void print_export(const char *name, const char *value)
{
	printf("export %s='", name);
	for (; *value; value++) {
		if (*value == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*value);
	}
	puts("'");
}

int cmd_env(int argc, char **argv)
{
	char preload[2 * PATH_MAX], real[PATH_MAX];
	struct softverbs *sv;

	(void)argv;
	if (argc != 1)
		return cmd_wrong("env", "wrong arguments");
	sv = cmd_open();
	if (!sv || preload_value(preload, sizeof(preload)))
		return EXIT_FAILED;
	if (!realpath(sv->path, real))
		return cmd_result(sv, sv->path, errno);
	print_export("SOFTVERBS_DIR", real);
	print_export("LD_PRELOAD", preload);
	return cmd_result(sv, "env", 0);
}

/* ---- run ---- */

struct run {
	unsigned long devices;
	uint32_t removal;
	char dir[PATH_MAX];
	bool temporary;
};

/* signals that are meant for CMD reach it: it is in our process group, or not */
static volatile sig_atomic_t child;

static void forward(int sig)
{
	if (child > 0)
		kill(child, sig);
}

static void forward_signals(void)
{
	static const int signals[] = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
	struct sigaction action = { .sa_handler = forward,
				    .sa_flags = SA_RESTART };
	unsigned int i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	/* the terminal sends these to CMD too: its answer is ours */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
}

static int run_options(struct run *run, int argc, char **argv)
{
	static const struct option options[] = {
		{ "devices", required_argument, NULL, 'n' },
		{ "removal", required_argument, NULL, 'r' },
		{}
	};
	int option;

	while ((option = getopt_long(argc, argv, "+n:", options, NULL)) != -1) {
		if (option == 'n') {
			if (!cmd_number("-n", optarg, 100000, &run->devices))
				return EXIT_USAGE;
		} else if (option == 'r' && !strcmp(optarg, "fatal")) {
			run->removal = SOFTVERBS_REMOVAL_FATAL;
		} else if (option == 'r' && !strcmp(optarg, "wait")) {
			run->removal = SOFTVERBS_REMOVAL_WAIT;
		} else {
			return cmd_wrong("run", "wrong option");
		}
	}
	return optind < argc ? EXIT_OK : cmd_wrong("run", "no command given");
}

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
		return cmd_fail_errno(run->dir, errno);
	run->temporary = true;
	return EXIT_OK;
}

/* fresh: what a directory of an earlier run has left is removed first */
static int forget_device(struct sv_device *dev, void *arg)
{
	char(*names)[SV_NAME_MAX] = arg;

	memcpy(*names, dev->state.name, SV_NAME_MAX);
	return 1;
}

static int fill(struct run *run, struct softverbs *sv)
{
	char name[SV_NAME_MAX];
	unsigned long i;
	int error = 0;

	while (sv_device_each(sv, forget_device, &name) == 1 && !error)
		error = softverbs_remove_device(sv, name, 0);
	for (i = 0; i < run->devices && !error; i++) {
		snprintf(name, sizeof(name), "soft%lu", i);
		error = softverbs_add_device(sv, name, 0, 1, run->removal);
	}
	return error ? cmd_fail_errno(run->dir, error) : EXIT_OK;
}

static void exec_command(const struct run *run, const char *preload,
			 char **argv)
{
	char real[PATH_MAX];

	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	if (!realpath(run->dir, real))
		_exit(cmd_fail_errno(run->dir, errno));
	setenv("SOFTVERBS_DIR", real, 1);
	setenv("LD_PRELOAD", preload, 1);
	execvp(argv[0], argv);
	cmd_fail_errno(argv[0], errno);
	_exit(errno == ENOENT ? 127 : 126);
}

static int wait_for_child(void)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_FAILED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void remove_dir(const struct run *run, struct softverbs *sv)
{
	char name[SV_NAME_MAX];

	if (!run->temporary)
		return;
	while (sv_device_each(sv, forget_device, &name) == 1)
		if (softverbs_remove_device(sv, name, 0) == ENODEV)
			break;
	sv_remove_tree(AT_FDCWD, run->dir, 6);
}

int cmd_run(int argc, char **argv)
{
	struct run run = { .devices = 1, .removal = SOFTVERBS_REMOVAL_WAIT };
	char preload[2 * PATH_MAX];
	struct softverbs *sv;
	int status = run_options(&run, argc, argv);

	if (status || preload_value(preload, sizeof(preload)))
		return status ? status : EXIT_FAILED;
	status = make_dir(&run);
	if (status)
		return status;
	cmd_dir = run.dir;
	sv = cmd_open();
	if (!sv)
		return EXIT_FAILED;
	status = fill(&run, sv);
	if (!status) {
		forward_signals();
		child = fork();
		if (!child)
			exec_command(&run, preload, argv + optind);
		status = child > 0 ? wait_for_child() :
				     cmd_fail_errno("fork", errno);
	}
	remove_dir(&run, sv);
	softverbs_close(sv);
	return status;
}
