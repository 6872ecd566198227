// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The floor: counts that all threads share, one for each slot. Nothing is looked up,
 * nothing can be replaced or removed: a program that knows that its device stays,
 * and where its count is. The counts are an array of 8 bytes each; or each is in an
 * object of its own, as counts of objects are, so that of many slots fewer fit into
 * the caches.
 */
#include <stdlib.h>

#include "floor.h"
#include "lines.h"
#include "table.h"

struct object {
	_Atomic uint64_t count;
	uint32_t away; /* 0: how far the next slot is from where it would be */
};

struct counts {
	const struct table *table;
	_Atomic uint64_t *count;
	struct object **object;
};

static void *open_counts(const struct table *t)
{
	struct counts *c = need_memory(sizeof(*c));
	uint32_t i, num = t->devices * t->clients;

	c->table = t;
	c->count = need_memory(num * sizeof(*c->count));
	c->object = need_memory(num * sizeof(*c->object));
	for (i = 0; i < num; i++) {
		c->count[i] = 1;
		c->object[i] = line_get();
		c->object[i]->count = 1;
	}
	return c;
}

static inline _Atomic uint64_t *inline_get(struct counts *c, struct place at)
{
	atomic_fetch_add_explicit(&c->count[at.slot], 1, memory_order_acquire);
	return &c->count[at.slot];
}

static inline void inline_put(struct counts *c, struct place at,
			      _Atomic uint64_t *count)
{
	(void)c;
	(void)at;
	if (atomic_fetch_sub_explicit(count, 1, memory_order_acq_rel) == 1)
		abort(); /* the array's own is left */
}

static inline _Atomic uint64_t *so_get(struct counts *c, struct place at)
{
	return floor_get(&c->count[at.slot]);
}

static inline _Atomic uint64_t *object_get(struct counts *c, struct place at)
{
	return floor_get(&c->object[at.slot]->count);
}

static inline void so_put(struct counts *c, struct place at,
			  _Atomic uint64_t *count)
{
	(void)c;
	(void)at;
	if (floor_put(count))
		abort();
}

static inline uint32_t use(struct counts *c, struct place at,
			   _Atomic uint64_t *count)
{
	(void)count;
	return c->object[at.slot]->away;
}

static inline uint64_t refs(const struct counts *c, struct place at)
{
	return c->count[at.slot];
}

static inline uint64_t object_refs(const struct counts *c, struct place at)
{
	return c->object[at.slot]->count;
}

LOOP(inline_loop, struct counts, inline_get, inline_put)
LOOP(so_loop, struct counts, so_get, so_put)
USE_LOOP(so_use_loop, struct counts, so_get, use, so_put)
USE_LOOP(object_use_loop, struct counts, object_get, use, so_put)
LOOP(object_loop, struct counts, object_get, so_put)
CHECK(inline_check, struct counts, inline_get, inline_put, refs)
CHECK(so_check, struct counts, so_get, so_put, refs)
CHECK(object_check, struct counts, object_get, so_put, object_refs)
BALANCED(balanced, struct counts, refs)
BALANCED(objects_balanced, struct counts, object_refs)

static bool close_counts(void *context)
{
	struct counts *c = context;
	bool good = balanced(c) && objects_balanced(c);
	uint32_t i, num = c->table->devices * c->table->clients;

	for (i = 0; i < num; i++)
		line_put(c->object[i]);
	free(c->object);
	free(c->count);
	free(c);
	return good;
}

const struct way way_inline = {
	.name = "shared atomic, inline",
	.what = "a counter that all threads share, no lookup",
	.open = open_counts,
	.close = close_counts,
	.check = inline_check,
	.get_put = inline_loop,
	.hold_put = inline_loop,
};

const struct way way_in_so = {
	.name = "shared atomic in a .so",
	.what = "the same behind two calls into a library",
	.open = open_counts,
	.close = close_counts,
	.check = so_check,
	.get_put = so_loop,
	.use_put = so_use_loop,
	.alloc_put = so_loop,
	.hold_put = so_loop,
};

const struct way way_objects = {
	.name = "shared atomic in an object",
	.what = "the same, each count in an object of its own",
	.open = open_counts,
	.close = close_counts,
	.check = object_check,
	.get_put = object_loop,
	.use_put = object_use_loop,
	.hold_put = object_loop,
};
