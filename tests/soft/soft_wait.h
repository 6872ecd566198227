/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Waiting for conditions in tests, and failing where cmocka has no way out. */
#ifndef SOFT_WAIT_H
#define SOFT_WAIT_H

#include <stdlib.h>

#include "soft_test.h"

#define LIMIT_MS 60000

/* in threads and callbacks */
#define check(condition)          \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

#define wait_until(condition)                               \
	do {                                                \
		int64_t limit = soft_now_ms() + LIMIT_MS;   \
		while (!(condition)) {                      \
			assert_true(soft_now_ms() < limit); \
			soft_sleep_ms(1);                   \
		}                                           \
	} while (0)

#endif /* SOFT_WAIT_H */
