/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Measuring contenders against each other: rounds in which each has its turn, in
 * another order each time, so that whatever else the machine does hits them
 * alike. Medians count, and ratios of them.
 *
 * A program is a table of suites; each suite makes benchmarks and gives them to
 * measure(), one after the other, in the main thread. See measure.c.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One way of doing it. Either @run, which is called for some milliseconds and by
 * as many threads as the benchmark has, or @once, which takes the time itself.
 */
struct contender {
	const char *name;
	const char *what; /* what it stands for: half a sentence */
	/* operations @from to @from + @count - 1 of thread number @thread */
	void (*run)(void *context, unsigned int thread, uint64_t from,
		    uint64_t count);
	/* nanoseconds of one operation; negative: it could not be done */
	double (*once)(void *context);
	/* in each thread, before and after its runs, not measured; may be NULL */
	void (*enter)(void *context, unsigned int thread);
	void (*leave)(void *context, unsigned int thread);
	/* runs beside the threads, on a CPU of its own if there is one, until
	 * @stop; the benchmark counts how often it calls beside_did() */
	void (*beside)(void *context, const atomic_bool *stop);
	bool beside_counts; /* it does; a sample lasts until it did once */
	void *context;
};

struct benchmark {
	const char *name;      /* "lookup" */
	const char *operation; /* "get+put" */
	const char *setting;   /* what is special: "replaced all the time" */
	unsigned int threads;  /* 0: 1 */
	unsigned int slots;    /* 0: that does not matter here; nor the next */
	unsigned int devices;
	unsigned int min_rounds; /* more than are asked for, if need be */
	/* operations of all threads of a CPU until its caches are as they will
	 * be from then on; 0: that goes without saying */
	uint64_t warm;
	const struct contender *contenders;
	unsigned int num; /* the first one is what ratios refer to */
};

/* nanoseconds of one operation in one thread */
struct figures {
	double median, q1, q3, min, max;
	double beside; /* median time between calls of beside_did(), 0: none */
};

/* the most that a benchmark may have */
#define MAX_CONTENDERS 24
#define MAX_THREADS    8

/*
 * Measures and prints. @figures has one element for each contender, in their
 * order; may be NULL. Ends the program, with words, if something fails.
 */
void measure(const struct benchmark *benchmark, struct figures *figures);

/* what a writer, beside, has done so far in this sample */
void beside_did(uint64_t count);

/*
 * What is to hold of a ratio of medians: remembered, and printed in a table at
 * the end.
 */
enum sense {
	AT_MOST,
	AT_LEAST,
};
void verdict(const char *what, double ratio, enum sense sense, double limit);

/* -q: only to see that it works; then be small, and give no verdict */
bool quickly(void);

/* a line of prose in the tables; in no JSON */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ends the program: a sentence, without a newline */
void fail(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));

double now_ns(void);		/* CLOCK_MONOTONIC */
void *need_memory(size_t size); /* zeroed, of cache lines of its own */

/* ---- CPUs: those that this process may use, cores before their twins ---- */

/* pins the calling thread, and what it creates, to CPU @n modulo their number */
void pin(unsigned int n);
void unpin(void);
unsigned int num_cpus(void);

/* ---- the program ---- */

struct suite {
	const char *name;
	const char *what;
	void (*run)(void);
};

/* options, topology, the suites asked for (none: all), the verdicts */
int measure_main(int argc, char **argv, const struct suite *suites,
		 unsigned int num);

/* ---- cpus.c, report.c, program.c: for each other and measure.c ---- */

#define MAX_ROUNDS 1001

/* written before anything is measured */
extern struct settings {
	unsigned int rounds;
	double sample_ms;
	bool quick;
} settings;

void cpus_init(void);
/* how the first two CPUs are related: a word for programs, words for people */
const char *cpus_relation(const char **words);
int cpus_number(unsigned int n); /* the kernel's number of CPU @n */

double cpus_round_trip(void); /* of a cache line between those two, in ns */

void report_json(void);		    /* instead of tables */
void report_file(const char *path); /* JSON into this file, too */
void report_cpus(unsigned int rounds, double sample_ms);
void report_title(const struct benchmark *benchmark);
void report_line(const struct benchmark *benchmark,
		 const struct contender *contender,
		 const struct figures *figures, const struct figures *first,
		 unsigned int rounds);
void report_verdicts(void);
void report_end(void);

#endif /* BENCH_MEASURE_H */
