// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Opening a device: a step of its job. libibverbs opens by uverbs minor, and a
 * minor is reused at once: what the list called rxe0 a moment ago may be
 * another device now. So a device that was opened is not live before a list
 * that was begun later has it still, with the same index, GUID and node
 * (scan.c). One such list serves all devices that were opened meanwhile. None is
 * needed where a source that is to be trusted has been silent since the first was
 * begun (ibc__watch_silent()), as it is at nearly every start of a program.
 *
 * To open devices is most of what starting up takes. A new thread is often queued
 * behind the one that made it, and waits there for milliseconds, long after the
 * devices are open; so ibc_open() lets it begin. And whoever registers a client,
 * and would only wait until its add() has returned, opens some himself, beside the
 * registry's threads: with two CPUs it takes half as long. He runs no callback, so
 * there are as many of them at once as ever; where open_device() is the user's, that is
 * one, and he waits. What interrupts him must not interrupt an open: the
 * application's signals and cancellations wait for it, as they do for threads of
 * ours. How they wait for each other is in linger.c.
 */
#include <signal.h>

#include "private.h"

static const char *advice(int error)
{
	if (error == EACCES || error == EPERM)
		return " (may this user read and write it?)";
	return "";
}

/* logged once for each errno, not each time */
static void open_failed(struct ibc_device *dev, int error)
{
	struct ibc_registry *reg = dev->reg;
	int level = error == dev->open_error ? IBC_LOG_DEBUG : IBC_LOG_WARNING;

	reg->stats.opens_failed++;
	dev->open_error = error;
	dev->retry_at = ibc__now() + ibc__backoff(dev->failures++);
	ibc__log(reg, level,
		 "%s: cannot open /dev/infiniband/%s: %s%s; "
		 "trying again",
		 dev->name, dev->id.node, strerror(error), advice(error));
	ibc__changed(reg);
}

static struct ibv_context *call_open(struct ibc_registry *reg,
				     struct ibv_device *device, int *error)
{
	struct ibv_context *context;
	struct ibc__frame frame;

	errno = 0;
	if (reg->attr.open_device) {
		ibc__enter(&frame, reg);
		context = reg->attr.open_device(device, reg->attr.open_arg);
		ibc__leave(&frame);
	} else {
		context = ibc__backend->open_device(device);
	}
	*error = context ? 0 : errno ? errno : EIO;
	return context;
}

/* what was opened says that it is another device: no need to ask the list */
static bool mistaken(struct ibc_device *dev, struct ibv_context *context)
{
	struct ibv_device *device = context->device;

	return device &&
	       (ibc__backend->get_device_index(device) != dev->id.index ||
		!ibc__same_guid(ibc__backend->get_device_guid(device),
				dev->id.guid));
}

/* @list: where the device's pointer was from */
static void opened(struct ibc_device *dev, struct ibv_context *context,
		   const struct ibc__list *list)
{
	struct ibc_registry *reg = dev->reg;
	int error;

	if (mistaken(dev, context))
		error = ESTALE;
	else
		error = ibc__events_watch(dev, context, true);
	if (error) {
		ibc__close_device(dev, context);
		open_failed(dev, error);
		return;
	}
	dev->context = context;
	dev->stage = IBC_STAGE_VERIFY;
	ibc__timer_stop(reg, &dev->timer); /* it came before its time */
	dev->opened_mark = reg->scan_begun;
	dev->stalled = false;
	if (ibc__watch_silent(reg, list->mark))
		ibc__device_announce(dev);
	else
		ibc__kick(&reg->scan_job);
}

bool ibc__step_open(struct ibc_device *dev)
{
	struct ibc_registry *reg = dev->reg;
	struct ibv_device *device = dev->ibv;
	struct ibc__list *list = dev->list;
	struct ibv_context *context;
	int error;

	if (TAILQ_EMPTY(&reg->clients))
		return false;
	if (dev->retry_at > ibc__now()) {
		ibc__device_at(dev, dev->retry_at);
		return false;
	}
	list->refs++;
	ibc__unlock(reg);
	context = call_open(reg, device, &error);
	IBC_PROBE(open, dev, error);
	ibc__lock(reg);
	if (context)
		opened(dev, context, list);
	else
		open_failed(dev, error);
	ibc__list_drop(reg, ibc__list_unref(list));
	return true;
}

static bool opens(const struct ibc__job *job)
{
	const struct ibc_device *dev =
		ibc__container_of(job, struct ibc_device, job);

	return job->run == ibc__device_step && !ibc__device_finished(dev) &&
	       dev->state == IBC_DEVICE_LIVE && dev->stage == IBC_STAGE_LISTED;
}

/* lock held: opens what waits for that, if there is anything */
void ibc__help_open(struct ibc_registry *reg)
{
	sigset_t all, old;
	int state;

	if (reg->attr.open_device || ibc__manual(reg))
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	while (ibc__run_job_that(reg, opens))
		;
	pthread_setcancelstate(state, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}
