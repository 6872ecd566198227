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

#include <infiniband/verbs.h>

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
		errno = ENXIO;
	}
	return fd;
}

/* who cannot open anything does not know */
static bool may_be_held(int fd)
{
	return fd >= 0 || errno == EMFILE || errno == ENFILE || errno == ENOMEM;
}

static void read_header(struct sv_context *ctx)
{
	struct sv_objects_header header;
	int fd = sv_open_file(ctx->dir, "objects", O_RDONLY);

	ctx->pid = 0;
	ctx->told = SV_NOT_TOLD;
	if (fd < 0)
		return;
	if (pread(fd, &header, sizeof(header), 0) == sizeof(header) &&
	    header.magic == SV_OBJECTS_MAGIC) {
		ctx->pid = header.pid;
		ctx->told = header.told;
	}
	close(fd);
}

bool sv_context_open(struct sv_context *ctx, int parent, const char *id)
{
	bool held;

	ctx->cmd = ctx->async = -1;
	ctx->dir = sv_open_dir(parent, id);
	if (ctx->dir < 0)
		return false;
	ctx->cmd = open_fifo(ctx->dir, "cmd");
	held = may_be_held(ctx->cmd);
	ctx->async = open_fifo(ctx->dir, "async");
	if (held || may_be_held(ctx->async)) {
		read_header(ctx);
		return true;
	}
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

static int mark(struct sv_context *ctx, off_t at, uint32_t value)
{
	int fd = sv_open_file(ctx->dir, "objects", O_WRONLY);
	ssize_t n;

	if (fd < 0)
		return errno;
	n = pwrite(fd, &value, sizeof(value), at);
	close(fd);
	return n == sizeof(value) ? 0 : EIO;
}

int sv_context_mark_faults(struct sv_context *ctx)
{
	return mark(ctx, offsetof(struct sv_objects_header, faults), 1);
}

/* the reader may go at any time: that must not kill the caller */
int sv_write_quietly(int fd, const void *buf, size_t len)
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

static int send(struct sv_context *ctx, const void *events, size_t len)
{
	int error;

	if (ctx->async < 0)
		return 0;
	error = sv_write_quietly(ctx->async, events, len);
	/* a kernel has more room than a new pipe */
	if (error == EAGAIN && fcntl(ctx->async, F_SETPIPE_SZ, 1 << 20) > 0)
		error = sv_write_quietly(ctx->async, events, len);
	if (error == EAGAIN)
		return ENOBUFS;
	return error == EPIPE ? 0 : error;
}

int sv_context_send(struct sv_context *ctx, const struct sv_event *event)
{
	return send(ctx, event, sizeof(*event));
}

static int end_channel(int dir, const char *entry, void *arg)
{
	const uint64_t end = SV_COMP_END;
	int fd;

	(void)arg;
	if (strncmp(entry, "comp-", 5))
		return 0;
	fd = open_fifo(dir, entry);
	if (fd >= 0) {
		sv_write_quietly(fd, &end, sizeof(end));
		close(fd);
	}
	return 0;
}

/* the verbs first: who has read the event finds them failing */
void sv_context_end(struct sv_context *ctx)
{
	const off_t told = offsetof(struct sv_objects_header, told);
	const struct sv_event events[] = {
		{ .type = IBV_EVENT_DEVICE_FATAL },
		{ .type = SV_EVENT_END },
	};
	int error;

	mark(ctx, offsetof(struct sv_objects_header, fatal), 1);
	error = send(ctx, events, sizeof(events));
	if (error) {
		/* who empties the queue before it is marked gets it now */
		mark(ctx, told, SV_TELL_YOURSELF);
		error = send(ctx, events, sizeof(events));
	}
	if (!error)
		mark(ctx, told, SV_TOLD);
	sv_for_each_entry(ctx->dir, ".", end_channel, NULL);
}

int sv_context_objects(struct sv_context *ctx, enum sv_kind kind,
		       int (*fn)(const struct sv_object *object, void *arg),
		       void *arg)
{
	int fd = sv_open_file(ctx->dir, "objects", O_RDONLY), ret = 0;
	off_t at = sizeof(struct sv_objects_header);
	const off_t end = at + SV_MAX_OBJECTS * sizeof(struct sv_object);
	struct sv_object objects[256];
	ssize_t i, num = 1;

	if (fd < 0)
		return 0;
	for (; !ret && num > 0 && at < end; at += num * sizeof(objects[0])) {
		num = pread(fd, objects, sizeof(objects), at);
		num /= (ssize_t)sizeof(objects[0]);
		for (i = 0; !ret && i < num; i++) {
			if (objects[i].kind == SV_NONE ||
			    objects[i].kind >= SV_NUM_KINDS ||
			    (kind != SV_NONE && objects[i].kind != kind))
				continue;
			ret = fn(&objects[i], arg);
		}
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
		/* beside others it may be one in the making */
		if (sv_locked_alone())
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

	if (fd < 0 || fds->error)
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
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		fds->error = errno;
	else
		fds->fds[fds->num++] = (struct pollfd){ .fd = fd };
}

static int collect(int parent, const char *id, void *arg)
{
	struct sv_context ctx;
	struct fds *fds = arg;

	if (!sv_context_open(&ctx, parent, id))
		return 0;
	add_fd(fds, ctx.cmd);
	add_fd(fds, ctx.async);
	if (ctx.cmd < 0 && ctx.async < 0)
		fds->error = EMFILE;
	sv_context_close(&ctx);
	return fds->error;
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
