// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Which CPUs there are to be pinned to, and what the first two of them are to
 * each other: two hardware threads share a core's caches, so that sharing a
 * counter costs them little; two cores do not. Cores come before the second
 * threads of cores. What the kernel does not tell is unknown, not guessed; in a
 * virtual machine it tells what the host made up, so the time that a cache line
 * takes from one to the other and back is measured, too.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "measure.h"

static struct cpu {
	int number, package, core; /* -1: not told */
} cpus[CPU_SETSIZE];
static unsigned int num;

static int read_number(int cpu, const char *what)
{
	char path[128];
	int number = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/%s", cpu,
		 what);
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (fscanf(file, "%d", &number) != 1)
		number = -1;
	fclose(file);
	return number;
}

static bool same_core(const struct cpu *a, const struct cpu *b)
{
	return a->core >= 0 && a->core == b->core && a->package == b->package;
}

/* is it the second thread of the core of one before it? */
static bool is_twin(unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (same_core(&cpus[i], &cpus[n]))
			return true;
	return false;
}

static void cores_first(void)
{
	struct cpu twins[CPU_SETSIZE];
	unsigned int i, cores = 0, num_twins = 0;

	for (i = 0; i < num; i++)
		if (is_twin(i))
			twins[num_twins++] = cpus[i];
		else
			cpus[cores++] = cpus[i];
	for (i = 0; i < num_twins; i++)
		cpus[cores + i] = twins[i];
}

void cpus_init(void)
{
	cpu_set_t set;
	int i;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set))
		fail("the CPUs of this process cannot be had: %m");
	for (i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			cpus[num++] = (struct cpu){
				.number = i,
				.package = read_number(
					i, "topology/physical_package_id"),
				.core = read_number(i, "topology/core_id"),
			};
	if (!num)
		fail("no CPU among the first %d is allowed", CPU_SETSIZE);
	cores_first();
}

const char *cpus_relation(const char **words)
{
	const struct cpu *a = &cpus[0], *b = &cpus[1];

	if (num < 2) {
		*words = "one CPU only: threads take turns";
		return "one-cpu";
	}
	if (a->core < 0 || b->core < 0) {
		*words = "unknown whether of one core or of two";
		return "unknown";
	}
	if (same_core(a, b)) {
		*words = "two hardware threads of one core";
		return "one-core";
	}
	if (a->package != b->package) {
		*words = "two cores, of two packages";
		return "two-packages";
	}
	*words = "two cores of one package";
	return "two-cores";
}

int cpus_number(unsigned int n)
{
	return cpus[n % num].number;
}

unsigned int num_cpus(void)
{
	return num;
}

void pin(unsigned int n)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpus_number(n), &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
		fail("a thread cannot be pinned to CPU %d", cpus_number(n));
}

/* wherever this process may run */
void unpin(void)
{
	cpu_set_t set;
	unsigned int i;

	CPU_ZERO(&set);
	for (i = 0; i < num; i++)
		CPU_SET(cpus_number(i), &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
		fail("a thread cannot be let go to all CPUs");
}

/* ---- the round trip of a cache line ---- */

#define TRIPS  200
#define SERIES 15

static _Alignas(64) _Atomic unsigned int ball;

/* the second CPU has it while it is odd */
static void *return_balls(void *arg)
{
	unsigned int i;

	(void)arg;
	pin(1);
	for (i = 0; i < TRIPS * SERIES; i++) {
		while (ball != 2 * i + 1)
			;
		ball = 2 * i + 2;
	}
	return NULL;
}

static void *serve_balls(void *arg)
{
	double begin, *ns = arg;
	unsigned int i, at = 0;

	pin(0);
	for (i = 0; i < SERIES; i++) {
		begin = now_ns();
		for (; at < (i + 1) * TRIPS; at++) {
			ball = 2 * at + 1;
			while (ball != 2 * at + 2)
				;
		}
		ns[i] = (now_ns() - begin) / TRIPS;
	}
	return NULL;
}

/* the shortest: who waits for a CPU measures that */
double cpus_round_trip(void)
{
	double ns[SERIES], shortest = 0;
	pthread_t first, second;
	unsigned int i;

	if (num < 2)
		return 0;
	ball = 0;
	if (pthread_create(&second, NULL, return_balls, NULL) ||
	    pthread_create(&first, NULL, serve_balls, ns))
		fail("no thread can be made");
	pthread_join(first, NULL);
	pthread_join(second, NULL);
	for (i = 0; i < SERIES; i++)
		if (!i || ns[i] < shortest)
			shortest = ns[i];
	return shortest;
}
