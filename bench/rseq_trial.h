/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef BENCH_RSEQ_TRIAL_H
#define BENCH_RSEQ_TRIAL_H

#include "rseq_counter.h"

/* a counter's shards, one for each CPU; @n: of which of several counters */
char *trial_shards(unsigned int n);

/* everything at once for some seconds with each kind; false: one counts wrong */
bool trial_stress(double seconds);

#endif /* BENCH_RSEQ_TRIAL_H */
