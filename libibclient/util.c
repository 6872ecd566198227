// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Time and small conventions. */
#include <time.h>

#include "private.h"
#include "ibc_config.h"

const char *ibc_version(void)
{
	return IBC_VERSION;
}

/* all zero, from a cache line's begin; not touched where calloc() does not */
void *ibc__calloc_lines(size_t size)
{
	const uintptr_t line = 2 * 64; /* two: some CPUs fetch pairs */
	char *memory = calloc(1, sizeof(void *) + line - 1 + size);
	void **lines;

	if (!memory)
		return NULL;
	lines = (void **)(((uintptr_t)memory + sizeof(void *) + line - 1) &
			  ~(line - 1));
	lines[-1] = memory;
	return lines;
}

void ibc__free_lines(void *lines)
{
	if (lines)
		free(((void **)lines)[-1]);
}

/* milliseconds; never 0, so that 0 can mean "not set" */
uint64_t ibc__now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + 1;
}

uint64_t ibc__now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int ibc__deadline(int timeout_ms, uint64_t *deadline)
{
	if (timeout_ms < -1)
		return EINVAL;
	*deadline = timeout_ms < 0 ? IBC_FOREVER : ibc__now() + timeout_ms;
	return 0;
}

/*
 * How long to wait after so many failures in a row: quick at first (a node that
 * udev has not made accessible yet), then rarely enough to cost nothing.
 */
uint64_t ibc__backoff(unsigned int failures)
{
	const uint64_t first = 20, last = 10000;

	return failures > 9 || first << failures > last ? last :
							  first << failures;
}

void *ibc__null(int error)
{
	errno = error;
	return NULL;
}

/* a failure of this process's, and maybe only for a while: not an answer */
bool ibc__out_of_resources(int error)
{
	return error == ENOMEM || error == EMFILE || error == ENFILE;
}
