// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * An experiment: what would get and put cost without atomic instructions, in
 * restartable sequences? The counters alone are compared, each in the same shared
 * library and behind the same pointers; the library's checks are not in it.
 *
 *	rseq_trial [OPTION...] [lookup] [kill]	as ibc_bench
 *	rseq_trial stress [SECONDS]		do they count right?
 *
 * Documentation/performance.md tells what came of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "rseq_trial.h"

#define STRESS_SECONDS 5
#define KILLS	       500 /* in a sample */
#define SLOTS	       64  /* a power of two, as the next */
#define WORK_LINES     (1U << 16)
#define WORK_STORES    4 /* between get and put */

char *trial_shards(unsigned int n)
{
	static char *area;

	if (!area)
		area = need_memory((size_t)TRIAL_CPUS << TRIAL_STRIDE_BITS);
	return area + n * sizeof(uint64_t);
}

/* ---- get and put ---- */

static struct side {
	const struct trial_kind *kind;
	struct trial_slot slots[SLOTS];
	struct trial_ref refs[SLOTS];
} sides[] = {
	{ .kind = &trial_percpu },
	{ .kind = &trial_sequence },
	{ .kind = &trial_shared },
};

#define NUM_SIDES (sizeof(sides) / sizeof(sides[0]))

/* of one slot: the next get has to wait for what the last put stored */
static void get_and_put(void *context, unsigned int thread, uint64_t from,
			uint64_t count)
{
	struct side *side = context;

	(void)thread;
	(void)from;
	while (count--)
		side->kind->put(side->kind->get(&side->slots[0]));
}

/* of one after the other: the next one waits for nothing but the processor */
static void walk(void *context, unsigned int thread, uint64_t from,
		 uint64_t count)
{
	struct side *side = context;

	(void)thread;
	for (; count; count--, from++)
		side->kind->put(side->kind->get(&side->slots[from % SLOTS]));
}

/*
 * The same with what a user does between: stores that miss the nearest caches. An
 * atomic instruction waits for those before it.
 */
static struct {
	_Alignas(64) volatile uint64_t word;
} (*lines)[WORK_LINES]; /* of thread 0, of thread 1 */

static void work(unsigned int thread, uint64_t from)
{
	uint64_t random = from;
	unsigned int i;

	for (i = 0; i < WORK_STORES; i++) {
		random = random * 6364136223846793005 + 1442695040888963407;
		lines[thread][(random >> 33) % WORK_LINES].word = from;
	}
}

static void walk_and_work(void *context, unsigned int thread, uint64_t from,
			  uint64_t count)
{
	struct side *side = context;
	struct trial_ref *ref;

	for (; count; count--, from++) {
		ref = side->kind->get(&side->slots[from % SLOTS]);
		work(thread, from);
		side->kind->put(ref);
	}
}

/* ---- the floor ---- */

static struct {
	_Alignas(64) _Atomic uint64_t word;
} floors[SLOTS];

static void floor_get_and_put(void *context, unsigned int thread, uint64_t from,
			      uint64_t count)
{
	(void)context;
	(void)thread;
	(void)from;
	while (count--) {
		trial_floor_get(&floors[0].word);
		trial_floor_put(&floors[0].word);
	}
}

static void floor_walk(void *context, unsigned int thread, uint64_t from,
		       uint64_t count)
{
	(void)context;
	(void)thread;
	for (; count; count--, from++) {
		trial_floor_get(&floors[from % SLOTS].word);
		trial_floor_put(&floors[from % SLOTS].word);
	}
}

static void floor_walk_and_work(void *context, unsigned int thread,
				uint64_t from, uint64_t count)
{
	(void)context;
	for (; count; count--, from++) {
		trial_floor_get(&floors[from % SLOTS].word);
		work(thread, from);
		trial_floor_put(&floors[from % SLOTS].word);
	}
}

/* ---- measuring them ---- */

/* one way to use them: the counters' function and the floor's */
static const struct pattern {
	const char *words;
	unsigned int slots;
	void (*run)(void *context, unsigned int thread, uint64_t from,
		    uint64_t count);
	void (*run_floor)(void *context, unsigned int thread, uint64_t from,
			  uint64_t count);
} patterns[] = {
	{ NULL, 1, get_and_put, floor_get_and_put },
	{ NULL, SLOTS, walk, floor_walk },
	{ "stores between get and put", SLOTS, walk_and_work,
	  floor_walk_and_work },
};

static void judge(const struct benchmark *benchmark,
		  const struct figures *figures)
{
	char text[128];

	snprintf(text, sizeof(text),
		 "rseq to atomic per CPU: threads %u, slots %u%s%s",
		 benchmark->threads, benchmark->slots,
		 benchmark->setting ? ", " : "",
		 benchmark->setting ? benchmark->setting : "");
	verdict(text, figures[1].median / figures[0].median, AT_MOST, 0.5);
}

static void measure_lookup(const struct pattern *pattern, unsigned int threads)
{
	struct contender contenders[NUM_SIDES + 1] = {};
	struct figures figures[NUM_SIDES + 1];
	struct benchmark benchmark = {
		.name = "counter",
		.operation = "get+put",
		.setting = pattern->words,
		.threads = threads,
		.slots = pattern->slots,
		.contenders = contenders,
		.num = NUM_SIDES + 1,
	};
	unsigned int i;

	for (i = 0; i < NUM_SIDES; i++)
		contenders[i] = (struct contender){
			.name = sides[i].kind->name,
			.what = sides[i].kind->what,
			.run = pattern->run,
			.context = &sides[i],
		};
	contenders[i] = (struct contender){
		.name = "shared, unchecked",
		.what = "two atomic additions, nothing else",
		.run = pattern->run_floor,
	};
	measure(&benchmark, figures);
	judge(&benchmark, figures);
}

static void publish_all(struct side *side)
{
	struct trial_ref *ref;
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		ref = &side->refs[i];
		trial_init(ref, trial_shards((side - sides) * SLOTS + i), NULL);
		side->kind->publish(ref);
		side->slots[i].cur = ref;
	}
}

static void kill_all(struct side *side)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		side->slots[i].cur = NULL;
		side->kind->kill(&side->refs[i]);
	}
}

static void lookup(void)
{
	unsigned int i;

	lines = need_memory(2 * sizeof(*lines));
	for (i = 0; i < NUM_SIDES; i++)
		publish_all(&sides[i]);
	for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		measure_lookup(&patterns[i], 1);
		measure_lookup(&patterns[i], 2);
	}
	for (i = 0; i < NUM_SIDES; i++)
		kill_all(&sides[i]);
	free(lines);
}

/* ---- publish and kill ---- */

static double publish_and_kill(void *context)
{
	struct side *side = context;
	struct trial_ref *ref = &side->refs[0];
	double begin;
	int i;

	trial_init(ref, trial_shards(side - sides), NULL);
	begin = now_ns();
	for (i = 0; i < KILLS; i++) {
		side->kind->publish(ref);
		side->slots[0].cur = ref;
		side->slots[0].cur = NULL;
		side->kind->kill(ref);
		if (side->kind->put(ref))
			return -1; /* there is one reference more */
	}
	return (now_ns() - begin) / KILLS;
}

/* what a thread on another CPU does meanwhile */
static void use(void *context, const atomic_bool *stop)
{
	struct side *side = context;
	struct trial_ref *ref;

	while (!*stop) {
		ref = side->kind->get(&side->slots[0]);
		if (ref)
			side->kind->put(ref);
		beside_did(1);
	}
}

static void measure_kill(bool used)
{
	struct contender contenders[NUM_SIDES] = {};
	struct benchmark benchmark = {
		.name = "counter",
		.operation = "publish+kill",
		.setting = used ? "a thread gets and puts" : "nobody uses it",
		.contenders = contenders,
		.num = NUM_SIDES,
	};
	unsigned int i;

	for (i = 0; i < NUM_SIDES; i++)
		contenders[i] = (struct contender){
			.name = sides[i].kind->name,
			.what = sides[i].kind->what,
			.once = publish_and_kill,
			.beside = used ? use : NULL,
			.context = &sides[i],
		};
	measure(&benchmark, NULL);
}

static void kill_them(void)
{
	measure_kill(false);
	measure_kill(true);
}

static const struct suite suites[] = {
	{ "lookup", "get and put, one thread and two", lookup },
	{ "kill", "publish and kill, alone and with a user", kill_them },
};

int main(int argc, char **argv)
{
	const char *why_not = trial_rseq();

	if (why_not) {
		printf("rseq_trial: there is nothing to compare here: %s\n",
		       why_not);
		return 77;
	}
	if (argc > 1 && strcmp(argv[1], "stress") == 0)
		return !trial_stress(argc > 2 ? atof(argv[2]) : STRESS_SECONDS);
	return measure_main(argc, argv, suites,
			    sizeof(suites) / sizeof(suites[0]));
}
