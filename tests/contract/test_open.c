// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Opening devices: failures, the caller's open_device(), which devices at all;
 * and renames, since the patterns are about names.
 */
#include "harness2.h"

static struct rec a, b;

static void reopen(struct ibc_registry_attr attr)
{
	h_close(h_reg);
	h_reg = h_open(&attr);
}

/* ---- failures ---- */

static void fails_for_a_while(int error)
{
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	fake_fail(FAKE_OPEN, error, 4);
	rec_register(&a); /* does not wait for what does not open */
	wait_for(h_count(&a, H_ADD) == 1);
	assert_int_equal(fake_calls(FAKE_OPEN), 5);
	/* the first attempt says so; the others, which fail alike, do not */
	wait_for(h_logged(IBC_LOG_WARNING, "cannot open") == 1);
	wait_for(h_logged(IBC_LOG_WARNING, strerror(error)) == 1);
	assert_int_equal(h2_stats(h_reg).opens_failed, 4);
	rec_unregister(&a);
}

static void g01_open_that_fails_with_eacces_is_tried_again(void **state)
{
	(void)state;
	h_log_capture();
	fails_for_a_while(EACCES);
	wait_for(h_logged(IBC_LOG_WARNING, "may this user") == 1);
}

static void g01_open_that_fails_with_enoent_is_tried_again(void **state)
{
	(void)state;
	h_log_capture();
	fails_for_a_while(ENOENT);
}

static void g01_open_that_fails_with_eio_is_tried_again(void **state)
{
	(void)state;
	h_log_capture();
	fails_for_a_while(EIO);
}

/* scans do not make it try, nor log, more often */
static void g01_a_scan_does_not_hurry_what_does_not_open(void **state)
{
	struct ibc_device *dev;
	unsigned int i, opens;

	(void)state;
	h_log_capture();
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	fake_fail(FAKE_OPEN, EACCES, -1);
	rec_register(&a);
	ibc__lock(h_reg);
	dev = TAILQ_FIRST(&h_reg->devices);
	dev->retry_at = ibc__now() + 3600000;
	dev->failures = 20; /* if just now it fails once more */
	ibc__unlock(h_reg);
	opens = fake_calls(FAKE_OPEN);
	for (i = 0; i < 20; i++)
		assert_int_equal(ibc_rescan(h_reg), 0);
	h_fence();
	assert_in_range(fake_calls(FAKE_OPEN), opens, opens + 5);
	wait_for(h_logged(IBC_LOG_WARNING, "cannot open") == 1);
	/* but news of the node do: udev has made it accessible */
	fake_fail(FAKE_OPEN, 0, 0);
	ibc__lock(h_reg);
	dev->retry_at = ibc__now() + 3600000;
	ibc__unlock(h_reg);
	h2_uevent("add", "uverbs0");
	wait_for(h_count(&a, H_ADD) == 1);
	rec_unregister(&a);
}

/* another errno is news: it is logged */
static void g01_another_errno_is_logged(void **state)
{
	(void)state;
	h_log_capture();
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	fake_fail(FAKE_OPEN, EACCES, 2);
	rec_register(&a);
	wait_for(fake_calls(FAKE_OPEN) == 3 || h_count(&a, H_ADD));
	wait_for(h_count(&a, H_ADD) == 1);
	fake_fail(FAKE_OPEN, EIO, 2);
	fake_remove("soft0", FAKE_RESET);
	wait_for(h_count(&a, H_ADD) == 2);
	wait_for(h_logged(IBC_LOG_WARNING, strerror(EACCES)) == 1);
	wait_for(h_logged(IBC_LOG_WARNING, strerror(EIO)) == 1);
	rec_unregister(&a);
}

/* one bad device does not fail all */
static struct ibv_context *only_soft1(struct ibv_device *device, void *arg)
{
	(void)arg;
	if (strcmp(ibc__backend->get_device_name(device), "soft1") != 0) {
		errno = EPERM;
		return NULL;
	}
	return ibc__backend->open_device(device);
}

static void g01_one_bad_device_does_not_fail_the_others(void **state)
{
	struct ibc_registry_attr attr = { .open_device = only_soft1 };

	(void)state;
	fake_add("soft0", 0x11);
	fake_add("soft1", 0x22);
	fake_add("soft2", 0x33);
	reopen(attr);
	rec_init(&a, "a", 0);
	rec_register(&a);
	assert_int_equal(h_count(&a, H_ADD), 1);
	check_null(ibc_get_device_by_name(h_reg, "soft0"), ENODEV);
	ibc_put_device(h_device("soft1"));
	rec_unregister(&a);
}

/* ---- the hook ---- */

static unsigned int hook_calls;

/* fails at first, without an errno even; calls the library */
static struct ibv_context *hook(struct ibv_device *device, void *arg)
{
	struct ibc_registry *reg = *(struct ibc_registry **)arg;

	check(device);
	if (reg) {
		check(ibc_rescan(reg) == 0);
		check(ibc_close(reg) == EDEADLK);
		check_null(ibc_get_device_by_name(reg, "soft0"), ENODEV);
	}
	if (__atomic_fetch_add(&hook_calls, 1, __ATOMIC_SEQ_CST) == 0) {
		errno = 0;
		return NULL;
	}
	return ibc__backend->open_device(device);
}

static void g04_open_device_is_called_with_no_lock(void **state)
{
	struct ibc_registry_attr attr = { .open_device = hook,
					  .open_arg = &h_reg };

	(void)state;
	fake_add("soft0", 0x11);
	hook_calls = 0;
	reopen(attr);
	rec_init(&a, "a", 0);
	rec_register(&a);
	wait_for(h_count(&a, H_ADD) == 1);
	assert_int_equal(hook_calls, 2);
	assert_int_equal(h2_stats(h_reg).opens_failed, 1);
	rec_unregister(&a);
}

/* ---- which devices ---- */

static void g01_opened_when_the_first_client_needs_it(void **state)
{
	(void)state;
	fake_add("soft0", 0x11);
	assert_int_equal(ibc_rescan(h_reg), 0);
	fake_notify();
	h_fence();
	assert_int_equal(fake_calls(FAKE_OPEN), 0);
	assert_int_equal(fake_calls(FAKE_LIST), 0);
	check_null(ibc_get_device_by_name(h_reg, "soft0"), ENODEV);
	rec_init(&a, "a", 0);
	rec_register(&a);
	assert_int_equal(fake_calls(FAKE_OPEN), 1);
	ibc_put_device(h_device("soft0"));
	rec_unregister(&a);
}

static void no_open_opens_nothing(void **state)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_NO_OPEN };
	struct ibv_context *context;
	struct ibc_device *dev;

	(void)state;
	reopen(attr);
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	h_fence();
	assert_int_equal(h_count(&a, H_ADD), 0);
	context = fake_open("soft0");
	dev = ibc_adopt_context(h_reg, context, IBC_ADOPT_READ_EVENTS);
	wait_for(h_count(&a, H_ADD) == 1);
	fake_add("soft1", 0x22);
	h_fence();
	assert_int_equal(fake_calls(FAKE_OPEN), 0);
	/* but the list is read: what left it has gone */
	fake_remove("soft0", FAKE_WAIT);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	ibc_put_device(dev);
	fake_close(context);
	rec_unregister(&a);
}

static bool opens(const char *patterns, const char *name)
{
	struct ibc_registry_attr attr = { .devices = patterns };
	bool added;

	reopen(attr);
	fake_add(name, 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	added = h_count(&a, H_ADD);
	rec_unregister(&a);
	h_forget();
	fake_remove(name, FAKE_WAIT);
	return added;
}

static void patterns_choose_devices_by_name(void **state)
{
	(void)state;
	assert_true(opens(NULL, "mlx5_0"));
	assert_true(opens("*", "mlx5_0"));
	assert_true(opens("mlx5_0", "mlx5_0"));
	assert_false(opens("mlx5_0", "mlx5_01"));
	assert_false(opens("mlx5_01", "mlx5_0"));
	assert_true(opens("rxe*,mlx5_?", "mlx5_7"));
	assert_true(opens("rxe*,mlx5_?", "rxe"));
	assert_false(opens("rxe*,mlx5_?", "mlx5_10"));
	assert_true(opens("mlx5_[0-3]", "mlx5_2"));
	assert_false(opens("mlx5_[0-3]", "mlx5_4"));
	assert_true(opens(",,mlx5_0,,", "mlx5_0"));
	assert_false(opens(",,", "mlx5_0"));
	assert_false(opens("", "mlx5_0"));
	assert_false(opens("mlx5_0 ", "mlx5_0"));
}

/* the string is the caller's: copied */
static void patterns_are_copied(void **state)
{
	char patterns[] = "soft0";
	struct ibc_registry_attr attr = { .devices = patterns };

	(void)state;
	reopen(attr);
	memset(patterns, 'x', sizeof(patterns) - 1);
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	assert_int_equal(h_count(&a, H_ADD), 1);
	rec_unregister(&a);
}

/* one that is renamed to a name that was chosen comes then; none goes for it */
static void patterns_are_about_todays_name(void **state)
{
	struct ibc_registry_attr attr = { .devices = "roce*" };

	(void)state;
	reopen(attr);
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	assert_int_equal(h_count(&a, H_ADD), 0);
	fake_rename("soft0", "roce0");
	assert_int_equal(ibc_rescan(h_reg), 0);
	wait_for(h_count(&a, H_ADD) == 1);
	fake_rename("roce0", "soft0");
	wait_for(h_count(&a, H_RENAME) == 1);
	h_fence();
	assert_int_equal(h_count(&a, H_REMOVE), 0);
	rec_unregister(&a);
}

/* adopted contexts are not filtered */
static void patterns_do_not_concern_adopted_contexts(void **state)
{
	struct ibc_registry_attr attr = { .devices = "none" };
	struct ibv_context *context;
	struct ibc_device *dev;

	(void)state;
	reopen(attr);
	fake_add("soft0", 0x11);
	context = fake_open("soft0");
	rec_init(&a, "a", 0);
	rec_register(&a);
	dev = ibc_adopt_context(h_reg, context, 0);
	wait_for(h_count(&a, H_ADD) == 1);
	h2_remove(dev);
	fake_close(context);
	rec_unregister(&a);
}

/* ---- renames ---- */

static void rename_is_told_to_all_in_order(void **state)
{
	const char *old_name;
	struct ibc_device *dev, *found;
	int index;

	(void)state;
	index = fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_init(&b, "b", 0);
	rec_register(&a);
	rec_register(&b);
	dev = h_device("soft0");
	old_name = ibc_device_name(dev);
	fake_rename("soft0", "roce0"); /* the source's news are enough */
	wait_for(h_count(&b, H_RENAME) == 1);
	assert_true(h_before(&a, H_RENAME, &b, H_RENAME));
	assert_string_equal(h_record(h_find(&a, H_RENAME, 0)).name, "soft0");
	assert_string_equal(ibc_device_name(dev), "roce0");
	assert_string_equal(old_name, "soft0"); /* lives as long as dev */
	assert_int_equal(ibc_device_index(dev), index);
	check_null(ibc_get_device_by_name(h_reg, "soft0"), ENODEV);
	found = ibc_get_device_by_name(h_reg, "roce0");
	assert_ptr_equal(found, dev);
	ibc_put_device(found);
	h_fence();
	assert_int_equal(h_count(&a, H_RENAME), 1);
	assert_int_equal(h_count(NULL, H_REMOVE), 0);
	assert_int_equal(h_count(NULL, H_ADD), 2);
	ibc_put_device(dev);
	rec_unregister(&b);
	rec_unregister(&a);
}

/* several before anybody heard: told as one, from the first to today's */
static void renames_that_nobody_heard_of_are_one(void **state)
{
	struct gate gate = {};
	struct ibc_device *dev;

	(void)state;
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	dev = h_device("soft0");
	if (h_mode != H_MANUAL) {
		a.gate[H_EVENT] = &gate;
		fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
		wait_for(gate_entered(&gate) == 1);
	}
	fake_rename("soft0", "soft1");
	assert_int_equal(ibc_rescan(h_reg), 0);
	fake_rename("soft1", "soft2");
	assert_int_equal(ibc_rescan(h_reg), 0);
	gate_open(&gate);
	wait_for(h_count(&a, H_RENAME) == 1);
	h_fence();
	assert_int_equal(h_count(&a, H_RENAME), 1);
	assert_string_equal(h_record(h_find(&a, H_RENAME, 0)).name, "soft0");
	assert_string_equal(ibc_device_name(dev), "soft2");
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* two devices change names: no one is taken for the other */
static void names_may_be_swapped(void **state)
{
	struct ibc_device *one, *two;

	(void)state;
	fake_add("soft0", 0x11);
	fake_add("soft1", 0x22);
	rec_init(&a, "a", 0);
	rec_register(&a);
	one = h_device("soft0");
	two = h_device("soft1");
	fake_rename("soft0", "tmp");
	fake_rename("soft1", "soft0");
	fake_rename("tmp", "soft1");
	assert_int_equal(ibc_rescan(h_reg), 0);
	wait_for(strcmp(ibc_device_name(one), "soft1") == 0);
	wait_for(strcmp(ibc_device_name(two), "soft0") == 0);
	h_fence();
	assert_int_equal(be64toh(ibc_device_guid(one)), 0x11);
	assert_int_equal(h_count(&a, H_ADD), 2);
	assert_int_equal(h_count(&a, H_REMOVE), 0);
	ibc_put_device(one);
	ibc_put_device(two);
	rec_unregister(&a);
}

/* the list that read the names fails, or is overtaken: the rename is not lost */
static void a_rename_survives_a_list_that_fails(void **state)
{
	struct rec c;

	(void)state;
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	fake_fail(FAKE_LIST, EMFILE, 2);
	fake_rename("soft0", "roce0");
	rec_init(&c, "c", 0);
	ibc_rescan(h_reg);
	if (ibc_register_client(h_reg, &c.client) == 0)
		rec_unregister(&c);
	wait_for(h_count(&a, H_RENAME) == 1);
	rec_unregister(&a);
}

/* the same where nothing else would ask for names: whose flag was it? */
static void a_rename_survives_a_register_that_fails(void **state)
{
	struct ibc_registry_attr attr = {};

	(void)state;
	setenv("IBC_SOURCES", "", 1);
	reopen(attr);
	unsetenv("IBC_SOURCES");
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	h_fence();
	fake_rename("soft0", "roce0");
	ibc__lock(h_reg);
	ibc__hint(h_reg, IBC_SOURCE_UEVENT, true);
	ibc__unlock(h_reg);
	fake_fail(FAKE_LIST, EMFILE, 1);
	rec_init(&b, "b", 0);
	assert_int_equal(ibc_register_client(h_reg, &b.client), EMFILE);
	wait_for(h_count(&a, H_RENAME) == 1);
	rec_unregister(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g01_open_that_fails_with_eacces_is_tried_again),
		IN_ALL(g01_open_that_fails_with_enoent_is_tried_again),
		IN_ALL(g01_open_that_fails_with_eio_is_tried_again),
		IN_ALL(g01_a_scan_does_not_hurry_what_does_not_open),
		IN_ALL(g01_another_errno_is_logged),
		IN_ALL(g01_one_bad_device_does_not_fail_the_others),
		IN_ALL(g04_open_device_is_called_with_no_lock),
		IN_ALL(g01_opened_when_the_first_client_needs_it),
		IN_ALL(no_open_opens_nothing),
		IN_MANUAL(patterns_choose_devices_by_name),
		IN_ALL(patterns_are_copied),
		IN_ALL(patterns_are_about_todays_name),
		IN_ALL(patterns_do_not_concern_adopted_contexts),
		IN_ALL(rename_is_told_to_all_in_order),
		IN_ALL(renames_that_nobody_heard_of_are_one),
		IN_ALL(names_may_be_swapped),
		IN_ALL(a_rename_survives_a_list_that_fails),
		IN_MANUAL(a_rename_survives_a_register_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
