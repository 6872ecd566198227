// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Seeing what goes on: ibc_dump(), ibc_query_stats(), the drain warning. */
#include <jansson.h>

#include "harness2.h"

static struct rec a, b;

static json_t *load(struct ibc_registry *reg)
{
	char *text = h2_dump(reg, IBC_DUMP_JSON);
	json_error_t error;
	json_t *dump = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!dump)
		fail_msg("%s: %s", error.text, text);
	free(text);
	return dump;
}

static json_t *member(json_t *object, const char *key, json_type type)
{
	json_t *value = json_object_get(object, key);

	if (!value || json_typeof(value) != type)
		fail_msg("no, or another, \"%s\"", key);
	return value;
}

static json_int_t number(json_t *object, const char *key)
{
	return json_integer_value(member(object, key, JSON_INTEGER));
}

static const char *string(json_t *object, const char *key)
{
	return json_string_value(member(object, key, JSON_STRING));
}

/* of an array of objects, the one with this name */
static json_t *named(json_t *array, const char *name)
{
	json_t *entry;
	size_t i;

	json_array_foreach(array, i, entry) if (strcmp(string(entry, "name"),
						       name) == 0) return entry;
	fail_msg("no \"%s\" in the list", name);
	return NULL;
}

/* the keys of the design, in a dump of nothing */
static void dump_of_an_empty_registry(void **state)
{
	static const char *const stats[] = {
		"devices_added",
		"devices_gone",
		"opens_failed",
		"adds",
		"adds_failed",
		"removes",
		"allocs",
		"allocs_failed",
		"frees",
		"events_read",
		"events_delivered",
		"events_merged",
		"scans",
		"hints",
		"false_hints",
	};
	json_t *dump = load(h_reg), *sources;
	unsigned int i;

	(void)state;
	assert_string_equal(string(dump, "version"), ibc_version());
	assert_int_equal(json_array_size(member(dump, "devices", JSON_ARRAY)),
			 0);
	assert_int_equal(json_array_size(member(dump, "clients", JSON_ARRAY)),
			 0);
	sources = member(dump, "sources", JSON_ARRAY);
	assert_true(json_array_size(sources) >= 3);
	for (i = 0; i < json_array_size(sources); i++) {
		string(json_array_get(sources, i), "name");
		string(json_array_get(sources, i), "state");
		string(json_array_get(sources, i), "why");
	}
	for (i = 0; i < sizeof(stats) / sizeof(stats[0]); i++)
		assert_int_equal(number(member(dump, "stats", JSON_OBJECT),
					stats[i]),
				 0);
	json_decref(dump);
}

static void expect_device(json_t *device, struct ibc_device *dev,
			  const char *state)
{
	assert_string_equal(string(device, "name"), ibc_device_name(dev));
	assert_int_equal(number(device, "index"), ibc_device_index(dev));
	assert_string_equal(string(device, "guid"), "0011:2233:4455:6677");
	assert_int_equal(number(device, "incarnation"),
			 ibc_device_incarnation(dev));
	assert_string_equal(string(device, "state"), state);
	assert_true(json_is_false(json_object_get(device, "adopted")));
}

static void expect_refs(json_t *device, const char *client, int refs)
{
	json_t *entry = named(member(device, "clients", JSON_ARRAY), client);

	assert_int_equal(number(entry, "refs"), refs);
	member(entry, "holders", JSON_ARRAY);
	if (refs)
		assert_memory_equal(string(entry, "data"), "0x", 2);
	else
		assert_true(json_is_null(json_object_get(entry, "data")));
}

static size_t num_dumped(void)
{
	json_t *dump = load(h_reg);
	size_t num = json_array_size(member(dump, "devices", JSON_ARRAY));

	json_decref(dump);
	return num;
}

/* nobody frees it before, and who does is the last to put */
static void a_device_that_is_gone_is_kept_until_the_last_put(void **state)
{
	struct ibc_device *dev;

	(void)state;
	fake_add("soft0", 1);
	rec_init(&a, "first", 0);
	rec_register(&a);
	dev = h_device("soft0");
	ibc_get_device(dev);
	fake_remove("soft0", FAKE_WAIT);
	wait_for(h_count(&a, H_GONE) == 1);
	ibc_put_device(dev);
	assert_int_equal(num_dumped(), 1);
	ibc_put_device(dev);
	/* or, where gone() is being returned from still, who called it */
	wait_for(num_dumped() == 0);
	rec_unregister(&a);
}

static void dump_tells_of_devices_and_references(void **state)
{
	struct ibc_client_data *data;
	struct ibc_device *dev;
	json_t *dump, *device;

	(void)state;
	fake_add("soft0", 0x0011223344556677);
	rec_init(&a, "first", 0);
	rec_init(&b, "second", 0);
	rec_register(&a);
	rec_register(&b);
	dev = h_device("soft0");
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	ibc_hold_client_data(data);

	dump = load(h_reg);
	assert_int_equal(json_array_size(json_object_get(dump, "clients")), 2);
	named(json_object_get(dump, "clients"), "first");
	device = named(json_object_get(dump, "devices"), "soft0");
	expect_device(device, dev, "live");
	expect_refs(device, "first", 3); /* ours and the registry's */
	expect_refs(device, "second", 0);
	json_decref(dump);

	ibc_remove_device(dev);
	wait_for(h2_is(dev, IBC_DEVICE_DRAINING));
	dump = load(h_reg);
	device = named(json_object_get(dump, "devices"), "soft0");
	expect_device(device, dev, "draining");
	expect_refs(device, "first", 2); /* who holds the removal back */
	json_decref(dump);

	ibc_put_client_data(data);
	ibc_put_client_data(data);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	ibc_put_device(dev);
	rec_unregister(&b);
	rec_unregister(&a);
}

static void dump_tells_adopted_from_own(void **state)
{
	struct ibv_context *context;
	struct ibc_device *dev;
	json_t *dump;

	(void)state;
	fake_add("soft0", 0x11);
	context = fake_open("soft0");
	dev = ibc_adopt_context(h_reg, context, 0);
	dump = load(h_reg);
	assert_true(json_is_true(json_object_get(
		named(json_object_get(dump, "devices"), "soft0"), "adopted")));
	json_decref(dump);
	h2_remove(dev);
	fake_close(context);
}

#define NONE "\xef\xbf\xbd" /* U+FFFD */

/* names are the caller's: whatever is in them is to be quoted */
static void dump_quotes_what_it_must(void **state)
{
	static const char odd[] = "a\"b\\c\nd\te\x01"
				  "f\x7fg/</script>";
	json_t *dump;

	(void)state;
	fake_add("so\"ft\\0", 0x11);
	rec_init(&a, odd, 0);
	rec_register(&a);
	dump = load(h_reg);
	named(json_object_get(dump, "clients"), odd);
	named(json_object_get(dump, "devices"), "so\"ft\\0");
	json_decref(dump);
	rec_unregister(&a);
	/* UTF-8 of each length, and what is none */
	rec_init(&a,
		 "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80 \xff"
		 "a\xc3 \xe2\x82 \xc0\x80 \xed\xa0\x80 \xf5",
		 0);
	rec_register(&a);
	dump = load(h_reg);
	named(json_object_get(dump, "clients"),
	      "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80 " NONE "a" NONE
	      " " NONE NONE " " NONE NONE " " NONE NONE NONE " " NONE);
	json_decref(dump);
	rec_unregister(&a);
	rec_init(&a, NULL, 0);
	rec_register(&a);
	json_decref(load(h_reg));
	rec_unregister(&a);
}

static void text_dump_tells_the_same(void **state)
{
	struct ibc_client_data *data;
	struct ibc_device *dev;
	char *text;

	(void)state;
	fake_add("soft0", 0x0011223344556677);
	rec_init(&a, "first", 0);
	rec_register(&a);
	dev = h_device("soft0");
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	text = h2_dump(h_reg, IBC_DUMP_TEXT);
	assert_non_null(strstr(text, ibc_version()));
	assert_non_null(strstr(text, "device soft0: live"));
	assert_non_null(strstr(text, "guid 0011:2233:4455:6677"));
	assert_non_null(strstr(text, "client first"));
	assert_non_null(strstr(text, "2 references"));
	assert_non_null(strstr(text, "source uevent"));
	assert_non_null(strstr(text, "allocs 1"));
	free(text);
	ibc_put_client_data(data);
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* why a device is not there */
static void text_dump_tells_what_cannot_be_opened(void **state)
{
	char *text;

	(void)state;
	fake_fail(FAKE_OPEN, EACCES, -1);
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	text = h2_dump(h_reg, IBC_DUMP_TEXT);
	assert_non_null(strstr(text, "device soft0: not open"));
	assert_non_null(strstr(text, strerror(EACCES)));
	free(text);
	rec_unregister(&a);
}

static void dump_into_a_full_file_is_an_error(void **state)
{
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	setbuf(full, NULL);
	assert_int_equal(ibc_dump(h_reg, full, IBC_DUMP_JSON), ENOSPC);
	fclose(full);
}

/* ---- statistics ---- */

static void stats_fit_the_callers_struct(void **state)
{
	struct {
		struct ibc_stats known;
		uint64_t later;
	} larger;
	struct ibc_stats stats, small;

	(void)state;
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	h_fence();
	assert_int_equal(ibc_query_stats(h_reg, &stats, sizeof(stats)), 0);
	assert_int_equal(stats.devices_added, 1);
	/* who knows fewer */
	memset(&small, 0xa5, sizeof(small));
	assert_int_equal(ibc_query_stats(h_reg, &small,
					 offsetof(struct ibc_stats, removes)),
			 0);
	assert_int_equal(small.adds, stats.adds);
	assert_true(small.removes == 0xa5a5a5a5a5a5a5a5);
	/* who knows more */
	memset(&larger, 0xa5, sizeof(larger));
	assert_int_equal(
		ibc_query_stats(h_reg, (void *)&larger, sizeof(larger)), 0);
	assert_int_equal(larger.known.adds, stats.adds);
	assert_int_equal(larger.later, 0);
	rec_unregister(&a);
}

static int second_time(struct rec *rec, struct ibc_device *dev)
{
	(void)dev;
	return h_count(rec, H_ADD) == 1 ? ENOMEM : 0;
}

static int fail_alloc(struct rec *rec, struct ibc_device *dev)
{
	(void)dev;
	return h_count(rec, H_ALLOC) == 1 ? ENOMEM : 0;
}

static void stats_count_what_happened(void **state)
{
	struct ibc_device *dev;
	struct ibc_stats stats;

	(void)state;
	fake_fail(FAKE_OPEN, EIO, 2);
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	a.on_add = second_time;
	a.on_alloc = fail_alloc;
	rec_register(&a);
	wait_for(h2_stats(h_reg).adds == 1);
	dev = h_device("soft0");
	check_null(ibc_alloc_or_get_client_data(dev, &a.client), ENOMEM);
	ibc_put_client_data(ibc_alloc_or_get_client_data(dev, &a.client));
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(h_count(&a, H_EVENT) == 1);
	h2_remove(dev);
	h_fence();
	stats = h2_stats(h_reg);
	assert_int_equal(stats.devices_added, 1);
	assert_int_equal(stats.devices_gone, 1);
	assert_int_equal(stats.opens_failed, 2);
	assert_int_equal(stats.adds, 1);
	assert_int_equal(stats.adds_failed, 1);
	assert_int_equal(stats.removes, 1);
	assert_int_equal(stats.allocs, 1);
	assert_int_equal(stats.allocs_failed, 1);
	assert_int_equal(stats.frees, 1);
	assert_int_equal(stats.events_read, 1);
	assert_int_equal(stats.events_delivered, 1);
	assert_int_equal(stats.events_merged, 0);
	assert_int_equal(stats.scans, fake_calls(FAKE_LIST));
	rec_unregister(&a);
}

/* ---- a removal that drains too long ---- */

static void drain_that_lasts_is_a_warning(void **state)
{
	struct ibc_registry_attr attr = { .drain_warn_ms = 1 };
	struct ibc_client_data *data;
	struct ibc_device *dev;
	unsigned int i;

	(void)state;
	h_close(h_reg);
	h_reg = h_open(&attr);
	h_log_capture();
	fake_add("soft0", 0x11);
	rec_init(&a, "culprit", 0);
	rec_init(&b, "bystander", 0);
	rec_register(&a);
	rec_register(&b);
	dev = h_device("soft0");
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	ibc_remove_device(dev);
	wait_for(h_logged(IBC_LOG_WARNING, "held up"));
	assert_int_equal(h_logged(IBC_LOG_WARNING, "soft0"), 1);
	assert_int_equal(h_logged(IBC_LOG_WARNING, "culprit"), 1);
	assert_int_equal(h_logged(IBC_LOG_WARNING, "1 references"), 1);
	assert_int_equal(h_logged(IBC_LOG_WARNING, "bystander"), 0);
	for (i = 0; i < 10; i++) { /* once, however often it is looked at */
		ibc__lock(h_reg);
		ibc__kick(&dev->job);
		ibc__unlock(h_reg);
		h_fence();
	}
	ibc_put_client_data(data);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	assert_int_equal(h_logged(IBC_LOG_WARNING, "held up"), 1);
	ibc_put_device(dev);
	rec_unregister(&b);
	rec_unregister(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MANUAL(dump_of_an_empty_registry),
		IN_ALL(dump_tells_of_devices_and_references),
		IN_ALL(a_device_that_is_gone_is_kept_until_the_last_put),
		IN_MANUAL(dump_tells_adopted_from_own),
		ON_FAKE(IN_MANUAL, dump_quotes_what_it_must),
		IN_MANUAL(text_dump_tells_the_same),
		IN_MANUAL(text_dump_tells_what_cannot_be_opened),
		IN_MANUAL(dump_into_a_full_file_is_an_error),
		IN_MANUAL(stats_fit_the_callers_struct),
		IN_ALL(stats_count_what_happened),
		IN_ALL(drain_that_lasts_is_a_warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
