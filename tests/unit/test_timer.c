// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Timers, deadlines and the back-off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <limits.h>

#include "fake.h"
#include "private.h"

#define MANY 50

struct alarm {
	struct ibc__timer timer;
	unsigned int fired; /* how often */
	unsigned int place; /* in the order of firing, from 1 */
};

static struct ibc_registry *reg;
static struct alarm alarms[MANY];
static unsigned int fired;

static void fire(struct ibc__timer *timer)
{
	struct alarm *alarm = ibc__container_of(timer, struct alarm, timer);

	assert_false(timer->armed);
	assert_true(timer->at <= ibc__now());
	alarm->fired++;
	alarm->place = ++fired;
}

static int setup(void **state)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };
	unsigned int i;

	(void)state;
	setenv("IBC_SOURCES", "", 1);
	fake_start();
	memset(alarms, 0, sizeof(alarms));
	for (i = 0; i < MANY; i++)
		alarms[i].timer.fire = fire;
	fired = 0;
	reg = ibc_open(&attr);
	return reg ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	if (ibc_close(reg))
		return -1;
	return fake_stop() ? 0 : -1;
}

static void arm(unsigned int i, uint64_t at)
{
	ibc__lock(reg);
	ibc__timer_arm(reg, &alarms[i].timer, at);
	ibc__unlock(reg);
}

static void stop(unsigned int i)
{
	ibc__lock(reg);
	ibc__timer_stop(reg, &alarms[i].timer);
	ibc__unlock(reg);
}

static void run_until(unsigned int n)
{
	while (fired < n)
		ibc_dispatch(reg, 100);
}

static void they_fire_in_the_order_of_their_time(void **state)
{
	uint64_t base = ibc__now() + 5;
	unsigned int i;

	(void)state;
	for (i = 0; i < MANY; i++)
		arm(i, base + i * 37 % MANY);
	run_until(MANY);
	for (i = 0; i < MANY; i++) {
		assert_int_equal(alarms[i].fired, 1);
		assert_int_equal(alarms[i].place, i * 37 % MANY + 1);
	}
}

static void equal_times_fire_in_the_order_of_arming(void **state)
{
	uint64_t at = ibc__now() + 5;
	unsigned int i;

	(void)state;
	for (i = 0; i < MANY; i++)
		arm(i, at);
	run_until(MANY);
	for (i = 0; i < MANY; i++)
		assert_int_equal(alarms[i].place, i + 1);
}

static void a_stopped_timer_does_not_fire(void **state)
{
	uint64_t at = ibc__now() + 5;

	(void)state;
	arm(0, at);
	arm(1, at + 1);
	arm(2, at + 2);
	stop(0); /* the first, for which the timerfd is set */
	stop(1);
	stop(1);
	stop(3); /* never armed */
	run_until(1);
	assert_int_equal(alarms[0].fired + alarms[1].fired, 0);
	assert_int_equal(alarms[2].fired, 1);
}

static void armed_again_it_moves_both_ways(void **state)
{
	uint64_t at = ibc__now() + 5;

	(void)state;
	arm(0, at);
	arm(1, at + 5);
	arm(2, at + 3600000);
	arm(0, at + 10); /* later */
	arm(2, at);	 /* earlier */
	arm(1, at + 5);	 /* as it was */
	run_until(3);
	assert_int_equal(alarms[2].place, 1);
	assert_int_equal(alarms[1].place, 2);
	assert_int_equal(alarms[0].place, 3);
}

static void again(struct ibc__timer *timer)
{
	struct alarm *alarm = ibc__container_of(timer, struct alarm, timer);

	alarm->place = ++fired;
	if (++alarm->fired < 3)
		ibc__timer_arm(reg, timer, ibc__now() + 1);
	ibc__timer_stop(reg, &alarms[1].timer);
}

static void a_timer_may_arm_itself_and_stop_another(void **state)
{
	uint64_t at = ibc__now() + 2;

	(void)state;
	alarms[0].timer.fire = again;
	arm(0, at);
	arm(1, at); /* due at the same moment, stopped by the first */
	arm(2, at + 20);
	run_until(4);
	assert_int_equal(alarms[0].fired, 3);
	assert_int_equal(alarms[1].fired, 0);
	assert_int_equal(alarms[2].fired, 1);
}

static void one_in_the_past_fires_at_once(void **state)
{
	(void)state;
	arm(0, 1);
	run_until(1);
	assert_int_equal(alarms[0].fired, 1);
	assert_int_equal(ibc_dispatch(reg, 0), ETIMEDOUT);
}

/* some are left when the registry is closed: nothing fires, nothing leaks */
static void close_with_timers_armed(void **state)
{
	(void)state;
	arm(0, ibc__now() + 3600000);
	arm(1, ibc__now() + 1);
}

static void backoff_doubles_up_to_its_limit(void **state)
{
	unsigned int i;

	(void)state;
	assert_int_equal(ibc__backoff(0), 20);
	for (i = 1; i < 9; i++)
		assert_int_equal(ibc__backoff(i), 20U << i);
	assert_int_equal(ibc__backoff(9), 10000);
	assert_int_equal(ibc__backoff(63), 10000);
	assert_int_equal(ibc__backoff(64), 10000);
	assert_int_equal(ibc__backoff(UINT_MAX), 10000);
}

static void deadlines(void **state)
{
	uint64_t deadline = 42, now = ibc__now();

	(void)state;
	assert_int_equal(ibc__deadline(-2, &deadline), EINVAL);
	assert_int_equal(ibc__deadline(INT_MIN, &deadline), EINVAL);
	assert_int_equal(deadline, 42);
	assert_int_equal(ibc__deadline(-1, &deadline), 0);
	assert_true(deadline == IBC_FOREVER);
	assert_int_equal(ibc__deadline(INT_MAX, &deadline), 0);
	assert_true(deadline >= now + INT_MAX);
	assert_int_equal(ibc__deadline(0, &deadline), 0);
	assert_true(deadline >= now && deadline <= ibc__now());
	assert_true(now != 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(they_fire_in_the_order_of_their_time),
		T(equal_times_fire_in_the_order_of_arming),
		T(a_stopped_timer_does_not_fire),
		T(armed_again_it_moves_both_ways),
		T(a_timer_may_arm_itself_and_stop_another),
		T(one_in_the_past_fires_at_once),
		T(close_with_timers_armed),
		cmocka_unit_test(backoff_doubles_up_to_its_limit),
		cmocka_unit_test(deadlines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
