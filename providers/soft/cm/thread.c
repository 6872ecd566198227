// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The thread, and what it watches: sockets of ids, the fabric's list of devices,
 * the end of timewait. It is made once, with all signals blocked, and never
 * ends. What epoll says names an id by a slot of the table and a generation, so
 * that one which was destroyed meanwhile is not found.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "cm.h"

#define TIMEWAIT_MS 100
/* where inotify is not to be had; or no descriptor for a caller */
#define TICK_MS 200

#define KEY_WAKE  UINT64_MAX
#define KEY_LISTS (UINT64_MAX - 1)

pthread_mutex_t cm_lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
	bool running;
	int epoll, wake, inotify;
} thread = { false, -1, -1, -1 };

/* ---- the table of ids ---- */

struct slot {
	struct cm_id *id;
	uint32_t generation;
};

static struct slot *slots;
static uint32_t num_slots, first_free;

static int grow(void)
{
	uint32_t num = num_slots ? 2 * num_slots : 16, i;
	struct slot *more = realloc(slots, num * sizeof(*more));

	if (!more)
		return ENOMEM;
	for (i = num_slots; i < num; i++)
		more[i] = (struct slot){ NULL, 0 };
	slots = more;
	num_slots = num;
	return 0;
}

int cm_table_add(struct cm_id *id)
{
	while (first_free < num_slots && slots[first_free].id)
		first_free++;
	if (first_free == num_slots && grow())
		return ENOMEM;
	id->slot = first_free;
	slots[first_free].id = id;
	slots[first_free].generation++;
	return 0;
}

void cm_table_remove(struct cm_id *id)
{
	slots[id->slot].id = NULL;
	if (id->slot < first_free)
		first_free = id->slot;
}

void cm_table_each(void (*fn)(struct cm_id *id, void *arg), void *arg)
{
	uint32_t i;

	for (i = 0; i < num_slots; i++)
		if (slots[i].id)
			fn(slots[i].id, arg);
}

static uint64_t make_key(const struct cm_id *id, enum cm_source source)
{
	return (uint64_t)(slots[id->slot].generation & INT32_MAX) << 32 |
	       id->slot << 1 | source;
}

static struct cm_id *find(uint64_t key)
{
	uint32_t slot = (uint32_t)key >> 1;
	struct cm_id *id = slot < num_slots ? slots[slot].id : NULL;

	return id && make_key(id, key & 1) == key ? id : NULL;
}

/* ---- what is watched ---- */

static int control(int op, int fd, uint64_t key)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = key };

	return epoll_ctl(thread.epoll, op, fd, &event) ? errno : 0;
}

int cm_watch(struct cm_id *id, enum cm_source source)
{
	return control(EPOLL_CTL_ADD,
		       source == CM_SOURCE_PORT ? id->port_fd : id->fd,
		       make_key(id, source));
}

/* a forked child may have it, too: closing is not enough */
void cm_unwatch(int fd)
{
	if (thread.epoll >= 0)
		epoll_ctl(thread.epoll, EPOLL_CTL_DEL, fd, NULL);
	close(fd);
}

static bool is_paused;

/* no descriptor for who waits there: later again, instead of at once */
void cm_port_pause(struct cm_id *id)
{
	struct epoll_event event = { .data.u64 = make_key(id, CM_SOURCE_PORT) };

	epoll_ctl(thread.epoll, EPOLL_CTL_MOD, id->port_fd, &event);
	is_paused = true;
}

static void resume(struct cm_id *id, void *arg)
{
	(void)arg;
	if (id->port_fd >= 0)
		control(EPOLL_CTL_MOD, id->port_fd,
			make_key(id, CM_SOURCE_PORT));
}

static void resume_all(void)
{
	if (is_paused)
		cm_table_each(resume, NULL);
	is_paused = false;
}

static void wake(void)
{
	const uint64_t one = 1;
	ssize_t n = write(thread.wake, &one, sizeof(one));

	(void)n; /* full: it is awake */
}

/* ---- timewait: the same time for all, so a queue ---- */

static struct cm_id *first_timewait, **last_timewait = &first_timewait;

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void cm_timewait_start(struct cm_id *id)
{
	if (id->timewait)
		return;
	id->timewait = now_ms() + TIMEWAIT_MS;
	id->next_timewait = NULL;
	*last_timewait = id;
	last_timewait = &id->next_timewait;
	if (first_timewait == id)
		wake();
}

void cm_timewait_cancel(struct cm_id *id)
{
	struct cm_id **at = &first_timewait;

	if (!id->timewait)
		return;
	while (*at && *at != id)
		at = &(*at)->next_timewait;
	if (!*at)
		return; /* it has ended */
	*at = id->next_timewait;
	if (!*at)
		last_timewait = at;
}

/* how long until the next ends; -1: none */
static int end_timewaits(void)
{
	int64_t now = now_ms();
	struct cm_id *id;

	while ((id = first_timewait) && id->timewait <= now) {
		first_timewait = id->next_timewait;
		if (!first_timewait)
			last_timewait = &first_timewait;
		cm_event_add(id, RDMA_CM_EVENT_TIMEWAIT_EXIT, 0);
	}
	return id ? (int)(id->timewait - now) : -1;
}

/* ---- the thread ---- */

static void read_off(int fd)
{
	char buf[4096];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
}

/* lock held */
static void handle(uint64_t key)
{
	struct cm_id *id;

	if (key == KEY_WAKE) {
		read_off(thread.wake);
	} else if (key == KEY_LISTS) {
		read_off(thread.inotify);
		cm_devices_check();
	} else {
		id = find(key);
		if (id && (key & 1) == CM_SOURCE_PORT)
			cm_take_callers(id);
		else if (id)
			cm_receive(id);
	}
}

/* lock held: what there is to look after without being told */
static void tick(void)
{
	if (thread.inotify < 0)
		cm_devices_check();
	resume_all();
}

/* one round; also for tests that have no thread: true if there was something */
bool cm_thread_step(int timeout_ms)
{
	struct epoll_event event;
	int n, wait;

	pthread_mutex_lock(&cm_lock);
	wait = end_timewaits();
	if ((thread.inotify < 0 || is_paused) && (wait < 0 || wait > TICK_MS))
		wait = TICK_MS;
	pthread_mutex_unlock(&cm_lock);
	if (timeout_ms >= 0)
		wait = timeout_ms;
	n = epoll_wait(thread.epoll, &event, 1, wait);
	pthread_mutex_lock(&cm_lock);
	if (n == 1)
		handle(event.data.u64);
	else
		tick();
	pthread_mutex_unlock(&cm_lock);
	cm_devices_sweep();
	return n == 1;
}

static void *run(void *arg)
{
	(void)arg;
	for (;;)
		cm_thread_step(-1);
	return NULL;
}

/* lock held: no device goes without leaving this directory */
void cm_watch_devices(const char *fabric)
{
	char path[512];

	if ((size_t)snprintf(path, sizeof(path), "%s/" SV_LISTED, fabric) <
		    sizeof(path) &&
	    inotify_add_watch(thread.inotify, path,
			      IN_MOVED_FROM | IN_DELETE) >= 0)
		return;
	if (thread.inotify >= 0)
		close(thread.inotify);
	thread.inotify = -1;
	wake();
}

static int open_all(void)
{
	thread.epoll = epoll_create1(EPOLL_CLOEXEC);
	thread.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (thread.epoll < 0 || thread.wake < 0)
		return errno;
	/* the user's instances are few; without one there is the tick */
	thread.inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (thread.inotify >= 0)
		control(EPOLL_CTL_ADD, thread.inotify, KEY_LISTS);
	return control(EPOLL_CTL_ADD, thread.wake, KEY_WAKE);
}

static void close_all(void)
{
	const int fds[] = { thread.epoll, thread.wake, thread.inotify };
	unsigned int i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	thread.epoll = thread.wake = thread.inotify = -1;
}

/* signals are the program's threads' */
static int create(void)
{
	sigset_t all, old;
	pthread_t started;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&started, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!error)
		pthread_detach(started);
	return error;
}

int cm_thread_start(void)
{
	int error = 0;

	pthread_mutex_lock(&cm_lock);
	if (!thread.running) {
		error = open_all();
		if (!error)
			error = create();
		if (error)
			close_all();
		thread.running = !error;
	}
	pthread_mutex_unlock(&cm_lock);
	return error;
}

/* ---- fork ---- */

static void before_fork(void)
{
	pthread_mutex_lock(&cm_lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&cm_lock);
}

/* what is the parent's must not live on in us */
static void make_stale(struct cm_id *id, void *arg)
{
	(void)arg;
	if (id->port_fd >= 0)
		close(id->port_fd);
	if (id->fd >= 0)
		close(id->fd);
	id->port_fd = id->fd = -1;
	id->timewait = 0;
	id->state = CM_STALE;
}

static void in_child(void)
{
	close_all();
	thread.running = false;
	cm_table_each(make_stale, NULL);
	first_timewait = NULL;
	last_timewait = &first_timewait;
	cm_channels_forked();
	cm_devices_forked();
	pthread_mutex_unlock(&cm_lock);
}

__attribute__((constructor)) static void init_fork(void)
{
	pthread_atfork(before_fork, after_fork, in_child);
}
