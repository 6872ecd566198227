// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantee 1: opening, and add(). test_order.c has gone(). */
#include <time.h>

#include "harness.h"

/* ---- 1: add() ---- */

static void g01_add_is_first_and_once(void **state)
{
	struct rec a;

	(void)state;
	rec_init(&a, "a", 0);
	fake_add("soft0", 1);
	rec_register(&a);
	check(h_count(&a, H_ADD) == 1);
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(h_count(&a, H_EVENT) == 1);
	fake_rename("soft0", "hard0");
	wait_for(h_count(&a, H_RENAME) == 1);
	h_fence();
	fake_remove("hard0", FAKE_WAIT);
	wait_for(h_count(&a, H_GONE) == 1);
	h_fence();
	check(h_find(&a, H_ADD, 0) == 0);
	rec_unregister(&a);
	check(h_count(&a, H_ADD) == 1);
	check(h_count(&a, H_REMOVE) == 1);
	check(h_count(&a, H_GONE) == 1);
}

/* what comes while add() runs waits for it; the recorder checks the order */
static int disturb(struct rec *rec, struct ibc_device *dev)
{
	struct ibv_async_event event = { .event_type = IBV_EVENT_LID_CHANGE };

	event.element.port_num = 1;
	check(ibc_report_event(dev, &event) == 0);
	fake_rename("soft0", "hard0");
	check(ibc_rescan(h_reg) == 0);
	check(h_count(rec, H_ADD) == 1);
	return 0;
}

static void g01_no_other_callback_before_add_returned_0(void **state)
{
	struct rec a;

	(void)state;
	rec_init(&a, "a", 0);
	a.on_add = disturb;
	fake_add("soft0", 1);
	rec_register(&a);
	wait_for(h_count(&a, H_EVENT) == 1);
	wait_for(h_count(&a, H_RENAME) == 1);
	rec_unregister(&a);
}

static int leave(struct rec *rec, struct ibc_device *dev)
{
	check(ibc_remove_device(dev) == 0);
	return *(int *)rec->arg;
}

static void removed_in_add(int result, unsigned int removes)
{
	struct ibc_device *dev;
	struct rec a, b;

	rec_init(&a, "a", 0);
	rec_init(&b, "b", 0);
	a.on_add = leave;
	a.arg = &result;
	rec_register(&b);
	rec_register(&a);
	fake_add("soft0", 1);
	wait_for(h_count(&b, H_GONE) == 1);
	h_fence();
	check(h_count(&a, H_ADD) == 1);
	check(h_count(&a, H_REMOVE) == removes);
	check(h_count(&a, H_GONE) == removes);
	check_null(dev = ibc_get_device_by_name(h_reg, "soft0"), ENODEV);
	rec_unregister(&a);
	rec_unregister(&b);
}

static void g01_remove_follows_an_add_that_returned_0(void **state)
{
	(void)state;
	removed_in_add(0, 1);
}

static void g01_remove_does_not_follow_an_add_that_failed(void **state)
{
	(void)state;
	removed_in_add(EIO, 0);
}

/* ---- 1: add() that declines ---- */

static int decline(struct rec *rec, struct ibc_device *dev)
{
	struct ibc_client_data *data;

	data = ibc_alloc_or_get_client_data(dev, &rec->client);
	check(data);
	check(!ibc_put_client_data(data));
	return *(int *)rec->arg;
}

static void check_declined(struct rec *rec, struct ibc_device *dev)
{
	struct ibc_client *client = &rec->client;
	struct ibc_client_data *current;

	check_null(ibc_get_client_data(dev, client), EOPNOTSUPP);
	check_null(ibc_alloc_or_get_client_data(dev, client), EOPNOTSUPP);
	check(ibc_set_client_data(dev, client, NULL) == EOPNOTSUPP);
	check(ibc_cmpxchg_client_data(dev, client, NULL, NULL, &current) ==
	      EOPNOTSUPP);
	check(!current);
}

static void declined(int result)
{
	struct ibc_stats stats;
	struct ibc_device *dev;
	struct rec a, b;

	h_log_capture();
	rec_init(&a, "a", 0);
	rec_init(&b, "b", 0);
	a.on_add = decline;
	a.arg = &result;
	fake_add("soft0", 1);
	rec_register(&a);
	rec_register(&b);
	dev = h_device("soft0");
	check_declined(&a, dev);
	check(h_count(&a, H_FREE) == 1);
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	fake_rename("soft0", "hard0");
	wait_for(h_count(&b, H_EVENT) == 1);
	wait_for(h_count(&b, H_RENAME) == 1);
	fake_remove("hard0", FAKE_WAIT);
	wait_for(h_count(&b, H_GONE) == 1);
	ibc_put_device(dev);
	rec_unregister(&a);
	check(h_length() == h_count(&b, H_ADD) + h_count(&b, H_EVENT) +
				    h_count(&b, H_RENAME) +
				    h_count(&b, H_REMOVE) +
				    h_count(&b, H_GONE) + 3);
	check(h_count(&a, H_ADD) == 1);
	check(h_logged(0, "add()") == 0);
	check(ibc_query_stats(h_reg, &stats, sizeof(stats)) == 0);
	check(stats.adds_failed == 0);
	rec_unregister(&b);
}

static void g01_declining_is_silent_and_final(void **state)
{
	(void)state;
	declined(EOPNOTSUPP);
}

static void g01_declining_with_a_negative_errno_too(void **state)
{
	(void)state;
	declined(-EOPNOTSUPP);
}

static void g01_declining_is_for_this_incarnation_only(void **state)
{
	int result = EOPNOTSUPP;
	struct ibc_device *dev;
	uint64_t first;
	struct rec a;

	(void)state;
	rec_init(&a, "a", 0);
	a.on_add = decline;
	a.arg = &result;
	fake_add("soft0", 1);
	rec_register(&a);
	dev = h_device("soft0");
	first = ibc_device_incarnation(dev);
	ibc_put_device(dev);
	fake_remove("soft0", FAKE_WAIT);
	fake_add("soft0", 1);
	ibc_put_device(h_device_after("soft0", first));
	wait_for(h_count(&a, H_ADD) == 2);
	wait_for(h_record(h_find(&a, H_ADD, 1)).result == result);
	check(h_count_of(&a, H_ADD, first) == 1);
	rec_unregister(&a);
	check(h_count(&a, H_REMOVE) == 0);
}

/* ---- 1: add() that fails ---- */

struct attempts {
	const int *results; /* the last one is 0 */
	unsigned int n;
	uint64_t failed_at;
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int attempt(struct rec *rec, struct ibc_device *dev)
{
	struct attempts *attempts = rec->arg;
	struct ibc_client_data *data;

	/* the slot was emptied; and a retry at once would be no back-off */
	check_null(ibc_get_client_data(dev, &rec->client), ENOENT);
	check(now_us() - attempts->failed_at >= 5000);
	data = ibc_alloc_or_get_client_data(dev, &rec->client);
	check(data);
	check(!ibc_put_client_data(data));
	attempts->failed_at = now_us();
	return attempts->results[attempts->n++];
}

static void g01_failed_add_is_tried_again(void **state)
{
	const int results[] = { ENOMEM, -EIO, EAGAIN, -ENOMEM, 0 };
	struct attempts attempts = { results, 0, 0 };
	struct ibc_client_data *data;
	struct ibc_device *dev;
	struct rec a;

	(void)state;
	h_log_capture();
	rec_init(&a, "a", 0);
	a.on_add = attempt;
	a.arg = &attempts;
	fake_add("soft0", 1);
	rec_register(&a);
	check(h_count(&a, H_ADD) >= 1);
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(h_count(&a, H_ADD) == 5);
	h_fence();
	check(h_count(&a, H_ALLOC) == 5);
	check(h_count(&a, H_FREE) == 4);
	check(h_logged(IBC_LOG_WARNING, strerror(ENOMEM)) == 2);
	check(h_logged(IBC_LOG_WARNING, strerror(EIO)) == 1);
	check(h_logged(IBC_LOG_WARNING, strerror(EAGAIN)) == 1);
	dev = h_device("soft0");
	data = ibc_get_client_data(dev, &a.client);
	check(data);
	ibc_put_client_data(data);
	ibc_put_device(dev);
	rec_unregister(&a);
	check(h_count(&a, H_ADD) == 5);
	check(h_count(&a, H_REMOVE) == 1);
}

/* between two attempts the slot says ENOENT; unregister needs no add() */
static int never(struct rec *rec, struct ibc_device *dev)
{
	(void)rec;
	(void)dev;
	return ENOMEM;
}

static void g01_failed_add_leaves_enoent(void **state)
{
	struct ibc_client_data *current;
	struct ibc_device *dev;
	struct rec a;

	(void)state;
	rec_init(&a, "a", 0);
	a.on_add = never;
	fake_add("soft0", 1);
	rec_register(&a);
	/* far enough from the next attempt to look */
	wait_for(h_count(&a, H_ADD) >= 4);
	h_fence();
	dev = h_device("soft0");
	check_null(ibc_get_client_data(dev, &a.client), ENOENT);
	check_null(ibc_alloc_or_get_client_data(dev, &a.client), ENOENT);
	check(ibc_set_client_data(dev, &a.client, NULL) == ENOENT);
	check(ibc_cmpxchg_client_data(dev, &a.client, NULL, NULL, &current) ==
	      ENOENT);
	ibc_put_device(dev);
	rec_unregister(&a);
	check(h_count(&a, H_REMOVE) == 0);
}

/* ---- 1: opening ---- */

static void open_fails(int error)
{
	struct rec a;

	h_log_capture();
	rec_init(&a, "a", 0);
	fake_add("soft0", 1);
	fake_fail(FAKE_OPEN, error, -1);
	rec_register(&a);
	wait_for(fake_calls(FAKE_OPEN) >= 4);
	check(h_count(&a, H_ADD) == 0);
	check(h_logged(IBC_LOG_WARNING, strerror(error)) == 1);
	fake_fail(FAKE_OPEN, 0, 0);
	wait_for(h_count(&a, H_ADD) == 1);
	rec_unregister(&a);
}

static void g01_failed_open_is_tried_again(void **state)
{
	(void)state;
	open_fails(EACCES);
}

static void g01_failed_open_is_tried_again_eio(void **state)
{
	(void)state;
	open_fails(EIO);
}

static void g01_failed_open_is_tried_again_enoent(void **state)
{
	(void)state;
	open_fails(ENOENT);
}

static int found(struct ibc_device *dev, void *arg)
{
	(void)dev;
	(void)arg;
	return 1;
}

static void g01_devices_are_opened_for_the_first_client(void **state)
{
	struct rec a;

	(void)state;
	fake_add("soft0", 1);
	check(ibc_rescan(h_reg) == 0);
	h_fence();
	check(fake_calls(FAKE_OPEN) == 0);
	check_null(ibc_get_device_by_name(h_reg, "soft0"), ENODEV);
	check(ibc_for_each_device(h_reg, found, NULL) == 0);
	rec_init(&a, "a", 0);
	rec_register(&a);
	check(fake_calls(FAKE_OPEN) == 1);
	check(ibc_for_each_device(h_reg, found, NULL) == 1);
	rec_unregister(&a);
	/* nobody needs this one */
	fake_add("soft1", 2);
	h_fence();
	check(fake_calls(FAKE_OPEN) == 1);
	rec_register(&a);
	check(fake_calls(FAKE_OPEN) == 2);
	check(h_count(&a, H_ADD) == 3);
	rec_unregister(&a);
}

/* ---- 1: ENOENT before add() ---- */

static int look_at_the_next(struct rec *rec, struct ibc_device *dev)
{
	struct ibc_client *next = &((struct rec *)rec->arg)->client;
	struct ibc_client_data *current, *data;

	check_null(ibc_get_client_data(dev, next), ENOENT);
	check_null(ibc_alloc_or_get_client_data(dev, next), ENOENT);
	check(ibc_set_client_data(dev, next, NULL) == ENOENT);
	check(ibc_cmpxchg_client_data(dev, next, NULL, NULL, &current) ==
	      ENOENT);
	/* its own add() has begun */
	check_null(ibc_get_client_data(dev, &rec->client), ENOENT);
	check(ibc_set_client_data(dev, &rec->client, NULL) == 0);
	data = ibc_alloc_or_get_client_data(dev, &rec->client);
	check(data);
	ibc_put_client_data(data);
	return 0;
}

static void g01_enoent_before_add_has_begun(void **state)
{
	struct rec a, b;

	(void)state;
	rec_init(&a, "a", 0);
	rec_init(&b, "b", 0);
	a.on_add = look_at_the_next;
	a.arg = &b;
	rec_register(&a);
	rec_register(&b);
	fake_add("soft0", 1);
	wait_for(h_count(&b, H_ADD) == 1);
	check(h_count(&b, H_ALLOC) == 0);
	rec_unregister(&b);
	rec_unregister(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g01_add_is_first_and_once),
		IN_ALL(g01_no_other_callback_before_add_returned_0),
		IN_ALL(g01_remove_follows_an_add_that_returned_0),
		IN_ALL(g01_remove_does_not_follow_an_add_that_failed),
		IN_ALL(g01_declining_is_silent_and_final),
		IN_ALL(g01_declining_with_a_negative_errno_too),
		IN_ALL(g01_declining_is_for_this_incarnation_only),
		IN_ALL(g01_failed_add_is_tried_again),
		IN_ALL(g01_failed_add_leaves_enoent),
		IN_ALL(g01_failed_open_is_tried_again),
		IN_ALL(g01_failed_open_is_tried_again_eio),
		IN_ALL(g01_failed_open_is_tried_again_enoent),
		IN_ALL(g01_devices_are_opened_for_the_first_client),
		IN_ALL(g01_enoent_before_add_has_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
