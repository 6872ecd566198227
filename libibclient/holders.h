/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Who holds the references on data, if that is asked for: holders.c records
 * them, held.c lists and names them.
 */
#ifndef IBC_HOLDERS_H
#define IBC_HOLDERS_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

struct ibc__ref;
struct ibc__slot;
struct ibc__tracker; /* of a registry that tracks; else it has none */

/* of one counter */
struct ibc__holders {
	_Atomic uint32_t chain;	 /* its records, by number; 0: none */
	_Atomic uint32_t latest; /* record that was written last, or 0 */
	_Atomic uint32_t known;	 /* users' references, recorded or not */
	_Atomic uint32_t others; /* those for which no record was left */
	_Atomic int32_t idle;	 /* free records of the chain, about */
};

struct ibc__tracker *ibc__tracker_new(void);

/* no lock, signal-safe; @caller: where the call of ours returns to */
void ibc__holder_came(struct ibc__tracker *t, struct ibc__ref *ref,
		      void *caller);
void ibc__holder_goes(struct ibc__tracker *t, struct ibc__ref *ref);
/* lock held; the counter has no reference any more */
void ibc__holders_forget(struct ibc__tracker *t, struct ibc__holders *h);

/* lock held: how many records to make room for; then the addresses in them */
unsigned int ibc__holders_room(struct ibc__tracker *t, struct ibc__holders *h);
unsigned int ibc__holders_copy(struct ibc__tracker *t, struct ibc__holders *h,
			       uintptr_t *addresses, unsigned int room);

/* ---- held.c ---- */

struct ibc__held {
	uintptr_t address; /* 0: of those that no record was left for */
	unsigned int count;
};

struct ibc__held_list {
	unsigned int num;
	struct ibc__held held[]; /* most first, address 0 last */
};

struct ibc__held_name {
	char address[24], symbol[300], object[256],
		offset[24]; /* "": unknown */
};

/*
 * Lock held. Where the users' references on a slot's data came to be; *list is
 * the caller's to free, NULL if there are none. ENOMEM or 0.
 */
int ibc__held_list(struct ibc__slot *slot, struct ibc__held_list **list);
/* no lock held: files are read */
void ibc__held_name(const struct ibc__held *held, struct ibc__held_name *name);
/* the same, in words */
void ibc__held_print(FILE *out, const struct ibc__held *held);

#endif /* IBC_HOLDERS_H */
