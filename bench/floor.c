// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "floor.h"

_Atomic uint64_t *floor_get(_Atomic uint64_t *count)
{
	atomic_fetch_add_explicit(count, 1, memory_order_acquire);
	return count;
}

bool floor_put(_Atomic uint64_t *count)
{
	return atomic_fetch_sub_explicit(count, 1, memory_order_acq_rel) == 1;
}
