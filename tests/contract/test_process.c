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

static struct rec a;

/* ---- signals ---- */

static void expect_all_blocked(void)
{
	sigset_t set;
	int sig;

	check(pthread_sigmask(SIG_SETMASK, NULL, &set) == 0);
	for (sig = 1; sig <= SIGRTMAX; sig++) {
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
	if (getenv("IBC_UNDER_VALGRIND"))
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

static void play(const char *scene)
{
	char self[PATH_MAX] = "";
	int status;
	pid_t pid;

	/* not the link itself: under valgrind that is valgrind */
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		execl(self, "test_process", scene, NULL);
		_exit(126);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void g19_exit_with_everything_registered(void **state)
{
	(void)state;
	play("threads");
	play("manual");
	play("shared");
}

static void g19_exit_while_a_callback_runs(void **state)
{
	(void)state;
	play("callback");
}

static void g19_exit_in_a_callback(void **state)
{
	(void)state;
	play("inside");
}

/* an atexit() handler may still use the library */
static void g19_exit_with_a_handler_that_uses_it(void **state)
{
	(void)state;
	play("handler");
}

static struct ibc_registry *reg;
static struct ibc_device *held;
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

static void stay_in_add(struct worker *w)
{
	ibc_register_client(reg, &w->rec->client);
}

/* the scenes: devices, a client with data, references, an adopted context */
static int scene(const char *name)
{
	struct ibc_registry_attr attr = { .num_threads = 2 };
	struct worker w = { .rec = &a };

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
	if (strcmp(name, "inside") == 0)
		a.on_add = exit_in_add;
	if (strcmp(name, "callback") == 0) {
		a.gate[H_ADD] = &gate;
		worker_start(&w, stay_in_add);
		wait_for(gate_entered(&gate) == 1);
		exit(7);
	}
	check(ibc_register_client(reg, &a.client) == 0);
	held = ibc_get_device_by_name(reg, "soft0");
	use_it_all(reg);
	if (strcmp(name, "handler") == 0)
		atexit(at_exit);
	check(ibc_adopt_context(reg, fake_open("soft0"), 0));
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
	};

	if (argc > 1)
		return scene(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
