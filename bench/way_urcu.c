// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RCU and a hash table, both liburcu's: a lookup in a read-side critical section,
 * and a count that is raised unless it is zero. Compiled once for each flavour, with
 * FLAVOUR_BP or without. bp asks nothing of its threads, those of memb register.
 */
#define PASTE_(a, b, c) a##b##c
#define PASTE(a, b, c)	PASTE_(a, b, c)
#define RCU(name)	PASTE(urcu_, FLAVOUR, _##name)

#include <stdlib.h>

#ifdef FLAVOUR_BP
#define FLAVOUR bp
#include <urcu/urcu-bp.h>
#else
#define FLAVOUR memb
#include <urcu/urcu-memb.h>
#endif
#include <urcu/rculfhash.h>

#include "table.h"

struct node {
	struct cds_lfht_node node;
	const void *device, *client;
	_Atomic uint64_t refs;
};

struct hash {
	const struct table *table;
	struct cds_lfht *nodes;
	char *devices,
		*clients; /* their addresses are what they are known by */
	struct node *node;
};

static void enter(void *context, unsigned int thread)
{
	(void)context;
	(void)thread;
	RCU(register_thread)();
}

static void leave(void *context, unsigned int thread)
{
	(void)context;
	(void)thread;
	RCU(unregister_thread)();
}

static inline unsigned long hash_of(const void *device, const void *client)
{
	uint64_t word = (uintptr_t)device * 0x9e3779b97f4a7c15;

	word = (word ^ (uintptr_t)client) * 0xbf58476d1ce4e5b9;
	return word ^ word >> 32;
}

struct key {
	const void *device, *client;
};

static int matches(struct cds_lfht_node *node, const void *arg)
{
	const struct node *n = caa_container_of(node, struct node, node);
	const struct key *key = arg;

	return n->device == key->device && n->client == key->client;
}

static inline struct node *get(struct hash *c, struct place at)
{
	const struct key key = {
		&c->devices[at.device],
		&c->clients[at.client],
	};
	struct cds_lfht_node *found;
	struct cds_lfht_iter iter;
	struct node *n = NULL;

	RCU(read_lock)();
	cds_lfht_lookup(c->nodes, hash_of(key.device, key.client), matches,
			&key, &iter);
	found = cds_lfht_iter_get_node(&iter);
	if (found) {
		n = caa_container_of(found, struct node, node);
		if (!get_unless_zero(&n->refs))
			n = NULL;
	}
	RCU(read_unlock)();
	return n;
}

static inline void put(struct hash *c, struct place at, struct node *n)
{
	(void)c;
	(void)at;
	if (atomic_fetch_sub_explicit(&n->refs, 1, memory_order_acq_rel) == 1)
		abort(); /* the table's own is left */
}

static uint64_t refs(const struct hash *c, struct place at)
{
	return c->node[at.slot].refs;
}

LOOP(get_put, struct hash, get, put)
CHECK(check_registered, struct hash, get, put, refs)
BALANCED(balanced, struct hash, refs)

static bool check(void *context)
{
	bool good;

	enter(context, 0);
	good = check_registered(context);
	leave(context, 0);
	return good;
}

static void add(struct hash *c, struct place at)
{
	struct node *n = &c->node[at.slot];

	n->device = &c->devices[at.device];
	n->client = &c->clients[at.client];
	n->refs = 1;
	cds_lfht_node_init(&n->node);
	RCU(read_lock)();
	cds_lfht_add(c->nodes, hash_of(n->device, n->client), &n->node);
	RCU(read_unlock)();
}

static void *open_hash(const struct table *t)
{
	uint32_t slot, num = t->devices * t->clients;
	struct hash *c = need_memory(sizeof(*c));
	unsigned int buckets = 64;

	while (buckets < num)
		buckets *= 2;
	c->table = t;
	c->devices = need_memory(t->devices);
	c->clients = need_memory(t->clients);
	c->node = need_memory(num * sizeof(*c->node));
	c->nodes = cds_lfht_new_flavor(buckets, buckets, buckets, 0,
				       &PASTE(urcu_, FLAVOUR, _flavor), NULL);
	if (!c->nodes)
		fail("no memory for a hash table");
	enter(c, 0);
	for (slot = 0; slot < num; slot++)
		add(c, table_place(t, slot));
	leave(c, 0);
	return c;
}

static void delete_all(struct hash *c)
{
	uint32_t slot, num = c->table->devices * c->table->clients;

	enter(c, 0);
	RCU(read_lock)();
	for (slot = 0; slot < num; slot++)
		cds_lfht_del(c->nodes, &c->node[slot].node);
	RCU(read_unlock)();
	leave(c, 0);
	RCU(synchronize_rcu)();
}

static bool close_hash(void *context)
{
	struct hash *c = context;
	bool good = balanced(c);

	delete_all(c);
	if (cds_lfht_destroy(c->nodes, NULL))
		good = false;
	free(c->node);
	free(c->clients);
	free(c->devices);
	free(c);
	return good;
}

const struct way PASTE(way_, urcu_, FLAVOUR) = {
	.open = open_hash,
	.close = close_hash,
	.check = check,
	.get_put = get_put,
#ifdef FLAVOUR_BP
	.name = "liburcu (bp) + hash",
	.what = "RCU whose threads need not register, inc-not-zero",
#else
	.name = "liburcu (memb) + hash",
	.what = "RCU whose threads register, inc-not-zero",
#endif
	.enter = enter,
	.leave = leave,
};
