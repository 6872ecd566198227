// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The memory of a context:
 *
 *	| slack | libibverbs' struct verbs_context        | ours ...
 *	                        ... ending in ibv_context ^
 *
 * struct verbs_context grows at its front, and its size is libibverbs' secret:
 * our part is found by the device pointer, with which ibv_context begins. The
 * slack is for our headers' idea of the front, should it be the larger one.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "preload.h"

#define SLACK 1024
#define FRONT 4096

typedef void *(*init_fn)(struct ibv_device *device, int cmd_fd,
			 size_t alloc_size, struct verbs_context *offset,
			 uint32_t driver_id);

static struct soft_context *find_context(void *memory,
					 struct ibv_device *device, int cmd_fd)
{
	struct ibv_context *context;
	char *at = memory;
	size_t i;

	for (i = SLACK; i < SLACK + FRONT; i += sizeof(void *)) {
		context = (struct ibv_context *)(at + i);
		if (context->device == device && context->cmd_fd == cmd_fd &&
		    context->abi_compat == __VERBS_ABI_IS_EXTENDED)
			return (struct soft_context *)context;
	}
	return NULL;
}

static struct verbs_context *front_of(struct soft_context *ctx)
{
	return (struct verbs_context *)((char *)&ctx->ibv -
					offsetof(struct verbs_context,
						 context));
}

/* NULL and -1 in *cmd_fd: it failed; NULL: it cannot be done */
static struct soft_context *alloc_by_library(struct ibv_device *device,
					     int *cmd_fd)
{
	static _Atomic(void *) cache;
	init_fn init =
		(init_fn)soft_real(&cache, "_verbs_init_and_alloc_context");
	struct soft_context *ctx;
	void *memory;

	if (!init)
		return NULL;
	memory = init(device, *cmd_fd,
		      SLACK + FRONT + sizeof(struct soft_context),
		      (struct verbs_context *)(uintptr_t)SLACK, 0);
	if (!memory) {
		*cmd_fd = -1;
		return NULL;
	}
	ctx = find_context(memory, device, *cmd_fd);
	if (!ctx) {
		free(memory);
		return NULL;
	}
	ctx->memory = memory;
	ctx->priv = front_of(ctx)->priv;
	return ctx;
}

static struct soft_context *alloc_plainly(struct ibv_device *device, int cmd_fd)
{
	char *memory = calloc(1, SLACK + sizeof(struct verbs_context) +
					 sizeof(struct soft_context));
	struct verbs_context *front;
	struct soft_context *ctx;

	if (!memory)
		return NULL;
	front = (struct verbs_context *)(memory + SLACK);
	front->sz = sizeof(*front);
	ctx = (struct soft_context *)&front->context;
	ctx->memory = memory;
	ctx->ibv.device = device;
	ctx->ibv.cmd_fd = cmd_fd;
	ctx->ibv.async_fd = -1;
	ctx->ibv.abi_compat = __VERBS_ABI_IS_EXTENDED;
	pthread_mutex_init(&ctx->ibv.mutex, NULL);
	return ctx;
}

struct soft_context *soft_context_alloc(struct soft_device *dev, int cmd_fd)
{
	struct soft_context *ctx = alloc_by_library(&dev->ibv, &cmd_fd);

	if (!ctx && cmd_fd >= 0)
		ctx = alloc_plainly(&dev->ibv, cmd_fd);
	if (!ctx) {
		if (cmd_fd >= 0)
			close(cmd_fd);
		return NULL;
	}
	ctx->dev = dev;
	ctx->process = soft_shm_process();
	ctx->dir = ctx->objects = -1;
	ctx->ibv.num_comp_vectors = 1;
	pthread_mutex_init(&ctx->lock, NULL);
	pthread_mutex_init(&ctx->shm_lock, NULL);
	soft_retry_init(&ctx->retry);
	soft_fill_ops(ctx);
	return ctx;
}

void soft_context_free(struct soft_context *ctx)
{
	soft_unmap_marks(ctx->marks);
	pthread_mutex_destroy(&ctx->lock);
	pthread_mutex_destroy(&ctx->shm_lock);
	pthread_mutex_destroy(&ctx->ibv.mutex);
	free(ctx->events.slots);
	free(ctx->mrs.slots);
	free(ctx->members.slots);
	free(ctx->priv);
	free(ctx->memory);
}
