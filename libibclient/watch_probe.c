// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A cheap verb as a source of news: EIO or ENODEV of it says that this context
 * is dead, whatever the device list has. It is what tells of a device that went
 * to another network namespace and came back, with the same index, GUID and
 * node.
 *
 * It costs a system call, so it is asked only if there is a reason: a hint that
 * this device went, which a fresh list does not confirm; or, where nothing gives
 * hints, each time that the clock has the list read. A hint that neither list
 * nor verb confirms was a false one.
 *
 *   ->suspect, ->suspect_by	a hint says it went: next, the list decides
 *   ->probe, ->probe_by	the list has it: the job is to ask the verb
 *   ->probe_at		not before: it had said nothing, for want of memory or
 *			since a signal came, so it is asked again
 *
 * reg->lock is held, and dropped for the verb.
 */
#include "private.h"

static void count_false(struct ibc_registry *reg, enum ibc__by by)
{
	if (by == IBC_SOURCE_PROBE) /* it was nobody's hint */
		return;
	reg->stats.false_hints++;
	if (by < IBC_NUM_SOURCES)
		reg->sources[by].false_hints++;
}

/* of several the first hint told; the clock is none */
void ibc__suspect(struct ibc_device *dev, enum ibc__by by)
{
	if (dev->suspect && dev->suspect_by != IBC_SOURCE_PROBE)
		return;
	dev->suspect = true;
	dev->suspect_by = by;
}

/* a list has the suspect still, or none can be read: maybe a verb tells */
void ibc__probe_suspect(struct ibc_device *dev)
{
	if (!dev->suspect)
		return;
	dev->suspect = false;
	if (!ibc__device_live(dev))
		return;
	if (!ibc__watch_active(dev->reg, IBC_SOURCE_PROBE)) {
		count_false(dev->reg, dev->suspect_by);
		return;
	}
	if (!dev->probe)
		dev->probe_by = dev->suspect_by;
	dev->probe = true;
	ibc__kick(&dev->job);
}

/* the clock has the list read: whoever is live is asked, too */
void ibc__probe_all(struct ibc_registry *reg)
{
	struct ibc_device *dev;

	if (!ibc__watch_active(reg, IBC_SOURCE_PROBE))
		return;
	TAILQ_FOREACH(dev, &reg->devices, entry)
		if (ibc__device_live(dev))
			ibc__suspect(dev, IBC_SOURCE_PROBE);
}

static bool says_nothing(int error)
{
	return ibc__out_of_resources(error) || error == EINTR ||
	       error == EAGAIN;
}

/* of several hints the first told */
static void ask_again(struct ibc_device *dev, enum ibc__by by)
{
	dev->probe = true;
	dev->probe_by = by;
	dev->probe_at = ibc__now() + ibc__backoff(dev->probe_failures++);
	ibc__device_at(dev, dev->probe_at);
}

/* a step of the device's job */
bool ibc__step_probe(struct ibc_device *dev)
{
	struct ibc_registry *reg = dev->reg;
	struct ibv_context *context = dev->context;
	enum ibc__by by = dev->probe_by;
	int error;

	if (!dev->probe)
		return false;
	if (dev->probe_at > ibc__now()) {
		ibc__device_at(dev, dev->probe_at);
		return false;
	}
	dev->probe = false;
	ibc__unlock(reg);
	error = ibc__backend->probe(context);
	ibc__lock(reg);
	if (says_nothing(error)) {
		ask_again(dev, by);
		return true;
	}
	dev->probe_failures = 0;
	if (error == EIO || error == ENODEV)
		ibc__begin_removal(dev, IBC_REASON_ERROR, by);
	else
		count_false(reg, by);
	ibc__changed(reg);
	return true;
}

static int open_probe(struct ibc_registry *reg, struct ibc__source *source)
{
	(void)reg;
	source->state = IBC_SOURCE_ACTIVE;
	snprintf(source->why, sizeof(source->why),
		 "a cheap verb, when a hint or the timer gives reason");
	return 0;
}

const struct ibc__source_ops ibc__source_probe = {
	.name = "probe",
	.open = open_probe,
};
