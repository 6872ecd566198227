/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * An open context as others see it: the directory contexts/ID of its device.
 * The interposer makes it and keeps the FIFOs open; control functions read
 * `objects`, write events into `async`, and see from the FIFOs whether anybody
 * still holds the device. Its completion channels are the FIFOs comp-N.
 */
#ifndef SOFTVERBS_CONTEXT_H
#define SOFTVERBS_CONTEXT_H

#include "fabric.h"

enum sv_kind {
	SV_NONE,
	SV_QP,
	SV_CQ,
	SV_SRQ,
	SV_WQ,
	SV_NUM_KINDS,
};

#define SV_OBJECTS_MAGIC 0x73766f62
#define SV_MAX_OBJECTS	 (1 << 20)

enum sv_told {
	SV_NOT_TOLD,
	SV_TOLD,
	SV_TELL_YOURSELF, /* its queue was full */
};

/*
 * The file `objects`: a header, then records; one of kind SV_NONE is free. The
 * context has the header mapped, so that a verb finds out by reading a word
 * whether anything is in store for it. Nobody makes the file shorter.
 */
struct sv_objects_header {
	uint32_t magic;
	uint32_t pid;
	uint32_t fatal;	 /* every verb fails with EIO from now on */
	uint32_t told;	 /* enum sv_told: the event that says so */
	uint32_t faults; /* there may be faults: see fault.c */
	uint32_t reserved;
};

struct sv_object {
	uint32_t kind;
	uint32_t number; /* QP or WQ number, else the handle */
	uint64_t id;	 /* what an event of it says; never used again */
};

/* after DEVICE_FATAL: whoever reads it leaves it there, and gets EIO */
#define SV_EVENT_END UINT32_MAX

/* the same in a completion channel, where other records are ids of CQs */
#define SV_COMP_END 0

/* what the FIFO `async` carries; as large as the kernel's record */
struct sv_event {
	uint64_t element; /* port, or an object's id */
	uint32_t type;
	uint32_t reserved;
};

/* a context while somebody looks at it */
struct sv_context {
	int dir;
	int cmd, async; /* for writing; -1: not held by it, or not known */
	uint32_t pid;
	uint32_t told; /* enum sv_told */
};

/* false: nobody holds it any more */
bool sv_context_open(struct sv_context *ctx, int parent, const char *id);
void sv_context_close(struct sv_context *ctx);
/* every verb looks for faults from now on */
int sv_context_mark_faults(struct sv_context *ctx);
/* as when a driver lets go of its device; may be done again */
void sv_context_end(struct sv_context *ctx);
/* ENOBUFS: it reads no events and can queue no more */
int sv_context_send(struct sv_context *ctx, const struct sv_event *event);
/* without SIGPIPE; 0 or an errno value */
int sv_write_quietly(int fd, const void *buf, size_t len);
/* the objects of a kind (SV_NONE: all); stops at non-zero */
int sv_context_objects(struct sv_context *ctx, enum sv_kind kind,
		       int (*fn)(const struct sv_object *object, void *arg),
		       void *arg);
/*
 * Each context that is held, with the lock on the fabric. Sweeps the others, but
 * for where the lock is shared: there one may be in the making.
 */
int sv_for_each_context(int device_dir,
			int (*fn)(struct sv_context *ctx, void *arg),
			void *arg);
/* waits until nobody holds the device: 0, ETIMEDOUT; no lock */
int sv_wait_unheld(int device_dir, int timeout_ms);

#endif /* SOFTVERBS_CONTEXT_H */
