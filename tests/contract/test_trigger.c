// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantee 13: all that tells of a removal is one trigger, whoever is first and
 * whoever comes second, and when. Each two are crossed on one incarnation.
 */
#include "harness2.h"

static struct rec a;
static struct ibc_device *dev;
static struct ibv_context *context;
static uint64_t first;
static unsigned int closes;
static atomic_bool unlisted;

/* ---- the triggers ---- */

/* leaves the list, and nobody is told but by inotify and the clock */
static void unlist(void)
{
	if (!atomic_exchange(&unlisted, true))
		fake_remove("soft0", FAKE_WAIT);
}

static void fatal(void)
{
	fake_context_event(context, IBV_EVENT_DEVICE_FATAL, 0);
}

static void unreadable(void)
{
	fake_fail(FAKE_EVENT, EIO, 1);
	fake_context_event(context, IBV_EVENT_PORT_ERR, 1);
}

#ifndef IBC_ON_SOFTVERBS
static void hang_up(void)
{
	fake_hang_up(context);
}
#endif

static void uevent(void)
{
	unlist();
	h2_uevent("remove", "uverbs0");
}

/* gone to another network namespace and back: the list has it */
static void dead_verbs(void)
{
	fake_fail(FAKE_PROBE, EIO, 1);
	h2_uevent("remove", "uverbs0");
}

static void netlink(void)
{
	unlist();
	h2_unregistered(ibc_device_index(dev));
}

static void rescan(void)
{
	unlist();
	check(ibc_rescan(h_reg) == 0);
}

static void reported_fatal(void)
{
	struct ibv_async_event event = { .event_type = IBV_EVENT_DEVICE_FATAL };

	ibc_report_event(dev, &event);
}

static void reported_error(void)
{
	unlist();
	check(ibc_report_error(dev, EIO) == 0);
}

static void remove_device(void)
{
	check(ibc_remove_device(dev) == 0);
}

static const struct trigger {
	const char *name;
	void (*fire)(void);
	enum ibc__by by;
	const char
		*source; /* that has to listen, because it is fired for real */
} triggers[] = {
	{ "fatal", fatal, IBC_SOURCE_ASYNC, NULL },
	{ "unreadable", unreadable, IBC_SOURCE_ASYNC, NULL },
#ifndef IBC_ON_SOFTVERBS
	{ "hang_up", hang_up, IBC_SOURCE_ASYNC, NULL },
#endif
	{ "uevent", uevent, IBC_SOURCE_UEVENT, NULL },
	{ "dead_verbs", dead_verbs, IBC_SOURCE_UEVENT, NULL },
	{ "netlink", netlink, IBC_SOURCE_NETLINK, NULL },
	{ "inotify", unlist, IBC_SOURCE_INOTIFY, "inotify" },
	{ "timer", unlist, IBC_SOURCE_TIMER, "timer" },
	{ "rescan", rescan, IBC_BY_CALLER, NULL },
	{ "reported_fatal", reported_fatal, IBC_BY_CALLER, NULL },
	{ "reported_error", reported_error, IBC_BY_CALLER, NULL },
	{ "remove_device", remove_device, IBC_BY_CALLER, NULL },
};

#define NUM_TRIGGERS (sizeof(triggers) / sizeof(triggers[0]))

/* ---- one run ---- */

/* only the sources that are fired for real listen */
static void open_for(const char *one, const char *other)
{
	const struct ibc_registry_attr attr = { .scan_interval_ms = 1 };
	char list[64];

	snprintf(list, sizeof(list), "%s,%s", one ? one : "",
		 other ? other : "");
	setenv("IBC_SOURCES", list, 1);
	if (h_reg)
		h_close(h_reg);
	h_reg = h_open(&attr);
	unsetenv("IBC_SOURCES");
}

/* none that an earlier run is the reason for */
static void no_other_lists(void)
{
	ibc__lock(h_reg);
	if (!ibc__watch_active(h_reg, IBC_SOURCE_TIMER))
		ibc__timer_stop(h_reg, &h_reg->scan_timer);
	ibc__unlock(h_reg);
	h_fence();
}

static struct ibc_client_data *begin(void)
{
	struct ibc_client_data *data;

	unlisted = false;
	data = h2_begin(&a, &dev);
	context = ibc_device_context(dev);
	closes = fake_closes();
	first = ibc_device_incarnation(dev);
	no_other_lists();
	return data;
}

static void end(void)
{
	ibc_put_device(dev);
	fake_fail(FAKE_EVENT, 0, 0);
	fake_fail(FAKE_PROBE, 0, 0);
	unlist();
	check(ibc_rescan(h_reg) == 0);
	wait_for(fake_open_contexts(NULL) == 0);
	rec_unregister(&a);
	h_forget();
}

/* who was first, as the registry remembers it; it is there once */
static enum ibc__by told_by(void)
{
	enum ibc__by by = IBC_BY_LIBRARY;
	unsigned int i, found = 0;

	ibc__lock(h_reg);
	for (i = 0; i < h_reg->num_removals && i < IBC_NUM_REMOVALS; i++) {
		if (h_reg->removals[i].incarnation != first)
			continue;
		by = h_reg->removals[i].by;
		found++;
	}
	ibc__unlock(h_reg);
	assert_int_equal(found, 1);
	return by;
}

static void expect_once(void)
{
	wait_for(h_count_of(&a, H_GONE, first) == 1);
	h_fence();
	assert_int_equal(h_count_of(&a, H_ADD, first), 1);
	assert_int_equal(h_count_of(&a, H_REMOVE, first), 1);
	assert_int_equal(h_count_of(&a, H_FREE, first), 1);
	assert_int_equal(h_count_of(&a, H_GONE, first), 1);
	assert_true(h_before(&a, H_REMOVE, &a, H_FREE));
	/* not by its address: the device may be open again, there */
	assert_true(fake_closes() > closes);
}

/* ---- two of them ---- */

enum phase { AT_ONCE, IN_REMOVE, WHILE_DRAINING, NUM_PHASES };

static void second_in_remove(struct rec *rec, struct ibc_device *d,
			     struct ibc_client_data *data)
{
	const struct trigger *second = rec->arg;

	(void)data;
	if (d != dev)
		return;
	check(ibc_device_state(d) == IBC_DEVICE_REMOVING);
	second->fire();
}

static bool listens(const struct trigger *t, enum ibc__by by)
{
	return t->source && t->by == by;
}

/* where the clock is used it has the verb asked, too */
static bool probed(const struct trigger *one, const struct trigger *two,
		   enum ibc__by by)
{
	return by == IBC_SOURCE_PROBE &&
	       (one->fire == dead_verbs || two->fire == dead_verbs) &&
	       (one->by == IBC_SOURCE_TIMER || two->by == IBC_SOURCE_TIMER);
}

static void cross(const struct trigger *one, const struct trigger *two,
		  enum phase phase)
{
	struct ibc_client_data *data = begin();
	enum ibc__by by;

	a.arg = (void *)two;
	if (phase == IN_REMOVE)
		a.on_remove = second_in_remove;
	one->fire();
	if (phase == AT_ONCE)
		two->fire();
	wait_for(h2_is(dev, IBC_DEVICE_DRAINING));
	if (phase == WHILE_DRAINING)
		two->fire();
	h_fence();
	assert_int_equal(ibc_device_state(dev), IBC_DEVICE_DRAINING);
	ibc_put_client_data(data);
	expect_once();
	by = told_by();
	if (by != one->by && !(phase == AT_ONCE && by == two->by) &&
	    !listens(one, by) && !listens(two, by) && !probed(one, two, by))
		fail_msg("%s, %s: told by %s", one->name, two->name,
			 ibc__by_name(by));
	end();
}

static void cross_phases(const struct trigger *one, const struct trigger *two)
{
	enum phase phase;

	for (phase = 0; phase < NUM_PHASES; phase++) {
#ifdef IBC_ON_SOFTVERBS /* where each step is a process */
		if (phase != AT_ONCE && (one - two) % 4)
			continue;
#endif
		cross(one, two, phase);
	}
}

static void g13_each_two_triggers_are_one(void **state)
{
	const char *one, *two, *last_one = "-", *last_two = "-";
	unsigned int i, j;

	(void)state;
	for (i = 0; i < NUM_TRIGGERS; i++) {
		for (j = 0; j < NUM_TRIGGERS; j++) {
			if (i == j)
				continue;
			one = triggers[i].source;
			two = triggers[j].source;
			if (one != last_one || two != last_two)
				open_for(one, two);
			last_one = one;
			last_two = two;
			cross_phases(&triggers[i], &triggers[j]);
		}
	}
}

/* and each alone, with who told, in the dump */
static void g13_each_trigger_is_told_by_its_source(void **state)
{
	struct ibc_client_data *data;
	char wanted[64], *text;
	unsigned int i;

	(void)state;
	for (i = 0; i < NUM_TRIGGERS; i++) {
		open_for(triggers[i].source, NULL);
		data = begin();
		ibc_put_client_data(data);
		triggers[i].fire();
		expect_once();
		assert_int_equal(told_by(), triggers[i].by);
		snprintf(wanted, sizeof(wanted), "told by %s\n",
			 ibc__by_name(triggers[i].by));
		text = h2_dump(h_reg, IBC_DUMP_TEXT);
		assert_non_null(strstr(text, wanted));
		free(text);
		if (triggers[i].by < IBC_NUM_SOURCES)
			assert_int_equal(
				h_reg->sources[triggers[i].by].removals, 1);
		end();
	}
}

/* ---- what comes to a device that goes already ---- */

/* no rename() after remove(): the old one keeps its name, the next has the new */
static void g13_renamed_while_it_drains(void **state)
{
	struct ibc_client_data *data = begin();
	struct ibc_device *next;

	(void)state;
	fatal(); /* it stays in the list */
	wait_for(h2_is(dev, IBC_DEVICE_DRAINING));
	fake_rename("soft0", "roce0");
	assert_int_equal(ibc_rescan(h_reg), 0);
	next = h_device_after("roce0", first);
	assert_int_equal(ibc_device_state(dev), IBC_DEVICE_DRAINING);
	assert_string_equal(ibc_device_name(dev), "soft0");
	assert_int_equal(ibc_device_index(dev), ibc_device_index(next));
	ibc_put_client_data(data);
	expect_once();
	assert_string_equal(ibc_device_name(dev), "soft0");
	/* the next one may have been opened before the name changed */
	assert_int_equal(h_count_of(&a, H_RENAME, first), 0);
	ibc_put_device(next);
	fake_rename("roce0", "soft0");
	end();
}

/* a rename that was seen, but not told, when the removal began */
static void g13_a_rename_is_not_told_after_remove(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	open_for(NULL, NULL);
	data = begin();
	ibc__lock(h_reg);
	check(ibc__device_rename(dev, "roce0") == 0);
	ibc__begin_removal(dev, IBC_REASON_FATAL, IBC_BY_CALLER);
	ibc__unlock(h_reg);
	ibc_put_client_data(data);
	expect_once();
	assert_int_equal(h_count_of(&a, H_RENAME, first), 0);
	assert_string_equal(ibc_device_name(dev), "roce0");
	end();
}

/* ---- a network namespace, and back: index, GUID and node are the same ---- */

static void g13_a_move_is_found_by_the_verb(void **state)
{
	struct ibc_client_data *data;
	struct ibc_device *next;

	(void)state;
	open_for(NULL, NULL);
	data = begin();
	ibc_put_client_data(data);
	fake_fail(FAKE_PROBE, EIO, 1);
	h2_uevent("remove", "uverbs0");
	h2_uevent("add", "uverbs0");
	expect_once();
	next = h_device_after("soft0", first);
	assert_int_equal(ibc_device_index(next), ibc_device_index(dev));
	assert_int_equal(ibc_device_guid(next), ibc_device_guid(dev));
	ibc_put_device(next);
	end();
}

/* where nobody gives hints the clock has the verb asked, too */
static void g13_a_move_is_found_by_the_clock(void **state)
{
	struct ibc_client_data *data;
	struct ibc_device *next;

	(void)state;
	open_for("timer", NULL);
	data = begin();
	ibc_put_client_data(data);
	wait_for(fake_calls(FAKE_PROBE) > 2);
	assert_int_equal(h2_stats(h_reg).false_hints, 0);
	assert_int_equal(ibc_device_state(dev), IBC_DEVICE_LIVE);
	fake_fail(FAKE_PROBE, ENODEV, 1);
	expect_once();
	assert_int_equal(told_by(), IBC_SOURCE_PROBE);
	next = h_device_after("soft0", first);
	ibc_put_device(next);
	end();
}

/* ---- sources that are left out ---- */

static void reopen(const char *sources)
{
	setenv("IBC_SOURCES", sources, 1);
	h_close(h_reg);
	h_reg = h_open(NULL);
	unsetenv("IBC_SOURCES");
}

/* the event is told, but nobody believes what it says */
static void without_async_fatal_is_an_event_only(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	reopen("-async,-uevent,-netlink,-inotify,-timer");
	data = begin();
	ibc_put_client_data(data);
	fatal();
	wait_for(h_count(&a, H_EVENT) == 1);
	h_fence();
	assert_int_equal(ibc_device_state(dev), IBC_DEVICE_LIVE);
	unreadable();
	wait_for(fake_calls(FAKE_EVENT) >= 3);
	h_fence();
	assert_int_equal(ibc_device_state(dev), IBC_DEVICE_LIVE);
	assert_int_equal(h_count(&a, H_REMOVE), 0);
	reported_fatal(); /* that is the caller's word */
	expect_once();
	assert_int_equal(told_by(), IBC_BY_CALLER);
	end();
}

#ifndef IBC_ON_SOFTVERBS
/* and it does not spin on a descriptor that hung up */
static void without_async_a_hang_up_is_nothing(void **state)
{
	struct ibc_client_data *data;
	unsigned int reads;

	(void)state;
	reopen("-async,-uevent,-netlink,-inotify,-timer");
	data = begin();
	ibc_put_client_data(data);
	hang_up();
	wait_for(fake_calls(FAKE_EVENT) >= 1);
	h_fence(); /* which it would not come to, if it span */
	reads = fake_calls(FAKE_EVENT);
	h_fence();
	assert_int_equal(fake_calls(FAKE_EVENT), reads);
	assert_int_equal(ibc_device_state(dev), IBC_DEVICE_LIVE);
	remove_device();
	expect_once();
	end();
}
#endif

static void without_probe_only_the_list_decides(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	reopen("-probe,-uevent,-netlink,-inotify,-timer");
	data = begin();
	ibc_put_client_data(data);
	dead_verbs();
	wait_for(h2_stats(h_reg).false_hints == 1);
	h_fence();
	assert_int_equal(fake_calls(FAKE_PROBE), 0);
	assert_int_equal(ibc_device_state(dev), IBC_DEVICE_LIVE);
	uevent();
	expect_once();
	end();
}

/* ---- what a false hint costs ---- */

static void g13_a_false_hint_costs_one_list(void **state)
{
	struct ibc_client_data *data;
	struct ibc_stats before;
	struct ibc__source *source;
	unsigned int calls[FAKE_NUM_CALLS];
	enum fake_call call;

	(void)state;
	reopen("");
	data = begin();
	h_fence();
	source = &h_reg->sources[IBC_SOURCE_UEVENT];
	before = h2_stats(h_reg);
	for (call = 0; call < FAKE_NUM_CALLS; call++)
		calls[call] = fake_calls(call);
	h2_uevent("remove", "uverbs0");
	wait_for(h2_stats(h_reg).false_hints == before.false_hints + 1);
	for (call = 0; call < FAKE_NUM_CALLS; call++)
		assert_int_equal(fake_calls(call) - calls[call],
				 call == FAKE_LIST || call == FAKE_PROBE);
	assert_int_equal(h2_stats(h_reg).scans, before.scans + 1);
	assert_int_equal(h2_stats(h_reg).hints, before.hints + 1);
	ibc__lock(h_reg);
	assert_int_equal(source->hints, 1);
	assert_int_equal(source->false_hints, 1);
	assert_int_equal(source->scans, 1);
	assert_int_equal(source->removals, 0);
	ibc__unlock(h_reg);
	assert_int_equal(h_length(), 2); /* add and alloc */
	ibc_put_client_data(data);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MANUAL(g13_each_two_triggers_are_one),
		IN_PARALLEL(g13_each_two_triggers_are_one),
		IN_ALL(g13_each_trigger_is_told_by_its_source),
		IN_ALL(g13_renamed_while_it_drains),
		IN_ALL(g13_a_rename_is_not_told_after_remove),
		IN_ALL(g13_a_move_is_found_by_the_verb),
		IN_ALL(g13_a_move_is_found_by_the_clock),
		IN_ALL(without_async_fatal_is_an_event_only),
#ifndef IBC_ON_SOFTVERBS
		IN_ALL(without_async_a_hang_up_is_nothing),
#endif
		IN_ALL(without_probe_only_the_list_decides),
		IN_ALL(g13_a_false_hint_costs_one_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
