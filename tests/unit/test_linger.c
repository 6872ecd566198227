// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Waiting awake (linger.c): who does, for how long, and what ends it. Its clock is the
 * test's: it goes on by a step with each yield, or stands still.
 */
#include <stdatomic.h>
#include <sys/epoll.h>

#include "harness.h"
#include "private.h"

static atomic_uint yields; /* in linger.c, while the test's clock is used */
static atomic_uint sleeps; /* in epoll_wait(), while there is a reason not to */
static atomic_ulong now;
static unsigned int step; /* of the clock, in us */
static atomic_bool our_clock;
static void (*on_yield)(unsigned int nth);

uint64_t __real_ibc__now_us(void);
uint64_t __wrap_ibc__now_us(void);
uint64_t __wrap_ibc__now_us(void)
{
	return our_clock ? atomic_load(&now) : __real_ibc__now_us();
}

int __real_sched_yield(void);
int __wrap_sched_yield(void);
int __wrap_sched_yield(void)
{
	if (our_clock) {
		atomic_fetch_add(&now, step);
		if (on_yield)
			on_yield(yields + 1);
		atomic_fetch_add(&yields, 1);
	}
	return __real_sched_yield();
}

int __real_epoll_wait(int fd, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	if (our_clock && timeout && h_reg->registering && !h_reg->woken)
		atomic_fetch_add(&sleeps, 1);
	return __real_epoll_wait(fd, events, max, timeout);
}

/* ---- a registry that only waits ---- */

static struct ibc_registry *reg;
static struct ibc__client *c;

static int setup(void **state)
{
	(void)state;
	reg = calloc(1, sizeof(*reg));
	c = calloc(1, sizeof(*c));
	check(reg && c);
	pthread_mutex_init(&reg->lock, NULL);
	reg->logs_end = &reg->logs;
	c->reg = reg;
	reg->registering = 1;
	now = 1000;
	step = 100;
	on_yield = NULL;
	yields = 0;
	our_clock = true;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	our_clock = false;
	pthread_mutex_destroy(&reg->lock);
	free(reg);
	free(c);
	return 0;
}

static void wake(unsigned int nth)
{
	if (nth == 2)
		reg->woken = true;
}

static void end_registering(unsigned int nth)
{
	if (nth == 2)
		reg->registering = 0;
}

static void leader_for_a_while(void **state)
{
	(void)state;
	ibc__linger(reg);
	assert_int_equal(yields, 3);
}

/* what the second yield does ends it, and the next one before it begins */
static void leader_until(void (*yield)(unsigned int nth))
{
	on_yield = yield;
	ibc__linger(reg);
	assert_int_equal(yields, 2);
	ibc__linger(reg);
	assert_int_equal(yields, 2);
}

static void leader_until_woken(void **state)
{
	(void)state;
	leader_until(wake);
}

static void leader_until_nobody_registers(void **state)
{
	(void)state;
	leader_until(end_registering);
}

/* whoever dispatches may have other things to do */
static void not_in_a_manual_registry(void **state)
{
	(void)state;
	reg->attr.flags = IBC_REGISTRY_MANUAL;
	ibc__linger(reg);
	ibc__lock_awake(reg);
	ibc__linger_for_adds(c, 1);
	ibc__unlock(reg);
	assert_int_equal(yields, 0);
}

static void told(unsigned int nth)
{
	check(!pthread_mutex_trylock(&reg->lock));
	if (nth < 3)
		c->told++;
	ibc__unlock(reg);
}

static void registrant_until_all_adds_are_told(void **state)
{
	(void)state;
	c->told = UINT32_MAX; /* it goes round */
	on_yield = told;
	ibc__lock(reg);
	ibc__linger_for_adds(c, 2);
	check(pthread_mutex_trylock(&reg->lock) == EBUSY);
	assert_int_equal(yields, 2);
	ibc__linger_for_adds(c, 2);
	assert_int_equal(yields, 5);
	on_yield = NULL;
	ibc__linger_for_adds(c, 0);
	ibc__unlock(reg);
	assert_int_equal(yields, 5);
}

/* ---- the lock ---- */

static struct gate holds, lets_go;
static atomic_bool free_again;

static void *hold(void *arg)
{
	(void)arg;
	ibc__lock(reg);
	gate_wait(&holds);
	gate_wait(&lets_go);
	ibc__unlock(reg);
	free_again = true;
	return NULL;
}

static void let_go(unsigned int nth)
{
	if (nth != 2)
		return;
	gate_open(&lets_go);
	while (!free_again)
		__real_sched_yield();
}

static void let_go_late(unsigned int nth)
{
	if (nth == 3)
		gate_open(&lets_go);
}

static void lock_while_another_holds_it(void (*yield)(unsigned int nth),
					unsigned int num)
{
	pthread_t thread;

	memset(&holds, 0, sizeof(holds));
	memset(&lets_go, 0, sizeof(lets_go));
	gate_open(&holds);
	free_again = false;
	check(!pthread_create(&thread, NULL, hold, NULL));
	wait_for(gate_left(&holds) == 1);
	on_yield = yield;
	ibc__lock_awake(reg);
	check(pthread_mutex_trylock(&reg->lock) == EBUSY);
	assert_int_equal(yields, num);
	ibc__unlock(reg);
	pthread_join(thread, NULL);
}

static void lock_without_sleeping(void **state)
{
	(void)state;
	lock_while_another_holds_it(let_go, 2);
}

static void lock_that_is_held_for_long(void **state)
{
	(void)state;
	lock_while_another_holds_it(let_go_late, 3);
}

/* ---- all of it ---- */

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	(void)dev;
	return 0;
}

/* by the thread that registers: the leader has had news, and does not sleep again */
static void wake_the_leader(void *arg)
{
	(void)arg;
	our_clock = true;
	check(!ibc__write_wake(h_reg));
	wait_for(atomic_load(&yields));
}

static void nobody_sleeps_while_a_client_is_registered(void **state)
{
	struct ibc_client client = { .name = "linger", .add = add };

	(void)state;
	yields = sleeps = 0;
	step = 0; /* nobody's time is over */
	on_yield = NULL;
	fake_add("soft0", 0x11);
	fake_add("soft1", 0x12);
	fake_on(FAKE_LIST, wake_the_leader, NULL);
	assert_int_equal(ibc_register_client(h_reg, &client), 0);
	our_clock = false;
	assert_int_equal(sleeps, 0);
	fake_on(FAKE_LIST, NULL, NULL);
	assert_int_equal(ibc_unregister_client(&client), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(leader_for_a_while),
		T(leader_until_woken),
		T(leader_until_nobody_registers),
		T(not_in_a_manual_registry),
		T(registrant_until_all_adds_are_told),
		T(lock_without_sleeping),
		T(lock_that_is_held_for_long),
		H_TEST(nobody_sleeps_while_a_client_is_registered, H_ONE),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
