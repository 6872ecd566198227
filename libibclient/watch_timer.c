// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The clock as a source of news: a rescan each scan_interval_ms. Without an
 * interval given it is used only where no other source is to be trusted; with
 * one that is, an idle process never wakes up.
 */
#include "private.h"

#define DEFAULT_INTERVAL_MS 1000

static bool others_work(struct ibc_registry *reg)
{
	unsigned int i;

	for (i = 0; i < IBC_NUM_SOURCES; i++)
		if (reg->sources[i].state == IBC_SOURCE_ACTIVE &&
		    reg->sources[i].trusted)
			return true;
	return false;
}

/* the last one to be opened; the registry's scan timer does the work */
static int open_timer(struct ibc_registry *reg, struct ibc__source *source)
{
	if (!reg->attr.scan_interval_ms && others_work(reg)) {
		source->state = IBC_SOURCE_ABSENT;
		snprintf(source->why, sizeof(source->why),
			 "not needed: better sources work");
		return 0;
	}
	if (!reg->attr.scan_interval_ms)
		reg->attr.scan_interval_ms = DEFAULT_INTERVAL_MS;
	source->state = IBC_SOURCE_ACTIVE;
	snprintf(source->why, sizeof(source->why), "every %u ms",
		 reg->attr.scan_interval_ms);
	return 0;
}

const struct ibc__source_ops ibc__source_timer = {
	.name = "timer",
	.open = open_timer,
};
