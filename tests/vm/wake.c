// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * One thread sleeps in read() of an eventfd, notes when it woke up, and says so
 * by another, which orders awake_at between the two.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "signs.h"
#include "wake.h"

static int wake_fd, awake_fd;
static int64_t awake_at;

static void *sleeper(void *arg)
{
	eventfd_t value;

	while (!eventfd_read(wake_fd, &value)) {
		awake_at = now_ns();
		eventfd_write(awake_fd, 1);
	}
	return arg;
}

int wake_start(void)
{
	pthread_t thread;

	wake_fd = eventfd(0, EFD_CLOEXEC);
	awake_fd = eventfd(0, EFD_CLOEXEC);
	if (wake_fd < 0 || awake_fd < 0)
		return errno;
	return pthread_create(&thread, NULL, sleeper, NULL);
}

int64_t wake_ns(void)
{
	int64_t at = now_ns();
	eventfd_t value;

	eventfd_write(wake_fd, 1);
	eventfd_read(awake_fd, &value);
	return awake_at - at;
}
