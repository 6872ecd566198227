/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Devices in memory behind the library's backend seam, with the habits of the
 * kernel: lowest free uverbs minor reused at once, indices never, a device
 * opened by its minor whatever pointer was used, a removal that either tells
 * nobody and waits (like stock rxe) or says DEVICE_FATAL and EIO (like mlx5).
 *
 * All functions may be called by any thread. A use of what was closed or freed
 * aborts the test.
 */
#ifndef TESTS_FAKE_H
#define TESTS_FAKE_H

#include <stdbool.h>
#include <stdint.h>
#include <infiniband/verbs.h>

enum fake_removal {
	FAKE_WAIT,  /* leaves the list; every verb goes on working */
	FAKE_FATAL, /* leaves the list; DEVICE_FATAL, then EIO */
	FAKE_RESET, /* stays in the list; DEVICE_FATAL, then EIO on old contexts */
};

enum fake_call {
	FAKE_LIST,
	FAKE_OPEN,
	FAKE_PROBE,
	FAKE_EVENT, /* get_async_event */
	FAKE_ACK,   /* cannot fail; nor can the next */
	FAKE_CLOSE,
	FAKE_NUM_CALLS,
};

/* installs the backend and forgets everything; before ibc_open() */
void fake_start(void);
/* contexts, lists and devices that are left are a failure: false, and words */
bool fake_stop(void);

/* the fakes' directory is sysfs: their devices are the kernel's own, as far as is told */
void fake_in_sysfs(void);

/*
 * What the calling thread does to softverbs' devices it does by softverbs.h from
 * now on, within the process, and not by a command for each: more of it.
 */
void fake_by_calls(void);

/* returns the index */
int fake_add(const char *name, uint64_t guid);
int fake_add_as(const char *name, uint64_t guid, int index, const char *node);
void fake_remove(const char *name, enum fake_removal how);
void fake_rename(const char *name, const char *new_name);
/* changes what identifies a device that is in the list */
void fake_set_guid(const char *name, uint64_t guid);

/* no RDMA in this kernel: the list fails with ENOSYS; or it does again */
void fake_no_rdma(bool none);
/* the next @count calls (-1: all) fail with @error; 0, 0: no more */
void fake_fail(enum fake_call call, int error, int count);
/* called at the start (before anything is done) of each such call, no lock */
void fake_on(enum fake_call call, void (*fn)(void *arg), void *arg);

/* an event of every open context of the device; element: a pointer or port */
void fake_event(const char *name, enum ibv_event_type type, uintptr_t element);
/* the same for one context */
void fake_context_event(struct ibv_context *context, enum ibv_event_type type,
			uintptr_t element);
/* closes the kernel's end of the async descriptor: EPOLLHUP */
void fake_hang_up(struct ibv_context *context);

/* a context that the test itself opens, to be adopted; NULL: no such device */
struct ibv_context *fake_open(const char *name);
void fake_close(struct ibv_context *context);

/* a QP for events to be of; the context may be anybody's. NULL: it is dead. */
struct ibv_qp *fake_make_qp(struct ibv_context *context, void *qp_context);
void fake_destroy_qp(struct ibv_qp *qp);

/* hot-plug news: touches the directory that the inotify source watches */
void fake_notify(void);

unsigned int fake_calls(enum fake_call call);	   /* so far */
unsigned int fake_open_contexts(const char *name); /* NULL: of all devices */
unsigned int fake_closes(void);
unsigned int fake_acks(void);
unsigned int fake_unacked(void);
bool fake_context_is_open(struct ibv_context *context);
/* name of the device that this context really is of, by minor */
const char *fake_context_device(struct ibv_context *context);

#endif /* TESTS_FAKE_H */
