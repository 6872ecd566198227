// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The clock as a source of news: a rescan each interval. Without an interval
 * given (scan_interval_ms) it is used only where no other source is to be
 * trusted; beside one that is, an idle process never wakes up.
 *
 * The interval that it chooses depends on what works. With nothing else it is
 * all that there is, so it is short. RDMA netlink tells at once of what comes
 * and of what really went, but not of a removal that waits for this process: for
 * that alone a longer one does.
 */
#include "private.h"

#define ALONE_MS	  1000
#define BESIDE_NETLINK_MS 5000

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
	unsigned int period = reg->attr.scan_interval_ms;
	const char *reason = "as asked for";

	if (!period && others_work(reg)) {
		ibc__watch_absent(source, "not needed: better sources work");
		return 0;
	}
	if (!period && ibc__watch_active(reg, IBC_SOURCE_NETLINK)) {
		period = BESIDE_NETLINK_MS;
		reason = "netlink tells of what it does not hold up itself";
	} else if (!period) {
		period = ALONE_MS;
		reason = "no better source works";
	}
	reg->scan_period = period;
	source->state = IBC_SOURCE_ACTIVE;
	snprintf(source->why, sizeof(source->why), "every %u ms: %s", period,
		 reason);
	return 0;
}

const struct ibc__source_ops ibc__source_timer = {
	.name = "timer",
	.hotplug = true,
	.open = open_timer,
};
