// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Waiting awake, at the start of a program. Where a CPU sleeps, to wake a thread on
 * it takes who wakes it 30 to 50 us and the thread as long again (measured:
 * Documentation/performance.md); eight quick devices are open in 500. So while
 * somebody registers a client, and at no other time,
 *
 *   - the leader of the loop does not sleep at once: there will be devices to open;
 *   - who registers does not, when there are none left: add() is about to return.
 *
 * Each yields its CPU all the while, so that nobody waits for who waits, and sleeps
 * after LINGER_US. Nothing but time depends on it: what they look at are hints, and
 * both look again under the lock.
 *
 * reg->registering, reg->woken and c->told are read here without a lock.
 */
#include <sched.h>

#include "private.h"

#define LINGER_US 300

static bool linger(uint64_t until)
{
	sched_yield();
	return ibc__now_us() < until;
}

/*
 * No lock held: the leader, before it waits for news. What is written to wake_fd
 * ends it; of other news it hears LINGER_US later.
 */
void ibc__linger(struct ibc_registry *reg)
{
	uint64_t until;

	if (!reg->registering || ibc__manual(reg))
		return;
	until = ibc__now_us() + LINGER_US;
	while (reg->registering && !reg->woken && linger(until))
		;
}

/*
 * The same as ibc__lock(), for who has just been woken by one that holds the lock for
 * some microseconds more.
 */
void ibc__lock_awake(struct ibc_registry *reg)
{
	uint64_t until;

	if (reg->registering && !ibc__manual(reg)) {
		until = ibc__now_us() + LINGER_US;
		do {
			if (!pthread_mutex_trylock(&reg->lock))
				return;
		} while (linger(until));
	}
	ibc__lock(reg);
}

/* lock held, and dropped meanwhile: until so many add() more have returned */
void ibc__linger_for_adds(struct ibc__client *c, unsigned int num)
{
	uint64_t until = ibc__now_us() + LINGER_US;
	struct ibc_registry *reg = c->reg;
	unsigned int told = c->told;

	if (!num || ibc__manual(reg))
		return;
	ibc__unlock(reg);
	while (c->told - told < num && linger(until))
		;
	ibc__lock_awake(reg);
}
