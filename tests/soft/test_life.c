// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Softverbs devices that come, fail and go under a program that has them. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soft_test.h"

const char *ibv_get_sysfs_path(void);

/* ---- the list ---- */

static struct ibv_device *find(struct ibv_device **list, const char *name)
{
	int i;

	for (i = 0; list[i]; i++)
		if (strcmp(ibv_get_device_name(list[i]), name) == 0)
			return list[i];
	return NULL;
}

static void list(void **state)
{
	struct soft_test *test = *state;
	struct ibv_device **list, **again, *dev;
	struct stat st;
	int num;

	assert_int_equal(softverbs_add_device(test->sv, "second",
					      htobe64(0x123456789abcdef0), 1,
					      0),
			 0);
	list = ibv_get_device_list(&num);
	assert_int_equal(num, 2);
	dev = find(list, "second");
	assert_non_null(dev);
	assert_int_equal(ibv_get_device_guid(dev), htobe64(0x123456789abcdef0));
	assert_int_equal(ibv_get_device_index(dev), 1);
	assert_string_equal(dev->dev_name, "uverbs1");
	assert_int_equal(stat(dev->dev_path, &st), 0);
	assert_int_equal(stat(dev->ibdev_path, &st), 0);
	assert_int_equal(dev->node_type, IBV_NODE_CA);
	assert_string_equal(ibv_get_sysfs_path(), test->dir);

	/* the same address while listed; the name is that of the first time */
	assert_int_equal(softverbs_rename_device(test->sv, "second", "third"),
			 0);
	again = ibv_get_device_list(&num);
	assert_int_equal(num, 2);
	assert_ptr_equal(find(again, "second"), dev);
	assert_null(find(again, "third"));
	ibv_free_device_list(again);

	/* gone from the list, but not from who has it */
	assert_int_equal(softverbs_remove_device(test->sv, "third", 0), 0);
	again = ibv_get_device_list(&num);
	assert_int_equal(num, 1);
	ibv_free_device_list(again);
	assert_string_equal(ibv_get_device_name(dev), "second");
	assert_error(ibv_open_device(dev), ENODEV);

	/* opening goes by the node, whoever has that now */
	assert_int_equal(softverbs_add_device(test->sv, "fourth", 0, 3, 0), 0);
	{
		struct ibv_context *context = ibv_open_device(dev);
		struct ibv_device_attr attr;

		assert_non_null(context);
		assert_int_equal(ibv_query_device(context, &attr), 0);
		assert_int_equal(attr.phys_port_cnt, 3);
		assert_int_equal(ibv_close_device(context), 0);
	}
	ibv_free_device_list(list);
}

/* what only reads, or makes what is its own, does not wait for others that do */
static void beside_another_open(void **state)
{
	struct soft_test *test = *state;
	struct ibv_context *context;
	struct ibv_device **list;
	char path[128];
	int fd, num;

	snprintf(path, sizeof(path), "%s/lock", test->dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	alarm(60); /* it would wait for ever */
	assert_int_equal(flock(fd, LOCK_SH), 0);
	list = ibv_get_device_list(&num);
	assert_int_equal(num, 1);
	context = ibv_open_device(list[0]);
	assert_non_null(context);
	ibv_free_device_list(list);
	assert_int_equal(close(fd), 0);
	alarm(0);
	assert_int_equal(ibv_close_device(context), 0);
}

static void no_fabric(void **state)
{
	struct soft_test *test = *state;
	struct ibv_device **list;
	struct stat st;
	int num = 7;

	setenv("SOFTVERBS_DIR", "/tmp/soft-test-none/deep", 1);
	list = ibv_get_device_list(&num);
	assert_int_equal(num, 0);
	if (list)
		ibv_free_device_list(list);
	assert_int_equal(stat("/tmp/soft-test-none", &st), -1);
	setenv("SOFTVERBS_DIR", test->dir, 1);
}

/* ---- queries ---- */

static void queries(void **state)
{
	struct soft_test *test = *state;
	struct ibv_context *context = test->context;
	struct ibv_device_attr_ex attr;
	struct ibv_gid_entry entries[8];
	struct ibv_port_attr port;
	union ibv_gid gid;
	__be16 pkey;

	assert_int_equal(ibv_query_device_ex(context, NULL, &attr), 0);
	assert_int_equal(attr.phys_port_cnt_ex, 2);
	assert_int_equal(attr.orig_attr.node_guid,
			 ibv_get_device_guid(context->device));
	assert_int_equal(ibv_query_port(context, 1, &port), 0);
	assert_int_equal(port.state, IBV_PORT_ACTIVE);
	assert_int_equal(port.link_layer, IBV_LINK_LAYER_ETHERNET);
	assert_int_equal(ibv_query_port(context, 0, &port), EINVAL);
	assert_int_equal(ibv_query_port(context, 3, &port), EINVAL);
	assert_int_equal(ibv_query_gid(context, 1, 0, &gid), 0);
	assert_int_equal(gid.raw[0], 0xfe);
	assert_int_equal(ibv_query_gid(context, 1, 1, &gid), 0);
	assert_int_equal(gid.global.interface_id, 0);
	assert_int_equal(ibv_query_gid(context, 1, 99, &gid), -1);
	assert_int_equal(ibv_query_gid(context, 1, -1, &gid), -1);
	assert_int_equal(ibv_query_gid_ex(context, 2, 0, entries, 0), 0);
	assert_int_equal(entries[0].port_num, 2);
	assert_int_equal(ibv_query_gid_ex(context, 2, 1, entries, 0), ENODATA);
	assert_int_equal(ibv_query_gid_table(context, entries, 8, 0), 2);
	assert_int_equal(ibv_query_gid_table(context, entries, 1, 0), -EINVAL);
	assert_int_equal(ibv_query_pkey(context, 1, 0, &pkey), 0);
	assert_int_equal(pkey, htobe16(0xffff));
	assert_int_equal(ibv_get_pkey_index(context, 1, pkey), 0);
	assert_int_equal(ibv_get_pkey_index(context, 1, htobe16(7)), -1);

	assert_int_equal(softverbs_set_port(test->sv, "soft0", 1, false), 0);
	assert_int_equal(ibv_query_port(context, 1, &port), 0);
	assert_int_equal(port.state, IBV_PORT_DOWN);
	assert_int_equal(softverbs_rename_device(test->sv, "soft0", "x"), 0);
	assert_int_equal(ibv_query_port(context, 1, &port), 0);
	assert_int_equal(softverbs_rename_device(test->sv, "x", "soft0"), 0);
}

static void set_next_index(struct soft_test *test, unsigned int index)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/next", test->dir);
	f = fopen(path, "r+");
	assert_non_null(f);
	fprintf(f, "%-10u\n", index);
	assert_int_equal(fclose(f), 0);
}

/* appends the first GID of each port; that of port 1 is made of the GUID */
static void collect_gids(const char *name, int ports, union ibv_gid *gids)
{
	struct ibv_context *context = soft_open(name);
	int i;

	assert_non_null(context);
	for (i = 0; i < ports; i++)
		assert_int_equal(ibv_query_gid(context, i + 1, 0, &gids[i]), 0);
	assert_int_equal(gids[0].global.subnet_prefix,
			 htobe64(0xfe80000000000000));
	assert_int_equal(gids[0].global.interface_id,
			 ibv_get_device_guid(context->device));
	assert_int_equal(ibv_close_device(context), 0);
}

/* of all devices and ports, also where a byte of the index runs over */
static void gids(void **state)
{
	static const struct {
		unsigned int index, ports;
	} devices[] = { { 1, 255 },	{ 2, 2 },     { 255, 2 },
			{ 256, 2 },	{ 257, 255 }, { 65535, 2 },
			{ 65536, 2 },	{ 65537, 2 }, { 3U << 16, 2 },
			{ 1U << 24, 2 } };
	union ibv_gid all[600];
	struct soft_test *test = *state;
	unsigned int i, j, num = 2;
	char name[16];

	collect_gids("soft0", 2, all);
	for (i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		snprintf(name, sizeof(name), "many%u", i);
		set_next_index(test, devices[i].index);
		assert_int_equal(softverbs_add_device(test->sv, name, 0,
						      devices[i].ports, 0),
				 0);
		collect_gids(name, devices[i].ports, &all[num]);
		num += devices[i].ports;
	}
	for (i = 0; i < num; i++)
		for (j = 0; j < i; j++)
			assert_memory_not_equal(&all[i], &all[j],
						sizeof(all[i]));
}

/* ---- faults ---- */

static void faults(void **state)
{
	struct soft_test *test = *state;
	struct ibv_context *context = test->context;
	struct ibv_pd *pd;
	int64_t start;

	assert_int_equal(softverbs_set_fault(test->sv, "soft0",
					     "alloc_pd=ENOMEM:2 open=EBUSY:1"),
			 0);
	assert_error(ibv_alloc_pd(context), ENOMEM);
	assert_error(ibv_alloc_pd(context), ENOMEM);
	pd = ibv_alloc_pd(context);
	assert_non_null(pd);
	assert_error(soft_open("soft0"), EBUSY);
	assert_int_equal(soft_count_contexts(test, "uverbs0"), 1);
	assert_int_equal(softverbs_set_fault(test->sv, "soft0",
					     "dealloc_pd=delay:50 "
					     "close=EBUSY:1"),
			 0);
	start = soft_now_ms();
	assert_int_equal(ibv_dealloc_pd(pd), 0);
	assert_true(soft_now_ms() - start >= 49);
	assert_int_equal(ibv_close_device(context), -1);
	assert_int_equal(softverbs_set_fault(test->sv, "soft0", "none"), 0);
}

/* ---- removal ---- */

static void removed_fatal(void **state)
{
	struct soft_test *test = *state;
	struct ibv_context *context = test->context;
	struct ibv_async_event event;
	struct ibv_qp_attr attr = {};
	struct ibv_device_attr device;
	struct ibv_port_attr port;
	struct soft_objects o;
	union ibv_gid gid;
	struct ibv_mr *mr;
	static char buf[16];

	soft_make_objects(context, &o);
	mr = ibv_reg_mr(o.pd, buf, sizeof(buf), 0);
	assert_int_equal(softverbs_remove_device(test->sv, "soft0", -1), 0);
	assert_null(soft_open("soft0"));
	assert_int_equal(ibv_get_async_event(context, &event), 0);
	assert_int_equal(event.event_type, IBV_EVENT_DEVICE_FATAL);
	ibv_ack_async_event(&event);
	assert_int_equal(ibv_get_async_event(context, &event), -1);
	assert_int_equal(errno, EIO);
	assert_error(ibv_alloc_pd(context), EIO);
	assert_error(ibv_create_cq(context, 1, NULL, NULL, 0), EIO);
	assert_error(ibv_reg_mr(o.pd, buf, sizeof(buf), 0), EIO);
	assert_int_equal(ibv_query_device(context, &device), EIO);
	assert_int_equal(ibv_query_port(context, 1, &port), EIO);
	assert_int_equal(ibv_query_gid(context, 1, 0, &gid), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(ibv_modify_qp(o.qp, &attr, IBV_QP_STATE), EIO);
	assert_true(ibv_poll_cq(o.cq, 1, NULL) < 0);
	/* in the wrong order: nothing may fail now */
	assert_int_equal(ibv_dealloc_pd(o.pd), 0);
	assert_int_equal(ibv_destroy_cq(o.cq), 0);
	assert_int_equal(ibv_destroy_srq(o.srq), 0);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	assert_int_equal(ibv_destroy_qp(o.qp), 0);
	assert_int_equal(ibv_destroy_wq(o.wq), 0);
}

struct closer {
	struct ibv_context *context;
	int64_t when;
};

static void *close_later(void *arg)
{
	struct closer *closer = arg;

	soft_sleep_ms(100);
	closer->when = soft_now_ms();
	assert_int_equal(ibv_close_device(closer->context), 0);
	return NULL;
}

static void removed_wait(void **state)
{
	struct soft_test *test = *state;
	struct closer closer = { .context = test->context };
	struct ibv_device_attr attr;
	struct softverbs *sv = softverbs_open(NULL);
	struct ibv_pd *pd;
	pthread_t thread;
	char path[128];
	struct stat st;
	int64_t removed;

	assert_int_equal(softverbs_remove_device(sv, "soft0", 10), ETIMEDOUT);
	assert_null(soft_open("soft0"));
	pd = ibv_alloc_pd(test->context);
	assert_non_null(pd);
	assert_int_equal(ibv_dealloc_pd(pd), 0);
	assert_int_equal(ibv_query_device(test->context, &attr), 0);
	/* the name is taken until the last holder closes, then all is swept */
	assert_int_equal(softverbs_add_device(sv, "soft0", 0, 1, 0), EEXIST);
	assert_int_equal(ibv_close_device(test->context), 0);
	snprintf(path, sizeof(path), "%s/removed/0", test->dir);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(softverbs_add_device(sv, "soft0", 0, 1, 0), 0);

	closer.context = soft_open("soft0");
	test->context = NULL;
	pthread_create(&thread, NULL, close_later, &closer);
	assert_int_equal(softverbs_remove_device(sv, "soft0", -1), 0);
	removed = soft_now_ms();
	pthread_join(thread, NULL);
	assert_in_range(removed - closer.when, 0, 1000);
	softverbs_close(sv);
}

/* its directory goes with it, not when somebody sweeps */
static void closed(void **state)
{
	struct soft_test *test = *state;
	struct ibv_context *context = soft_open("soft0");

	assert_int_equal(soft_count_contexts(test, "uverbs0"), 2);
	assert_int_equal(ibv_close_device(context), 0);
	assert_int_equal(soft_count_contexts(test, "uverbs0"), 1);
}

/* a child that was forked holds the device, too, and may close it */
static void forked(void **state)
{
	struct soft_test *test = *state;
	int status, fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		close(fds[1]);
		/* until it is closed there */
		_exit(read(fds[0], &status, 1) ||
		      ibv_close_device(test->context));
	}
	close(fds[0]);
	assert_int_equal(ibv_close_device(test->context), 0);
	test->context = NULL;
	assert_int_equal(soft_count_contexts(test, "uverbs0"), 1);
	assert_int_equal(softverbs_remove_device(test->sv, "soft0", 0),
			 ETIMEDOUT);
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(softverbs_add_device(test->sv, "soft0", 0, 1, 0), 0);
}

static void killed(void **state)
{
	struct soft_test *test = *state;
	int status, fds[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		ibv_close_device(test->context);
		soft_open("soft0");
		if (write(fds[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(fds[0], &c, 1), 1);
	assert_int_equal(soft_count_contexts(test, "uverbs0"), 2);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_int_equal(softverbs_set_port(test->sv, "soft0", 1, false), 0);
	assert_int_equal(soft_count_contexts(test, "uverbs0"), 1);
	close(fds[0]);
	close(fds[1]);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(list),
		TEST(beside_another_open),
		TEST(no_fabric),
		TEST(queries),
		TEST(gids),
		TEST(faults),
		TEST(removed_wait),
		TEST(closed),
		TEST(forked),
		TEST(killed),
		cmocka_unit_test_setup_teardown(removed_fatal, soft_setup_fatal,
						soft_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
