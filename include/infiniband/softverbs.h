/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * softverbs: verbs devices in user memory, on command.
 *
 * A fabric is a directory. Programs that run with the interposer and
 * SOFTVERBS_DIR (softverbs(1) `run` and `env` set both) find the fabric's
 * devices through libibverbs. These functions are what the softverbs command
 * does, for C programs; no special right is needed but to be the directory's
 * owner.
 *
 * They return 0 or a positive errno value and may be called by any thread, one
 * at a time for each struct softverbs. A fabric may be used by any number of
 * processes at once.
 */
#ifndef INFINIBAND_SOFTVERBS_H
#define INFINIBAND_SOFTVERBS_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct softverbs;

/**
 * enum softverbs_removal - what a device does when it is removed
 * @SOFTVERBS_REMOVAL_WAIT: like stock soft-RoCE: it leaves the device list, no
 *	event comes, every verb keeps working, and the removal waits until the
 *	last context is closed
 * @SOFTVERBS_REMOVAL_FATAL: like mlx5: IBV_EVENT_DEVICE_FATAL, then EIO from
 *	every verb (destroying and closing succeed); the removal does not wait
 */
enum softverbs_removal {
	SOFTVERBS_REMOVAL_WAIT,
	SOFTVERBS_REMOVAL_FATAL,
};

/**
 * softverbs_open - open a fabric, making its directory if need be
 * @dir: the directory; NULL: $SOFTVERBS_DIR, else $XDG_RUNTIME_DIR/softverbs,
 *	else /tmp/softverbs-UID
 *
 * Return: the fabric, for softverbs_close(); NULL and errno: EPERM (the
 *	directory is somebody else's, or others may enter it), ENOTDIR, ENOMEM,
 *	or what mkdir(2) or open(2) said
 */
struct softverbs *softverbs_open(const char *dir);

/**
 * softverbs_close - forget a fabric; its devices stay
 * @sv: the fabric; NULL does nothing
 */
void softverbs_close(struct softverbs *sv);

/**
 * softverbs_add_device - hot-add a device
 * @sv: the fabric
 * @name: its name: letters, digits, '_', '-', '.', at most 63 of them
 * @guid: node GUID in network byte order; 0: one of the fabric's making
 * @ports: number of ports, 1 to 255; 0: one
 * @removal: enum softverbs_removal
 *
 * Return: 0; EINVAL; EEXIST (the name is taken, maybe by a device whose removal
 *	still waits); or what the file system said
 */
int softverbs_add_device(struct softverbs *sv, const char *name, __be64 guid,
			 uint32_t ports, uint32_t removal);

/**
 * softverbs_remove_device - hot-remove a device
 * @sv: the fabric
 * @name: its name
 * @timeout_ms: with SOFTVERBS_REMOVAL_WAIT how long to wait for the holders, in
 *	milliseconds; -1: for ever
 *
 * Return: 0; ENODEV (no such device); ETIMEDOUT: it stays unlisted and its name
 *	taken until the last holder closes; EINVAL
 */
int softverbs_remove_device(struct softverbs *sv, const char *name,
			    int timeout_ms);

/**
 * softverbs_rename_device - rename a device, as `rdma dev set` does
 * @sv: the fabric
 * @old_name: its name
 * @new_name: the name it gets
 *
 * Return: 0; ENODEV; EEXIST; EINVAL
 */
int softverbs_rename_device(struct softverbs *sv, const char *old_name,
			    const char *new_name);

/**
 * softverbs_set_port - bring a port up or down
 * @sv: the fabric
 * @name: the device
 * @port: port number, from 1
 * @up: IBV_PORT_ACTIVE if true, else IBV_PORT_DOWN
 *
 * A change is told to all open contexts: IBV_EVENT_PORT_ACTIVE or _PORT_ERR.
 *
 * Return: 0; ENODEV; EINVAL (no such port)
 */
int softverbs_set_port(struct softverbs *sv, const char *name, uint32_t port,
		       bool up);

/**
 * softverbs_send_event - make an async event happen
 * @sv: the fabric
 * @name: the device
 * @spec: what `softverbs event` takes after the name: "TYPE [--port P | --qp N
 *	| --cq N | --srq N | --wq N] [--pid PID] [--count N]"
 *
 * Return: 0; ENODEV; ENXIO (no such port); ENOENT (no context has that
 *	object); EINVAL; ENOBUFS (a
 *	context does not read its events and can queue no more)
 */
int softverbs_send_event(struct softverbs *sv, const char *name,
			 const char *spec);

/**
 * softverbs_set_fault - make verbs fail or take their time
 * @sv: the fabric
 * @name: the device
 * @spec: what `softverbs fault` takes after the name: "VERB=ERRNO[:N]",
 *	"VERB=delay:MS", "none", several of them apart by blanks
 *
 * Return: 0; ENODEV; EINVAL
 */
int softverbs_set_fault(struct softverbs *sv, const char *name,
			const char *spec);

#ifdef __cplusplus
}
#endif

#endif /* INFINIBAND_SOFTVERBS_H */
