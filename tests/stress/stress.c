// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A short torture: devices come, go and are renamed, clients come and go, data
 * is asked for, replaced and put, all at once, at random. What is checked: each
 * (client, incarnation) has at most one add() that succeeded, and then exactly
 * one remove() and at most one gone(), in that order; data is freed once, and
 * after its last put; nothing is left at the end.
 *
 *	stress [SECONDS [SEED]]
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <infiniband/ibclient.h>

#include "fake.h"

#define NUM_NAMES	 4
#define NUM_CLIENTS	 3
#define NUM_USERS	 3
#define MAX_INCARNATIONS 65536

enum { NOTHING, ADDED, REMOVED, GONE };

struct client {
	struct ibc_client ibc;
	_Atomic uint8_t *history; /* by incarnation, relative to the first */
	atomic_uint live;
	bool free_unused, defer;
};

struct data {
	struct ibc_client_data ibc;
	uint64_t magic;
};

#define ALIVE 0xa11ea11ea11eULL
#define FREED 0xdeaddeaddeadULL

static struct ibc_registry *registry;
static struct client clients[NUM_CLIENTS];
static atomic_bool stop;
static atomic_uint allocs, frees, operations, removals;
static unsigned int seed;

static void fail(const char *what)
{
	fprintf(stderr, "stress: %s (seed %u)\n", what, seed);
	abort();
}

static unsigned int dice(unsigned int *state, unsigned int sides)
{
	return (unsigned int)rand_r(state) % sides;
}

static void step(struct ibc_client *ibc, struct ibc_device *dev, uint8_t from,
		 uint8_t to)
{
	struct client *c = (struct client *)ibc;
	uint64_t n = ibc_device_incarnation(dev) % MAX_INCARNATIONS;

	if (atomic_exchange(&c->history[n], to) != from)
		fail("callbacks out of order");
}

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	static __thread unsigned int state = 1;
	struct ibc_client_data *data;

	switch (dice(&state, 8)) {
	case 0:
		return -EAGAIN;
	case 1:
		return EOPNOTSUPP;
	case 2:
		break;
	default:
		data = ibc_alloc_or_get_client_data(dev, client);
		if (data)
			ibc_put_client_data(data);
	}
	step(client, dev, NOTHING, ADDED);
	return 0;
}

static void check_data(struct ibc_client_data *data)
{
	if (data && ((struct data *)data)->magic != ALIVE)
		fail("data is used after it was freed");
}

static void remove_device(struct ibc_client *client, struct ibc_device *dev,
			  struct ibc_client_data *data)
{
	check_data(data);
	if (!ibc_device_context(dev))
		fail("no context in remove()");
	step(client, dev, ADDED, REMOVED);
	removals++;
}

static void gone(struct ibc_client *client, struct ibc_device *dev)
{
	step(client, dev, REMOVED, GONE);
	if (ibc_device_context(dev))
		fail("a context in gone()");
}

static void event(struct ibc_client *client, struct ibc_device *dev,
		  struct ibc_client_data *data, const struct ibc_event *ev)
{
	struct client *c = (struct client *)client;
	uint64_t n = ibc_device_incarnation(dev) % MAX_INCARNATIONS;

	check_data(data);
	if (c->history[n] != ADDED)
		fail("an event without an add()");
	if (!ev->count)
		fail("an event that stands for none");
}

static struct ibc_client_data *alloc(struct ibc_client *client,
				     struct ibc_device *dev)
{
	static __thread unsigned int state = 7;
	struct data *data;

	(void)client;
	if (dice(&state, 10) == 0 || !ibc_device_context(dev))
		return NULL;
	data = calloc(1, sizeof(*data));
	data->magic = ALIVE;
	allocs++;
	return &data->ibc;
}

static void free_data(struct ibc_client_data *ibc)
{
	struct data *data = (struct data *)ibc;

	check_data(ibc);
	if (!ibc_device_context(ibc->device))
		fail("data outlives its context");
	data->magic = FREED;
	frees++;
	free(data);
}

static bool present(const char *name)
{
	struct ibv_context *context = fake_open(name);

	if (context)
		fake_close(context);
	return context;
}

/* devices come and go, until the time is over */
static void kernel(time_t end)
{
	static const char *const names[] = { "f0", "f1", "f2", "f3" };
	unsigned int state = seed, n = 0;
	const char *name;

	while (time(NULL) < end) {
		n++;
		name = names[dice(&state, NUM_NAMES)];
		if (!present(name))
			fake_add(name, n);
		else if (dice(&state, 3) == 0)
			fake_event(name, IBV_EVENT_PORT_ERR, 1);
		else
			fake_remove(name,
				    dice(&state, 2) ? FAKE_WAIT : FAKE_FATAL);
		if (dice(&state, 4) == 0)
			ibc_rescan(registry);
	}
	stop = true;
}

/* replaces or publishes an object of its own */
static void publish(struct ibc_device *dev, struct ibc_client *client,
		    unsigned int *state)
{
	struct ibc_client_data *current = NULL;
	struct data *data = calloc(1, sizeof(*data));

	data->magic = ALIVE;
	if (ibc_init_client_data(&data->ibc, dev, client)) {
		free(data);
		return;
	}
	allocs++;
	if (dice(state, 2)) {
		ibc_set_client_data(dev, client, &data->ibc);
	} else if (ibc_cmpxchg_client_data(dev, client, NULL, &data->ibc,
					   &current) == EAGAIN &&
		   current) {
		check_data(current);
		ibc_put_client_data(current);
	}
	ibc_put_client_data(&data->ibc);
}

static void use(struct ibc_device *dev, struct ibc_client *client,
		unsigned int *state)
{
	struct ibc_client_data *data;

	data = dice(state, 2) ? ibc_get_client_data(dev, client) :
				ibc_alloc_or_get_client_data(dev, client);
	if (!data)
		return;
	check_data(data);
	if (data->client != client || data->device != dev ||
	    !ibc_device_context(dev))
		fail("data of another pair, or without a context");
	ibc_hold_client_data(data);
	ibc_put_client_data(data);
	check_data(data);
	ibc_put_client_data(data);
}

static int visit(struct ibc_device *dev, void *arg)
{
	unsigned int *state = arg;
	struct ibc_client *client = &clients[0].ibc;

	switch (dice(state, 8)) {
	case 0:
		publish(dev, client, state);
		break;
	case 1:
		ibc_set_client_data(dev, client, NULL);
		break;
	case 2:
		if (dice(state, 50) == 0)
			ibc_report_error(dev, EIO);
		break;
	default:
		use(dev, client, state);
	}
	operations++;
	return 0;
}

/* the first client stays registered: these may use it at any time */
static void *user(void *arg)
{
	unsigned int state = seed + 100 + (unsigned int)(uintptr_t)arg;

	while (!stop) {
		ibc_for_each_device(registry, visit, &state);
		sched_yield();
	}
	return NULL;
}

static void done(struct ibc_client *client)
{
	struct client *c = (struct client *)client;

	c->live = 0;
}

static void init(struct client *c)
{
	unsigned int i;

	c->ibc = (struct ibc_client){
		.name = "stress",
		.add = add,
		.remove = remove_device,
		.gone = gone,
		.event = event,
		.alloc_client_data = alloc,
		.free_client_data = free_data,
		.flags = (c->free_unused ? IBC_CLIENT_FREE_UNUSED : 0) |
			 (c->defer ? IBC_CLIENT_DEFER_FREE : 0),
	};
	for (i = 0; i < MAX_INCARNATIONS; i++)
		c->history[i] = NOTHING;
}

/* what was added when it went must have been removed */
static void check_history(struct client *c)
{
	unsigned int i;

	for (i = 0; i < MAX_INCARNATIONS; i++)
		if (c->history[i] == ADDED)
			fail("an add() without a remove()");
}

static void unregister(struct client *c, unsigned int *state)
{
	int error;

	switch (dice(state, 3)) {
	case 0:
		while ((error = ibc_unregister_client_timed(&c->ibc, 1)))
			if (error != ETIMEDOUT)
				fail("unregister_timed");
		return;
	case 1:
		if (ibc_unregister_client_async(&c->ibc, done))
			fail("unregister_async");
		while (c->live)
			sched_yield();
		return;
	default:
		if (ibc_unregister_client(&c->ibc))
			fail("unregister");
	}
}

static void *come_and_go(void *arg)
{
	unsigned int state = seed + 1000 + (unsigned int)(uintptr_t)arg;
	struct client *c = &clients[(uintptr_t)arg];

	while (!stop) {
		c->free_unused = dice(&state, 2);
		c->defer = dice(&state, 2);
		init(c);
		c->live = 1;
		if (ibc_register_client(registry, &c->ibc))
			fail("register");
		operations++;
		unregister(c, &state);
		check_history(c);
	}
	return NULL;
}

static void run(unsigned int seconds)
{
	pthread_t threads[NUM_USERS + NUM_CLIENTS];
	unsigned int n = 0;
	uintptr_t i;

	for (i = 0; i < NUM_USERS; i++)
		pthread_create(&threads[n++], NULL, user, (void *)i);
	for (i = 1; i < NUM_CLIENTS; i++)
		pthread_create(&threads[n++], NULL, come_and_go, (void *)i);
	kernel(time(NULL) + seconds);
	while (n)
		pthread_join(threads[--n], NULL);
}

int main(int argc, char **argv)
{
	struct ibc_registry_attr attr = { .num_threads = 2 };
	unsigned int seconds = argc > 1 ? atoi(argv[1]) : 5, i;

	seed = argc > 2 ? (unsigned int)atoi(argv[2]) :
			  (unsigned int)time(NULL);
	fake_start();
	registry = ibc_open(&attr);
	for (i = 0; i < NUM_CLIENTS; i++)
		clients[i].history = calloc(MAX_INCARNATIONS, 1);
	init(&clients[0]);
	if (!registry || ibc_register_client(registry, &clients[0].ibc))
		fail("cannot begin");
	run(seconds);
	if (ibc_unregister_client(&clients[0].ibc))
		fail("unregister");
	check_history(&clients[0]);
	if (ibc_close(registry))
		fail("close");
	if (allocs != frees)
		fail("data was not freed, or twice");
	if (!fake_stop())
		fail("something is left");
	for (i = 0; i < NUM_CLIENTS; i++)
		free((void *)clients[i].history);
	printf("stress: seed %u: %u operations, %u removals, %u objects\n",
	       seed, operations, removals, allocs);
	return 0;
}
