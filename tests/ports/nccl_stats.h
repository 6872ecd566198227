/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What NCCL's network plug-in keeps for each device: how often it had which event,
 * and whether one of them was fatal, which every operation asks for. Without a
 * thread for each device.
 */
#ifndef PORTS_NCCL_STATS_H
#define PORTS_NCCL_STATS_H

#include <errno.h>
#include <stdatomic.h>

#include <infiniband/ibclient.h>

#define NCCL_NUM_TYPES 64

struct nccl_device {
	struct ibc_client_data base; /* the first member */
	atomic_ulong fatal;
	atomic_ulong events[NCCL_NUM_TYPES]; /* by type */
};

/* errno values */
int nccl_begin(struct ibc_registry *reg);
int nccl_end(void);
/* a connection holds one; NULL and errno */
struct nccl_device *nccl_get(struct ibc_device *dev);
void nccl_put(struct nccl_device *d);

/* before an operation: 0, or EIO */
static inline int nccl_check(struct nccl_device *d)
{
	return atomic_load_explicit(&d->fatal, memory_order_relaxed) ? EIO : 0;
}

#endif /* PORTS_NCCL_STATS_H */
