/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What the control functions share, with each other and with the command. */
#ifndef SOFTVERBS_CONTROL_H
#define SOFTVERBS_CONTROL_H

#include <infiniband/softverbs.h>

#include "context.h"

/* a listed device, with the lock on the fabric held */
struct sv_device {
	struct softverbs *sv;
	struct sv_state state;
	char node[SV_NODE_MAX];
	int dir;
};

/* takes the lock: 0, or ENODEV and others without it */
int sv_device_find(struct softverbs *sv, const char *name,
		   struct sv_device *dev);
/* releases the lock */
void sv_device_done(struct sv_device *dev);
int sv_device_each(struct softverbs *sv,
		   int (*fn)(struct sv_device *dev, void *arg), void *arg);
/* with the lock held */
int sv_device_each_locked(struct softverbs *sv,
			  int (*fn)(struct sv_device *dev, void *arg),
			  void *arg);
/* tells every context of the device */
int sv_device_tell(struct sv_device *dev, uint32_t type, uint64_t element);
/* sysfs shows no change of a file inside a device: touch the device itself */
void sv_device_touch(struct sv_device *dev);
int sv_add_device_link(struct softverbs *sv, const char *name, __be64 guid,
		       uint32_t ports, uint32_t removal, bool ib);
int sv_set_gid(struct softverbs *sv, const char *name, uint32_t port,
	       uint32_t index, const char *gid);
int sv_set_pkey(struct softverbs *sv, const char *name, uint32_t port,
		uint32_t index, uint32_t pkey);

/* ---- sweep.c, with the lock held ---- */

/* what was removed and is not held any more, and what the dead left undone */
void sv_sweep(struct softverbs *sv);
/* around any change of a listed device's name */
int sv_begin_names(struct softverbs *sv);
void sv_end_names(struct softverbs *sv);
/* after a sweep: 0, EEXIST */
int sv_take_name(struct softverbs *sv, const char *name, __be64 guid);
void sv_free_name(struct softverbs *sv, const char *name);
/* tells a context that its device is gone */
int sv_make_fatal(struct sv_context *ctx, void *arg);

/* ---- names.c ---- */

int sv_event_type(const char *name); /* enum ibv_event_type, or -1 */
const char *sv_event_name(int type);
enum sv_kind sv_event_kind(int type); /* SV_NONE: of a port or the device */
int sv_errno_value(const char *name); /* or -1 */

/* ---- fault.c ---- */

struct sv_fault {
	int error; /* errno, 0: none */
	unsigned int delay_ms;
};

/*
 * What the fabric has in store for this call of the verb; counts it. @objects:
 * the context's file, where the mark is taken back if there is nothing; or -1.
 */
void sv_fault_take(int device_dir, int objects, const char *verb,
		   struct sv_fault *fault);
bool sv_verb_is_known(const char *verb);

#endif /* SOFTVERBS_CONTROL_H */
