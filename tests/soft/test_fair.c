// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A storm of events on one device while another has one: that one's handler runs
 * soon, and each event of the storm is told, by its count. The first event of a
 * storm is held up until all of it is in the kernel's queue, so that it is all
 * there when the other device's event comes.
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include <infiniband/ibclient.h>

#include "scale.h"
#include "soft_test.h"

#define STORM	 10000
#define ROUNDS	 20
#define LIMIT_NS 10000000

static struct scale_fabric fabric;
static struct ibc_registry *registry;
static struct ibc_client client = { .name = "fair" };
static struct ibc_device *stormy, *quiet;
static atomic_uint stormy_calls, stormy_count, quiet_count;
static atomic_bool hold, stop;
static int64_t sent_at, heard_at;
static bool manual;

static void hear_stormy(struct ibc_device *dev, const struct ibc_event *event,
			void *arg)
{
	(void)dev;
	(void)arg;
	atomic_fetch_add(&stormy_count, event->count);
	atomic_fetch_add(&stormy_calls, 1);
	while (atomic_load(&hold))
		soft_sleep_ms(1);
}

static void hear_quiet(struct ibc_device *dev, const struct ibc_event *event,
		       void *arg)
{
	(void)dev;
	(void)arg;
	heard_at = scale_now_ns();
	atomic_fetch_add(&quiet_count, event->count);
}

static void *dispatch(void *arg)
{
	struct pollfd fd = { .fd = ibc_get_fd(registry), .events = POLLIN };

	(void)arg;
	while (!atomic_load(&stop)) {
		poll(&fd, 1, 10);
		ibc_dispatch(registry, 0);
	}
	return NULL;
}

static void wait_for_count(atomic_uint *counter, unsigned int n)
{
	int64_t end = soft_now_ms() + SCALE_WAIT_MS;

	while (atomic_load(counter) < n) {
		assert_true(soft_now_ms() < end);
		sched_yield();
	}
}

static void send_event(const char *name, const char *spec)
{
	assert_int_equal(softverbs_send_event(fabric.sv, name, spec), 0);
}

/* two kinds in turn, so that not two of them can be told as one */
static void send_storm(void)
{
	unsigned int i;

	for (i = 0; i < STORM; i++)
		send_event("soft0", i % 2 ? "PORT_ACTIVE --port 1" :
					    "PORT_ERR --port 1");
}

static int64_t one_round(void)
{
	unsigned int calls = atomic_load(&stormy_calls);
	unsigned int count = atomic_load(&stormy_count);
	unsigned int n = atomic_load(&quiet_count);

	atomic_store(&hold, true);
	send_storm();
	wait_for_count(&stormy_calls, calls + 1);
	atomic_store(&hold, false);
	wait_for_count(&stormy_calls, calls + 10);
	sent_at = scale_now_ns();
	send_event("soft1", "LID_CHANGE --port 1");
	wait_for_count(&quiet_count, n + 1);
	wait_for_count(&stormy_count, count + STORM);
	assert_int_equal(atomic_load(&stormy_count), count + STORM);
	return heard_at - sent_at;
}

static struct ibc_event_handler *
listen_to(struct ibc_device *dev,
	  void (*fn)(struct ibc_device *dev, const struct ibc_event *event,
		     void *arg))
{
	struct ibc_event_filter filter = { .scope = IBC_SCOPE_PORT,
					   .port_num = 1 };
	struct ibc_event_handler *handler =
		ibc_register_event_handler(dev, &filter, fn, NULL);

	assert_non_null(handler);
	return handler;
}

static void rounds(const char *what, int num)
{
	struct ibc_event_handler *a = listen_to(stormy, hear_stormy);
	struct ibc_event_handler *b = listen_to(quiet, hear_quiet);
	struct ibc_stats stats;
	int64_t ns[ROUNDS];
	int i;

	for (i = 0; i < num; i++)
		ns[i] = one_round();
	assert_int_equal(ibc_query_stats(registry, &stats, sizeof(stats)), 0);
	assert_int_equal(stats.events_read, atomic_load(&stormy_count) +
						    atomic_load(&quiet_count));
	assert_int_equal(stats.events_read, num * (STORM + 1));
	printf("measured: %s: %u events in %u calls\n", what,
	       atomic_load(&stormy_count), atomic_load(&stormy_calls));
	assert_true(scale_report(what, ns, num) <= LIMIT_NS);
	assert_int_equal(ibc_unregister_event_handler(a), 0);
	assert_int_equal(ibc_unregister_event_handler(b), 0);
}

static void storm(const char *what, int num)
{
	struct ibc_registry_attr attr = { .flags = manual ?
							   IBC_REGISTRY_MANUAL :
							   0 };
	pthread_t thread;

	stormy_calls = stormy_count = quiet_count = 0;
	stop = hold = false;
	scale_make_fabric(&fabric);
	assert_int_equal(softverbs_add_device(fabric.sv, "soft0", 0, 1, 0), 0);
	assert_int_equal(softverbs_add_device(fabric.sv, "soft1", 0, 1, 0), 0);
	registry = ibc_open(&attr);
	assert_non_null(registry);
	assert_int_equal(ibc_register_client(registry, &client), 0);
	stormy = ibc_get_device_by_name(registry, "soft0");
	quiet = ibc_get_device_by_name(registry, "soft1");
	assert_true(stormy && quiet);
	if (manual)
		assert_int_equal(pthread_create(&thread, NULL, dispatch, NULL),
				 0);
	rounds(what, num);
	atomic_store(&stop, true);
	if (manual)
		pthread_join(thread, NULL);
	ibc_put_device(stormy);
	ibc_put_device(quiet);
	assert_int_equal(ibc_unregister_client(&client), 0);
	assert_int_equal(ibc_close(registry), 0);
	assert_int_equal(softverbs_remove_device(fabric.sv, "soft0", -1), 0);
	assert_int_equal(softverbs_remove_device(fabric.sv, "soft1", -1), 0);
	scale_remove_fabric(&fabric);
}

static void g16_a_storm_holds_up_no_other_device(void **state)
{
	(void)state;
	manual = false;
	storm("storm of 10000 events on one device: event of another "
	      "injected -> its handler",
	      ROUNDS);
}

static void g16_a_storm_holds_up_no_other_device_manual(void **state)
{
	(void)state;
	manual = true;
	storm("the same, with a poll loop and ibc_dispatch()", ROUNDS / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(g16_a_storm_holds_up_no_other_device),
		cmocka_unit_test(g16_a_storm_holds_up_no_other_device_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
