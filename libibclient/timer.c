// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Deadlines: a sorted list and one timerfd, armed for the first. Few are ever
 * armed at once (retries, drain warnings, the fallback rescan), and none in a
 * quiet process. reg->lock is held.
 *
 * Where the timerfd cannot be set (->timer_late), the leader sleeps no longer than
 * until the first deadline, and tries again; a manual registry's descriptor stays
 * readable so long, so that its owner dispatches and does that.
 */
#include <sys/timerfd.h>

#include "private.h"

/* the timerfd rounds nothing away: one millisecond late rather than early */
static void set_timerfd(struct ibc_registry *reg)
{
	struct ibc__timer *first = TAILQ_FIRST(&reg->timers);
	struct itimerspec spec = {};
	uint64_t at = first ? first->at : 0;

	reg->timer_late = false;
	if (at == reg->timer_set || !ibc__ours(reg))
		return;
	reg->timer_set = at;
	if (at) {
		spec.it_value.tv_sec = at / 1000;
		spec.it_value.tv_nsec = at % 1000 * 1000000;
	}
	if (!timerfd_settime(reg->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL))
		return;
	reg->timer_set = 0;
	reg->timer_late = at;
	if (reg->timer_late)
		ibc__wake_leader(reg);
}

/* until when the leader may sleep, if nothing is to happen before @deadline */
uint64_t ibc__timers_limit(struct ibc_registry *reg, uint64_t deadline)
{
	struct ibc__timer *first = TAILQ_FIRST(&reg->timers);

	return reg->timer_late && first && first->at < deadline ? first->at :
								  deadline;
}

void ibc__timer_stop(struct ibc_registry *reg, struct ibc__timer *timer)
{
	if (!timer->armed)
		return;
	timer->armed = false;
	TAILQ_REMOVE(&reg->timers, timer, entry);
	set_timerfd(reg);
}

/* a timer that is armed already moves */
void ibc__timer_arm(struct ibc_registry *reg, struct ibc__timer *timer,
		    uint64_t at)
{
	struct ibc__timer *other;

	if (timer->armed && timer->at == at)
		return;
	if (timer->armed)
		TAILQ_REMOVE(&reg->timers, timer, entry);
	timer->armed = true;
	timer->at = at;
	TAILQ_FOREACH(other, &reg->timers, entry)
		if (other->at > at)
			break;
	if (other)
		TAILQ_INSERT_BEFORE(other, timer, entry);
	else
		TAILQ_INSERT_TAIL(&reg->timers, timer, entry);
	set_timerfd(reg);
}

void ibc__timers_expire(struct ibc_registry *reg)
{
	uint64_t now = ibc__now();
	struct ibc__timer *timer;

	reg->timer_set = 0;
	while ((timer = TAILQ_FIRST(&reg->timers)) && timer->at <= now) {
		timer->armed = false;
		TAILQ_REMOVE(&reg->timers, timer, entry);
		timer->fire(timer);
	}
	set_timerfd(reg);
}
