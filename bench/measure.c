// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Rounds of samples. In each round each contender gives one sample, in an order
 * that is shuffled anew; a sample is the time of one operation in one thread.
 *
 * The threads of a sample are made for it, pinned, and run batches of operations
 * until it is over: they are all busy for as long as it lasts, whichever of them
 * is the faster, so that what they share is shared throughout. Between two batches
 * each looks at the clock, and the first one to see that it is time moves the
 * sample's phase on: a quarter of the time to get warm, and until everything was
 * touched once if that is soon; then it counts. (Were it for one of them to do, an
 * unfair lock that starves that one would have the sample last for ever.) A batch
 * is as many operations as take about BATCH_NS, so that the clock costs nothing.
 * With more threads than CPUs the sample is longer, for each to have its turn.
 *
 * The time of an operation in one thread is that of the sample, times the threads,
 * by the operations of all: what a thread waits for a CPU is in it.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measure.h"

#define BATCH_NS   20000.0
#define WARM_MAX   25e6 /* ns */
#define CACHE_LINE 64

enum phase {
	WARMING,
	COUNTING,
	OVER,
};

struct team {
	const struct contender *contender;
	unsigned int threads;
	uint64_t batch;
	double warm_ns, count_ns; /* as long as it is to last */
	uint64_t warm;		  /* and so many operations of one thread */
	pthread_barrier_t start;
	/* written by who moves the phase on; the first is there before it */
	double ended;
	_Atomic uint64_t started, begun;
	_Alignas(CACHE_LINE) _Atomic int phase; /* enum phase */
};

struct member {
	_Alignas(CACHE_LINE) struct team *team;
	unsigned int number;
	uint64_t done, counted;
};

static atomic_bool beside_stop;
static _Atomic uint64_t beside_count;

double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

void *need_memory(size_t size)
{
	void *memory;

	size = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	memory = aligned_alloc(CACHE_LINE, size ? size : CACHE_LINE);
	if (!memory)
		fail("no memory for %zu bytes", size);
	return memset(memory, 0, size);
}

void beside_did(uint64_t count)
{
	atomic_fetch_add_explicit(&beside_count, count, memory_order_relaxed);
}

/* ---- one sample ---- */

static bool advance(struct team *team, int from, int to)
{
	return atomic_compare_exchange_strong(&team->phase, &from, to);
}

static bool is_warm(const struct member *member, double now)
{
	const struct team *team = member->team;
	double ns = now - team->started;

	return ns >= team->warm_ns &&
	       (member->done >= team->warm || ns >= WARM_MAX);
}

static void keep_time(const struct member *member, enum phase phase)
{
	struct team *team = member->team;
	double now = now_ns();

	if (phase == WARMING && is_warm(member, now)) {
		if (advance(team, WARMING, COUNTING))
			atomic_store(&team->begun, (uint64_t)now);
	} else if (phase == COUNTING && team->begun &&
		   now - team->begun >= team->count_ns) {
		if (advance(team, COUNTING, OVER))
			team->ended = now;
	}
}

static void work(struct member *member)
{
	struct team *team = member->team;
	const struct contender *c = team->contender;
	enum phase phase;

	while ((phase = atomic_load_explicit(&team->phase,
					     memory_order_relaxed)) != OVER) {
		c->run(c->context, member->number, member->done, team->batch);
		member->done += team->batch;
		if (phase == COUNTING)
			member->counted += team->batch;
		keep_time(member, phase);
	}
}

static void *run_member(void *arg)
{
	struct member *member = arg;
	struct team *team = member->team;
	const struct contender *c = team->contender;
	uint64_t not_yet = 0;

	pin(member->number);
	if (c->enter)
		c->enter(c->context, member->number);
	pthread_barrier_wait(&team->start);
	atomic_compare_exchange_strong(&team->started, &not_yet,
				       (uint64_t)now_ns());
	work(member);
	if (c->leave)
		c->leave(c->context, member->number);
	return NULL;
}

static void start_thread(pthread_t *id, void *(*fn)(void *arg), void *arg)
{
	int error = pthread_create(id, NULL, fn, arg);

	if (error)
		fail("no thread can be made: %s", strerror(error));
}

static double run_team(struct team *team)
{
	struct member members[MAX_THREADS] = {};
	pthread_t ids[MAX_THREADS];
	uint64_t counted = 0;
	unsigned int i;

	pthread_barrier_init(&team->start, NULL, team->threads);
	for (i = 0; i < team->threads; i++) {
		members[i].team = team;
		members[i].number = i;
		start_thread(&ids[i], run_member, &members[i]);
	}
	for (i = 0; i < team->threads; i++) {
		pthread_join(ids[i], NULL);
		counted += members[i].counted;
	}
	pthread_barrier_destroy(&team->start);
	return (team->ended - team->begun) * team->threads / counted;
}

struct beside {
	const struct contender *contender;
	unsigned int cpu;
};

static void *run_beside(void *arg)
{
	struct beside *beside = arg;

	pin(beside->cpu);
	beside->contender->beside(beside->contender->context, &beside_stop);
	return NULL;
}

/* @beside_ns: between two things that were done beside it */
static double sample(const struct benchmark *b, const struct contender *c,
		     uint64_t batch, double *beside_ns)
{
	unsigned int threads = b->threads ? b->threads : 1;
	unsigned int turns = (threads + num_cpus() - 1) / num_cpus();
	struct beside beside = { c, threads };
	struct team team = {
		.contender = c,
		.threads = threads,
		.batch = batch,
		.warm_ns = settings.sample_ms * 1e6 / 4 * turns,
		.count_ns = settings.sample_ms * 1e6 * turns,
		.warm = settings.quick ? 0 : b->warm / turns,
	};
	double begin, ns;
	pthread_t id;

	*beside_ns = 0;
	beside_stop = false;
	beside_count = 0;
	begin = now_ns();
	if (c->beside)
		start_thread(&id, run_beside, &beside);
	ns = c->once ? c->once(c->context) : run_team(&team);
	if (ns < 0)
		fail("%s, %s: %s failed", b->name, b->operation, c->name);
	/* with no CPU of its own it may not have had a turn yet */
	while (c->beside_counts && !beside_count)
		sched_yield();
	beside_stop = true;
	if (c->beside) {
		pthread_join(id, NULL);
		if (beside_count)
			*beside_ns = (now_ns() - begin) / beside_count;
	}
	return ns;
}

/* ---- rounds ---- */

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double quantile(const double *sorted, unsigned int num, double part)
{
	double at = part * (num - 1);
	unsigned int i = at;

	if (i + 1 >= num)
		return sorted[num - 1];
	return sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]);
}

static struct figures figures_of(double *ns, double *beside, unsigned int num)
{
	qsort(ns, num, sizeof(*ns), compare);
	qsort(beside, num, sizeof(*beside), compare);
	return (struct figures){
		.median = quantile(ns, num, 0.5),
		.q1 = quantile(ns, num, 0.25),
		.q3 = quantile(ns, num, 0.75),
		.min = ns[0],
		.max = ns[num - 1],
		.beside = quantile(beside, num, 0.5),
	};
}

static unsigned int rounds_of(const struct benchmark *b)
{
	if (settings.quick || settings.rounds > b->min_rounds)
		return settings.rounds;
	return b->min_rounds;
}

struct calibration {
	const struct contender *contender;
	uint64_t batch;
};

/* by one thread, which has nobody to wait for */
static void *calibrate(void *arg)
{
	struct calibration *calibration = arg;
	const struct contender *c = calibration->contender;
	uint64_t batch = 1;
	double begin, ns;

	pin(0);
	if (c->enter)
		c->enter(c->context, 0);
	for (;; batch *= 2) {
		begin = now_ns();
		c->run(c->context, 0, 0, batch);
		ns = now_ns() - begin;
		if (ns >= BATCH_NS)
			break;
	}
	if (c->leave)
		c->leave(c->context, 0);
	calibration->batch = batch;
	return NULL;
}

static uint64_t batch_of(const struct contender *contender)
{
	struct calibration calibration = { contender, 1 };
	pthread_t id;

	if (contender->once)
		return 1;
	start_thread(&id, calibrate, &calibration);
	pthread_join(id, NULL);
	return calibration.batch;
}

/* the same shuffles in each run of the program */
static unsigned int random_below(unsigned int n)
{
	static uint64_t state = 0x1bc;

	state = state * 6364136223846793005 + 1442695040888963407;
	return (state >> 33) % n;
}

static void shuffle(unsigned int *order, unsigned int num)
{
	unsigned int i, j, other;

	for (i = num; i > 1; i--) {
		j = random_below(i);
		other = order[i - 1];
		order[i - 1] = order[j];
		order[j] = other;
	}
}

/* the first round is for getting warm; it is not counted */
static void run_rounds(const struct benchmark *b, double (*ns)[MAX_ROUNDS],
		       double (*beside)[MAX_ROUNDS])
{
	unsigned int order[MAX_CONTENDERS], rounds = rounds_of(b), round, i, n;
	uint64_t batch[MAX_CONTENDERS];

	for (i = 0; i < b->num; i++) {
		order[i] = i;
		batch[i] = batch_of(&b->contenders[i]);
		sample(b, &b->contenders[i], batch[i], &beside[i][0]);
	}
	for (round = 0; round < rounds; round++) {
		shuffle(order, b->num);
		for (i = 0; i < b->num; i++) {
			n = order[i];
			ns[n][round] = sample(b, &b->contenders[n], batch[n],
					      &beside[n][round]);
		}
	}
}

void measure(const struct benchmark *b, struct figures *figures)
{
	static double ns[MAX_CONTENDERS][MAX_ROUNDS];
	static double beside[MAX_CONTENDERS][MAX_ROUNDS];
	struct figures all[MAX_CONTENDERS] = {};
	unsigned int i, rounds = rounds_of(b);

	if (!b->num || b->num > MAX_CONTENDERS || b->threads > MAX_THREADS)
		fail("%s: too many contenders or threads, or none", b->name);
	report_title(b);
	run_rounds(b, ns, beside);
	for (i = 0; i < b->num; i++)
		all[i] = figures_of(ns[i], beside[i], rounds);
	for (i = 0; i < b->num; i++)
		report_line(b, &b->contenders[i], &all[i], &all[0], rounds);
	if (figures)
		memcpy(figures, all, b->num * sizeof(*all));
}
