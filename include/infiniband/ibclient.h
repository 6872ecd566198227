/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * libibclient: a registry of RDMA devices for all libraries of a process.
 *
 * Conventions, unless a function says otherwise:
 *
 *   Errors	int functions return 0 or a positive errno value. Those whose
 *		value is a number (ibc_get_fd(), ibc_device_index()) return -1
 *		and set errno. Pointer functions return NULL and set errno.
 *   EINVAL	NULL where none may be, an unknown flag or comp_mask bit, a
 *		client that is not registered, a foreign pointer where that
 *		can be told.
 *   ECHILD	the registry was opened by a process of which this one is a
 *		fork()ed child. void and bool functions do nothing then.
 *   EBADF	the program has closed file descriptors of the registry, by
 *		closefrom() say: what would wait for news of devices returns
 *		it, unregistering and closing work.
 *   Time-outs	are in milliseconds; -1 waits for ever, less is EINVAL.
 *   Threads	every function may be called by any thread.
 *   Callbacks	every function may be called in every callback, alloc and
 *		free callbacks, open_device(), the log sink and the function
 *		given to ibc_for_each_device() included. What would wait
 *		(unregister, close, wait_drained, dispatch) returns EDEADLK
 *		there, at once, having changed nothing. No lock of the library
 *		is held while a callback runs.
 *
 * ibclient(7) has the life cycle and the numbered guarantees.
 */
#ifndef INFINIBAND_IBCLIENT_H
#define INFINIBAND_IBCLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <infiniband/verbs.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ibc_registry;
struct ibc_device;
struct ibc_client;

/**
 * enum ibc_registry_flags - how a registry works
 * @IBC_REGISTRY_MANUAL: the registry starts no thread: the caller polls
 *	ibc_get_fd() and calls ibc_dispatch(). Callbacks then run inside
 *	ibc_dispatch() and inside what waits (register, unregister, close,
 *	wait_drained), nowhere else.
 * @IBC_REGISTRY_NO_OPEN: the registry opens no device by itself; it knows
 *	adopted contexts only.
 * @IBC_REGISTRY_TRACK_REFS: remember where in the code each reference on client
 *	data was taken, for ibc_dump() and the warning of a removal that
 *	drains long. Also with IBC_TRACK_REFS=1 in the environment.
 */
enum ibc_registry_flags {
	IBC_REGISTRY_MANUAL = 1 << 0,
	IBC_REGISTRY_NO_OPEN = 1 << 1,
	IBC_REGISTRY_TRACK_REFS = 1 << 2,
};

/**
 * struct ibc_registry_attr - attributes of a new registry
 * @comp_mask: 0; other bits get EINVAL
 * @flags: enum ibc_registry_flags
 * @num_threads: dispatching threads, at most 1024; 0: one. Must be 0 with
 *	IBC_REGISTRY_MANUAL.
 * @scan_interval_ms: period, in milliseconds, of the fallback rescan of the
 *	device list; 0: chosen by what else works (no rescan where the kernel
 *	tells of changes).
 * @drain_warn_ms: log a warning when a removal drains for longer than this
 *	many milliseconds, with the clients that hold it up and how many
 *	references they have; 0: 10000
 * @devices: comma-separated shell patterns (fnmatch(3)) of the names of the
 *	devices to open; NULL: all. A device that is open stays so when it is
 *	renamed. Adopted contexts are not filtered. Copied by ibc_open().
 * @open_device: opens a device, NULL: ibv_open_device(). For example
 *	mlx5dv_open_device() with attributes of your own. Returns NULL and
 *	sets errno on failure; is then called again later. Runs in a
 *	dispatcher and counts as a callback.
 * @open_arg: second argument of @open_device
 */
struct ibc_registry_attr {
	uint32_t comp_mask;
	uint32_t flags;
	uint32_t num_threads;
	uint32_t scan_interval_ms;
	uint32_t drain_warn_ms;
	const char *devices;
	struct ibv_context *(*open_device)(struct ibv_device *device,
					   void *arg);
	void *open_arg;
};

/**
 * ibc_open - open a registry
 * @attr: attributes of a new registry of the caller's own; NULL: the process's
 *	shared one, made by the first such call and counted
 *
 * Sources of hot-plug news are opened here, before any device is listed; the
 * devices themselves are opened when the first client is registered. A machine
 * without RDMA gives an empty registry, not an error.
 *
 * Return: the registry, to be given to ibc_close(); NULL and errno:
 *	EINVAL	unknown flags or comp_mask bits, too many threads, or threads
 *		asked of a manual registry
 *	ENOMEM, EMFILE, ENFILE, EAGAIN (no thread could be made), ENOSPC (epoll(7)
 *		watches too many descriptors for this user)
 */
struct ibc_registry *ibc_open(const struct ibc_registry_attr *attr);

/**
 * ibc_close - drop one count of a registry, and with the last one close it
 * @reg: the registry
 *
 * The last close stops the threads, closes the contexts that the registry
 * opened and hands adopted ones back. In a forked child it closes the child's
 * copies of the parent's file descriptors, so that the child does not hold a
 * removed device back.
 *
 * Return: 0; EINVAL; EDEADLK in a callback; for the last count EBUSY while
 *	clients or device references are left (the count is then kept)
 */
int ibc_close(struct ibc_registry *reg);

/**
 * ibc_get_fd - file descriptor of a manual registry, for a poll loop
 * @reg: a registry with IBC_REGISTRY_MANUAL
 *
 * Return: a descriptor, readable (POLLIN) when ibc_dispatch() has work. It
 *	belongs to the registry: neither read nor close it. -1 and errno:
 *	EINVAL (also where the registry has threads), ECHILD, EBADF
 */
int ibc_get_fd(struct ibc_registry *reg);

/**
 * ibc_dispatch - run what is due in a manual registry
 * @reg: a registry with IBC_REGISTRY_MANUAL
 * @timeout_ms: how long to wait for something to do; 0: not at all, -1: for
 *	ever
 *
 * Several threads may dispatch at once; callbacks of one device still never
 * run concurrently.
 *
 * Return: 0 ran what was due; ETIMEDOUT nothing came; EDEADLK in a callback;
 *	EINVAL, also where the registry has threads; ECHILD; EBADF
 */
int ibc_dispatch(struct ibc_registry *reg, int timeout_ms);

/**
 * ibc_rescan - read the list of devices now and queue what changed
 * @reg: the registry
 *
 * Never needed where hot-plug news works (see ibc_dump()); the callbacks that
 * follow run in a dispatcher. Does nothing before the first client is
 * registered or context adopted.
 *
 * Return: 0; EINVAL; ECHILD; EBADF; ENOMEM; or why the list could not be read,
 *	which is never taken for an empty list
 */
int ibc_rescan(struct ibc_registry *reg);

/**
 * enum ibc_device_state - life cycle of one incarnation of a device
 * @IBC_DEVICE_LIVE: present
 * @IBC_DEVICE_REMOVING: going; remove() callbacks run
 * @IBC_DEVICE_DRAINING: remove() callbacks have run, references are left
 * @IBC_DEVICE_GONE: its context is closed or handed back to its owner
 */
enum ibc_device_state {
	IBC_DEVICE_LIVE,
	IBC_DEVICE_REMOVING,
	IBC_DEVICE_DRAINING,
	IBC_DEVICE_GONE,
};

/**
 * ibc_device_context - the verbs context of a device
 * @dev: a device that the caller has a reference on, or is in a callback of
 *
 * The context is open inside the device's callbacks (gone() excepted), inside
 * the function given to ibc_for_each_device(), and for as long as the caller
 * holds client data of the device. A mere device reference keeps only the
 * struct.
 *
 * Return: the context; NULL once the device is IBC_DEVICE_GONE (errno ENODEV),
 *	or with errno EINVAL or ECHILD
 */
struct ibv_context *ibc_device_context(struct ibc_device *dev);

/**
 * ibc_device_name - today's name of a device
 * @dev: the device
 *
 * A device can be renamed (`rdma dev set NAME name NEW`); each string lives as
 * long as @dev, so an old one stays readable.
 *
 * Return: the name, or NULL with errno EINVAL or ECHILD
 */
const char *ibc_device_name(struct ibc_device *dev);

/**
 * ibc_device_index - the kernel's index of a device (`rdma dev`, ibdev index)
 * @dev: the device
 *
 * Return: the index; -1 where the kernel does not tell it, or with errno
 *	EINVAL or ECHILD
 */
int ibc_device_index(struct ibc_device *dev);

/**
 * ibc_device_guid - the node GUID of a device
 * @dev: the device
 *
 * Return: the GUID in network byte order; 0 if unknown, or with errno EINVAL
 *	or ECHILD
 */
__be64 ibc_device_guid(struct ibc_device *dev);

/**
 * ibc_device_incarnation - number of this incarnation of a device
 * @dev: the device
 *
 * A device that goes and comes back is another incarnation, even with the same
 * name, GUID, uverbs minor or index.
 *
 * Return: a number, never the same twice in a process; 0 with errno EINVAL or
 *	ECHILD
 */
uint64_t ibc_device_incarnation(struct ibc_device *dev);

/**
 * ibc_device_state - where a device is in its life cycle
 * @dev: the device
 *
 * Return: the state; IBC_DEVICE_GONE with errno EINVAL or ECHILD for a pointer
 *	that is no use
 */
enum ibc_device_state ibc_device_state(struct ibc_device *dev);

/**
 * ibc_device_adopted - did somebody else open the device's context?
 * @dev: the device
 *
 * Return: true for what ibc_adopt_context() made
 */
bool ibc_device_adopted(struct ibc_device *dev);

/**
 * ibc_device_registry - the registry that a device belongs to
 * @dev: the device
 *
 * Return: the registry (no count is taken), or NULL with errno EINVAL or
 *	ECHILD
 */
struct ibc_registry *ibc_device_registry(struct ibc_device *dev);

/**
 * ibc_get_device - take a reference on a device
 * @dev: a device that the caller has a reference on, or is in a callback of
 *
 * The reference keeps the struct and the registry (ibc_close() says EBUSY), but
 * not the context: hold client data for that.
 *
 * Return: @dev; NULL with errno EINVAL or ECHILD
 */
struct ibc_device *ibc_get_device(struct ibc_device *dev);

/**
 * ibc_put_device - drop a reference on a device
 * @dev: the device; NULL does nothing
 */
void ibc_put_device(struct ibc_device *dev);

/**
 * ibc_get_device_by_name - look a device up by its name
 * @reg: the registry
 * @name: today's name
 *
 * Like the two functions that follow it knows IBC_DEVICE_LIVE, opened devices
 * only: before the first client is registered, adopted ones at most. Lookups by
 * name and index prefer the device that the registry itself opened to an
 * adopted one.
 *
 * Return: a reference, for ibc_put_device(); NULL and errno: ENODEV (no such
 *	device), EINVAL, ECHILD
 */
struct ibc_device *ibc_get_device_by_name(struct ibc_registry *reg,
					  const char *name);

/**
 * ibc_get_device_by_index - look a device up by the kernel's index
 * @reg: the registry
 * @index: the index, 0 or more
 *
 * Return: as ibc_get_device_by_name()
 */
struct ibc_device *ibc_get_device_by_index(struct ibc_registry *reg, int index);

/**
 * ibc_get_device_by_context - look a device up by its verbs context
 * @reg: the registry
 * @context: a context that the registry opened or adopted
 *
 * Return: as ibc_get_device_by_name()
 */
struct ibc_device *ibc_get_device_by_context(struct ibc_registry *reg,
					     struct ibv_context *context);

/**
 * ibc_for_each_device - call a function for each live, opened device
 * @reg: the registry
 * @fn: called in the order in which the devices came; its device's context
 *	stays open meanwhile. It counts as a callback.
 * @arg: last argument of @fn
 *
 * Return: the first non-zero value of @fn, which ends the walk; else 0; EINVAL,
 *	ECHILD, ENOMEM
 */
int ibc_for_each_device(struct ibc_registry *reg,
			int (*fn)(struct ibc_device *dev, void *arg),
			void *arg);

/**
 * enum ibc_adopt_flags - who reads the events of an adopted context
 * @IBC_ADOPT_READ_EVENTS: the library does (it makes async_fd non-blocking);
 *	without it the owner reads them and feeds ibc_report_event()
 */
enum ibc_adopt_flags {
	IBC_ADOPT_READ_EVENTS = 1 << 0,
};

/**
 * ibc_adopt_context - make a device of a context that somebody else opened
 * @reg: the registry
 * @context: an open context; it stays its owner's
 * @flags: enum ibc_adopt_flags
 *
 * The clients' add() follow, in a dispatcher. An adopted context is a device of
 * its own, even where the registry has opened the same NIC itself: PDs belong to
 * one context. A client that cares declines adopted devices with EOPNOTSUPP.
 * Adopting a context again gives the same device (and reads its events from
 * then on, if @flags say so); for a context that the registry opened itself it
 * gives that device.
 *
 * The owner closes the context once the device has drained (gone(),
 * ibc_wait_drained()). Before closing a live one, call ibc_remove_device() and
 * wait.
 *
 * Return: a reference, for ibc_put_device(); NULL and errno: EINVAL, ECHILD,
 *	ENODEV (its removal is under way), ENOMEM, EBADF, or why the context's
 *	async_fd could not be watched
 */
struct ibc_device *ibc_adopt_context(struct ibc_registry *reg,
				     struct ibv_context *context,
				     uint32_t flags);

/**
 * ibc_report_event - tell the library of an async event that the caller read
 * @dev: any device
 * @event: what ibv_get_async_event() gave
 *
 * Only queues; the caller acknowledges the event after this has returned.
 * IBV_EVENT_DEVICE_FATAL begins the device's removal.
 *
 * Return: 0; EINVAL, also for an unknown event type; ENODEV once the device is
 *	GONE or, for an event of a port or of the device, once its removal began;
 *	ENOMEM; ECHILD
 */
int ibc_report_event(struct ibc_device *dev,
		     const struct ibv_async_event *event);

/**
 * ibc_report_error - tell the library that a verb of the caller's failed
 * @dev: the device
 * @error: the errno value, of either sign
 *
 * EIO and ENODEV are hints that the device went: they are confirmed by a fresh
 * list and a cheap verb before they are believed. Other values are ignored.
 *
 * Return: 0; EINVAL; ECHILD
 */
int ibc_report_error(struct ibc_device *dev, int error);

/**
 * ibc_remove_device - start the removal of a device
 * @dev: the device
 *
 * Idempotent. A device removed so is opened again only once it has left the
 * list and returned.
 *
 * Return: 0, also if its removal had begun; EINVAL; ECHILD
 */
int ibc_remove_device(struct ibc_device *dev);

/**
 * ibc_wait_drained - wait until a device is IBC_DEVICE_GONE
 * @dev: a device that the caller has a reference on
 * @timeout_ms: at most so long, -1: for ever
 *
 * Returns after the gone() callbacks have run. Does not start the removal.
 *
 * Return: 0; ETIMEDOUT; EDEADLK in a callback; EINVAL; ECHILD
 */
int ibc_wait_drained(struct ibc_device *dev, int timeout_ms);

/**
 * struct ibc_client_data - what a client keeps for one device
 * @device: the device
 * @client: the client
 * @opaque: the library's
 *
 * Embed it in a struct of your own. The library fills it in, after
 * alloc_client_data() or in ibc_init_client_data().
 */
struct ibc_client_data {
	struct ibc_device *device;
	struct ibc_client *client;
	uintptr_t opaque[6];
};

/**
 * enum ibc_event_flags - more about an event
 * @IBC_EVENT_REPLAYED: it happened before the receiver was there: the last
 *	PORT_ACTIVE or PORT_ERR of a port
 */
enum ibc_event_flags {
	IBC_EVENT_REPLAYED = 1 << 0,
};

/**
 * struct ibc_event - an async event; the library makes it
 * @async: the event. The object that an element pointer points to may have been
 *	destroyed meanwhile: treat it as a number.
 * @count: how many equal events (type and element) this one stands for
 * @flags: enum ibc_event_flags
 * @element_num: number of the QP or WQ, of the SRQ where it has one, or of the
 *	port; else 0
 * @element_context: the object's qp_context, cq_context, srq_context or
 *	wq_context; else NULL
 *
 * Grows only at its end.
 */
struct ibc_event {
	struct ibv_async_event async;
	uint32_t count;
	uint32_t flags;
	uint32_t element_num;
	void *element_context;
};

/**
 * enum ibc_client_flags - how a client's data lives
 * @IBC_CLIENT_FREE_UNUSED: the registry keeps no reference of its own: the last
 *	put empties the slot, then frees
 * @IBC_CLIENT_DEFER_FREE: a dispatcher calls free_client_data(), never the
 *	thread that puts
 */
enum ibc_client_flags {
	IBC_CLIENT_FREE_UNUSED = 1 << 0,
	IBC_CLIENT_DEFER_FREE = 1 << 1,
};

/**
 * struct ibc_client - a user of the registry
 * @comp_mask: 0; other bits get EINVAL
 * @flags: enum ibc_client_flags
 * @name: for logs and dumps; NULL is allowed
 * @add: a device came. 0: it is the client's now, and remove() follows exactly
 *	once. EOPNOTSUPP: the client does not want this incarnation. Another
 *	errno, of either sign: logged, tried again later.
 * @remove: the device goes. @data is the client's, borrowed, NULL if there is
 *	none; the registry drops its own reference after this returns.
 * @gone: follows remove(): all data of the device, every client's, is freed and
 *	its context closed or, if adopted, the owner's to close
 * @rename: the device has another name
 * @event: an async event of the device; @data is borrowed, NULL if there is none
 * @event_mask: the types that @event wants, 1ULL << IBV_EVENT_x; 0: all
 * @alloc_client_data: makes the client's data for a device. Runs with no lock
 *	held, in the thread that asks; may sleep. Returns NULL and sets errno on
 *	failure. It must not call ibc_init_client_data().
 * @free_client_data: frees what @alloc_client_data made or what was given to
 *	ibc_set_client_data(), after the last put
 * @opaque: the library's; zero before registering and after unregistering
 *
 * Every callback may be NULL. Callbacks of one device never run concurrently
 * with each other, alloc and free excepted.
 */
struct ibc_client {
	uint32_t comp_mask;
	uint32_t flags;
	const char *name;
	int (*add)(struct ibc_client *client, struct ibc_device *dev);
	void (*remove)(struct ibc_client *client, struct ibc_device *dev,
		       struct ibc_client_data *data);
	void (*gone)(struct ibc_client *client, struct ibc_device *dev);
	void (*rename)(struct ibc_client *client, struct ibc_device *dev,
		       const char *old_name);
	void (*event)(struct ibc_client *client, struct ibc_device *dev,
		      struct ibc_client_data *data,
		      const struct ibc_event *event);
	uint64_t event_mask;
	struct ibc_client_data *(*alloc_client_data)(struct ibc_client *client,
						     struct ibc_device *dev);
	void (*free_client_data)(struct ibc_client_data *data);
	uintptr_t opaque[4];
};

/**
 * ibc_register_client - register a client
 * @reg: the registry
 * @client: the client; it and its name stay the caller's and must live until
 *	it is unregistered
 *
 * Reads the device list and returns when add() has run for each device in it,
 * once, or could not because the device does not open. In a callback it returns
 * at once and the adds follow. add() runs in the order of registration, remove()
 * in the reverse.
 *
 * Devices that are not open yet are opened beside each other: by the registry's
 * threads, and by the calling one, which would only wait (not if the registry is
 * manual or has an open_device() of its own). Signals are blocked there meanwhile,
 * and cancellation disabled. No callback of a client is called in it.
 *
 * Return: 0; EINVAL; EBUSY (it is registered already); ENOMEM; ECHILD; EBADF; or
 *	why the device list could not be read
 */
int ibc_register_client(struct ibc_registry *reg, struct ibc_client *client);

/**
 * ibc_unregister_client - unregister a client: a full fence
 * @client: a registered client
 *
 * remove() runs for each device that the client has added. Waits for all
 * references on its data. Once this has returned 0, no callback of the client
 * runs or ever will, free_client_data() included: its code may be unloaded.
 *
 * Return: 0; EINVAL; EDEADLK in a callback; EBUSY (two threads unregister it,
 *	or ibc_unregister_client_async() has it); ECHILD
 */
int ibc_unregister_client(struct ibc_client *client);

/**
 * ibc_unregister_client_timed - ibc_unregister_client() with a time limit
 * @client: a registered client
 * @timeout_ms: at most so long, -1: for ever
 *
 * Return: as ibc_unregister_client(); ETIMEDOUT: the removal goes on, the client
 *	is not unregistered yet: call again
 */
int ibc_unregister_client_timed(struct ibc_client *client, int timeout_ms);

/**
 * ibc_unregister_client_async - unregister a client without waiting
 * @client: a registered client
 * @done: called in a dispatcher, as the last thing, when the client is
 *	unregistered and may be freed or registered again; may be NULL
 *
 * May be called in a callback.
 *
 * Return: 0; EINVAL; EBUSY (it is being unregistered by somebody else); ECHILD
 */
int ibc_unregister_client_async(struct ibc_client *client,
				void (*done)(struct ibc_client *client));

/**
 * ibc_alloc_or_get_client_data - find or make a client's data for a device
 * @dev: a device that the caller has a reference on, or is in a callback of
 * @client: a registered client
 *
 * However many threads ask, alloc_client_data() succeeds once; the others wait
 * for it and share its result. If it fails they get its errno, and the next
 * caller tries anew.
 *
 * Return: the data with a reference, for ibc_put_client_data(); NULL and errno:
 *	what alloc_client_data() set; ENOENT (no alloc_client_data(), or add()
 *	has not begun yet or has failed); EOPNOTSUPP (add() said so); ENODEV (the
 *	device is going); ESHUTDOWN (the client is); EDEADLK (called, directly or
 *	in a circle, by the alloc_client_data() it would wait for); EINVAL,
 *	ENOMEM, ECHILD
 */
struct ibc_client_data *ibc_alloc_or_get_client_data(struct ibc_device *dev,
						     struct ibc_client *client);

/**
 * ibc_get_client_data - find a client's data for a device
 * @dev: a device that the caller has a reference on, or is in a callback of
 * @client: a client whose unregister has not returned 0
 *
 * Never blocks, allocates, takes a lock or makes a system call: for any thread,
 * any callback, a signal handler.
 *
 * Return: the data with a reference, for ibc_put_client_data(); NULL and errno:
 *	ENOENT (none, or add() has not begun yet), EOPNOTSUPP (add() said so),
 *	ENODEV (the device is going), ESHUTDOWN (the client is), EINVAL, ECHILD
 */
struct ibc_client_data *ibc_get_client_data(struct ibc_device *dev,
					    struct ibc_client *client);

/**
 * ibc_hold_client_data - take one more reference
 * @data: data that the caller holds a reference on
 *
 * As cheap and safe as ibc_get_client_data().
 */
void ibc_hold_client_data(struct ibc_client_data *data);

/**
 * ibc_put_client_data - drop a reference
 * @data: data that the caller holds a reference on; NULL does nothing
 *
 * Safe in a signal handler if it is not the last one or the client has
 * IBC_CLIENT_DEFER_FREE. Otherwise the last put calls free_client_data(), in
 * this thread, and so may sleep.
 *
 * Return: true: it was the last, @data is (or will be) freed
 */
bool ibc_put_client_data(struct ibc_client_data *data);

/**
 * ibc_init_client_data - initialise data for set and cmpxchg
 * @data: data of the caller's making
 * @dev: a device that the caller has a reference on, or is in a callback of
 * @client: a registered client
 *
 * To be called before verbs objects are made for it: from here on the context
 * stays open until the last put. Not for what alloc_client_data() returns: the
 * library does that one.
 *
 * Return: 0: @data has one reference, the caller's; ENODEV, ESHUTDOWN, EINVAL,
 *	ENOMEM, ECHILD: nothing was done, @data is still only the caller's
 */
int ibc_init_client_data(struct ibc_client_data *data, struct ibc_device *dev,
			 struct ibc_client *client);

/**
 * ibc_set_client_data - publish, replace or withdraw a client's data
 * @dev: a device that the caller has a reference on, or is in a callback of
 * @client: a registered client
 * @data: initialised data that the caller holds a reference on; NULL empties
 *	the slot
 *
 * Takes a reference on @data for the registry and drops the registry's on what
 * was there (neither with IBC_CLIENT_FREE_UNUSED).
 *
 * Return: 0; ENOENT (add() has not begun), EOPNOTSUPP, ENODEV, ESHUTDOWN,
 *	EINVAL (also for data of another device or client), ECHILD
 */
int ibc_set_client_data(struct ibc_device *dev, struct ibc_client *client,
			struct ibc_client_data *data);

/**
 * ibc_cmpxchg_client_data - replace a client's data if it is the expected one
 * @dev: a device that the caller has a reference on, or is in a callback of
 * @client: a registered client
 * @old: the data expected to be there; NULL: none
 * @data: what to publish, as for ibc_set_client_data()
 * @current: may be NULL. With EAGAIN: what is there instead, with a reference
 *	for the caller, or NULL for an empty slot; otherwise set to NULL.
 *
 * Return: 0: @data is stored; EAGAIN; otherwise as ibc_set_client_data()
 */
int ibc_cmpxchg_client_data(struct ibc_device *dev, struct ibc_client *client,
			    struct ibc_client_data *old,
			    struct ibc_client_data *data,
			    struct ibc_client_data **current);

/**
 * enum ibc_event_scope - whose events a handler hears
 * @IBC_SCOPE_DEVICE: every event of the device, whatever its element
 * @IBC_SCOPE_PORT: those of one port or of all
 * @IBC_SCOPE_QP: those of one QP
 * @IBC_SCOPE_CQ: those of one CQ
 * @IBC_SCOPE_SRQ: those of one SRQ
 * @IBC_SCOPE_WQ: those of one WQ
 */
enum ibc_event_scope {
	IBC_SCOPE_DEVICE,
	IBC_SCOPE_PORT,
	IBC_SCOPE_QP,
	IBC_SCOPE_CQ,
	IBC_SCOPE_SRQ,
	IBC_SCOPE_WQ,
};

/**
 * struct ibc_event_filter - what a handler hears; only read while registering
 * @comp_mask: 0; other bits get EINVAL
 * @scope: enum ibc_event_scope
 * @port_num: for IBC_SCOPE_PORT: the port; 0: all
 * @qp: for IBC_SCOPE_QP: a QP of the device's context
 * @cq: for IBC_SCOPE_CQ
 * @srq: for IBC_SCOPE_SRQ
 * @wq: for IBC_SCOPE_WQ
 * @type_mask: the types, 1ULL << IBV_EVENT_x; 0: every type of that scope. In
 *	any scope it may have IBV_EVENT_DEVICE_FATAL. Types that cannot be of that
 *	scope are ignored, but if there are only such it gets EINVAL.
 */
struct ibc_event_filter {
	uint32_t comp_mask;
	uint32_t scope;
	union {
		uint32_t port_num;
		struct ibv_qp *qp;
		struct ibv_cq *cq;
		struct ibv_srq *srq;
		struct ibv_wq *wq;
	};
	uint64_t type_mask;
};

struct ibc_event_handler;

/**
 * ibc_register_event_handler - hear of a device's, port's or object's events
 * @dev: a live device that the caller has a reference on, or is in a callback
 *	of
 * @filter: which events
 * @fn: called for each, as one of the device's callbacks, after the clients'
 *	event(). It may destroy the object that the event is of.
 * @arg: last argument of @fn
 *
 * @fn hears what is read from here on: of an object register before it can have
 * events, so before a QP leaves RESET. An event that is being told when it is
 * registered it does not hear. Only the last PORT_ACTIVE or PORT_ERR of
 * each port is told once more, marked IBC_EVENT_REPLAYED. While the device
 * drains the handlers of objects go on hearing of them, the others nothing.
 *
 * A handler keeps the device's struct and the registry (ibc_close() says EBUSY)
 * until it is unregistered, but neither the context nor a removal.
 *
 * Return: the handler, for ibc_unregister_event_handler(); NULL and errno:
 *	ENODEV (the device's removal has begun), EINVAL (also for an object of
 *	another context), ENOMEM, ECHILD
 */
struct ibc_event_handler *
ibc_register_event_handler(struct ibc_device *dev,
			   const struct ibc_event_filter *filter,
			   void (*fn)(struct ibc_device *dev,
				      const struct ibc_event *event, void *arg),
			   void *arg);

/**
 * ibc_unregister_event_handler - unregister an event handler: a fence
 * @handler: what ibc_register_event_handler() returned
 *
 * Waits only while that very handler runs; once this has returned 0 it does not
 * run and never will, and @handler is no more. In the handler's own callback it
 * returns 0 at once, and that call is the last. Who destroys an object in
 * another place than its own handler unregisters the handler first.
 *
 * Return: 0; EDEADLK (called in another callback while the handler runs: it is
 *	not called again, but must be unregistered once more, later); EINVAL;
 *	ECHILD
 */
int ibc_unregister_event_handler(struct ibc_event_handler *handler);

/**
 * enum ibc_dump_format - formats of ibc_dump()
 * @IBC_DUMP_TEXT: for people; may change
 * @IBC_DUMP_JSON: one JSON object; keys are only ever added
 */
enum ibc_dump_format {
	IBC_DUMP_TEXT,
	IBC_DUMP_JSON,
};

/**
 * ibc_dump - write what the registry knows
 * @reg: the registry
 * @out: where to; not flushed
 * @format: enum ibc_dump_format
 *
 * Return: 0; EINVAL; ECHILD; ENOMEM; or the error of writing to @out
 */
int ibc_dump(struct ibc_registry *reg, FILE *out, enum ibc_dump_format format);

/**
 * struct ibc_stats - counters of a registry since it was opened
 * @devices_added: incarnations that became live
 * @devices_gone: those that are gone
 * @opens_failed: attempts to open a device that failed
 * @adds: add() callbacks that returned 0
 * @adds_failed: those that returned an error other than EOPNOTSUPP
 * @removes: remove() callbacks
 * @allocs: alloc_client_data() calls that succeeded
 * @allocs_failed: those that failed
 * @frees: data freed
 * @events_read: async events read from contexts or reported
 * @events_delivered: pending events offered to the receivers; each stands for
 *	one event read and those merged into it
 * @events_merged: events merged into an equal pending one
 * @scans: device lists read
 * @hints: news, from a source or reported, that something changed
 * @false_hints: hints that a live device had gone while it had not
 *
 * Grows only at its end.
 */
struct ibc_stats {
	uint64_t devices_added, devices_gone, opens_failed;
	uint64_t adds, adds_failed, removes;
	uint64_t allocs, allocs_failed, frees;
	uint64_t events_read, events_delivered, events_merged;
	uint64_t scans, hints, false_hints;
};

/**
 * ibc_query_stats - read the counters
 * @reg: the registry
 * @stats: filled in
 * @size: sizeof(*stats) as the caller was compiled; what the library does not
 *	know of is set to zero
 *
 * Return: 0; EINVAL; ECHILD
 */
int ibc_query_stats(struct ibc_registry *reg, struct ibc_stats *stats,
		    size_t size);

/**
 * enum ibc_log_level - severity of a log message
 * @IBC_LOG_ERROR: something is lost or will not work
 * @IBC_LOG_WARNING: something failed and is tried again
 * @IBC_LOG_INFO: devices come and go
 * @IBC_LOG_DEBUG: everything else
 *
 * In the environment: IBC_LOG_LEVEL=error|warning|info|debug
 */
enum ibc_log_level {
	IBC_LOG_ERROR = 1,
	IBC_LOG_WARNING,
	IBC_LOG_INFO,
	IBC_LOG_DEBUG,
};

/**
 * ibc_set_log - choose where the library's messages go
 * @fn: called with each message (one line, without the newline), in whatever
 *	thread it arises, under no lock, concurrently. It counts as a callback;
 *	messages that arise inside it are dropped. NULL: back to the default.
 *	One that was replaced may still be at work in another thread.
 * @arg: last argument of @fn
 *
 * Process-wide. By default nothing is printed unless the environment has
 * IBC_LOG_FILE (appended to) or IBC_LOG_LEVEL (standard error). A sink gets
 * messages up to IBC_LOG_LEVEL, else up to IBC_LOG_INFO.
 */
void ibc_set_log(void (*fn)(int level, const char *message, void *arg),
		 void *arg);

/**
 * ibc_version - version of the library
 *
 * Return: a static string such as "1.0.0"
 */
const char *ibc_version(void);

#ifdef __cplusplus
}
#endif

#endif /* INFINIBAND_IBCLIENT_H */
