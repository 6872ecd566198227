// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * fork(). A child has copies of the parent's memory and descriptors, but none
 * of its threads, and the verbs contexts remain the parent's. So each registry
 * remembers the generation of the process that opened it; in a child the
 * generation is another, and everything says ECHILD, but for ibc_close(), which
 * closes the child's copies of the descriptors: the kernel would otherwise hold
 * a removed device back for the child.
 *
 * A child that was forked in a callback may return from it, into the loop of its
 * parent's registry, whose descriptors are the parent's too. It runs no job
 * there, touches no descriptor, and the loop ends.
 *
 * The locks are taken around fork() so that the child finds the lists whole.
 */
#include <unistd.h>

#include "private.h"

struct ibc__registries ibc__registries =
	TAILQ_HEAD_INITIALIZER(ibc__registries);
pthread_mutex_t ibc__registries_lock = PTHREAD_MUTEX_INITIALIZER;
_Atomic unsigned int ibc__generation = 1;
uintptr_t ibc__quick_key = 0x1bc9e7;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_error;

bool ibc__ours(struct ibc_registry *reg)
{
	return reg->generation == ibc__generation;
}

static void before_fork(void)
{
	struct ibc_registry *reg;

	pthread_mutex_lock(&ibc__registries_lock);
	TAILQ_FOREACH(reg, &ibc__registries, entry)
		if (ibc__ours(reg))
			pthread_mutex_lock(&reg->lock);
	ibc__log_lock();
}

static void release(void)
{
	struct ibc_registry *reg;

	ibc__log_unlock();
	TAILQ_FOREACH(reg, &ibc__registries, entry)
		if (ibc__ours(reg))
			pthread_mutex_unlock(&reg->lock);
	pthread_mutex_unlock(&ibc__registries_lock);
}

static void after_fork_in_child(void)
{
	release();
	ibc__generation++;
	ibc__quick_key++;
}

static void install(void)
{
	once_error = pthread_atfork(before_fork, release, after_fork_in_child);
}

/* what failed for want of memory is tried again by the next */
int ibc__fork_init(void)
{
	int error;

	pthread_once(&once, install);
	pthread_mutex_lock(&ibc__registries_lock);
	if (once_error)
		install();
	error = once_error;
	pthread_mutex_unlock(&ibc__registries_lock);
	return error;
}

static void close_copy(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* ibc__registries_lock held; its memory stays: the parent's locks are in it */
void ibc__child_release(struct ibc_registry *reg)
{
	struct ibv_context *context;
	struct ibc_device *dev;
	int i;

	if (reg->released)
		return;
	reg->released = true;
	if (ibc__descriptors_check(reg)) /* the child did that itself */
		return;
	TAILQ_FOREACH(dev, &reg->devices, entry) {
		context = dev->context;
		if (dev->adopted || !context)
			continue;
		close_copy(context->async_fd);
		close_copy(context->cmd_fd);
	}
	for (i = 0; i < IBC_NUM_SOURCES; i++)
		close_copy(reg->sources[i].fd);
	ibc__status_release(reg);
	close_copy(reg->timer_fd);
	close_copy(reg->wake_fd);
	close_copy(reg->epoll_fd);
}
