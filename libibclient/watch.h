/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Where news come from: watch.c and watch_*.c; private.h includes this.
 *
 * reg->lock guards all of it. A source that has a descriptor hears by itself
 * and gives hints; async and probe have none of their own: they are what the
 * context of a device tells.
 */
#ifndef IBC_WATCH_H
#define IBC_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ibc_device;
struct ibc_registry;
struct ibc__list;
struct ibc__source;

enum ibc__source_state {
	IBC_SOURCE_OFF,	   /* IBC_SOURCES leaves it out */
	IBC_SOURCE_ABSENT, /* cannot work here */
	IBC_SOURCE_FAILED,
	IBC_SOURCE_ACTIVE,
};

/* whose the devices are; UNKNOWN: it could not be found out */
enum ibc__where { IBC_WHERE_KERNEL, IBC_WHERE_SIMULATED, IBC_WHERE_UNKNOWN };

/* who told: a source, or one of the last two, which are none */
enum ibc__by {
	IBC_SOURCE_UEVENT,
	IBC_SOURCE_NETLINK,
	IBC_SOURCE_INOTIFY,
	IBC_SOURCE_ASYNC,
	IBC_SOURCE_PROBE,
	IBC_SOURCE_TIMER, /* the last: it asks which others work */
	IBC_NUM_SOURCES,
	IBC_BY_CALLER = IBC_NUM_SOURCES, /* of ibc_rescan(), ibc_report_*() */
	IBC_BY_LIBRARY, /* a list that was read for another reason */
};

struct ibc__source_ops {
	const char *name;
	bool hotplug; /* hears of devices that are not open */
	/* no lock yet, or held: sets ->state, ->why; ENOMEM, EMFILE fail it */
	int (*open)(struct ibc_registry *reg, struct ibc__source *source);
	/* lock held: the descriptor is readable */
	void (*ready)(struct ibc_registry *reg, struct ibc__source *source);
};

struct ibc__source {
	const struct ibc__source_ops *ops;
	enum ibc__source_state state;
	bool trusted; /* no rescan by the clock is needed beside it */
	bool later;   /* absent, but not once the kernel has devices */
	int fd;
	int watches[3]; /* inotify */
	uint64_t hints, false_hints;
	uint64_t scans;	   /* lists that its hint was the reason for */
	uint64_t removals; /* that it was the first to tell of */
	char why[160];
};

extern const struct ibc__source_ops ibc__source_uevent;
extern const struct ibc__source_ops ibc__source_netlink;
extern const struct ibc__source_ops ibc__source_inotify;
extern const struct ibc__source_ops ibc__source_async;
extern const struct ibc__source_ops ibc__source_probe;
extern const struct ibc__source_ops ibc__source_timer;

enum ibc__where ibc__watch_where(void);
int ibc__watch_open(struct ibc_registry *reg);
void ibc__watch_close(struct ibc_registry *reg);
bool ibc__watch_active(struct ibc_registry *reg, enum ibc__by by);
bool ibc__watch_silent(struct ibc_registry *reg, uint64_t mark);
void ibc__watch_node(struct ibc_registry *reg, enum ibc__by by,
		     const char *node, bool gone);
void ibc__watch_index(struct ibc_registry *reg, enum ibc__by by, int index,
		      bool gone);
void ibc__watch_absent(struct ibc__source *source, const char *why);
int ibc__watch_failed(struct ibc__source *source, const char *what, int error);
bool ibc__watch_needless(struct ibc_registry *reg, struct ibc__source *source);
bool ibc__watch_outside(const struct ibc__list *list);
void ibc__watch_scanned(struct ibc_registry *reg, const struct ibc__list *list);
void ibc__watch_buffer(int fd);
void ibc__watch_distrust(struct ibc_registry *reg, struct ibc__source *source);
const char *ibc__by_name(enum ibc__by by);
const char *ibc__source_state_name(enum ibc__source_state state);

void ibc__uevent_parse(struct ibc_registry *reg, const char *msg, size_t len);
void ibc__netlink_parse(struct ibc_registry *reg, const void *msg, size_t len);

/* ---- what a device's context tells ---- */

void ibc__async_fatal(struct ibc_device *dev);
void ibc__async_failed(struct ibc_device *dev);
void ibc__async_hung_up(struct ibc_device *dev);
void ibc__suspect(struct ibc_device *dev, enum ibc__by by);
void ibc__probe_suspect(struct ibc_device *dev);
void ibc__probe_all(struct ibc_registry *reg);
bool ibc__step_probe(struct ibc_device *dev);

#endif /* IBC_WATCH_H */
