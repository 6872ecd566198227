// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What NCCL's plug-in wants of its devices; see Documentation/porting.md. */
#include <dirent.h>

#include "nccl_stats.h"
#include "port_test.h"

static int setup(void **state)
{
	return port_setup(state) || nccl_begin(port_reg);
}

static int teardown(void **state)
{
	assert_int_equal(nccl_end(), 0);
	return port_teardown(state);
}

static struct nccl_device *get(const char *name)
{
	struct ibc_device *dev = port_device(name);
	struct nccl_device *d;

	/* it may be found a moment before its clients are told of it */
	wait_until((d = nccl_get(dev)));
	ibc_put_device(dev);
	return d;
}

static void a_fatal_event_is_seen_by_the_next_operation(void **state)
{
	struct nccl_device *d = get("soft0"), *other = get("soft1");
	struct ibv_context *context = ibc_device_context(d->base.device);
	struct ibv_pd *pd = ibv_alloc_pd(context);
	struct ibv_qp *qp = port_make_qp(pd, NULL);

	(void)state;
	assert_int_equal(nccl_check(d), 0);
	port_send("soft0", "QP_FATAL", "qp", qp->qp_num);
	wait_until(nccl_check(d) == EIO);
	assert_int_equal(d->events[IBV_EVENT_QP_FATAL], 1);
	assert_int_equal(nccl_check(other), 0);
	port_destroy_qp(qp);
	assert_int_equal(ibv_dealloc_pd(pd), 0);
	nccl_put(d);
	nccl_put(other);
}

static void others_are_only_counted(void **state)
{
	struct nccl_device *d = get("soft0"), *other = get("soft1");
	int i;

	(void)state;
	for (i = 0; i < 100; i++)
		port_send("soft0", "LID_CHANGE", "port", 1 + i % 2);
	port_send("soft0", "SM_CHANGE", "port", 1);
	wait_until(d->events[IBV_EVENT_SM_CHANGE] == 1);
	wait_until(d->events[IBV_EVENT_LID_CHANGE] == 100);
	assert_int_equal(nccl_check(d), 0);
	assert_int_equal(other->events[IBV_EVENT_LID_CHANGE], 0);
	nccl_put(d);
	nccl_put(other);
}

/* a connection that holds it sees why, and the next device begins anew */
static void a_dead_device_says_so_until_the_last_put(void **state)
{
	struct nccl_device *d = get("soft0");
	struct ibc_device *dev = ibc_get_device(d->base.device);

	(void)state;
	port_send("soft0", "DEVICE_FATAL", "count", 1);
	wait_until(nccl_check(d) == EIO);
	assert_int_equal(d->events[IBV_EVENT_DEVICE_FATAL], 1);
	wait_until(ibc_device_state(dev) == IBC_DEVICE_DRAINING);
	assert_error(nccl_get(dev), ENODEV);
	nccl_put(d);
	assert_int_equal(ibc_wait_drained(dev, LIMIT_MS), 0);
	ibc_put_device(dev);

	port_remove_device("soft0");
	port_add_device("soft0");
	d = get("soft0");
	assert_int_equal(nccl_check(d), 0);
	nccl_put(d);
}

static int num_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	int num = 0;

	assert_non_null(dir);
	while (readdir(dir))
		num++;
	closedir(dir);
	return num - 2;
}

static void more_devices_need_no_more_threads(void **state)
{
	int before = num_threads(), i;
	char name[16];

	(void)state;
	for (i = 2; i < 10; i++) {
		snprintf(name, sizeof(name), "soft%d", i);
		port_add_device(name);
		nccl_put(get(name));
	}
	assert_int_equal(num_threads(), before);
	for (i = 2; i < 10; i++) {
		snprintf(name, sizeof(name), "soft%d", i);
		port_remove_device(name);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_fatal_event_is_seen_by_the_next_operation),
		TEST(others_are_only_counted),
		TEST(a_dead_device_says_so_until_the_last_put),
		TEST(more_devices_need_no_more_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
