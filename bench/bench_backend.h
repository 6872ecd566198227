/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The library's seam to its devices: what is measured against the library calls
 * the same functions for the same devices.
 */
#ifndef BENCH_BACKEND_H
#define BENCH_BACKEND_H

#include "backend.h"

/* the one in use */
const struct ibc__backend *bench_backend(void);
/* libibverbs again, after fake_start(); no registry is open */
void bench_use_verbs(void);

#endif /* BENCH_BACKEND_H */
