// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The suite "lookup": each way of finding, holding and dropping a device's data, for
 * each table of slots and number of threads; and what is to hold of the ratios.
 *
 * Each way checks each slot before, and its counts after: a loop that did not do
 * what it says would be fast, too.
 */
#include <stdlib.h>
#include <string.h>

#include "device_list.h"
#include "ours.h"
#include "suites.h"
#include "writers.h"

/* the first one is what ratios refer to; the order is that of the tables */
static const struct way *const ways[] = {
	&way_ours,    &way_tracked,   &way_inline,    &way_in_so,
	&way_objects, &way_mutex,     &way_rwlock,    &way_spinlock,
	&way_spdk,    &way_spdk_list, &way_librdmacm, &way_nccl,
#ifdef HAVE_URCU
	&way_urcu_bp, &way_urcu_memb, &way_kernel,
#endif
};

#define NUM_WAYS (sizeof(ways) / sizeof(ways[0]))

static const struct {
	unsigned int devices, clients, slots;
} sizes[] = {
	{ LEAST_DEVICES, 1, 1 },
	{ LEAST_DEVICES, 8, 64 },
	{ 256, 256, 65536 },
};

#define NUM_SIZES  3
#define NUM_COUNTS 4

static const unsigned int thread_counts[NUM_COUNTS] = { 1, 2, 4, 8 };

enum operation {
	GET_PUT,
	USE_PUT,
	ALLOC_PUT,
	HOLD_PUT,
	NUM_OPERATIONS,
};

static double medians[NUM_OPERATIONS][NUM_SIZES][NUM_COUNTS][NUM_WAYS];

static const char *const operation_names[NUM_OPERATIONS] = {
	"get+put",
	"get+use+put",
	"alloc_or_get+put",
	"hold+put",
};

static bool takes_part(const struct way *way, const struct table *t)
{
	return !way->max_slots || t->slots <= way->max_slots;
}

static void open_ways(const struct table *t, void **contexts)
{
	unsigned int i;

	ours_devices(t);
	for (i = 0; i < NUM_WAYS; i++) {
		contexts[i] = NULL;
		if (!takes_part(ways[i], t))
			continue;
		contexts[i] = ways[i]->open(t);
		if (!ways[i]->check(contexts[i]))
			fail("%s does not find, hold or drop what is there",
			     ways[i]->name);
	}
}

static void close_ways(void **contexts)
{
	unsigned int i;

	for (i = 0; i < NUM_WAYS; i++)
		if (contexts[i] && !ways[i]->close(contexts[i]))
			fail("%s has not dropped all that it has held, or "
			     "more",
			     ways[i]->name);
	ours_no_devices();
}

/* NULL: it has no such operation */
static void (*loop_of(const struct way *way,
		      enum operation operation))(void *, unsigned int, uint64_t,
						 uint64_t)
{
	switch (operation) {
	case GET_PUT:
		return way->get_put;
	case USE_PUT:
		return way->use_put;
	case ALLOC_PUT:
		return way->alloc_put;
	default:
		return way->hold_put;
	}
}

/* @which: of each contender, its number in ways */
static unsigned int contenders_of(enum operation operation, void **contexts,
				  struct contender *contenders,
				  unsigned int *which)
{
	unsigned int i, num = 0;

	for (i = 0; i < NUM_WAYS; i++) {
		if (!contexts[i] || !loop_of(ways[i], operation))
			continue;
		which[num] = i;
		contenders[num++] = (struct contender){
			.name = ways[i]->name,
			.what = ways[i]->what,
			.run = loop_of(ways[i], operation),
			.enter = ways[i]->enter,
			.leave = ways[i]->leave,
			.context = contexts[i],
		};
	}
	return num;
}

static void measure_operation(unsigned int size, enum operation operation,
			      void **contexts)
{
	struct contender contenders[NUM_WAYS];
	struct figures figures[NUM_WAYS];
	unsigned int which[NUM_WAYS], count, i;
	struct benchmark b = {
		.name = "lookup",
		.operation = operation_names[operation],
		.slots = sizes[size].slots,
		.warm = sizes[size].slots,
		.contenders = contenders,
	};

	b.num = contenders_of(operation, contexts, contenders, which);
	for (count = 0; count < (quickly() ? 2 : NUM_COUNTS); count++) {
		b.threads = thread_counts[count];
		measure(&b, figures);
		for (i = 0; i < b.num; i++)
			medians[operation][size][count][which[i]] =
				figures[i].median;
	}
}

static void measure_size(unsigned int size)
{
	struct table *t = table_make(sizes[size].devices, sizes[size].clients,
				     sizes[size].slots);
	enum operation operation;
	void *contexts[NUM_WAYS];

	open_ways(t, contexts);
	for (operation = 0; operation < NUM_OPERATIONS; operation++)
		measure_operation(size, operation, contexts);
	close_ways(contexts);
	table_free(t);
}

/* ---- what is to hold ---- */

static double median_of(enum operation operation, unsigned int slots,
			unsigned int threads, const struct way *way)
{
	unsigned int size = 0, count = 0, i = 0;

	while (sizes[size].slots != slots)
		size++;
	while (thread_counts[count] != threads)
		count++;
	while (ways[i] != way)
		i++;
	return medians[operation][size][count][i];
}

static double median(unsigned int slots, unsigned int threads,
		     const struct way *way)
{
	return median_of(GET_PUT, slots, threads, way);
}

/* of many slots: whatever is looked up, memory is what it takes */
static void verdicts_of_many(void)
{
	const unsigned int slots = 65536;
	double many = median(slots, 1, &way_ours);
	double used = median_of(USE_PUT, slots, 1, &way_ours);

	verdict("get+put, 65536 slots: to an array of shared atomics (.so)",
		many / median(slots, 1, &way_in_so), AT_MOST, 1.5);
	verdict("  the same to shared atomics in objects of their own (.so)",
		many / median(slots, 1, &way_objects), AT_MOST, 1.5);
	verdict("  what was found is read: to an array of shared atomics",
		used / median_of(USE_PUT, slots, 1, &way_in_so), AT_MOST, 1.5);
}

static void verdicts(void)
{
	double one = median(1, 1, &way_ours), two = median(1, 2, &way_ours);

	verdict("get+put, 1 thread: to a shared atomic in a .so",
		one / median(1, 1, &way_in_so), AT_MOST, 1.5);
	verdict("get+put, 1 thread: mutex + list to it",
		median(1, 1, &way_mutex) / one, AT_LEAST, 2);
	if (num_cpus() > 1) {
		verdict("get+put, 2 threads: to 1 thread", two / one, AT_MOST,
			1.15);
		verdict("get+put, 2 threads: mutex + list to it",
			median(1, 2, &way_mutex) / two, AT_LEAST, 5);
		verdict("get+put, 2 threads: a shared atomic in a .so to it",
			median(1, 2, &way_in_so) / two, AT_LEAST, 2);
	} else {
		note("With one CPU there is nothing to be said of two "
		     "threads.");
	}
	verdicts_of_many();
}

static void introduce(void)
{
	unsigned int i;

	note("\nWays of looking up:");
	for (i = 0; i < NUM_WAYS; i++)
		note("  %-30s %s", ways[i]->name, ways[i]->what);
#ifndef HAVE_URCU
	note("liburcu was not there when this was built: RCU and the kernel's "
	     "way are left out.");
#endif
	note("SPDK's device list is\n  %s.", device_list_kind());
}

void bench_lookup(void)
{
	unsigned int size;

	introduce();
	/* what a registry's threads do is not to be beside the first thread */
	pin(1);
	for (size = 0; size < NUM_SIZES; size++)
		if (!quickly() || sizes[size].slots <= 64)
			measure_size(size);
	if (!quickly())
		verdicts();
	measure_writers();
}
