// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A program that closes descriptors which are not its own, by closefrom() or
 * close_range(), closes the registry's too. That cannot be mended: what the
 * contexts had open went with them, and the numbers may be other files' at once.
 * So it is noticed, said once, and then:
 *
 *   - no descriptor is touched any more: reg->epoll_fd and the others are -1;
 *   - nobody polls: the threads sleep on ->work, and run the jobs that there are;
 *   - a thread that still sleeps in epoll_wait() cannot be woken. Jobs are run by
 *     those who wait, as in a manual registry, and ibc__loop_stop() cancels it;
 *   - what would wait for news says EBADF; unregistering and closing work;
 *   - contexts are closed without their descriptors, for what else they have.
 *
 * It is noticed by whoever polls, wakes the poller, begins to wait, or closes the
 * registry.
 */
#include <sys/epoll.h>

#include "private.h"

/* lock held; @what: the call that told */
void ibc__deafen(struct ibc_registry *reg, const char *what, int error)
{
	unsigned int i;

	if (reg->deaf)
		return;
	reg->deaf = true;
	reg->epoll_fd = reg->wake_fd = reg->timer_fd = -1;
	for (i = 0; i < IBC_NUM_SOURCES; i++) {
		if (reg->sources[i].fd < 0)
			continue;
		reg->sources[i].fd = -1;
		reg->sources[i].state = IBC_SOURCE_FAILED;
		snprintf(reg->sources[i].why, sizeof(reg->sources[i].why),
			 "the program closed its descriptor");
	}
	ibc__status_deafen(reg);
	ibc__log(reg, IBC_LOG_ERROR,
		 "the program has closed file descriptors of the registry (%s: "
		 "%s): it hears of no device any more. Call ibc_close() before "
		 "closefrom() or close_range(), and ibc_open() after it",
		 what, strerror(error));
	pthread_cond_broadcast(&reg->work);
	pthread_cond_broadcast(&reg->changed);
}

/*
 * Is what has the number of the eventfd still what the epoll instance knows by
 * it? Else an errno. Changes nothing, in the parent of a child neither.
 */
int ibc__descriptors_check(struct ibc_registry *reg)
{
	struct epoll_event event = { .events = EPOLLIN,
				     .data.u64 = IBC_EPOLL_WAKE };

	if (!epoll_ctl(reg->epoll_fd, EPOLL_CTL_MOD, reg->wake_fd, &event))
		return 0;
	/* neither memory nor anything else is needed for it */
	return errno == EBADF || errno == ENOENT || errno == EINVAL ||
			       errno == EPERM ?
		       errno :
		       0;
}

/* lock held: has it happened? */
void ibc__deaf_check(struct ibc_registry *reg)
{
	int error =
		reg->pollable && !reg->deaf ? ibc__descriptors_check(reg) : 0;

	if (error)
		ibc__deafen(reg, "epoll_ctl", error);
}

/* no lock held, and nobody else has the context any more */
int ibc__context_close(struct ibc_registry *reg, struct ibv_context *context)
{
	if (reg->deaf)
		context->async_fd = context->cmd_fd = -1;
	return ibc__backend->close_device(context);
}

/* 0, or EBADF: no lock held */
int ibc__registry_hears(struct ibc_registry *reg)
{
	return reg->deaf ? EBADF : 0;
}
