// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Importing, within a process: another ibv_context of the same open device, made
 * from a duplicate of its cmd_fd, with PDs and MRs by their handles. It is one
 * context: to_context() leads from the import to what it was made from, which lives
 * until the last of them is closed.
 *
 * Another process cannot import: softverbs has its keys in a process's memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload.h"

bool soft_is_fifo(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISFIFO(st.st_mode);
}

static bool is_same_file(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static bool has_cmd_fd(struct soft_context *ctx, void *arg)
{
	return is_same_file(ctx->ibv.cmd_fd, *(const int *)arg);
}

struct ibv_context *soft_import_device(int cmd_fd)
{
	struct soft_context *origin = soft_find_open(has_cmd_fd, &cmd_fd);
	struct soft_context *ctx;
	int async;

	if (!origin)
		return soft_fail_null(EOPNOTSUPP);
	async = fcntl(origin->ibv.async_fd, F_DUPFD_CLOEXEC, 0);
	ctx = async < 0 ? NULL : soft_context_alloc(origin->dev, cmd_fd);
	if (!ctx) {
		if (async >= 0)
			close(async);
		soft_release_open(origin);
		return soft_fail_null(async < 0 ? errno : ENOMEM);
	}
	ctx->ibv.async_fd = async;
	ctx->origin = origin;
	atomic_fetch_add(&origin->dev->refs, 1);
	return &ctx->ibv;
}

void soft_close_import(struct soft_context *ctx)
{
	struct soft_context *origin = ctx->origin;
	struct soft_device *dev = ctx->dev;

	close(ctx->ibv.cmd_fd);
	close(ctx->ibv.async_fd);
	soft_context_free(ctx);
	soft_device_put(dev);
	soft_release_open(origin);
}

/* ---- PDs and MRs ---- */

/* lock held */
static struct soft_pd *find_pd(struct soft_context *ctx, uint32_t handle)
{
	struct soft_pd *pd;

	for (pd = ctx->pds; pd; pd = pd->next)
		if (pd->ibv.handle == handle)
			return pd;
	return NULL;
}

struct ibv_pd *soft_import_pd(struct ibv_context *context, uint32_t handle)
{
	struct soft_context *ctx = to_context(context);
	int error = soft_enter(context, "import_pd");
	struct soft_pd *pd, *from;

	if (error)
		return soft_fail_null(error);
	pd = calloc(1, sizeof(*pd));
	if (!pd)
		return NULL;
	pd->ibv.context = context;
	pd->ibv.handle = handle;
	soft_use_init(&pd->use, pd);
	pthread_mutex_lock(&ctx->lock);
	from = find_pd(ctx, handle);
	pthread_mutex_unlock(&ctx->lock);
	if (from)
		return &pd->ibv;
	free(pd);
	return soft_fail_null(ENOENT);
}

void soft_unimport_pd(struct ibv_pd *ibv)
{
	struct soft_context *ctx = to_context(ibv->context);

	soft_use_destroy(ctx, &((struct soft_pd *)ibv)->use);
}

/* its address is known to who has registered it */
struct ibv_mr *soft_import_mr(struct ibv_pd *pd, uint32_t handle)
{
	struct soft_context *ctx = to_context(pd->context);
	int error = soft_enter(pd->context, "import_mr");
	const struct soft_mr *from;
	struct soft_mr *mr;

	if (error)
		return soft_fail_null(error);
	mr = calloc(1, sizeof(*mr));
	if (!mr)
		return NULL;
	pthread_mutex_lock(&ctx->lock);
	from = soft_table_get(&ctx->mrs, handle);
	if (!from || from->is_window || from->ibv.pd->handle != pd->handle)
		error = ENOENT;
	else
		*mr = *from;
	pthread_mutex_unlock(&ctx->lock);
	if (error) {
		free(mr);
		return soft_fail_null(error);
	}
	mr->ibv.context = pd->context;
	mr->ibv.pd = pd;
	mr->ibv.addr = NULL;
	soft_use_get(ctx, &((struct soft_pd *)pd)->use);
	return &mr->ibv;
}

void soft_unimport_mr(struct ibv_mr *ibv)
{
	struct soft_context *ctx = to_context(ibv->context);

	soft_use_put(ctx, &((struct soft_pd *)ibv->pd)->use);
	free(ibv);
}
