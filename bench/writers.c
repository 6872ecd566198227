// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Lookups while somebody writes: one thread gets and puts, another one, on another
 * CPU, writes without a pause: replaces the data that is looked up, or has devices
 * come and go, each time until all clients have heard of it. What the median is
 * then, to what it is while nobody writes. The slot is the one that is replaced:
 * each replacement takes the reader's cache lines away, and the next lookup pays for
 * that. So both are measured: what all lookups take, and what the one in the middle.
 */
#include <pthread.h>
#include <stdlib.h>

#include "fake.h"
#include "ours.h"
#include "writers.h"

#define COMES "comes"

/* ---- the data is replaced ---- */

static void replace(struct ours *c)
{
	struct place at = c->table->order[0];
	struct ibc_device *dev = c->device[at.device];
	struct ibc_client *client = &c->client[at.client];
	struct ibc_client_data *data = ours_data();

	if (!data || ibc_init_client_data(data, dev, client) ||
	    ibc_set_client_data(dev, client, data))
		fail("the data of a slot cannot be replaced");
	ibc_put_client_data(data);
}

static void replace_all_the_time(void *context, const atomic_bool *stop)
{
	while (!*stop) {
		replace(context);
		beside_did(1);
	}
}

/* ---- devices come and go ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned int come, gone;

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	(void)dev;
	pthread_mutex_lock(&lock);
	come++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return 0;
}

static void is_gone(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	(void)dev;
	pthread_mutex_lock(&lock);
	gone++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static struct ibc_client watcher = {
	.name = "watcher",
	.add = add,
	.gone = is_gone,
};

static unsigned int value_of(const unsigned int *count)
{
	unsigned int value;

	pthread_mutex_lock(&lock);
	value = *count;
	pthread_mutex_unlock(&lock);
	return value;
}

static void wait_for(const unsigned int *count, unsigned int value)
{
	pthread_mutex_lock(&lock);
	while (*count != value)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void come_and_go(struct ours *c)
{
	unsigned int came = value_of(&come), went = value_of(&gone);

	fake_add(COMES, 0xc0);
	ibc_rescan(c->reg);
	wait_for(&come, came + 1);
	fake_remove(COMES, FAKE_WAIT);
	ibc_rescan(c->reg);
	wait_for(&gone, went + 1);
}

static void come_and_go_all_the_time(void *context, const atomic_bool *stop)
{
	while (!*stop) {
		come_and_go(context);
		beside_did(1);
	}
}

/*
 * Nothing that concerns the lookup: two hardware threads of one core slow each
 * other down whatever they do.
 */
static void compute_all_the_time(void *context, const atomic_bool *stop)
{
	(void)context;
	while (!*stop)
		;
}

/* ---- the median of single lookups ---- */

/*
 * What counts cycles, where a program can read it: the clock of some machines
 * advances by 10 ns at a time, and takes longer to read than a lookup is. Elsewhere,
 * a few lookups at once.
 */
#ifdef __x86_64__
#define BURST 1

static inline uint64_t ticks(void)
{
	uint64_t now;

	__builtin_ia32_lfence(); /* all before is done, nothing after begun */
	now = __builtin_ia32_rdtsc();
	__builtin_ia32_lfence();
	return now;
}
#else
#define BURST 8

static inline uint64_t ticks(void)
{
	return now_ns();
}
#endif

/*
 * Between two that are measured are as many that are not: it is to be one of a
 * stream, not the first one after some time in which only clocks were read.
 */
#define BETWEEN	   16
#define MAX_BURSTS 20000

static uint64_t burst[MAX_BURSTS];

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* as long as a sample is: the median ticks of @count lookups and of reading them */
static double median_of_bursts(struct ours *c, unsigned int count)
{
	double end = now_ns() + settings.sample_ms * 1e6;
	uint64_t begin;
	unsigned int n;

	for (n = 0; n < MAX_BURSTS && now_ns() < end; n++) {
		way_ours.get_put(c, 0, 0, BETWEEN);
		begin = ticks();
		way_ours.get_put(c, 0, 0, count);
		burst[n] = ticks() - begin;
	}
	qsort(burst, n, sizeof(*burst), compare);
	return burst[n / 2];
}

/* how many nanoseconds a tick is; the same each time */
static double tick(void)
{
	static double ns;
	double begin;
	uint64_t first;

	if (ns != 0)
		return ns;
	begin = now_ns();
	first = ticks();
	while (now_ns() < begin + 1e6)
		;
	ns = (now_ns() - begin) / (ticks() - first);
	return ns;
}

#define MAX_TRIES 20

struct typical {
	struct ours *c;
	double ns;
};

static void *measure_bursts(void *arg)
{
	struct typical *t = arg;
	unsigned int tries;

	pin(0);
	/* on a loaded machine the empty one may have been the longer one */
	for (tries = 0; t->ns <= 0 && tries < MAX_TRIES; tries++)
		t->ns = (median_of_bursts(t->c, BURST) -
			 median_of_bursts(t->c, 0)) *
			tick() / BURST;
	return NULL;
}

/* in a thread of its own, as pinned threads must not have children elsewhere */
static double typical_lookup(void *context)
{
	struct typical t = { .c = context };
	pthread_t id;

	if (pthread_create(&id, NULL, measure_bursts, &t))
		return -1;
	pthread_join(id, NULL);
	return t.ns > 0 ? t.ns : -1;
}

enum {
	QUIET,
	COMPUTED,
	REPLACED,
	COME_AND_GO,
	NUM_CONTENDERS,
};

/* all lookups, or the one in the middle */
static void measure_all(struct ours *c, bool typical)
{
	const struct contender contenders[NUM_CONTENDERS] = {
		[QUIET] = { .name = "nobody writes" },
		[COMPUTED] = { .name = "a neighbour that computes",
			       .beside = compute_all_the_time },
		[REPLACED] = { .name = "the data is replaced",
			       .beside = replace_all_the_time,
			       .beside_counts = true },
		[COME_AND_GO] = { .name = "devices come and go",
				  .beside = come_and_go_all_the_time,
				  .beside_counts = true },
	};
	struct contender all[NUM_CONTENDERS];
	const struct benchmark b = {
		.name = "writers",
		.operation = typical ? "the median get+put" : "get+put",
		.setting = "while another thread writes all the time",
		.threads = 1,
		.slots = c->table->slots,
		.contenders = all,
		.num = NUM_CONTENDERS,
	};
	struct figures figures[NUM_CONTENDERS];
	unsigned int i;

	for (i = 0; i < NUM_CONTENDERS; i++) {
		all[i] = contenders[i];
		all[i].run = typical ? NULL : way_ours.get_put;
		all[i].once = typical ? typical_lookup : NULL;
		all[i].context = c;
	}
	measure(&b, figures);
	if (!typical)
		return;
	verdict("the median get+put while the data is replaced: to quiet",
		figures[REPLACED].median / figures[QUIET].median, AT_MOST, 1.5);
	verdict("the median get+put while devices come and go: to quiet",
		figures[COME_AND_GO].median / figures[QUIET].median, AT_MOST,
		1.5);
}

/* what is there in the end is held, instead of what was there at first */
static void hold_the_last(struct ours *c)
{
	struct place at = c->table->order[0];

	ibc_put_client_data(c->held[at.slot]);
	c->held[at.slot] = ibc_get_client_data(c->device[at.device],
					       &c->client[at.client]);
}

void measure_writers(void)
{
	struct table *t = table_make(LEAST_DEVICES, 1, 1);
	struct ours *c;

	ours_devices(t);
	c = way_ours.open(t);
	if (ibc_register_client(c->reg, &watcher))
		fail("a client cannot be registered");
	measure_all(c, false);
	measure_all(c, true);
	hold_the_last(c);
	if (ibc_unregister_client(&watcher))
		fail("a client cannot be unregistered");
	if (!way_ours.close(c))
		fail("the library has not dropped all that it has held, or "
		     "more");
	ours_no_devices();
	table_free(t);
}
