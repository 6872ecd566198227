/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * shared_pd: the interfaces of two libraries that know nothing of each other, nor
 * the program of a PD. Each can be called for a device from the callbacks of a
 * client that was registered after library_begin().
 */
#ifndef EXAMPLES_SHARED_PD_H
#define EXAMPLES_SHARED_PD_H

#include <stdbool.h>

#include <infiniband/ibclient.h>

#define STORE_SIZE 4096

/* libshared_store: memory that every device can reach. errno values */
int store_begin(void);
int store_end(void);
/* what a work request on @dev is to have; false and errno */
bool store_find(struct ibc_device *dev, struct ibv_sge *sge);
char *store_memory(void); /* STORE_SIZE bytes */

/* libshared_mover: moves memory that the device can reach. errno values */
int mover_begin(void);
int mover_end(void);
/* by the device, into @to; false: the device did not do it, *why is a sentence */
bool mover_copy(struct ibc_device *dev, const struct ibv_sge *from, void *to,
		const char **why);

#endif /* EXAMPLES_SHARED_PD_H */
