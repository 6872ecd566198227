/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef TESTS_TORTURE_DATA_H
#define TESTS_TORTURE_DATA_H

#include "history.h"

struct data {
	struct ibc_client_data ibc;
	uint64_t magic;
	uint64_t
		payload; /* written before it is published, and as it is freed */
	struct client *client;
	struct pair *pair;
	atomic_int holders; /* references that users know to have */
};

/* alloc_client_data() and free_client_data() */
struct ibc_client_data *data_alloc(struct ibc_client *client,
				   struct ibc_device *dev);
void data_free(struct ibc_client_data *ibc);

/* an object of the caller's making, initialised; NULL: the device is going */
struct data *data_make(struct client *c, struct ibc_device *dev);

/* a reference was got or is about to be put; and in between: is it well? */
void data_came(struct ibc_client_data *ibc, struct ibc_client *client,
	       struct ibc_device *dev);
void data_goes(struct ibc_client_data *ibc);
void data_check(struct ibc_client_data *ibc);

/* frees what was kept to see whether anybody writes to it */
void data_end_quarantine(void);

/* why there is no data just now */
bool is_refusal(int error);

/* what data_alloc() fails with, and nobody else */
#define DATA_ERRNO EDOM

#endif /* TESTS_TORTURE_DATA_H */
