// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A thread for each context that sends again what did not arrive: nobody was
 * there, or nothing was posted to receive. It is made when that happens for the
 * first time, and sleeps but for that.
 *
 * Its lock is inside soft_sq.lock, so the thread lets go of it before it takes that
 * one; meanwhile the QP is `running`, and is not freed.
 */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "preload.h"

/* who asks more often takes the time from who is asked */
#define SHORTEST_NS 50000

void soft_retry_init(struct soft_retry *retry)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&retry->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&retry->cond, &attr);
	pthread_condattr_destroy(&attr);
}

/* ---- lock held ---- */

static void unlink_waiting(struct soft_retry *retry, struct soft_qp *qp)
{
	struct soft_qp **at;

	for (at = &retry->waiting; *at; at = &(*at)->sq.next_waiting) {
		if (*at == qp) {
			*at = qp->sq.next_waiting;
			break;
		}
	}
	qp->sq.is_waiting = false;
}

static struct soft_qp *first_waiting(struct soft_retry *retry)
{
	struct soft_qp *qp, *first = retry->waiting;

	for (qp = first; qp; qp = qp->sq.next_waiting)
		if (qp->sq.wake_at < first->sq.wake_at)
			first = qp;
	return first;
}

static void sleep_until(struct soft_retry *retry, const struct soft_qp *qp)
{
	struct timespec ts;

	if (!qp) {
		pthread_cond_wait(&retry->cond, &retry->lock);
		return;
	}
	ts.tv_sec = qp->sq.wake_at / 1000000000;
	ts.tv_nsec = qp->sq.wake_at % 1000000000;
	pthread_cond_timedwait(&retry->cond, &retry->lock, &ts);
}

static void run(struct soft_retry *retry, struct soft_qp *qp)
{
	unlink_waiting(retry, qp);
	retry->running = qp;
	pthread_mutex_unlock(&retry->lock);
	pthread_mutex_lock(&qp->sq.lock);
	soft_sq_run(qp);
	pthread_mutex_unlock(&qp->sq.lock);
	pthread_mutex_lock(&retry->lock);
	retry->running = NULL;
	pthread_cond_broadcast(&retry->cond);
}

static void *work(void *arg)
{
	struct soft_retry *retry = arg;
	struct soft_qp *qp;

	pthread_mutex_lock(&retry->lock);
	while (!retry->must_stop) {
		qp = first_waiting(retry);
		if (qp && qp->sq.wake_at <= soft_now_ns())
			run(retry, qp);
		else
			sleep_until(retry, qp);
	}
	pthread_mutex_unlock(&retry->lock);
	return NULL;
}

/* the program's signals are for its own threads */
static bool start(struct soft_retry *retry)
{
	sigset_t every, old;

	if (retry->is_started)
		return true;
	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, &old);
	retry->is_started = !pthread_create(&retry->thread, NULL, work, retry);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return retry->is_started;
}

/* ---- ---- */

bool soft_retry_later(struct soft_qp *qp, int64_t ns)
{
	struct soft_retry *retry = &to_context(qp->ibv.context)->retry;
	bool started;

	pthread_mutex_lock(&retry->lock);
	started = !retry->must_stop && start(retry);
	if (started) {
		qp->sq.wake_at =
			soft_now_ns() + (ns < SHORTEST_NS ? SHORTEST_NS : ns);
		if (!qp->sq.is_waiting) {
			qp->sq.next_waiting = retry->waiting;
			retry->waiting = qp;
			qp->sq.is_waiting = true;
		}
		pthread_cond_broadcast(&retry->cond);
	}
	pthread_mutex_unlock(&retry->lock);
	return started;
}

void soft_retry_never(struct soft_qp *qp)
{
	struct soft_retry *retry = &to_context(qp->ibv.context)->retry;

	/* the thread is its parent's, who may have had the lock */
	if (soft_is_inherited(to_context(qp->ibv.context)))
		return;
	pthread_mutex_lock(&retry->lock);
	if (qp->sq.is_waiting)
		unlink_waiting(retry, qp);
	while (retry->running == qp)
		pthread_cond_wait(&retry->cond, &retry->lock);
	pthread_mutex_unlock(&retry->lock);
}

void soft_retry_stop(struct soft_context *ctx)
{
	struct soft_retry *retry = &ctx->retry;

	if (soft_is_inherited(ctx))
		return;
	pthread_mutex_lock(&retry->lock);
	retry->must_stop = true;
	pthread_cond_broadcast(&retry->cond);
	pthread_mutex_unlock(&retry->lock);
	if (retry->is_started)
		pthread_join(retry->thread, NULL);
	pthread_cond_destroy(&retry->cond);
	pthread_mutex_destroy(&retry->lock);
}
