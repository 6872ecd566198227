// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The end of a removal: the kernel waits for it, from the last put of a device's
 * data to the call of ibv_close_device(), which the library's thread makes. Beside
 * it what a hand-over from one thread to another costs at least: a write to an
 * eventfd that the other one sleeps on. Fake devices; who puts, or writes, is on
 * the first CPU, who closes, or reads, on the second.
 *
 * A sample is the median of some, each with a device of its own.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <infiniband/ibclient.h>

#include "fake.h"
#include "measure.h"
#include "suites.h"

#define REMOVALS 16
#define PAUSE_NS 50000.0 /* after which the other thread sleeps again */

/* when the other thread did it; 0: not yet */
static _Atomic double done_at;

static void done(void *arg)
{
	(void)arg;
	done_at = now_ns();
}

/* with one CPU, the other thread has to have it */
static double wait_until_done(double begin)
{
	while (done_at == 0)
		sched_yield();
	return done_at - begin;
}

static void pause_a_moment(void)
{
	double end = now_ns() + PAUSE_NS;

	while (now_ns() < end)
		sched_yield();
}

static int compare_doubles(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median_of(double (*one)(void))
{
	double ns[REMOVALS];
	unsigned int i;

	for (i = 0; i < REMOVALS; i++)
		ns[i] = one();
	qsort(ns, REMOVALS, sizeof(*ns), compare_doubles);
	return (ns[REMOVALS / 2 - 1] + ns[REMOVALS / 2]) / 2;
}

/* ---- the library ---- */

static struct ibc_registry *registry;
static _Atomic(struct ibc_device *) device; /* that was added last */
static atomic_bool gone;

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	device = ibc_get_device(dev);
	return 0;
}

static void is_gone(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	(void)dev;
	gone = true;
}

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

static struct ibc_client client = {
	.name = "removal",
	.add = add,
	.gone = is_gone,
	.alloc_client_data = alloc,
	.free_client_data = free_data,
};

/* a new device, whose removal waits for nothing but the data returned */
static struct ibc_client_data *hold_up_a_removal(void)
{
	struct ibc_client_data *data;

	device = NULL;
	fake_add("fake0", 1);
	while (!device)
		sched_yield();
	data = ibc_alloc_or_get_client_data(device, &client);
	if (!data)
		fail("removal: no data: %s", strerror(errno));
	fake_remove("fake0", FAKE_WAIT);
	while (ibc_device_state(device) != IBC_DEVICE_DRAINING)
		sched_yield();
	return data;
}

static double put_the_last(void)
{
	struct ibc_client_data *data = hold_up_a_removal();
	double begin, ns;

	gone = false;
	done_at = 0;
	pause_a_moment();
	begin = now_ns();
	ibc_put_client_data(data);
	ns = wait_until_done(begin);
	while (!gone)
		sched_yield();
	ibc_put_device(device);
	return ns;
}

static double ours(void *context)
{
	(void)context;
	return median_of(put_the_last);
}

static void start_library(void)
{
	const struct ibc_registry_attr attr = {};

	fake_start();
	fake_on(FAKE_CLOSE, done, NULL);
	registry = ibc_open(&attr);
	if (!registry || ibc_register_client(registry, &client))
		fail("removal: no registry, or no client: %s", strerror(errno));
}

static void stop_library(void)
{
	if (ibc_unregister_client(&client) || ibc_close(registry) ||
	    !fake_stop())
		fail("removal: the library left something behind");
}

/* ---- the hand-over ---- */

static pthread_t reader;
static int handed; /* an eventfd */
static atomic_bool over;

static void *read_handed(void *arg)
{
	uint64_t value;

	while (!over)
		if (read(handed, &value, sizeof(value)) == sizeof(value))
			done(arg);
	return NULL;
}

static void write_handed(void)
{
	const uint64_t one = 1;

	if (write(handed, &one, sizeof(one)) != sizeof(one))
		fail("removal: an eventfd cannot be written: %s",
		     strerror(errno));
}

static double hand_over_one(void)
{
	double begin;

	done_at = 0;
	pause_a_moment();
	begin = now_ns();
	write_handed();
	return wait_until_done(begin);
}

static double hand_over(void *context)
{
	(void)context;
	return median_of(hand_over_one);
}

static void start_reader(void)
{
	over = false;
	handed = eventfd(0, EFD_CLOEXEC);
	if (handed < 0)
		fail("removal: no eventfd: %s", strerror(errno));
	errno = pthread_create(&reader, NULL, read_handed, NULL);
	if (errno)
		fail("removal: no thread: %s", strerror(errno));
}

static void stop_reader(void)
{
	over = true;
	write_handed();
	pthread_join(reader, NULL);
	close(handed);
}

/* ---- the suite ---- */

void bench_removal(void)
{
	const struct contender contenders[] = {
		{ .name = "eventfd",
		  .what = "from its write to the return of the read",
		  .once = hand_over },
		{ .name = "libibclient",
		  .what = "from the last put to ibv_close_device()",
		  .once = ours },
	};
	const struct benchmark benchmark = {
		.name = "removal",
		.operation = "last put to close",
		.setting = "fake devices",
		.contenders = contenders,
		.num = 2,
	};
	cpu_set_t cpus;

	/* threads are where they are made: both on the second CPU */
	pthread_getaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	pin(1);
	start_library();
	start_reader();
	pin(0);
	measure(&benchmark, NULL);
	stop_reader();
	stop_library();
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
}
