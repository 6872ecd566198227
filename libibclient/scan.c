// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The device list, and what changed in it. Every source of news ends here: its
 * hint kicks the scan job, and a burst of hints costs one list.
 *
 * A list is read without the lock and then applied under it. Lists are numbered
 * when they are begun; one that is overtaken by a later one is thrown away, so
 * nothing older ever undoes something newer. The list applied last is kept: as
 * long as it is, libibverbs cannot reuse its pointers for other devices.
 *
 * A device is known again by index, GUID and uverbs node together; all three
 * may be reused, one by one, by another device. diff.c compares.
 */
#include "scan.h"

/* lock held; what is returned is to be freed without it */
struct ibc__list *ibc__list_unref(struct ibc__list *list)
{
	return list && --list->refs == 0 ? list : NULL;
}

/* lock held; it is dropped if there is something to be freed */
void ibc__list_drop(struct ibc_registry *reg, struct ibc__list *list)
{
	if (!list)
		return;
	ibc__unlock(reg);
	ibc__list_free(list);
	ibc__lock(reg);
}

/* no lock held */
void ibc__list_free(struct ibc__list *list)
{
	if (!list)
		return;
	if (list->devices)
		ibc__backend->free_device_list(list->devices);
	free(list);
}

/* no RDMA in this kernel is an empty list; anything else is no list */
static int read_list(struct ibc__list **out, uint64_t mark)
{
	struct ibc__list *list = calloc(1, sizeof(*list));
	int error;

	if (!list)
		return ENOMEM;
	list->refs = 1;
	list->mark = mark;
	errno = 0;
	list->devices = ibc__backend->get_device_list(&list->num);
	error = errno;
	if (!list->devices && error != ENOSYS) {
		free(list);
		return error ? error : EIO;
	}
	if (!list->devices)
		list->num = 0;
	list->outside = ibc__watch_outside(list);
	*out = list;
	return 0;
}

static struct ibc__entry *read_entries(struct ibc__list *list)
{
	struct ibc__entry *entries = calloc(list->num + 1, sizeof(*entries));
	struct ibc__entry *e;
	int i;

	for (i = 0; entries && i < list->num; i++) {
		e = &entries[i];
		e->device = list->devices[i];
		e->id.index = ibc__backend->get_device_index(e->device);
		e->id.guid = ibc__backend->get_device_guid(e->device);
		snprintf(e->id.node, sizeof(e->id.node), "%s",
			 ibc__backend->get_device_node(e->device));
		snprintf(e->name, sizeof(e->name), "%s",
			 ibc__backend->get_device_name(e->device));
	}
	return entries;
}

/*
 * libibverbs remembers the name that a device had when it first saw it. Asked
 * for by those that are new, and for all where a rename is possible. What cannot
 * be read is no rename; an errno if that is for want of memory or descriptors.
 */
static int read_names(struct ibc_registry *reg, struct ibc__entry *entries,
		      int num, bool all)
{
	int i, error, result = 0;

	if (!all) {
		ibc__lock(reg);
		ibc__mark_known(reg, entries, num);
		ibc__unlock(reg);
	}
	for (i = 0; i < num; i++) {
		if (entries[i].known)
			continue;
		error = ibc__backend->read_device_name(
			entries[i].device, entries[i].name, IBC_NAME_MAX);
		entries[i].known = error;
		entries[i].unnamed = ibc__out_of_resources(error);
		if (entries[i].unnamed)
			result = error;
	}
	return result;
}

/*
 * Returns the number of the list that is about to be read; @by: whose hint was
 * the reason, if that is not the caller's own.
 */
static uint64_t begin(struct ibc_registry *reg, bool *names, enum ibc__by *by)
{
	uint64_t mark;

	ibc__lock(reg);
	if (reg->hint_by == IBC_BY_LIBRARY)
		reg->hint_by = *by;
	*names |= reg->scan_names;
	reg->scan_names = false;
	if (reg->hint_by == IBC_BY_LIBRARY &&
	    reg->scan_begun > reg->scan_applied)
		reg->hint_by = reg->begun_by; /* another took our hint along */
	*by = reg->begun_by = reg->hint_by;
	reg->hint_by = IBC_BY_LIBRARY;
	mark = ++reg->scan_begun;
	reg->stats.scans++;
	if (*by < IBC_NUM_SOURCES)
		reg->sources[*by].scans++;
	ibc__unlock(reg);
	return mark;
}

/* lock held: what was wanted of a list is left to the next one */
static void again(struct ibc_registry *reg, bool names, enum ibc__by by)
{
	reg->scan_names |= names;
	if (reg->hint_by == IBC_BY_LIBRARY)
		reg->hint_by = by;
}

/* lock held: the caller, who is told that it failed, may leave it at that */
static void retry(struct ibc_registry *reg, bool names, enum ibc__by by)
{
	again(reg, names, by);
	ibc__scan_at(reg, ibc__now() + ibc__backoff(reg->scan_failures));
}

/*
 * Lock held; returns the list that is to be freed. *@error: what was wrong with the
 * names, then what is wrong with all of it.
 */
static struct ibc__list *finish(struct ibc_registry *reg,
				struct ibc__list *list,
				struct ibc__entry *entries, uint64_t mark,
				bool names, enum ibc__by by, int *error)
{
	struct ibc__list *old;
	int diff_error;

	if (mark < reg->scan_applied) {
		reg->scan_names |= names; /* the later one was not asked */
		if (names)
			ibc__kick(&reg->scan_job);
		return list;
	}
	reg->scan_applied = mark;
	reg->scan_by = by;
	/* who is still to be opened anew says so again */
	if (!ibc__watch_active(reg, IBC_SOURCE_TIMER))
		ibc__timer_stop(reg, &reg->scan_timer);
	diff_error = ibc__diff(reg, list, entries, mark);
	*error = diff_error ? diff_error : *error;
	old = reg->list;
	reg->list = list;
	if (*error) {
		retry(reg, names, by);
	} else {
		reg->scan_failures = 0;
		reg->scan_error = 0;
	}
	ibc__watch_scanned(reg, list);
	ibc__changed(reg);
	return ibc__list_unref(old);
}

/*
 * No lock held: reads the list now. An errno if that cannot be done. It returns with the
 * lock; *@old, or NULL, is for ibc__list_drop().
 */
int ibc__scan_and_lock(struct ibc_registry *reg, bool names, enum ibc__by by,
		       struct ibc__list **old)
{
	struct ibc__entry *entries;
	struct ibc__list *list = NULL;
	uint64_t mark = begin(reg, &names, &by);
	int error = read_list(&list, mark);

	entries = error ? NULL : read_entries(list);
	if (entries)
		error = read_names(reg, entries, list->num, names);
	else if (!error)
		error = ENOMEM;
	ibc__lock(reg);
	if (!entries)
		retry(reg, names, by);
	else
		list = finish(reg, list, entries, mark, names, by, &error);
	free(entries);
	*old = list;
	return error;
}

/* the same, and all is done */
int ibc__scan(struct ibc_registry *reg, bool names, enum ibc__by by)
{
	struct ibc__list *old;
	int error = ibc__scan_and_lock(reg, names, by, &old);

	ibc__unlock(reg);
	ibc__list_free(old);
	return error;
}

/* lock held: logged once for each errno, tried again */
void ibc__scan_failed(struct ibc_registry *reg, int error)
{
	int level = error == reg->scan_error ? IBC_LOG_DEBUG : IBC_LOG_WARNING;
	struct ibc_device *dev;

	reg->scan_error = error;
	reg->scan_names = true;
	ibc__log(reg, level, "cannot read the device list: %s; trying again",
		 strerror(error));
	ibc__scan_at(reg, ibc__now() + ibc__backoff(reg->scan_failures++));
	TAILQ_FOREACH(dev, &reg->devices, entry) {
		dev->stalled = dev->stage == IBC_STAGE_VERIFY;
		ibc__probe_suspect(dev);
	}
	ibc__changed(reg);
}

/* the scan job */
bool ibc__scan_job(struct ibc__job *job)
{
	struct ibc_registry *reg = job->reg;
	int error;

	if (!reg->wanted)
		return false;
	ibc__unlock(reg);
	error = ibc__scan(reg, false, IBC_BY_LIBRARY);
	ibc__lock(reg);
	if (error)
		ibc__scan_failed(reg, error);
	return false;
}

static void scan_timer(struct ibc__timer *timer)
{
	struct ibc_registry *reg =
		ibc__container_of(timer, struct ibc_registry, scan_timer);

	if (ibc__watch_active(reg, IBC_SOURCE_TIMER)) {
		ibc__probe_all(reg);
		again(reg, true, IBC_SOURCE_TIMER);
	}
	ibc__kick(&reg->scan_job);
}

/* lock held: read the list at @when, if not earlier */
void ibc__scan_at(struct ibc_registry *reg, uint64_t when)
{
	reg->scan_timer.fire = scan_timer;
	if (!reg->scan_timer.armed || reg->scan_timer.at > when)
		ibc__timer_arm(reg, &reg->scan_timer, when);
}

/* lock held: a source says that something changed; @names: maybe a name */
void ibc__hint(struct ibc_registry *reg, enum ibc__by by, bool names)
{
	if (!reg->wanted)
		return;
	reg->heard = reg->scan_begun;
	reg->stats.hints++;
	if (by < IBC_NUM_SOURCES)
		reg->sources[by].hints++;
	again(reg, names, by);
	ibc__kick(&reg->scan_job);
}

/* lock held: somebody says that this one went */
void ibc__hint_device(struct ibc_device *dev)
{
	if (dev->state != IBC_DEVICE_LIVE)
		return;
	ibc__suspect(dev, IBC_BY_CALLER);
	ibc__hint(dev->reg, IBC_BY_CALLER, false);
}

int ibc_rescan(struct ibc_registry *reg)
{
	int error = ibc__registry_check(reg);
	bool wanted;

	if (!error)
		error = ibc__registry_hears(reg);
	if (error)
		return error;
	ibc__lock(reg);
	wanted = reg->wanted;
	ibc__unlock(reg);
	return wanted ? ibc__scan(reg, true, IBC_BY_CALLER) : 0;
}
