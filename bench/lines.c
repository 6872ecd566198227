// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What a slot's data is, for all contenders that have an object of each: a cache line,
 * beside the next one. How far apart malloc() puts them depends on what else is
 * allocated in between; and with many slots that tells how much memory they are spread
 * over, which is most of what is measured then.
 *
 * Lines that were put are given out again; the blocks stay until the program ends.
 */
#include <pthread.h>
#include <string.h>

#include "lines.h"
#include "measure.h"

#define LINE_SIZE   64
#define BLOCK_LINES 65536

struct line {
	struct line *next;
	char rest[LINE_SIZE - sizeof(struct line *)];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct line *spare;	/* lock */
static struct line *next, *end; /* in the newest block; lock */

static struct line *take(void)
{
	struct line *line = spare;

	if (line) {
		spare = line->next;
		line->next = NULL;
		return line;
	}
	if (next == end) {
		next = need_memory(BLOCK_LINES * sizeof(*next));
		end = next + BLOCK_LINES;
	}
	return next++;
}

void *line_get(void)
{
	struct line *line;

	pthread_mutex_lock(&lock);
	line = take();
	pthread_mutex_unlock(&lock);
	return line;
}

void line_put(void *what)
{
	struct line *line = what;

	memset(line, 0, sizeof(*line));
	pthread_mutex_lock(&lock);
	line->next = spare;
	spare = line;
	pthread_mutex_unlock(&lock);
}
