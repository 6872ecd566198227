/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the contract tests share: a registry of each kind, clients that write
 * down what they are told and abort when a rule that always holds is broken,
 * gates to force races with, and waits for a condition. Nothing sleeps for a
 * time, nothing asserts one.
 *
 * In tests.cmake: ibc_test(contract/test_x contract/harness.c).
 *
 * check() may be used in any thread and callback; cmocka's assert_*() only in
 * the test's own thread, outside of callbacks.
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <infiniband/ibclient.h>

#include "fake.h"

/* ---- the registry of the test ---- */

enum h_mode {
	H_NONE,	  /* none is opened: the test does it, and closes it */
	H_MANUAL, /* wait_for() dispatches, in the thread that waits */
	H_POOL,	  /* manual, and three threads of the harness dispatch */
	H_ONE,	  /* one thread */
	H_FOUR,	  /* four */
};

extern struct ibc_registry *h_reg;
extern enum h_mode h_mode;

/* struct CMUnitTest initialisers; the test's name tells the mode */
#define H_TEST(fn, how)                                        \
	{                                                      \
#fn " " #how, fn, h_setup, h_teardown, &how##_ \
	}
#define IN_NONE(fn)	H_TEST(fn, H_NONE)
#define IN_MANUAL(fn)	H_TEST(fn, H_MANUAL)
#define IN_PARALLEL(fn) H_TEST(fn, H_POOL), H_TEST(fn, H_FOUR)
#define IN_THREADS(fn)	H_TEST(fn, H_ONE), IN_PARALLEL(fn)
#define IN_ALL(fn)	IN_MANUAL(fn), IN_THREADS(fn)

/*
 * ON_FAKE(IN_ALL, fn): a test of what the fake devices can and softverbs cannot:
 * a kernel's choice of index or node, objects that are only addresses, a queue
 * that hangs up. cmocka passes over what has no name.
 */
#ifdef IBC_ON_SOFTVERBS
#define ON_FAKE(in, fn)                     \
	{                                   \
		NULL, fn, NULL, NULL, NULL, \
	}
#else
#define ON_FAKE(in, fn) in(fn)
#endif

extern enum h_mode H_NONE_, H_MANUAL_, H_POOL_, H_ONE_, H_FOUR_;

/*
 * Setup starts the fake backend and opens h_reg; teardown closes it and checks
 * that no context, list, event, descriptor or thread is left. All clients must
 * have been unregistered, all references put.
 */
int h_setup(void **state);
int h_teardown(void **state);
/* the two halves, for tests that want attributes of their own */
struct ibc_registry *h_open(const struct ibc_registry_attr *attr);
void h_close(struct ibc_registry *reg);

/* before threads are counted: a sanitizer starts one of its own beside the first */
void h_warm_up(void);

/* ---- checks and waits ---- */

#define check(expr)                                       \
	do {                                              \
		if (!(expr))                              \
			h_die(__FILE__, __LINE__, #expr); \
	} while (0)
/* NULL and this errno */
#define check_null(expr, error)          \
	do {                             \
		errno = 0;               \
		check((expr) == NULL);   \
		check(errno == (error)); \
	} while (0)

void h_die(const char *file, int line, const char *what)
	__attribute__((noreturn));

/*
 * Waits until the expression is true; gives up after a minute. It is evaluated
 * anew whenever something was recorded, a gate moved, or a moment passed; in
 * H_MANUAL something may have been dispatched between. No lock is held.
 */
#define wait_for(expr)                                           \
	do {                                                     \
		struct h_wait h_w = h_wait_begin();              \
		while (!(expr))                                  \
			h_wait(&h_w, __FILE__, __LINE__, #expr); \
	} while (0)

struct h_wait {
	uint64_t give_up;
	unsigned int seen;
};

struct h_wait h_wait_begin(void);
void h_wait(struct h_wait *w, const char *file, int line, const char *what);
/* something changed that wait_for() may wait for */
void h_changed(void);

/* all that was queued for the devices has run, in every mode */
void h_fence(void);

/* ---- gates ---- */

/* zero is closed; gates live as long as the test */
struct gate {
	bool open;
	unsigned int entered, left;
};

void gate_wait(struct gate *gate);  /* enters, waits until it is open, leaves */
void gate_open(struct gate *gate);  /* for good */
void gate_close(struct gate *gate); /* and forgets the counts */
unsigned int gate_entered(struct gate *gate); /* so far, those inside too */
unsigned int gate_left(struct gate *gate);

/* ---- threads of the test ---- */

struct worker {
	void (*fn)(struct worker *w);
	void *arg; /* these are the test's */
	struct rec *rec;
	struct ibc_device *dev;
	struct ibc_client_data *data;
	int error;
	/* these the harness's */
	pthread_t thread;
	int tid;
	bool finished;
};

void worker_start(struct worker *w, void (*fn)(struct worker *w));
void worker_join(struct worker *w);
bool worker_finished(struct worker *w);
/* until it sleeps in the kernel, or has finished: only to lose no race */
void worker_wait_blocked(struct worker *w);

/* ---- clients that write everything down ---- */

enum h_what {
	H_ADD, /* when it begins; result: what it returned, or -1 so far */
	H_REMOVE,
	H_GONE,
	H_RENAME,
	H_EVENT,
	H_ALLOC,
	H_FREE,
	H_NUM_WHAT,
};

struct h_record {
	enum h_what what;
	struct rec *rec;
	uint64_t incarnation;
	pthread_t thread;
	struct ibc_client_data *data;
	struct ibc_event event;
	char name[64]; /* today's, of the device; H_RENAME: the old one */
	int result;
};

/*
 * The callbacks check, and abort otherwise: add() is first and not repeated
 * after it returned 0, remove() and gone() come once and in this order, nothing
 * else before or after; no two callbacks of a device run at once (alloc and
 * free excepted); the context is open (in gone() it is NULL, or an adopted
 * one's state is GONE); data belongs to device and client and is not freed.
 *
 * Then they record, pass the gate if there is one, then call the hook.
 */
struct rec {
	struct ibc_client client; /* fields may be changed before registering */
	struct gate *gate[H_NUM_WHAT];
	int (*on_add)(struct rec *rec, struct ibc_device *dev);
	void (*on_remove)(struct rec *rec, struct ibc_device *dev,
			  struct ibc_client_data *data);
	void (*on_gone)(struct rec *rec, struct ibc_device *dev);
	void (*on_rename)(struct rec *rec, struct ibc_device *dev,
			  const char *old_name);
	void (*on_event)(struct rec *rec, struct ibc_device *dev,
			 struct ibc_client_data *data,
			 const struct ibc_event *event);
	/* before the object is made; an errno fails the allocation */
	int (*on_alloc)(struct rec *rec, struct ibc_device *dev);
	void (*on_free)(struct rec *rec, struct ibc_client_data *data);
	void *arg;  /* the test's */
	bool async; /* done() of rec_unregister_async() has been called */
	unsigned int live; /* objects that exist */
};

/* alloc, free and gone record too; name: must live as long as the client */
void rec_init(struct rec *rec, const char *name, uint32_t flags);
void rec_register(struct rec *rec);   /* in h_reg; must succeed */
void rec_unregister(struct rec *rec); /* must succeed; no object is left */
void rec_unregister_async(struct rec *rec); /* sets ->async when done */
bool rec_done(struct rec *rec);
/* for ibc_set_client_data(): what alloc makes, initialised; freed the same */
struct ibc_client_data *rec_make(struct rec *rec, struct ibc_device *dev);
unsigned int rec_live(struct rec *rec);

/* ---- the history, of all clients of the test, in order ---- */

/* how often; incarnation 0: all; rec NULL: all */
unsigned int h_count(struct rec *rec, enum h_what what);
unsigned int h_count_of(struct rec *rec, enum h_what what,
			uint64_t incarnation);
unsigned int h_length(void);
/* a copy of the nth record of all */
struct h_record h_record(unsigned int n);
/* position of the nth (from 0) of the kind, else -1 */
int h_find(struct rec *rec, enum h_what what, unsigned int n);
/* the first of one came before the first of the other; both came */
bool h_before(struct rec *a, enum h_what what_a, struct rec *b,
	      enum h_what what_b);
void h_forget(void); /* the records, not the rules' state */

/* ---- devices ---- */

/* waits until it is live; a reference for the caller */
struct ibc_device *h_device(const char *name);
/* the same, and it must be another incarnation than this */
struct ibc_device *h_device_after(const char *name, uint64_t incarnation);

/* ---- the log ---- */

void h_log_capture(void);			    /* until teardown */
unsigned int h_logged(int level, const char *part); /* level 0: any */

/* the history's own setup and teardown */
void h_record_start(void);
void h_record_stop(void);

#endif /* TESTS_HARNESS_H */
