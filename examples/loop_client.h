// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What the three loop examples have in common: a client with a PD a device. */
#ifndef LOOP_CLIENT_H
#define LOOP_CLIENT_H

#include <stdbool.h>
#include <infiniband/ibclient.h>

/* opens a registry without threads and registers; -1: errno says why */
int loop_start(void);
/* what to poll for reading */
int loop_fd(void);
/* it is readable: runs what is due; false: the registry is of no use any more */
bool loop_dispatch(void);
/* frees everything; the exit status */
int loop_end(void);

#endif
