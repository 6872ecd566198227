/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Torture: everything at once, at random, and a checker that knows the contract.
 *
 * A run is rounds. Each opens a registry of another kind, lets its actors loose
 * for a moment, ends them, closes the registry and looks for what is left.
 *
 *   hardware.c	threads that make devices come, go, change their names, fail
 *   clients.c	the callbacks, and threads that register and unregister
 *   users.c	threads that ask for data, keep it for a while, replace it
 *   inside.c	what is done inside of callbacks, for oneself and for others
 *   owners.c	threads whose contexts are adopted, with QPs, events, handlers
 *   data.c	the objects, which know when they were freed too early
 *   history.c	what was called for which client and device, and whether it may
 *
 * The checker takes no lock in a callback and uses no ordered atomics: it would
 * order what the library should have, and hide that from ThreadSanitizer. What
 * only a device's callbacks touch is plain: were two to run at once, or one
 * after a fence, that is a race that ThreadSanitizer sees.
 */
#ifndef TESTS_TORTURE_H
#define TESTS_TORTURE_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <infiniband/ibclient.h>

#include "fake.h"

/* the run has failed: says why and aborts, which says how to repeat it */
void torture_fail(const char *file, int line, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
#define must(expr)          \
	((expr) ? (void)0 : \
		  torture_fail(__FILE__, __LINE__, "not so: %s", #expr))

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* ---- chance ---- */

struct dice {
	uint64_t state;
};

/* the same words give the same dice: a callback's do not depend on its thread */
struct dice dice_of(uint64_t a, uint64_t b, uint64_t c);
unsigned int roll(struct dice *dice, unsigned int sides);
/* some of the time a moment passes, up to @us microseconds */
void linger(struct dice *dice, unsigned int us);

/* ---- what was done ---- */

enum figure {
	DEVICES_ADDED,
	REMOVALS_SILENT,
	REMOVALS_FATAL,
	DEVICE_RESETS,
	DEVICE_RENAMES,
	EVENTS_SENT,
	CALLS_FAILED,
	ADDS,
	ADDS_FAILED,
	ADDS_DECLINED,
	REMOVES,
	GONES,
	RENAMES,
	EVENTS,
	REGISTERED,
	UNREGISTERED,
	UNREGISTERED_TIMED,
	UNREGISTERED_ASYNC,
	GETS,
	GETS_REFUSED,
	ALLOCS,
	ALLOCS_FAILED,
	FREES,
	PUBLISHED,
	LOST_RACES,
	REPORTS,
	REMOVALS_ASKED,
	DUMPS,
	ERRANDS,
	ASKED_INSIDE,
	ADOPTED,
	HANDLERS,
	HANDLER_CALLS,
	NUM_FIGURES,
};

void count(enum figure figure);
uint64_t figure(enum figure figure);
/* of something that there must be */
void count_down(atomic_uint *of);

/* ---- the run ---- */

struct actor {
	void (*run)(struct actor *actor);
	unsigned int number; /* among those of its kind */
	struct dice dice;
	pthread_t thread;
};

extern struct ibc_registry *torture_registry;
extern bool torture_shares;   /* it is the process's shared one */
extern uint64_t torture_seed; /* of this round */
bool torture_goes_on(void);

void hardware_run(struct actor *actor);
void client_run(struct actor *actor);
void user_run(struct actor *actor);
void owner_run(struct actor *actor);

/* when all hardware_run() have ended: is it listed; and away with them all */
bool hardware_is_there(int index);
void hardware_end(void);

/* a device that may be there, with a reference; NULL: none just now */
struct ibc_device *some_device(struct dice *dice);

#define HARDWARE_THREADS 2
#define NAMES_PER_THREAD 3

#endif /* TESTS_TORTURE_H */
