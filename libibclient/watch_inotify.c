// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * inotify: the one way in which a rootless container hears of devices. Watched
 * are
 *
 *   /dev/infiniband		its nodes; it goes with the last of them
 *   /dev			for the directory to come (back)
 *   SYSFS/class/infiniband_verbs	where that is not the kernel's sysfs,
 *				which fires none: a simulator's directory
 *
 * It is to be trusted, with no rescan by the clock beside it, only where /dev is
 * a devtmpfs, in which the kernel itself makes and removes the nodes; a
 * container's own /dev is none. A simulator's devices are in its directory and
 * nowhere else: that has to be watched then, and is trusted until it goes. Where
 * it could not be found out whose the devices are, both must be so. What is there
 * and cannot be watched ends the trust.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "private.h"

enum { WATCH_NODES, WATCH_DEV, WATCH_CLASS };

static const uint32_t node_events = IN_CREATE | IN_DELETE | IN_MOVED_FROM |
				    IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR;
static const uint32_t dev_events =
	IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_ONLYDIR;

/* is @path on a filesystem that the kernel fills with device nodes? */
static bool on_devtmpfs(const char *path)
{
	char line[PATH_MAX + 256];
	unsigned int major_no, minor_no;
	struct stat st;
	bool found = false;
	FILE *f;

	if (stat(path, &st) || !(f = fopen("/proc/self/mountinfo", "re")))
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*d %*d %u:%u", &major_no, &minor_no) ==
				2 &&
			makedev(major_no, minor_no) == st.st_dev &&
			strstr(line, " - devtmpfs ");
	fclose(f);
	return found;
}

static void watch(struct ibc__source *source, int n, const char *path,
		  uint32_t events)
{
	source->watches[n] = inotify_add_watch(source->fd, path, events);
}

/* false: it is there, as far as one can tell, and errno says why not */
static bool watch_nodes(struct ibc__source *source)
{
	watch(source, WATCH_NODES, "/dev/infiniband", node_events);
	return source->watches[WATCH_NODES] >= 0 || errno == ENOENT ||
	       errno == ENOTDIR;
}

/* the same */
static bool watch_class(struct ibc_registry *reg, struct ibc__source *source)
{
	char path[PATH_MAX];

	source->watches[WATCH_CLASS] = -1;
	if (reg->where == IBC_WHERE_KERNEL)
		return true;
	snprintf(path, sizeof(path), "%s/class/infiniband_verbs",
		 ibc__backend->sysfs_path());
	watch(source, WATCH_CLASS, path, node_events);
	return source->watches[WATCH_CLASS] >= 0;
}

static void not_watched(struct ibc__source *source, const char *what, int error)
{
	snprintf(source->why, sizeof(source->why), "%s cannot be watched: %s",
		 what, strerror(error));
}

/* @class_error, @nodes_error: why they are not watched, or 0 */
static void judge(struct ibc_registry *reg, struct ibc__source *source,
		  int class_error, int nodes_error)
{
	bool of_class = source->watches[WATCH_CLASS] >= 0;

	source->trusted = of_class || reg->where == IBC_WHERE_KERNEL;
	/* asked last, and only where it matters: it reads a list of mounts */
	if (source->trusted && reg->where != IBC_WHERE_SIMULATED)
		source->trusted = !nodes_error &&
				  source->watches[WATCH_DEV] >= 0 &&
				  on_devtmpfs("/dev");
	if (source->trusted)
		snprintf(source->why, sizeof(source->why), "device nodes");
	else if (class_error)
		not_watched(source, "the directory of the devices",
			    class_error);
	else if (nodes_error)
		not_watched(source, "/dev/infiniband", nodes_error);
	else
		snprintf(source->why, sizeof(source->why),
			 "device nodes, but not the kernel's own");
}

/* a simulator's directory went; it may be there again */
static void class_went(struct ibc_registry *reg, struct ibc__source *source)
{
	reg->where = ibc__watch_where();
	watch_class(reg, source);
	if (source->watches[WATCH_CLASS] < 0) {
		snprintf(source->why, sizeof(source->why),
			 "the directory of the devices went");
		ibc__watch_distrust(reg, source);
	}
	ibc__hint(reg, IBC_SOURCE_INOTIFY, true);
}

/* their directory is there (again) */
static void nodes_came(struct ibc_registry *reg, struct ibc__source *source)
{
	int error = watch_nodes(source) ? 0 : errno;

	if (!error || !source->trusted)
		return;
	reg->where = ibc__watch_where();
	if (reg->where == IBC_WHERE_SIMULATED)
		return;
	not_watched(source, "/dev/infiniband", error);
	ibc__watch_distrust(reg, source);
}

/* EMFILE is the limit of this user's instances too: no error of ours then */
static int no_instance(struct ibc_registry *reg, struct ibc__source *source,
		       int error)
{
	int fd = -1;

	if (error == EMFILE)
		fd = fcntl(reg->epoll_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return ibc__watch_failed(source, "inotify_init1", error);
	close(fd);
	ibc__watch_failed(source, "fs.inotify.max_user_instances reached",
			  error);
	return 0;
}

static int open_inotify(struct ibc_registry *reg, struct ibc__source *source)
{
	int error, class_error, nodes_error;

	source->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (source->fd < 0)
		return no_instance(reg, source, errno);
	class_error = watch_class(reg, source) ? 0 : errno;
	nodes_error = watch_nodes(source) ? 0 : errno;
	watch(source, WATCH_DEV, "/dev", dev_events);
	error = errno;
	judge(reg, source, class_error, nodes_error);
	if (source->watches[WATCH_DEV] < 0 && !source->trusted)
		return ibc__watch_failed(
			source,
			error == ENOSPC ?
				"/dev: fs.inotify.max_user_watches reached" :
				"/dev",
			error);
	source->state = IBC_SOURCE_ACTIVE;
	return 0;
}

static void node_event(struct ibc_registry *reg, const struct inotify_event *e)
{
	if (!e->len || strncmp(e->name, "uverbs", 6) != 0)
		return;
	if (e->mask & IN_ATTRIB) /* maybe it may be opened now */
		ibc__watch_node(reg, IBC_SOURCE_INOTIFY, e->name, false);
	else if (e->mask & (IN_CREATE | IN_MOVED_TO))
		ibc__watch_node(reg, IBC_SOURCE_INOTIFY, e->name, false);
	else if (e->mask & (IN_DELETE | IN_MOVED_FROM))
		ibc__watch_node(reg, IBC_SOURCE_INOTIFY, e->name, true);
}

static void one_event(struct ibc_registry *reg, struct ibc__source *source,
		      const struct inotify_event *e)
{
	if (e->mask & IN_Q_OVERFLOW) {
		ibc__hint(reg, IBC_SOURCE_INOTIFY, true);
	} else if (e->wd == source->watches[WATCH_CLASS]) {
		if (e->mask & IN_IGNORED)
			class_went(reg, source);
		else
			ibc__hint(reg, IBC_SOURCE_INOTIFY, true);
	} else if (e->wd == source->watches[WATCH_NODES]) {
		if (e->mask & IN_IGNORED)
			source->watches[WATCH_NODES] = -1;
		else
			node_event(reg, e);
	} else if (e->len && strcmp(e->name, "infiniband") == 0) {
		nodes_came(reg, source);
		ibc__hint(reg, IBC_SOURCE_INOTIFY, false);
	}
}

static void ready(struct ibc_registry *reg, struct ibc__source *source)
{
	char buf[4096]
		__attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *e;
	ssize_t len;
	char *p;

	for (;;) {
		len = read(source->fd, buf, sizeof(buf));
		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0)
			return;
		for (p = buf; p < buf + len; p += sizeof(*e) + e->len) {
			e = (const struct inotify_event *)p;
			one_event(reg, source, e);
		}
	}
}

const struct ibc__source_ops ibc__source_inotify = {
	.name = "inotify",
	.hotplug = true,
	.open = open_inotify,
	.ready = ready,
};
