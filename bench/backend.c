// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See bench_backend.h. In the library, since the seam is hidden in it. */
#include "bench_backend.h"

const struct ibc__backend *bench_backend(void)
{
	return ibc__backend;
}

void bench_use_verbs(void)
{
	ibc__backend = &ibc__verbs_backend;
}
