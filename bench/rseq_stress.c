// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Do the counters of rseq_counter.c count right? Threads, more than there are CPUs,
 * get and put, and keep what they got for a while; so do their signal handlers. One
 * of them has no rseq area, and so counts in the central word. One
 * thread publishes objects in their slot, kills them, with and without another in
 * its place, and publishes the same again. One sends signals and moves the threads
 * from CPU to CPU.
 *
 * An object knows who uses it and whether it is alive. Wrong is: one that is freed
 * while it is used, freed twice, or used when it is free; at the end, when all was
 * put and killed, one that was never freed. Two kinds are broken on purpose, and
 * must be found wrong, or the others' being right means nothing.
 *
 * Who makes a count zero pushes the object onto ->freed, in handlers too; only the
 * thread that publishes takes from there, all at once.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"
#include "rseq_trial.h"

#define NUM_OBJECTS 6
#define NUM_WORKERS 5
#define MAX_HELD    4 /* of one worker */
#define PAUSE_NS    20000
#define PATIENCE    10 /* times as long for what must be found wrong */

struct object {
	struct trial_ref ref;
	atomic_bool alive, unfreed;
	atomic_int users;
};

struct worker {
	pthread_t id;
	unsigned int seed;
	unsigned long gets, restarts, given_up;
};

static struct stress {
	const struct trial_kind *kind;
	struct trial_slot slot;
	struct object objects[NUM_OBJECTS];
	struct worker workers[NUM_WORKERS];
	_Atomic(struct trial_ref *) freed;
	struct trial_ref *spare; /* the publisher's */
	_Atomic(const char *) wrong;
	atomic_bool over;
	atomic_ulong handler_gets;
	unsigned long kills, moves, signals;
} stress;

static void is_wrong(const char *what)
{
	const char *none = NULL;

	atomic_compare_exchange_strong(&stress.wrong, &none, what);
	stress.over = true;
}

/* ---- get and put, with what is known of the object ---- */

static struct object *begin_use(void)
{
	struct trial_ref *ref = stress.kind->get(&stress.slot);
	struct object *object = ref ? ref->data : NULL;

	if (!object)
		return NULL;
	object->users++;
	if (!object->alive)
		is_wrong("get found an object that is free");
	return object;
}

static void put(struct object *object)
{
	struct trial_ref *ref = &object->ref;

	if (!stress.kind->put(ref))
		return;
	if (object->users)
		is_wrong("an object was freed that is in use");
	object->alive = false;
	if (!atomic_exchange(&object->unfreed, false)) {
		is_wrong("an object was freed twice");
		return; /* it is in the chain already */
	}
	ref->next = stress.freed;
	while (!atomic_compare_exchange_weak(&stress.freed, &ref->next, ref))
		;
}

static void end_use(struct object *object)
{
	if (!object->alive)
		is_wrong("an object was freed that is held");
	object->users--;
	put(object);
}

static void on_signal(int number)
{
	struct object *object = begin_use();

	(void)number;
	if (!object)
		return;
	stress.handler_gets++;
	end_use(object);
}

/* ---- the threads ---- */

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct object *held[MAX_HELD] = {};
	unsigned int i;

	trial_restarts = trial_given_up = 0;
	/* one of them has the others' fall-back only */
	if (worker == stress.workers && stress.kind->rseq &&
	    !trial_leave_rseq())
		fail("a thread cannot do without its rseq area");
	while (!stress.over) {
		i = rand_r(&worker->seed) % MAX_HELD;
		if (held[i]) {
			end_use(held[i]);
			held[i] = NULL;
		} else {
			held[i] = begin_use();
			worker->gets += held[i] != NULL;
		}
	}
	for (i = 0; i < MAX_HELD; i++)
		if (held[i])
			end_use(held[i]);
	worker->restarts = trial_restarts;
	worker->given_up = trial_given_up;
	return NULL;
}

static void move(struct worker *worker, unsigned int to)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpus_number(to), &set);
	if (pthread_setaffinity_np(worker->id, sizeof(set), &set))
		fail("a thread cannot be moved");
}

static void *disturb(void *arg)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	unsigned int seed = 1;
	struct worker *worker;

	(void)arg;
	while (!stress.over) {
		worker = &stress.workers[rand_r(&seed) % NUM_WORKERS];
		if (rand_r(&seed) % 2) {
			pthread_kill(worker->id, SIGUSR1);
			stress.signals++;
		} else {
			move(worker, rand_r(&seed) % num_cpus());
			stress.moves++;
		}
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* ---- who publishes and kills ---- */

static struct trial_ref *take_spare(void)
{
	struct trial_ref *ref;

	if (!stress.spare)
		stress.spare = atomic_exchange(&stress.freed, NULL);
	ref = stress.spare;
	if (ref)
		stress.spare = ref->next;
	return ref;
}

static void publish(struct trial_ref *ref)
{
	struct object *object = (struct object *)ref;

	object->unfreed = true;
	object->alive = true;
	trial_init(ref, ref->shards, object);
	stress.kind->publish(ref);
}

/* puts @with (NULL: nothing) in the place of what is there */
static void replace(struct trial_ref *with)
{
	struct trial_ref *old = stress.slot.cur;

	if (with)
		publish(with);
	stress.slot.cur = with;
	if (with)
		put((struct object *)with); /* what the slot has remains */
	if (!old)
		return;
	stress.kind->kill(old);
	put((struct object *)old);
	stress.kills++;
}

/* the same object again, which may be held all the time */
static void publish_again(void)
{
	struct trial_ref *ref = stress.slot.cur;

	if (!ref)
		return;
	stress.slot.cur = NULL;
	stress.kind->kill(ref);
	stress.kind->publish(ref);
	stress.slot.cur = ref;
	put((struct object *)ref);
	stress.kills++;
}

static void publish_and_kill(double seconds)
{
	double end = now_ns() + seconds * 1e9;
	unsigned int seed = 2, spin;
	struct trial_ref *ref;

	while (!stress.over && now_ns() < end) {
		if (rand_r(&seed) % 4 == 0) {
			publish_again();
		} else {
			ref = take_spare();
			/* none: those who hold them all have to run */
			if (!ref)
				sched_yield();
			replace(ref);
		}
		for (spin = rand_r(&seed) % 512; spin; spin--)
			__builtin_ia32_pause();
	}
	stress.over = true;
}

/* ---- one kind after the other ---- */

static void start(pthread_t *id, void *(*fn)(void *arg), void *arg)
{
	int error = pthread_create(id, NULL, fn, arg);

	if (error)
		fail("no thread can be made: %s", strerror(error));
}

static void begin(const struct trial_kind *kind)
{
	unsigned int i;

	memset(&stress, 0, sizeof(stress));
	stress.kind = kind;
	for (i = 0; i < NUM_OBJECTS; i++) {
		stress.objects[i].ref.shards = trial_shards(i);
		stress.objects[i].ref.next = stress.spare;
		stress.spare = &stress.objects[i].ref;
	}
}

static void check_end(void)
{
	unsigned int i;

	for (i = 0; i < NUM_OBJECTS; i++) {
		if (stress.objects[i].unfreed)
			is_wrong("an object was never freed");
		if (stress.objects[i].users)
			is_wrong("an object's users are not what they were");
	}
}

static bool report(void)
{
	unsigned long gets = 0, restarts = 0, given_up = 0;
	const char *wrong = stress.wrong;
	bool good = stress.kind->broken ? wrong || num_cpus() < 2 : !wrong;
	unsigned int i;

	for (i = 0; i < NUM_WORKERS; i++) {
		gets += stress.workers[i].gets;
		restarts += stress.workers[i].restarts;
		given_up += stress.workers[i].given_up;
	}
	printf("%-20s  %9lu gets, %lu in handlers; %lu kills; %lu signals, "
	       "%lu moves; %lu begun anew, %lu given up\n"
	       "%-20s  %s%s%s\n",
	       stress.kind->name, gets, stress.handler_gets, stress.kills,
	       stress.signals, stress.moves, restarts, given_up, "",
	       good ? "ok" : "NOT OK", wrong ? ": " : "",
	       wrong		   ? wrong :
	       stress.kind->broken ? ": nothing was found wrong with it" :
				     "");
	fflush(stdout);
	return good;
}

static bool run(const struct trial_kind *kind, double seconds)
{
	pthread_t disturber;
	unsigned int i;

	begin(kind);
	replace(take_spare());
	for (i = 0; i < NUM_WORKERS; i++) {
		stress.workers[i].seed = 100 + i;
		start(&stress.workers[i].id, work, &stress.workers[i]);
	}
	start(&disturber, disturb, NULL);
	publish_and_kill(seconds);
	pthread_join(disturber, NULL);
	for (i = 0; i < NUM_WORKERS; i++)
		pthread_join(stress.workers[i].id, NULL);
	replace(NULL);
	check_end();
	return report();
}

bool trial_stress(double seconds)
{
	static const struct trial_kind *const kinds[] = {
		&trial_shared,	  &trial_percpu,     &trial_sequence,
		&trial_stretched, &trial_no_restart, &trial_no_fence,
	};
	struct sigaction action = { .sa_handler = on_signal,
				    .sa_flags = SA_RESTART };
	bool good = true;
	unsigned int i;

	cpus_init();
	if (num_cpus() < 2)
		printf("One CPU only: nobody is moved, and what is broken may "
		       "do no harm.\n");
	sigaction(SIGUSR1, &action, NULL);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		good &= run(kinds[i],
			    seconds * (kinds[i]->broken ? PATIENCE : 1));
	return good;
}
