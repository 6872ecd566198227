// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantee 4, of the log sink: it runs under no lock and may call every
 * function; what would wait for the registry of its message says EDEADLK.
 */
#include "harness2.h"

static struct rec a;
static struct ibc_device *dev;
static struct ibc_client_data *data;
static struct ibc_registry *other;
static unsigned int calls;

/*
 * A sink may be about to run when another takes its place. So those here ask
 * whether they still may, and who ends them waits for those that are at work.
 */
static bool ended;
static unsigned int at_work;

static bool begin_sink(void)
{
	__atomic_add_fetch(&at_work, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&ended, __ATOMIC_SEQ_CST))
		return true;
	__atomic_sub_fetch(&at_work, 1, __ATOMIC_SEQ_CST);
	return false;
}

static void end_sink(void)
{
	__atomic_sub_fetch(&at_work, 1, __ATOMIC_SEQ_CST);
	h_changed();
}

static void set_sink(void (*fn)(int level, const char *message, void *arg))
{
	calls = 0;
	__atomic_store_n(&ended, false, __ATOMIC_SEQ_CST);
	ibc_set_log(fn, &calls);
}

static void no_more_sinks(void)
{
	__atomic_store_n(&ended, true, __ATOMIC_SEQ_CST);
	wait_for(__atomic_load_n(&at_work, __ATOMIC_SEQ_CST) == 0);
	ibc_set_log(NULL, NULL);
}

static int nothing(struct ibc_device *d, void *arg)
{
	(void)d;
	(void)arg;
	return 0;
}

static void what_waits(struct ibc_registry *reg)
{
	int error = ibc_dispatch(reg, 0);

	check(error == EDEADLK);
	check(ibc_close(reg) == EDEADLK);
	check(ibc_wait_drained(dev, -1) == EDEADLK);
	check(ibc_unregister_client(&a.client) == EDEADLK);
	check(ibc_unregister_client_timed(&a.client, 0) == EDEADLK);
}

static void use_registry(struct ibc_registry *reg)
{
	struct ibc_client client = { .name = "of the sink" };
	struct ibc_stats stats;
	FILE *null = fopen("/dev/null", "we");
	int error;

	check(null);
	error = ibc_rescan(reg);
	check(error == 0 || error == EMFILE); /* as the test has it */
	check(ibc_dump(reg, null, IBC_DUMP_TEXT) == 0);
	check(ibc_dump(reg, null, IBC_DUMP_JSON) == 0);
	fclose(null);
	check(ibc_query_stats(reg, &stats, sizeof(stats)) == 0);
	check(ibc_for_each_device(reg, nothing, NULL) == 0);
	ibc_put_device(ibc_get_device_by_name(reg, "soft0"));
	ibc_put_device(ibc_get_device_by_index(reg, 0));
	ibc_put_device(ibc_get_device_by_context(reg, (void *)reg));
	check(!client.opaque[0]);
	(void)ibc_get_fd(reg);
}

static void use_device(void)
{
	struct ibv_async_event event = { .event_type = IBV_EVENT_LID_CHANGE };
	struct ibc_client_data *got;

	ibc_put_device(ibc_get_device(dev));
	check(ibc_device_name(dev));
	(void)ibc_device_context(dev);
	(void)ibc_device_index(dev);
	(void)ibc_device_guid(dev);
	(void)ibc_device_adopted(dev);
	check(ibc_device_registry(dev) == h_reg);
	check(ibc_device_incarnation(dev));
	(void)ibc_device_state(dev);
	(void)ibc_report_event(dev, &event);
	check(ibc_report_error(dev, EAGAIN) == 0);
	got = ibc_get_client_data(dev, &a.client);
	ibc_put_client_data(got);
	got = ibc_alloc_or_get_client_data(dev, &a.client);
	ibc_put_client_data(got);
	check(ibc_version());
	if (!__atomic_load_n(&data, __ATOMIC_SEQ_CST))
		return;
	ibc_hold_client_data(data);
	(void)ibc_cmpxchg_client_data(dev, &a.client, NULL, data, NULL);
	check(!ibc_put_client_data(data));
}

static struct ibc_client late = { .name = "late" };
static bool late_done;

static void on_late_done(struct ibc_client *client)
{
	check(client == &late);
	__atomic_store_n(&late_done, true, __ATOMIC_SEQ_CST);
	h_changed();
}

static void sink(int level, const char *message, void *arg)
{
	(void)level;
	if (!begin_sink())
		return;
	check(arg == &calls);
	check(message[0]);
	what_waits(h_reg);
	use_registry(h_reg);
	use_device();
	use_registry(other);
	if (__atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) == 1) {
		check(ibc_register_client(h_reg, &late) == 0);
		check(ibc_unregister_client_async(&late, on_late_done) == 0);
	}
	ibc_set_log(sink, &calls);
	end_sink();
}

static int fail_first(struct rec *rec, struct ibc_device *d)
{
	(void)d;
	/* of two devices at once, one */
	return __atomic_exchange_n(&rec->arg, NULL, __ATOMIC_SEQ_CST) ? EIO : 0;
}

/* messages of every part of the library, in all its threads */
static void g04_the_log_sink_may_call_everything(void **state)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_NO_OPEN };
	struct ibc_client_data *last;
	struct rec c;

	(void)state;
	other = ibc_open(&attr);
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	dev = h_device("soft0");
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	late_done = false;
	set_sink(sink);

	fake_fail(FAKE_OPEN, EACCES, 1); /* in a dispatcher: open failed */
	fake_add("soft1", 0x22);
	wait_for(h_count(&a, H_ADD) == 2);
	fake_fail(FAKE_LIST, EMFILE, 2); /* the list */
	fake_notify();
	rec_init(&c, "c", 0); /* in register: add() failed */
	c.on_add = fail_first;
	c.arg = &c;
	wait_for(ibc_register_client(h_reg, &c.client) == 0);
	wait_for(h_count(&c, H_ADD) == 3);
	fake_rename("soft1", "roce1"); /* in rescan: renamed */
	wait_for(ibc_rescan(h_reg) == 0);
	wait_for(h_count(&c, H_RENAME) == 1);
	check(ibc_remove_device(dev) == 0); /* in remove_device */
	wait_for(h2_is(dev, IBC_DEVICE_DRAINING));
	h_fence(); /* no sink is at work: it uses the data */
	last = __atomic_exchange_n(&data, NULL, __ATOMIC_SEQ_CST);
	ibc_put_client_data(last);
	wait_for(h2_is(dev, IBC_DEVICE_GONE)); /* gone */
	wait_for(__atomic_load_n(&late_done, __ATOMIC_SEQ_CST));
	wait_for(__atomic_load_n(&calls, __ATOMIC_SEQ_CST) >= 6);
	no_more_sinks();
	rec_unregister(&c);
	ibc_put_device(dev);
	rec_unregister(&a);
	assert_int_equal(ibc_close(other), 0);
}

/* what a sink causes is not logged: it would never end */
static void log_from_within(int level, const char *message, void *arg)
{
	(void)level;
	(void)message;
	(void)arg;
	if (!begin_sink())
		return;
	__atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
	fake_fail(FAKE_LIST, EMFILE, 1);
	(void)ibc_rescan(h_reg);
	ibc_remove_device(dev);
	end_sink();
}

static void g04_a_sink_that_logs_does_not_recurse(void **state)
{
	(void)state;
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	dev = h_device("soft0");
	set_sink(log_from_within);
	fake_rename("soft0", "roce0");
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	no_more_sinks();
	fake_fail(FAKE_LIST, 0, 0);
	assert_in_range(__atomic_load_n(&calls, __ATOMIC_SEQ_CST), 1, 10);
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* another registry than the message's may be opened, and closed again */
static void open_and_close(int level, const char *message, void *arg)
{
	struct ibc_registry *reg;

	(void)level;
	(void)message;
	(void)arg;
	if (!begin_sink())
		return;
	reg = ibc_open(NULL);
	check(reg);
	check(ibc_close(reg) == 0);
	__atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
	end_sink();
}

static void g04_a_sink_may_open_a_registry(void **state)
{
	(void)state;
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	set_sink(open_and_close);
	fake_fail(FAKE_OPEN, EACCES, 1);
	rec_register(&a);
	wait_for(__atomic_load_n(&calls, __ATOMIC_SEQ_CST));
	no_more_sinks();
	h_fence();
	rec_unregister(&a);
}

/* two threads open the shared one at once; here the second is within the first */
static const struct ibc__backend *real;
static struct ibc_registry *second;
static bool opening; /* the first */

static const char *open_meanwhile(void)
{
	if (opening && !second) {
		second = (struct ibc_registry *)&second;
		second = ibc_open(NULL);
		check(second);
	}
	return real->sysfs_path();
}

static void open_twice(int level, const char *message, void *arg)
{
	(void)level;
	(void)message;
	(void)arg;
	if (calls++)
		return;
	opening = true;
	other = ibc_open(NULL);
	opening = false;
	check(other && other == second);
}

/* the one that is thrown away leaves nothing behind: teardown looks */
static void g04_a_sink_may_be_second_to_open_the_shared_one(void **state)
{
	struct ibc__backend backend = *ibc__backend;

	(void)state;
	real = ibc__backend;
	backend.sysfs_path = open_meanwhile;
	second = NULL;
	calls = 0;
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	ibc__backend = &backend;
	ibc_set_log(open_twice, NULL);
	fake_rename("soft0", "roce0");
	wait_for(ibc_rescan(h_reg) == 0 && calls);
	h_fence();
	ibc_set_log(NULL, NULL);
	ibc__backend = real;
	assert_int_equal(ibc_close(other), 0);
	assert_int_equal(ibc_close(second), 0);
	rec_unregister(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g04_the_log_sink_may_call_everything),
		IN_ALL(g04_a_sink_that_logs_does_not_recurse),
		IN_ALL(g04_a_sink_may_open_a_registry),
		IN_MANUAL(g04_a_sink_may_be_second_to_open_the_shared_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
