// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Locks on files. A flock belongs to the open file description: it is free when
 * the last descriptor of that is closed, wherever it has been inherited. So each
 * locking opens the file anew, and a child forked meanwhile by another thread
 * closes what it got: no child keeps the lock of a parent that was killed, and
 * parent and child exclude each other.
 *
 * held_lock guards the list of locks that are held or waited for, and is itself
 * never held while waiting.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <unistd.h>

#include "fabric.h"

static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sv_lock *held;

static void before_fork(void)
{
	pthread_mutex_lock(&held_lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&held_lock);
}

/* whose threads these locks are is not here */
static void in_child(void)
{
	for (; held; held = held->next) {
		close(held->fd);
		held->fd = -1;
	}
	pthread_mutex_unlock(&held_lock);
}

/* early: who holds another lock then takes this one, so at a fork this is last */
__attribute__((constructor(101))) static void init_locks(void)
{
	pthread_atfork(before_fork, after_fork, in_child);
}

/* not between open() and the list, nor the reverse, may a fork come */
static int open_held(struct sv_lock *lock, int dir, const char *name, int flags)
{
	int error = 0;

	pthread_mutex_lock(&held_lock);
	lock->fd = sv_open_file(dir, name, flags | O_RDWR);
	if (lock->fd < 0) {
		error = errno;
	} else {
		lock->next = held;
		held = lock;
	}
	pthread_mutex_unlock(&held_lock);
	return error;
}

static void close_held(struct sv_lock *lock)
{
	struct sv_lock **at;

	pthread_mutex_lock(&held_lock);
	for (at = &held; *at && *at != lock; at = &(*at)->next)
		;
	if (*at)
		*at = lock->next;
	if (lock->fd >= 0)
		close(lock->fd);
	lock->fd = -1;
	pthread_mutex_unlock(&held_lock);
}

static int lock_file(struct sv_lock *lock, int dir, const char *name, int flags,
		     int how)
{
	int error = open_held(lock, dir, name, flags);

	if (error)
		return error;
	lock->shared = how == LOCK_SH;
	while (flock(lock->fd, how)) {
		if (errno == EINTR)
			continue;
		error = errno;
		close_held(lock);
		return error;
	}
	return 0;
}

int sv_lock_file(struct sv_lock *lock, int dir, const char *name, int flags)
{
	return lock_file(lock, dir, name, flags, LOCK_EX);
}

int sv_lock_file_shared(struct sv_lock *lock, int dir, const char *name)
{
	return lock_file(lock, dir, name, 0, LOCK_SH);
}

void sv_unlock_file(struct sv_lock *lock)
{
	/* somebody who made a process without fork() may have it, too */
	if (lock->fd >= 0)
		flock(lock->fd, LOCK_UN);
	close_held(lock);
}
