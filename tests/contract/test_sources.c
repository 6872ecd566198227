// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Where hot-plug news come from: IBC_SOURCES, and what each source does where
 * this can be shown without a kernel that has RDMA.
 */
#include <jansson.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness2.h"

static struct rec a;

/* reopens h_reg with these sources and attributes */
static void reopen(const char *sources, struct ibc_registry_attr attr)
{
	if (sources)
		setenv("IBC_SOURCES", sources, 1);
	h_close(h_reg);
	h_reg = h_open(&attr);
	unsetenv("IBC_SOURCES");
}

static void expect_state(const char *name, const char *wanted)
{
	char *text = h2_dump(h_reg, IBC_DUMP_JSON);
	json_t *dump = json_loads(text, 0, NULL), *sources, *source;
	bool found = false;
	size_t i;

	free(text);
	assert_non_null(dump);
	sources = json_object_get(dump, "sources");
	json_array_foreach(sources, i, source)
	{
		if (strcmp(json_string_value(json_object_get(source, "name")),
			   name) != 0)
			continue;
		found = true;
		assert_string_equal(
			json_string_value(json_object_get(source, "state")),
			wanted);
		assert_true(json_string_length(json_object_get(source, "why")) >
			    0);
	}
	assert_true(found);
	json_decref(dump);
}

static void a_list_of_sources_leaves_the_others_out(void **state)
{
	const struct ibc_registry_attr none = {};

	(void)state;
	reopen("timer", none);
	expect_state("uevent", "off");
	expect_state("inotify", "off");
	expect_state("timer", "active");
	reopen("inotify", none);
	expect_state("uevent", "off");
	expect_state("inotify", "active");
	expect_state("timer", "off");
	reopen("inotify,timer", none);
	expect_state("inotify", "active");
	expect_state("timer", "absent"); /* inotify is to be trusted */
	reopen("", none);
	expect_state("uevent", "off");
	expect_state("inotify", "off");
	expect_state("timer", "off");
}

/* what an open device itself tells is no choice of hot-plug sources */
static void a_list_of_sources_leaves_async_and_probe_in(void **state)
{
	const struct ibc_registry_attr none = {};

	(void)state;
	reopen("", none);
	expect_state("async", "active");
	expect_state("probe", "active");
	reopen("timer", none);
	expect_state("async", "active");
	expect_state("netlink", "off");
	reopen("async", none); /* and naming one leaves the others out */
	expect_state("async", "active");
	expect_state("probe", "active");
	expect_state("uevent", "off");
	expect_state("timer", "off");
}

static void a_minus_leaves_a_source_out(void **state)
{
	const struct ibc_registry_attr none = {};

	(void)state;
	reopen("-inotify", none);
	expect_state("inotify", "off");
	expect_state("async", "active");
	assert_int_not_equal(h_reg->sources[IBC_SOURCE_UEVENT].state,
			     IBC_SOURCE_OFF);
	reopen("timer,-async,-probe", none);
	expect_state("timer", "active");
	expect_state("async", "off");
	expect_state("probe", "off");
	expect_state("inotify", "off");
	reopen("inotify,timer,-timer", none); /* the last word counts */
	expect_state("timer", "off");
}

static void spaces_and_repetitions_do_no_harm(void **state)
{
	const struct ibc_registry_attr none = {};

	(void)state;
	h_log_capture();
	reopen(" timer,, inotify ,timer,inotify,", none);
	expect_state("timer", "absent");
	expect_state("inotify", "active");
	expect_state("uevent", "off");
	reopen(", ,", none); /* as good as empty */
	expect_state("timer", "off");
	assert_int_equal(h_logged(IBC_LOG_WARNING, "IBC_SOURCES"), 0);
}

static void an_unknown_source_is_named_and_ignored(void **state)
{
	const struct ibc_registry_attr none = {};

	(void)state;
	h_log_capture();
	reopen("timer,udev,-rtnetlink,time", none);
	expect_state("timer", "active");
	expect_state("inotify", "off");
	assert_int_equal(h_logged(IBC_LOG_WARNING,
				  "IBC_SOURCES: no such source: \"udev\", "
				  "\"-rtnetlink\", \"time\"; there are "
				  "uevent, netlink, inotify, async, probe, "
				  "timer"),
			 1);
	assert_int_equal(h_logged(IBC_LOG_WARNING, "IBC_SOURCES"), 1);
	reopen("udev", none); /* a slip of the pen makes nobody blind */
	expect_state("inotify", "active");
	assert_int_equal(h_logged(IBC_LOG_WARNING, "\"udev\"; there are"), 1);
}

/* longer than any buffer of ours */
static void a_huge_list_of_sources_is_no_crash(void **state)
{
	const struct ibc_registry_attr none = {};
	static char list[100000];

	(void)state;
	memset(list, 'x', sizeof(list) - 1);
	reopen(list, none);
	memset(list, '-', sizeof(list) - 1);
	reopen(list, none);
	for (size_t i = 1; i < sizeof(list) - 1; i += 2)
		list[i] = ',';
	reopen(list, none);
	expect_state("inotify", "active");
}

/* without any, only what the caller says is known */
static void without_sources_rescan_is_the_only_news(void **state)
{
	const struct ibc_registry_attr none = {};

	(void)state;
	reopen("", none);
	rec_init(&a, "a", 0);
	rec_register(&a);
	h_fence();
	fake_add("soft0", 0x11);
	assert_int_equal(h_count(&a, H_ADD), 0);
	assert_int_equal(ibc_rescan(h_reg), 0);
	wait_for(h_count(&a, H_ADD) == 1);
	rec_unregister(&a);
}

static void comes_and_goes(void)
{
	rec_init(&a, "a", 0);
	rec_register(&a);
	fake_add("soft0", 0x11);
	wait_for(h_count(&a, H_ADD) == 1);
	fake_remove("soft0", FAKE_WAIT);
	wait_for(h_count(&a, H_GONE) == 1);
	rec_unregister(&a);
}

static void the_timer_alone_finds_what_changed(void **state)
{
	const struct ibc_registry_attr fast = { .scan_interval_ms = 5 };

	(void)state;
	reopen("timer", fast);
	comes_and_goes();
}

static void inotify_alone_finds_what_changed(void **state)
{
	const struct ibc_registry_attr none = {};

	(void)state;
	reopen("inotify", none);
	comes_and_goes();
	assert_true(h2_stats(h_reg).hints > 0);
}

/* an interval that was asked for is kept, beside sources that work */
static void an_interval_is_kept_beside_other_sources(void **state)
{
	const struct ibc_registry_attr slow = { .scan_interval_ms = 3600000 };
	uint64_t at, now;

	(void)state;
	reopen(NULL, slow);
	expect_state("timer", "active");
	rec_init(&a, "a", 0);
	rec_register(&a);
	h_fence();
	now = ibc__now();
	ibc__lock(h_reg);
	assert_true(h_reg->scan_timer.armed);
	at = h_reg->scan_timer.at;
	ibc__unlock(h_reg);
	assert_true(at > now + 3000000 && at <= now + 3600000);
	rec_unregister(&a);
}

/* where a source is to be trusted a quiet process never wakes up */
static void a_quiet_process_arms_no_timer(void **state)
{
	const struct ibc_registry_attr none = {};

	(void)state;
	reopen(NULL, none);
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	h_fence();
	ibc__lock(h_reg);
	assert_true(TAILQ_EMPTY(&h_reg->timers));
	assert_int_equal(h_reg->timer_set, 0);
	ibc__unlock(h_reg);
	rec_unregister(&a);
}

/* a simulator's devices: what the kernel says is nothing to rely on */
static void uevents_do_not_stand_in_for_a_simulators_directory(void **state)
{
	const struct ibc_registry_attr none = {};

	(void)state;
	reopen("uevent,timer", none);
	expect_state("timer", "active");
	reopen("uevent,inotify,timer", none);
	expect_state("timer", "absent");
	expect_state("uevent", "absent");
	assert_int_equal(h_reg->sources[IBC_SOURCE_UEVENT].fd, -1);
	rec_init(&a, "a", 0);
	fake_add("soft0", 0x11);
	rec_register(&a);
	expect_state("uevent", "absent");
	rec_unregister(&a);
}

/* ---- a simulator's devices, and one of the kernel's beside them ---- */

static struct ibc__backend mixed;
static const struct ibc__backend *plain;

static const char *path_of(struct ibv_device *device)
{
	if (strcmp(plain->get_device_name(device), "real0") == 0)
		return "/sys/class/infiniband/real0";
	return plain->get_device_path(device);
}

/* nothing is opened: what is opened needs a list of its own */
static void reopen_mixed(const char *sources)
{
	const struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_NO_OPEN };

	h_close(h_reg);
	plain = ibc__backend;
	mixed = *plain;
	mixed.get_device_path = path_of;
	ibc__backend = &mixed;
	h_reg = h_open(&attr);
	reopen(sources, attr);
	rec_init(&a, "a", 0);
	rec_register(&a);
}

static void end_mixed(void)
{
	rec_unregister(&a);
	ibc__backend = plain;
}

/*
 * Uevents are heard, then. What happened after the list that had it, and before
 * that, is found by a list that is read once more.
 */
static void a_device_of_the_kernel_beside_a_simulators(void **state)
{
	unsigned int lists;

	(void)state;
	reopen_mixed("uevent");
	fake_add("soft0", 0x11);
	h_fence();
	expect_state("uevent", "absent");
	lists = fake_calls(FAKE_LIST);
	fake_add("real0", 0x22);
	assert_int_equal(ibc_rescan(h_reg), 0);
	wait_for(fake_calls(FAKE_LIST) == lists + 2);
	expect_state("uevent", "active");
	assert_false(h_reg->sources[IBC_SOURCE_UEVENT].trusted);
	end_mixed();
}

/* the first one is enough, and it stays as it is when that goes */
static void another_one_of_the_kernel_changes_nothing(void **state)
{
	unsigned int lists;
	int fd;

	(void)state;
	reopen_mixed("uevent");
	fake_add("real0", 0x11);
	h_fence();
	fd = h_reg->sources[IBC_SOURCE_UEVENT].fd;
	assert_true(fd >= 0);
	fake_remove("real0", FAKE_WAIT);
	h_fence();
	lists = fake_calls(FAKE_LIST);
	fake_add("real0", 0x22);
	h_fence();
	assert_int_equal(fake_calls(FAKE_LIST), lists + 1);
	assert_int_equal(h_reg->sources[IBC_SOURCE_UEVENT].fd, fd);
	end_mixed();
}

static bool silent(void)
{
	bool is;

	ibc__lock(h_reg);
	is = ibc__watch_silent(h_reg, h_reg->scan_applied);
	ibc__unlock(h_reg);
	return is;
}

/* of what was before it was opened a source is silent whatever happened */
static void what_was_opened_late_confirms_no_earlier_list(void **state)
{
	(void)state;
	reopen_mixed("uevent");
	ibc__lock(h_reg);
	h_reg->where = IBC_WHERE_KERNEL; /* a simulator's devices went */
	ibc__unlock(h_reg);
	fake_add("real0", 0x11);
	assert_int_equal(ibc_rescan(h_reg), 0);
	expect_state("uevent", "active");
	if (h_reg->sources[IBC_SOURCE_UEVENT].trusted) {
		assert_false(silent());
		h_fence();
		assert_true(silent());
	}
	end_mixed();
}

#ifndef IBC_ON_SOFTVERBS
static void class_directory(char *path, size_t size)
{
	snprintf(path, size, "%s/class/infiniband_verbs",
		 ibc__backend->sysfs_path());
}

/* the directory that was trusted goes: the clock takes over */
static void the_clock_takes_over_from_a_directory_that_went(void **state)
{
	const struct ibc_registry_attr none = {};
	char path[4096];
	bool active = false;

	(void)state;
	reopen("inotify,timer", none);
	rec_init(&a, "a", 0);
	rec_register(&a);
	expect_state("timer", "absent");
	class_directory(path, sizeof(path));
	assert_int_equal(rmdir(path), 0);
	while (!active) {
		wait_for(h2_stats(h_reg).hints > 0);
		ibc__lock(h_reg);
		active = h_reg->sources[IBC_SOURCE_TIMER].state ==
			 IBC_SOURCE_ACTIVE;
		ibc__unlock(h_reg);
	}
	fake_add("soft0", 0x11); /* in no directory */
	wait_for(h_count(&a, H_ADD) == 1);
	assert_int_equal(mkdir(path, 0700), 0);
	rec_unregister(&a);
}

/* it is there again before anybody looked: it is watched again */
static void a_directory_that_returned_is_watched_again(void **state)
{
	const struct ibc_registry_attr none = {};
	char path[4096];

	(void)state;
	reopen("inotify", none);
	rec_init(&a, "a", 0);
	rec_register(&a);
	class_directory(path, sizeof(path));
	ibc__lock(h_reg); /* who reads what inotify says needs it */
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	ibc__unlock(h_reg);
	wait_for(h2_stats(h_reg).hints > 0);
	h_fence();
	fake_add("soft0", 0x11);
	wait_for(h_count(&a, H_ADD) == 1);
	rec_unregister(&a);
}
#endif

/* before anybody wants to know, the news are no reason to read a list */
static void news_before_the_first_client_cost_nothing(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 10; i++)
		fake_notify();
	h2_uevent("add", "uverbs0");
	h_fence();
	assert_int_equal(fake_calls(FAKE_LIST), 0);
	assert_int_equal(h2_stats(h_reg).hints, 0);
}

/* a burst of news is one list, or a few: not one each */
static void a_burst_of_news_costs_few_lists(void **state)
{
	unsigned int i, lists;

	(void)state;
	rec_init(&a, "a", 0);
	rec_register(&a);
	h_fence();
	lists = fake_calls(FAKE_LIST);
	ibc__lock(h_reg);
	for (i = 0; i < 1000; i++)
		ibc__hint(h_reg, IBC_SOURCE_UEVENT, false);
	ibc__unlock(h_reg);
	h_fence(); /* which reads one itself */
	assert_in_range(fake_calls(FAKE_LIST), lists + 1, lists + 3);
	rec_unregister(&a);
}

static struct gate listing;

static void list_at_the_gate(void *arg)
{
	(void)arg;
	gate_wait(&listing);
}

/* the list that is being read may have been too early for them: another one */
static void news_while_a_list_is_read_are_not_missed(void **state)
{
	unsigned int lists;

	(void)state;
	gate_close(&listing);
	rec_init(&a, "a", 0);
	rec_register(&a);
	h_fence();
	lists = fake_calls(FAKE_LIST);
	fake_on(FAKE_LIST, list_at_the_gate, NULL);
	h2_uevent("add", "uverbs0");
	wait_for(gate_entered(&listing) == 1);
	h2_uevent("add", "uverbs0");
	gate_open(&listing);
	wait_for(fake_calls(FAKE_LIST) == lists + 2);
	fake_on(FAKE_LIST, NULL, NULL);
	rec_unregister(&a);
}

/* the overflow of an inotify queue says that anything may have happened */
static void news_between_watching_and_listing_are_not_missed(void **state)
{
	(void)state;
	fake_add("soft0", 0x11); /* after open, before the first list */
	rec_init(&a, "a", 0);
	rec_register(&a);
	assert_int_equal(h_count(&a, H_ADD), 1);
	h_fence();
	assert_int_equal(h_count(&a, H_ADD), 1);
	rec_unregister(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MANUAL(a_list_of_sources_leaves_the_others_out),
		IN_MANUAL(a_list_of_sources_leaves_async_and_probe_in),
		IN_MANUAL(a_minus_leaves_a_source_out),
		IN_MANUAL(spaces_and_repetitions_do_no_harm),
		IN_MANUAL(an_unknown_source_is_named_and_ignored),
		IN_MANUAL(a_huge_list_of_sources_is_no_crash),
		IN_ALL(without_sources_rescan_is_the_only_news),
		IN_ALL(the_timer_alone_finds_what_changed),
		IN_ALL(inotify_alone_finds_what_changed),
		IN_MANUAL(an_interval_is_kept_beside_other_sources),
		IN_ALL(a_quiet_process_arms_no_timer),
		IN_MANUAL(uevents_do_not_stand_in_for_a_simulators_directory),
		IN_ALL(a_device_of_the_kernel_beside_a_simulators),
		IN_ALL(another_one_of_the_kernel_changes_nothing),
		IN_MANUAL(what_was_opened_late_confirms_no_earlier_list),
#ifndef IBC_ON_SOFTVERBS
		IN_ALL(the_clock_takes_over_from_a_directory_that_went),
		IN_ALL(a_directory_that_returned_is_watched_again),
#endif
		IN_ALL(news_before_the_first_client_cost_nothing),
		IN_ALL(a_burst_of_news_costs_few_lists),
		IN_PARALLEL(news_while_a_list_is_read_are_not_missed),
		IN_ALL(news_between_watching_and_listing_are_not_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
