/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * softverbs: verbs devices in user memory, on command.
 *
 * A fabric is a directory. Programs that run with the interposer and
 * SOFTVERBS_DIR (softverbs(1) `run` and `env` set both) find the fabric's
 * devices through libibverbs, and through librdmacm by the IP addresses that
 * SOFTVERBS_CM gives to them. These functions are what the softverbs command
 * does, for C programs; no special right is needed but to be the directory's
 * owner. The program itself need not run under the interposer.
 *
 * All but softverbs_open() and softverbs_close() return 0 or a positive errno
 * value; errno itself is of no meaning then. Beside what is said of each they
 * may return ENOMEM, ENOENT (the fabric's directory is gone), EINVAL (a file in
 * it is damaged), EMFILE (fewer than a dozen descriptors are left), and what the
 * file system says: EACCES, ENFILE, ENOSPC, EDQUOT, EROFS, EIO, ENOLCK and the
 * like.
 *
 * Any number of threads and processes may work on a fabric at once, threads with
 * one struct softverbs, too. They are not for signal handlers. They take the
 * lock on the fabric, which others hold for moments only; just
 * softverbs_remove_device() waits for longer, and then without that lock.
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
 * @dir: the directory; NULL: $SOFTVERBS_DIR, else
 *	$XDG_RUNTIME_DIR/softverbs, else /tmp/softverbs-UID. The environment is
 *	not looked at in setuid programs.
 *
 * The directory that it is in must exist. A relative path is one from today's
 * working directory; with that the whole may have 174 bytes. A child that is
 * forked may go on using the fabric; the descriptor is closed by execve(2).
 *
 * Any thread may call it, at any time.
 *
 * Return: the fabric, for softverbs_close(); NULL and errno:
 * EPERM: the directory is somebody else's, or others may enter it;
 * ENOTDIR: it is not a directory, or a symbolic link;
 * ENAMETOOLONG: the path is too long;
 * EINVAL, ELOOP: a file in it is not one of a fabric;
 * ENOMEM; or what getcwd(2), mkdir(2) or open(2) said, such as ENOENT, EACCES,
 * EROFS, ENOSPC, EMFILE
 */
struct softverbs *softverbs_open(const char *dir);

/**
 * softverbs_close - forget a fabric; its devices stay
 * @sv: the fabric; NULL does nothing
 *
 * No other call on this struct may be under way. It cannot fail.
 */
void softverbs_close(struct softverbs *sv);

/**
 * softverbs_add_device - hot-add a device
 * @sv: the fabric
 * @name: its name: letters, digits, '_', '-', '.', at most 63 of them, and the
 *	first not '-' nor '.'
 * @guid: node GUID in network byte order; 0: one of the fabric's making
 * @ports: number of ports, 1 to 255; 0: one
 * @removal: enum softverbs_removal
 *
 * All ports are up, with Ethernet as their link layer. GID 0 of port 1 is
 * fe80:: and the GUID; those of further ports differ from it in a byte. P_Key 0
 * is 0xffff. When it returns the device is in every list that is read from then
 * on.
 *
 * Any thread may call it, at any time.
 *
 * Return: 0;
 * EINVAL: @sv or @name is NULL, the name is not good, there are too many ports,
 *	or no such removal;
 * EEXIST: the name is taken, maybe by a device whose removal still waits;
 * EFBIG: the file that counts the devices is damaged;
 * or what is said at the top
 */
int softverbs_add_device(struct softverbs *sv, const char *name, __be64 guid,
			 uint32_t ports, uint32_t removal);

/**
 * softverbs_remove_device - hot-remove a device
 * @sv: the fabric
 * @name: its name
 * @timeout_ms: with SOFTVERBS_REMOVAL_WAIT how long to wait for the holders, in
 *	milliseconds; 0: not at all; -1: for ever. Without meaning for
 *	SOFTVERBS_REMOVAL_FATAL, which never waits.
 *
 * The device leaves the list first. Who is killed has closed; a forked child
 * holds on as long as it has the context's descriptors. Signals do not end the
 * waiting. Who waits for a context of its own waits for ever.
 *
 * Any thread may call it, at any time. While it waits, others go on with the same
 * struct softverbs; other devices are not held up.
 *
 * Return: 0: nobody has the device open (WAIT), or all have been told (FATAL);
 * EINVAL: @sv or @name is NULL, @timeout_ms is less than -1;
 * ENODEV: no such device is listed;
 * ETIMEDOUT: it is not listed any more, and its name stays taken until the last
 *	holder closes;
 * or what is said at the top: after ENOMEM and EMFILE it may be off the list, as
 * after ETIMEDOUT
 */
int softverbs_remove_device(struct softverbs *sv, const char *name,
			    int timeout_ms);

/**
 * softverbs_rename_device - rename a device, as `rdma dev set` does
 * @sv: the fabric
 * @old_name: its name
 * @new_name: the name it gets; as in softverbs_add_device()
 *
 * Index, GUID and open contexts stay as they are, and no event comes.
 *
 * Any thread may call it, at any time.
 *
 * Return: 0;
 * EINVAL: an argument is NULL, or the new name is not good;
 * ENODEV: no such device is listed;
 * EEXIST: the new name is taken, maybe by this very device;
 * or what is said at the top
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
 * A change is told to all open contexts: IBV_EVENT_PORT_ACTIVE or _PORT_ERR. A
 * port that is so already stays so, and nobody is told.
 *
 * Any thread may call it, at any time.
 *
 * Return: 0;
 * EINVAL: @sv or @name is NULL, or the device has no such port;
 * ENODEV: no such device is listed;
 * ENOBUFS: a context does not read its events and can queue no more; the port
 *	was changed, and the other contexts have been told;
 * or what is said at the top
 */
int softverbs_set_port(struct softverbs *sv, const char *name, uint32_t port,
		       bool up);

/**
 * softverbs_send_event - make an async event happen
 * @sv: the fabric
 * @name: the device
 * @spec: what `softverbs event` takes after the name: "TYPE [--port P | --qp N
 *	| --cq N | --srq N | --wq N] [--pid PID] [--count N]"; softverbs(7) has
 *	the types
 *
 * It goes to all open contexts of the device; that of an object to each which
 * has such an object. Nothing else changes. That nobody has the device open is
 * no error for an event of a port or the device.
 *
 * Any thread may call it, at any time.
 *
 * Return: 0;
 * EINVAL: an argument is NULL, or the text is not right: no such type or
 *	option, an element that is missing or not of this type, a bad number;
 * ENODEV: no such device is listed;
 * ENXIO: it has no such port;
 * ENOENT: no context has that object, or none is of process PID;
 * ENOBUFS: a context does not read its events and can queue no more; some may
 *	have got all of them, and some none;
 * or what is said at the top
 */
int softverbs_send_event(struct softverbs *sv, const char *name,
			 const char *spec);

/**
 * softverbs_set_fault - make verbs fail or take their time
 * @sv: the fabric
 * @name: the device
 * @spec: what `softverbs fault` takes after the name: "VERB=ERRNO[:N]",
 *	"VERB=delay:MS" (milliseconds), "none", several of them apart by blanks;
 *	softverbs(7) has the verbs
 *
 * They hold from the next call of the verb on, in all processes, open contexts
 * included, and are added to those that are there; a verb can have an error and
 * a delay. If one word is wrong, none is obeyed.
 *
 * Any thread may call it, at any time.
 *
 * Return: 0;
 * EINVAL: an argument is NULL, or the text is not right: no word, no such verb
 *	or errno name, N or MS not within 1 to 1,000,000,000;
 * ENODEV: no such device is listed;
 * EIO: the faults could not be written;
 * ELOOP: the file of the faults is a symbolic link;
 * or what is said at the top
 */
int softverbs_set_fault(struct softverbs *sv, const char *name,
			const char *spec);

#ifdef __cplusplus
}
#endif

#endif /* INFINIBAND_SOFTVERBS_H */
