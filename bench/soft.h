/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * softverbs' devices for benchmarks: a fabric of our own, in memory if there is a
 * place, in this process and through libibverbs, as a program sees them.
 */
#ifndef BENCH_SOFT_H
#define BENCH_SOFT_H

/* the program again with softverbs' interposer, unless it has it already */
void soft_preload(char **argv);

/* soft0, soft1, ...; the library's backend is libibverbs from now on */
void soft_begin(unsigned int devices, unsigned int ports);
void soft_end(void);

#endif /* BENCH_SOFT_H */
