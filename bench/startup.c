// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Starting up: from nothing to the end of the last add(), beside reading the
 * device list and opening what is in it, which is what no program can do without.
 *
 * Eight devices of softverbs are opened through libibverbs. Eight others and a
 * thousand are fake ones, which cost nothing, and beside nothing everything is slow: so
 * list and open take as long for each of them as they took on softverbs just before,
 * paid by both sides, as time of a processor: unlike softverbs' system calls, two at a
 * time take no longer than one. Last, without that: what is left is the library's own.
 *
 * An operation is a device. What was opened is closed again, unmeasured.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <infiniband/ibclient.h>

#include "bench_backend.h"
#include "fake.h"
#include "measure.h"
#include "soft.h"
#include "suites.h"

#define SOFT_DEVICES 8
#define FAKE_DEVICES 1000
#define FDS_OF_FAKE  3
/*
 * Eight devices take a millisecond, and as much depends on which CPU the library's
 * new thread is put on: a median of few rounds may be either's.
 */
#define ROUNDS 101

static unsigned int num_devices;
static const char *pattern; /* of their names; a machine may have real ones */

/* of one device, in nanoseconds: what softverbs took, what the fake ones take */
struct cost {
	double list, open;
};

/* ---- the contenders ---- */

static atomic_uint added;

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	(void)dev;
	atomic_fetch_add(&added, 1);
	return 0;
}

static double ours(void *context)
{
	const struct ibc_registry_attr attr = { .devices = pattern };
	struct ibc_client client = { .name = "startup", .add = add };
	struct ibc_registry *reg;
	double begin, ns;

	(void)context;
	added = 0;
	begin = now_ns();
	reg = ibc_open(&attr);
	if (!reg || ibc_register_client(reg, &client))
		fail("startup: no registry, or no client: %s", strerror(errno));
	ns = now_ns() - begin;
	if (added != num_devices)
		fail("startup: %u devices of %u were added", added,
		     num_devices);
	if (ibc_unregister_client(&client) || ibc_close(reg))
		fail("startup: the registry cannot be closed");
	return ns / num_devices;
}

/* the devices, but for a machine's real ones */
static bool is_one(struct ibv_device *device)
{
	return strncmp(bench_backend()->get_device_name(device), pattern,
		       strlen(pattern) - 1) == 0;
}

static struct ibv_context *open_one(struct ibv_device *device)
{
	struct ibv_context *context = bench_backend()->open_device(device);

	if (!context)
		fail("startup: a device cannot be opened: %s", strerror(errno));
	return context;
}

static unsigned int open_all(struct ibv_context **contexts, struct cost *cost)
{
	struct ibv_device **list;
	double begin = now_ns();
	unsigned int n = 0;
	int i;

	list = bench_backend()->get_device_list(NULL);
	if (!list)
		fail("startup: no device list: %s", strerror(errno));
	cost->list = now_ns() - begin;
	for (i = 0; list[i] && n < num_devices; i++)
		if (is_one(list[i]))
			contexts[n++] = open_one(list[i]);
	bench_backend()->free_device_list(list);
	cost->open = now_ns() - begin - cost->list;
	return n;
}

static double bare(void *context)
{
	struct ibv_context *contexts[FAKE_DEVICES];
	struct cost *cost = context;
	unsigned int i, n;
	double begin, ns;

	begin = now_ns();
	n = open_all(contexts, cost);
	ns = now_ns() - begin;
	for (i = 0; i < n; i++)
		bench_backend()->close_device(contexts[i]);
	if (n != num_devices)
		fail("startup: the list has %u devices of %u", n, num_devices);
	cost->list /= n;
	cost->open /= n;
	return ns / n;
}

static void compare(const char *setting, struct figures *figures)
{
	static struct cost ignored;
	const struct contender contenders[] = {
		{ .name = "bare list + open",
		  .what = "the list, and each device opened",
		  .once = bare,
		  .context = &ignored },
		{ .name = "libibclient",
		  .what = "ibc_open() and ibc_register_client()",
		  .once = ours },
	};
	const struct benchmark benchmark = {
		.name = "startup",
		.operation = "one device",
		.setting = setting,
		.devices = num_devices,
		.min_rounds = num_devices == SOFT_DEVICES ? ROUNDS : 0,
		.contenders = contenders,
		.num = 2,
	};

	measure(&benchmark, figures);
}

/* ---- softverbs ---- */

static int compare_doubles(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* medians of a few, without the library */
static struct cost measure_cost(void)
{
	double list[9], open[9];
	struct cost cost;
	unsigned int i;

	for (i = 0; i < 9; i++) {
		bare(&cost);
		list[i] = cost.list;
		open[i] = cost.open;
	}
	qsort(list, 9, sizeof(*list), compare_doubles);
	qsort(open, 9, sizeof(*open), compare_doubles);
	return (struct cost){ list[4], open[4] };
}

static struct cost run_soft(void)
{
	struct figures figures[2];
	struct cost cost;

	num_devices = SOFT_DEVICES;
	pattern = "soft*";
	soft_begin(num_devices, 1);
	cost = measure_cost();
	compare("softverbs", figures);
	note("  a device takes %.1f us in the list and %.1f us to open",
	     cost.list / 1000, cost.open / 1000);
	verdict("start-up, 8 devices, against list + open",
		figures[1].median / figures[0].median, AT_MOST, 1.1);
	soft_end();
	return cost;
}

/* ---- fake devices ---- */

static void spend(double ns)
{
	double end = now_ns() + ns;

	while (now_ns() < end)
		;
}

static void spend_on_open(void *arg)
{
	const struct cost *cost = arg;

	spend(cost->open);
}

static void spend_on_list(void *arg)
{
	const struct cost *cost = arg;

	spend(cost->list * num_devices);
}

static void need_descriptors(unsigned int num)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= num)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max < num || setrlimit(RLIMIT_NOFILE, &limit))
		fail("startup: %u descriptors are needed, %lu are allowed: see "
		     "ulimit -Hn",
		     num, (unsigned long)limit.rlim_max);
}

static void add_fakes(void)
{
	char name[16];
	unsigned int i;

	for (i = 0; i < num_devices; i++) {
		snprintf(name, sizeof(name), "fake%u", i);
		fake_add(name, i + 1);
	}
}

static void begin_fake(unsigned int num)
{
	num_devices = num;
	pattern = "fake*";
	need_descriptors(num_devices * FDS_OF_FAKE + 100);
	fake_start();
	add_fakes();
}

static void end_fake(void)
{
	if (!fake_stop())
		fail("startup: the library left something behind");
}

/* ours to bare, where each device takes as long as one of softverbs */
static double compare_paid(struct cost *cost)
{
	struct figures figures[2];
	char setting[80];

	fake_on(FAKE_LIST, spend_on_list, cost);
	fake_on(FAKE_OPEN, spend_on_open, cost);
	snprintf(setting, sizeof(setting),
		 "fake, list %.1f us and open %.1f us each", cost->list / 1000,
		 cost->open / 1000);
	compare(setting, figures);
	fake_on(FAKE_LIST, NULL, NULL);
	fake_on(FAKE_OPEN, NULL, NULL);
	return figures[1].median / figures[0].median;
}

static void run_few(struct cost cost)
{
	begin_fake(SOFT_DEVICES);
	verdict("  the same on fake devices that take as long",
		compare_paid(&cost), AT_MOST, 1.1);
	end_fake();
}

static void run_many(struct cost cost)
{
	struct figures free_of[2];

	begin_fake(quickly() ? 20 : FAKE_DEVICES);
	verdict("start-up, 1,000 devices, against list + open",
		compare_paid(&cost), AT_MOST, 1.1);
	compare("fake, list and open cost nothing", free_of);
	note("  the library's own: %.1f us a device",
	     (free_of[1].median - free_of[0].median) / 1000);
	end_fake();
}

void bench_startup(void)
{
	struct cost cost;

	unpin(); /* the library's threads are where their creator may be */
	cost = run_soft();
	run_few(cost);
	run_many(cost);
}
