// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The status socket of IBC_STATUS_DIR: who may look, what he gets, and that he can
 * neither hold anybody up nor have anything left behind (guarantees 3, 19, 20).
 */
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness2.h"
#include "status_reader.h"

#define NUM_BIG	 64
#define BIG_NAME 8192
#define MANY	 40
#define PLACES	 4 /* readers at once */

static char dir[64];
static struct rec a;

static int setup(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/ibc-status-XXXXXX");
	check(mkdtemp(dir));
	check(setenv("IBC_STATUS_DIR", dir, 1) == 0);
	return h_setup(state);
}

/* nothing is left in the directory */
static int teardown(void **state)
{
	int error = h_teardown(state);

	check(unsetenv("IBC_STATUS_DIR") == 0);
	if (!error)
		check(rmdir(dir) == 0);
	return error;
}

static void begin(void)
{
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	ibc_put_device(h_device("soft0"));
}

static void end(void)
{
	rec_unregister(&a);
}

/* news is heard, and told */
static void events_go_on(void)
{
	unsigned int n = h_count(&a, H_EVENT);

	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(h_count(&a, H_EVENT) == n + 1);
}

static void look(struct status_reader *r)
{
	check(status_connect(r, dir, 0));
}

static void get_all(struct status_reader *r)
{
	wait_for(status_read(r));
	check(status_is_whole(r));
}

/* ---- what one gets ---- */

static void g19_who_connects_gets_the_dump(void **state)
{
	struct status_reader r;
	struct stat st;
	char path[128];
	int i;

	(void)state;
	begin();
	status_path(path, sizeof(path), dir, 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	for (i = 0; i < 3; i++) {
		look(&r);
		get_all(&r);
		assert_non_null(strstr(r.text, "\"soft0\""));
		assert_non_null(strstr(r.text, "\"live\""));
		assert_int_equal(r.text[r.len - 1], '\n');
		status_close(&r);
	}
	fake_remove("soft0", FAKE_WAIT);
	wait_for(h_count(&a, H_GONE) == 1);
	wait_for(status_has(dir, 0, "\"devices\": []"));
	end();
}

/* what he sends is not looked at, and does not disturb */
static void g19_a_reader_may_say_anything(void **state)
{
	struct status_reader r;

	(void)state;
	begin();
	look(&r);
	/* EPIPE: he has been served already */
	check(send(r.fd, "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL) == 18 ||
	      errno == EPIPE);
	wait_for(status_read(&r));
	check(status_is_whole(&r));
	status_close(&r);
	look(&r); /* and is gone before he could be served */
	status_close(&r);
	events_go_on();
	wait_for(status_has(dir, 0, "\"soft0\""));
	end();
}

static unsigned int whole_of(struct status_reader *r, unsigned int num)
{
	unsigned int i, n = 0;

	for (i = 0; i < num; i++)
		n += status_is_whole(&r[i]);
	return n;
}

/* the backlog is short: who finds it full may come again */
static bool all_have_come(struct status_reader *r, unsigned int *num)
{
	while (*num < MANY && status_connect(&r[*num], dir, 0))
		++*num;
	check(*num == MANY || errno == EAGAIN);
	return *num == MANY;
}

static bool all_have_ended(struct status_reader *r)
{
	unsigned int i;
	bool ended = true;

	for (i = 0; i < MANY; i++)
		ended = status_read(&r[i]) && ended;
	return ended;
}

/* some had to leave for others; who came last got all */
static void g19_many_readers_at_once(void **state)
{
	struct status_reader r[MANY];
	unsigned int i, num = 0;

	(void)state;
	begin();
	wait_for(all_have_come(r, &num));
	events_go_on();
	wait_for(all_have_ended(r));
	assert_int_equal(whole_of(r + MANY - PLACES, PLACES), PLACES);
	for (i = 0; i < MANY; i++) {
		check(status_is_whole(&r[i]) || !r[i].len);
		status_close(&r[i]);
	}
	events_go_on();
	end();
}

/* ---- readers that do not read ---- */

static char big_name[BIG_NAME];
static struct ibc_client big[NUM_BIG];

/* more than a socket takes at once */
static void begin_big(void)
{
	unsigned int i;

	begin();
	memset(big_name, 'x', sizeof(big_name) - 1);
	memset(big, 0, sizeof(big));
	for (i = 0; i < NUM_BIG; i++) {
		big[i].name = big_name;
		check(ibc_register_client(h_reg, &big[i]) == 0);
	}
}

static void end_big(void)
{
	unsigned int i;

	for (i = 0; i < NUM_BIG; i++)
		check(ibc_unregister_client(&big[i]) == 0);
	end();
}

static bool has_begun(struct status_reader *r)
{
	char c;

	return recv(r->fd, &c, 1, MSG_PEEK) == 1;
}

static void g03_a_slow_reader_holds_nobody_up(void **state)
{
	struct status_reader slow, r;

	(void)state;
	begin_big();
	look(&slow);
	wait_for(has_begun(&slow));
	events_go_on();
	look(&r);
	get_all(&r);
	check(r.len > NUM_BIG * (BIG_NAME - 1));
	status_close(&r);
	get_all(&slow); /* he gets the rest */
	status_close(&slow);
	end_big();
}

static void g19_who_never_reads_makes_room(void **state)
{
	struct status_reader idle[PLACES], r;
	unsigned int i;

	(void)state;
	begin_big();
	for (i = 0; i < PLACES; i++) {
		look(&idle[i]);
		wait_for(has_begun(&idle[i]));
	}
	look(&r);
	get_all(&r);
	status_close(&r);
	wait_for(status_read(&idle[0])); /* the oldest: cut off */
	check(!status_is_whole(&idle[0]));
	for (i = 0; i < PLACES; i++)
		status_close(&idle[i]);
	events_go_on();
	end_big();
}

/* the teardown counts the descriptors */
static void g19_closed_with_readers_that_wait(void **state)
{
	struct status_reader idle[2];

	(void)state;
	begin_big();
	look(&idle[0]);
	wait_for(has_begun(&idle[0]));
	end_big();
	look(&idle[1]);
	h_close(h_reg);
	h_reg = NULL;
	check(!status_exists(dir, 0));
	wait_for(status_read(&idle[0]) && status_read(&idle[1]));
	status_close(&idle[0]);
	status_close(&idle[1]);
}

/* ---- children ---- */

/* a child that lives on, and has copies of all */
static void g19_a_child_keeps_no_reader(void **state)
{
	struct status_reader r;
	int go[2];
	pid_t pid;
	char c;

	(void)state;
	begin_big();
	look(&r);
	wait_for(has_begun(&r));
	check(pipe(go) == 0);
	pid = fork();
	if (!pid) {
		close(go[1]);
		check(read(go[0], &c, 1) == 0);
		h2_child_ends();
	}
	close(go[0]);
	get_all(&r); /* to the end of file, though the child has it */
	status_close(&r);
	wait_for(status_has(dir, 0, "\"soft0\""));
	events_go_on();
	close(go[1]);
	h2_wait_child(pid);
	end_big();
}

static void g19_a_child_leaves_the_name(void **state)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };
	struct ibc_registry *own;
	char path[128];
	pid_t pid;

	(void)state;
	begin();
	h2_all_asleep();
	pid = fork();
	if (!pid) {
		check(ibc_close(h_reg) == 0);
		own = ibc_open(&attr); /* has one of its own */
		check(own);
		status_path(path, sizeof(path), dir, 0);
		check(access(path, F_OK) == 0);
		check(ibc_close(own) == 0);
		check(access(path, F_OK) != 0);
		h2_child_ends();
	}
	h2_wait_child(pid);
	check(status_exists(dir, 0));
	wait_for(status_has(dir, 0, "\"soft0\""));
	end();
}

/* ---- names and directories ---- */

static void g19_each_registry_has_its_name(void **state)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };
	struct ibc_registry *second;

	(void)state;
	second = ibc_open(&attr);
	check(second);
	check(status_exists(dir, 0) && status_exists(dir, 1));
	check(ibc_close(second) == 0);
	check(status_exists(dir, 0) && !status_exists(dir, 1));
}

static void expect_none(const char *value, const char *why)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };
	unsigned int n = h_logged(IBC_LOG_WARNING, why);
	struct ibc_registry *reg;

	check(setenv("IBC_STATUS_DIR", value, 1) == 0);
	reg = ibc_open(&attr);
	check(reg);
	check(!reg->status);
	check(ibc_dispatch(reg, 0) == ETIMEDOUT || !*why);
	if (h_logged(IBC_LOG_WARNING, why) != n + !!*why)
		fail_msg("%s: no warning with \"%s\"", value, why);
	check(ibc_close(reg) == 0);
}

static void g20_a_bad_directory_is_told(void **state)
{
	char path[256], file[256];

	(void)state;
	h_log_capture();
	expect_none("relative/path", "it is no absolute path");
	expect_none("1", "it is no absolute path");
	expect_none("/dev/null", "it is no directory");
	snprintf(path, sizeof(path), "%s/none/none", dir);
	expect_none(path, "No such file or directory");
	snprintf(path, sizeof(path), "%s/%0*d", dir, 100, 0);
	expect_none(path, "File name too long");
	check(rmdir(path) == 0);
	check(chmod(dir, 0770) == 0);
	expect_none(dir, "others may write there");
	check(chmod(dir, 0702) == 0);
	expect_none(dir, "others may write there");
	check(chmod(dir, 0700) == 0);
	status_path(file, sizeof(file), dir, 0);
	check(access(file, F_OK) != 0);
}

static void g20_nothing_said_of_what_is_off(void **state)
{
	(void)state;
	h_log_capture();
	expect_none("", "");
	check(h_logged(0, "STATUS") == 0);
	check(h_logged(0, "status") == 0);
}

static void g20_a_directory_is_made(void **state)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };
	struct ibc_registry *reg;
	char path[128];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/made", dir);
	check(setenv("IBC_STATUS_DIR", path, 1) == 0);
	reg = ibc_open(&attr);
	check(reg && reg->status);
	check(stat(path, &st) == 0 && (st.st_mode & 07777) == 0700);
	check(status_exists(path, 0));
	check(ibc_close(reg) == 0);
	check(rmdir(path) == 0);
}

/* ---- other users ---- */

static bool is_root(void)
{
	if (geteuid() == 0)
		return true;
	print_message("only root can be another user\n");
	return false;
}

static void g20_another_users_directory(void **state)
{
	(void)state;
	if (!is_root())
		skip();
	h_log_capture();
	check(chown(dir, 65534, -1) == 0);
	expect_none(dir, "it belongs to another user");
}

static void look_as_nobody(const char *path)
{
	struct pollfd pollfd = { .events = POLLIN };
	struct status_reader r;

	check(setresuid(65534, 65534, 65534) == 0);
	check(status_connect_to(&r, path));
	pollfd.fd = r.fd;
	while (!status_read(&r))
		check(poll(&pollfd, 1, 60000) == 1);
	check(!r.len);
	h2_child_ends();
}

/* as if the modes of directory and socket had not kept him out */
static void g19_another_user_gets_nothing(void **state)
{
	char path[128];
	int status;
	pid_t pid;

	(void)state;
	if (!is_root())
		skip();
	begin();
	status_path(path, sizeof(path), dir, 0);
	check(chmod(dir, 0711) == 0 && chmod(path, 0666) == 0);
	pid = fork();
	if (!pid)
		look_as_nobody(path);
	wait_for(waitpid(pid, &status, WNOHANG) == pid);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	check(chmod(dir, 0700) == 0);
	wait_for(status_has(dir, 0, "\"soft0\""));
	end();
}

/* the harness's, with setup and teardown of this file's */
#define T(fn, how)                                         \
	{                                                  \
#fn " " #how, fn, setup, teardown, &how##_ \
	}
#define NONE(fn) T(fn, H_NONE)
#define ALL(fn)	 T(fn, H_MANUAL), T(fn, H_POOL), T(fn, H_ONE), T(fn, H_FOUR)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALL(g19_who_connects_gets_the_dump),
		ALL(g19_a_reader_may_say_anything),
		ALL(g19_many_readers_at_once),
		ALL(g03_a_slow_reader_holds_nobody_up),
		ALL(g19_who_never_reads_makes_room),
		T(g19_closed_with_readers_that_wait, H_MANUAL),
		T(g19_closed_with_readers_that_wait, H_ONE),
		T(g19_closed_with_readers_that_wait, H_FOUR),
		ALL(g19_a_child_keeps_no_reader),
		ALL(g19_a_child_leaves_the_name),
		T(g19_each_registry_has_its_name, H_MANUAL),
		T(g20_a_bad_directory_is_told, H_NONE),
		T(g20_nothing_said_of_what_is_off, H_NONE),
		T(g20_a_directory_is_made, H_NONE),
		/* these want root, whom softverbs' tests are not run by */
		ON_FAKE(NONE, g20_another_users_directory),
		ON_FAKE(ALL, g19_another_user_gets_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
