// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * ibc_bench: what the library costs, beside what a program would write instead.
 * ./run bench runs it; Documentation/performance.md tells how to read it.
 */
#include "measure.h"
#include "soft.h"
#include "suites.h"

static const struct suite suites[] = {
	{ "lookup", "finding, holding and dropping a device's data",
	  bench_lookup },
#ifdef BENCH_INTERPOSER
	{ "startup", "opening all devices and telling a client of them",
	  bench_startup },
	{ "events", "from the kernel's queue to a handler", bench_events },
#endif
	{ "removal", "from the last put to the close", bench_removal },
#ifdef BENCH_INTERPOSER
	{ "data", "messages and writes on softverbs", bench_data },
#endif
#ifdef BENCH_RDMACM
	{ "connect", "finding a device's data for a connection",
	  bench_connect },
#endif
};

int main(int argc, char **argv)
{
#ifdef BENCH_INTERPOSER
	soft_preload(argv);
#endif
	return measure_main(argc, argv, suites,
			    sizeof(suites) / sizeof(suites[0]));
}
