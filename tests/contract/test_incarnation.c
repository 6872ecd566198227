// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantee 14: a device that comes back is another one. */
#include <limits.h>

#include "harness2.h"

static struct rec a;

static void begin(void)
{
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
}

/* ---- coming back ---- */

/* the old one is pinned by data; all that names it is used again */
static void g14_back_with_the_same_everything_is_a_new_one(void **state)
{
	struct ibc_client_data *data, *other;
	struct ibc_device *old, *new;
	struct ibv_context *context;

	(void)state;
	begin();
	old = h_device("soft0");
	context = ibc_device_context(old);
	data = ibc_alloc_or_get_client_data(old, &a.client);
	fake_remove("soft0", FAKE_WAIT);
	assert_int_equal(ibc_rescan(h_reg), 0);
	wait_for(h2_is(old, IBC_DEVICE_DRAINING));
	fake_add_as("soft0", 0x11, ibc_device_index(old), "uverbs0");
	/* its add() does not wait for the old one's drain */
	new = h_device_after("soft0", ibc_device_incarnation(old));
	wait_for(h_count_of(&a, H_ADD, ibc_device_incarnation(new)) == 1);
	assert_int_equal(ibc_device_state(old), IBC_DEVICE_DRAINING);
	assert_ptr_not_equal(new, old);
	assert_ptr_not_equal(ibc_device_context(new), context);
	other = ibc_alloc_or_get_client_data(new, &a.client);
	assert_non_null(other);
	assert_ptr_not_equal(other, data);
	check_null(ibc_get_client_data(old, &a.client), ENODEV);
	assert_true(fake_context_is_open(context));
	ibc_put_client_data(data);
	wait_for(h2_is(old, IBC_DEVICE_GONE));
	assert_int_equal(ibc_device_state(new), IBC_DEVICE_LIVE);
	ibc_put_client_data(other);
	ibc_put_device(old);
	ibc_put_device(new);
	rec_unregister(&a);
}

/* it went by DEVICE_FATAL and is back before any list was read */
static void g14_back_before_the_next_list_is_a_new_one(void **state)
{
	struct ibc_device *old, *new;
	int index;

	(void)state;
	begin();
	old = h_device("soft0");
	index = ibc_device_index(old);
	fake_remove("soft0", FAKE_FATAL);
	fake_add_as("soft0", 0x11, index, "uverbs0");
	new = h_device_after("soft0", ibc_device_incarnation(old));
	wait_for(h2_is(old, IBC_DEVICE_GONE));
	assert_int_equal(h_count_of(&a, H_REMOVE, ibc_device_incarnation(old)),
			 1);
	wait_for(h_count_of(&a, H_ADD, ibc_device_incarnation(new)) == 1);
	ibc_put_device(old);
	ibc_put_device(new);
	rec_unregister(&a);
}

/* one of the three things is another: another device, whatever its name */
static void another(uint64_t guid, int index, const char *node)
{
	struct ibc_device *old, *new;

	fake_add_as("soft0", 0x11, 7, "uverbs0");
	rec_init(&a, "a", 0);
	rec_register(&a);
	old = h_device("soft0");
	fake_remove("soft0", FAKE_WAIT);
	fake_add_as("soft0", guid, index, node);
	assert_int_equal(ibc_rescan(h_reg), 0);
	new = h_device_after("soft0", ibc_device_incarnation(old));
	wait_for(h2_is(old, IBC_DEVICE_GONE));
	assert_int_equal(ibc_device_index(new), index);
	ibc_put_device(old);
	ibc_put_device(new);
	rec_unregister(&a);
	fake_remove("soft0", FAKE_WAIT);
	assert_int_equal(ibc_rescan(h_reg), 0);
}

static void g14_another_guid_index_or_node_is_another_device(void **state)
{
	(void)state;
	another(0x12, 7, "uverbs0");
	another(0x11, 8, "uverbs0");
	another(0x11, 7, "uverbs1");
	another(0x11, -1, "uverbs0");
}

/* where the kernel tells no index, GUID, node and name have to do */
static void g14_without_an_index_the_name_counts(void **state)
{
	struct ibc_device *dev, *again;

	(void)state;
	fake_add_as("soft0", 0x11, -1, "uverbs0");
	rec_init(&a, "a", 0);
	rec_register(&a);
	dev = h_device("soft0");
	assert_int_equal(ibc_device_index(dev), -1);
	assert_int_equal(ibc_rescan(h_reg), 0);
	h_fence();
	again = h_device("soft0");
	assert_ptr_equal(dev, again);
	ibc_put_device(again);
	fake_remove("soft0", FAKE_WAIT);
	fake_add_as("soft1", 0x11, -1, "uverbs0");
	assert_int_equal(ibc_rescan(h_reg), 0);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	ibc_put_device(dev);
	ibc_put_device(h_device("soft1"));
	rec_unregister(&a);
}

static void g14_an_incarnation_is_never_the_same_twice(void **state)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_NO_OPEN |
						   IBC_REGISTRY_MANUAL };
	struct ibc_registry *other = ibc_open(&attr);
	struct ibv_context *context;
	struct ibc_device *dev, *one, *two;

	(void)state;
	begin();
	dev = h_device("soft0");
	context = fake_open("soft0");
	one = ibc_adopt_context(h_reg, context, 0);
	two = ibc_adopt_context(other, context, 0);
	assert_ptr_not_equal(one, two);
	assert_true(ibc_device_incarnation(dev) > 0);
	assert_true(ibc_device_incarnation(one) != ibc_device_incarnation(two));
	assert_true(ibc_device_incarnation(one) != ibc_device_incarnation(dev));
	assert_true(ibc_device_incarnation(two) != ibc_device_incarnation(dev));
	h2_remove(one);
	ibc_remove_device(two);
	ibc_wait_drained(two, -1);
	ibc_put_device(two);
	ibc_put_device(dev);
	assert_int_equal(ibc_close(other), 0);
	fake_close(context);
	rec_unregister(&a);
}

#define TIMES 20

static void g14_same_name_readded_20_times(void **state)
{
	unsigned int i, fds = 0;
	uint64_t last = 0;
	struct ibc_device *dev;

	(void)state;
	begin();
	for (i = 0; i < TIMES; i++) {
		dev = h_device_after("soft0", last);
		last = ibc_device_incarnation(dev);
		wait_for(h_count_of(&a, H_ADD, last) == 1);
		assert_string_equal(
			fake_context_device(ibc_device_context(dev)), "soft0");
		ibc_put_client_data(
			ibc_alloc_or_get_client_data(dev, &a.client));
		fake_remove("soft0", i % 2 ? FAKE_WAIT : FAKE_FATAL);
		if (i + 1 < TIMES) /* at once, before anybody looked */
			fake_add("soft0", 0x11);
		ibc_put_device(dev);
		wait_for(h_count_of(&a, H_GONE, last) == 1);
		wait_for(fake_open_contexts(NULL) == (i + 1 < TIMES));
		h_fence(); /* a list that is being read has some, too */
		if (!i)
			fds = h2_fds();
		else if (i + 1 < TIMES)
			wait_for(h2_fds() == fds);
	}
	h_fence();
	assert_int_equal(h_count(&a, H_ADD), TIMES);
	assert_int_equal(h_count(&a, H_REMOVE), TIMES);
	assert_int_equal(h_count(&a, H_GONE), TIMES);
	assert_int_equal(h_count(&a, H_ALLOC), TIMES);
	assert_int_equal(h_count(&a, H_FREE), TIMES);
	assert_true(TAILQ_EMPTY(&h_reg->devices)); /* and no struct is left */
	rec_unregister(&a);
}

/* ---- still listed after DEVICE_FATAL ---- */

static void g14_still_listed_after_fatal_is_reopened(void **state)
{
	struct ibc_device *dev, *next;
	unsigned int i;

	(void)state;
	begin();
	dev = h_device("soft0");
	for (i = 0; i < 3; i++) {
		fake_remove("soft0", FAKE_RESET);
		next = h_device_after("soft0", ibc_device_incarnation(dev));
		wait_for(h2_is(dev, IBC_DEVICE_GONE));
		assert_int_equal(ibc_device_index(next), ibc_device_index(dev));
		ibc_put_device(dev);
		dev = next;
	}
	ibc_put_device(dev);
	wait_for(h_count(&a, H_ADD) == 4);
	wait_for(h_count(&a, H_GONE) == 3);
	rec_unregister(&a);
}

/* each reset takes longer than the one before, by what the library plans */
static void g14_reopening_backs_off(void **state)
{
	uint64_t wait, last_wait = 0;
	struct ibc_device *dev, *next;
	unsigned int i;

	(void)state;
	begin();
	dev = h_device("soft0");
	for (i = 0; i < 4; i++) {
		ibc__lock(h_reg);
		ibc__begin_removal(dev, IBC_REASON_FATAL, IBC_BY_CALLER);
		wait = dev->reopen_at - ibc__now();
		ibc__unlock(h_reg);
		assert_true(wait > last_wait);
		last_wait = wait;
		next = h_device_after("soft0", ibc_device_incarnation(dev));
		ibc_put_device(dev);
		dev = next;
	}
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* white-box: after so many relapses, alive for so long, it plans to wait so */
static void expect_wait(unsigned int relapses, uint64_t alive, uint64_t wanted)
{
	struct ibc_device *dev = h_device("soft0");
	uint64_t before, after, at;

	ibc__lock(h_reg);
	before = ibc__now();
	dev->relapses = relapses;
	dev->live_since = before - alive;
	ibc__begin_removal(dev, IBC_REASON_FATAL, IBC_BY_CALLER);
	after = ibc__now();
	at = dev->reopen_at;
	dev->reopen_at = before; /* as far as this test goes */
	ibc__unlock(h_reg);
	assert_in_range(wanted, at - after, at - before);
	assert_int_equal(ibc_rescan(h_reg), 0);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	ibc_put_device(h_device_after("soft0", ibc_device_incarnation(dev)));
	ibc_put_device(dev);
}

static void g14_reopening_waits_at_most_so_long(void **state)
{
	(void)state;
	begin();
	assert_true(ibc__backoff(5) < ibc__backoff(9));
	assert_int_equal(ibc__backoff(UINT_MAX), ibc__backoff(1000));
	expect_wait(0, 0, ibc__backoff(2));
	expect_wait(3, 0, ibc__backoff(5));
	expect_wait(1000, 0, ibc__backoff(1000));
	rec_unregister(&a);
}

/* many failures long ago are no reason to wait long */
static void g14_one_that_held_begins_anew(void **state)
{
	(void)state;
	begin();
	expect_wait(1000, 60000, ibc__backoff(2));
	rec_unregister(&a);
}

/* and what is planned is kept: no list makes it come earlier */
static void g14_it_is_not_reopened_before_its_time(void **state)
{
	struct ibc_device *dev;
	unsigned int i, opens;

	(void)state;
	begin();
	dev = h_device("soft0");
	ibc__lock(h_reg);
	ibc__begin_removal(dev, IBC_REASON_FATAL, IBC_BY_CALLER);
	dev->reopen_at = ibc__now() + 3600000;
	opens = fake_calls(FAKE_OPEN);
	ibc__unlock(h_reg);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	for (i = 0; i < 5; i++)
		h_fence();
	assert_int_equal(fake_calls(FAKE_OPEN), opens);
	ibc__lock(h_reg);
	dev->reopen_at = ibc__now();
	ibc__unlock(h_reg);
	assert_int_equal(ibc_rescan(h_reg), 0);
	wait_for(h_count(&a, H_ADD) == 2);
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* ---- what the caller removed stays away ---- */

static void g14_removed_by_the_caller_it_stays_away(void **state)
{
	struct ibc_device *dev;
	unsigned int opens;
	uint64_t first;

	(void)state;
	begin();
	dev = h_device("soft0");
	first = ibc_device_incarnation(dev);
	opens = fake_calls(FAKE_OPEN);
	h2_remove(dev);
	h_fence();
	assert_int_equal(ibc_rescan(h_reg), 0);
	h2_uevent("add", "uverbs0");
	h_fence();
	assert_int_equal(fake_calls(FAKE_OPEN), opens);
	check_null(ibc_get_device_by_name(h_reg, "soft0"), ENODEV);
	/* nor for a client that comes now */
	rec_unregister(&a);
	rec_register(&a);
	assert_int_equal(h_count(&a, H_ADD), 1);

	fake_remove("soft0", FAKE_WAIT);
	assert_int_equal(ibc_rescan(h_reg), 0);
	h_fence();
	fake_add_as("soft0", 0x11, 0, "uverbs0");
	dev = h_device_after("soft0", first);
	wait_for(h_count(&a, H_ADD) == 2);
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* it was to be reopened after DEVICE_FATAL, but the caller says no */
static void g14_removing_it_after_fatal_keeps_it_away_too(void **state)
{
	struct ibc_client_data *data;
	struct ibc_device *dev;
	unsigned int opens;

	(void)state;
	begin();
	dev = h_device("soft0");
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	ibc__lock(h_reg); /* both before any list */
	ibc__begin_removal(dev, IBC_REASON_FATAL, IBC_BY_CALLER);
	opens = fake_calls(FAKE_OPEN);
	ibc__unlock(h_reg);
	assert_int_equal(ibc_remove_device(dev), 0);
	ibc_put_client_data(data);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	ibc__lock(h_reg); /* the time of reopening is past */
	assert_int_equal(dev->claim, IBC_CLAIM_NEVER);
	dev->reopen_at = 1;
	ibc__unlock(h_reg);
	h_fence();
	assert_int_equal(fake_calls(FAKE_OPEN), opens);
	ibc_put_device(dev);
	rec_unregister(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_FAKE(IN_ALL, g14_back_with_the_same_everything_is_a_new_one),
		ON_FAKE(IN_ALL, g14_back_before_the_next_list_is_a_new_one),
		ON_FAKE(IN_ALL,
			g14_another_guid_index_or_node_is_another_device),
		ON_FAKE(IN_ALL, g14_without_an_index_the_name_counts),
		IN_ALL(g14_an_incarnation_is_never_the_same_twice),
		IN_ALL(g14_same_name_readded_20_times),
		IN_ALL(g14_still_listed_after_fatal_is_reopened),
		IN_ALL(g14_reopening_backs_off),
		IN_ALL(g14_reopening_waits_at_most_so_long),
		IN_ALL(g14_one_that_held_begins_anew),
		IN_ALL(g14_it_is_not_reopened_before_its_time),
		ON_FAKE(IN_ALL, g14_removed_by_the_caller_it_stays_away),
		IN_ALL(g14_removing_it_after_fatal_keeps_it_away_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
