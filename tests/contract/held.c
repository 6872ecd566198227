// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See held.h. */
#include "held.h"

struct rec a, b;
struct ibc_device *dev;

/* the call before it is then not the last thing that a function does */
#define STAY() __asm__ volatile("" ::: "memory")

/* ---- those who take references; a put is anybody's ---- */

struct ibc_client_data *by_alloc(struct rec *rec)
{
	struct ibc_client_data *data;

	data = ibc_alloc_or_get_client_data(dev, &rec->client);
	STAY();
	return data;
}

struct ibc_client_data *by_get(struct rec *rec)
{
	struct ibc_client_data *data;

	data = ibc_get_client_data(dev, &rec->client);
	STAY();
	return data;
}

void by_hold(struct ibc_client_data *data)
{
	ibc_hold_client_data(data);
	STAY();
}

struct ibc_client_data *by_cmpxchg(struct rec *rec)
{
	struct ibc_client_data *winner;

	check(ibc_cmpxchg_client_data(dev, &rec->client, NULL, NULL, &winner) ==
	      EAGAIN);
	STAY();
	return winner;
}

/* ---- what the dump says of them ---- */

static json_t *named(json_t *array, const char *name)
{
	json_t *entry;
	size_t i;

	for (i = 0; (entry = json_array_get(array, i)); i++)
		if (strcmp(held_string(entry, "name"), name) == 0)
			return entry;
	return NULL;
}

json_t *holders(struct rec *rec)
{
	char *text = h2_dump(h_reg, IBC_DUMP_JSON);
	json_t *dump = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	json_t *entry;

	check(dump);
	entry = named(json_object_get(dump, "devices"), "soft0");
	entry = named(json_object_get(entry, "clients"), rec->client.name);
	entry = json_incref(json_object_get(entry, "holders"));
	json_decref(dump);
	free(text);
	return entry;
}

const char *held_string(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	check(json_is_string(value) || json_is_null(value));
	return json_is_null(value) ? NULL : json_string_value(value);
}

unsigned int held_count(json_t *holder)
{
	json_t *count = json_object_get(holder, "count");

	check(json_is_integer(count) && json_integer_value(count) > 0);
	return json_integer_value(count);
}

bool held_in(json_t *holder, const char *function)
{
	const char *symbol = held_string(holder, "symbol");
	size_t len = strlen(function);

	return symbol && strncmp(symbol, function, len) == 0 &&
	       strncmp(symbol + len, "+0x", 3) == 0;
}

unsigned int held_by(struct rec *rec, const char *function)
{
	json_t *list = holders(rec), *holder;
	unsigned int n = 0;
	size_t i;

	for (i = 0; (holder = json_array_get(list, i)); i++)
		if (!function || held_in(holder, function))
			n += held_count(holder);
	json_decref(list);
	return n;
}

/* ---- setup ---- */

void start(uint32_t flags)
{
	struct ibc_registry_attr attr = { .drain_warn_ms = 1, .flags = flags };

	h_close(h_reg);
	h_reg = h_open(&attr);
	fake_add("soft0", 0x11);
	rec_init(&a, "first", 0);
	rec_init(&b, "second", 0);
	rec_register(&a);
	rec_register(&b);
	dev = h_device("soft0");
}

void start_tracked(void)
{
	start(IBC_REGISTRY_TRACK_REFS);
}

void finish(void)
{
	ibc_put_device(dev);
	rec_unregister(&b);
	rec_unregister(&a);
}
