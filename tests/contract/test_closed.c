// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantees 19 and 20: a program that closes the library's descriptors, as
 * closefrom() does. It hears of it once, nothing spins or hangs, other files that
 * have the numbers now are left alone, and the registry can be closed.
 *
 * Each scene is a process of its own. What can still be said of the devices, whose
 * descriptors went too, is not looked at.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness2.h"
#include "scene.h"

#define FILES 64

static atomic_uint polls; /* epoll_wait() in vain: of a closed descriptor */

int __real_epoll_wait(int fd, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	int n = __real_epoll_wait(fd, events, max, timeout);

	if (n < 0 && errno != EINTR)
		atomic_fetch_add(&polls, 1);
	return n;
}

static struct ibc_registry *reg;
static struct rec a;
static int files[FILES];
static atomic_uint errors; /* that were logged */

static void sink(int level, const char *message, void *arg)
{
	(void)arg;
	if (level == IBC_LOG_ERROR && strstr(message, "has closed file desc"))
		atomic_fetch_add(&errors, 1);
}

static void begin(const struct ibc_registry_attr *attr)
{
	alarm(100);
	fake_start();
	h_record_start();
	fake_add("soft0", 0x11);
	ibc_set_log(sink, NULL);
	reg = ibc_open(attr);
	check(reg);
	rec_init(&a, "a", IBC_CLIENT_DEFER_FREE);
	check(ibc_register_client(reg, &a.client) == 0);
}

/*
 * closefrom() is younger than some C libraries that this is built with. Not by
 * close(): TSan would say that it is wrong, which is what this is about.
 */
static void close_from(int fd)
{
	int max = sysconf(_SC_OPEN_MAX);

	for (; fd < max && fd < 4096; fd++)
		syscall(SYS_close, fd);
}

/* the program's own now, empty, with the numbers of the library's */
static void reuse_numbers(void)
{
	unsigned int i;

	for (i = 0; i < FILES; i++) {
		files[i] = memfd_create("own", MFD_CLOEXEC);
		check(files[i] >= 0);
	}
}

static void files_are_untouched(void)
{
	unsigned int i;

	for (i = 0; i < FILES; i++)
		check(lseek(files[i], 0, SEEK_END) == 0);
}

/* one thread: it sleeps in epoll_wait(), or would poll again and again */
static bool sleeps(void)
{
	bool polling;

	ibc__lock(reg);
	polling = reg->polling;
	ibc__unlock(reg);
	return polling;
}

static void end(void)
{
	check(atomic_load(&errors) == 1);
	check(atomic_load(&polls) <= 4); /* one for each thread */
	exit(7);
}

/* ---- scenes ---- */

static void unregister_and_close(void)
{
	struct ibc_client another = { .name = "late" };

	check(ibc_unregister_client(&a.client) == 0);
	check(h_count(&a, H_REMOVE) == 1 && rec_live(&a) == 0);
	check(ibc_register_client(reg, &another) == EBADF);
	check(ibc_rescan(reg) == EBADF);
	check_null(ibc_adopt_context(reg, fake_open("soft0"), 0), EBADF);
	check(ibc_close(reg) == 0);
}

static void manual(void)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };
	struct ibc_client_data *data;
	struct ibc_device *dev;
	char *text;

	begin(&attr);
	dev = ibc_get_device_by_name(reg, "soft0");
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	close_from(3);
	while (ibc_dispatch(reg, 0) == 0)
		; /* what had been due */
	check(ibc_dispatch(reg, 0) == EBADF);
	check(ibc_dispatch(reg, -1) == EBADF);
	check(ibc_get_fd(reg) == -1 && errno == EBADF);
	text = h2_dump(reg, IBC_DUMP_TEXT);
	check(strstr(text, "the program closed its descriptor"));
	free(text);
	check(ibc_wait_drained(dev, 1) == ETIMEDOUT);
	ibc_put_client_data(data);
	ibc_put_device(dev);
	unregister_and_close();
	end();
}

/* a reference that another thread puts, deferred, while we wait for it */
static void put_later(struct worker *w)
{
	worker_wait_blocked(w->arg);
	ibc_put_client_data(w->data);
}

static void unregister(struct worker *w)
{
	check(ibc_unregister_client(&w->rec->client) == 0);
}

static void threads(unsigned int num)
{
	struct ibc_registry_attr attr = { .num_threads = num };
	struct ibc_device *dev;
	struct worker waits = { .rec = &a }, puts = { .arg = &waits };

	begin(&attr);
	dev = ibc_get_device_by_name(reg, "soft0");
	puts.data = ibc_alloc_or_get_client_data(dev, &a.client);
	wait_for(sleeps());
	close_from(3);
	worker_start(&waits, unregister);
	worker_start(&puts, put_later);
	worker_join(&waits);
	worker_join(&puts);
	check(h_count(&a, H_REMOVE) == 1 && rec_live(&a) == 0);
	ibc_put_device(dev);
	check(ibc_close(reg) == 0);
	end();
}

/* nothing wakes the thread before the registry is closed */
static void nothing_but_close(void)
{
	begin(NULL);
	check(ibc_unregister_client(&a.client) == 0);
	wait_for(sleeps());
	close_from(3);
	reuse_numbers();
	check(ibc_close(reg) == 0);
	files_are_untouched();
	end();
}

/* the thread is awake, in a callback, and comes back to a closed descriptor */
static void in_a_callback(void)
{
	struct gate gate = {};

	begin(NULL);
	a.gate[H_EVENT] = &gate;
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(gate_entered(&gate) == 1);
	close_from(3);
	gate_open(&gate);
	wait_for(atomic_load(&errors) == 1);
	check(atomic_load(&polls) == 1);
	unregister_and_close();
	end();
}

/* a child that has done so, and then closes its parent's registry, too */
static void child(void)
{
	pid_t pid;

	begin(NULL);
	pid = fork();
	if (!pid) {
		close_from(3);
		reuse_numbers();
		check(ibc_close(reg) == 0);
		files_are_untouched();
		h2_child_ends();
	}
	h2_wait_child(pid);
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(h_count(&a, H_EVENT) == 1);
	check(ibc_unregister_client(&a.client) == 0);
	check(ibc_close(reg) == 0);
	check(atomic_load(&errors) == 0);
	exit(7);
}

static int scene(const char *name)
{
	if (strcmp(name, "manual") == 0)
		manual();
	else if (strcmp(name, "one") == 0)
		threads(1);
	else if (strcmp(name, "four") == 0)
		threads(4);
	else if (strcmp(name, "close") == 0)
		nothing_but_close();
	else if (strcmp(name, "callback") == 0)
		in_a_callback();
	else
		child();
	return 1;
}

/* ---- tests ---- */

static void g20_closefrom_and_a_loop(void **state)
{
	(void)state;
	scene_play("manual", 7);
}

static void g20_closefrom_and_a_thread(void **state)
{
	(void)state;
	scene_play("one", 7);
}

static void g20_closefrom_and_four_threads(void **state)
{
	(void)state;
	scene_play("four", 7);
}

static void g19_closefrom_and_nothing_but_close(void **state)
{
	(void)state;
	scene_play("close", 7);
}

static void g20_closefrom_in_a_callback(void **state)
{
	(void)state;
	scene_play("callback", 7);
}

static void g19_closefrom_in_a_child(void **state)
{
	(void)state;
	scene_play("child", 7);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(g20_closefrom_and_a_loop),
		cmocka_unit_test(g20_closefrom_and_a_thread),
		cmocka_unit_test(g20_closefrom_and_four_threads),
		cmocka_unit_test(g19_closefrom_and_nothing_but_close),
		cmocka_unit_test(g20_closefrom_in_a_callback),
		cmocka_unit_test(g19_closefrom_in_a_child),
	};

	if (argc > 1)
		return scene(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
