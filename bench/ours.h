/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The library with a table of fake devices: for its ways, and for its writers. */
#ifndef BENCH_OURS_H
#define BENCH_OURS_H

#include <infiniband/ibclient.h>

#include "table.h"

struct ours {
	const struct table *table;
	struct ibc_registry *reg;
	struct ibc_device **device;
	struct ibc_client *client;
	struct ibc_client_data **held; /* of each slot: a reference */
};

/* the fake devices that all registries of a table have; main thread */
void ours_devices(const struct table *table);
void ours_no_devices(void);
/* what a slot may be given; the clients' free callback frees it */
struct ibc_client_data *ours_data(void);

#endif /* BENCH_OURS_H */
