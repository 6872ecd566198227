/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The suites of ibc_bench; main.c has the table. */
#ifndef BENCH_SUITES_H
#define BENCH_SUITES_H

void bench_lookup(void);
void bench_startup(void);
void bench_events(void);
void bench_removal(void);
void bench_data(void);
void bench_connect(void);

#endif /* BENCH_SUITES_H */
