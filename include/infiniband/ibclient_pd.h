/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * One protection domain for each device, shared by all libraries of a process: what is
 * registered by one can be used by the others. Link with -libclient_pd, which is
 * a client like any other, made of the functions of ibclient.h.
 */
#ifndef INFINIBAND_IBCLIENT_PD_H
#define INFINIBAND_IBCLIENT_PD_H

#include <infiniband/ibclient.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct ibc_pd - the PD of a device
 * @data: its client data; data.device is the device
 * @pd: the PD, as long as a reference is held. Nobody deallocates it.
 */
struct ibc_pd {
	struct ibc_client_data data;
	struct ibv_pd *pd;
};

/**
 * ibc_open_pds - have PDs for the devices of a registry
 * @reg: the registry
 *
 * Call it before registering a client that wants PDs in its callbacks: clients are
 * told of a device in the order of their registration. Each library calls it for
 * itself; the calls are counted. PDs are allocated when they are asked for.
 *
 * Context: any thread; waits as ibc_register_client() does. In a callback it
 *	returns at once, and devices that are there already have PDs a little
 *	later.
 * Return: 0, or those of ibc_register_client(); ENOMEM
 */
int ibc_open_pds(struct ibc_registry *reg);

/**
 * ibc_close_pds - take one ibc_open_pds() back
 * @reg: the registry
 *
 * The last one waits until all PDs of the registry are put and deallocated.
 *
 * Context: any thread; in a callback of @reg the last one is EDEADLK.
 * Return: 0; EINVAL (no ibc_open_pds() of @reg is left); EDEADLK, ECHILD: nothing
 *	is taken back
 */
int ibc_close_pds(struct ibc_registry *reg);

/**
 * ibc_get_pd - the PD of a device
 * @dev: a device that the caller has a reference on, or is in a callback of
 *
 * Allocates it if there is none. Whoever has PD objects on it keeps the
 * reference: the device's context stays open with it, and a removal waits.
 *
 * Context: any thread, any callback. May sleep when it allocates; where the PD is
 *	there it takes no lock.
 * Return: a reference, for ibc_put_pd(). NULL and errno: EINVAL (a NULL pointer,
 *	no ibc_open_pds() of the device's registry), ENOENT (ibc_open_pds() was
 *	called in a callback, and has not come to the device), ENODEV (its
 *	removal is under way), ENOMEM, ECHILD, or why ibv_alloc_pd() failed
 */
struct ibc_pd *ibc_get_pd(struct ibc_device *dev);

/**
 * ibc_hold_pd - one reference more
 * @pd: from ibc_get_pd(), still held; NULL does nothing
 *
 * Context: any thread, any callback, a signal handler.
 */
void ibc_hold_pd(struct ibc_pd *pd);

/**
 * ibc_put_pd - drop a reference
 * @pd: from ibc_get_pd(); NULL does nothing
 *
 * All that the caller made on it is destroyed by then. The registry keeps the PD
 * until the device goes or the last ibc_close_pds().
 *
 * Context: any thread, any callback. The last put deallocates the PD.
 */
void ibc_put_pd(struct ibc_pd *pd);

#ifdef __cplusplus
}
#endif

#endif /* INFINIBAND_IBCLIENT_PD_H */
