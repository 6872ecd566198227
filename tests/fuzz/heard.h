/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A parser of news, and two live devices that it may speak of. Whatever it is
 * told, it gives hints at most, and none of them is true: so after the library
 * has followed them up both devices are as they were.
 */
#ifndef FUZZ_HEARD_H
#define FUZZ_HEARD_H

#include <stddef.h>
#include <stdint.h>

#include "private.h"

struct heard {
	uint64_t hints;
	bool suspect[2]; /* soft0, soft1 */
};

/*
 * Gives the bytes to the parser, in memory of exactly @size, which begins at an
 * odd address, and one zero behind them if @zero.
 */
struct heard heard_from(const uint8_t *data, size_t size, bool zero,
			void (*parse)(struct ibc_registry *reg, const void *msg,
				      size_t len));
/* the hints have come to nothing */
void heard_in_vain(void);

#endif /* FUZZ_HEARD_H */
