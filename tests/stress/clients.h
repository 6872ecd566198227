/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef TESTS_TORTURE_CLIENTS_H
#define TESTS_TORTURE_CLIENTS_H

#include "history.h"

/* the first is registered for a whole round, the others come and go */
#define NUM_CLIENTS 4

/*
 * A registered client, for uses of it until it is returned: its unregister does
 * not return 0 meanwhile. NULL: it is not registered just now.
 */
struct client *client_borrow(unsigned int number);
void client_return(struct client *c);

/* what stays registered; false: the list could not be read, try again */
bool clients_begin(void);
void clients_end(void);
/* it heard gone() of each device that it heard remove() of */
bool clients_rest(void);

#endif /* TESTS_TORTURE_CLIENTS_H */
