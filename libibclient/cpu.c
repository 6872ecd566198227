// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Where the number of the CPU is to be read, and what serves instead where glibc
 * has no rseq area (before 2.35, other C libraries, valgrind,
 * glibc.pthread.rseq=0): then the C library is asked, which on most machines
 * reads it from the vDSO. Where that would be a system call, the thread's own
 * address does: different threads, different numbers, mostly.
 *
 * All of it is written once, before the process's first registry is there, and
 * never again: CPUs that come later are possible before they do. One that is not
 * (sysfs was not to be read) shares the words of CPU 0.
 */
#include <pthread.h>
#include <sched.h>

#include "cpu.h"

unsigned int ibc__num_cpus = 1;
unsigned int ibc__num_rseq_cpus;
ptrdiff_t ibc__rseq_cpu;

#ifdef IBC_HAVE_RSEQ
/* <sys/rseq.h> has them, if glibc has; weak: an older one may be there */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

#define RSEQ_CPU_ID 4 /* offset of cpu_id in struct rseq, <linux/rseq.h> */

static void find_rseq(void)
{
	if (!&__rseq_offset || !&__rseq_size || !__rseq_size)
		return;
	ibc__rseq_cpu = __rseq_offset + RSEQ_CPU_ID;
	ibc__num_rseq_cpus = ibc__num_cpus;
}
#else
static void find_rseq(void)
{
}
#endif

static void init(void)
{
	ibc__num_cpus = ibc__possible_cpus();
	find_rseq();
}

void ibc__cpu_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init);
}

#if defined(__x86_64__) || defined(__i386__) || defined(__powerpc64__) || \
	defined(__s390x__) || defined(__riscv) || defined(__loongarch__)
unsigned int ibc__cpu_otherwise(void)
{
	int cpu = sched_getcpu();

	return cpu >= 0 && (unsigned int)cpu < ibc__num_cpus ? cpu : 0;
}
#else
/* their vDSO has no getcpu() */
unsigned int ibc__cpu_otherwise(void)
{
	uint64_t thread = (uintptr_t)pthread_self();

	return (thread * 0x9e3779b97f4a7c15 >> 40) % ibc__num_cpus;
}
#endif
