/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A netlink socket whose kernel is the test: an eventfd stands for it, so that
 * epoll has something to watch, and recvfrom(), which is wrapped, hands out what
 * the test has sent, in order.
 */
#ifndef TESTS_PLAYED_H
#define TESTS_PLAYED_H

#include <sys/types.h>

#include "netlink_message.h"

#define PLAYED_QUEUE 4 /* so many at once */

extern int played_fd; /* -1: not open */

void played_reset(void);
int played_open(void);
void played_send(struct message m);
/* what receiving this one returns */
ssize_t played_take(const struct message *m, void *buf, size_t size);

#endif /* TESTS_PLAYED_H */
