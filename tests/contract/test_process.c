// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantee 19, but for fork (test_fork.c): signals, descriptors, threads, and
 * exit() with everything registered. What exits is this program again, with the
 * name of a scene.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness2.h"
#include "scene.h"

static struct rec a;

/* ---- signals ---- */

/* an emulator keeps some real-time signals to itself */
static int last_signal(void)
{
	return getenv("IBC_TEST_EMULATOR") ? 31 : SIGRTMAX;
}

static void expect_all_blocked(void)
{
	sigset_t set;
	int sig;

	check(pthread_sigmask(SIG_SETMASK, NULL, &set) == 0);
	for (sig = 1; sig <= last_signal(); sig++) {
		if (sig == SIGKILL || sig == SIGSTOP ||
		    (sig >= 32 && sig < SIGRTMIN)) /* glibc's own */
			continue;
		check(sigismember(&set, sig));
	}
}

static int blocked_in_add(struct rec *rec, struct ibc_device *dev)
{
	(void)rec;
	(void)dev;
	expect_all_blocked();
	return 0;
}

static void g19_library_threads_block_all_signals(void **state)
{
	sigset_t before, after;
	int sig;

	(void)state;
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	h_close(h_reg);
	h_reg = h_open(NULL);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (sig = 1; sig <= SIGRTMAX; sig++)
		assert_int_equal(sigismember(&before, sig),
				 sigismember(&after, sig));
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	a.on_add = blocked_in_add;
	rec_register(&a);
	assert_int_equal(h_count(&a, H_ADD), 1);
	rec_unregister(&a);
}

/* those that have not run a callback yet, too: by what the kernel says */
static unsigned int ibclient_threads_with_mask(uint64_t *masks)
{
	unsigned long long mask;
	char path[300], line[256];
	struct dirent *entry;
	unsigned int n = 0;
	bool ours;
	DIR *dir = opendir("/proc/self/task");
	FILE *f;

	check(dir);
	*masks = UINT64_MAX;
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/status",
			 entry->d_name);
		f = fopen(path, "re");
		ours = false;
		while (f && fgets(line, sizeof(line), f)) {
			ours |= strcmp(line, "Name:\tibclient\n") == 0;
			if (ours && sscanf(line, "SigBlk: %llx", &mask) == 1) {
				*masks &= mask;
				n++;
			}
		}
		if (f)
			fclose(f);
	}
	closedir(dir);
	return n;
}

static void g19_every_library_thread_blocks_them(void **state)
{
	uint64_t masks;
	int sig;

	(void)state;
	wait_for(ibclient_threads_with_mask(&masks) == 4);
	if (getenv("IBC_UNDER_VALGRIND") || getenv("IBC_TEST_EMULATOR"))
		return; /* the kernel's masks are valgrind's own there */
	for (sig = 1; sig <= 64; sig++)
		if (sig != SIGKILL && sig != SIGSTOP &&
		    (sig < 32 || sig >= SIGRTMIN))
			assert_true(masks >> (sig - 1) & 1);
}

static volatile sig_atomic_t handled;
static pthread_t handler_thread;

static void on_signal(int sig)
{
	(void)sig;
	handler_thread = pthread_self();
	handled = 1;
}

static void g19_a_signal_goes_to_the_application(void **state)
{
	(void)state;
	handled = 0;
	signal(SIGUSR1, on_signal);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	while (!handled)
		sched_yield();
	assert_true(pthread_equal(handler_thread, pthread_self()));
	signal(SIGUSR1, SIG_DFL);
}

/* ---- descriptors, threads, bytes ---- */

static void g19_all_descriptors_are_cloexec(void **state)
{
	struct ibv_context *context;
	struct ibc_device *dev;
	struct dirent *entry;
	DIR *dir;
	int fd;

	(void)state;
	fake_add("soft0", 0x11);
	context = fake_open("soft0");
	dev = ibc_adopt_context(h_reg, context, IBC_ADOPT_READ_EVENTS);
	rec_init(&a, "a", IBC_CLIENT_DEFER_FREE);
	rec_register(&a);
	dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		fd = atoi(entry->d_name);
		if (entry->d_name[0] == '.' || !h2_polled(h_reg, fd))
			continue;
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	}
	closedir(dir);
	assert_true(fcntl(h_reg->epoll_fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(h_reg->timer_fd, F_GETFD) & FD_CLOEXEC);
	assert_true(h2_polled(h_reg, h_reg->wake_fd));
	h2_remove(dev);
	fake_close(context);
	rec_unregister(&a);
}

/* a program that is run finds only what it would without the library */
static void g19_a_program_that_is_run_inherits_nothing(void **state)
{
	char list[512];
	unsigned int n = 0;
	FILE *f;

	(void)state;
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	f = popen("readlink /proc/self/fd/*", "re");
	assert_non_null(f);
	while (fgets(list, sizeof(list), f))
		n += !!strstr(list, "anon_inode");
	pclose(f);
	assert_int_equal(n, 0);
	rec_unregister(&a);
}

static void use_it_all(struct ibc_registry *reg)
{
	struct ibc_device *dev = ibc_get_device_by_name(reg, "soft0");
	struct ibv_async_event event = { .event_type = IBV_EVENT_PORT_ERR };

	check(dev);
	ibc_put_client_data(ibc_alloc_or_get_client_data(dev, &a.client));
	check(ibc_report_event(dev, &event) == 0);
	free(h2_dump(reg, IBC_DUMP_TEXT));
	ibc_put_device(dev);
}

static void g19_close_leaves_no_thread_no_fd(void **state)
{
	unsigned int i, fds, threads;

	(void)state;
	h_close(h_reg);
	fake_add("soft0", 0x11);
	fake_fail(FAKE_OPEN, EACCES, 3);
	fds = h2_fds();
	threads = h2_threads();
	for (i = 0; i < 10; i++) {
		h_reg = h_open(NULL);
		rec_init(&a, "a", i % 2 ? IBC_CLIENT_DEFER_FREE : 0);
		rec_register(&a);
		ibc_put_device(h_device("soft0"));
		use_it_all(h_reg);
		rec_unregister(&a);
		h_close(h_reg);
		assert_int_equal(h2_fds(), fds);
		h_reg = NULL;
		wait_for(h2_threads() == threads);
	}
}

/* in the middle of all that it does by itself */
static void g19_it_can_always_be_stopped(void **state)
{
	struct ibc_registry_attr attr = { .scan_interval_ms = 1 };
	unsigned int i;

	(void)state;
	h_close(h_reg);
	fake_add("soft0", 0x11);
	fake_add("soft1", 0x22);
	fake_fail(FAKE_OPEN, EIO, 60);
	for (i = 0; i < 20; i++) {
		if (i == 10)
			fake_fail(FAKE_LIST, EMFILE, 5);
		h_reg = h_open(&attr);
		rec_init(&a, "a", 0);
		if (ibc_register_client(h_reg, &a.client) == 0)
			rec_unregister(&a);
		fake_notify();
		h_close(h_reg);
		h_reg = NULL;
	}
}

/* ---- exit ---- */

static void g19_exit_with_everything_registered(void **state)
{
	(void)state;
	scene_play("threads", 7);
	scene_play("manual", 7);
	scene_play("shared", 7);
}

static void g19_exit_while_a_callback_runs(void **state)
{
	(void)state;
	scene_play("callback", 7);
}

static void g19_exit_in_a_callback(void **state)
{
	(void)state;
	scene_play("inside", 7);
}

/* an atexit() handler may still use the library */
static void g19_exit_with_a_handler_that_uses_it(void **state)
{
	(void)state;
	scene_play("handler", 7);
}

static void g19_exit_with_a_handler_that_closes(void **state)
{
	(void)state;
	scene_play("closes", 7);
}

static void g19_the_other_ways_to_end(void **state)
{
	(void)state;
	scene_play("return", 7);
	scene_play("_exit", 7);
	scene_play("quick_exit", 7);
}

static void g19_exit_while_a_thread_waits(void **state)
{
	(void)state;
	scene_play("waits", 7);
}

/* of handlers that are its parent's, too */
static void g19_exit_in_a_child(void **state)
{
	(void)state;
	scene_play("child", 7);
}

static struct ibc_registry *reg;
static struct ibc_device *held, *adopted;
static struct gate gate;

static int exit_in_add(struct rec *rec, struct ibc_device *dev)
{
	(void)rec;
	(void)dev;
	exit(7);
}

static void at_exit(void)
{
	use_it_all(reg);
	check(ibc_rescan(reg) == 0);
}

static void close_at_exit(void)
{
	h2_remove(adopted);
	ibc_put_device(held);
	check(ibc_unregister_client(&a.client) == 0);
	check(ibc_close(reg) == 0);
}

static void stay_in_add(struct worker *w)
{
	ibc_register_client(reg, &w->rec->client);
}

static void exit_in_a_callback(const char *name)
{
	struct worker w = { .rec = &a };

	if (strcmp(name, "inside") == 0)
		a.on_add = exit_in_add;
	if (strcmp(name, "callback") == 0) {
		a.gate[H_ADD] = &gate;
		worker_start(&w, stay_in_add);
		wait_for(gate_entered(&gate) == 1);
		exit(7);
	}
}

static void wait_for_ever(struct worker *w)
{
	(void)w;
	ibc_unregister_client(&a.client);
}

static void exit_beside_a_wait(void)
{
	struct worker w = {};

	check(ibc_alloc_or_get_client_data(held, &a.client));
	worker_start(&w, wait_for_ever);
	worker_wait_blocked(&w);
	exit(7);
}

/* the last handler: leak checkers miss what only the parent's threads point to */
static void end_child(void)
{
	_exit(7);
}

static void close_in_child(void)
{
	check(ibc_rescan(reg) == ECHILD);
	check(ibc_unregister_client(&a.client) == ECHILD);
	ibc_put_device(held);
	check(ibc_close(reg) == 0);
}

static void exit_in_a_child(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		atexit(end_child);
		atexit(close_in_child);
		exit(6);
	}
	check(waitpid(pid, &status, 0) == pid);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	use_it_all(reg);
}

static void end_scene(const char *name)
{
	if (strcmp(name, "handler") == 0)
		atexit(at_exit);
	else if (strcmp(name, "closes") == 0)
		atexit(close_at_exit);
	else if (strcmp(name, "_exit") == 0)
		_exit(7);
	else if (strcmp(name, "waits") == 0)
		exit_beside_a_wait();
	else if (strcmp(name, "child") == 0)
		exit_in_a_child();
	else if (strcmp(name, "quick_exit") == 0) {
		at_quick_exit(at_exit);
		quick_exit(7);
	}
}

/* the scenes: devices, a client with data, references, an adopted context */
static int scene(const char *name)
{
	struct ibc_registry_attr attr = { .num_threads = 2 };

	alarm(100);
	fake_start();
	fake_add("soft0", 0x11);
	h_record_start();
	if (strcmp(name, "manual") == 0)
		attr = (struct ibc_registry_attr){
			.flags = IBC_REGISTRY_MANUAL
		};
	reg = ibc_open(strcmp(name, "shared") == 0 ? NULL : &attr);
	check(reg);
	rec_init(&a, "a", IBC_CLIENT_DEFER_FREE);
	exit_in_a_callback(name);
	check(ibc_register_client(reg, &a.client) == 0);
	held = ibc_get_device_by_name(reg, "soft0");
	use_it_all(reg);
	adopted = ibc_adopt_context(reg, fake_open("soft0"), 0);
	check(adopted);
	end_scene(name);
	if (strcmp(name, "return") == 0)
		return 7;
	exit(7);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		H_TEST(g19_library_threads_block_all_signals, H_ONE),
		H_TEST(g19_library_threads_block_all_signals, H_FOUR),
		H_TEST(g19_every_library_thread_blocks_them, H_FOUR),
		H_TEST(g19_a_signal_goes_to_the_application, H_FOUR),
		IN_ALL(g19_all_descriptors_are_cloexec),
		H_TEST(g19_a_program_that_is_run_inherits_nothing, H_ONE),
		IN_ALL(g19_close_leaves_no_thread_no_fd),
		IN_ALL(g19_it_can_always_be_stopped),
		cmocka_unit_test(g19_exit_with_everything_registered),
		cmocka_unit_test(g19_exit_while_a_callback_runs),
		cmocka_unit_test(g19_exit_in_a_callback),
		cmocka_unit_test(g19_exit_with_a_handler_that_uses_it),
		cmocka_unit_test(g19_exit_with_a_handler_that_closes),
		cmocka_unit_test(g19_the_other_ways_to_end),
		cmocka_unit_test(g19_exit_while_a_thread_waits),
		cmocka_unit_test(g19_exit_in_a_child),
	};

	if (argc > 1)
		return scene(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
