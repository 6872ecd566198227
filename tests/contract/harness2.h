/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* More for the tests of the guarantees from 12 on. */
#ifndef TESTS_HARNESS2_H
#define TESTS_HARNESS2_H

#include "harness.h"
#include "private.h"

/* where one callback may be held up and others go on: not with one thread */
#define IN_HELD(fn) IN_MANUAL(fn), IN_PARALLEL(fn)

/* a uevent of a uverbs node, as if the kernel had sent it to h_reg */
void h2_uevent(const char *action, const char *node);
/* the same, of RDMA netlink: that the device with this index is unregistered */
void h2_unregistered(int index);
struct ibc_stats h2_stats(struct ibc_registry *reg);
bool h2_is(struct ibc_device *dev, enum ibc_device_state state);
/* is the descriptor among those that the registry's epoll instance has? */
bool h2_polled(struct ibc_registry *reg, int fd);
/* descriptors and threads of this process, now */
unsigned int h2_fds(void);
unsigned int h2_threads(void);
/* the client gets a device soft0, which it has data on; both are the caller's */
struct ibc_client_data *h2_begin(struct rec *rec, struct ibc_device **dev);
/* removes it, waits until it is gone, puts the reference */
void h2_remove(struct ibc_device *dev);
/*
 * How a child that is content ends: as another program. In this one leak
 * checkers would miss what only the parent's other threads point to.
 */
void h2_child_ends(void);
/*
 * Every other thread has come to where it waits for news. For a child that goes
 * on to allocate: AddressSanitizer (of gcc 12) does not hold the locks of its
 * allocator across fork(), as malloc() does, and in the child they stay taken.
 */
void h2_all_asleep(void);
/* the child's part ends so, or by check()'s abort */
void h2_wait_child(pid_t pid);
/* what ibc_dump() says, in memory of the caller's */
char *h2_dump(struct ibc_registry *reg, enum ibc_dump_format format);

#endif /* TESTS_HARNESS2_H */
