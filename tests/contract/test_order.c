// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantees 1 (its end: gone()) and 2: the order. */
#include "harness.h"

/* ---- 1: gone() ---- */

static void nothing_is_left(struct rec *rec, struct ibc_device *dev)
{
	struct rec *other = rec->arg;

	(void)dev;
	check(fake_open_contexts(NULL) == 0);
	check(rec_live(rec) == 0);
	check(rec_live(other) == 0);
}

static struct ibc_client_data *data_of(struct rec *rec, struct ibc_device *dev)
{
	struct ibc_client_data *data;

	data = ibc_alloc_or_get_client_data(dev, &rec->client);
	check(data);
	return data;
}

static void g01_gone_follows_when_every_clients_data_is_freed(void **state)
{
	struct ibc_client_data *data;
	struct ibc_device *dev;
	struct rec a, b;

	(void)state;
	rec_init(&a, "a", 0);
	rec_init(&b, "b", 0);
	a.arg = &b;
	a.on_gone = nothing_is_left;
	fake_add("soft0", 1);
	rec_register(&a);
	rec_register(&b);
	dev = h_device("soft0");
	ibc_put_client_data(data_of(&a, dev));
	data = data_of(&b, dev);
	fake_remove("soft0", FAKE_WAIT);
	wait_for(ibc_device_state(dev) == IBC_DEVICE_DRAINING);
	h_fence();
	check(h_count(&a, H_FREE) == 1);
	check(h_count(NULL, H_GONE) == 0);
	check(fake_open_contexts("soft0") == 1);
	check(ibc_put_client_data(data));
	check(ibc_wait_drained(dev, -1) == 0);
	check(h_count(&a, H_GONE) == 1);
	check(h_count(&b, H_GONE) == 1);
	check(h_before(&b, H_FREE, NULL, H_GONE));
	ibc_put_device(dev);
	rec_unregister(&a);
	rec_unregister(&b);
	check(h_count(NULL, H_GONE) == 2);
}

static void g01_no_gone_for_who_has_unregistered(void **state)
{
	struct ibc_client_data *data;
	struct ibc_device *dev;
	struct rec a, b;

	(void)state;
	rec_init(&a, "a", 0);
	rec_init(&b, "b", 0);
	fake_add("soft0", 1);
	rec_register(&a);
	rec_register(&b);
	dev = h_device("soft0");
	data = data_of(&b, dev);
	fake_remove("soft0", FAKE_WAIT);
	wait_for(ibc_device_state(dev) == IBC_DEVICE_DRAINING);
	rec_unregister(&a);
	check(h_count(&a, H_REMOVE) == 1);
	ibc_put_client_data(data);
	check(ibc_wait_drained(dev, -1) == 0);
	check(h_count(&a, H_GONE) == 0);
	check(h_count(&b, H_GONE) == 1);
	ibc_put_device(dev);
	rec_unregister(&b);
}

/* the owner closes it there; fake_stop() would complain of a second close */
static void close_it(struct rec *rec, struct ibc_device *dev)
{
	(void)dev;
	check(ibc_device_adopted(dev));
	check(fake_context_is_open(rec->arg));
	fake_close(rec->arg);
}

static void g01_gone_of_an_adopted_context_hands_it_back(void **state)
{
	const struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_NO_OPEN };
	struct ibv_context *context;
	struct ibc_device *dev;
	struct rec a;

	(void)state;
	h_close(h_reg);
	h_reg = h_open(&attr);
	fake_add("soft0", 1);
	context = fake_open("soft0");
	rec_init(&a, "a", 0);
	a.arg = context;
	a.on_gone = close_it;
	rec_register(&a);
	dev = ibc_adopt_context(h_reg, context, 0);
	check(dev);
	wait_for(h_count(&a, H_ADD) == 1);
	check(ibc_remove_device(dev) == 0);
	check(ibc_wait_drained(dev, -1) == 0);
	check(h_count(&a, H_GONE) == 1);
	check(fake_open_contexts(NULL) == 0);
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* ---- 2 ---- */

#define NUM 5

static void init_all(struct rec recs[NUM])
{
	static const char *const names[NUM] = { "a", "b", "c", "d", "e" };
	unsigned int i;

	for (i = 0; i < NUM; i++)
		rec_init(&recs[i], names[i], 0);
}

/* the records of one kind are of these clients in this order, and no more */
static void check_order(enum h_what what, struct rec *recs, unsigned int num,
			bool reverse)
{
	unsigned int i;
	int at;

	check(h_count(NULL, what) == num);
	for (i = 0; i < num; i++) {
		at = h_find(NULL, what, i);
		check(h_record(at).rec == &recs[reverse ? num - 1 - i : i]);
	}
}

static void g02_add_in_order_remove_in_reverse(void **state)
{
	struct rec recs[NUM];
	unsigned int i;

	(void)state;
	init_all(recs);
	for (i = 0; i < NUM; i++)
		rec_register(&recs[i]);
	fake_add("soft0", 1);
	wait_for(h_count(NULL, H_ADD) == NUM);
	check_order(H_ADD, recs, NUM, false);
	fake_remove("soft0", FAKE_FATAL);
	wait_for(h_count(NULL, H_REMOVE) == NUM);
	check_order(H_REMOVE, recs, NUM, true);
	for (i = 0; i < NUM; i++)
		rec_unregister(&recs[i]);
}

static void g02_who_registers_again_is_the_last(void **state)
{
	struct rec recs[NUM], last[NUM];
	unsigned int i;

	(void)state;
	init_all(recs);
	init_all(last);
	for (i = 0; i < NUM; i++)
		rec_register(&recs[i]);
	for (i = 0; i < NUM; i++) {
		rec_unregister(&recs[i]);
		rec_register(&last[i]);
	}
	fake_add("soft0", 1);
	wait_for(h_count(NULL, H_ADD) == NUM);
	check_order(H_ADD, last, NUM, false);
	fake_remove("soft0", FAKE_WAIT);
	wait_for(h_count(NULL, H_REMOVE) == NUM);
	check_order(H_REMOVE, last, NUM, true);
	for (i = 0; i < NUM; i++)
		rec_unregister(&last[i]);
}

/* add() of the last client, while it registers: another device appears */
static int another_appears(struct rec *rec, struct ibc_device *dev)
{
	if (strcmp(ibc_device_name(dev), "soft0") != 0)
		return 0;
	(void)rec;
	fake_add("soft1", 2);
	check(ibc_rescan(h_reg) == 0);
	return 0;
}

static void
g02_add_in_order_also_when_a_device_appears_while_a_client_registers(
	void **state)
{
	struct rec recs[NUM];
	unsigned int i;

	(void)state;
	init_all(recs);
	recs[NUM - 1].on_add = another_appears;
	for (i = 0; i < NUM - 1; i++)
		rec_register(&recs[i]);
	fake_add("soft0", 1);
	wait_for(h_count(NULL, H_ADD) == NUM - 1);
	h_forget();
	rec_register(&recs[NUM - 1]); /* soft0, and meanwhile soft1 */
	wait_for(h_count(NULL, H_ADD) == NUM + 1);
	for (i = 1; i <= NUM; i++)
		check(h_record(h_find(NULL, H_ADD, i)).rec == &recs[i - 1]);
	h_forget();
	fake_remove("soft1", FAKE_WAIT);
	wait_for(h_count(NULL, H_REMOVE) == NUM);
	check_order(H_REMOVE, recs, NUM, true);
	for (i = 0; i < NUM; i++)
		rec_unregister(&recs[i]);
}

static void do_register(struct worker *w)
{
	rec_register(w->rec);
}

/*
 * The same with all of a device's life inside of the registration: b's add() on
 * soft0 does not return before soft1 has come and gone.
 */
static int wait_on_soft0(struct rec *rec, struct ibc_device *dev)
{
	if (strcmp(ibc_device_name(dev), "soft0") == 0)
		gate_wait(rec->arg);
	return 0;
}

static void
g02_remove_in_reverse_also_when_a_device_appears_while_a_client_registers(
	void **state)
{
	struct gate gate = {};
	struct rec recs[2];
	struct worker w = { .rec = &recs[1] };

	(void)state;
	rec_init(&recs[0], "a", 0);
	rec_init(&recs[1], "b", 0);
	recs[1].on_add = wait_on_soft0;
	recs[1].arg = &gate;
	fake_add("soft0", 1);
	rec_register(&recs[0]);
	worker_start(&w, do_register);
	wait_for(gate_entered(&gate) == 1);
	h_forget();
	fake_add("soft1", 2);
	wait_for(h_count(NULL, H_ADD) == 2);
	check_order(H_ADD, recs, 2, false);
	fake_remove("soft1", FAKE_FATAL);
	wait_for(h_count(NULL, H_GONE) == 2);
	check_order(H_REMOVE, recs, 2, true);
	check(!worker_finished(&w));
	gate_open(&gate);
	worker_join(&w);
	rec_unregister(&recs[0]);
	rec_unregister(&recs[1]);
}

static void
g02_a_client_sees_a_device_only_after_the_earlier_ones_add(void **state)
{
	struct gate gate = {};
	struct ibc_device *dev;
	struct rec a, b;

	(void)state;
	rec_init(&a, "a", 0);
	rec_init(&b, "b", 0);
	a.gate[H_ADD] = &gate;
	rec_register(&a);
	rec_register(&b);
	fake_add("soft0", 1);
	wait_for(gate_entered(&gate) == 1);
	dev = h_device("soft0");
	check_null(ibc_get_client_data(dev, &b.client), ENOENT);
	check_null(ibc_alloc_or_get_client_data(dev, &b.client), ENOENT);
	check(ibc_rescan(h_reg) == 0);
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	check(h_count(&b, H_ADD) == 0);
	gate_open(&gate);
	wait_for(h_count(&b, H_EVENT) == 1);
	check(h_find(&a, H_ADD, 0) < h_find(&b, H_ADD, 0));
	ibc_put_device(dev);
	rec_unregister(&a);
	rec_unregister(&b);
}

/* a failed add() lets the others pass; its retry comes when it may */
static int fail_first(struct rec *rec, struct ibc_device *dev)
{
	(void)dev;
	return h_count(rec, H_ADD) < 3 ? EAGAIN : 0;
}

static void g02_a_failed_add_holds_nobody_back(void **state)
{
	struct rec recs[3];
	unsigned int i;

	(void)state;
	rec_init(&recs[0], "a", 0);
	rec_init(&recs[1], "b", 0);
	rec_init(&recs[2], "c", 0);
	recs[1].on_add = fail_first;
	fake_add("soft0", 1);
	for (i = 0; i < 3; i++)
		rec_register(&recs[i]);
	wait_for(h_count(&recs[1], H_ADD) == 3);
	h_fence();
	fake_remove("soft0", FAKE_WAIT);
	wait_for(h_count(NULL, H_REMOVE) == 3);
	check_order(H_REMOVE, recs, 3, true);
	for (i = 0; i < 3; i++)
		rec_unregister(&recs[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g01_gone_follows_when_every_clients_data_is_freed),
		IN_ALL(g01_no_gone_for_who_has_unregistered),
		IN_ALL(g01_gone_of_an_adopted_context_hands_it_back),
		IN_ALL(g02_add_in_order_remove_in_reverse),
		IN_ALL(g02_who_registers_again_is_the_last),
		IN_ALL(g02_add_in_order_also_when_a_device_appears_while_a_client_registers),
		IN_PARALLEL(
			g02_remove_in_reverse_also_when_a_device_appears_while_a_client_registers),
		IN_THREADS(
			g02_a_client_sees_a_device_only_after_the_earlier_ones_add),
		IN_ALL(g02_a_failed_add_holds_nobody_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
