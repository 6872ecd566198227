// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantee 5: what has happened when register returns. */
#include "harness.h"

static struct rec a;

#define DEVICES 8

static void add_devices(unsigned int from, unsigned int num)
{
	char name[16];
	unsigned int i;

	for (i = from; i < from + num; i++) {
		snprintf(name, sizeof(name), "soft%u", i);
		fake_add(name, i + 1);
	}
}

/* each device of the list had its add(), once, and it has returned */
static void check_added(struct rec *rec, unsigned int num)
{
	struct h_record r;
	unsigned int i, j;

	check(h_count(rec, H_ADD) == num);
	for (i = 0; i < num; i++) {
		r = h_record(h_find(rec, H_ADD, i));
		check(r.result == 0);
		check(h_count_of(rec, H_ADD, r.incarnation) == 1);
		for (j = 0; j < i; j++)
			check(strcmp(r.name,
				     h_record(h_find(rec, H_ADD, j)).name));
	}
}

static void g05_register_returns_when_add_has_run_for_all(void **state)
{
	struct rec b;

	(void)state;
	rec_init(&a, "a", 0);
	rec_init(&b, "b", 0);
	add_devices(0, DEVICES);
	rec_register(&a);
	check_added(&a, DEVICES);
	rec_register(&b);
	check_added(&b, DEVICES);
	rec_unregister(&b);
	rec_unregister(&a);
}

/* nothing but register's own look at the list tells of these devices */
static void
g05_present_is_what_the_list_has_when_register_is_called(void **state)
{
	struct ibc_registry_attr attr = { .scan_interval_ms = 3600000 };
	struct rec b;

	(void)state;
	h_close(h_reg);
	setenv("IBC_SOURCES", "timer", 1);
	h_reg = h_open(&attr);
	unsetenv("IBC_SOURCES");
	rec_init(&a, "a", 0);
	rec_init(&b, "b", 0);
	add_devices(0, 2);
	rec_register(&a);
	check_added(&a, 2);
	add_devices(2, 3);
	rec_register(&b);
	check_added(&b, 5);
	wait_for(h_count(&a, H_ADD) == 5);
	rec_unregister(&b);
	rec_unregister(&a);
}

static void do_register(struct worker *w)
{
	rec_register(w->rec);
}

static void g05_register_waits_for_a_slow_add(void **state)
{
	struct worker w = { .rec = &a };
	struct gate gate = {};

	(void)state;
	rec_init(&a, "a", 0);
	a.gate[H_ADD] = &gate;
	fake_add("soft0", 1);
	worker_start(&w, do_register);
	wait_for(gate_entered(&gate) == 1);
	worker_wait_blocked(&w);
	check(!worker_finished(&w));
	gate_open(&gate);
	worker_join(&w);
	check_added(&a, 1);
	rec_unregister(&a);
}

static int register_another(struct rec *rec, struct ibc_device *dev)
{
	struct rec *other = __atomic_exchange_n((struct rec **)&rec->arg, NULL,
						__ATOMIC_SEQ_CST);

	if (!other)
		return 0;
	rec_register(other);
	check(!h_count_of(other, H_ADD, ibc_device_incarnation(dev)));
	return 0;
}

static void g05_register_in_a_callback_returns_at_once(void **state)
{
	struct rec b;

	(void)state;
	rec_init(&a, "a", 0);
	rec_init(&b, "b", 0);
	a.on_add = register_another;
	a.arg = &b;
	rec_register(&a);
	fake_add("soft0", 1);
	fake_add("soft1", 2);
	wait_for(h_count(&b, H_ADD) == 2);
	check_added(&a, 2);
	/* of both devices: they are told by different threads */
	wait_for(h_record(h_find(&b, H_ADD, 0)).result == 0);
	wait_for(h_record(h_find(&b, H_ADD, 1)).result == 0);
	check_added(&b, 2);
	rec_unregister(&b);
	rec_unregister(&a);
}

/* ---- 5: none is missed, none comes twice ---- */

static unsigned int appeared;

static void appear(void *arg)
{
	char name[16];
	unsigned int n;

	(void)arg;
	n = __atomic_fetch_add(&appeared, 1, __ATOMIC_SEQ_CST);
	if (n >= DEVICES)
		return;
	snprintf(name, sizeof(name), "late%u", n);
	fake_add(name, 100 + n);
}

static unsigned int so_far(void)
{
	unsigned int n = __atomic_load_n(&appeared, __ATOMIC_SEQ_CST);

	return n < DEVICES ? n : DEVICES;
}

static void one_appears_at(enum fake_call call)
{
	appeared = 0;
	rec_init(&a, "a", 0);
	fake_add("soft0", 1);
	fake_on(call, appear, NULL);
	rec_register(&a);
	wait_for(h_count(&a, H_ADD) > 1 && h_count(&a, H_ADD) == 1 + so_far());
	fake_on(call, NULL, NULL);
	h_fence();
	check_added(&a, h_count(&a, H_ADD));
	rec_unregister(&a);
}

static void g05_none_is_missed_that_appears_while_listing(void **state)
{
	(void)state;
	one_appears_at(FAKE_LIST);
}

static void g05_none_is_missed_that_appears_while_opening(void **state)
{
	(void)state;
	one_appears_at(FAKE_OPEN);
}

static void add_some(struct worker *w)
{
	(void)w;
	add_devices(0, 40);
}

static void g05_none_is_missed_none_comes_twice(void **state)
{
	struct worker w = {};
	struct rec recs[4];
	unsigned int i;

	(void)state;
	worker_start(&w, add_some);
	for (i = 0; i < 4; i++) {
		rec_init(&recs[i], "r", 0);
		rec_register(&recs[i]);
	}
	worker_join(&w);
	wait_for(h_count(NULL, H_ADD) == 160);
	h_fence();
	for (i = 0; i < 4; i++) {
		check_added(&recs[i], 40);
		rec_unregister(&recs[i]);
	}
}

static void g05_register_fails_with_the_list(void **state)
{
	(void)state;
	rec_init(&a, "a", 0);
	fake_add("soft0", 1);
	fake_fail(FAKE_LIST, EIO, 1);
	check(ibc_register_client(h_reg, &a.client) == EIO);
	check(!a.client.opaque[0]);
	check(h_count(&a, H_ADD) == 0);
	rec_register(&a);
	check_added(&a, 1);
	rec_unregister(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g05_register_returns_when_add_has_run_for_all),
		IN_ALL(g05_present_is_what_the_list_has_when_register_is_called),
		IN_THREADS(g05_register_waits_for_a_slow_add),
		IN_ALL(g05_register_in_a_callback_returns_at_once),
		IN_ALL(g05_none_is_missed_that_appears_while_listing),
		IN_ALL(g05_none_is_missed_that_appears_while_opening),
		IN_ALL(g05_none_is_missed_none_comes_twice),
		IN_ALL(g05_register_fails_with_the_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
