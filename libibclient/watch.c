// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The sources of news: which there are, which work here, and what their news
 * means. None is needed: each that does not work says why, and the clock
 * (watch_timer.c) stands in for all.
 *
 * Those of hot-plug news are opened before any list is read, so that nothing
 * falls between. What only the kernel tells of its own devices is put off where
 * there are none: in a kernel that has no RDMA yet, and where the devices are a
 * simulator's. It is opened when a list has the first device of the kernel, and
 * then a list is read once more. That one came is told by inotify, or the clock.
 *
 * News is counted for whoever told it first: the hint that is the reason for a
 * list is remembered until that list is read (->hint_by, then ->scan_by), and
 * what the list tells of a removal is that source's.
 */
#include <linux/magic.h>
#include <poll.h>
#include <unistd.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/statfs.h>

#include "private.h"

#define RECEIVE_BUFFER (1 << 20)

static const struct ibc__source_ops *const all_ops[IBC_NUM_SOURCES] = {
	[IBC_SOURCE_UEVENT] = &ibc__source_uevent,
	[IBC_SOURCE_NETLINK] = &ibc__source_netlink,
	[IBC_SOURCE_INOTIFY] = &ibc__source_inotify,
	[IBC_SOURCE_ASYNC] = &ibc__source_async,
	[IBC_SOURCE_PROBE] = &ibc__source_probe,
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

const char *ibc__by_name(enum ibc__by by)
{
	if (by == IBC_BY_CALLER)
		return "caller";
	if (by == IBC_BY_LIBRARY)
		return "library";
	return all_ops[by]->name;
}

bool ibc__watch_active(struct ibc_registry *reg, enum ibc__by by)
{
	return reg->sources[by].state == IBC_SOURCE_ACTIVE;
}

/* ---- IBC_SOURCES ---- */

/* what IBC_SOURCES says; ->on: which are to be used */
struct choice {
	bool on[IBC_NUM_SOURCES];
	bool named; /* some are asked for, not only left out */
	char unknown[128];
};

static void all_hotplug(struct choice *choice, bool on)
{
	unsigned int i;

	for (i = 0; i < IBC_NUM_SOURCES; i++)
		if (all_ops[i]->hotplug)
			choice->on[i] = on;
}

static void note_unknown(struct choice *choice, const char *word, size_t len)
{
	size_t have = strlen(choice->unknown);

	snprintf(choice->unknown + have, sizeof(choice->unknown) - have,
		 "%s\"%.*s\"", have ? ", " : "", (int)len, word);
}

/* one of the list's words: NAME, or -NAME to leave it out */
static void choose_one(struct choice *choice, const char *word, size_t len)
{
	bool on = word[0] != '-';
	unsigned int i;

	for (i = 0; i < IBC_NUM_SOURCES; i++)
		if (strlen(all_ops[i]->name) == len - !on &&
		    strncmp(all_ops[i]->name, word + !on, len - !on) == 0)
			break;
	if (i == IBC_NUM_SOURCES) {
		note_unknown(choice, word, len);
		return;
	}
	if (on && !choice->named)
		all_hotplug(choice, false);
	choice->named |= on;
	choice->on[i] = on;
}

/*
 * Without the variable, all. A list chooses among those of hot-plug news: as
 * soon as it names one, the others are out. What an open device's context tells
 * (async, probe) has to be left out expressly.
 */
static void choose(struct choice *choice, const char *list)
{
	size_t skip, len;

	memset(choice->on, true, sizeof(choice->on));
	choice->named = false;
	choice->unknown[0] = '\0';
	if (list && !list[strspn(list, ", ")])
		all_hotplug(choice, false);
	for (; list && *list; list += len) {
		skip = strspn(list, ", ");
		list += skip;
		len = strcspn(list, ", ");
		if (len)
			choose_one(choice, list, len);
	}
}

/* lock held; ibc_dump() tells the rest */
static void log_choice(struct ibc_registry *reg, const struct choice *choice)
{
	char names[96] = "";
	size_t have;
	unsigned int i;

	for (i = 0; i < IBC_NUM_SOURCES; i++) {
		have = strlen(names);
		snprintf(names + have, sizeof(names) - have, "%s%s",
			 i ? ", " : "", all_ops[i]->name);
	}
	if (choice->unknown[0])
		ibc__log(reg, IBC_LOG_WARNING,
			 "IBC_SOURCES: no such source: %s; there are %s",
			 choice->unknown, names);
}

/* ---- opening ---- */

void ibc__watch_absent(struct ibc__source *source, const char *why)
{
	source->state = IBC_SOURCE_ABSENT;
	snprintf(source->why, sizeof(source->why), "%s", why);
	if (source->fd >= 0)
		close(source->fd);
	source->fd = -1;
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
	return ibc__out_of_resources(error) ? error : 0;
}

/* beyond rmem_max it takes CAP_NET_ADMIN; the default serves too */
void ibc__watch_buffer(int fd)
{
	int size = RECEIVE_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size,
				 sizeof(size));
}

enum ibc__where ibc__watch_where(void)
{
	const char *sysfs = ibc__backend->sysfs_path();
	struct statfs fs;
	int ret;

	if (!sysfs)
		return IBC_WHERE_KERNEL;
	do {
		ret = statfs(sysfs, &fs);
	} while (ret && errno == EINTR);
	if (ret)
		return errno == ENOENT || errno == ENOTDIR ? IBC_WHERE_KERNEL :
							     IBC_WHERE_UNKNOWN;
	return fs.f_type == SYSFS_MAGIC ? IBC_WHERE_KERNEL :
					  IBC_WHERE_SIMULATED;
}

/* true: @source, which tells of the kernel's devices, is put off */
bool ibc__watch_needless(struct ibc_registry *reg, struct ibc__source *source)
{
	if (reg->where != IBC_WHERE_SIMULATED || reg->had_kernels)
		return false;
	ibc__watch_absent(source, "the devices are a simulator's, of which the "
				  "kernel tells nothing");
	source->later = true;
	return true;
}

static int open_source(struct ibc_registry *reg, unsigned int n)
{
	struct ibc__source *source = &reg->sources[n];
	int error;

	source->later = false;
	error = source->ops->open(reg, source);
	if (error || source->fd < 0)
		return error;
	error = ibc__epoll_set(reg, EPOLL_CTL_ADD, source->fd, EPOLLIN, n);
	return error ? ibc__watch_failed(source, "epoll_ctl", error) : 0;
}

int ibc__watch_open(struct ibc_registry *reg)
{
	struct choice choice;
	unsigned int i;
	int error = 0;

	choose(&choice, secure_getenv("IBC_SOURCES"));
	reg->where = ibc__watch_where();
	for (i = 0; i < IBC_NUM_SOURCES && !error; i++) {
		reg->sources[i].ops = all_ops[i];
		if (choice.on[i]) {
			error = open_source(reg, i);
			continue;
		}
		reg->sources[i].state = IBC_SOURCE_OFF;
		snprintf(reg->sources[i].why, sizeof(reg->sources[i].why),
			 "left out by IBC_SOURCES");
	}
	reg->hint_by = IBC_BY_LIBRARY;
	ibc__lock(reg);
	if (!error)
		log_choice(reg, &choice);
	ibc__unlock(reg);
	return error;
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
 * The kernel has devices: what it tells of them has been put off until now. What
 * fails now is no error of anybody's, and another period for the clock.
 */
static void open_again(struct ibc_registry *reg)
{
	struct ibc__source *timer = &reg->sources[IBC_SOURCE_TIMER];
	unsigned int i;

	for (i = 0; i < IBC_NUM_SOURCES; i++) {
		if (!reg->sources[i].later)
			continue;
		(void)open_source(reg, i);
		if (reg->sources[i].fd >= 0) {
			/* it is silent of what was before */
			reg->heard = reg->scan_begun;
			ibc__kick(&reg->scan_job);
		}
		ibc__log(reg, IBC_LOG_DEBUG, "source %s: %s (%s)",
			 all_ops[i]->name,
			 ibc__source_state_name(reg->sources[i].state),
			 reg->sources[i].why);
		if (timer->state == IBC_SOURCE_ACTIVE)
			(void)timer->ops->open(reg, timer);
	}
}

/* lock held: @source will not hear of everything any more */
void ibc__watch_distrust(struct ibc_registry *reg, struct ibc__source *source)
{
	struct ibc__source *timer = &reg->sources[IBC_SOURCE_TIMER];

	source->trusted = false;
	if (timer->state != IBC_SOURCE_ABSENT)
		return;
	(void)timer->ops->open(reg, timer);
	if (timer->state != IBC_SOURCE_ACTIVE)
		return;
	ibc__log(reg, IBC_LOG_WARNING,
		 "source %s: %s; from now on the device list is read every "
		 "%u ms",
		 source->ops->name, source->why, reg->scan_period);
	ibc__scan_at(reg, ibc__now() + reg->scan_period);
}

/* ---- news ---- */

/* what it says is read with the lock held, so it is in there, or was a hint */
static bool nothing_to_read(const struct ibc__source *source)
{
	struct pollfd fd = { .fd = source->fd, .events = POLLIN };

	return poll(&fd, 1, 0) == 0;
}

/*
 * Lock held: is all still as the list of that number has it? It is if a source that
 * is to be trusted, and so was opened before any list was read, has nothing to say,
 * and nobody has told of anything: a device's end is told before another device can
 * have its node. The kernel's ib_uverbs_remove_one() removes the node and sends the
 * uevent first, and then frees the minor.
 */
bool ibc__watch_silent(struct ibc_registry *reg, uint64_t mark)
{
	const struct ibc__source *source;
	unsigned int i;

	if (reg->heard >= mark)
		return false;
	for (i = 0; i < IBC_NUM_SOURCES; i++) {
		source = &reg->sources[i];
		if (source->state == IBC_SOURCE_ACTIVE && source->trusted &&
		    nothing_to_read(source))
			return true;
	}
	return false;
}

/*
 * Lock held: a uverbs node came or went. Devices that have it are suspected;
 * those that could not be opened may be tried at once.
 */
static void news_of(struct ibc_device *dev, enum ibc__by by, bool gone)
{
	if (gone) {
		ibc__suspect(dev, by);
	} else if (dev->retry_at) {
		dev->retry_at = 0;
		ibc__kick(&dev->job);
	}
}

void ibc__watch_node(struct ibc_registry *reg, enum ibc__by by,
		     const char *node, bool gone)
{
	struct ibc_device *dev;

	TAILQ_FOREACH(dev, &reg->devices, entry)
		if (dev->state == IBC_DEVICE_LIVE &&
		    strcmp(dev->id.node, node) == 0)
			news_of(dev, by, gone);
	ibc__hint(reg, by, false);
}

/* lock held: the same, of the kernel's index of the device */
void ibc__watch_index(struct ibc_registry *reg, enum ibc__by by, int index,
		      bool gone)
{
	struct ibc_device *dev;

	TAILQ_FOREACH(dev, &reg->devices, entry)
		if (dev->state == IBC_DEVICE_LIVE && index >= 0 &&
		    dev->id.index == index)
			news_of(dev, by, gone);
	ibc__hint(reg, by, false);
}

static bool is_simulated(struct ibv_device *device, const char *directory)
{
	const char *path = ibc__backend->get_device_path(device);
	size_t len = strlen(directory);

	return strncmp(path, directory, len) == 0 && path[len] == '/';
}

/* no lock held: if that is a simulator's directory, are there any of the kernel's? */
bool ibc__watch_outside(const struct ibc__list *list)
{
	const char *directory = ibc__backend->sysfs_path();
	int i;

	for (i = 0; i < list->num; i++)
		if (!directory || !is_simulated(list->devices[i], directory))
			return true;
	return false;
}

/* lock held: the list was applied */
void ibc__watch_scanned(struct ibc_registry *reg, const struct ibc__list *list)
{
	bool had_kernels = reg->had_kernels;

	reg->had_kernels = reg->where == IBC_WHERE_SIMULATED ? list->outside :
							       list->num > 0;
	if (reg->had_kernels && !had_kernels)
		open_again(reg);
	if (ibc__watch_active(reg, IBC_SOURCE_TIMER))
		ibc__scan_at(reg, ibc__now() + reg->scan_period);
}
