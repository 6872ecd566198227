/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * libibclient for programs whose contexts are librdmacm's. Link with
 * -libclient_rdmacm, which is the only part that needs librdmacm.
 */
#ifndef INFINIBAND_IBCLIENT_RDMACM_H
#define INFINIBAND_IBCLIENT_RDMACM_H

#include <stdint.h>
#include <infiniband/ibclient.h>
#include <rdma/rdma_cma.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * ibc_get_rdmacm_device - the device that an rdma_cm_id is bound to
 * @reg: the registry
 * @id: an id with a device: bound to an address of one, resolved, or of a
 *	connection request. The caller keeps it meanwhile.
 * @adopt_flags: enum ibc_adopt_flags
 *
 * Adopts @id->verbs, as ibc_adopt_context() does, or finds the device that was
 * made of it: all ids on a device have the same context. An id that has moved to
 * another device gives that one, at the next call. Outside of callbacks it returns
 * when the clients' add() have run for the device, as ibc_register_client() does:
 * a connection handler may ask for its data in the next line.
 *
 * librdmacm owns its contexts, and closes one that is not in the device list any
 * more when nobody uses it who librdmacm knows of. The registry does use it, until
 * the device has drained. So the library has an id of its own there, bound to
 * the address of @id, for as long as that takes: librdmacm counts it. It is on
 * this device alone. It is gone before the clients' gone(), and with ibc_close().
 *
 * Context: any thread, any callback; opens and binds an id, and waits for
 *	callbacks, at the first call for a device. Not in a signal handler.
 * Return: a reference, for ibc_put_device(). NULL and errno: EINVAL (a NULL or
 *	foreign pointer, unknown flags, an id without a device), ENODEV (the
 *	device's removal is under way), EADDRNOTAVAIL (the address of @id is
 *	another device's by now, or none's), those of ibc_adopt_context(),
 *	rdma_create_event_channel(), rdma_create_id() and rdma_bind_addr()
 */
struct ibc_device *ibc_get_rdmacm_device(struct ibc_registry *reg,
					 struct rdma_cm_id *id,
					 uint32_t adopt_flags);

/**
 * ibc_report_rdmacm_event - tell the registry what an event channel said
 * @reg: the registry
 * @event: from rdma_get_cm_event(), not acknowledged yet
 *
 * RDMA_CM_EVENT_DEVICE_REMOVAL begins the removal of the adopted device of the
 * id's context; for a device that the registry opened itself on the same hardware
 * it is a hint, which a fresh list confirms. With whatever else says so it is one
 * removal. Other events mean nothing to the registry: give it all of them.
 *
 * Context: any thread, any callback; does not wait.
 * Return: 0, or EINVAL (a NULL or foreign pointer), ECHILD, ENOMEM
 */
int ibc_report_rdmacm_event(struct ibc_registry *reg,
			    const struct rdma_cm_event *event);

/**
 * ibc_release_rdmacm_devices - make librdmacm close what it caches
 * @reg: the registry
 *
 * librdmacm never closes the context of a device that still is in the device list,
 * and looks at that list only when it misses a device, or is asked for all: so the
 * context of a device that went stays open, and with a driver that waits for its
 * users (rxe, siw) the kernel's removal waits. This asks it for all. Contexts that
 * ids are bound to are closed with the last of these.
 *
 * Two things cannot be had through librdmacm's functions. To be asked for all
 * makes it open the devices that it had not opened; it caches those, too, and
 * they have to be released in turn when they go. And without a device in the
 * list it looks no further: ENODEV, the context stays open, and the next call
 * that finds a device closes it.
 *
 * Context: any thread, and gone(), which is the place for it. Opens devices: it
 *	may take milliseconds for each. Not with a lock that a callback takes.
 * Return: 0, or EINVAL (@reg is none), ECHILD, ENODEV, or what
 *	rdma_get_devices() says
 */
int ibc_release_rdmacm_devices(struct ibc_registry *reg);

#ifdef __cplusplus
}
#endif

#endif /* INFINIBAND_IBCLIENT_RDMACM_H */
