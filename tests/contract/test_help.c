// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Who registers a client opens devices himself, beside the registry's thread, and
 * nothing that is meant for him disturbs that.
 */
#include <signal.h>
#include <unistd.h>

#include "harness2.h"

static struct rec a;
static unsigned int opening, by_us, disturbed;
static pid_t us;

static unsigned int value_of(unsigned int *n)
{
	return __atomic_load_n(n, __ATOMIC_SEQ_CST);
}

static void count(unsigned int *n)
{
	__atomic_add_fetch(n, 1, __ATOMIC_SEQ_CST);
	h_changed();
}

/* may a signal come, or a cancellation? */
static bool may_be_disturbed(void)
{
	sigset_t set;
	int state;

	check(pthread_sigmask(SIG_SETMASK, NULL, &set) == 0);
	check(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state) == 0);
	check(pthread_setcancelstate(state, NULL) == 0);
	return !sigismember(&set, SIGUSR1) || state != PTHREAD_CANCEL_DISABLE;
}

static void look(void)
{
	if (gettid() == us)
		count(&by_us);
	if (may_be_disturbed())
		count(&disturbed);
}

/* the first one of two does not return before the second has begun */
static void open_two(void *arg)
{
	(void)arg;
	look();
	count(&opening);
	wait_for(value_of(&opening) >= 2);
}

static void begin(void)
{
	fake_add("soft0", 0x10);
	fake_add("soft1", 0x11);
	rec_init(&a, "a", 0);
	opening = by_us = disturbed = 0;
	us = gettid();
}

static void g01_two_devices_are_opened_at_once(void **state)
{
	(void)state;
	begin();
	fake_on(FAKE_OPEN, open_two, NULL);
	rec_register(&a);
	fake_on(FAKE_OPEN, NULL, NULL);
	assert_int_equal(h_count(&a, H_ADD), 2);
	assert_int_equal(value_of(&opening), 2);
	assert_int_equal(value_of(&by_us), 1);
	assert_int_equal(value_of(&disturbed), 0);
	assert_true(may_be_disturbed());
	rec_unregister(&a);
}

/* it is the user's: one at a time where there is one thread for his callbacks */
static struct ibv_context *in_open(struct ibv_device *device, void *arg)
{
	(void)arg;
	look();
	return fake_open(device->name);
}

static void his_own_open_is_the_threads(void **state)
{
	const struct ibc_registry_attr attr = { .open_device = in_open };

	(void)state;
	h_close(h_reg);
	h_reg = h_open(&attr);
	begin();
	rec_register(&a);
	assert_int_equal(h_count(&a, H_ADD), 2);
	assert_int_equal(value_of(&by_us), 0);
	rec_unregister(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		H_TEST(g01_two_devices_are_opened_at_once, H_ONE),
		H_TEST(his_own_open_is_the_threads, H_ONE),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
