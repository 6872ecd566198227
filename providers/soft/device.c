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

#define LISTED "class/infiniband_verbs"
#define NAMES  "class/infiniband"

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
	if (sv_for_each_entry(sv->dir, LISTED, match, &find))
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

static int each_locked(struct softverbs *sv,
		       int (*fn)(struct sv_device *dev, void *arg), void *arg)
{
	struct sv_device dev = { .sv = sv };
	struct find find = { .dev = &dev, .fn = fn, .arg = arg };

	return sv_for_each_entry(sv->dir, LISTED, each, &find);
}

int sv_device_each(struct softverbs *sv,
		   int (*fn)(struct sv_device *dev, void *arg), void *arg)
{
	int ret = sv_lock(sv);

	if (ret)
		return ret;
	ret = each_locked(sv, fn, arg);
	sv_unlock(sv);
	return ret;
}

void sv_device_touch(struct sv_device *dev)
{
	char path[64 + SV_NODE_MAX];

	snprintf(path, sizeof(path), LISTED "/%s", dev->node);
	utimensat(dev->sv->dir, path, NULL, AT_SYMLINK_NOFOLLOW);
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

/* ---- sweeping ---- */

static void free_name(struct softverbs *sv, const char *name)
{
	char path[64 + SV_NAME_MAX];

	snprintf(path, sizeof(path), NAMES "/%s", name);
	sv_remove_tree(sv->dir, path, 1);
}

static int held(struct sv_context *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	return 1;
}

static int sweep_one(int parent, const char *entry, void *arg)
{
	struct softverbs *sv = arg;
	struct sv_state state;
	int dir = sv_open_dir(parent, entry);
	bool is_held;

	if (dir < 0)
		return 0;
	is_held = sv_for_each_context(dir, held, NULL);
	/* with removal "fatal" the name was free at once, maybe reused */
	if (!is_held && !sv_state_load(dir, &state)) {
		if (state.removal == SOFTVERBS_REMOVAL_WAIT)
			free_name(sv, state.name);
		sv_state_free(&state);
	}
	close(dir);
	if (!is_held)
		sv_remove_tree(parent, entry, 3);
	return 0;
}

static int sweep_new(int parent, const char *entry, void *arg)
{
	(void)arg;
	sv_remove_tree(parent, entry, 3);
	return 0;
}

void sv_sweep(struct softverbs *sv)
{
	sv_for_each_entry(sv->dir, "removed", sweep_one, sv);
	sv_for_each_entry(sv->dir, "new", sweep_new, NULL);
}

/* ---- adding ---- */

static int next_index(struct softverbs *sv, uint32_t *index)
{
	char text[32] = "0";
	int error = sv_read_file(sv->dir, "next", text, sizeof(text));

	if (error && error != ENOENT)
		return error;
	if (sscanf(text, "%u", index) != 1)
		return EINVAL;
	snprintf(text, sizeof(text), "%u\n", *index + 1);
	return sv_write_file(sv->dir, "next", text, strlen(text));
}

static int has_name(struct sv_device *dev, void *arg)
{
	return strcmp(dev->state.name, arg) == 0;
}

static int removed_has_name(int parent, const char *entry, void *arg)
{
	struct sv_state state;
	int dir = sv_open_dir(parent, entry);
	int yes = 0;

	if (dir < 0)
		return 0;
	if (!sv_state_load(dir, &state)) {
		yes = state.removal == SOFTVERBS_REMOVAL_WAIT &&
		      strcmp(state.name, arg) == 0;
		sv_state_free(&state);
	}
	close(dir);
	return yes;
}

/* lock held. A name without a device: who made it was killed on the way. */
static bool name_is_used(struct softverbs *sv, const char *name)
{
	return each_locked(sv, has_name, (void *)name) ||
	       sv_for_each_entry(sv->dir, "removed", removed_has_name,
				 (void *)name);
}

static int make_name(struct softverbs *sv, const char *name, __be64 guid)
{
	char path[64 + SV_NAME_MAX], text[32];
	int dir, error;

	snprintf(path, sizeof(path), NAMES "/%s", name);
	if (mkdirat(sv->dir, path, 0700))
		return errno;
	dir = sv_open_dir(sv->dir, path);
	if (dir < 0)
		return errno;
	sv_format_guid(guid, text, sizeof(text));
	error = sv_write_file(dir, "node_guid", text, strlen(text));
	close(dir);
	return error;
}

/* lock held; EEXIST */
static int take_name(struct softverbs *sv, const char *name, __be64 guid)
{
	int error = make_name(sv, name, guid);

	if (error == EEXIST && !name_is_used(sv, name)) {
		free_name(sv, name);
		error = make_name(sv, name, guid);
	}
	return error;
}

/* as the kernel: the lowest that is free, reused at once */
static void free_node(struct softverbs *sv, char *path, size_t size)
{
	unsigned int minor = 0;
	struct stat st;

	do {
		snprintf(path, size, LISTED "/uverbs%u", minor++);
	} while (!fstatat(sv->dir, path, &st, AT_SYMLINK_NOFOLLOW));
}

/* the link-local address that the GUID makes, and the default P_Key */
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
		p->gid[0][15] += i;
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

/* made aside, then listed by one rename */
static int list_device(struct softverbs *sv, const struct sv_state *state)
{
	char from[64], to[64];
	int dir, error;

	snprintf(from, sizeof(from), "new/%u", state->index);
	if (mkdirat(sv->dir, from, 0700))
		return errno;
	dir = sv_open_dir(sv->dir, from);
	if (dir < 0)
		return errno;
	error = write_device(dir, state);
	close(dir);
	if (error)
		return error;
	free_node(sv, to, sizeof(to));
	return renameat(sv->dir, from, sv->dir, to) ? errno : 0;
}

/* locally administered, and different in each fabric */
static __be64 make_guid(struct softverbs *sv, uint32_t index)
{
	struct stat st;
	uint8_t g[8] = { 0x02, 0x53, 0x56, 0xff, 0xfe };
	__be64 guid;

	if (!fstat(sv->dir, &st))
		g[5] = st.st_ino;
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
	error = take_name(sv, state->name, state->guid);
	if (error)
		return error;
	error = list_device(sv, state);
	if (error)
		free_name(sv, state->name);
	return error;
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

static int make_fatal(struct sv_context *ctx, void *arg)
{
	const struct sv_event event = { .type = IBV_EVENT_DEVICE_FATAL };

	(void)arg;
	sv_context_mark_fatal(ctx);
	sv_context_send(ctx, &event);
	return 0;
}

/* lock held: the list shrinks, then those who have it open are told */
static int unlist(struct sv_device *dev)
{
	char from[64 + SV_NODE_MAX], to[64];

	snprintf(from, sizeof(from), LISTED "/%s", dev->node);
	snprintf(to, sizeof(to), "removed/%u", dev->state.index);
	if (renameat(dev->sv->dir, from, dev->sv->dir, to))
		return errno;
	if (dev->state.removal == SOFTVERBS_REMOVAL_FATAL) {
		free_name(dev->sv, dev->state.name);
		sv_for_each_context(dev->dir, make_fatal, NULL);
	}
	return 0;
}

int softverbs_remove_device(struct softverbs *sv, const char *name,
			    int timeout_ms)
{
	struct sv_device dev;
	int error, dir;

	if (timeout_ms < -1)
		return EINVAL;
	error = sv_device_find(sv, name, &dev);
	if (error)
		return error;
	error = unlist(&dev);
	dir = dev.state.removal == SOFTVERBS_REMOVAL_WAIT ? dup(dev.dir) : -1;
	sv_device_done(&dev);
	if (!error && dir >= 0)
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

/* the new name is taken before the old one is free: killed, it has one */
static int rename_locked(struct sv_device *dev, const char *new_name)
{
	char text[SV_NAME_MAX + 2], old_name[SV_NAME_MAX];
	int error = take_name(dev->sv, new_name, dev->state.guid);

	if (error)
		return error;
	memcpy(old_name, dev->state.name, sizeof(old_name));
	snprintf(dev->state.name, sizeof(dev->state.name), "%s", new_name);
	snprintf(text, sizeof(text), "%s\n", new_name);
	error = sv_state_store(dev->dir, &dev->state);
	if (!error)
		error = sv_write_file(dev->dir, "ibdev", text, strlen(text));
	free_name(dev->sv, error ? new_name : old_name);
	sv_device_touch(dev);
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
