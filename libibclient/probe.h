/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * USDT probes of the provider libibclient: places in the code that tracers find by
 * name. Documentation/probes.md is the list of them, with their arguments, which
 * people's scripts rely on: one that is there keeps its name and its arguments, and
 * new arguments come last. tests/check-probes.sh compares the list and the library.
 *
 * Each is one nop, and its arguments are worked out whether anybody looks or not. So
 * there is none in get, hold, and a put that is not the last. No lock is needed for
 * them: a name lives as long as its device.
 */
#ifndef IBC_PROBE_H
#define IBC_PROBE_H

#ifdef IBC_HAVE_SDT

#define SDT_USE_VARIADIC
#include <sys/sdt.h>

/*
 * The first three arguments are the device's name, index and incarnation; the last
 * one is a long, since tracers do not read 64 bits of a 32-bit program.
 */
#define IBC_PROBE(probe, dev, ...)                                     \
	do {                                                           \
		const char *ibc__name = (dev)->name;                   \
		int ibc__index = (dev)->id.index;                      \
		unsigned long ibc__incarnation =                       \
			(unsigned long)(dev)->incarnation;             \
		STAP_PROBEV(libibclient, probe, ibc__name, ibc__index, \
			    ibc__incarnation, ##__VA_ARGS__);          \
	} while (0)

#else

#define IBC_PROBE(probe, dev, ...) \
	do {                       \
	} while (0)

#endif

#endif /* IBC_PROBE_H */
