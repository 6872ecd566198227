/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What the tests of who holds what share. */
#ifndef TESTS_HELD_H
#define TESTS_HELD_H

#include <jansson.h>

#include "harness2.h"

/* clients "first" and "second", and the device soft0, between start and finish */
extern struct rec a, b;
extern struct ibc_device *dev;

/* h_reg is opened anew with these flags, and warns of a drain at once */
void start(uint32_t flags);
void start_tracked(void);
void finish(void);

/* each takes a reference, by the call that its name tells */
struct ibc_client_data *by_alloc(struct rec *rec);
struct ibc_client_data *by_get(struct rec *rec);
void by_hold(struct ibc_client_data *data);
struct ibc_client_data *by_cmpxchg(struct rec *rec); /* of the winner */

/* a client's holders, as in the dump; NULL: the dump does not have it */
json_t *holders(struct rec *rec);
/* of one of them; NULL for null */
const char *held_string(json_t *holder, const char *key);
unsigned int held_count(json_t *holder);
bool held_in(json_t *holder, const char *function);
/* references that were taken in the function; NULL: all that are shown */
unsigned int held_by(struct rec *rec, const char *function);

#endif /* TESTS_HELD_H */
