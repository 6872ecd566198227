/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* A count in a library of its own: what no call into a library can undercut. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

_Atomic uint64_t *floor_get(_Atomic uint64_t *count);
bool floor_put(_Atomic uint64_t *count); /* true: it was the last */

#endif /* BENCH_FLOOR_H */
