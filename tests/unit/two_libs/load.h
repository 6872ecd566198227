/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * For programs that load such libraries and are not linked with libibclient: the
 * machine may have no RDMA, so the device is a context that a library adopts.
 */
#ifndef TESTS_TWO_LIBS_LOAD_H
#define TESTS_TWO_LIBS_LOAD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lib.h"

/* its lib_ops; the test fails if it cannot be loaded */
const struct lib_ops *two_libs_load(const char *path, void **handle);
/* is that file loaded now? */
bool two_libs_is_loaded(const char *path);
/* a context whose descriptors are pipes; the other end belongs to nobody */
void two_libs_make_context(struct ibv_context *context, int *kernel_end);

#endif /* TESTS_TWO_LIBS_LOAD_H */
