// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * NULL and garbage for every public function, EBUSY, and that each may be
 * called where no lock is held: in the log sink (guarantee 4).
 */
#include <limits.h>

#include "harness2.h"

static struct rec a, b;
static struct ibc_device *dev;
static struct ibc_client_data *data;

/* memory that is none of the library's */
static uint64_t garbage[512];

static void begin(void)
{
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	dev = h_device("soft0");
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	check(data);
}

static void end(void)
{
	ibc_put_client_data(data);
	ibc_put_device(dev);
	rec_unregister(&a);
}

static int nothing(struct ibc_device *d, void *arg)
{
	(void)d;
	(void)arg;
	return 0;
}

static struct ibc_registry *open_bad(struct ibc_registry_attr attr)
{
	return ibc_open(&attr);
}

#define OPEN_BAD(...) \
	check_null(open_bad((struct ibc_registry_attr){ __VA_ARGS__ }), EINVAL)

static void einval_of_open(void **state)
{
	(void)state;
	OPEN_BAD(.comp_mask = 1);
	OPEN_BAD(.comp_mask = 1U << 31);
	OPEN_BAD(.flags = 1U << 3);
	OPEN_BAD(.flags = 1U << 31);
	OPEN_BAD(.flags = UINT32_MAX);
	OPEN_BAD(.num_threads = 1025);
	OPEN_BAD(.num_threads = UINT32_MAX);
	OPEN_BAD(.flags = IBC_REGISTRY_MANUAL, .num_threads = 1);
}

/* no registry: NULL, or something else */
static void bad_registry(struct ibc_registry *reg)
{
	struct ibc_client client = {};
	struct ibc_stats stats;

	check(ibc_close(reg) == EINVAL);
	errno = 0;
	check(ibc_get_fd(reg) == -1 && errno == EINVAL);
	check(ibc_dispatch(reg, 0) == EINVAL);
	check(ibc_rescan(reg) == EINVAL);
	check_null(ibc_get_device_by_name(reg, "soft0"), EINVAL);
	check_null(ibc_get_device_by_index(reg, 0), EINVAL);
	check_null(ibc_get_device_by_context(reg, ibc_device_context(dev)),
		   EINVAL);
	check(ibc_for_each_device(reg, nothing, NULL) == EINVAL);
	check_null(ibc_adopt_context(reg, ibc_device_context(dev), 0), EINVAL);
	check(ibc_register_client(reg, &client) == EINVAL);
	check(ibc_dump(reg, stderr, IBC_DUMP_TEXT) == EINVAL);
	check(ibc_query_stats(reg, &stats, sizeof(stats)) == EINVAL);
}

static void einval_of_what_takes_a_registry(void **state)
{
	struct ibc_stats stats;

	(void)state;
	begin();
	bad_registry(NULL);
	bad_registry((struct ibc_registry *)garbage);
	bad_registry((struct ibc_registry *)dev);

	check_null(ibc_get_device_by_name(h_reg, NULL), EINVAL);
	check_null(ibc_get_device_by_name(h_reg, ""), ENODEV);
	check_null(ibc_get_device_by_index(h_reg, -1), EINVAL);
	check_null(ibc_get_device_by_index(h_reg, INT_MAX), ENODEV);
	check_null(ibc_get_device_by_context(h_reg, NULL), EINVAL);
	check_null(ibc_get_device_by_context(h_reg, (void *)garbage), ENODEV);
	assert_int_equal(ibc_for_each_device(h_reg, NULL, NULL), EINVAL);
	check_null(ibc_adopt_context(h_reg, NULL, 0), EINVAL);
	check_null(ibc_adopt_context(h_reg, ibc_device_context(dev), 2),
		   EINVAL);
	assert_int_equal(ibc_dump(h_reg, NULL, IBC_DUMP_TEXT), EINVAL);
	assert_int_equal(ibc_dump(h_reg, stderr, 2), EINVAL);
	assert_int_equal(ibc_dump(h_reg, stderr, -1), EINVAL);
	assert_int_equal(ibc_query_stats(h_reg, NULL, 8), EINVAL);
	assert_int_equal(ibc_query_stats(h_reg, &stats, 0), EINVAL);
	end();
}

static void einval_of_dispatching_with_threads(void **state)
{
	bool manual = h_mode == H_MANUAL || h_mode == H_POOL;

	(void)state;
	errno = 0;
	if (manual) {
		assert_true(ibc_get_fd(h_reg) >= 0);
		assert_int_equal(ibc_dispatch(h_reg, -2), EINVAL);
		assert_int_equal(ibc_dispatch(h_reg, INT_MIN), EINVAL);
		return;
	}
	assert_int_equal(ibc_get_fd(h_reg), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(ibc_dispatch(h_reg, 0), EINVAL);
	assert_int_equal(ibc_dispatch(h_reg, -1), EINVAL);
}

static void bad_device(struct ibc_device *bad)
{
	struct ibv_async_event event = { .event_type = IBV_EVENT_PORT_ERR };
	struct ibc_client_data other = {}, *current = &other;

	check_null(ibc_device_context(bad), EINVAL);
	check_null(ibc_device_name(bad), EINVAL);
	errno = 0;
	check(ibc_device_index(bad) == -1 && errno == EINVAL);
	errno = 0;
	check(ibc_device_guid(bad) == 0 && errno == EINVAL);
	errno = 0;
	check(ibc_device_incarnation(bad) == 0 && errno == EINVAL);
	errno = 0;
	check(ibc_device_state(bad) == IBC_DEVICE_GONE && errno == EINVAL);
	check(!ibc_device_adopted(bad));
	check_null(ibc_device_registry(bad), EINVAL);
	check_null(ibc_get_device(bad), EINVAL);
	ibc_put_device(bad);
	check(ibc_report_event(bad, &event) == EINVAL);
	check(ibc_report_error(bad, EIO) == EINVAL);
	check(ibc_remove_device(bad) == EINVAL);
	check(ibc_wait_drained(bad, 0) == EINVAL);
	check_null(ibc_alloc_or_get_client_data(bad, &a.client), EINVAL);
	check_null(ibc_get_client_data(bad, &a.client), EINVAL);
	check(ibc_init_client_data(&other, bad, &a.client) == EINVAL);
	check(ibc_set_client_data(bad, &a.client, NULL) == EINVAL);
	check(ibc_cmpxchg_client_data(bad, &a.client, NULL, NULL, &current) ==
	      EINVAL);
	check(!current);
}

static void einval_of_what_takes_a_device(void **state)
{
	(void)state;
	begin();
	bad_device(NULL);
	bad_device((struct ibc_device *)garbage);
	bad_device((struct ibc_device *)h_reg);
	assert_int_equal(ibc_report_event(dev, NULL), EINVAL);
	assert_int_equal(ibc_wait_drained(dev, -2), EINVAL);
	assert_int_equal(ibc_wait_drained(dev, INT_MIN), EINVAL);
	assert_int_equal(ibc_device_state(dev), IBC_DEVICE_LIVE);
	end();
}

/* not registered, of another registry, or nothing at all */
static void bad_client(struct ibc_client *client)
{
	struct ibc_client_data other = {}, *current = &other;

	check_null(ibc_alloc_or_get_client_data(dev, client), EINVAL);
	check_null(ibc_get_client_data(dev, client), EINVAL);
	check(ibc_init_client_data(&other, dev, client) == EINVAL);
	check(ibc_set_client_data(dev, client, NULL) == EINVAL);
	check(ibc_set_client_data(dev, client, data) == EINVAL);
	check(ibc_cmpxchg_client_data(dev, client, NULL, NULL, &current) ==
	      EINVAL);
	check(!current);
}

static void not_registered(struct ibc_client *client)
{
	bad_client(client);
	check(ibc_unregister_client(client) == EINVAL);
	check(ibc_unregister_client_timed(client, 0) == EINVAL);
	check(ibc_unregister_client_async(client, NULL) == EINVAL);
}

static void einval_of_what_takes_a_client(void **state)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };
	struct ibc_registry *other = ibc_open(&attr);
	struct ibc_client client = {};

	(void)state;
	begin();
	not_registered(NULL);
	not_registered(&client);
	memset(&client, 0xa5, sizeof(client));
	not_registered(&client);
	assert_int_equal(ibc_unregister_client_timed(&a.client, -2), EINVAL);
	assert_int_equal(ibc_unregister_client_timed(&a.client, INT_MIN),
			 EINVAL);
	memset(&client, 0, sizeof(client));
	assert_int_equal(ibc_register_client(other, &client), 0);
	bad_client(&client);
	assert_int_equal(ibc_unregister_client(&client), 0);
	assert_int_equal(ibc_close(other), 0);
	not_registered(&client); /* not any more */

	/* a copy of a registered one is not registered */
	memcpy(&client, &a.client, sizeof(client));
	not_registered(&client);
	end();
}

static void einval_of_register(void **state)
{
	struct ibc_client client = { .comp_mask = 1 };

	(void)state;
	assert_int_equal(ibc_register_client(h_reg, NULL), EINVAL);
	assert_int_equal(ibc_register_client(h_reg, &client), EINVAL);
	client.comp_mask = 0;
	client.flags = 1U << 2;
	assert_int_equal(ibc_register_client(h_reg, &client), EINVAL);
	client.flags = UINT32_MAX;
	assert_int_equal(ibc_register_client(h_reg, &client), EINVAL);
	client.flags = 0;
	client.opaque[3] = 1; /* "zero before registering" */
	assert_int_equal(ibc_register_client(h_reg, &client), EINVAL);
	client.opaque[3] = 0;
	assert_int_equal(ibc_register_client(h_reg, &client), 0);
	assert_int_equal(ibc_register_client(h_reg, &client), EBUSY);
	assert_int_equal(ibc_unregister_client(&client), 0);
	assert_false(client.opaque[0] || client.opaque[1] || client.opaque[2] ||
		     client.opaque[3]);
	assert_int_equal(ibc_register_client(h_reg, &client), 0);
	assert_int_equal(ibc_unregister_client(&client), 0);
}

static void einval_of_data(void **state)
{
	struct ibc_client_data none = {}, *current = &none;
	struct ibc_device *other_dev;

	(void)state;
	begin();
	fake_add("soft1", 0x22);
	other_dev = h_device("soft1");
	rec_init(&b, "b", 0);
	rec_register(&b);
	wait_for(h_count(&a, H_ADD) == 2);
	assert_int_equal(ibc_init_client_data(NULL, dev, &a.client), EINVAL);
	/* never initialised; of another device; of another client */
	assert_int_equal(ibc_set_client_data(dev, &a.client, &none), EINVAL);
	none.device = dev;
	none.client = &a.client;
	assert_int_equal(ibc_set_client_data(dev, &a.client, &none), EINVAL);
	assert_int_equal(ibc_cmpxchg_client_data(dev, &a.client, data, &none,
						 &current),
			 EINVAL);
	assert_null(current);
	assert_int_equal(ibc_set_client_data(other_dev, &a.client, data),
			 EINVAL);
	assert_int_equal(ibc_set_client_data(dev, &b.client, data), EINVAL);
	ibc_hold_client_data(NULL);
	ibc_hold_client_data(&none);
	assert_false(ibc_put_client_data(NULL));
	assert_false(ibc_put_client_data(&none));
	ibc_put_device(other_dev);
	rec_unregister(&b);
	end();
}

static void close_says_ebusy_while_something_is_left(void **state)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };
	struct ibc_registry *reg = ibc_open(&attr);
	struct ibc_client client = {};
	struct ibc_device *left;

	(void)state;
	fake_add("soft0", 0x11);
	assert_int_equal(ibc_register_client(reg, &client), 0);
	assert_int_equal(ibc_close(reg), EBUSY);
	left = ibc_get_device_by_name(reg, "soft0");
	assert_int_equal(ibc_unregister_client(&client), 0);
	assert_int_equal(ibc_close(reg), EBUSY);
	assert_int_equal(ibc_remove_device(left), 0);
	assert_int_equal(ibc_wait_drained(left, -1), 0);
	assert_int_equal(ibc_close(reg), EBUSY); /* gone, but referred to */
	ibc_put_device(left);
	assert_int_equal(ibc_close(reg), 0);
}

static void the_shared_registry_is_counted(void **state)
{
	struct ibc_registry *reg = ibc_open(NULL);
	struct ibc_client client = {};

	(void)state;
	assert_ptr_equal(ibc_open(NULL), reg);
	assert_int_equal(ibc_register_client(reg, &client), 0);
	assert_int_equal(ibc_close(reg), 0);	 /* not the last */
	assert_int_equal(ibc_close(reg), EBUSY); /* and kept */
	assert_int_equal(ibc_rescan(reg), 0);
	assert_int_equal(ibc_unregister_client(&client), 0);
	assert_int_equal(ibc_close(reg), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_NONE(einval_of_open),
		IN_ALL(einval_of_what_takes_a_registry),
		IN_ALL(einval_of_dispatching_with_threads),
		IN_ALL(einval_of_what_takes_a_device),
		IN_ALL(einval_of_what_takes_a_client),
		IN_ALL(einval_of_register),
		IN_ALL(einval_of_data),
		IN_NONE(close_says_ebusy_while_something_is_left),
		IN_NONE(the_shared_registry_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
