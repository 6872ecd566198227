/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Counters of references to be compared: what get and put cost if they are atomic
 * instructions, and if they are restartable sequences (rseq). See rseq_counter.c.
 */
#ifndef BENCH_RSEQ_COUNTER_H
#define BENCH_RSEQ_COUNTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TRIAL_CPUS	  256 /* those beyond count in the central word */
#define TRIAL_STRIDE_BITS 12  /* a page of shards for each CPU */

/* in the central word, beside the count */
#define TRIAL_CLOSED (1ULL << 63) /* no get by way of this word */
#define TRIAL_BIAS   (1ULL << 62) /* the shards count too */
#define TRIAL_COUNT  (TRIAL_CLOSED - 1)

/* the counter of one object; type-stable, as the library's are */
struct trial_ref {
	_Alignas(64) _Atomic uint64_t word;
	_Atomic(char *) live;	/* rseq: the shards, or NULL: do not use them */
	char *shards;		/* CPU 0's; the next one's is a stride behind */
	void *data;		/* written while nobody has it */
	struct trial_ref *next; /* the user's */
	atomic_int state;	/* the user's */
};

/* what get finds; NULL: nothing */
struct trial_slot {
	_Atomic(struct trial_ref *) cur;
};

/*
 * One way to count. Only one thread publishes and kills; it has a reference of its
 * own then. get and put may be called by anybody and in signal handlers.
 */
struct trial_kind {
	const char *name;
	const char *what;
	bool rseq;   /* needs trial_rseq() */
	bool broken; /* on purpose: counts go wrong */
	/* from now on get finds it, once it is in the slot: one more reference */
	void (*publish)(struct trial_ref *ref);
	/* no get after this; it is not in the slot any more */
	void (*kill)(struct trial_ref *ref);
	struct trial_ref *(*get)(struct trial_slot *slot);
	bool (*put)(struct trial_ref *ref); /* true: it was the last one */
};

extern const struct trial_kind trial_shared, trial_percpu, trial_sequence;
/* the critical sections are long, so that they are often interrupted */
extern const struct trial_kind trial_stretched;
/* the same without what makes it right */
extern const struct trial_kind trial_no_restart, trial_no_fence;

/* NULL if rseq can be used here, else why not. Before any other call. */
const char *trial_rseq(void);
/* the calling thread does without from now on; false: it cannot */
bool trial_leave_rseq(void);
/* a counter with one reference, of which get knows nothing */
void trial_init(struct trial_ref *ref, char *shards, void *data);
/* how often sequences of this thread were begun anew, and given up */
#define IN_THE_THREAD _Thread_local __attribute__((tls_model("initial-exec")))
extern IN_THE_THREAD unsigned long trial_restarts, trial_given_up;

/* the floor: one counter, nothing looked at */
void trial_floor_get(_Atomic uint64_t *word);
void trial_floor_put(_Atomic uint64_t *word);

#endif /* BENCH_RSEQ_COUNTER_H */
