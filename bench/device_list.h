/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What a list of devices costs, for those who fetch one each time. */
#ifndef BENCH_DEVICE_LIST_H
#define BENCH_DEVICE_LIST_H

/* fetches libibverbs' list if it has devices in it, or does as much: see the .c */
void device_list(unsigned int devices);
/* which of the two */
const char *device_list_kind(void);

#endif /* BENCH_DEVICE_LIST_H */
