/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What this process has, as the kernel counts it. */
#ifndef TESTS_PROC_H
#define TESTS_PROC_H

#include <dirent.h>
#include <stdlib.h>

static inline unsigned int proc_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned int n = 0;

	if (!dir)
		abort();
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static inline unsigned int proc_fds(void)
{
	return proc_entries("/proc/self/fd");
}

static inline unsigned int proc_threads(void)
{
	return proc_entries("/proc/self/task");
}

#endif /* TESTS_PROC_H */
