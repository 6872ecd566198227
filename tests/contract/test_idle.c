// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A quiet process does not wake up, where a source is to be trusted: whatever
 * happened before, nobody sleeps with a limit, and the timerfd is not set. That
 * is checked instead of waiting: who sleeps without a limit is woken by news
 * only. Calls that sleep are counted by the __wrap functions below.
 */
#include <stdatomic.h>
#include <sys/epoll.h>

#include "harness2.h"

static struct rec a, b;

/* of the threads that are in epoll_wait() now: with and without a limit */
static atomic_int limited, unlimited;
static atomic_uint returns;	 /* of epoll_wait() */
static atomic_uint timed_sleeps; /* on a condition, by the library */

int __real_epoll_wait(int fd, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	atomic_int *here = timeout < 0 ? &unlimited : &limited;
	int n;

	atomic_fetch_add(here, 1);
	n = __real_epoll_wait(fd, events, max, timeout);
	atomic_fetch_sub(here, 1);
	atomic_fetch_add(&returns, 1);
	return n;
}

int __real_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
				  const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
				  const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
				  const struct timespec *until)
{
	if (mutex == &h_reg->lock)
		atomic_fetch_add(&timed_sleeps, 1);
	return __real_pthread_cond_timedwait(cond, mutex, until);
}

static unsigned int armed(void)
{
	struct ibc__timer *timer;
	unsigned int n = 0;

	ibc__lock(h_reg);
	TAILQ_FOREACH(timer, &h_reg->timers, entry)
		n++;
	n += h_reg->timer_set != 0;
	ibc__unlock(h_reg);
	return n;
}

/* what the kernel says of the timerfd itself */
static bool timerfd_is_set(void)
{
	char path[64], line[256];
	unsigned long long s = 1, ns = 1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", h_reg->timer_fd);
	f = fopen(path, "re");
	check(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "it_value: (%llu, %llu)", &s, &ns) == 2)
			break;
	fclose(f);
	return s || ns;
}

/* the leader is in epoll_wait(), the others wait for it to be busy */
static bool threads_sleep(void)
{
	bool asleep;

	if (h_mode == H_MANUAL)
		return true;
	ibc__lock(h_reg);
	asleep = h_reg->polling && h_reg->followers + 1 == h_reg->num_threads;
	ibc__unlock(h_reg);
	return asleep && atomic_load(&unlimited) == 1;
}

static void expect_quiet(void)
{
	unsigned int before, sleeps;

	h_fence();
	wait_for(threads_sleep());
	before = atomic_load(&returns);
	sleeps = atomic_load(&timed_sleeps);
	assert_int_equal(armed(), 0);
	assert_false(timerfd_is_set());
	if (h_mode == H_MANUAL) {
		assert_int_equal(ibc_dispatch(h_reg, 0), ETIMEDOUT);
		return;
	}
	assert_int_equal(atomic_load(&limited), 0);
	/* nothing that is not news wakes them: neither reading nor asking */
	free(h2_dump(h_reg, IBC_DUMP_JSON));
	ibc_put_device(h_device("soft0"));
	assert_true(threads_sleep());
	assert_int_equal(atomic_load(&returns), before);
	assert_int_equal(atomic_load(&timed_sleeps), sleeps);
}

static void begin(void)
{
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	ibc_put_device(h_device("soft0"));
}

static void it_is_quiet_with_devices_and_clients(void **state)
{
	struct ibc_client_data *data;
	struct ibc_device *dev;

	(void)state;
	begin();
	rec_init(&b, "b", IBC_CLIENT_DEFER_FREE);
	rec_register(&b);
	dev = h_device("soft0");
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	expect_quiet();
	fake_event("soft0", IBV_EVENT_PORT_ERR, 1);
	wait_for(h_count(&b, H_EVENT) == 1);
	expect_quiet();
	ibc_put_client_data(data);
	ibc_put_device(dev);
	rec_unregister(&b);
	rec_unregister(&a);
}

static void it_is_quiet_after_a_false_hint(void **state)
{
	(void)state;
	begin();
	h2_uevent("remove", "uverbs0");
	wait_for(h2_stats(h_reg).false_hints == 1);
	expect_quiet();
	rec_unregister(&a);
}

static void it_is_quiet_after_a_device_came_and_went(void **state)
{
	struct ibc_client_data *data;
	struct ibc_device *dev;

	(void)state;
	begin();
	fake_add("soft1", 0x22);
	dev = h_device("soft1");
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	fake_remove("soft1", FAKE_WAIT);
	wait_for(h2_is(dev, IBC_DEVICE_DRAINING));
	ibc_put_client_data(data);
	wait_for(h_count(&a, H_GONE) == 1);
	expect_quiet(); /* though somebody has the struct */
	ibc_put_device(dev);
	expect_quiet();
	rec_unregister(&a);
}

static void it_is_quiet_after_what_failed_succeeded(void **state)
{
	uint64_t scans;

	(void)state;
	fake_fail(FAKE_OPEN, EIO, 2);
	begin();
	expect_quiet();
	scans = h2_stats(h_reg).scans;
	fake_fail(FAKE_LIST, EMFILE, 1);
	fake_notify();
	/* the one that fails, and the one that is tried for it */
	wait_for(h2_stats(h_reg).scans >= scans + 2);
	expect_quiet();
	rec_unregister(&a);
}

/* it was to be tried again later, but news made it earlier */
static void it_is_quiet_after_an_early_open(void **state)
{
	struct ibc_device *dev;

	(void)state;
	fake_fail(FAKE_OPEN, EIO, -1);
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	wait_for(h2_stats(h_reg).opens_failed > 0);
	ibc__lock(h_reg);
	dev = TAILQ_FIRST(&h_reg->devices);
	ibc__timer_stop(h_reg, &dev->timer);
	dev->retry_at = ibc__now() + 3600000;
	ibc__device_at(dev, dev->retry_at);
	ibc__unlock(h_reg);
	h_fence();
	assert_int_equal(h_count(&a, H_ADD), 0);
	fake_fail(FAKE_OPEN, 0, 0);
	h2_uevent("add", "uverbs0");
	wait_for(h_count(&a, H_ADD) == 1);
	expect_quiet();
	rec_unregister(&a);
}

static void it_is_quiet_after_a_device_was_reopened(void **state)
{
	(void)state;
	begin();
	fake_remove("soft0", FAKE_RESET);
	wait_for(h_count(&a, H_ADD) == 2);
	wait_for(h_count(&a, H_GONE) == 1);
	expect_quiet();
	rec_unregister(&a);
}

/* it went by DEVICE_FATAL, was to be reopened, and left the list */
static void it_is_quiet_when_there_is_nothing_to_reopen(void **state)
{
	(void)state;
	begin();
	fake_add("soft1", 0x22);
	wait_for(h_count(&a, H_ADD) == 2);
	fake_remove("soft1", FAKE_FATAL);
	wait_for(h_count(&a, H_GONE) == 1);
	expect_quiet();
	rec_unregister(&a);
}

static void it_is_quiet_when_the_caller_removed_a_device(void **state)
{
	(void)state;
	begin();
	fake_add("soft1", 0x22);
	h2_remove(h_device("soft1"));
	expect_quiet();
	rec_unregister(&a);
}

/* the counting itself: with the clock somebody sleeps with a limit */
static void with_the_clock_it_is_not_quiet(void **state)
{
	(void)state;
	setenv("IBC_SOURCES", "timer", 1);
	h_close(h_reg);
	h_reg = h_open(NULL);
	unsetenv("IBC_SOURCES");
	begin();
	wait_for(armed() > 0 && timerfd_is_set());
	rec_unregister(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MANUAL(it_is_quiet_with_devices_and_clients),
		H_TEST(it_is_quiet_with_devices_and_clients, H_ONE),
		H_TEST(it_is_quiet_with_devices_and_clients, H_FOUR),
		IN_MANUAL(it_is_quiet_after_a_false_hint),
		H_TEST(it_is_quiet_after_a_false_hint, H_ONE),
		H_TEST(it_is_quiet_after_a_false_hint, H_FOUR),
		IN_MANUAL(it_is_quiet_after_a_device_came_and_went),
		H_TEST(it_is_quiet_after_a_device_came_and_went, H_FOUR),
		IN_MANUAL(it_is_quiet_after_what_failed_succeeded),
		H_TEST(it_is_quiet_after_what_failed_succeeded, H_FOUR),
		IN_MANUAL(it_is_quiet_after_an_early_open),
		IN_MANUAL(it_is_quiet_after_a_device_was_reopened),
		H_TEST(it_is_quiet_after_a_device_was_reopened, H_FOUR),
		IN_MANUAL(it_is_quiet_when_there_is_nothing_to_reopen),
		H_TEST(it_is_quiet_when_there_is_nothing_to_reopen, H_FOUR),
		IN_MANUAL(it_is_quiet_when_the_caller_removed_a_device),
		H_TEST(it_is_quiet_when_the_caller_removed_a_device, H_FOUR),
		IN_MANUAL(with_the_clock_it_is_not_quiet),
		H_TEST(with_the_clock_it_is_not_quiet, H_FOUR),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
