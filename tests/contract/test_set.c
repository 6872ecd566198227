// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantee 11: set, cmpxchg, init. */
#include "harness.h"

static struct ibc_device *up(struct rec *rec, uint32_t flags)
{
	rec_init(rec, "a", flags);
	fake_add("soft0", 1);
	rec_register(rec);
	return h_device("soft0");
}

static void down(struct rec *rec, struct ibc_device *dev)
{
	ibc_put_device(dev);
	rec_unregister(rec);
}

static bool present(struct rec *rec, struct ibc_device *dev,
		    struct ibc_client_data *data)
{
	struct ibc_client_data *found;

	found = ibc_get_client_data(dev, &rec->client);
	ibc_put_client_data(found);
	return found == data;
}

/* ---- set ---- */

static void g11_set_takes_and_drops_the_registrys_reference(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, 0);
	struct ibc_client_data *one = rec_make(&a, dev), *two;

	(void)state;
	check(ibc_set_client_data(dev, &a.client, one) == 0);
	check(present(&a, dev, one));
	check(!ibc_put_client_data(one)); /* the registry has its own */
	check(present(&a, dev, one));
	two = rec_make(&a, dev);
	check(ibc_set_client_data(dev, &a.client, two) == 0);
	check(h_count(&a, H_FREE) == 1);
	check(h_record(h_find(&a, H_FREE, 0)).data == one);
	check(present(&a, dev, two));
	check(ibc_set_client_data(dev, &a.client, NULL) == 0);
	check_null(ibc_get_client_data(dev, &a.client), ENOENT);
	check(h_count(&a, H_FREE) == 1); /* the caller's is left */
	check(ibc_put_client_data(two));
	check(h_count(&a, H_FREE) == 2);
	check(ibc_set_client_data(dev, &a.client, NULL) == 0);
	down(&a, dev);
	check(h_count(&a, H_ALLOC) == 0);
}

static void g11_set_of_what_is_there_changes_nothing(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, 0);
	struct ibc_client_data *one = rec_make(&a, dev);

	(void)state;
	check(ibc_set_client_data(dev, &a.client, one) == 0);
	check(ibc_set_client_data(dev, &a.client, one) == 0);
	check(ibc_cmpxchg_client_data(dev, &a.client, one, one, NULL) == 0);
	check(ibc_set_client_data(dev, &a.client, NULL) == 0);
	check(ibc_put_client_data(one));
	check(h_count(&a, H_FREE) == 1);
	down(&a, dev);
}

static void g11_what_was_withdrawn_may_be_set_again(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, 0);
	struct ibc_client_data *one = rec_make(&a, dev);
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		check(ibc_set_client_data(dev, &a.client, one) == 0);
		check(present(&a, dev, one));
		check(ibc_set_client_data(dev, &a.client, NULL) == 0);
		check_null(ibc_get_client_data(dev, &a.client), ENOENT);
	}
	check(ibc_put_client_data(one));
	down(&a, dev);
}

static void g11_a_holder_keeps_what_was_replaced(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, 0);
	struct ibc_client_data *one = rec_make(&a, dev), *held;

	(void)state;
	check(ibc_set_client_data(dev, &a.client, one) == 0);
	held = ibc_get_client_data(dev, &a.client);
	check(held == one);
	check(!ibc_put_client_data(one));
	check(ibc_set_client_data(dev, &a.client, NULL) == 0);
	check(h_count(&a, H_FREE) == 0);
	ibc_hold_client_data(held);
	check(!ibc_put_client_data(held));
	check(ibc_put_client_data(held));
	check(h_count(&a, H_FREE) == 1);
	down(&a, dev);
}

static void g11_free_unused_takes_none(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, IBC_CLIENT_FREE_UNUSED);
	struct ibc_client_data *one = rec_make(&a, dev), *two;

	(void)state;
	check(ibc_set_client_data(dev, &a.client, one) == 0);
	check(present(&a, dev, one));
	check(ibc_put_client_data(one));
	check(h_count(&a, H_FREE) == 1);
	check_null(ibc_get_client_data(dev, &a.client), ENOENT);
	one = rec_make(&a, dev);
	two = rec_make(&a, dev);
	check(ibc_set_client_data(dev, &a.client, one) == 0);
	check(ibc_set_client_data(dev, &a.client, two) == 0);
	check(h_count(&a, H_FREE) == 1);
	check(ibc_put_client_data(one));
	check(present(&a, dev, two));
	check(ibc_put_client_data(two));
	check(h_count(&a, H_FREE) == 3);
	down(&a, dev);
}

/* ---- cmpxchg ---- */

static void g11_cmpxchg_stores_or_tells_the_winner(void **state)
{
	struct rec a;
	struct ibc_client *c = &a.client;
	struct ibc_device *dev = up(&a, 0);
	struct ibc_client_data *one = rec_make(&a, dev), *current = one;
	struct ibc_client_data *two = rec_make(&a, dev);

	(void)state;
	/* expected something, there is nothing */
	check(ibc_cmpxchg_client_data(dev, c, two, one, &current) == EAGAIN);
	check(!current);
	check_null(ibc_get_client_data(dev, c), ENOENT);
	current = one;
	check(ibc_cmpxchg_client_data(dev, c, NULL, one, &current) == 0);
	check(!current);
	check(present(&a, dev, one));
	/* expected nothing, there is something, with a reference for us */
	check(ibc_cmpxchg_client_data(dev, c, NULL, two, &current) == EAGAIN);
	check(current == one);
	check(!ibc_put_client_data(one));
	check(ibc_cmpxchg_client_data(dev, c, two, two, NULL) == EAGAIN);
	check(ibc_cmpxchg_client_data(dev, c, one, two, NULL) == 0);
	check(h_count(&a, H_FREE) == 0); /* current */
	check(ibc_put_client_data(current));
	check(h_count(&a, H_FREE) == 1);
	check(present(&a, dev, two));
	check(!ibc_put_client_data(two)); /* the registry's is left */
	check(ibc_cmpxchg_client_data(dev, c, two, NULL, &current) == 0);
	check(h_count(&a, H_FREE) == 2);
	check_null(ibc_get_client_data(dev, c), ENOENT);
	down(&a, dev);
}

static void g11_cmpxchg_with_free_unused(void **state)
{
	struct rec a;
	struct ibc_client *c = &a.client;
	struct ibc_device *dev = up(&a, IBC_CLIENT_FREE_UNUSED);
	struct ibc_client_data *one = rec_make(&a, dev), *current;
	struct ibc_client_data *two = rec_make(&a, dev);

	(void)state;
	check(ibc_cmpxchg_client_data(dev, c, NULL, one, NULL) == 0);
	check(ibc_cmpxchg_client_data(dev, c, NULL, two, &current) == EAGAIN);
	check(current == one);
	check(!ibc_put_client_data(one));
	check(ibc_cmpxchg_client_data(dev, c, one, two, NULL) == 0);
	check(ibc_put_client_data(current));
	check(ibc_put_client_data(two));
	check_null(ibc_get_client_data(dev, c), ENOENT);
	check(rec_live(&a) == 0);
	down(&a, dev);
}

/* ---- sixteen of them ---- */

#define THREADS 16

struct racer {
	struct worker worker;
	struct gate *start;
	struct ibc_client_data *got;
};

static void race(struct worker *w)
{
	struct racer *r = (struct racer *)w;

	w->data = rec_make(w->rec, w->dev);
	gate_wait(r->start);
	w->error = ibc_cmpxchg_client_data(w->dev, &w->rec->client, NULL,
					   w->data, &r->got);
	if (w->error == EAGAIN)
		check(ibc_put_client_data(w->data));
	else
		r->got = w->data;
}

static void g11_of_sixteen_one_wins(void **state)
{
	struct racer racers[THREADS] = {};
	unsigned int i, winners = 0;
	struct gate start = {};
	struct rec a;
	struct ibc_device *dev = up(&a, 0);

	(void)state;
	for (i = 0; i < THREADS; i++) {
		racers[i].start = &start;
		racers[i].worker.rec = &a;
		racers[i].worker.dev = dev;
		worker_start(&racers[i].worker, race);
	}
	wait_for(gate_entered(&start) == THREADS);
	gate_open(&start);
	for (i = 0; i < THREADS; i++) {
		worker_join(&racers[i].worker);
		winners += racers[i].worker.error == 0;
		check(racers[i].got);
		check(racers[i].got == racers[0].got);
	}
	check(winners == 1);
	check(h_count(&a, H_FREE) == THREADS - 1);
	for (i = 0; i < THREADS; i++)
		check(!ibc_put_client_data(racers[i].got));
	down(&a, dev);
}

/* ---- get beside replacement: the recorder finds a stale object ---- */

#define REPLACEMENTS 1500

static bool stop;

static void get_and_put(struct worker *w)
{
	struct ibc_client_data *data;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		data = ibc_get_client_data(w->dev, &w->rec->client);
		if (!data)
			continue;
		check(data->device == w->dev);
		check(data->client == &w->rec->client);
		check(fake_context_is_open(ibc_device_context(data->device)));
		ibc_put_client_data(data);
	}
}

static void replace(uint32_t flags)
{
	struct ibc_client_data *data, *last = NULL;
	struct rec a;
	struct ibc_device *dev = up(&a, flags);
	struct worker w[2] = { { .rec = &a, .dev = dev },
			       { .rec = &a, .dev = dev } };
	unsigned int i;

	__atomic_store_n(&stop, false, __ATOMIC_RELEASE);
	worker_start(&w[0], get_and_put);
	worker_start(&w[1], get_and_put);
	for (i = 0; i < REPLACEMENTS; i++) {
		data = i % 5 == 4 ? NULL : rec_make(&a, dev);
		if (i % 2)
			check(!ibc_cmpxchg_client_data(dev, &a.client, last,
						       data, NULL));
		else
			check(!ibc_set_client_data(dev, &a.client, data));
		ibc_put_client_data(last);
		last = data;
		if (h_mode == H_MANUAL)
			ibc_dispatch(h_reg, 0);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	worker_join(&w[0]);
	worker_join(&w[1]);
	ibc_put_client_data(last);
	down(&a, dev);
}

static void g11_get_beside_replacement(void **state)
{
	(void)state;
	replace(0);
}

static void g11_get_beside_replacement_free_unused(void **state)
{
	(void)state;
	replace(IBC_CLIENT_FREE_UNUSED);
}

static void g11_get_beside_replacement_defer_free(void **state)
{
	(void)state;
	replace(IBC_CLIENT_DEFER_FREE);
}

/* ---- init ---- */

static void g11_set_refuses_what_is_not_its(void **state)
{
	struct ibc_client_data raw = {}, *of_b;
	struct rec a, b;
	struct ibc_client *c = &a.client;
	struct ibc_device *dev = up(&a, 0);

	(void)state;
	rec_init(&b, "b", 0);
	rec_register(&b);
	of_b = rec_make(&b, dev);
	check(ibc_set_client_data(dev, c, of_b) == EINVAL);
	check(ibc_set_client_data(dev, c, &raw) == EINVAL);
	raw.device = dev;
	raw.client = c;
	check(ibc_set_client_data(dev, c, &raw) == EINVAL);
	check(ibc_cmpxchg_client_data(dev, c, NULL, &raw, NULL) == EINVAL);
	check(ibc_set_client_data(NULL, c, NULL) == EINVAL);
	check(ibc_set_client_data(dev, NULL, NULL) == EINVAL);
	check(ibc_init_client_data(NULL, dev, c) == EINVAL);
	check(ibc_init_client_data(&raw, NULL, c) == EINVAL);
	check(ibc_init_client_data(&raw, dev, NULL) == EINVAL);
	check(!ibc_put_client_data(&raw));
	check_null(ibc_get_client_data(dev, c), ENOENT);
	check(ibc_put_client_data(of_b));
	rec_unregister(&b);
	down(&a, dev);
}

static void g11_what_was_initialised_counts_until_put(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, 0);
	struct ibc_client_data *data = rec_make(&a, dev), more = {};

	(void)state;
	check(data->device == dev);
	check(data->client == &a.client);
	check_null(ibc_get_client_data(dev, &a.client), ENOENT);
	fake_remove("soft0", FAKE_WAIT);
	wait_for(ibc_device_state(dev) == IBC_DEVICE_DRAINING);
	h_fence();
	check(fake_context_is_open(ibc_device_context(dev)));
	check(ibc_set_client_data(dev, &a.client, data) == ENODEV);
	check(ibc_init_client_data(&more, dev, &a.client) == ENODEV);
	check(!more.device && !more.opaque[0]);
	check(ibc_unregister_client_timed(&a.client, 0) == ETIMEDOUT);
	check(ibc_put_client_data(data));
	check(ibc_wait_drained(dev, -1) == 0);
	down(&a, dev);
}

static void g11_no_init_while_the_client_goes(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, 0);
	struct ibc_client_data *data = rec_make(&a, dev), more = {};
	struct ibc_client *c = &a.client;

	(void)state;
	check(ibc_unregister_client_timed(c, 0) == ETIMEDOUT);
	check(ibc_init_client_data(&more, dev, c) == ESHUTDOWN);
	check(ibc_set_client_data(dev, c, data) == ESHUTDOWN);
	check(ibc_cmpxchg_client_data(dev, c, NULL, data, NULL) == ESHUTDOWN);
	check(ibc_put_client_data(data));
	down(&a, dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g11_set_takes_and_drops_the_registrys_reference),
		IN_ALL(g11_set_of_what_is_there_changes_nothing),
		IN_ALL(g11_what_was_withdrawn_may_be_set_again),
		IN_ALL(g11_a_holder_keeps_what_was_replaced),
		IN_ALL(g11_free_unused_takes_none),
		IN_ALL(g11_cmpxchg_stores_or_tells_the_winner),
		IN_ALL(g11_cmpxchg_with_free_unused),
		IN_ALL(g11_of_sixteen_one_wins),
		IN_ALL(g11_get_beside_replacement),
		IN_ALL(g11_get_beside_replacement_free_unused),
		IN_ALL(g11_get_beside_replacement_defer_free),
		IN_ALL(g11_set_refuses_what_is_not_its),
		IN_ALL(g11_what_was_initialised_counts_until_put),
		IN_ALL(g11_no_init_while_the_client_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
