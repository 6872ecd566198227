/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Objects right before a page that nobody may touch: what reads or writes more of one
   than the program has faults. */
#ifndef EDGE_H
#define EDGE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define must(condition)                                                 \
	do {                                                            \
		if (!(condition)) {                                     \
			fprintf(stderr, "line %d: not so: %s (%s)\n",   \
				__LINE__, #condition, strerror(errno)); \
			_exit(1);                                       \
		}                                                       \
	} while (0)

/* filled with FILL; given back by free_at_edge() */
static inline void *at_edge(size_t size, int fill)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(pages != MAP_FAILED && size <= page && size % 8 == 0);
	must(mprotect(pages + page, page, PROT_NONE) == 0);
	memset(pages, fill, page);
	return pages + page - size;
}

static inline void free_at_edge(void *object)
{
	size_t page = sysconf(_SC_PAGESIZE);

	must(munmap((void *)((size_t)object & ~(page - 1)), 2 * page) == 0);
}

/* an object of TYPE, all zero but for its last members given */
#define new_at_edge(type, ...)                               \
	({                                                   \
		type *object_ = at_edge(sizeof(type), 0xff); \
		*object_ = (type){ __VA_ARGS__ };            \
		object_;                                     \
	})

#endif /* EDGE_H */
