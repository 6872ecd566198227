/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * For libibclient_rdmacm, which is built with the library and links it: not for
 * others. What is exported here is of the version IBCLIENT_PRIVATE_1, and may be
 * another with the next release.
 *
 * Who owns an adopted context may close it only when the registry does not use it
 * any more. A client is told by gone(); but who only lends the context, and has
 * no client, has nobody to tell him. So he leaves a word with the device.
 */
#ifndef IBC_OWNER_H
#define IBC_OWNER_H

#include <infiniband/ibclient.h>

/*
 * @let_go is called once, with @arg: when the device has drained, before its
 * gone(); or by ibc_close(); or right away, if it is not needed since the device
 * has an owner who waits already, or cannot be adopted. No lock is held.
 */
struct ibc__owner {
	void (*let_go)(void *arg);
	void *arg;
};

/*
 * As ibc_adopt_context(), but that outside of callbacks it returns when the clients'
 * add() have run: who has the device has its data, too. Whatever it returns,
 * @owner is let go once.
 */
struct ibc_device *ibc__adopt_owned(struct ibc_registry *reg,
				    struct ibv_context *context, uint32_t flags,
				    const struct ibc__owner *owner);

/* the same of one that has an owner who waits; else NULL, ENOENT */
struct ibc_device *ibc__adopt_again(struct ibc_registry *reg,
				    struct ibv_context *context,
				    uint32_t flags);

#endif /* IBC_OWNER_H */
