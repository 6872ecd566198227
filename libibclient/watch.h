/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Where news come from: watch.c and watch_*.c; private.h includes this. */
#ifndef IBC_WATCH_H
#define IBC_WATCH_H

#include <stdbool.h>
#include <stddef.h>

struct ibc_registry;

enum ibc__source_state {
	IBC_SOURCE_OFF,	   /* IBC_SOURCES leaves it out */
	IBC_SOURCE_ABSENT, /* cannot work here */
	IBC_SOURCE_FAILED,
	IBC_SOURCE_ACTIVE,
};

struct ibc__source;

struct ibc__source_ops {
	const char *name;
	/* by ibc_open(): sets ->state and ->why; ENOMEM, EMFILE fail it */
	int (*open)(struct ibc_registry *reg, struct ibc__source *source);
	/* lock held: the descriptor is readable */
	void (*ready)(struct ibc_registry *reg, struct ibc__source *source);
};

struct ibc__source {
	const struct ibc__source_ops *ops;
	enum ibc__source_state state;
	bool trusted; /* no rescan by the clock is needed beside it */
	int fd;
	int watches[3]; /* inotify */
	char why[160];
};

enum {
	IBC_SOURCE_UEVENT,
	IBC_SOURCE_INOTIFY,
	IBC_SOURCE_TIMER,
	IBC_NUM_SOURCES,
};

extern const struct ibc__source_ops ibc__source_uevent;
extern const struct ibc__source_ops ibc__source_inotify;
extern const struct ibc__source_ops ibc__source_timer;

int ibc__watch_open(struct ibc_registry *reg);
void ibc__watch_close(struct ibc_registry *reg);
void ibc__watch_node(struct ibc_registry *reg, const char *node, bool gone);
int ibc__watch_failed(struct ibc__source *source, const char *what, int error);
void ibc__watch_scanned(struct ibc_registry *reg);
void ibc__uevent_parse(struct ibc_registry *reg, const char *msg, size_t len);
const char *ibc__source_state_name(enum ibc__source_state state);

#endif /* IBC_WATCH_H */
