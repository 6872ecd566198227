/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Client data with a PD, and references on it that are kept for some time after
 * the device was removed. Whoever polls held_fd() calls held_put_due() when it
 * is readable.
 */
#ifndef IBC_TOOLS_HELD_H
#define IBC_TOOLS_HELD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <infiniband/ibclient.h>

#define NSEC_PER_SEC  1000000000ULL
#define NSEC_PER_MSEC 1000000ULL

struct pd_data {
	struct ibc_client_data base;
	struct ibv_pd *pd;
	TAILQ_ENTRY(pd_data) entry; /* the rest is held.c's */
	uint64_t due;
};

/* alloc_client_data, free_client_data */
struct ibc_client_data *pd_data_alloc(struct ibc_client *client,
				      struct ibc_device *dev);
void pd_data_free(struct ibc_client_data *base);

/* Nanoseconds from now on; fd: a timerfd of CLOCK_MONOTONIC's. */
void set_timer(int fd, uint64_t delay);

/* 0 or an errno */
int held_open(void);
int held_fd(void);
/* Takes the caller's reference over, to be put after so many nanoseconds. */
void held_add(struct ibc_client_data *data, uint64_t delay);
void held_put_due(void);
/* Puts all, and from now on each one at once. */
void held_put_all(void);

#endif /* IBC_TOOLS_HELD_H */
