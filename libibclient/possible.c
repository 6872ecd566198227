// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How many CPUs there can be, present or not: the kernel says so in sysfs, as
 * the numbers that are possible. Where that is not to be read (no sysfs in the
 * container, no descriptor left) the C library's count has to do; cpu.c is right
 * with any.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu.h"

#define POSSIBLE "/sys/devices/system/cpu/possible"
#define MAX_CPUS 65536

/* "0-3,8-11": the highest of it, or -1 */
static long highest(const char *list)
{
	const char *last = list + strlen(list);
	long cpu;
	char *end;

	while (last > list && (last[-1] < '0' || last[-1] > '9'))
		last--;
	while (last > list && last[-1] >= '0' && last[-1] <= '9')
		last--;
	cpu = strtol(last, &end, 10);
	if (end == last)
		return -1;
	return cpu < MAX_CPUS ? cpu : MAX_CPUS - 1;
}

static long read_possible(void)
{
	char list[256];
	ssize_t size;
	int fd = open(POSSIBLE, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	size = read(fd, list, sizeof(list) - 1);
	close(fd);
	if (size <= 0)
		return -1;
	list[size] = '\0';
	return highest(list);
}

/* one more than the highest number that there can be, as far as is known */
unsigned int ibc__possible_cpus(void)
{
	long num = read_possible() + 1;

	if (num <= 0)
		num = sysconf(_SC_NPROCESSORS_CONF);
	return num > 0 ? num : 1;
}
