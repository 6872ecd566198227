// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Who waits for what. There is one epoll instance, with the sources, a timerfd,
 * an eventfd and the async descriptors of all contexts in it. Of those who may
 * dispatch (the threads, or whoever calls into a manual registry) one is the
 * leader and sits in epoll_wait(); the others follow, on a condition, and one
 * of them takes over as soon as the leader has a job to run.
 *
 *   reg->work		wakes a follower among the threads
 *   reg->changed	wakes all who wait for a state, and in a manual registry
 *			the followers too
 *   wake_fd		wakes the leader, and makes ibc_get_fd() readable
 *
 * Who takes a job wakes the next one for what is left (ibc__run_job()): the job
 * may be held up in a callback. So a manual registry's descriptor is readable
 * whenever a job is ready; whoever finds none left makes it quiet again.
 *
 * Between jobs the descriptors are looked at, however many jobs are ready.
 */
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "private.h"

#define MAX_EVENTS	   32
#define JOBS_BETWEEN_POLLS 16
#define JOBS_PER_DISPATCH  10000

void ibc__lock(struct ibc_registry *reg)
{
	pthread_mutex_lock(&reg->lock);
}

static struct ibc__log *take_logs(struct ibc_registry *reg)
{
	struct ibc__log *logs = reg->logs;

	reg->logs = NULL;
	reg->logs_end = &reg->logs;
	return logs;
}

/* the registry may be gone once it is unlocked */
void ibc__unlock(struct ibc_registry *reg)
{
	struct ibc__log *logs = take_logs(reg);

	pthread_mutex_unlock(&reg->lock);
	ibc__log_flush(logs);
}

/*
 * No lock, signal-safe; errno stays. Returns 0 or an errno; EAGAIN is none: the
 * count is full, so it is readable anyway.
 */
int ibc__write_wake(struct ibc_registry *reg)
{
	const uint64_t one = 1;
	int error = errno, result;
	ssize_t ret;

	do {
		ret = write(reg->wake_fd, &one, sizeof(one));
	} while (ret < 0 && errno == EINTR);
	result = ret > 0 ? 0 : errno;
	errno = error;
	return result == EAGAIN ? 0 : result;
}

static void write_wake(struct ibc_registry *reg)
{
	int error;

	if (reg->woken || reg->deaf || !ibc__ours(reg))
		return;
	error = ibc__write_wake(reg);
	reg->woken = !error;
	if (reg->pollable && (error == EBADF || error == EINVAL))
		ibc__deafen(reg, "write", error);
}

/* there is a job */
void ibc__wake(struct ibc_registry *reg)
{
	if (ibc__manual(reg) || reg->deaf) {
		pthread_cond_broadcast(&reg->changed);
		pthread_cond_signal(&reg->work);
		write_wake(reg);
	} else if (reg->followers) {
		pthread_cond_signal(&reg->work);
	} else if (reg->polling) {
		write_wake(reg);
	}
}

/* a state changed that somebody may wait for */
void ibc__changed(struct ibc_registry *reg)
{
	pthread_cond_broadcast(&reg->changed);
	if (ibc__manual(reg) && reg->polling)
		write_wake(reg);
}

/* in a manual registry that nobody polls for, too */
void ibc__wake_leader(struct ibc_registry *reg)
{
	if (reg->polling || ibc__manual(reg))
		write_wake(reg);
}

/*
 * Before a sleep: messages are not to wait for it, and may be about what is
 * waited for. True: the lock was dropped for them.
 */
static bool flush_logs(struct ibc_registry *reg)
{
	if (!reg->logs)
		return false;
	ibc__unlock(reg);
	ibc__lock(reg);
	return true;
}

/* with messages to be written it does that, and returns without having waited */
void ibc__cond_wait(struct ibc_registry *reg, pthread_cond_t *cond,
		    uint64_t deadline)
{
	struct timespec ts;

	if (flush_logs(reg))
		return;
	if (deadline == IBC_FOREVER) {
		pthread_cond_wait(cond, &reg->lock);
	} else {
		ts.tv_sec = deadline / 1000;
		ts.tv_nsec = deadline % 1000 * 1000000;
		pthread_cond_timedwait(cond, &reg->lock, &ts);
	}
}

/*
 * @op: EPOLL_CTL_ADD, or EPOLL_CTL_MOD of what is there. What is to be added may
 * be there still: EPOLL_CTL_DEL had failed.
 */
int ibc__epoll_set(struct ibc_registry *reg, int op, int fd, uint32_t events,
		   uint64_t id)
{
	struct epoll_event event = { .events = events, .data.u64 = id };
	int ret = epoll_ctl(reg->epoll_fd, op, fd, &event);

	if (ret && op == EPOLL_CTL_ADD && errno == EEXIST)
		ret = epoll_ctl(reg->epoll_fd, EPOLL_CTL_MOD, fd, &event);
	return ret ? errno : 0;
}

/* deferred frees are pushed without the lock: look after every wake-up */
static void drain_wake(struct ibc_registry *reg)
{
	uint64_t count;

	while (read(reg->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	reg->woken = false;
	if (atomic_load(&reg->deferred))
		ibc__kick(&reg->reap_job);
}

static void drain_timer(struct ibc_registry *reg)
{
	uint64_t count;

	while (read(reg->timer_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	ibc__timers_expire(reg);
}

static void device_ready(struct ibc_registry *reg, uint64_t incarnation,
			 uint32_t events)
{
	struct ibc_device *dev;

	TAILQ_FOREACH(dev, &reg->devices, entry) {
		if (dev->incarnation == incarnation) {
			ibc__events_read(dev, events);
			return;
		}
	}
}

static void fd_ready(struct ibc_registry *reg, const struct epoll_event *event)
{
	uint64_t id = event->data.u64;
	struct ibc__source *source;

	if (id == IBC_EPOLL_WAKE) {
		drain_wake(reg);
	} else if (id == IBC_EPOLL_TIMER) {
		drain_timer(reg);
	} else if (id == IBC_EPOLL_STATUS) {
		ibc__status_ready(reg);
	} else if (id == IBC_EPOLL_READERS) {
		ibc__status_writable(reg);
	} else if (id < IBC_NUM_SOURCES) {
		source = &reg->sources[id];
		source->ops->ready(reg, source);
	} else {
		device_ready(reg, id - IBC_EPOLL_DEVICE, event->events);
	}
}

static int until(uint64_t deadline)
{
	uint64_t now = ibc__now();

	if (deadline == IBC_FOREVER)
		return -1;
	if (deadline <= now)
		return 0;
	return deadline - now > 3600000 ? 3600000 : (int)(deadline - now);
}

/*
 * A thread of ours may be cancelled in here, and only here: a registry that went
 * deaf has no other way to get it back.
 */
static int wait_for_news(struct ibc_registry *reg, struct epoll_event *events,
			 int timeout_ms)
{
	int n, old;

	if (ibc__manual(reg))
		return epoll_wait(reg->epoll_fd, events, MAX_EVENTS,
				  timeout_ms);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
	n = epoll_wait(reg->epoll_fd, events, MAX_EVENTS, timeout_ms);
	pthread_setcancelstate(old, NULL);
	return n;
}

/* lock held; the caller is to be the leader, and hands over afterwards */
static void poll_once(struct ibc_registry *reg, uint64_t deadline)
{
	struct epoll_event events[MAX_EVENTS];
	int i, n, error;

	if (!TAILQ_EMPTY(&reg->ready))
		deadline = 0;
	deadline = ibc__timers_limit(reg, deadline);
	reg->leader = true;
	reg->polling = true;
	pthread_mutex_unlock(&reg->lock);
	if (deadline) /* no job is ready */
		ibc__linger(reg);
	n = wait_for_news(reg, events, until(deadline));
	error = errno;
	ibc__lock_awake(reg);
	reg->polling = false;
	if (n < 0 && error != EINTR && ibc__ours(reg))
		ibc__deafen(reg, "epoll_wait", error);
	for (i = 0; i < n; i++)
		fd_ready(reg, &events[i]);
	if (reg->timer_late)
		ibc__timers_expire(reg);
	reg->leader = false;
	if (reg->followers)
		pthread_cond_signal(&reg->work);
	if (ibc__manual(reg))
		pthread_cond_broadcast(&reg->changed);
}

/* ---- threads ---- */

static void *dispatcher(void *arg)
{
	struct ibc_registry *reg = arg;
	unsigned int jobs = 0;
	int old;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	/* another thread's name would be a file of /proc to be opened */
	pthread_setname_np(pthread_self(), "ibclient");
	ibc__lock(reg);
	while (!reg->stopping && ibc__ours(reg)) {
		if (jobs < JOBS_BETWEEN_POLLS && ibc__run_job(reg)) {
			jobs++;
		} else if (flush_logs(reg)) {
			continue;
		} else if (!reg->leader && !reg->deaf) {
			jobs = 0;
			poll_once(reg, IBC_FOREVER);
		} else if (!ibc__run_job(reg)) {
			reg->followers++;
			ibc__cond_wait(reg, &reg->work, IBC_FOREVER);
			reg->followers--;
		}
	}
	ibc__unlock(reg);
	return NULL;
}

/* they take no signal: those are the application's */
static int start_thread(struct ibc_registry *reg, pthread_t *thread)
{
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(thread, NULL, dispatcher, reg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return error;
}

int ibc__loop_start(struct ibc_registry *reg)
{
	unsigned int want = reg->attr.num_threads;
	int error;

	if (ibc__manual(reg))
		return 0;
	reg->threads = calloc(want, sizeof(*reg->threads));
	if (!reg->threads)
		return ENOMEM;
	for (; reg->num_threads < want; reg->num_threads++) {
		error = start_thread(reg, &reg->threads[reg->num_threads]);
		if (error)
			return error;
	}
	/* it may be queued behind us, where another CPU is idle: see open.c */
	sched_yield();
	return 0;
}

static bool idle(void *arg)
{
	struct ibc_registry *reg = arg;

	return !reg->running && !reg->leader;
}

/* afterwards nobody runs a job or waits, and none is begun */
void ibc__loop_stop(struct ibc_registry *reg)
{
	unsigned int i;

	ibc__lock(reg);
	reg->stopping = true;
	pthread_cond_broadcast(&reg->work);
	reg->woken = false;
	ibc__deaf_check(reg);
	write_wake(reg);
	while (ibc__manual(reg) && !idle(reg))
		ibc__cond_wait(reg, &reg->changed, IBC_FOREVER);
	ibc__unlock(reg);
	for (i = 0; i < reg->num_threads; i++) {
		if (reg->deaf) /* it may sleep where nothing wakes it */
			pthread_cancel(reg->threads[i]);
		pthread_join(reg->threads[i], NULL);
	}
	free(reg->threads);
	reg->threads = NULL;
	reg->num_threads = 0;
}

int ibc__loop_open(struct ibc_registry *reg)
{
	int error;

	reg->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (reg->epoll_fd < 0)
		return errno;
	reg->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (reg->wake_fd < 0)
		return errno;
	reg->timer_fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (reg->timer_fd < 0)
		return errno;
	error = ibc__epoll_set(reg, EPOLL_CTL_ADD, reg->wake_fd, EPOLLIN,
			       IBC_EPOLL_WAKE);
	if (error)
		return error;
	reg->pollable = true;
	return ibc__epoll_set(reg, EPOLL_CTL_ADD, reg->timer_fd, EPOLLIN,
			      IBC_EPOLL_TIMER);
}

void ibc__loop_close(struct ibc_registry *reg)
{
	int fds[] = { reg->timer_fd, reg->wake_fd, reg->epoll_fd };
	unsigned int i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* ---- those who wait, and those who dispatch by hand ---- */

/*
 * Lock held, all is done: a loop that polls the descriptor sleeps. The leader
 * may be about to be woken by it: then it is the leader's.
 */
static void quieten(struct ibc_registry *reg)
{
	if (TAILQ_EMPTY(&reg->ready) && !reg->polling && !reg->timer_late &&
	    !reg->deaf && ibc__ours(reg))
		drain_wake(reg);
}

/*
 * Lock held; in a manual registry: a job, and now and then a look around, else
 * one busy device would leave the others unread.
 */
static bool run_one(struct ibc_registry *reg, unsigned int *jobs)
{
	if (!ibc__run_job(reg))
		return false;
	if (++*jobs % JOBS_BETWEEN_POLLS == 0 && !reg->leader && !reg->deaf &&
	    ibc__ours(reg))
		poll_once(reg, 0);
	return true;
}

/* lock held: a deferred free, which is pushed without it, wakes nobody here */
static void wait_deaf(struct ibc_registry *reg, uint64_t deadline)
{
	uint64_t soon = ibc__now() + 100;

	if (atomic_load(&reg->deferred))
		ibc__kick(&reg->reap_job);
	else if (TAILQ_EMPTY(&reg->ready))
		ibc__cond_wait(reg, &reg->changed,
			       deadline < soon ? deadline : soon);
}

static int wait_manual(struct ibc_registry *reg, bool (*done)(void *arg),
		       void *arg, uint64_t deadline)
{
	unsigned int jobs = 0;
	bool polled = false;

	while (!done(arg)) {
		if (!ibc__ours(reg))
			return ECHILD;
		if (jobs < JOBS_PER_DISPATCH && run_one(reg, &jobs))
			continue;
		if (flush_logs(reg))
			continue;
		if (polled && deadline <= ibc__now())
			return ETIMEDOUT;
		if (reg->deaf)
			wait_deaf(reg, deadline);
		else if (reg->leader && TAILQ_EMPTY(&reg->ready))
			ibc__cond_wait(reg, &reg->changed, deadline);
		else if (!reg->leader)
			poll_once(reg, deadline);
		polled = true;
		jobs = 0;
	}
	return 0;
}

/*
 * Lock held. Waits until done() is true or the time is over; in a manual
 * registry it runs what is due meanwhile.
 */
int ibc__wait(struct ibc_registry *reg, bool (*done)(void *arg), void *arg,
	      uint64_t deadline)
{
	int error;

	if (ibc__ours(reg) && !done(arg))
		ibc__deaf_check(reg);
	if (ibc__manual(reg)) {
		error = wait_manual(reg, done, arg, deadline);
		quieten(reg);
		return error;
	}
	while (!done(arg)) {
		if (!ibc__ours(reg))
			return ECHILD;
		if (flush_logs(reg))
			continue;
		if (reg->deaf)
			return wait_manual(reg, done, arg, deadline);
		if (deadline <= ibc__now())
			return ETIMEDOUT;
		ibc__cond_wait(reg, &reg->changed, deadline);
	}
	return 0;
}

/* lock held: all that is due, and what follows from it, within reason */
static unsigned int run_due(struct ibc_registry *reg)
{
	unsigned int jobs = 0;

	while (jobs < JOBS_PER_DISPATCH && run_one(reg, &jobs))
		;
	return jobs;
}

static int dispatch(struct ibc_registry *reg, uint64_t deadline)
{
	unsigned int n;

	flush_logs(reg);
	if (!reg->leader && !reg->deaf)
		poll_once(reg, 0);
	while (!(n = run_due(reg)) && deadline > ibc__now() && !reg->stopping &&
	       !reg->deaf && ibc__ours(reg)) {
		if (flush_logs(reg))
			continue;
		if (reg->leader)
			ibc__cond_wait(reg, &reg->changed, deadline);
		else
			poll_once(reg, deadline);
	}
	quieten(reg);
	if (!ibc__ours(reg))
		return ECHILD;
	if (!n && reg->deaf)
		return EBADF;
	return n ? 0 : ETIMEDOUT;
}

int ibc_dispatch(struct ibc_registry *reg, int timeout_ms)
{
	uint64_t deadline;
	int error = ibc__registry_check(reg);

	if (error)
		return error;
	if (ibc__in_callback(reg))
		return EDEADLK;
	if (!ibc__manual(reg) || ibc__deadline(timeout_ms, &deadline))
		return EINVAL;
	ibc__lock(reg);
	error = dispatch(reg, deadline);
	ibc__unlock(reg);
	return error;
}

int ibc_get_fd(struct ibc_registry *reg)
{
	int error = ibc__registry_check(reg);

	if (!error && !ibc__manual(reg))
		error = EINVAL;
	if (!error)
		error = ibc__registry_hears(reg);
	if (error) {
		errno = error;
		return -1;
	}
	return reg->epoll_fd;
}
