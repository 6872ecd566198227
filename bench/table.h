/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What is looked up: a table of slots, one for each (device, client), and the ways
 * of finding, holding and dropping what is in a slot. All ways touch the same slots
 * in the same order.
 */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "measure.h"

/* a NIC or two is what most machines have; eight is what a list is made for */
#define LEAST_DEVICES 8

/*
 * slots == devices * clients, but for a single one, which is of the device in the
 * middle of LEAST_DEVICES. slots is a power of two. Who looks up has a device and a
 * client in hand: no way is to pay for finding out which they are.
 */
struct place {
	uint32_t slot;
	uint16_t device, client;
};

struct table {
	unsigned int devices, clients, slots;
	struct place *order; /* the slots, shuffled */
};

struct table *table_make(unsigned int devices, unsigned int clients,
			 unsigned int slots);
void table_free(struct table *table);

static inline struct place table_place(const struct table *t, uint32_t slot)
{
	struct place place = { slot, slot / t->clients, slot % t->clients };

	return place;
}

/* what a lookup under RCU needs: zero is final */
static inline bool get_unless_zero(_Atomic uint64_t *refs)
{
	uint64_t old = atomic_load_explicit(refs, memory_order_relaxed);

	do {
		if (!old)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(refs, &old, old + 1,
							memory_order_acquire,
							memory_order_relaxed));
	return true;
}

/*
 * A way of doing it, as a table of functions for one table of slots. What open()
 * returns is the context of the others.
 */
struct way {
	const char *name, *what;
	void *(*open)(const struct table *table);
	/* false: a count is not what it was at first */
	bool (*close)(void *context);
	/* one get and one put of each slot: do they find it, hold it, drop it? */
	bool (*check)(void *context);
	/* loops for struct contender; NULL: it has no such operation */
	void (*get_put)(void *context, unsigned int thread, uint64_t from,
			uint64_t count);
	/* what was got is read before it is put, and tells which is the next */
	void (*use_put)(void *context, unsigned int thread, uint64_t from,
			uint64_t count);
	void (*alloc_put)(void *context, unsigned int thread, uint64_t from,
			  uint64_t count);
	void (*hold_put)(void *context, unsigned int thread, uint64_t from,
			 uint64_t count);
	void (*enter)(void *context, unsigned int thread);
	void (*leave)(void *context, unsigned int thread);
	unsigned int max_slots; /* more take too long; 0: any number */
};

/*
 * Defines the loop NAME: get and put are functions, inline where the compiler likes,
 * of the context and the place. Contexts begin with a pointer to their table. Each
 * thread begins elsewhere.
 */
#define LOOP(NAME, CONTEXT, GET, PUT)                                       \
	static void NAME(void *context, unsigned int thread, uint64_t from, \
			 uint64_t count)                                    \
	{                                                                   \
		CONTEXT *c = context;                                       \
		const struct table t = *c->table;                           \
		struct place at;                                            \
                                                                            \
		from += thread * (t.slots / MAX_THREADS);                   \
		for (; count; from++, count--) {                            \
			at = t.order[from & (t.slots - 1)];                 \
			PUT(c, at, GET(c, at));                             \
		}                                                           \
	}

/*
 * The same, and USE reads the object: it returns 0, which the processor does not know
 * before it has the object. So no lookup begins before the one before it has got
 * something, as in programs that do something with what they look up. In LOOP a
 * processor has several on the way at once.
 */
#define USE_LOOP(NAME, CONTEXT, GET, USE, PUT)                              \
	static void NAME(void *context, unsigned int thread, uint64_t from, \
			 uint64_t count)                                    \
	{                                                                   \
		CONTEXT *c = context;                                       \
		const struct table t = *c->table;                           \
		uint32_t away = 0;                                          \
		struct place at;                                            \
                                                                            \
		from += thread * (t.slots / MAX_THREADS);                   \
		for (; count; from++, count--) {                            \
			at = t.order[(from + away) & (t.slots - 1)];        \
			__typeof__(GET(c, at)) thing = GET(c, at);          \
			away = USE(c, at, thing);                           \
			PUT(c, at, thing);                                  \
		}                                                           \
	}

/*
 * Defines what way->check and way->close want, of REFS(context, slot), which is 1
 * while nobody holds anything.
 */
#define CHECK(NAME, CONTEXT, GET, PUT, REFS)                       \
	static bool NAME(void *context)                            \
	{                                                          \
		CONTEXT *c = context;                              \
		struct place at;                                   \
		uint32_t i;                                        \
                                                                   \
		for (i = 0; i < c->table->slots; i++) {            \
			at = c->table->order[i];                   \
			__typeof__(GET(c, at)) thing = GET(c, at); \
			if (!thing || REFS(c, at) != 2)            \
				return false;                      \
			PUT(c, at, thing);                         \
			if (REFS(c, at) != 1)                      \
				return false;                      \
		}                                                  \
		return true;                                       \
	}

#define BALANCED(NAME, CONTEXT, REFS)                                       \
	static bool NAME(const CONTEXT *c)                                  \
	{                                                                   \
		uint32_t slot, num = c->table->devices * c->table->clients; \
                                                                            \
		for (slot = 0; slot < num; slot++)                          \
			if (REFS(c, table_place(c->table, slot)) != 1)      \
				return false;                               \
		return true;                                                \
	}

extern const struct way way_ours, way_tracked;
extern const struct way way_inline, way_in_so, way_objects;
extern const struct way way_mutex, way_rwlock, way_spinlock;
extern const struct way way_spdk, way_spdk_list, way_librdmacm, way_nccl;
extern const struct way way_urcu_bp, way_urcu_memb, way_kernel;

#endif /* BENCH_TABLE_H */
