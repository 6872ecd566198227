// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What a lookup costs: get and put of a device's data, beside what a program
 * would write instead. All contenders run in this process, in turns, so that
 * whatever else the machine does hits them alike; ratios of medians count, not
 * nanoseconds.
 *
 *	bench_lookup [-j]
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <infiniband/ibclient.h>

#include "fake.h"

#define ROUNDS	    21
#define LOOPS	    200000
#define MAX_THREADS 2
#define LIST_LENGTH 8 /* devices that the list walk may pass */

/* a registry as usual, and one that remembers who holds each reference */
static struct side {
	struct ibc_registry *reg;
	struct ibc_device *device;
	struct ibc_client client;
} plain, tracked;

/* ---- the contenders: each does LOOPS lookups and releases ---- */

static void get_and_put(struct side *side)
{
	int i;

	for (i = 0; i < LOOPS; i++)
		ibc_put_client_data(
			ibc_get_client_data(side->device, &side->client));
}

static void ours(void)
{
	get_and_put(&plain);
}

static void ours_tracked(void)
{
	get_and_put(&tracked);
}

static _Atomic uint64_t shared_count = 1;

/* the floor: one counter, no lookup */
static void shared_atomic(void)
{
	int i;

	for (i = 0; i < LOOPS; i++) {
		atomic_fetch_add_explicit(&shared_count, 1,
					  memory_order_acquire);
		atomic_fetch_sub_explicit(&shared_count, 1,
					  memory_order_acq_rel);
	}
}

struct entry {
	struct entry *next;
	const void *key;
	unsigned int refs;
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *list;

static struct entry *list_get(const void *key)
{
	struct entry *e;

	pthread_mutex_lock(&list_lock);
	for (e = list; e && e->key != key; e = e->next)
		;
	if (e)
		e->refs++;
	pthread_mutex_unlock(&list_lock);
	return e;
}

static void list_put(struct entry *e)
{
	pthread_mutex_lock(&list_lock);
	e->refs--;
	pthread_mutex_unlock(&list_lock);
}

/* what most programs have: a mutex, a list by context, a count */
static void mutex_list(void)
{
	int i;

	for (i = 0; i < LOOPS; i++)
		list_put(list_get(plain.device));
}

static const struct contender {
	const char *name;
	void (*run)(void);
} contenders[] = {
	{ "libibclient get+put", ours },
	{ "the same, tracked", ours_tracked },
	{ "one shared atomic", shared_atomic },
	{ "mutex + list", mutex_list },
};

#define NUM_CONTENDERS (sizeof(contenders) / sizeof(contenders[0]))

/* ---- measuring ---- */

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

struct team {
	const struct contender *contender;
	pthread_barrier_t start;
	double ns[MAX_THREADS];
};

struct member {
	struct team *team;
	unsigned int number;
};

static void *run_member(void *arg)
{
	struct member *member = arg;
	struct team *team = member->team;
	double begin;

	pthread_barrier_wait(&team->start);
	begin = now_ns();
	team->contender->run();
	team->ns[member->number] = (now_ns() - begin) / LOOPS;
	return NULL;
}

/* nanoseconds for one get and put, per thread: the mean of the threads */
static double measure(const struct contender *contender, unsigned int threads)
{
	struct team team = { .contender = contender };
	struct member members[MAX_THREADS];
	pthread_t ids[MAX_THREADS];
	double sum = 0;
	unsigned int i;

	pthread_barrier_init(&team.start, NULL, threads);
	for (i = 0; i < threads; i++) {
		members[i] = (struct member){ &team, i };
		if (pthread_create(&ids[i], NULL, run_member, &members[i]))
			abort();
	}
	for (i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		sum += team.ns[i];
	}
	pthread_barrier_destroy(&team.start);
	return sum / threads;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void report(bool json, const char *name, unsigned int threads,
		   const double *ns, double floor)
{
	double median = ns[ROUNDS / 2];

	if (json)
		printf("{\"bench\": \"lookup\", \"name\": \"%s\", "
		       "\"threads\": %u, \"median_ns\": %.2f, \"min_ns\": %.2f, "
		       "\"max_ns\": %.2f, \"ratio\": %.3f}\n",
		       name, threads, median, ns[0], ns[ROUNDS - 1],
		       median / floor);
	else
		printf("%-22s %u thread%s  %8.1f ns  (%.1f to %.1f)  %6.2f x\n",
		       name, threads, threads > 1 ? "s" : " ", median, ns[0],
		       ns[ROUNDS - 1], median / floor);
}

static void run(bool json, unsigned int threads)
{
	double ns[NUM_CONTENDERS][ROUNDS];
	unsigned int i, round;

	for (round = 0; round < ROUNDS; round++)
		for (i = 0; i < NUM_CONTENDERS; i++)
			ns[i][round] = measure(&contenders[i], threads);
	for (i = 0; i < NUM_CONTENDERS; i++)
		qsort(ns[i], ROUNDS, sizeof(double), compare);
	for (i = 0; i < NUM_CONTENDERS; i++)
		report(json, contenders[i].name, threads, ns[i],
		       ns[0][ROUNDS / 2]);
}

/* ---- the device ---- */

static struct ibc_client_data *alloc(struct ibc_client *c,
				     struct ibc_device *dev)
{
	(void)c;
	(void)dev;
	return calloc(1, sizeof(struct ibc_client_data));
}

static void free_data(struct ibc_client_data *data)
{
	free(data);
}

static void make_list(struct entry *entries)
{
	int i;

	for (i = 0; i < LIST_LENGTH; i++) {
		entries[i].key = i == LIST_LENGTH / 2 ? plain.device : NULL;
		entries[i].next = list;
		list = &entries[i];
	}
}

static bool open_side(struct side *side, uint32_t flags)
{
	const struct ibc_registry_attr attr = { .flags = flags };

	side->client.name = "bench";
	side->client.alloc_client_data = alloc;
	side->client.free_client_data = free_data;
	side->reg = ibc_open(&attr);
	if (!side->reg || ibc_register_client(side->reg, &side->client))
		return false;
	side->device = ibc_get_device_by_name(side->reg, "fake0");
	if (!side->device)
		return false;
	ibc_put_client_data(
		ibc_alloc_or_get_client_data(side->device, &side->client));
	return true;
}

static bool close_side(struct side *side)
{
	ibc_put_device(side->device);
	return !ibc_unregister_client(&side->client) && !ibc_close(side->reg);
}

int main(int argc, char **argv)
{
	bool json = argc > 1 && strcmp(argv[1], "-j") == 0;
	struct entry entries[LIST_LENGTH] = {};
	unsigned int threads;

	unsetenv("IBC_TRACK_REFS");
	fake_start();
	fake_add("fake0", 1);
	if (!open_side(&plain, 0) ||
	    !open_side(&tracked, IBC_REGISTRY_TRACK_REFS)) {
		fprintf(stderr, "bench_lookup: cannot set up a device\n");
		return 1;
	}
	make_list(entries);
	if (!json)
		printf("Lookup of a device's data, %d rounds; ratio to ours "
		       "(%ld CPUs)\n",
		       ROUNDS, sysconf(_SC_NPROCESSORS_ONLN));
	for (threads = 1; threads <= MAX_THREADS; threads++)
		run(json, threads);
	return !close_side(&tracked) || !close_side(&plain) || !fake_stop();
}
