// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What devices and their drivers do seldom: a name or a number that cannot be
 * told, a descriptor that is none, closing that fails. Some of it by a backend
 * that differs from the fake one in one call.
 */
#include "ear.h"

static const struct ibc__backend *before;
static struct ibc__backend odd;
static struct rec b;

static void reopen(struct ibc_registry_attr attr)
{
	h_close(h_reg);
	h_reg = h_open(&attr);
}

/* what is different is set next; then a registry is opened on it */
static void backend_begins(void)
{
	h_close(h_reg);
	before = ibc__backend;
	odd = *before;
}

/* until the next test starts the fake one anew */
static void backend_is_odd(struct ibc_registry_attr attr)
{
	ibc__backend = &odd;
	h_reg = h_open(&attr);
}

static int no_name(struct ibv_device *device, char *buf, size_t size)
{
	(void)device;
	(void)buf;
	(void)size;
	return ENOENT;
}

static void g12_a_name_that_is_not_told_is_the_lists(void **state)
{
	struct ibc_device *adopted;
	struct ibv_context *mine;

	(void)state;
	backend_begins();
	odd.read_device_name = no_name;
	backend_is_odd((struct ibc_registry_attr){});
	fake_add("soft0", 0x11);
	mine = fake_open("soft0");
	adopted = ibc_adopt_context(h_reg, mine, 0);
	check(adopted);
	assert_string_equal(ibc_device_name(adopted), "soft0");
	h2_remove(adopted);
	fake_close(mine);
}

static int no_number(struct ibv_srq *srq, uint32_t *num)
{
	(void)srq;
	*num = 77;
	return ENOSYS;
}

static void g15_an_srq_without_a_number_has_none(void **state)
{
	struct ibv_async_event event = { .event_type = IBV_EVENT_SRQ_ERR };
	struct ibv_srq srq = { .srq_context = &event };
	struct h_record r;

	(void)state;
	backend_begins();
	odd.get_srq_num = no_number;
	backend_is_odd((struct ibc_registry_attr){});
	ear_begin();
	event.element.srq = &srq;
	assert_int_equal(ibc_report_event(dev, &event), 0);
	wait_for(h_count(&a, H_EVENT) == 1);
	r = h_record(h_find(&a, H_EVENT, 0));
	assert_int_equal(r.event.element_num, 0);
	assert_ptr_equal(r.event.element_context, &event);
	ear_end();
}

static int close_fails(struct ibv_context *of)
{
	check(before->close_device(of) == 0);
	return EBUSY;
}

/* there is nothing to be done about it, but to say so */
static void g13_closing_that_fails_is_logged(void **state)
{
	struct ibc_device *soft0;

	(void)state;
	h_log_capture();
	backend_begins();
	odd.close_device = close_fails;
	backend_is_odd((struct ibc_registry_attr){});
	fake_add("soft0", 0x11);
	rec_init(&b, "b", 0);
	rec_register(&b);
	soft0 = h_device("soft0");
	h2_remove(soft0);
	wait_for(h_logged(IBC_LOG_ERROR, "soft0: closing it failed") == 1);
	rec_unregister(&b);
}

static int async_fd = -1;

static struct ibv_context *open_deaf(struct ibv_device *device, void *arg)
{
	struct ibv_context *of = before->open_device(device);

	(void)arg;
	if (of) {
		async_fd = of->async_fd;
		of->async_fd = -1;
	}
	return of;
}

static int close_deaf(struct ibv_context *of)
{
	of->async_fd = async_fd;
	return before->close_device(of);
}

/* of a driver that has no async events */
static void g13_a_context_without_events_is_removed_all_the_same(void **state)
{
	struct ibc_device *soft0;

	(void)state;
	backend_begins();
	odd.close_device = close_deaf;
	backend_is_odd((struct ibc_registry_attr){ .open_device = open_deaf });
	fake_add("soft0", 0x11);
	rec_init(&b, "b", 0);
	rec_register(&b);
	soft0 = h_device("soft0");
	h2_remove(soft0);
	wait_for(h_count(&b, H_GONE) == 1);
	rec_unregister(&b);
}

/* its owner reads the events, but the end of its descriptor is seen here */
static void g13_an_adopted_context_that_hangs_up_goes(void **state)
{
	struct ibv_context *mine;
	struct ibc_device *adopted;

	(void)state;
	fake_add("soft0", 0x11);
	mine = fake_open("soft0");
	adopted = ibc_adopt_context(h_reg, mine, 0);
	check(adopted);
	fake_hang_up(mine);
	wait_for(h2_is(adopted, IBC_DEVICE_GONE));
	ibc_put_device(adopted);
	fake_close(mine);
}

/* nobody has heard of the name that it had */
static void g01_renamed_before_it_opens_is_no_rename(void **state)
{
	struct ibc_device *soft1;

	(void)state;
	fake_fail(FAKE_OPEN, EACCES, -1);
	fake_add("soft0", 0x11);
	rec_init(&b, "b", 0);
	rec_register(&b);
	fake_rename("soft0", "soft1");
	assert_int_equal(ibc_rescan(h_reg), 0);
	fake_fail(FAKE_OPEN, 0, 0);
	soft1 = h_device("soft1");
	h_fence();
	assert_int_equal(h_count(&b, H_ADD), 1);
	assert_int_equal(h_count(&b, H_RENAME), 0);
	ibc_put_device(soft1);
	rec_unregister(&b);
}

/* longer than any name is: it means none, and those beside it are good */
static void a_pattern_longer_than_a_name_is_passed_over(void **state)
{
	char devices[100];
	struct ibc_device *soft0;

	(void)state;
	snprintf(devices, sizeof(devices), "%064d*,soft0", 0);
	reopen((struct ibc_registry_attr){ .devices = devices });
	fake_add("soft0", 0x11);
	rec_init(&b, "b", 0);
	rec_register(&b);
	soft0 = h_device("soft0");
	ibc_put_device(soft0);
	rec_unregister(&b);
}

static int take_the_rest(struct ibc_device *of, void *arg)
{
	unsigned int *visits = arg;
	struct ibc_device *other;

	++*visits;
	other = ibc_get_device_by_name(h_reg, "soft1");
	check(other && other != of);
	check(ibc_remove_device(other) == 0);
	ibc_put_device(other);
	return 0;
}

static void a_walk_passes_over_what_goes_meanwhile(void **state)
{
	unsigned int visits = 0;

	(void)state;
	fake_add("soft0", 0x11);
	fake_add("soft1", 0x22);
	rec_init(&b, "b", 0);
	rec_register(&b);
	ibc_put_device(h_device("soft1"));
	assert_int_equal(ibc_for_each_device(h_reg, take_the_rest, &visits), 0);
	assert_int_equal(visits, 1);
	rec_unregister(&b);
}

static void leave_twice(struct ear *e, struct ibc_device *of,
			const struct ibc_event *event)
{
	(void)of;
	(void)event;
	check(ibc_unregister_event_handler(e->handler) == 0);
	check(ibc_unregister_event_handler(e->handler) == EINVAL);
}

static void g18_twice_in_its_own_callback_is_einval(void **state)
{
	(void)state;
	ear_begin();
	ear.hook = leave_twice;
	listen_device(&ear, 0);
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(heard(&ear) == 1);
	h_fence();
	ear_end();
}

/* the list is all that there is to ask of what is not open */
static void g13_a_suspect_that_is_not_open_is_not_probed(void **state)
{
	(void)state;
	fake_fail(FAKE_OPEN, EACCES, -1);
	fake_add("soft0", 0x11);
	rec_init(&b, "b", 0);
	rec_register(&b);
	h2_uevent("remove", "uverbs0");
	h_fence();
	assert_int_equal(fake_calls(FAKE_PROBE), 0);
	assert_int_equal(h2_stats(h_reg).removes, 0);
	rec_unregister(&b);
}

static void without_the_probe_the_clock_asks_the_list_alone(void **state)
{
	uint64_t scans;

	(void)state;
	setenv("IBC_SOURCES", "timer,-probe", 1);
	reopen((struct ibc_registry_attr){ .scan_interval_ms = 5 });
	unsetenv("IBC_SOURCES");
	fake_add("soft0", 0x11);
	rec_init(&b, "b", 0);
	rec_register(&b);
	scans = h2_stats(h_reg).scans;
	wait_for(h2_stats(h_reg).scans > scans + 3);
	assert_int_equal(fake_calls(FAKE_PROBE), 0);
	rec_unregister(&b);
}

static int nothing_to_read(struct ibv_context *of,
			   struct ibv_async_event *event)
{
	(void)of;
	(void)event;
	errno = EAGAIN;
	return -1;
}

static void g13_a_hang_up_with_nothing_to_read_is_one(void **state)
{
	struct ibc_device *soft0;

	(void)state;
	backend_begins();
	odd.get_async_event = nothing_to_read;
	backend_is_odd((struct ibc_registry_attr){});
	fake_add("soft0", 0x11);
	rec_init(&b, "b", 0);
	rec_register(&b);
	soft0 = h_device("soft0");
	fake_hang_up(ibc_device_context(soft0));
	wait_for(h2_is(soft0, IBC_DEVICE_GONE));
	ibc_put_device(soft0);
	rec_unregister(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MANUAL(g12_a_name_that_is_not_told_is_the_lists),
		IN_MANUAL(g15_an_srq_without_a_number_has_none),
		IN_THREADS(g13_closing_that_fails_is_logged),
		IN_ALL(g13_a_context_without_events_is_removed_all_the_same),
		IN_ALL(g13_an_adopted_context_that_hangs_up_goes),
		IN_ALL(g01_renamed_before_it_opens_is_no_rename),
		IN_MANUAL(a_pattern_longer_than_a_name_is_passed_over),
		IN_MANUAL(a_walk_passes_over_what_goes_meanwhile),
		IN_ALL(g18_twice_in_its_own_callback_is_einval),
		IN_ALL(g13_a_suspect_that_is_not_open_is_not_probed),
		IN_ALL(without_the_probe_the_clock_asks_the_list_alone),
		IN_ALL(g13_a_hang_up_with_nothing_to_read_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
