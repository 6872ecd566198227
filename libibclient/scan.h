/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What scan.c and diff.c share. */
#ifndef IBC_SCAN_H
#define IBC_SCAN_H

#include "private.h"

/* one device of a list */
struct ibc__entry {
	struct ibv_device *device;
	struct ibc__identity id;
	char name[IBC_NAME_MAX];
	bool known;   /* a device has this identity and its name is not asked */
	bool unnamed; /* for want of memory or descriptors: added later */
	bool taken;   /* it is a device's that was there before */
	unsigned int
		relapses; /* how often it failed soon after it was opened */
};

void ibc__mark_known(struct ibc_registry *reg, struct ibc__entry *entries,
		     int num);
int ibc__diff(struct ibc_registry *reg, struct ibc__list *list,
	      struct ibc__entry *entries, uint64_t mark);

#endif /* IBC_SCAN_H */
