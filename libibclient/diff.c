// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What a fresh device list says of the devices we know: still there, renamed,
 * gone, back, new. reg->lock is held; nothing here calls out, so everything
 * that follows is left to the devices' jobs.
 */
#include <fnmatch.h>

#include "scan.h"

/* 0: it has none, or the file that it is in could not be read */
bool ibc__same_guid(__be64 a, __be64 b)
{
	return a == b || !a || !b;
}

/* without an index (no RDMA netlink) the name has to do */
static bool same(const struct ibc_device *dev, const struct ibc__entry *e)
{
	if (dev->id.index != e->id.index ||
	    !ibc__same_guid(dev->id.guid, e->id.guid) ||
	    strcmp(dev->id.node, e->id.node) != 0)
		return false;
	return e->id.index >= 0 || strcmp(dev->name, e->name) == 0;
}

static struct ibc__entry *find_entry(struct ibc_device *dev,
				     struct ibc__entry *entries, int num)
{
	int i;

	for (i = 0; i < num; i++)
		if (same(dev, &entries[i]))
			return &entries[i];
	return NULL;
}

void ibc__mark_known(struct ibc_registry *reg, struct ibc__entry *entries,
		     int num)
{
	struct ibc_device *dev;
	struct ibc__entry *e;

	TAILQ_FOREACH(dev, &reg->devices, entry) {
		e = find_entry(dev, entries, num);
		if (e && dev->state == IBC_DEVICE_LIVE)
			e->known = true;
	}
}

static int check_name(struct ibc_device *dev, struct ibc__entry *e)
{
	int error;

	if (e->known || strcmp(dev->name, e->name) == 0)
		return 0;
	error = ibc__device_rename(dev, e->name);
	if (error)
		return error;
	ibc__log(dev->reg, IBC_LOG_INFO, "%s: device renamed to %s",
		 dev->old_name, dev->name);
	if (!dev->announced)
		dev->old_name = NULL;
	ibc__kick(&dev->job);
	return 0;
}

/* what was opened before the list was begun is what the list has */
static void check_opened(struct ibc_device *dev, uint64_t mark)
{
	if (dev->stage != IBC_STAGE_VERIFY)
		return;
	dev->stalled = false;
	if (mark <= dev->opened_mark)
		return;
	ibc__device_announce(dev);
	ibc__kick(&dev->job);
}

/* the list has its pointer anew; the one before may go with the list before */
static void keep_pointer(struct ibc_device *dev, struct ibc__list *list,
			 struct ibc__entry *e)
{
	if (dev->stage != IBC_STAGE_LISTED)
		return;
	dev->ibv = e->device;
	dev->list = list;
}

static int still_there(struct ibc_device *dev, struct ibc__list *list,
		       struct ibc__entry *e, uint64_t mark)
{
	dev->seen = true;
	if (!dev->id.guid) /* ibc_device_guid() takes no lock */
		__atomic_store_n(&dev->id.guid, e->id.guid, __ATOMIC_RELAXED);
	keep_pointer(dev, list, e);
	ibc__probe_suspect(dev);
	check_opened(dev, mark);
	return check_name(dev, e);
}

/* removed, but the list has it: whose is the entry? */
static void listed_again(struct ibc_device *dev, struct ibc__entry *e)
{
	if (dev->adopted || dev->claim == IBC_CLAIM_NONE)
		return;
	e->taken = true;
	if (dev->claim == IBC_CLAIM_NEVER)
		return;
	if (dev->reopen_at > ibc__now()) {
		ibc__scan_at(dev->reg, dev->reopen_at);
		return;
	}
	e->taken = false;
	e->relapses = dev->relapses;
	dev->claim = IBC_CLAIM_NONE;
	ibc__kick(&dev->job);
}

static void not_there(struct ibc_device *dev)
{
	if (dev->state != IBC_DEVICE_LIVE) {
		if (dev->claim != IBC_CLAIM_NONE)
			ibc__kick(&dev->job);
		dev->claim = IBC_CLAIM_NONE;
	} else if (!dev->adopted || dev->seen) {
		ibc__begin_removal(dev, IBC_REASON_ABSENT, dev->reg->scan_by);
	} else {
		ibc__probe_suspect(dev);
	}
}

static int compare(struct ibc_device *dev, struct ibc__list *list,
		   struct ibc__entry *entries, uint64_t mark)
{
	struct ibc__entry *e = find_entry(dev, entries, list->num);

	if (!e) {
		not_there(dev);
		return 0;
	}
	if (dev->state != IBC_DEVICE_LIVE) {
		listed_again(dev, e);
		return 0;
	}
	if (!dev->adopted)
		e->taken = true;
	return still_there(dev, list, e, mark);
}

/* is the name one of those that the registry was opened for? */
static bool chosen(struct ibc_registry *reg, const char *name)
{
	char pattern[IBC_NAME_MAX];
	const char *p = reg->patterns;
	size_t len;

	if (!p)
		return true;
	for (; *p; p += len + (p[len] == ',')) {
		len = strcspn(p, ",");
		if (len >= sizeof(pattern))
			continue;
		memcpy(pattern, p, len);
		pattern[len] = '\0';
		if (fnmatch(pattern, name, 0) == 0)
			return true;
	}
	return false;
}

static int add_new(struct ibc_registry *reg, struct ibc__list *list,
		   struct ibc__entry *e)
{
	struct ibc_device *dev;

	if (e->taken || e->unnamed || reg->attr.flags & IBC_REGISTRY_NO_OPEN ||
	    !chosen(reg, e->name))
		return 0;
	dev = ibc__device_new(reg, e->name, &e->id);
	if (!dev)
		return ENOMEM;
	dev->claim = IBC_CLAIM_LISTED;
	dev->relapses = e->relapses;
	dev->ibv = e->device;
	dev->list = list;
	ibc__device_insert(dev);
	return 0;
}

/* as much as there is memory for; ENOMEM if there was not enough */
int ibc__diff(struct ibc_registry *reg, struct ibc__list *list,
	      struct ibc__entry *entries, uint64_t mark)
{
	struct ibc_device *dev;
	int i, error, result = 0;

	TAILQ_FOREACH(dev, &reg->devices, entry) {
		error = compare(dev, list, entries, mark);
		result = error ? error : result;
	}
	for (i = 0; i < list->num; i++) {
		error = add_new(reg, list, &entries[i]);
		result = error ? error : result;
	}
	return result;
}
