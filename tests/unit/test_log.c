// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Levels, sinks, IBC_LOG_LEVEL and IBC_LOG_FILE. The environment is read once
 * in a process, so what depends on it runs in processes of its own: this
 * program again, with the name of a scene.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "private.h"
#include "scene.h"

static unsigned int seen[5];
static char last[256];

static void sink(int level, const char *message, void *arg)
{
	check(arg == seen);
	check(level >= IBC_LOG_ERROR && level <= IBC_LOG_DEBUG);
	seen[level]++;
	snprintf(last, sizeof(last), "%s", message);
	errno = EDOM; /* as a sink may that writes somewhere */
}

/* one message of each level, as the library itself makes them */
static void one_of_each(struct ibc_registry *reg)
{
	ibc__lock(reg);
	ibc__log(reg, IBC_LOG_ERROR, "an %s of %d", "error", 1);
	ibc__log(reg, IBC_LOG_WARNING, "a warning");
	ibc__log(reg, IBC_LOG_INFO, "an info");
	ibc__log(reg, IBC_LOG_DEBUG, "a debug");
	ibc__unlock(reg);
}

static void a_sink_gets_all_but_debug(void **state)
{
	(void)state;
	memset(seen, 0, sizeof(seen));
	ibc_set_log(sink, seen);
	one_of_each(h_reg);
	assert_int_equal(seen[IBC_LOG_ERROR], 1);
	assert_int_equal(seen[IBC_LOG_WARNING], 1);
	assert_int_equal(seen[IBC_LOG_INFO], 1);
	assert_int_equal(seen[IBC_LOG_DEBUG], 0);
	assert_string_equal(last, "an info");
	ibc_set_log(NULL, NULL);
	one_of_each(h_reg);
	assert_int_equal(seen[IBC_LOG_ERROR], 1);
}

static void a_long_message_is_whole(void **state)
{
	char text[200];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ibc_set_log(sink, seen);
	ibc__lock(h_reg);
	ibc__log(h_reg, IBC_LOG_INFO, "%s", text);
	assert_string_not_equal(last, text); /* not under the lock */
	ibc__unlock(h_reg);
	assert_string_equal(last, text);
	ibc_set_log(NULL, NULL);
}

static void a_message_keeps_errno(void **state)
{
	(void)state;
	ibc_set_log(sink, seen);
	errno = ENOTTY;
	one_of_each(h_reg);
	assert_int_equal(errno, ENOTTY);
	ibc_set_log(NULL, NULL);
}

static char *read_all(int fd)
{
	static char buf[4096];
	ssize_t n;
	size_t len = 0;

	while ((n = read(fd, buf + len, sizeof(buf) - 1 - len)) > 0)
		len += n;
	buf[len] = '\0';
	return buf;
}

/* this program with a scene; what it wrote to stderr */
static char *play(const char *scene, const char *level, const char *file)
{
	char program[PATH_MAX];
	int fds[2], status;
	char *text;
	pid_t pid;

	scene_program(program, sizeof(program));
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(fds[1], STDERR_FILENO);
		if (level)
			setenv("IBC_LOG_LEVEL", level, 1);
		if (file)
			setenv("IBC_LOG_FILE", file, 1);
		scene_exec(program, scene);
	}
	close(fds[1]);
	text = read_all(fds[0]);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	return text;
}

/* only the library's lines: valgrind writes its own there */
static unsigned int lines(const char *text)
{
	unsigned int n = 0;

	for (; (text = strstr(text, "libibclient: ")); text++)
		n++;
	return n;
}

static void nothing_prints_without_a_sink(void **state)
{
	(void)state;
	assert_int_equal(lines(play("default", NULL, NULL)), 0);
	assert_int_equal(lines(play("default", "nonsense", NULL)), 0);
	assert_int_equal(lines(play("default", "", NULL)), 0);
}

/* it was made for a sink, which left before it was written */
static void nothing_prints_after_the_sink_has_left(void **state)
{
	(void)state;
	assert_int_equal(lines(play("late", NULL, NULL)), 0);
}

static void the_level_of_the_environment_prints(void **state)
{
	char *text;

	(void)state;
	text = play("default", "error", NULL);
	assert_int_equal(lines(text), 1);
	assert_non_null(strstr(text, "libibclient: error: an error of 1\n"));
	assert_int_equal(lines(play("default", "warning", NULL)), 2);
	assert_int_equal(lines(play("default", "info", NULL)), 3);
	text = play("default", "debug", NULL);
	assert_int_equal(lines(text), 4);
	assert_non_null(strstr(text, "libibclient: debug: a debug\n"));
}

/* a callback takes the place of stderr, at the level of the environment */
static void the_environment_sets_the_level_of_a_sink(void **state)
{
	(void)state;
	assert_int_equal(lines(play("sink-error", "error", NULL)), 0);
	assert_int_equal(lines(play("sink-debug", "debug", NULL)), 0);
}

static void the_file_of_the_environment_is_appended_to(void **state)
{
	char path[] = "/tmp/ibc-log-XXXXXX", *text;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "first\n", 6), 6);
	assert_int_equal(lines(play("default", "info", path)), 0);
	assert_int_equal(lines(play("default", NULL, path)), 0);
	lseek(fd, 0, SEEK_SET);
	text = read_all(fd);
	assert_memory_equal(text, "first\n", 6);
	/* three of the first; error and warning of the second */
	assert_int_equal(lines(text), 5);
	unlink(path);
	close(fd);
	/* a place where nothing can be written is no trouble */
	assert_int_equal(lines(play("default", "info", "/nowhere/log")), 0);
}

static void leave_early(struct ibc_registry *reg)
{
	ibc_set_log(sink, seen);
	ibc__lock(reg);
	ibc__log(reg, IBC_LOG_ERROR, "too late");
	ibc_set_log(NULL, NULL);
	ibc__unlock(reg);
	check(!seen[IBC_LOG_ERROR]);
}

static bool held, forking;

/* keeps the log's lock until the other thread is, most likely, in fork() */
static void hold_the_lock(struct worker *w)
{
	unsigned int i;

	(void)w;
	ibc__log_lock();
	__atomic_store_n(&held, true, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&forking, __ATOMIC_SEQ_CST))
		sched_yield();
	for (i = 0; i < 10000; i++)
		sched_yield();
	ibc__log_unlock();
}

static void a_child_finds_the_log_unlocked(void **state)
{
	struct worker w = {};
	int status;
	pid_t pid;

	(void)state;
	held = forking = false;
	worker_start(&w, hold_the_lock);
	wait_for(__atomic_load_n(&held, __ATOMIC_SEQ_CST));
	__atomic_store_n(&forking, true, __ATOMIC_SEQ_CST);
	pid = fork();
	if (!pid) {
		alarm(30);
		ibc_set_log(NULL, NULL);
		execl("/bin/true", "true", NULL);
		_exit(125);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	worker_join(&w);
}

static void a_broken_pipe_kills_nobody(void **state)
{
	(void)state;
	scene_play("pipe", 0);
}

/* stderr is a pipe that nobody reads; the signal is not left behind either */
static void break_stderr(void)
{
	int fds[2];

	check(pipe2(fds, O_CLOEXEC) == 0);
	check(dup2(fds[1], STDERR_FILENO) >= 0);
	close(fds[0]);
	close(fds[1]);
	setenv("IBC_LOG_LEVEL", "debug", 1);
}

static void expect_no_sigpipe(void)
{
	sigset_t set;

	check(sigpending(&set) == 0 && !sigismember(&set, SIGPIPE));
	check(pthread_sigmask(SIG_SETMASK, NULL, &set) == 0);
	check(!sigismember(&set, SIGPIPE));
}

/* the other processes: no cmocka here, its output would be in the way */
static int scene(const char *name)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };
	struct ibc_registry *reg;
	bool with_sink = strncmp(name, "sink", 4) == 0;
	unsigned int debug = strcmp(name, "sink-debug") == 0;

	if (strcmp(name, "pipe") == 0)
		break_stderr();
	fake_start();
	if (with_sink)
		ibc_set_log(sink, seen);
	reg = ibc_open(&attr);
	check(reg);
	memset(seen, 0, sizeof(seen));
	if (strcmp(name, "late") == 0)
		leave_early(reg);
	else
		one_of_each(reg);
	if (with_sink) {
		check(seen[IBC_LOG_ERROR] == 1);
		check(seen[IBC_LOG_WARNING] == debug);
		check(seen[IBC_LOG_INFO] == debug);
		check(seen[IBC_LOG_DEBUG] == debug);
	}
	expect_no_sigpipe();
	check(ibc_close(reg) == 0);
	return fake_stop() ? 0 : 1;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		IN_MANUAL(a_sink_gets_all_but_debug),
		IN_MANUAL(a_long_message_is_whole),
		IN_MANUAL(a_message_keeps_errno),
		IN_MANUAL(a_child_finds_the_log_unlocked),
		cmocka_unit_test(nothing_prints_without_a_sink),
		cmocka_unit_test(nothing_prints_after_the_sink_has_left),
		cmocka_unit_test(the_level_of_the_environment_prints),
		cmocka_unit_test(the_environment_sets_the_level_of_a_sink),
		cmocka_unit_test(the_file_of_the_environment_is_appended_to),
		cmocka_unit_test(a_broken_pipe_kills_nobody),
	};

	if (argc > 1)
		return scene(argv[1]);
	unsetenv("IBC_LOG_LEVEL");
	unsetenv("IBC_LOG_FILE");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
