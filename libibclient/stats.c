// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The counters, for a caller that may know fewer or more of them. */
#include "private.h"

int ibc_query_stats(struct ibc_registry *reg, struct ibc_stats *stats,
		    size_t size)
{
	size_t known = sizeof(reg->stats);
	int error = ibc__registry_check(reg);

	if (error)
		return error;
	if (!stats || !size)
		return EINVAL;
	memset(stats, 0, size);
	ibc__lock(reg);
	memcpy(stats, &reg->stats, size < known ? size : known);
	ibc__unlock(reg);
	return 0;
}
