/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What it takes to wake a thread: the least that a hand-over can cost. */
#ifndef VM_WAKE_H
#define VM_WAKE_H

#include <stdint.h>

/* Starts a thread that sleeps; 0 or an errno. */
int wake_start(void);
/* From the write to its eventfd until it is awake. */
int64_t wake_ns(void);

#endif /* VM_WAKE_H */
