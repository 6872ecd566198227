// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Devices of a fabric: finding, adding, removing, renaming. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <infiniband/verbs.h>

#include "control.h"

static bool is_node(const char *name)
{
	size_t len = strlen(name);

	return strncmp(name, "uverbs", 6) == 0 && len > 6 &&
	       len < SV_NODE_MAX && strspn(name + 6, "0123456789") == len - 6;
}

struct find {
	const char *name;
	struct sv_device *dev;
	int (*fn)(struct sv_device *dev, void *arg);
	void *arg;
};

static int load(int parent, const char *entry, struct sv_device *dev)
{
	int error;

	if (!is_node(entry))
		return EINVAL;
	dev->dir = sv_open_dir(parent, entry);
	if (dev->dir < 0)
		return errno;
	error = sv_state_load(dev->dir, &dev->state);
	if (error)
		close(dev->dir);
	snprintf(dev->node, sizeof(dev->node), "%s", entry);
	return error;
}

static void unload(struct sv_device *dev)
{
	sv_state_free(&dev->state);
	close(dev->dir);
}

static int match(int parent, const char *entry, void *arg)
{
	struct find *find = arg;

	if (load(parent, entry, find->dev))
		return 0;
	if (strcmp(find->dev->state.name, find->name) == 0)
		return 1;
	unload(find->dev);
	return 0;
}

int sv_device_find(struct softverbs *sv, const char *name,
		   struct sv_device *dev)
{
	struct find find = { .name = name, .dev = dev };
	int error;

	if (!sv || !name)
		return EINVAL;
	dev->sv = sv;
	error = sv_lock(sv);
	if (error)
		return error;
	if (sv_for_each_entry(sv->dir, SV_LISTED, match, &find))
		return 0;
	sv_unlock(sv);
	return ENODEV;
}

void sv_device_done(struct sv_device *dev)
{
	unload(dev);
	sv_unlock(dev->sv);
}

static int each(int parent, const char *entry, void *arg)
{
	struct find *find = arg;
	int ret;

	if (load(parent, entry, find->dev))
		return 0;
	ret = find->fn(find->dev, find->arg);
	unload(find->dev);
	return ret;
}

int sv_device_each_locked(struct softverbs *sv,
			  int (*fn)(struct sv_device *dev, void *arg),
			  void *arg)
{
	struct sv_device dev = { .sv = sv };
	struct find find = { .dev = &dev, .fn = fn, .arg = arg };

	return sv_for_each_entry(sv->dir, SV_LISTED, each, &find);
}

int sv_device_each(struct softverbs *sv,
		   int (*fn)(struct sv_device *dev, void *arg), void *arg)
{
	int ret = sv_lock_shared(sv);

	if (ret)
		return ret;
	ret = sv_device_each_locked(sv, fn, arg);
	sv_unlock(sv);
	return ret;
}

void sv_device_touch(struct sv_device *dev)
{
	futimens(dev->dir, NULL);
}

struct tell {
	struct sv_event event;
	int error;
};

static int tell_one(struct sv_context *ctx, void *arg)
{
	struct tell *tell = arg;
	int error = sv_context_send(ctx, &tell->event);

	tell->error = error ? error : tell->error;
	return 0;
}

int sv_device_tell(struct sv_device *dev, uint32_t type, uint64_t element)
{
	struct tell tell = { { element, type, 0 }, 0 };

	sv_for_each_context(dev->dir, tell_one, &tell);
	return tell.error;
}

/* ---- adding ---- */

/*
 * In place, in one write that a kill cannot tear; killed before the first one,
 * the file is empty. A file replaced by another would leave a deleted inode for
 * each device, and ext4 looks at all of them whenever it makes a file.
 */
static int store_next(int fd, uint32_t index)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%-10u\n", index);
	ssize_t n = pwrite(fd, text, len, 0);

	if (n < 0)
		return errno;
	return n == len ? 0 : ENOSPC;
}

static int next_index(struct softverbs *sv, uint32_t *index)
{
	char text[32] = "";
	int fd, error = sv_read_file(sv->dir, "next", text, sizeof(text));

	if (error && error != ENOENT)
		return error;
	*index = 0;
	if (text[0] && sscanf(text, "%u", index) != 1)
		return EINVAL;
	fd = sv_open_file(sv->dir, "next", O_WRONLY | O_CREAT);
	if (fd < 0)
		return errno;
	error = store_next(fd, *index + 1);
	close(fd);
	return error;
}

#define MANY_NODES 65536

static int mark_node(int parent, const char *entry, void *arg)
{
	unsigned long minor;
	uint8_t *used = arg;

	(void)parent;
	if (!is_node(entry))
		return 0;
	minor = strtoul(entry + 6, NULL, 10);
	if (minor < MANY_NODES)
		used[minor / 8] |= 1U << minor % 8;
	return 0;
}

/*
 * As the kernel: the lowest that is free, reused at once. The directory is read
 * once, since asking for one name after the other makes adding many slow.
 */
static void free_node(int listed, char *node, size_t size)
{
	uint8_t used[MANY_NODES / 8] = {};
	unsigned int minor = 0;
	struct stat st;

	sv_for_each_entry(listed, ".", mark_node, used);
	while (minor < MANY_NODES && used[minor / 8] & 1U << minor % 8)
		minor++;
	do {
		snprintf(node, size, "uverbs%u", minor++);
	} while (!fstatat(listed, node, &st, AT_SYMLINK_NOFOLLOW));
}

#define GUID_PORT_BYTE 3 /* of 8 */

/*
 * The link-local address that the GUID makes, and the default P_Key. Further
 * ports differ in a byte of the GUID that is the same in all of make_guid()'s,
 * so that they cannot have the GID of another device.
 */
static void init_ports(struct sv_state *state)
{
	struct sv_port *p;
	uint32_t i;

	for (i = 0; i < state->num_ports; i++) {
		p = &state->ports[i];
		p->up = true;
		p->pkey[0] = 0xffff;
		p->gid[0][0] = 0xfe;
		p->gid[0][1] = 0x80;
		memcpy(&p->gid[0][8], &state->guid, 8);
		p->gid[0][8 + GUID_PORT_BYTE] ^= i;
	}
}

static int write_device(int dir, const struct sv_state *state)
{
	char text[SV_NAME_MAX + 2];
	int error;

	if (mkdirat(dir, "contexts", 0700))
		return errno;
	snprintf(text, sizeof(text), "%s\n", state->name);
	error = sv_write_file(dir, "ibdev", text, strlen(text));
	return error ? error : sv_state_store(dir, state);
}

/* aside, before its name is taken */
static int make_new(int new, const char *entry, const struct sv_state *state)
{
	int dir, error;

	if (mkdirat(new, entry, 0700))
		return errno;
	dir = sv_open_dir(new, entry);
	if (dir < 0)
		return errno;
	error = write_device(dir, state);
	close(dir);
	return error;
}

/* by one rename */
static int list_new(struct softverbs *sv, int new, const char *entry)
{
	int listed = sv_open_dir(sv->dir, SV_LISTED), error;
	char node[SV_NODE_MAX];

	if (listed < 0)
		return errno;
	free_node(listed, node, sizeof(node));
	error = renameat(new, entry, listed, node) ? errno : 0;
	close(listed);
	return error;
}

static int list_device(struct softverbs *sv, const struct sv_state *state)
{
	int new = sv_open_dir(sv->dir, "new"), error;
	char entry[16];

	if (new < 0)
		return errno;
	snprintf(entry, sizeof(entry), "%u", state->index);
	error = make_new(new, entry, state);
	if (!error)
		error = sv_take_name(sv, state->name, state->guid);
	if (!error) {
		error = list_new(sv, new, entry);
		if (error)
			sv_free_name(sv, state->name);
	}
	if (error)
		sv_remove_tree(new, entry, 3);
	close(new);
	return error;
}

/* locally administered; the inode tells most fabrics apart, but not all */
static __be64 make_guid(struct softverbs *sv, uint32_t index)
{
	struct stat st;
	uint8_t g[8] = { 0x02, 0x53, 0x56, 0xff, 0xfe };
	__be64 guid;

	if (!fstat(sv->dir, &st))
		g[5] = st.st_ino;
	g[2] ^= index >> 24;
	g[5] ^= index >> 16;
	g[6] = index >> 8;
	g[7] = index;
	memcpy(&guid, g, sizeof(guid));
	return guid;
}

static int add_locked(struct softverbs *sv, struct sv_state *state)
{
	int error;

	sv_sweep(sv);
	error = next_index(sv, &state->index);
	if (error)
		return error;
	if (!state->guid)
		state->guid = make_guid(sv, state->index);
	init_ports(state);
	return list_device(sv, state);
}

int sv_add_device_link(struct softverbs *sv, const char *name, __be64 guid,
		       uint32_t ports, uint32_t removal, bool ib)
{
	struct sv_state state;
	int error;

	if (!sv || !name || !sv_name_is_good(name) ||
	    removal > SOFTVERBS_REMOVAL_FATAL)
		return EINVAL;
	error = sv_state_init(&state, ports ? ports : 1);
	if (error)
		return error;
	snprintf(state.name, sizeof(state.name), "%s", name);
	state.guid = guid;
	state.removal = removal;
	state.ib = ib;
	error = sv_lock(sv);
	if (!error) {
		error = add_locked(sv, &state);
		sv_unlock(sv);
	}
	sv_state_free(&state);
	return error;
}

int softverbs_add_device(struct softverbs *sv, const char *name, __be64 guid,
			 uint32_t ports, uint32_t removal)
{
	return sv_add_device_link(sv, name, guid, ports, removal, false);
}

/* ---- removing ---- */

/* the list shrinks */
static int move_to_removed(struct sv_device *dev)
{
	int listed = sv_open_dir(dev->sv->dir, SV_LISTED), removed, error = 0;
	char entry[16];

	if (listed < 0)
		return errno;
	removed = sv_open_dir(dev->sv->dir, "removed");
	snprintf(entry, sizeof(entry), "%u", dev->state.index);
	if (removed < 0 || renameat(listed, dev->node, removed, entry))
		error = errno;
	if (removed >= 0)
		close(removed);
	close(listed);
	return error;
}

/* lock held; those who have it open are told after it has gone */
static int unlist(struct sv_device *dev)
{
	bool fatal = dev->state.removal == SOFTVERBS_REMOVAL_FATAL;
	int error = fatal ? sv_begin_names(dev->sv) : 0;

	if (!error)
		error = move_to_removed(dev);
	if (error || !fatal)
		return error;
	sv_free_name(dev->sv, dev->state.name);
	sv_end_names(dev->sv);
	sv_for_each_context(dev->dir, sv_make_fatal, NULL);
	return 0;
}

int softverbs_remove_device(struct softverbs *sv, const char *name,
			    int timeout_ms)
{
	struct sv_device dev;
	int error, dir;
	bool waits;

	if (timeout_ms < -1)
		return EINVAL;
	error = sv_device_find(sv, name, &dev);
	if (error)
		return error;
	waits = dev.state.removal == SOFTVERBS_REMOVAL_WAIT;
	dir = waits ? fcntl(dev.dir, F_DUPFD_CLOEXEC, 0) : -1;
	error = waits && dir < 0 ? errno : unlist(&dev);
	sv_device_done(&dev);
	if (!error && waits)
		error = sv_wait_unheld(dir, timeout_ms);
	if (dir >= 0)
		close(dir);
	if (!sv_lock(sv)) {
		sv_sweep(sv);
		sv_unlock(sv);
	}
	return error;
}

/* ---- renaming ---- */

static int store_name(struct sv_device *dev)
{
	char text[SV_NAME_MAX + 2];
	int error = sv_state_store(dev->dir, &dev->state);

	if (error)
		return error;
	snprintf(text, sizeof(text), "%s\n", dev->state.name);
	return sv_write_file(dev->dir, "ibdev", text, strlen(text));
}

/* the new name is taken before the old one is free: killed, it has one */
static int change_name(struct sv_device *dev, const char *new_name)
{
	int error = sv_take_name(dev->sv, new_name, dev->state.guid);
	char old_name[SV_NAME_MAX];

	if (error)
		return error;
	memcpy(old_name, dev->state.name, sizeof(old_name));
	snprintf(dev->state.name, sizeof(dev->state.name), "%s", new_name);
	error = store_name(dev);
	sv_free_name(dev->sv, error ? new_name : old_name);
	sv_device_touch(dev);
	return error;
}

static int rename_locked(struct sv_device *dev, const char *new_name)
{
	int error;

	sv_sweep(dev->sv);
	error = sv_begin_names(dev->sv);
	if (error)
		return error;
	error = change_name(dev, new_name);
	sv_end_names(dev->sv);
	return error;
}

int softverbs_rename_device(struct softverbs *sv, const char *old_name,
			    const char *new_name)
{
	struct sv_device dev;
	int error;

	if (!new_name || !sv_name_is_good(new_name))
		return EINVAL;
	error = sv_device_find(sv, old_name, &dev);
	if (error)
		return error;
	error = rename_locked(&dev, new_name);
	sv_device_done(&dev);
	return error;
}
