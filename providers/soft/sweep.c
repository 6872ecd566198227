// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The names that are taken, and what is left to do where a device was removed,
 * or where somebody was killed.
 *
 * A device and its name cannot be changed by one system call. So who changes
 * both leaves something in new/ meanwhile; who finds something there looks
 * through all the names. Everybody sweeps before he takes a name, so a removed
 * device that is still to be swept never has the name of another.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"

#define MARK "names"

/* ---- the mark ---- */

int sv_begin_names(struct softverbs *sv)
{
	int dir = sv_open_dir(sv->dir, "new"), fd, error = 0;

	if (dir < 0)
		return errno;
	fd = sv_open_file(dir, MARK, O_CREAT | O_WRONLY);
	if (fd < 0)
		error = errno;
	else
		close(fd);
	close(dir);
	return error;
}

void sv_end_names(struct softverbs *sv)
{
	int dir = sv_open_dir(sv->dir, "new");

	if (dir < 0)
		return;
	unlinkat(dir, MARK, 0);
	close(dir);
}

/* ---- taking and freeing ---- */

void sv_free_name(struct softverbs *sv, const char *name)
{
	int names = sv_open_dir(sv->dir, SV_NAMES);

	if (names < 0)
		return;
	sv_remove_tree(names, name, 1);
	close(names);
}

static int fill_name(int names, const char *name, __be64 guid)
{
	int dir = sv_open_dir(names, name), error;
	char text[32];

	if (dir < 0)
		return errno;
	sv_format_guid(guid, text, sizeof(text));
	error = sv_write_file(dir, "node_guid", text, strlen(text));
	close(dir);
	return error;
}

int sv_take_name(struct softverbs *sv, const char *name, __be64 guid)
{
	int names = sv_open_dir(sv->dir, SV_NAMES), error = 0;

	if (names < 0)
		return errno;
	if (mkdirat(names, name, 0700))
		error = errno;
	else
		error = fill_name(names, name, guid);
	close(names);
	return error;
}

/* ---- after somebody was killed ---- */

struct names {
	char (*list)[SV_NAME_MAX];
	size_t num, max;
	int error;
};

static int add_name(struct names *names, const char *name)
{
	void *more;

	if (names->num == names->max) {
		names->max = names->max ? 2 * names->max : 64;
		more = realloc(names->list,
			       names->max * sizeof(names->list[0]));
		if (!more) {
			names->error = ENOMEM;
			return 1;
		}
		names->list = more;
	}
	snprintf(names->list[names->num++], SV_NAME_MAX, "%s", name);
	return 0;
}

/* a rename was under way: the state counts */
static int repair_listed(struct sv_device *dev, void *arg)
{
	char text[SV_NAME_MAX + 2], old[SV_NAME_MAX + 2];

	snprintf(text, sizeof(text), "%s\n", dev->state.name);
	if (sv_read_file(dev->dir, "ibdev", old, sizeof(old)) ||
	    strcmp(old, text)) {
		sv_write_file(dev->dir, "ibdev", text, strlen(text));
		sv_device_touch(dev);
	}
	return add_name(arg, dev->state.name);
}

static int add_removed(int parent, const char *entry, void *arg)
{
	struct sv_state state;
	int dir = sv_open_dir(parent, entry), ret = 0;

	if (dir < 0)
		return 0;
	if (!sv_state_load(dir, &state)) {
		if (state.removal == SOFTVERBS_REMOVAL_WAIT)
			ret = add_name(arg, state.name);
		sv_state_free(&state);
	}
	close(dir);
	return ret;
}

static int free_unused(int parent, const char *entry, void *arg)
{
	struct names *names = arg;
	size_t i;

	for (i = 0; i < names->num; i++)
		if (strcmp(names->list[i], entry) == 0)
			return 0;
	sv_remove_tree(parent, entry, 1);
	return 0;
}

static int repair_names(struct softverbs *sv)
{
	struct names names = {};

	sv_device_each_locked(sv, repair_listed, &names);
	if (!names.error)
		sv_for_each_entry(sv->dir, "removed", add_removed, &names);
	if (!names.error)
		sv_for_each_entry(sv->dir, SV_NAMES, free_unused, &names);
	free(names.list);
	return names.error;
}

/* ---- sweeping ---- */

int sv_make_fatal(struct sv_context *ctx, void *arg)
{
	(void)arg;
	if (ctx->told == SV_NOT_TOLD)
		sv_context_end(ctx);
	return 0;
}

static int count(struct sv_context *ctx, void *arg)
{
	(void)ctx;
	++*(unsigned int *)arg;
	return 0;
}

/* who removed it may have been killed before everybody was told */
static int count_told(struct sv_context *ctx, void *arg)
{
	sv_make_fatal(ctx, NULL);
	return count(ctx, arg);
}

static int sweep_removed(int parent, const char *entry, void *arg)
{
	struct softverbs *sv = arg;
	struct sv_state state = {};
	int dir = sv_open_dir(parent, entry);
	unsigned int held = 0;
	bool known, waits;

	if (dir < 0)
		return 0;
	known = !sv_state_load(dir, &state);
	waits = known && state.removal == SOFTVERBS_REMOVAL_WAIT;
	sv_for_each_context(dir, known && !waits ? count_told : count, &held);
	close(dir);
	if (!held) {
		/* with removal "fatal" it was free at once, maybe reused */
		if (waits)
			sv_free_name(sv, state.name);
		sv_remove_tree(parent, entry, 3);
	}
	if (known)
		sv_state_free(&state);
	return 0;
}

static int any(int parent, const char *entry, void *arg)
{
	(void)parent;
	(void)entry;
	(void)arg;
	return 1;
}

static int sweep_new(int parent, const char *entry, void *arg)
{
	(void)arg;
	sv_remove_tree(parent, entry, 3);
	return 0;
}

void sv_sweep(struct softverbs *sv)
{
	sv_for_each_entry(sv->dir, "removed", sweep_removed, sv);
	if (sv_for_each_entry(sv->dir, "new", any, NULL) && !repair_names(sv))
		sv_for_each_entry(sv->dir, "new", sweep_new, NULL);
}
