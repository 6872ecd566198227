// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Which CPU this is, by the kernel's own word and by what serves instead, and
 * how many there can be: what sysfs says is played.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "cpu.h"

static const char *possible; /* what the file has; NULL: there is none */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;
	int fd;

	va_start(args, flags);
	if (flags & O_CREAT)
		mode = va_arg(args, mode_t);
	va_end(args);
	if (strcmp(path, "/sys/devices/system/cpu/possible") != 0)
		return __real_open(path, flags, mode);
	if (!possible) {
		errno = ENOENT;
		return -1;
	}
	fd = memfd_create("possible", MFD_CLOEXEC);
	check(fd >= 0);
	check(write(fd, possible, strlen(possible)) ==
	      (ssize_t)strlen(possible));
	check(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static int on = -2; /* what sched_getcpu() says, if not -2 */

int __real_sched_getcpu(void);
int __wrap_sched_getcpu(void);
int __wrap_sched_getcpu(void)
{
	return on == -2 ? __real_sched_getcpu() : on;
}

static void it_counts_what_is_possible(void **state)
{
	static const struct {
		const char *list;
		unsigned int num;
	} cases[] = {
		{ "0\n", 1 },	      { "0-3\n", 4 },
		{ "0-239\n", 240 },   { "0,2-5\n", 6 },
		{ "0-3,8\n", 9 },     { "0-3,8-11", 12 },
		{ "0-65535", 65536 }, { "0-99999999999999999999\n", 65536 },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		possible = cases[i].list;
		assert_int_equal(ibc__possible_cpus(), cases[i].num);
	}
}

static void what_says_nothing_leaves_it_to_the_c_library(void **state)
{
	static const char *const lists[] = { NULL, "", "\n", "none\n", "-" };
	long num = sysconf(_SC_NPROCESSORS_CONF);
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		possible = lists[i];
		assert_int_equal(ibc__possible_cpus(), num);
	}
}

/* asks on each CPU that this thread may run on */
static void expect_each(void)
{
	cpu_set_t all, one;
	unsigned int cpu, num = 0;

	check(sched_getaffinity(0, sizeof(all), &all) == 0);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		check(sched_setaffinity(0, sizeof(one), &one) == 0);
		assert_int_equal(ibc__cpu(), cpu);
		num++;
	}
	check(sched_setaffinity(0, sizeof(all), &all) == 0);
	assert_true(num > 0);
}

static void it_knows_where_it_is(void **state)
{
	unsigned int rseq;

	(void)state;
	ibc__cpu_init();
	rseq = ibc__num_rseq_cpus;
	print_message("%s, %u CPUs\n", rseq ? "rseq" : "no rseq area",
		      ibc__num_cpus);
	if (rseq)
		expect_each();
#if defined(__x86_64__) || defined(__i386__)
	ibc__num_rseq_cpus = 0;
	expect_each();
	ibc__num_rseq_cpus = rseq;
#endif
}

static void what_serves_instead_is_in_range(void **state)
{
	unsigned int num = ibc__num_cpus;
	unsigned int rseq = ibc__num_rseq_cpus;

	(void)state;
	ibc__num_rseq_cpus = 0;
	for (on = -1; on < 100; on++)
		for (ibc__num_cpus = 1; ibc__num_cpus < 100; ibc__num_cpus++)
			assert_true(ibc__cpu() < ibc__num_cpus);
	on = -2;
	ibc__num_cpus = num;
	ibc__num_rseq_cpus = rseq;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_counts_what_is_possible),
		cmocka_unit_test(what_says_nothing_leaves_it_to_the_c_library),
		cmocka_unit_test(it_knows_where_it_is),
		cmocka_unit_test(what_serves_instead_is_in_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
