// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Open contexts, seen from outside. See context.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "context.h"

/* for writing, if somebody has it open for reading */
static int open_fifo(int dir, const char *name)
{
	int fd = openat(dir, name,
			O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) || !S_ISFIFO(st.st_mode))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static uint32_t read_pid(int dir)
{
	struct sv_objects_header header;
	int fd = openat(dir, "objects", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	bool good;

	if (fd < 0)
		return 0;
	good = pread(fd, &header, sizeof(header), 0) == sizeof(header) &&
	       header.magic == SV_OBJECTS_MAGIC;
	close(fd);
	return good ? header.pid : 0;
}

bool sv_context_open(struct sv_context *ctx, int parent, const char *id)
{
	ctx->cmd = ctx->async = -1;
	ctx->dir = sv_open_dir(parent, id);
	if (ctx->dir < 0)
		return false;
	ctx->cmd = open_fifo(ctx->dir, "cmd");
	ctx->async = open_fifo(ctx->dir, "async");
	ctx->pid = read_pid(ctx->dir);
	if (ctx->cmd >= 0 || ctx->async >= 0)
		return true;
	sv_context_close(ctx);
	return false;
}

void sv_context_close(struct sv_context *ctx)
{
	if (ctx->cmd >= 0)
		close(ctx->cmd);
	if (ctx->async >= 0)
		close(ctx->async);
	if (ctx->dir >= 0)
		close(ctx->dir);
	ctx->cmd = ctx->async = ctx->dir = -1;
}

int sv_context_mark_fatal(struct sv_context *ctx)
{
	const uint32_t fatal = 1;
	int fd = openat(ctx->dir, "objects", O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return errno;
	n = pwrite(fd, &fatal, sizeof(fatal),
		   offsetof(struct sv_objects_header, fatal));
	close(fd);
	return n == sizeof(fatal) ? 0 : EIO;
}

/* the reader may go at any time: that must not kill the caller */
static int write_quietly(int fd, const void *buf, size_t len)
{
	const struct timespec now = {};
	sigset_t pipe_set, old, pending;
	bool was_pending;
	int error = 0;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
	if (write(fd, buf, len) < 0)
		error = errno;
	if (error == EPIPE && !was_pending)
		sigtimedwait(&pipe_set, NULL, &now);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return error;
}

int sv_context_send(struct sv_context *ctx, const struct sv_event *event)
{
	int error;

	if (ctx->async < 0)
		return 0;
	error = write_quietly(ctx->async, event, sizeof(*event));
	/* a kernel has more room than a new pipe */
	if (error == EAGAIN && fcntl(ctx->async, F_SETPIPE_SZ, 1 << 20) > 0)
		error = write_quietly(ctx->async, event, sizeof(*event));
	if (error == EAGAIN)
		return ENOBUFS;
	return error == EPIPE ? 0 : error;
}

int sv_context_objects(struct sv_context *ctx, enum sv_kind kind,
		       int (*fn)(const struct sv_object *object, void *arg),
		       void *arg)
{
	int fd = openat(ctx->dir, "objects", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	off_t at = sizeof(struct sv_objects_header);
	struct sv_object object;
	unsigned int i;
	int ret = 0;

	if (fd < 0)
		return 0;
	for (i = 0; !ret && i < SV_MAX_OBJECTS; i++, at += sizeof(object)) {
		if (pread(fd, &object, sizeof(object), at) != sizeof(object))
			break;
		if (object.kind == SV_NONE || object.kind >= SV_NUM_KINDS ||
		    (kind != SV_NONE && object.kind != kind))
			continue;
		ret = fn(&object, arg);
	}
	close(fd);
	return ret;
}

struct walk {
	int (*fn)(struct sv_context *ctx, void *arg);
	void *arg;
};

static int visit(int parent, const char *id, void *arg)
{
	struct walk *walk = arg;
	struct sv_context ctx;
	int ret;

	if (!sv_context_open(&ctx, parent, id)) {
		sv_remove_tree(parent, id, 1);
		return 0;
	}
	ret = walk->fn(&ctx, walk->arg);
	sv_context_close(&ctx);
	return ret;
}

int sv_for_each_context(int device_dir,
			int (*fn)(struct sv_context *ctx, void *arg), void *arg)
{
	struct walk walk = { fn, arg };

	return sv_for_each_entry(device_dir, "contexts", visit, &walk);
}

/* ---- waiting ---- */

struct fds {
	struct pollfd *fds;
	nfds_t num, max;
	int error;
};

static void add_fd(struct fds *fds, int fd)
{
	struct pollfd *more;

	if (fd < 0)
		return;
	if (fds->num == fds->max) {
		fds->max = fds->max ? 2 * fds->max : 16;
		more = realloc(fds->fds, fds->max * sizeof(*more));
		if (!more) {
			fds->error = ENOMEM;
			return;
		}
		fds->fds = more;
	}
	fds->fds[fds->num++] = (struct pollfd){ .fd = dup(fd) };
}

static int collect(int parent, const char *id, void *arg)
{
	struct sv_context ctx;

	if (!sv_context_open(&ctx, parent, id))
		return 0;
	add_fd(arg, ctx.cmd);
	add_fd(arg, ctx.async);
	sv_context_close(&ctx);
	return ((struct fds *)arg)->error;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static nfds_t forget_closed(struct fds *fds)
{
	nfds_t i, left = 0;

	for (i = 0; i < fds->num; i++) {
		if (fds->fds[i].fd < 0)
			continue;
		if (fds->fds[i].revents) {
			close(fds->fds[i].fd);
			fds->fds[i].fd = -1;
		} else {
			left++;
		}
	}
	return left;
}

static int wait_closed(struct fds *fds, int timeout_ms)
{
	int64_t end = now_ms() + timeout_ms, left;
	int n;

	while (forget_closed(fds)) {
		left = timeout_ms < 0 ? -1 : end - now_ms();
		if (timeout_ms >= 0 && left < 0)
			left = 0;
		n = poll(fds->fds, fds->num, (int)left);
		if (n < 0 && errno != EINTR)
			return errno;
		if (n == 0 && left == 0)
			return ETIMEDOUT;
	}
	return 0;
}

int sv_wait_unheld(int device_dir, int timeout_ms)
{
	struct fds fds = {};
	nfds_t i;
	int error;

	sv_for_each_entry(device_dir, "contexts", collect, &fds);
	error = fds.error ? fds.error : wait_closed(&fds, timeout_ms);
	for (i = 0; i < fds.num; i++)
		if (fds.fds[i].fd >= 0)
			close(fds.fds[i].fd);
	free(fds.fds);
	return error;
}
