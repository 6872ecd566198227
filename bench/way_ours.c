// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The library, as its users have it: a .so, by its public functions, on fake
 * devices. The registry of a table has the table's devices and clients, and data in
 * each slot.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "fake.h"
#include "lines.h"
#include "ours.h"

#define CLOSE_MS 20000

/* of all registries; what is dropped is freed where it is put */
static _Atomic uint64_t made, freed;

struct ibc_client_data *ours_data(void)
{
	made++;
	return line_get();
}

static struct ibc_client_data *alloc(struct ibc_client *client,
				     struct ibc_device *dev)
{
	(void)client;
	(void)dev;
	return ours_data();
}

static void free_data(struct ibc_client_data *data)
{
	freed++;
	line_put(data);
}

static void device_name(char *name, size_t size, unsigned int number)
{
	snprintf(name, size, "fake%u", number);
}

/* each open device has a few descriptors */
static void allow_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

void ours_devices(const struct table *table)
{
	char name[32];
	unsigned int i;

	allow_files();
	unsetenv("IBC_TRACK_REFS");
	fake_start();
	for (i = 0; i < table->devices; i++) {
		device_name(name, sizeof(name), i);
		fake_add(name, i + 1);
	}
}

void ours_no_devices(void)
{
	if (made != freed)
		fail("%" PRIu64 " data were made, %" PRIu64 " freed", made,
		     freed);
	if (!fake_stop())
		fail("the fake devices are not as they were");
}

/* ---- a registry ---- */

static void open_registry(struct ours *c, uint32_t flags)
{
	const struct ibc_registry_attr attr = { .flags = flags };
	const struct table *t = c->table;
	unsigned int i;
	char name[32];

	c->reg = ibc_open(&attr);
	if (!c->reg)
		fail("a registry cannot be opened: %m");
	for (i = 0; i < t->clients; i++) {
		c->client[i].name = "bench";
		c->client[i].alloc_client_data = alloc;
		c->client[i].free_client_data = free_data;
		if (ibc_register_client(c->reg, &c->client[i]))
			fail("a client cannot be registered");
	}
	for (i = 0; i < t->devices; i++) {
		device_name(name, sizeof(name), i);
		c->device[i] = ibc_get_device_by_name(c->reg, name);
		if (!c->device[i])
			fail("%s cannot be opened (%u devices want some "
			     "hundred file descriptors)",
			     name, t->devices);
	}
}

static void *open_ours(const struct table *t, uint32_t flags)
{
	uint32_t slot, num = t->devices * t->clients;
	struct ours *c = need_memory(sizeof(*c));
	struct place at;

	c->table = t;
	c->device = need_memory(t->devices * sizeof(*c->device));
	c->client = need_memory(t->clients * sizeof(*c->client));
	c->held = need_memory(num * sizeof(*c->held));
	open_registry(c, flags);
	for (slot = 0; slot < num; slot++) {
		at = table_place(t, slot);
		c->held[slot] = ibc_alloc_or_get_client_data(
			c->device[at.device], &c->client[at.client]);
		if (!c->held[slot])
			fail("a slot cannot be filled: %m");
	}
	return c;
}

static void *open_plain(const struct table *t)
{
	return open_ours(t, 0);
}

static void *open_tracked(const struct table *t)
{
	return open_ours(t, IBC_REGISTRY_TRACK_REFS);
}

/* a reference too many would keep a client, one too few free data too early */
static bool close_ours(void *context)
{
	struct ours *c = context;
	const struct table *t = c->table;
	uint32_t slot, num = t->devices * t->clients;
	bool good = true;
	unsigned int i;

	for (slot = 0; slot < num; slot++)
		good &= !ibc_put_client_data(c->held[slot]);
	for (i = 0; i < t->devices; i++)
		ibc_put_device(c->device[i]);
	for (i = 0; i < t->clients; i++)
		if (ibc_unregister_client_timed(&c->client[i], CLOSE_MS))
			fail("a client has references left");
	if (ibc_close(c->reg))
		fail("a registry cannot be closed");
	free(c->held);
	free(c->client);
	free(c->device);
	free(c);
	return good;
}

/* ---- lookups ---- */

static inline struct ibc_client_data *get(struct ours *c, struct place at)
{
	return ibc_get_client_data(c->device[at.device], &c->client[at.client]);
}

static inline struct ibc_client_data *alloc_or_get(struct ours *c,
						   struct place at)
{
	return ibc_alloc_or_get_client_data(c->device[at.device],
					    &c->client[at.client]);
}

static inline struct ibc_client_data *hold(struct ours *c, struct place at)
{
	ibc_hold_client_data(c->held[at.slot]);
	return c->held[at.slot];
}

static inline void put(struct ours *c, struct place at,
		       struct ibc_client_data *data)
{
	(void)c;
	(void)at;
	ibc_put_client_data(data);
}

/* the data's own line, which put reads, too */
static inline uint32_t use(struct ours *c, struct place at,
			   struct ibc_client_data *data)
{
	(void)c;
	(void)at;
	return !data->device;
}

LOOP(get_put, struct ours, get, put)
USE_LOOP(use_put, struct ours, get, use, put)
LOOP(alloc_put, struct ours, alloc_or_get, put)
LOOP(hold_put, struct ours, hold, put)

/* the count is the library's own; what can be seen is the data */
static bool check(void *context)
{
	struct ours *c = context;
	struct ibc_client_data *data;
	struct place at;
	uint32_t i;

	for (i = 0; i < c->table->slots; i++) {
		at = c->table->order[i];
		data = get(c, at);
		if (data != c->held[at.slot] || alloc_or_get(c, at) != data ||
		    hold(c, at) != data || data->device != c->device[at.device])
			return false;
		if (ibc_put_client_data(data) || ibc_put_client_data(data) ||
		    ibc_put_client_data(data))
			return false;
	}
	return true;
}

const struct way way_ours = {
	.name = "libibclient",
	.what = "ibc_get_client_data() and ibc_put_client_data()",
	.open = open_plain,
	.close = close_ours,
	.check = check,
	.get_put = get_put,
	.use_put = use_put,
	.alloc_put = alloc_put,
	.hold_put = hold_put,
};

const struct way way_tracked = {
	.name = "libibclient, tracked",
	.what = "the same with IBC_REGISTRY_TRACK_REFS",
	.open = open_tracked,
	.close = close_ours,
	.check = check,
	.get_put = get_put,
	.alloc_put = alloc_put,
	.hold_put = hold_put,
	.max_slots = 64,
};
