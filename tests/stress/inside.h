/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef TESTS_TORTURE_INSIDE_H
#define TESTS_TORTURE_INSIDE_H

#include "history.h"

/* in a callback of the device's job: most often a moment, sometimes more */
void act_inside(struct client *c, struct ibc_device *dev, struct dice *dice);

/* in alloc_client_data() of @c, which may run in any thread */
void act_in_alloc(struct client *c, struct ibc_device *dev, struct dice *dice);

/*
 * Has @fn(@c) done in a callback of anybody's, or, if none comes soon, does it
 * here. @fn is what may be called in callbacks; returns what it returned.
 */
int errand(struct client *c, int (*fn)(struct client *c), struct dice *dice);

/* in a callback: does what somebody waits for */
void run_errand(struct dice *dice);

#endif /* TESTS_TORTURE_INSIDE_H */
