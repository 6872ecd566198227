// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Completion channels: a pipe of CQ ids. Reading one is as with asynchronous
 * events (event.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "preload.h"

struct ibv_comp_channel *soft_create_comp_channel(struct ibv_context *context)
{
	int error = soft_enter(context, "create_comp_channel"), fds[2];
	struct soft_channel *channel;

	if (error)
		return soft_fail_null(error);
	channel = calloc(1, sizeof(*channel));
	if (!channel)
		return NULL;
	if (pipe2(fds, O_CLOEXEC)) {
		free(channel);
		return NULL;
	}
	/* who raises an event never waits for who reads it */
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	channel->ibv.context = context;
	channel->ibv.fd = fds[0];
	channel->write_fd = fds[1];
	soft_use_init(&channel->use, channel);
	return &channel->ibv;
}

int soft_destroy_comp_channel(struct ibv_comp_channel *ibv)
{
	struct soft_channel *channel = (struct soft_channel *)ibv;
	struct soft_context *ctx = to_context(ibv->context);
	int error = soft_enter_destroy(ibv->context, "destroy_comp_channel");

	if (!error)
		error = soft_use_check(ctx, &channel->use);
	if (error)
		return soft_fail(error);
	close(ibv->fd);
	close(channel->write_fd);
	soft_use_destroy(ctx, &channel->use);
	return 0;
}

/* counts the event; NULL: the CQ is gone */
static struct soft_cq *find_cq(struct soft_context *ctx, uint64_t id)
{
	uint32_t slot = id % SV_MAX_OBJECTS;
	struct soft_object *object;
	struct soft_cq *cq = NULL;

	pthread_mutex_lock(&ctx->lock);
	object = slot < ctx->events.num ? ctx->events.slots[slot] : NULL;
	if (object && object->id == id && object->kind == SV_CQ) {
		cq = object->ibv;
		cq->comp_got++;
	}
	pthread_mutex_unlock(&ctx->lock);
	return cq;
}

int soft_get_cq_event(struct ibv_comp_channel *channel, struct ibv_cq **cq,
		      void **cq_context)
{
	struct soft_context *ctx = to_context(channel->context);
	int error = soft_take_fault(ctx->dir, "get_cq_event");
	struct soft_cq *found = NULL;
	uint64_t id;
	ssize_t n;

	if (error) {
		errno = error;
		return -1;
	}
	while (!found) {
		n = read(channel->fd, &id, sizeof(id));
		if (n != sizeof(id)) {
			errno = n < 0 ? errno : EIO;
			return -1;
		}
		found = find_cq(ctx, id);
	}
	*cq = &found->ibv;
	*cq_context = found->ibv.cq_context;
	return 0;
}
