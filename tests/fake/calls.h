/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What both kinds of devices have: calls counted, hooked, and made to fail. */
#ifndef TESTS_FAKE_CALLS_H
#define TESTS_FAKE_CALLS_H

#include "fake.h"

void fake_reset_calls(void);
/* counts the call, runs its hook; an errno if it is to fail */
int fake_called(enum fake_call call);

#endif /* TESTS_FAKE_CALLS_H */
