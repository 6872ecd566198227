// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The sources of hot-plug news: which there are, which work here, and what
 * their news means. None is needed: each that does not work says why, and the
 * clock (watch_timer.c) stands in for all.
 *
 * They are opened before any list is read, so that nothing falls between.
 */
#include <unistd.h>
#include <stdarg.h>
#include <sys/epoll.h>

#include "private.h"

static const struct ibc__source_ops *const all_ops[IBC_NUM_SOURCES] = {
	[IBC_SOURCE_UEVENT] = &ibc__source_uevent,
	[IBC_SOURCE_INOTIFY] = &ibc__source_inotify,
	[IBC_SOURCE_TIMER] = &ibc__source_timer,
};

const char *ibc__source_state_name(enum ibc__source_state state)
{
	static const char *const names[] = {
		[IBC_SOURCE_OFF] = "off",
		[IBC_SOURCE_ABSENT] = "absent",
		[IBC_SOURCE_FAILED] = "failed",
		[IBC_SOURCE_ACTIVE] = "active",
	};

	return names[state];
}

/* IBC_SOURCES=uevent,inotify,timer: those and no others */
static bool chosen(const char *list, const char *name)
{
	size_t len, want = strlen(name);

	if (!list)
		return true;
	for (; *list; list += len + (list[len] == ',')) {
		len = strcspn(list, ",");
		if (len == want && strncmp(list, name, len) == 0)
			return true;
	}
	return false;
}

/*
 * The source does not work, which is no error, but if this process has no
 * memory or descriptors left: then ibc_open() fails.
 */
int ibc__watch_failed(struct ibc__source *source, const char *what, int error)
{
	source->state = IBC_SOURCE_FAILED;
	snprintf(source->why, sizeof(source->why), "%s: %s", what,
		 strerror(error));
	if (source->fd >= 0)
		close(source->fd);
	source->fd = -1;
	if (error == ENOMEM || error == EMFILE || error == ENFILE)
		return error;
	return 0;
}

static int open_source(struct ibc_registry *reg, unsigned int n,
		       const char *list)
{
	struct ibc__source *source = &reg->sources[n];
	int error;

	source->ops = all_ops[n];
	if (!chosen(list, source->ops->name)) {
		source->state = IBC_SOURCE_OFF;
		snprintf(source->why, sizeof(source->why),
			 "not in IBC_SOURCES");
		return 0;
	}
	error = source->ops->open(reg, source);
	if (error || source->fd < 0)
		return error;
	error = ibc__epoll_add(reg, source->fd, EPOLLIN, n);
	return error ? ibc__watch_failed(source, "epoll_ctl", error) : 0;
}

int ibc__watch_open(struct ibc_registry *reg)
{
	const char *list = secure_getenv("IBC_SOURCES");
	unsigned int i;
	int error;

	for (i = 0; i < IBC_NUM_SOURCES; i++) {
		error = open_source(reg, i, list);
		if (error)
			return error;
	}
	return 0;
}

void ibc__watch_close(struct ibc_registry *reg)
{
	unsigned int i;

	for (i = 0; i < IBC_NUM_SOURCES; i++) {
		if (reg->sources[i].fd >= 0)
			close(reg->sources[i].fd);
		reg->sources[i].fd = -1;
	}
}

/*
 * Lock held: a uverbs node came or went. Devices that have it are suspected;
 * those that could not be opened may be tried at once.
 */
void ibc__watch_node(struct ibc_registry *reg, const char *node, bool gone)
{
	struct ibc_device *dev;

	TAILQ_FOREACH(dev, &reg->devices, entry) {
		if (dev->state != IBC_DEVICE_LIVE ||
		    strcmp(dev->id.node, node) != 0)
			continue;
		if (gone) {
			dev->suspect = true;
		} else if (dev->retry_at) {
			dev->retry_at = 0;
			ibc__kick(&dev->job);
		}
	}
	ibc__hint(reg, false);
}

/* lock held: a list was applied */
void ibc__watch_scanned(struct ibc_registry *reg)
{
	struct ibc__source *timer = &reg->sources[IBC_SOURCE_TIMER];

	if (timer->state == IBC_SOURCE_ACTIVE)
		ibc__scan_at(reg, ibc__now() + reg->attr.scan_interval_ms);
}
