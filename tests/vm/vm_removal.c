// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * vm_removal [-r] [-n ROUNDS] DEVICE
 * vm_removal [-w MS] [-k] DEVICE COMMAND [ARG...]
 * vm_removal -s
 *
 * What a removal costs, by one clock in one process: the kernel's signs
 * (signs.c), a client of the library, and a command that deletes the device.
 *
 * The first form watches while somebody else adds and deletes DEVICE. It prints
 * JSON, a line each: "ready"; then for each round "add", "remove" and "gone"
 * (as ibc_monitor does), with how much later than the bare reader they came; at
 * last "end", with medians and maxima in microseconds.
 *
 * The second form waits for DEVICE, runs the command and prints one line of
 * KEY=VALUE. If no remove() has come MS after the kernel's first sign, it calls
 * ibc_rescan() and says blind=1. -k: it keeps its reference until the command
 * has returned, which hangs unless the driver disassociates. -s prints what ibc_dump() says of each source.
 *
 * -r: it becomes user nobody in a user and a network namespace of its own, as in
 * a rootless container, once the bare readers' descriptors are open. They hear
 * from the kernel what the library does not: for an add, that the device is
 * there (a uevent, later than its node's); for a remove, by inotify, that the
 * node went.
 *
 * The client's callbacks only note the time. The main thread holds one reference
 * of its own and puts it when the registry has dropped its own: so that put is
 * the last one, and the library has to hand the close over to its thread. Beside
 * it is measured what it takes to wake a thread by an eventfd. ibv_close_device()
 * is interposed: when the library calls it is noted, too.
 *
 * now.lock guards the counters of now; a counter publishes what belongs to it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <infiniband/ibclient.h>

#include "signs.h"
#include "wake.h"

#define MAX_ROUNDS 1000
#define LONG_MS	   30000
#define NOBODY	   65534

extern char **environ;

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int adds, removes, gones, commands;
	int64_t added, removed, gone, closed, returned;
	int status; /* of the command that has ended */
	struct ibc_device *dev;
	struct ibc_client_data *data;
	char node[64], reason[128];
} now = { .lock = PTHREAD_MUTEX_INITIALIZER };

enum figure { ADD, REMOVE, CLOSE, HANDOVER, NUM_FIGURES };

static int64_t figures[NUM_FIGURES][MAX_ROUNDS];
static bool rootless;
static const char *device;
static int blind_ms = LONG_MS;
static bool keep;

static void fail(const char *what, int error)
{
	fprintf(stderr, "vm_removal: %s: %s\n", what, strerror(error));
	exit(1);
}

static int us(int64_t from, int64_t to)
{
	return (int)((to - from) / 1000);
}

/* lock held; false: not within @ms */
static bool wait_change(int64_t end)
{
	struct timespec ts = { .tv_sec = end / 1000000000,
			       .tv_nsec = end % 1000000000 };

	return !pthread_cond_timedwait(&now.changed, &now.lock, &ts);
}

/* A callback came at @at. */
static void count(int *counter, int64_t *when, int64_t at)
{
	pthread_mutex_lock(&now.lock);
	*when = at;
	++*counter;
	pthread_cond_broadcast(&now.changed);
	pthread_mutex_unlock(&now.lock);
}

/* ---- the client ---- */

static struct ibc_client_data *alloc(struct ibc_client *client,
				     struct ibc_device *dev)
{
	(void)client;
	(void)dev;
	return calloc(1, sizeof(struct ibc_client_data));
}

static void free_data(struct ibc_client_data *data)
{
	free(data);
}

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	int64_t at = now_ns();
	struct ibc_client_data *data;

	data = ibc_alloc_or_get_client_data(dev, client);
	if (!data)
		return errno;
	now.dev = dev;
	now.data = data;
	snprintf(now.node, sizeof(now.node), "%s",
		 ibc_device_context(dev)->device->dev_name);
	count(&now.adds, &now.added, at);
	return 0;
}

static void removed(struct ibc_client *client, struct ibc_device *dev,
		    struct ibc_client_data *data)
{
	int64_t at = now_ns();

	(void)client;
	(void)data;
	if (ibc_device_state(dev) == IBC_DEVICE_LIVE)
		return; /* only unregistered */
	count(&now.removes, &now.removed, at);
}

static void gone(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	(void)dev;
	count(&now.gones, &now.gone, now_ns());
}

static struct ibc_client client = {
	.name = "vm_removal",
	.add = add,
	.remove = removed,
	.gone = gone,
	.alloc_client_data = alloc,
	.free_client_data = free_data,
};

/* the library's call comes here first */
int ibv_close_device(struct ibv_context *context)
{
	static int (*real)(struct ibv_context * context);
	int64_t at = now_ns();

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "ibv_close_device");
	pthread_mutex_lock(&now.lock);
	now.closed = at;
	pthread_mutex_unlock(&now.lock);
	return real(context);
}

static void take_log(int level, const char *message, void *arg)
{
	static const char words[] = "removal begins: ";
	const char *found = strstr(message, words);

	(void)arg;
	if (level <= IBC_LOG_WARNING)
		fprintf(stderr, "libibclient: %s\n", message);
	if (!found)
		return;
	pthread_mutex_lock(&now.lock);
	snprintf(now.reason, sizeof(now.reason), "%s", found + strlen(words));
	pthread_mutex_unlock(&now.lock);
}

/* ---- waiting ---- */

static void wait_count(const int *count, int wanted, const char *what, int ms)
{
	int64_t end = now_ns() + ms * 1000000LL;

	pthread_mutex_lock(&now.lock);
	while (*count < wanted)
		if (!wait_change(end)) {
			pthread_mutex_unlock(&now.lock);
			fail(what, ETIMEDOUT);
		}
	pthread_mutex_unlock(&now.lock);
}

/* false: none came until the command had failed, or MS after the first sign */
static bool wait_removed(void)
{
	int64_t end = now_ns() + LONG_MS * 1000000LL, sign = 0;
	bool there, failed;

	do {
		if (!sign && (sign = signs_wait(SIGNS_ANY, NULL, true, 0)))
			end = sign + blind_ms * 1000000LL;
		pthread_mutex_lock(&now.lock);
		failed = now.commands && now.status;
		if (!now.removes && !failed)
			wait_change(now_ns() + 5000000);
		there = now.removes;
		pthread_mutex_unlock(&now.lock);
	} while (!there && !failed && now_ns() < end);
	return there;
}

/* The registry has put its reference; ours is the last. Returns when we put. */
static int64_t put_last(void)
{
	const struct timespec moment = { .tv_nsec = 200000 };
	int64_t end = now_ns() + LONG_MS * 1000000LL, at;

	while (ibc_device_state(now.dev) < IBC_DEVICE_DRAINING) {
		if (now_ns() > end)
			fail("state DRAINING", ETIMEDOUT);
		nanosleep(&moment, NULL);
	}
	at = now_ns();
	ibc_put_client_data(now.data);
	return at;
}

/* ---- the first form: rounds ---- */

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void say(const char *event, const char *key, int64_t value)
{
	printf("{\"event\":\"%s\",\"device\":\"%s\",\"%s\":%d}\n", event,
	       device, key, (int)value);
	fflush(stdout);
}

static int64_t sign(enum sign_source source, const char *node, bool went)
{
	int64_t at = signs_wait(source, node, went, LONG_MS);

	if (!at)
		fail("a sign of the kernel's", ETIMEDOUT);
	return at;
}

/* how much later than the bare readers' wake-up */
static int64_t add_us(void)
{
	if (rootless)
		return us(sign(SIGNS_UEVENT, device, false), now.added);
	return us(sign(SIGNS_UEVENT, now.node, false), now.added);
}

static int64_t remove_us(void)
{
	return us(sign(rootless ? SIGNS_INOTIFY : SIGNS_UEVENT, now.node, true),
		  now.removed);
}

static void one_round(int n)
{
	int64_t put;

	wait_count(&now.adds, n + 1, "add()", 1000 * LONG_MS);
	figures[ADD][n] = add_us();
	say("add", "us", figures[ADD][n]);
	wait_count(&now.removes, n + 1, "remove()", 1000 * LONG_MS);
	figures[REMOVE][n] = remove_us();
	figures[HANDOVER][n] = us(0, wake_ns());
	put = put_last();
	wait_count(&now.gones, n + 1, "gone()", LONG_MS);
	figures[CLOSE][n] = us(put, now.closed);
	signs_forget();
	say("remove", "us", figures[REMOVE][n]);
	say("gone", "close_us", figures[CLOSE][n]);
}

static void say_median(const char *name, enum figure figure, int num)
{
	qsort(figures[figure], num, sizeof(figures[figure][0]), by_value);
	printf(",\"%s_us\":%d,\"%s_max_us\":%d", name,
	       (int)figures[figure][num / 2], name,
	       (int)figures[figure][num - 1]);
}

static void rounds(int num)
{
	int i;

	say("ready", "rounds", num);
	for (i = 0; i < num; i++)
		one_round(i);
	printf("{\"event\":\"end\",\"device\":\"%s\"", device);
	say_median("add", ADD, num);
	say_median("remove", REMOVE, num);
	say_median("close", CLOSE, num);
	say_median("handover", HANDOVER, num);
	puts("}");
}

/* ---- the second form: one command ---- */

static void *wait_command(void *arg)
{
	int status;

	if (waitpid((pid_t)(intptr_t)arg, &status, 0) < 0)
		fail("waitpid", errno);
	now.status = WIFEXITED(status) ? WEXITSTATUS(status) : 255;
	count(&now.commands, &now.returned, now_ns());
	return NULL;
}

/* Its standard output is ours for errors. All our descriptors are CLOEXEC. */
static void start_command(char **argv)
{
	posix_spawn_file_actions_t actions;
	pthread_t thread;
	int error;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, 2, 1);
	error = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (error)
		fail(argv[0], error);
	error = pthread_create(&thread, NULL, wait_command,
			       (void *)(intptr_t)pid);
	if (error)
		fail("pthread_create", error);
}

/* What the last line says of a removal; nothing of it without one. */
static void print_result(int64_t first, int64_t put, bool blind)
{
	printf("status=%d removes=%d blind=%d", now.status, now.removes, blind);
	if (put)
		printf(" sign_us=%d put_us=%d close_us=%d reason='%s'",
		       us(first, now.removed), us(put, now.returned),
		       us(put, now.closed), now.reason);
	putchar('\n');
}

/* True: no remove() has come by itself, but maybe one by ibc_rescan(). */
static bool see_removal(struct ibc_registry *reg)
{
	bool blind = !wait_removed();

	if (blind && ibc_rescan(reg))
		fail("ibc_rescan", errno);
	if (signs_wait(SIGNS_ANY, NULL, true, 0))
		wait_count(&now.removes, 1, "remove(), after ibc_rescan()",
			   LONG_MS);
	return blind;
}

static void one_command(struct ibc_registry *reg, char **argv)
{
	int64_t put = 0;
	bool blind;

	wait_count(&now.adds, 1, "add()", LONG_MS);
	signs_forget();
	start_command(argv);
	blind = see_removal(reg);
	if (keep)
		wait_count(&now.commands, 1, argv[0], LONG_MS);
	if (now.removes) {
		put = put_last();
		wait_count(&now.gones, 1, "gone()", LONG_MS);
	}
	wait_count(&now.commands, 1, argv[0], LONG_MS);
	if (!now.removes)
		ibc_put_client_data(now.data);
	print_result(signs_wait(SIGNS_ANY, NULL, true, 0), put, blind);
}

/* ---- the start ---- */

static void print_sources(struct ibc_registry *reg)
{
	char *text = NULL, *line, *next;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out || ibc_dump(reg, out, IBC_DUMP_TEXT) || fclose(out))
		fail("ibc_dump", errno);
	for (line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (strncmp(line, "source ", 7) == 0)
			puts(line + 7);
	}
	free(text);
}

static void start_signs(void)
{
	pthread_condattr_t attr;
	int error;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&now.changed, &attr);
	pthread_condattr_destroy(&attr);
	error = signs_start();
	if (error)
		fail("bare reader", error);
	error = wake_start();
	if (error)
		fail("sleeping thread", error);
}

/* Before any thread: a process with threads cannot have a new user namespace. */
static void enter(void)
{
	int error = signs_open();

	if (error)
		fail("bare reader", error);
	if (rootless &&
	    (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY) ||
	     unshare(CLONE_NEWUSER | CLONE_NEWNET)))
		fail("namespaces", errno);
}

static int usage(void)
{
	fprintf(stderr,
		"usage: vm_removal [-r] [-n ROUNDS] DEVICE\n"
		"       vm_removal [-w MS] [-k] DEVICE COMMAND [ARG...]\n"
		"       vm_removal -s\n");
	return 2;
}

static struct ibc_registry *open_registry(void)
{
	const struct ibc_registry_attr attr = { .devices = device };
	struct ibc_registry *reg;

	ibc_set_log(take_log, NULL);
	reg = ibc_open(&attr);
	if (!reg)
		fail("ibc_open", errno);
	return reg;
}

int main(int argc, char **argv)
{
	struct ibc_registry *reg;
	int opt, error, num = 1;
	bool sources = false;

	while ((opt = getopt(argc, argv, "+rkn:w:s")) != -1) {
		if (opt == 'r')
			rootless = true;
		else if (opt == 'k')
			keep = true;
		else if (opt == 'n')
			num = atoi(optarg);
		else if (opt == 'w')
			blind_ms = atoi(optarg);
		else if (opt == 's')
			sources = true;
		else
			return usage();
	}
	device = argv[optind];
	if ((!device && !sources) || num < 1 || num > MAX_ROUNDS)
		return usage();
	if (!sources)
		enter();
	reg = open_registry();
	if (sources) {
		print_sources(reg);
		return ibc_close(reg);
	}
	start_signs();
	error = ibc_register_client(reg, &client);
	if (error)
		fail("ibc_register_client", error);
	if (argv[optind + 1])
		one_command(reg, argv + optind + 1);
	else
		rounds(num);
	ibc_unregister_client(&client);
	return ibc_close(reg) != 0;
}
