/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Guarantee 20, swept. A point is one life of a registry, from open to close, in
 * which one chosen call of the library's fails: the n-th of its kind, once, or
 * all from the n-th on until the fault goes away. Each point is a process of its
 * own. It fails if that crashes, hangs, breaks a rule of the contract, or leaves a
 * descriptor, a thread, a context, a stream or a piece of memory.
 *
 * sweep.c goes through the points; life.c has what lives share, lives.c the
 * lives.
 */
#ifndef TESTS_SWEEP_H
#define TESTS_SWEEP_H

#include "harness2.h"
#include "inject.h"

/* ---- lives.c ---- */

struct life {
	const char *name;
	void (*live)(void);
	bool tolerant; /* of a removal that nobody asked for */
	/* the fake devices, so that the kernel's own sources are opened, too */
	enum { IN_SIMULATOR, IN_KERNEL, IN_KERNEL_TOO } devices;
};

extern const struct life sweep_lives[];
extern const unsigned int sweep_num_lives;

/* ---- life.c: what lives are made of; they run in the point's process ---- */

/* how a fault was answered: the best that is true */
enum sweep_answer {
	SWEEP_NO_FAULT, /* the call was not reached */
	SWEEP_COPED,	/* nothing is missing, nothing was said */
	SWEEP_TOLD,	/* log or dump have the error */
	SWEEP_RETURNED, /* a call of the test's returned the error */
};

struct sweep_fault {
	enum inject_call call;
	int error;
	unsigned int nth; /* 0: none, count */
	bool lasting;
	bool must_tell; /* to be returned, or told */
};

/* runs the life from a clean process to a clean process */
enum sweep_answer sweep_live(const struct life *life, enum h_mode mode,
			     const struct sweep_fault *fault);

/* a failure is what was injected, and then only once: true: try again */
bool sweep_again(int error);

/* a call that returns an errno succeeds, at the second try at the latest */
#define RETRY(call)                         \
	do {                                \
		int r_error = call;         \
		if (sweep_again(r_error))   \
			check((call) == 0); \
	} while (0)

/* the same for one that returns a pointer, or NULL and errno */
#define RETRY_POINTER(result, call)                               \
	do {                                                      \
		errno = 0;                                        \
		(result) = (call);                                \
		if (!(result) && sweep_again(errno ? errno : -1)) \
			check(((result) = (call)));               \
	} while (0)

/* what the process waits for is told if it is killed for waiting too long */
#define await(expr)                 \
	do {                        \
		sweep_doing(#expr); \
		wait_for(expr);     \
		sweep_doing(NULL);  \
	} while (0)
void sweep_doing(const char *what);

/* h_reg, in the way of the mode, with the attributes that are not zero */
void sweep_open(const struct ibc_registry_attr *attr);
void sweep_close(void);
void sweep_register(struct rec *rec);
/* add() calls of the pair that returned 0 */
unsigned int sweep_adds(struct rec *rec, uint64_t incarnation);
/* each client that had an add() of it, and no remove(), has it */
bool sweep_has(struct rec *rec, struct ibc_device *dev);
/* each add() that returned 0 had one remove(), and its gone(), too */
void sweep_check_pairs(struct rec *rec);
void sweep_dump(void);

#endif /* TESTS_SWEEP_H */
