// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Completion channels: FIFOs comp-N of CQ ids. They have names so that who removes
 * the device can wake their readers. Reading one is as with asynchronous events
 * (event.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload.h"

struct fifo {
	int dir; /* contexts/ID */
	char name[16];
};

static int find_fifo(struct soft_context *ctx, uint32_t number, struct fifo *f)
{
	char path[64];

	snprintf(path, sizeof(path), "contexts/%s", ctx->id);
	snprintf(f->name, sizeof(f->name), "comp-%u", number);
	f->dir = sv_open_dir(ctx->dir, path);
	return f->dir < 0 ? errno : 0;
}

/* who raises an event never waits for who reads it */
static int open_ends(const struct fifo *f, struct soft_channel *channel)
{
	const int flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

	channel->ibv.fd = openat(f->dir, f->name, O_RDONLY | flags);
	if (channel->ibv.fd < 0)
		return errno;
	channel->write_fd = openat(f->dir, f->name, O_WRONLY | flags);
	if (channel->write_fd < 0)
		return errno;
	return fcntl(channel->ibv.fd, F_SETFL, 0) ? errno : 0;
}

static void close_ends(struct soft_channel *channel)
{
	if (channel->ibv.fd >= 0)
		close(channel->ibv.fd);
	if (channel->write_fd >= 0)
		close(channel->write_fd);
}

static int make_fifo(struct soft_context *ctx, struct soft_channel *channel)
{
	struct fifo f;
	int error;

	channel->ibv.fd = channel->write_fd = -1;
	error = find_fifo(ctx, channel->name, &f);
	if (error)
		return error;
	if (mkfifoat(f.dir, f.name, 0600)) {
		error = errno;
	} else {
		error = open_ends(&f, channel);
		if (error) {
			close_ends(channel);
			unlinkat(f.dir, f.name, 0);
		}
	}
	close(f.dir);
	return error;
}

static void remove_fifo(struct soft_context *ctx, struct soft_channel *channel)
{
	struct fifo f;

	close_ends(channel);
	if (find_fifo(ctx, channel->name, &f))
		return;
	unlinkat(f.dir, f.name, 0);
	close(f.dir);
}

struct ibv_comp_channel *soft_create_comp_channel(struct ibv_context *context)
{
	int error = soft_enter(context, "create_comp_channel"), saved = errno;
	struct soft_context *ctx = to_context(context);
	struct soft_channel *channel;

	if (error)
		return soft_fail_null(error);
	channel = calloc(1, sizeof(*channel));
	if (!channel)
		return NULL;
	channel->name = soft_next_handle(ctx);
	error = make_fifo(ctx, channel);
	if (error) {
		free(channel);
		return soft_fail_null(error);
	}
	channel->ibv.context = context;
	soft_use_init(&channel->use, channel);
	errno = saved;
	return &channel->ibv;
}

int soft_destroy_comp_channel(struct ibv_comp_channel *ibv)
{
	struct soft_channel *channel = (struct soft_channel *)ibv;
	struct soft_context *ctx = to_context(ibv->context);
	int error = soft_enter_destroy(ibv->context, "destroy_comp_channel");
	int saved = errno;

	if (!error)
		error = soft_use_check(ctx, &channel->use);
	if (error)
		return soft_fail(error);
	remove_fifo(ctx, channel);
	soft_use_destroy(ctx, &channel->use);
	errno = saved;
	return 0;
}

/* counts the event; NULL: the CQ is gone */
static struct soft_cq *find_cq(struct soft_context *ctx, uint64_t id)
{
	uint32_t slot = id % SV_MAX_OBJECTS;
	struct soft_object *object;
	struct soft_cq *cq = NULL;

	pthread_mutex_lock(&ctx->lock);
	object = soft_table_get(&ctx->events, slot);
	if (object && object->id == id && object->kind == SV_CQ) {
		cq = object->ibv;
		cq->comp_got++;
	}
	pthread_mutex_unlock(&ctx->lock);
	return cq;
}

/* made while the device was being removed: nobody will wake its readers */
static bool is_over(struct soft_context *ctx, int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return soft_is_fatal(ctx) && poll(&poll_fd, 1, 0) == 0;
}

static int read_id(struct soft_context *ctx, struct soft_channel *channel,
		   uint64_t *id)
{
	ssize_t n;

	if (is_over(ctx, channel->ibv.fd))
		return EIO;
	n = read(channel->ibv.fd, id, sizeof(*id));
	if (n < 0)
		return errno;
	if (n != sizeof(*id))
		return EIO;
	if (*id != SV_COMP_END || !soft_is_fatal(ctx))
		return 0;
	/* for the next reader */
	n = write(channel->write_fd, id, sizeof(*id));
	return EIO;
}

int soft_get_cq_event(struct ibv_comp_channel *ibv, struct ibv_cq **cq,
		      void **cq_context)
{
	struct soft_channel *channel = (struct soft_channel *)ibv;
	struct soft_context *ctx = to_context(ibv->context);
	int saved = errno, error = soft_take_fault(ctx, "get_cq_event");
	struct soft_cq *found = NULL;
	uint64_t id;

	while (!error && !found) {
		error = read_id(ctx, channel, &id);
		if (!error)
			found = find_cq(ctx, id);
	}
	if (error) {
		errno = error;
		return -1;
	}
	*cq = &found->ibv;
	*cq_context = found->ibv.cq_context;
	errno = saved;
	return 0;
}
