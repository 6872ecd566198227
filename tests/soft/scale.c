// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/magic.h>

#include "scale.h"
#include "soft_test.h"

extern char **environ;

/* taken out of the environment, but for those who shall have it */
static char *preload;

__attribute__((constructor)) static void take_preload(void)
{
	const char *value = getenv("LD_PRELOAD");

	if (value && asprintf(&preload, "LD_PRELOAD=%s", value) < 0)
		abort();
	unsetenv("LD_PRELOAD");
}

/* ---- time and numbers ---- */

int64_t scale_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int num = 0;

	assert_non_null(dir);
	while (readdir(dir))
		num++;
	closedir(dir);
	return num;
}

int scale_count_fds(void)
{
	return count_entries("/proc/self/fd");
}

int scale_count_threads(void)
{
	return count_entries("/proc/self/task");
}

void scale_wait_threads(int num)
{
	int64_t end = soft_now_ms() + SCALE_WAIT_MS;

	while (scale_count_threads() != num) {
		assert_true(soft_now_ms() < end);
		soft_sleep_ms(1);
	}
}

static void *say_tid(void *arg)
{
	*(long *)arg = syscall(SYS_gettid);
	return NULL;
}

void scale_start_first_thread(void)
{
	int64_t end = soft_now_ms() + SCALE_WAIT_MS;
	pthread_t thread;
	char path[64];
	long tid;

	assert_int_equal(pthread_create(&thread, NULL, say_tid, &tid), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	snprintf(path, sizeof(path), "/proc/self/task/%ld", tid);
	while (!access(path, F_OK)) {
		assert_true(soft_now_ms() < end);
		soft_sleep_ms(1);
	}
}

static int compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int64_t scale_report(const char *what, int64_t *ns, int num)
{
	qsort(ns, num, sizeof(*ns), compare);
	printf("measured: %s: median %.2f ms, min %.2f, max %.2f (of %d)\n",
	       what, (double)ns[num / 2] / 1e6, (double)ns[0] / 1e6,
	       (double)ns[num - 1] / 1e6, num);
	fflush(stdout);
	return ns[num / 2];
}

/* ---- the fabric ---- */

static char last_dir[64];

static int remove_path(const char *path, const struct stat *st, int type,
		       struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int remove_dir(const char *dir)
{
	return nftw(dir, remove_path, 16, FTW_DEPTH | FTW_PHYS);
}

/* that of a test that has failed */
static void remove_last_dir(void)
{
	if (last_dir[0])
		remove_dir(last_dir);
}

static bool is_memory(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == TMPFS_MAGIC &&
	       !access(path, W_OK | X_OK);
}

static void is_empty(const char *tree)
{
	static const char *const below[] = { "/infiniband/",
					     "/infiniband_verbs/", "/new/",
					     "/removed/" };
	unsigned int i;

	for (i = 0; i < sizeof(below) / sizeof(below[0]); i++)
		assert_null(strstr(tree, below[i]));
}

void scale_make_fabric(struct scale_fabric *fabric)
{
	static bool registered;

	if (!registered)
		atexit(remove_last_dir);
	registered = true;
	fabric->num_fds = scale_count_fds();
	snprintf(fabric->dir, sizeof(fabric->dir), "%s/soft-scale-XXXXXX",
		 is_memory("/dev/shm") ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(fabric->dir));
	strcpy(last_dir, fabric->dir);
	setenv("SOFTVERBS_DIR", fabric->dir, 1);
	fabric->sv = softverbs_open(NULL);
	assert_non_null(fabric->sv);
	/* what the first device makes stays */
	assert_int_equal(softverbs_add_device(fabric->sv, "first", 0, 1, 0), 0);
	assert_int_equal(softverbs_remove_device(fabric->sv, "first", 0), 0);
	fabric->tree = scale_tree(fabric);
	is_empty(fabric->tree);
}

void scale_remove_fabric(struct scale_fabric *fabric)
{
	softverbs_close(fabric->sv);
	free(fabric->tree);
	assert_int_equal(remove_dir(fabric->dir), 0);
	last_dir[0] = '\0';
	assert_int_equal(scale_count_fds(), fabric->num_fds);
}

static void print_tree(FILE *out, const char *path)
{
	struct dirent **entries;
	char *below;
	int i, num;

	fprintf(out, "%s\n", path);
	num = scandir(path, &entries, NULL, alphasort);
	for (i = 0; i < num; i++) {
		if (strcmp(entries[i]->d_name, ".") &&
		    strcmp(entries[i]->d_name, "..")) {
			assert_true(asprintf(&below, "%s/%s", path,
					     entries[i]->d_name) > 0);
			print_tree(out, below);
			free(below);
		}
		free(entries[i]);
	}
	if (num >= 0)
		free(entries);
}

char *scale_tree(const struct scale_fabric *fabric)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	print_tree(out, fabric->dir);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* ---- other processes ---- */

static pid_t start(const char *program, const char *const argv[], int in,
		   int out, char **env)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	if (in >= 0)
		posix_spawn_file_actions_adddup2(&actions, in, 0);
	if (out >= 0) {
		posix_spawn_file_actions_adddup2(&actions, out, 1);
		posix_spawn_file_actions_adddup2(&actions, out, 2);
	}
	assert_int_equal(posix_spawn(&pid, program, &actions, NULL,
				     (char *const *)argv, env),
			 0);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

pid_t scale_start_command(int out, const char *const words[])
{
	const char *program = getenv("SOFTVERBS"), *argv[16] = { "softverbs" };
	int i;

	assert_non_null(program);
	for (i = 0; words[i] && i < 14; i++)
		argv[i + 1] = words[i];
	return start(program, argv, -1, out, environ);
}

int scale_wait(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

pid_t scale_start_self(const char *argument, int *socket)
{
	const char *argv[] = { "/proc/self/exe", argument, NULL };
	int num = 0, fds[2];
	char **env;
	pid_t pid;

	assert_non_null(preload);
	while (environ[num])
		num++;
	env = calloc(num + 2, sizeof(*env));
	assert_non_null(env);
	memcpy(env, environ, num * sizeof(*env));
	env[num] = preload;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	pid = start("/proc/self/exe", argv, fds[1], -1, env);
	close(fds[1]);
	free(env);
	*socket = fds[0];
	return pid;
}

static char process_state(pid_t pid)
{
	char path[32], state = 'Z';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "r");
	if (!file)
		return 'Z';
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 'Z';
	fclose(file);
	return state;
}

bool scale_wait_asleep(pid_t pid)
{
	int64_t end = soft_now_ms() + SCALE_WAIT_MS;
	char state = process_state(pid);

	while (state != 'S' && state != 'Z') {
		assert_true(soft_now_ms() < end);
		soft_sleep_ms(1);
		state = process_state(pid);
	}
	return state == 'S';
}
