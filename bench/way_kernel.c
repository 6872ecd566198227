// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What the kernel would do: each device has an array of its clients' data, found by
 * the client's number under RCU, with a kref that is raised unless it is zero. The
 * RCU is liburcu's QSBR, whose readers cost nothing, as the kernel's: but each of
 * its threads has to say, all the time, that it is between two lookups, and must
 * not sleep without saying so. That is why a library cannot have it.
 */
#include <stdlib.h>

#include <urcu/urcu-qsbr.h>

#include "table.h"

struct data {
	_Alignas(64) _Atomic uint64_t refs;
};

struct device {
	struct data **data; /* by the client's number, under RCU */
};

struct kernel {
	const struct table *table;
	struct device *device;
};

static void enter(void *context, unsigned int thread)
{
	(void)context;
	(void)thread;
	urcu_qsbr_register_thread();
}

static void leave(void *context, unsigned int thread)
{
	(void)context;
	(void)thread;
	urcu_qsbr_unregister_thread();
}

static inline struct data *get(struct kernel *c, struct place at)
{
	struct device *device = &c->device[at.device];
	struct data *data;

	urcu_qsbr_read_lock();
	data = rcu_dereference(device->data[at.client]);
	if (data && !get_unless_zero(&data->refs))
		data = NULL;
	urcu_qsbr_read_unlock();
	return data;
}

static inline void put(struct kernel *c, struct place at, struct data *data)
{
	(void)c;
	(void)at;
	if (atomic_fetch_sub_explicit(&data->refs, 1, memory_order_acq_rel) ==
	    1)
		abort(); /* the array's own is left */
}

static uint64_t refs(const struct kernel *c, struct place at)
{
	return c->device[at.device].data[at.client]->refs;
}

LOOP(lookups, struct kernel, get, put)
CHECK(check_registered, struct kernel, get, put, refs)
BALANCED(balanced, struct kernel, refs)

/* once in a batch, which is some thousand lookups */
static void get_put(void *context, unsigned int thread, uint64_t from,
		    uint64_t count)
{
	lookups(context, thread, from, count);
	urcu_qsbr_quiescent_state();
}

static bool check(void *context)
{
	bool good;

	enter(context, 0);
	good = check_registered(context);
	leave(context, 0);
	return good;
}

static void *open_kernel(const struct table *t)
{
	struct kernel *c = need_memory(sizeof(*c));
	unsigned int i, j;

	c->table = t;
	c->device = need_memory(t->devices * sizeof(*c->device));
	for (i = 0; i < t->devices; i++) {
		c->device[i].data =
			need_memory(t->clients * sizeof(*c->device[i].data));
		for (j = 0; j < t->clients; j++) {
			c->device[i].data[j] = need_memory(sizeof(struct data));
			c->device[i].data[j]->refs = 1;
		}
	}
	return c;
}

static bool close_kernel(void *context)
{
	struct kernel *c = context;
	bool good = balanced(c);
	unsigned int i, j;

	for (i = 0; i < c->table->devices; i++) {
		for (j = 0; j < c->table->clients; j++)
			free(c->device[i].data[j]);
		free(c->device[i].data);
	}
	free(c->device);
	free(c);
	return good;
}

const struct way way_kernel = {
	.name = "the kernel's way (QSBR)",
	.what = "RCU that costs readers nothing, a kref",
	.open = open_kernel,
	.close = close_kernel,
	.check = check,
	.get_put = get_put,
	.enter = enter,
	.leave = leave,
};
