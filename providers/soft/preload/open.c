// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Opening and closing a device: what others see of it is in ../context.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload.h"

struct opening {
	int dir, contexts; /* the device's, and the one in it */
	int context;	   /* contexts/ID */
	int cmd, async, objects;
	const struct sv_objects_header *marks;
	char id[32];
};

static void abandon(struct opening *o)
{
	const int fds[] = { o->cmd, o->async, o->objects, o->context, o->dir };
	unsigned int i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	soft_unmap_marks(o->marks);
	if (o->id[0])
		sv_remove_tree(o->contexts, o->id, 1);
	if (o->contexts >= 0)
		close(o->contexts);
}

/* by its node, as the kernel does by its minor: whatever device that is now */
static int open_node(struct softverbs *sv, const char *node)
{
	int listed = sv_open_dir(sv->dir, SV_LISTED), fd;

	if (listed < 0)
		return -1;
	fd = openat(listed, node,
		    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	close(listed);
	return fd;
}

/* no lock is held while a slow open takes its time */
static int take_fault(struct softverbs *sv, const char *node)
{
	int dir = open_node(sv, node), error;

	if (dir < 0)
		return ENODEV;
	error = soft_open_fault(dir);
	close(dir);
	return error;
}

/* a pid comes again, in another pid namespace even at the same time */
static int make_dir(struct opening *o)
{
	unsigned int n = 0;

	do {
		snprintf(o->id, sizeof(o->id), "%d-%u", (int)getpid(), n++);
		if (!mkdirat(o->contexts, o->id, 0700)) {
			o->context = sv_open_dir(o->contexts, o->id);
			return o->context < 0 ? errno : 0;
		}
	} while (errno == EEXIST && n < 1U << 20);
	o->id[0] = '\0';
	return errno;
}

static int make_fifo(struct opening *o, const char *name, int *fd)
{
	if (mkfifoat(o->context, name, 0600))
		return errno;
	*fd = openat(o->context, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	return *fd < 0 ? errno : 0;
}

static int make_objects(struct opening *o)
{
	const struct sv_objects_header header = {
		.magic = SV_OBJECTS_MAGIC,
		.pid = getpid(),
		.faults = 1, /* the first verb will see */
	};

	o->objects = openat(o->context, "objects",
			    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    0600);
	if (o->objects < 0)
		return errno;
	if (pwrite(o->objects, &header, sizeof(header), 0) != sizeof(header))
		return ENOSPC;
	o->marks = soft_map_marks(o->objects);
	return o->marks ? 0 : errno;
}

/* lock held */
static int make_files(struct softverbs *sv, const char *node, struct opening *o)
{
	int error;

	o->dir = open_node(sv, node);
	if (o->dir < 0)
		return ENODEV;
	o->contexts = sv_open_dir(o->dir, "contexts");
	if (o->contexts < 0)
		return errno;
	error = make_dir(o);
	if (!error)
		error = make_objects(o);
	if (!error)
		error = make_fifo(o, "cmd", &o->cmd);
	if (!error)
		error = make_fifo(o, "async", &o->async);
	/* it carries nothing, and what pipes may take is limited */
	if (!error)
		fcntl(o->cmd, F_SETPIPE_SZ, 4096);
	return error;
}

/* ---- the contexts that are open ---- */

/* not with the lock on the fabric: a fork waits for who waits for that */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static struct soft_context *open_contexts;

static void add_open(struct soft_context *ctx)
{
	pthread_mutex_lock(&open_lock);
	ctx->holders = 1;
	ctx->next_open = open_contexts;
	ctx->at_open = &open_contexts;
	if (open_contexts)
		open_contexts->at_open = &ctx->next_open;
	open_contexts = ctx;
	pthread_mutex_unlock(&open_lock);
}

/* false: it is imported still */
static bool remove_open(struct soft_context *ctx)
{
	bool last;

	pthread_mutex_lock(&open_lock);
	last = !--ctx->holders;
	if (last) {
		*ctx->at_open = ctx->next_open;
		if (ctx->next_open)
			ctx->next_open->at_open = ctx->at_open;
	}
	pthread_mutex_unlock(&open_lock);
	return last;
}

struct soft_context *
soft_find_open(bool (*is_it)(struct soft_context *ctx, void *arg), void *arg)
{
	struct soft_context *ctx;

	pthread_mutex_lock(&open_lock);
	for (ctx = open_contexts; ctx; ctx = ctx->next_open)
		if (is_it(ctx, arg))
			break;
	if (ctx)
		ctx->holders++;
	pthread_mutex_unlock(&open_lock);
	return ctx;
}

static void before_fork(void)
{
	struct soft_context *ctx;

	pthread_mutex_lock(&open_lock);
	for (ctx = open_contexts; ctx; ctx = ctx->next_open)
		pthread_mutex_lock(&ctx->lock);
	soft_shm_before_fork();
}

static void after_fork(bool is_child)
{
	struct soft_context *ctx;

	soft_shm_after_fork(is_child);
	for (ctx = open_contexts; ctx; ctx = ctx->next_open)
		pthread_mutex_unlock(&ctx->lock);
	pthread_mutex_unlock(&open_lock);
}

static void after_fork_in_parent(void)
{
	after_fork(false);
}

static void after_fork_in_child(void)
{
	after_fork(true);
}

__attribute__((constructor)) static void init_open(void)
{
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* ---- opening ---- */

static struct soft_context *make_context(struct soft_device *dev,
					 struct opening *o)
{
	struct soft_context *ctx = soft_context_alloc(dev, o->cmd);

	o->cmd = -1; /* it has it, or has closed it */
	if (!ctx)
		return NULL;
	atomic_fetch_add(&dev->refs, 1);
	ctx->ibv.async_fd = o->async;
	ctx->dir = o->dir;
	ctx->objects = o->objects;
	ctx->marks = o->marks;
	memcpy(ctx->id, o->id, sizeof(ctx->id));
	close(o->context);
	close(o->contexts);
	return ctx;
}

static int open_locked(struct softverbs *sv, struct soft_device *dev,
		       struct soft_context **ctx)
{
	struct opening o = { -1, -1, -1, -1, -1, -1, NULL, "" };
	int error = make_files(sv, dev->ibv.dev_name, &o);

	if (!error) {
		*ctx = make_context(dev, &o);
		error = *ctx ? 0 : ENOMEM;
	}
	if (error)
		abandon(&o);
	return error;
}

struct ibv_context *soft_open_device(struct ibv_device *device)
{
	struct soft_device *dev = (struct soft_device *)device;
	struct softverbs *sv = sv_open_existing(dev->fabric);
	struct soft_context *ctx = NULL;
	int error, saved = errno;

	if (!sv)
		return soft_fail_null(ENODEV);
	error = take_fault(sv, device->dev_name);
	if (!error)
		error = sv_lock_shared(sv);
	if (!error) {
		error = open_locked(sv, dev, &ctx);
		sv_unlock(sv);
	}
	softverbs_close(sv);
	if (!error)
		add_open(ctx);
	errno = error ? error : saved;
	return error ? NULL : &ctx->ibv;
}

/* ---- closing ---- */

static bool is_listed(struct softverbs *sv, struct soft_context *ctx)
{
	int fd = open_node(sv, ctx->dev->ibv.dev_name);
	struct stat listed, ours;
	bool same;

	if (fd < 0)
		return false;
	same = !fstat(fd, &listed) && !fstat(ctx->dir, &ours) &&
	       listed.st_ino == ours.st_ino && listed.st_dev == ours.st_dev;
	close(fd);
	return same;
}

/* lock held; a forked child may have it still */
static void remove_files(struct softverbs *sv, struct soft_context *ctx)
{
	int contexts = sv_open_dir(ctx->dir, "contexts");
	struct sv_context other;

	if (contexts < 0)
		return;
	if (sv_context_open(&other, contexts, ctx->id))
		sv_context_close(&other);
	else
		sv_remove_tree(contexts, ctx->id, 1);
	close(contexts);
	if (!is_listed(sv, ctx))
		sv_sweep(sv);
}

static void close_context(struct soft_context *ctx)
{
	struct soft_device *dev = ctx->dev;
	struct softverbs *sv;
	bool locked;

	soft_retry_stop(ctx);
	soft_shm_disown(ctx);
	sv = sv_open_existing(dev->fabric);
	locked = sv && !sv_lock(sv);
	close(ctx->ibv.cmd_fd);
	close(ctx->ibv.async_fd);
	close(ctx->objects);
	if (locked) {
		remove_files(sv, ctx);
		sv_unlock(sv);
	}
	softverbs_close(sv);
	close(ctx->dir);
	soft_context_free(ctx);
	soft_device_put(dev);
}

void soft_release_open(struct soft_context *ctx)
{
	if (remove_open(ctx))
		close_context(ctx);
}

int soft_close_device(struct ibv_context *context)
{
	struct soft_context *ctx = (struct soft_context *)context;
	int error = soft_enter_destroy(context, "close"), saved = errno;

	if (error) {
		errno = error;
		return -1;
	}
	if (ctx->origin)
		soft_close_import(ctx);
	else
		soft_release_open(ctx);
	errno = saved;
	return 0;
}
