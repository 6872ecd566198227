/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The fabric of a test on softverbs: what soft.c wants of soft_plug.c. */
#ifndef TESTS_FAKE_SOFT_H
#define TESTS_FAKE_SOFT_H

#include "fake.h"

void soft_die(const char *what) __attribute__((noreturn));
/*
 * Before anything that the library will hear of: what the test wrote until now
 * is seen by whoever hears of it. The kernel sees to that; ThreadSanitizer does
 * not know it.
 */
void soft_publish(void);
/* SOFTVERBS_DIR is set to it */
void soft_make_fabric(void);
/* false: something is left in it that nobody holds */
bool soft_destroy_fabric(void);
/* of the device that the context is of, by what it holds in the fabric */
uint32_t soft_index_of(struct ibv_context *context);
/* is it called so today, or was at last? */
bool soft_is_called(uint32_t index, const char *name);
/* what is valid until the device is renamed */
const char *soft_name_of(uint32_t index);
/* puts the record into the context's queue; element: a port or an object */
void soft_send(struct ibv_context *context, uint32_t type, uintptr_t element);
/* `softverbs event`; false: there is no such command line */
bool soft_command_event(const char *name, uint32_t type, uint64_t port);

#endif /* TESTS_FAKE_SOFT_H */
