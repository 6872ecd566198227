// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The async descriptor of a context as a source of news: DEVICE_FATAL, an error
 * of reading it (EIO once the driver has let go), EPOLLERR and EPOLLHUP. It
 * tells of its own device only, and what it tells is no hint: it is believed
 * without asking anybody. Drivers that cannot take a device away from its users
 * (rxe, siw) never say anything here.
 *
 * event.c reads the descriptor; these functions are told what it found. Where
 * IBC_SOURCES leaves this source out events are read and delivered as ever, but
 * begin no removal. reg->lock is held.
 */
#include "private.h"

static void tell(struct ibc_device *dev, enum ibc__reason reason)
{
	struct ibc_registry *reg = dev->reg;

	if (!ibc__watch_active(reg, IBC_SOURCE_ASYNC) ||
	    dev->state != IBC_DEVICE_LIVE)
		return;
	reg->stats.hints++;
	reg->sources[IBC_SOURCE_ASYNC].hints++;
	ibc__begin_removal(dev, reason, IBC_SOURCE_ASYNC);
}

void ibc__async_fatal(struct ibc_device *dev)
{
	tell(dev, IBC_REASON_FATAL);
}

/* reading it failed otherwise than for want of events or of memory */
void ibc__async_failed(struct ibc_device *dev)
{
	tell(dev, IBC_REASON_UNREADABLE);
}

void ibc__async_hung_up(struct ibc_device *dev)
{
	tell(dev, IBC_REASON_HANGUP);
}

static int open_async(struct ibc_registry *reg, struct ibc__source *source)
{
	(void)reg;
	source->state = IBC_SOURCE_ACTIVE;
	snprintf(source->why, sizeof(source->why),
		 "DEVICE_FATAL, errors and hang-ups of open devices");
	return 0;
}

const struct ibc__source_ops ibc__source_async = {
	.name = "async",
	.open = open_async,
};
