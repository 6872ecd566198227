/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A registry whose sources are all off: it hears only what a test feeds it. For
 * tests, which include cmocka.h before, and for fuzzers, which have none.
 */
#ifndef TESTS_FED_H
#define TESTS_FED_H

#include <stdio.h>

#include "fake.h"
#include "private.h"

extern struct ibc_registry *fed_reg;
extern struct ibc_device *fed_soft0; /* live, as soft1 is */

int fed_setup(void **state);
int fed_teardown(void **state);
/* is it suspected? It is not, afterwards. */
bool fed_suspect(struct ibc_device *dev);

#define FED(test) cmocka_unit_test_setup_teardown(test, fed_setup, fed_teardown)

#endif /* TESTS_FED_H */
