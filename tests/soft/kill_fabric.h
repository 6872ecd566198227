/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* A fabric with the devices "waits" and "fatal", for processes to be killed. */
#ifndef KILL_FABRIC_H
#define KILL_FABRIC_H

#include "kill_check.h"

#define KILL_LIMIT_S 60

extern char kill_dir[64];
extern struct softverbs *kill_sv;     /* the test's own */
extern struct ibv_context *kill_held; /* a context of the test's, or NULL */

int kill_setup(void **state);
int kill_teardown(void **state);
void kill_add_two(void);
/* what is listed; then nothing is left */
void kill_remove_all(void);
/* everything that must be so after a kill; ends with an empty fabric */
void kill_check_all(void);

#define KILL_TEST(name) \
	cmocka_unit_test_setup_teardown(name, kill_setup, kill_teardown)

#endif /* KILL_FABRIC_H */
