/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef BENCH_WRITERS_H
#define BENCH_WRITERS_H

/* get and put while another thread writes, and the verdicts on that */
void measure_writers(void);

#endif /* BENCH_WRITERS_H */
