// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Three counters with the same life: a shared word; a word per CPU, with atomic
 * instructions; a word per CPU, without, in restartable sequences.
 *
 * The last is what the experiment is about. A sequence reads ref->live, finds the
 * shard of the CPU that it runs on and adds to it by a plain instruction, its last.
 * If the thread is preempted, moved or gets a signal before that, the kernel has it
 * go on at the abort handler, which begins anew: nobody else uses this CPU's shard
 * meanwhile. What remains is the thread that kills, on another CPU. It
 *
 *	closes the word: no get by that way
 *	sets ref->live to NULL: what begins now finds no shards
 *	membarrier(PRIVATE_EXPEDITED_RSEQ): what had begun is over, by its last
 *		instruction, which is visible now, or begins anew
 *	sums up the shards, which nobody touches any more, and takes the bias off
 *
 * Between the second step and the last puts count in the central word, which the
 * bias keeps from becoming zero. A shard so never gets what nobody counts, and
 * publishing again needs no wait either.
 *
 * Threads without an rseq area, CPUs without a shard and threads whose sequence is
 * aborted again and again (a debugger that steps through it) count in the central
 * word: a compare-and-swap that fails on a closed word, and for put a subtraction.
 *
 * The abort handler and the descriptor of each sequence must never be unmapped: a
 * thread's rseq area may point to the descriptor long after the sequence.
 */
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rseq_counter.h"

#define CMD_FENCE    (1 << 7)	/* MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ */
#define SIGNATURE    0x53053053 /* of abort handlers, as glibc registers it */
#define UNREGISTER   1		/* RSEQ_FLAG_UNREGISTER */
#define CMD_REGISTER (1 << 8)	/* ..._REGISTER_PRIVATE_EXPEDITED_RSEQ */

/* of glibc since 2.35, where <sys/rseq.h> has them */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

IN_THE_THREAD unsigned long trial_restarts, trial_given_up;

static unsigned int cpus; /* that may ever be */

const char *trial_rseq(void)
{
	long commands = syscall(SYS_membarrier, 0, 0, 0);
	long number = sysconf(_SC_NPROCESSORS_CONF);

	cpus = number < TRIAL_CPUS ? number : TRIAL_CPUS;
	if (!&__rseq_size)
		return "glibc registers no rseq area (2.35 and later do)";
	if (!__rseq_size)
		return "the kernel, or GLIBC_TUNABLES, allows no rseq area";
	if (commands < 0 || !(commands & CMD_FENCE))
		return "the kernel has no membarrier() for rseq (5.10 and "
		       "later do)";
	if (syscall(SYS_membarrier, CMD_REGISTER, 0, 0))
		return "membarrier() for rseq cannot be registered";
	return NULL;
}

/* the kernel wants to hear the size that glibc told it, which glibc tells nobody */
bool trial_leave_rseq(void)
{
	char *area = (char *)__builtin_thread_pointer() + __rseq_offset;
	unsigned int size;

	for (size = 32; size <= 1024; size += 4)
		if (!syscall(SYS_rseq, area, size, UNREGISTER, SIGNATURE))
			return true;
	return false;
}

void trial_init(struct trial_ref *ref, char *shards, void *data)
{
	ref->shards = shards;
	ref->data = data;
	atomic_store(&ref->live, NULL);
	atomic_store(&ref->word, TRIAL_CLOSED | 1);
}

/* ---- the central word ---- */

static bool word_get(struct trial_ref *ref)
{
	uint64_t word = atomic_load_explicit(&ref->word, memory_order_relaxed);

	do {
		if (!word || word & TRIAL_CLOSED)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&ref->word, &word, word + 1, memory_order_acquire,
		memory_order_relaxed));
	return true;
}

static bool word_put(struct trial_ref *ref)
{
	uint64_t old =
		atomic_fetch_sub_explicit(&ref->word, 1, memory_order_acq_rel);

	return (old & TRIAL_COUNT) == 1;
}

static void shared_publish(struct trial_ref *ref)
{
	atomic_fetch_add(&ref->word, 1);
	atomic_fetch_and(&ref->word, ~TRIAL_CLOSED);
}

static void shared_kill(struct trial_ref *ref)
{
	atomic_fetch_or(&ref->word, TRIAL_CLOSED);
}

static struct trial_ref *shared_get(struct trial_slot *slot)
{
	struct trial_ref *ref;

	do {
		ref = atomic_load_explicit(&slot->cur, memory_order_acquire);
	} while (ref && !word_get(ref));
	return ref;
}

const struct trial_kind trial_shared = {
	.name = "shared word",
	.what = "get is a compare-and-swap, put an atomic subtraction",
	.publish = shared_publish,
	.kill = shared_kill,
	.get = shared_get,
	.put = word_put,
};

void trial_floor_get(_Atomic uint64_t *word)
{
	atomic_fetch_add_explicit(word, 1, memory_order_acquire);
}

void trial_floor_put(_Atomic uint64_t *word)
{
	atomic_fetch_sub_explicit(word, 1, memory_order_acq_rel);
}

/* ---- a word per CPU, atomic: bit 0 says that it counts ---- */

#define LIVE 1

static _Atomic uint64_t *shard_of(struct trial_ref *ref, unsigned int cpu)
{
	return (_Atomic uint64_t *)(ref->shards +
				    ((size_t)cpu << TRIAL_STRIDE_BITS));
}

/* this CPU's, or CPU 0's; any is right, all are atomic */
static inline _Atomic uint64_t *this_shard(struct trial_ref *ref)
{
	const char *area = (const char *)__builtin_thread_pointer();
	unsigned int cpu;

	cpu = *(const volatile unsigned int *)(area + __rseq_offset + 4);
	return shard_of(ref, cpu < cpus ? cpu : 0);
}

static void percpu_publish(struct trial_ref *ref)
{
	unsigned int cpu;

	atomic_fetch_and(&ref->word, ~TRIAL_CLOSED);
	atomic_fetch_add(&ref->word, TRIAL_BIAS + 1);
	for (cpu = 0; cpu < cpus; cpu++)
		atomic_store_explicit(shard_of(ref, cpu), LIVE,
				      memory_order_release);
}

static void percpu_kill(struct trial_ref *ref)
{
	uint64_t sum = 0;
	unsigned int cpu;

	for (cpu = 0; cpu < cpus; cpu++)
		sum += (int64_t)(atomic_exchange(shard_of(ref, cpu), 0) -
				 LIVE) /
		       2;
	atomic_fetch_add(&ref->word, sum - TRIAL_BIAS);
}

static struct trial_ref *percpu_get(struct trial_slot *slot)
{
	struct trial_ref *ref;
	uint64_t old;

	for (;;) {
		ref = atomic_load_explicit(&slot->cur, memory_order_acquire);
		if (!ref)
			return NULL;
		old = atomic_fetch_add_explicit(this_shard(ref), 2,
						memory_order_acquire);
		if (old & LIVE)
			return ref;
	}
}

static bool percpu_put(struct trial_ref *ref)
{
	uint64_t old;

	old = atomic_fetch_sub_explicit(this_shard(ref), 2,
					memory_order_release);
	return old & LIVE ? false : word_put(ref);
}

const struct trial_kind trial_percpu = {
	.name = "atomic per CPU",
	.what = "an atomic addition to this CPU's word, both",
	.rseq = true,
	.publish = percpu_publish,
	.kill = percpu_kill,
	.get = percpu_get,
	.put = percpu_put,
};

/* ---- a word per CPU, in restartable sequences ---- */

/*
 * The body of a function of (ref, delta): true if a shard was added to, false if
 * there is none to be used. ARM makes it a sequence, of which ADD is the end: that
 * stores to the shard at rax + rcx with its last instruction, and may use rdx.
 */
#define SEQUENCE(ARM, ADD)                                                    \
	__asm__ goto(                                                         \
		".pushsection __rseq_cs, \"aw\"\n\t"                          \
		".balign 32\n"                                                \
		"3:\n\t"                                                      \
		".long 0, 0\n\t" /* version, flags */                         \
		".quad 1f, 2f - 1f, 4f\n\t"                                   \
		".popsection\n\t" ARM "1:\n\t"                                \
		"movq %[live], %%rax\n\t"                                     \
		"testq %%rax, %%rax\n\t"                                      \
		"jz %l[none]\n\t"                                             \
		"movl %%fs:4(%[area]), %%ecx\n\t" /* cpu_id */                \
		"cmpl %[cpus], %%ecx\n\t"                                     \
		"jae %l[none]\n\t"                                            \
		"shlq %[stride], %%rcx\n\t" ADD "2:\n\t"                      \
		".pushsection __rseq_abort, \"ax\"\n\t"                       \
		".byte 0x0f, 0xb9, 0x3d\n\t"                                  \
		".long %c[signature]\n" /* the signature, of an ud1 */        \
		"4:\n\t"                                                      \
		"jmp %l[aborted]\n\t"                                         \
		".popsection"                                                 \
		:                                                             \
		: [area] "r"(__rseq_offset), [live] "m"(ref->live),           \
		  [cpus] "m"(cpus), [delta] "er"(delta),                      \
		  [stride] "i"(TRIAL_STRIDE_BITS), [signature] "i"(SIGNATURE) \
		: "rax", "rcx", "rdx", "memory", "cc"                         \
		: none, aborted)

/* the store comes last: before it this is no sequence, with it it is */
#define ARM                         \
	"leaq 3b(%%rip), %%rax\n\t" \
	"movq %%rax, %%fs:8(%[area])\n"
#define ADD "addq %[delta], (%%rax, %%rcx)\n"
#define ADD_SLOWLY                 \
	"addq %%rcx, %%rax\n\t"    \
	"movq (%%rax), %%rcx\n\t"  \
	"addq %[delta], %%rcx\n\t" \
	"movl $40, %%edx\n"        \
	"5:\n\t"                   \
	"pause\n\t"                \
	"decl %%edx\n\t"           \
	"jnz 5b\n\t"               \
	"movq %%rcx, (%%rax)\n"

enum outcome {
	ADDED,
	ABORTED, /* again, or otherwise */
	NONE,	 /* otherwise */
};

#define SEQUENCE_FUNCTION(NAME, ARM, ADD)                               \
	static inline __attribute__((always_inline)) enum outcome NAME( \
		struct trial_ref *ref, long delta)                      \
	{                                                               \
		SEQUENCE(ARM, ADD);                                     \
		return ADDED;                                           \
	aborted:                                                        \
		trial_restarts++;                                       \
		return ABORTED;                                         \
	none:                                                           \
		return NONE;                                            \
	}

SEQUENCE_FUNCTION(add, ARM, ADD)
SEQUENCE_FUNCTION(add_slowly, ARM, ADD_SLOWLY)
SEQUENCE_FUNCTION(add_slowly_unarmed, "", ADD_SLOWLY)

#define MAX_RESTARTS 16 /* in a row; then by the central word */

static void rseq_publish(struct trial_ref *ref)
{
	unsigned int cpu;

	for (cpu = 0; cpu < cpus; cpu++)
		atomic_store_explicit(shard_of(ref, cpu), 0,
				      memory_order_relaxed);
	atomic_fetch_add(&ref->word, TRIAL_BIAS + 1);
	atomic_fetch_and(&ref->word, ~TRIAL_CLOSED);
	atomic_store_explicit(&ref->live, ref->shards, memory_order_release);
}

static inline __attribute__((always_inline)) void kill_by(struct trial_ref *ref,
							  bool fence)
{
	uint64_t sum = 0;
	unsigned int cpu;

	atomic_fetch_or(&ref->word, TRIAL_CLOSED);
	atomic_store(&ref->live, NULL);
	if (fence && syscall(SYS_membarrier, CMD_FENCE, 0, 0))
		abort(); /* it was registered: that cannot be */
	for (cpu = 0; cpu < cpus; cpu++)
		sum += atomic_load_explicit(shard_of(ref, cpu),
					    memory_order_relaxed);
	atomic_fetch_add(&ref->word, sum - TRIAL_BIAS);
}

static void rseq_kill(struct trial_ref *ref)
{
	kill_by(ref, true);
}

static void kill_unfenced(struct trial_ref *ref)
{
	kill_by(ref, false);
}

/* get and put in one go, and what is left to do if that was not to be */
#define GET_AND_PUT(KIND, ADD)                                               \
	static bool KIND##_again(struct trial_ref *ref, long delta)          \
	{                                                                    \
		enum outcome outcome = ABORTED;                              \
		unsigned int i;                                              \
                                                                             \
		for (i = 0; i < MAX_RESTARTS && outcome == ABORTED; i++)     \
			outcome = ADD(ref, delta);                           \
		trial_given_up += outcome == ABORTED;                        \
		return outcome == ADDED;                                     \
	}                                                                    \
                                                                             \
	static __attribute__((noinline)) struct trial_ref *KIND##_get_again( \
		struct trial_slot *slot)                                     \
	{                                                                    \
		struct trial_ref *ref;                                       \
                                                                             \
		do {                                                         \
			ref = atomic_load_explicit(&slot->cur,               \
						   memory_order_acquire);    \
		} while (ref && !KIND##_again(ref, 1) && !word_get(ref));    \
		return ref;                                                  \
	}                                                                    \
                                                                             \
	static struct trial_ref *KIND##_get(struct trial_slot *slot)         \
	{                                                                    \
		struct trial_ref *ref = atomic_load_explicit(                \
			&slot->cur, memory_order_acquire);                   \
                                                                             \
		if (ref && ADD(ref, 1) == ADDED)                             \
			return ref;                                          \
		return KIND##_get_again(slot);                               \
	}                                                                    \
                                                                             \
	static __attribute__((noinline)) bool KIND##_put_again(              \
		struct trial_ref *ref)                                       \
	{                                                                    \
		return KIND##_again(ref, -1) ? false : word_put(ref);        \
	}                                                                    \
                                                                             \
	static bool KIND##_put(struct trial_ref *ref)                        \
	{                                                                    \
		if (ADD(ref, -1) == ADDED)                                   \
			return false;                                        \
		return KIND##_put_again(ref);                                \
	}

GET_AND_PUT(rseq, add)
GET_AND_PUT(stretched, add_slowly)
GET_AND_PUT(unarmed, add_slowly_unarmed)

const struct trial_kind trial_sequence = {
	.name = "rseq",
	.what = "a plain addition in a restartable sequence, both",
	.rseq = true,
	.publish = rseq_publish,
	.kill = rseq_kill,
	.get = rseq_get,
	.put = rseq_put,
};

const struct trial_kind trial_stretched = {
	.name = "rseq, stretched",
	.what = "some microseconds from its load to its store",
	.rseq = true,
	.publish = rseq_publish,
	.kill = rseq_kill,
	.get = stretched_get,
	.put = stretched_put,
};

const struct trial_kind trial_no_restart = {
	.name = "never begun anew",
	.what = "stretched, and not told to the kernel",
	.rseq = true,
	.broken = true,
	.publish = rseq_publish,
	.kill = rseq_kill,
	.get = unarmed_get,
	.put = unarmed_put,
};

const struct trial_kind trial_no_fence = {
	.name = "killed without fence",
	.what = "stretched, and no membarrier()",
	.rseq = true,
	.broken = true,
	.publish = rseq_publish,
	.kill = kill_unfenced,
	.get = stretched_get,
	.put = stretched_put,
};
