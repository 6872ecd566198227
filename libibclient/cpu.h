/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The number of the CPU that the caller runs on, for nothing: glibc has the
 * kernel write it to each thread's rseq area (2.35 and later). It may be an old
 * one as soon as it was read, so whoever uses it must be right with any number;
 * a right one only makes it quick.
 */
#ifndef IBC_CPU_H
#define IBC_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* gcc has the builtin for all machines since 11; clang has it where it works */
#if defined(__has_builtin)
#if __has_builtin(__builtin_thread_pointer)
#define IBC_HAVE_RSEQ 1
#endif
#endif

/* set once, before the first registry is there: see ibc__cpu_init() */
extern unsigned int ibc__num_cpus; /* numbers are below that */
/* the same, or 0: no rseq area */
extern __attribute__((visibility("hidden"))) unsigned int ibc__num_rseq_cpus;
/* ->cpu_id, from the thread pointer */
extern __attribute__((visibility("hidden"))) ptrdiff_t ibc__rseq_cpu;

void ibc__cpu_init(void);
unsigned int ibc__possible_cpus(void);
unsigned int ibc__cpu_otherwise(void);

/*
 * False: it is to be asked for otherwise. A thread that the kernel does not tell
 * has -1 or -2 there, which is above all numbers.
 */
static inline bool ibc__cpu_quick(size_t *cpu)
{
#ifndef IBC_HAVE_RSEQ
	(void)cpu;
	return false;
#else
#if defined(__x86_64__) && defined(__LP64__)
	/* two instructions less than the compiler makes */
	__asm__ volatile("movl %%fs:(%1), %k0"
			 : "=r"(*cpu)
			 : "r"(ibc__rseq_cpu));
#else
	const char *area = __builtin_thread_pointer();

	*cpu = *(const volatile uint32_t *)(area + ibc__rseq_cpu);
#endif
	return __builtin_expect((uint32_t)*cpu < ibc__num_rseq_cpus, 1);
#endif
}

/* below ibc__num_cpus: no lock, no system call, signal-safe */
static inline unsigned int ibc__cpu(void)
{
	size_t cpu;

	return ibc__cpu_quick(&cpu) ? cpu : ibc__cpu_otherwise();
}

#endif /* IBC_CPU_H */
