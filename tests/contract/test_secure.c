// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantee 19: a program that runs with more rights than who started it takes no
 * orders from the environment. Such a program is a copy of this one with the
 * set-group-ID bit: a group that is not its own is enough, and root has any.
 */
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness2.h"
#include "scene.h"

#define NOT_SECURE 3 /* how the scene ends where the kernel made it none */

static char copy[PATH_MAX], log_file[PATH_MAX], status_dir[PATH_MAX];

/* a group that files may be given to, or -1 */
static gid_t another_group(void)
{
	gid_t groups[NGROUPS_MAX];
	int i, num = getgroups(NGROUPS_MAX, groups);

	if (geteuid() == 0)
		return 65534;
	for (i = 0; i < num; i++)
		if (groups[i] != getgid())
			return groups[i];
	return (gid_t)-1;
}

static void copy_program(void)
{
	char program[PATH_MAX - 16], buf[65536];
	int from, to;
	ssize_t len;

	scene_program(program, sizeof(program));
	snprintf(copy, sizeof(copy), "%s-setgid-XXXXXX", program);
	from = open(program, O_RDONLY | O_CLOEXEC);
	to = mkostemp(copy, O_CLOEXEC);
	check(from >= 0 && to >= 0);
	while ((len = read(from, buf, sizeof(buf))) > 0)
		check(write(to, buf, len) == len);
	check(len == 0);
	close(from);
	close(to);
}

static int setup(void **state)
{
	(void)state;
	copy_program();
	snprintf(log_file, sizeof(log_file), "%.*s.log",
		 (int)sizeof(log_file) - 8, copy);
	snprintf(status_dir, sizeof(status_dir), "/tmp/ibc-status-XXXXXX");
	check(mkdtemp(status_dir));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(copy);
	unlink(log_file);
	return rmdir(status_dir);
}

/* the copy, with every variable that the library knows */
static int run(const char *scene)
{
	int status;
	pid_t pid = fork();

	check(pid >= 0);
	if (!pid) {
		setenv("IBC_LOG_LEVEL", "debug", 1);
		setenv("IBC_LOG_FILE", log_file, 1);
		setenv("IBC_SOURCES", "timer,nonsense", 1);
		setenv("IBC_TRACK_REFS", "1", 1);
		setenv("IBC_STATUS_DIR", status_dir, 1);
		scene_exec(copy, scene);
	}
	check(waitpid(pid, &status, 0) == pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void g19_the_environment_is_heard(void **state)
{
	(void)state;
	assert_int_equal(chmod(copy, 0755), 0);
	assert_int_equal(run("plain"), 0);
	assert_int_equal(access(log_file, F_OK), 0);
}

static void g19_not_in_a_setgid_program(void **state)
{
	gid_t group = another_group();
	int status;

	(void)state;
	if (group == (gid_t)-1) {
		print_message("this user is in one group only\n");
		skip();
	}
	assert_int_equal(chown(copy, -1, group), 0);
	assert_int_equal(chmod(copy, 02755), 0);
	status = run("secure");
	if (status == NOT_SECURE) {
		print_message("no set-group-ID here: nosuid, no_new_privs?\n");
		skip();
	}
	assert_int_equal(status, 0);
	assert_int_equal(access(log_file, F_OK), -1);
}

static int scene(const char *name)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };
	bool secure = getauxval(AT_SECURE);
	struct ibc_registry *reg;

	if (secure != (strcmp(name, "secure") == 0))
		return NOT_SECURE;
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* LeakSanitizer wants to trace */
	fake_start();
	reg = ibc_open(&attr);
	check(reg);
	check(!reg->tracker == secure);
	check(!reg->status == secure);
	check((reg->sources[IBC_SOURCE_INOTIFY].state == IBC_SOURCE_OFF) !=
	      secure);
	check(ibc_close(reg) == 0);
	return fake_stop() ? 0 : 1;
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(g19_the_environment_is_heard),
		T(g19_not_in_a_setgid_program),
	};

	if (argc > 1)
		return scene(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
