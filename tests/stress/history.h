/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef TESTS_TORTURE_HISTORY_H
#define TESTS_TORTURE_HISTORY_H

#include "torture.h"

#define NUM_PAIRS 4096

enum pair_state { NOTHING, FAILED, DECLINED, ADDED, REMOVED, GONE };

/*
 * One client's life with one incarnation of a device. The first members are
 * touched by callbacks of that device alone.
 */
struct pair {
	uint64_t incarnation, registration;
	enum pair_state state;
	atomic_bool failed_once;
	atomic_uint objects;	/* alive */
	atomic_bool allocating; /* its alloc_client_data() runs */
	atomic_bool got;	/* somebody got data */
};

/* a client of ours, and all that happened to it since it was registered */
struct client {
	struct ibc_client ibc; /* first */
	unsigned int number;
	uint64_t registration;
	bool fenced;   /* unregistering has returned: nothing may be called */
	bool replaces; /* others than the library publish data */
	atomic_uint objects; /* alive */
	atomic_uint removed; /* devices that are not gone yet */
	struct pair pairs[NUM_PAIRS];
};

static inline struct client *client_of(struct ibc_client *ibc)
{
	return (struct client *)ibc;
}

/* a new registration, and after unregistering: is everything as it must be? */
void history_begin(struct client *c);
void history_end(struct client *c);

/* around each callback of a device */
struct pair *callback_begins(struct client *c, struct ibc_device *dev);
void callback_ends(struct client *c, struct ibc_device *dev);
/* the same of a callback that is nobody's of the clients */
void device_enter(struct ibc_device *dev);
void device_leave(struct ibc_device *dev);

/* is there one object of the pair at the most, from the first get to remove()? */
bool keeps_one_object(struct client *c, struct pair *pair);

/* without looking at it, for those who are in no callback */
struct pair *pair_of(struct client *c, struct ibc_device *dev);

/* no device is known: indices may begin anew */
void history_forget(void);

#endif /* TESTS_TORTURE_HISTORY_H */
