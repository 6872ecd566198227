// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What a program writes that has data for each device: a lock, and a list of
 * entries that are found by their device and counted. Each client has its own.
 *
 * Under the mutex and the spinlock the count is a plain number, and put takes the
 * lock, too. The rwlock is only read-locked by get, so the count is atomic, and put
 * needs the lock only for the last one, which the list's own reference prevents.
 */
#include <pthread.h>
#include <stdlib.h>

#include "table.h"

enum kind {
	MUTEX,
	RWLOCK,
	SPINLOCK,
};

struct entry {
	struct entry *next;
	const void *device;
	_Atomic uint64_t refs;
};

struct list {
	_Alignas(64) union {
		pthread_mutex_t mutex;
		pthread_rwlock_t rwlock;
		pthread_spinlock_t spinlock;
	};
	struct entry *first;
};

struct lists {
	const struct table *table;
	enum kind kind;
	char *devices; /* their addresses are what devices are known by */
	struct list *list;
	struct entry **entry; /* of each slot: for who holds it already */
};

/* each call knows its kind when it is compiled */
#define INLINE static inline __attribute__((always_inline))

INLINE void lock(struct list *list, enum kind kind, bool write)
{
	if (kind == MUTEX)
		pthread_mutex_lock(&list->mutex);
	else if (kind == SPINLOCK)
		pthread_spin_lock(&list->spinlock);
	else if (write)
		pthread_rwlock_wrlock(&list->rwlock);
	else
		pthread_rwlock_rdlock(&list->rwlock);
}

INLINE void unlock(struct list *list, enum kind kind)
{
	if (kind == MUTEX)
		pthread_mutex_unlock(&list->mutex);
	else if (kind == SPINLOCK)
		pthread_spin_unlock(&list->spinlock);
	else
		pthread_rwlock_unlock(&list->rwlock);
}

INLINE void count(struct entry *e, enum kind kind, int64_t by)
{
	if (kind == RWLOCK) {
		atomic_fetch_add_explicit(&e->refs, by, memory_order_acq_rel);
		return;
	}
	atomic_store_explicit(
		&e->refs,
		atomic_load_explicit(&e->refs, memory_order_relaxed) + by,
		memory_order_relaxed);
}

INLINE struct entry *find(struct list *list, const void *device)
{
	struct entry *e;

	for (e = list->first; e && e->device != device; e = e->next)
		;
	return e;
}

/* the write lock is held */
static struct entry *insert(struct list *list, const void *device)
{
	struct entry *e = need_memory(sizeof(*e));

	e->device = device;
	e->refs = 1;
	e->next = list->first;
	list->first = e;
	return e;
}

static void forget(struct list *list, struct entry *entry)
{
	struct entry **at = &list->first;

	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	free(entry);
}

INLINE struct entry *get(struct lists *c, struct place at, enum kind kind,
			 bool make)
{
	struct list *list = &c->list[at.client];
	const void *device = &c->devices[at.device];
	struct entry *e;

	lock(list, kind, false);
	e = find(list, device);
	if (!e && make && kind == RWLOCK) {
		unlock(list, kind);
		lock(list, kind, true);
		e = find(list, device);
	}
	if (!e && make)
		e = insert(list, device);
	if (e)
		count(e, kind, 1);
	unlock(list, kind);
	return e;
}

INLINE void put(struct lists *c, struct place at, struct entry *e,
		enum kind kind)
{
	struct list *list = &c->list[at.client];

	if (kind == RWLOCK) {
		if (atomic_fetch_sub_explicit(&e->refs, 1,
					      memory_order_acq_rel) == 1) {
			lock(list, kind, true);
			forget(list, e);
			unlock(list, kind);
		}
		return;
	}
	lock(list, kind, true);
	count(e, kind, -1);
	if (!atomic_load_explicit(&e->refs, memory_order_relaxed))
		forget(list, e);
	unlock(list, kind);
}

/* one more of what is held: the entry is known, the lock still guards it */
INLINE struct entry *hold(struct lists *c, struct place at, enum kind kind)
{
	struct list *list = &c->list[at.client];
	struct entry *e = c->entry[at.slot];

	if (kind != RWLOCK)
		lock(list, kind, true);
	count(e, kind, 1);
	if (kind != RWLOCK)
		unlock(list, kind);
	return e;
}

static uint64_t refs(const struct lists *c, struct place at)
{
	struct entry *e = find(&c->list[at.client], &c->devices[at.device]);

	return e ? e->refs : 0;
}

/* ---- a table ---- */

static void init_lock(struct list *list, enum kind kind)
{
	if (kind == MUTEX)
		pthread_mutex_init(&list->mutex, NULL);
	else if (kind == RWLOCK)
		pthread_rwlock_init(&list->rwlock, NULL);
	else
		pthread_spin_init(&list->spinlock, PTHREAD_PROCESS_PRIVATE);
}

static void destroy_lock(struct list *list, enum kind kind)
{
	if (kind == MUTEX)
		pthread_mutex_destroy(&list->mutex);
	else if (kind == RWLOCK)
		pthread_rwlock_destroy(&list->rwlock);
	else
		pthread_spin_destroy(&list->spinlock);
}

static void *open_lists(const struct table *t, enum kind kind)
{
	struct lists *c = need_memory(sizeof(*c));
	unsigned int i, j;

	c->table = t;
	c->kind = kind;
	c->devices = need_memory(t->devices);
	c->list = need_memory(t->clients * sizeof(*c->list));
	c->entry = need_memory(t->devices * t->clients * sizeof(*c->entry));
	for (i = 0; i < t->clients; i++) {
		init_lock(&c->list[i], kind);
		for (j = 0; j < t->devices; j++)
			c->entry[j * t->clients + i] =
				insert(&c->list[i], &c->devices[j]);
	}
	return c;
}

BALANCED(balanced, struct lists, refs)

static bool close_lists(void *context)
{
	struct lists *c = context;
	bool good = balanced(c);
	unsigned int i;

	for (i = 0; i < c->table->clients; i++) {
		while (c->list[i].first)
			forget(&c->list[i], c->list[i].first);
		destroy_lock(&c->list[i], c->kind);
	}
	free(c->list);
	free(c->entry);
	free(c->devices);
	free(c);
	return good;
}

/* ---- the three ---- */

#define LIST_WAY(NAME, KIND)                                            \
	static void *NAME##_open(const struct table *t)                 \
	{                                                               \
		return open_lists(t, KIND);                             \
	}                                                               \
	static inline struct entry *NAME##_get(struct lists *c,         \
					       struct place at)         \
	{                                                               \
		return get(c, at, KIND, false);                         \
	}                                                               \
	static inline struct entry *NAME##_make(struct lists *c,        \
						struct place at)        \
	{                                                               \
		return get(c, at, KIND, true);                          \
	}                                                               \
	static inline struct entry *NAME##_hold(struct lists *c,        \
						struct place at)        \
	{                                                               \
		return hold(c, at, KIND);                               \
	}                                                               \
	static inline void NAME##_put(struct lists *c, struct place at, \
				      struct entry *e)                  \
	{                                                               \
		put(c, at, e, KIND);                                    \
	}                                                               \
	LOOP(NAME##_get_put, struct lists, NAME##_get, NAME##_put)      \
	LOOP(NAME##_alloc_put, struct lists, NAME##_make, NAME##_put)   \
	LOOP(NAME##_hold_put, struct lists, NAME##_hold, NAME##_put)    \
	CHECK(NAME##_check, struct lists, NAME##_make, NAME##_put, refs)

LIST_WAY(mutex, MUTEX)
LIST_WAY(rwlock, RWLOCK)
LIST_WAY(spinlock, SPINLOCK)

const struct way way_mutex = {
	.name = "mutex + list",
	.what = "what most programs have",
	.open = mutex_open,
	.close = close_lists,
	.check = mutex_check,
	.get_put = mutex_get_put,
	.alloc_put = mutex_alloc_put,
	.hold_put = mutex_hold_put,
};

const struct way way_rwlock = {
	.name = "rwlock + list",
	.what = "readers beside each other, an atomic count",
	.open = rwlock_open,
	.close = close_lists,
	.check = rwlock_check,
	.get_put = rwlock_get_put,
	.alloc_put = rwlock_alloc_put,
	.hold_put = rwlock_hold_put,
};

const struct way way_spinlock = {
	.name = "spinlock + list",
	.what = "the same as the mutex, without ever sleeping",
	.open = spinlock_open,
	.close = close_lists,
	.check = spinlock_check,
	.get_put = spinlock_get_put,
	.alloc_put = spinlock_alloc_put,
	.hold_put = spinlock_hold_put,
};
