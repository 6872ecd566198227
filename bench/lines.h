/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Objects of one cache line each, side by side: see lines.c. */
#ifndef BENCH_LINES_H
#define BENCH_LINES_H

void *line_get(void); /* zeroed */
void line_put(void *line);

#endif /* BENCH_LINES_H */
