// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantee 7: allocate once. test_cycle.c has EDEADLK. */
#include "harness.h"

static struct ibc_device *up(struct rec *rec, uint32_t flags)
{
	rec_init(rec, "a", flags);
	fake_add("soft0", 1);
	rec_register(rec);
	return h_device("soft0");
}

static struct ibc_client_data *data_of(struct rec *rec, struct ibc_device *dev)
{
	struct ibc_client_data *data;

	data = ibc_alloc_or_get_client_data(dev, &rec->client);
	check(data);
	return data;
}

/* ---- sixteen threads on one slot ---- */

#define THREADS 16

struct crowd {
	struct rec rec;
	struct ibc_device *dev;
	struct gate gate;
	struct worker workers[THREADS];
};

static void ask(struct worker *w)
{
	errno = 0;
	w->data = ibc_alloc_or_get_client_data(w->dev, &w->rec->client);
	w->error = w->data ? 0 : errno;
}

/* all of them in one round: one allocates, and the others wait for it */
static void crowd_gather(struct crowd *c)
{
	unsigned int i;

	c->rec.gate[H_ALLOC] = &c->gate;
	for (i = 0; i < THREADS; i++) {
		c->workers[i].rec = &c->rec;
		c->workers[i].dev = c->dev;
		worker_start(&c->workers[i], ask);
	}
	wait_for(gate_entered(&c->gate) == 1);
	for (i = 0; i < THREADS; i++) {
		worker_wait_blocked(&c->workers[i]);
		check(!worker_finished(&c->workers[i]));
	}
	check(gate_entered(&c->gate) == 1);
}

static void crowd_release(struct crowd *c)
{
	unsigned int i;

	gate_open(&c->gate);
	for (i = 0; i < THREADS; i++)
		worker_join(&c->workers[i]);
	gate_close(&c->gate);
}

/* everybody has the same result */
static void crowd_check(struct crowd *c, struct ibc_client_data *data,
			int error)
{
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		check(c->workers[i].data == data);
		check(c->workers[i].error == error);
	}
}

/* each has a reference of its own */
static void crowd_put(struct crowd *c)
{
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		check(!c->workers[i].data || rec_live(&c->rec) == 1);
		ibc_put_client_data(c->workers[i].data);
	}
}

static void sixteen(uint32_t flags)
{
	struct ibc_client_data *data;
	struct crowd c = {};

	c.dev = up(&c.rec, flags);
	crowd_gather(&c);
	crowd_release(&c);
	data = c.workers[0].data;
	check(data);
	crowd_check(&c, data, 0);
	check(data->device == c.dev);
	check(data->client == &c.rec.client);
	check(h_count(&c.rec, H_ALLOC) == 1);
	check(h_count(&c.rec, H_FREE) == 0);
	crowd_put(&c);
	if (flags & IBC_CLIENT_FREE_UNUSED)
		wait_for(h_count(&c.rec, H_FREE) == 1);
	ibc_put_device(c.dev);
	rec_unregister(&c.rec);
	check(h_count(&c.rec, H_ALLOC) == 1);
	check(h_count(&c.rec, H_FREE) == 1);
}

static void g07_sixteen_threads_one_alloc(void **state)
{
	(void)state;
	sixteen(0);
}

static void g07_sixteen_threads_one_alloc_free_unused(void **state)
{
	(void)state;
	sixteen(IBC_CLIENT_FREE_UNUSED);
}

static void g07_sixteen_threads_one_alloc_defer_free(void **state)
{
	(void)state;
	sixteen(IBC_CLIENT_DEFER_FREE | IBC_CLIENT_FREE_UNUSED);
}

static int fail_with(struct rec *rec, struct ibc_device *dev)
{
	(void)dev;
	return *(int *)rec->arg;
}

static void g07_a_failed_round_gives_its_errno_to_all(void **state)
{
	int errors[] = { ENOMEM, EIO, ENOSPC, 0 };
	struct ibc_stats stats;
	struct crowd c = {};
	unsigned int i;

	(void)state;
	c.dev = up(&c.rec, 0);
	c.rec.on_alloc = fail_with;
	for (i = 0; i < 4; i++) {
		c.rec.arg = &errors[i];
		crowd_gather(&c);
		crowd_release(&c);
		check(h_count(&c.rec, H_ALLOC) == i + 1);
		crowd_check(&c, c.workers[0].data, errors[i]);
	}
	crowd_put(&c);
	check(ibc_query_stats(h_reg, &stats, sizeof(stats)) == 0);
	check(stats.allocs == 1 && stats.allocs_failed == 3);
	ibc_put_device(c.dev);
	rec_unregister(&c.rec);
}

/* ---- what happens meanwhile ---- */

static int set_it(struct rec *rec, struct ibc_device *dev)
{
	struct ibc_client_data *data = rec_make(rec, dev);

	check(ibc_set_client_data(dev, &rec->client, data) == 0);
	rec->arg = data;
	return 0;
}

/* the new object is freed, everybody gets the present one */
static void filled_meanwhile(uint32_t flags, bool cmpxchg)
{
	struct ibc_client_data *data;
	struct crowd c = {};

	c.dev = up(&c.rec, flags);
	crowd_gather(&c);
	data = rec_make(&c.rec, c.dev);
	if (cmpxchg)
		check(ibc_cmpxchg_client_data(c.dev, &c.rec.client, NULL, data,
					      NULL) == 0);
	else
		check(ibc_set_client_data(c.dev, &c.rec.client, data) == 0);
	crowd_release(&c);
	crowd_check(&c, data, 0);
	wait_for(h_count(&c.rec, H_FREE) == 1);
	check(h_record(h_find(&c.rec, H_FREE, 0)).data != data);
	check(rec_live(&c.rec) == 1);
	ibc_put_client_data(data);
	crowd_put(&c);
	ibc_put_device(c.dev);
	rec_unregister(&c.rec);
	check(h_count(&c.rec, H_FREE) == 2);
}

static void g07_set_meanwhile_wins(void **state)
{
	(void)state;
	filled_meanwhile(0, false);
}

static void g07_cmpxchg_meanwhile_wins(void **state)
{
	(void)state;
	filled_meanwhile(IBC_CLIENT_FREE_UNUSED, true);
}

static void g07_set_in_the_alloc_itself_wins(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, 0);
	struct ibc_client_data *data;

	(void)state;
	a.on_alloc = set_it;
	data = data_of(&a, dev);
	check(data == a.arg);
	check(h_count(&a, H_FREE) == 1);
	ibc_put_client_data(data);
	ibc_put_client_data(data);
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* filled and emptied again: nothing is there that could win */
static void g07_set_and_emptied_meanwhile(void **state)
{
	struct ibc_client_data *data;
	struct crowd c = {};

	(void)state;
	c.dev = up(&c.rec, 0);
	crowd_gather(&c);
	data = rec_make(&c.rec, c.dev);
	check(ibc_set_client_data(c.dev, &c.rec.client, data) == 0);
	check(ibc_set_client_data(c.dev, &c.rec.client, NULL) == 0);
	check(ibc_put_client_data(data));
	crowd_release(&c);
	check(c.workers[0].data);
	crowd_check(&c, c.workers[0].data, 0);
	crowd_put(&c);
	ibc_put_device(c.dev);
	rec_unregister(&c.rec);
}

static void g07_the_device_goes_meanwhile(void **state)
{
	struct crowd c = {};

	(void)state;
	c.dev = up(&c.rec, 0);
	crowd_gather(&c);
	fake_remove("soft0", FAKE_WAIT);
	wait_for(h_count(&c.rec, H_REMOVE) == 1);
	check(!h_record(h_find(&c.rec, H_REMOVE, 0)).data);
	h_fence();
	check(fake_open_contexts("soft0") == 1); /* alloc still uses it */
	crowd_release(&c);
	crowd_check(&c, NULL, ENODEV);
	check(ibc_wait_drained(c.dev, -1) == 0);
	check(h_count(&c.rec, H_FREE) == 1);
	ibc_put_device(c.dev);
	rec_unregister(&c.rec);
}

static void g07_the_client_goes_meanwhile(void **state)
{
	struct crowd c = {};

	(void)state;
	c.dev = up(&c.rec, 0);
	crowd_gather(&c);
	rec_unregister_async(&c.rec);
	wait_for(h_count(&c.rec, H_REMOVE) == 1);
	h_fence();
	check(!rec_done(&c.rec));
	crowd_release(&c);
	crowd_check(&c, NULL, ESHUTDOWN);
	check(h_count(&c.rec, H_FREE) == 1);
	wait_for(rec_done(&c.rec));
	ibc_put_device(c.dev);
}

/* add() fails while another thread allocates for it */
static int fail_meanwhile(struct rec *rec, struct ibc_device *dev)
{
	struct crowd *c = (struct crowd *)rec;

	if (h_count(rec, H_ADD) > 1)
		return 0;
	c->dev = ibc_get_device(dev);
	crowd_gather(c);
	return *(int *)rec->arg;
}

static void add_fails_meanwhile(int result, int error, unsigned int adds)
{
	struct crowd c = {};

	rec_init(&c.rec, "a", 0);
	c.rec.on_add = fail_meanwhile;
	c.rec.arg = &result;
	fake_add("soft0", 1);
	rec_register(&c.rec);
	check(c.dev);
	if (error == EOPNOTSUPP) {
		crowd_release(&c);
		crowd_check(&c, NULL, error);
		check(h_count(&c.rec, H_FREE) == 1);
	} else {
		/* another life begins; the alloc serves it */
		wait_for(h_count(&c.rec, H_ADD) == adds);
		h_fence();
		crowd_release(&c);
		crowd_check(&c, c.workers[0].data, 0);
		crowd_put(&c);
	}
	ibc_put_device(c.dev);
	rec_unregister(&c.rec);
	check(h_count(&c.rec, H_ADD) == adds);
	check(h_count(&c.rec, H_ALLOC) == h_count(&c.rec, H_FREE));
}

static void g07_add_declines_meanwhile(void **state)
{
	(void)state;
	add_fails_meanwhile(EOPNOTSUPP, EOPNOTSUPP, 1);
}

static void g07_add_fails_meanwhile(void **state)
{
	(void)state;
	add_fails_meanwhile(EIO, 0, 2);
}

/* ---- how many lives ---- */

static void g07_one_successful_alloc_for_good(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, 0);
	struct ibc_client_data *data = data_of(&a, dev);
	unsigned int i;

	(void)state;
	check(!ibc_put_client_data(data));
	for (i = 0; i < 100; i++) {
		check(data_of(&a, dev) == data);
		check(!ibc_put_client_data(data));
	}
	check(h_count(&a, H_ALLOC) == 1);
	ibc_put_device(dev);
	rec_unregister(&a);
}

static void g07_free_unused_begins_a_life_after_each_last_put(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, IBC_CLIENT_FREE_UNUSED);
	unsigned int i;

	(void)state;
	for (i = 1; i <= 100; i++) {
		check(ibc_put_client_data(data_of(&a, dev)));
		check(h_count(&a, H_ALLOC) == i);
		check(h_count(&a, H_FREE) == i);
		check_null(ibc_get_client_data(dev, &a.client), ENOENT);
	}
	ibc_put_device(dev);
	rec_unregister(&a);
}

static void g07_set_null_ends_a_life(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, 0);
	struct ibc_client_data *first = data_of(&a, dev), *second;

	(void)state;
	check(ibc_set_client_data(dev, &a.client, NULL) == 0);
	second = data_of(&a, dev);
	check(second != first);
	check(h_count(&a, H_ALLOC) == 2);
	check(ibc_put_client_data(first));
	check(!ibc_put_client_data(second));
	ibc_put_device(dev);
	rec_unregister(&a);
}

static void put(struct worker *w)
{
	check(ibc_put_client_data(w->data));
}

static void g07_a_life_begins_while_the_old_one_is_freed(void **state)
{
	struct gate gate = {};
	struct worker w = {};
	struct rec a;
	struct ibc_device *dev = up(&a, IBC_CLIENT_FREE_UNUSED);
	struct ibc_client_data *data;

	(void)state;
	w.data = data_of(&a, dev);
	a.gate[H_FREE] = &gate;
	worker_start(&w, put);
	wait_for(gate_entered(&gate) == 1);
	check_null(ibc_get_client_data(dev, &a.client), ENOENT);
	data = data_of(&a, dev);
	check(data != w.data);
	check(ibc_get_client_data(dev, &a.client) == data);
	check(!ibc_put_client_data(data));
	gate_open(&gate);
	worker_join(&w);
	check(rec_live(&a) == 1);
	check(ibc_put_client_data(data));
	ibc_put_device(dev);
	rec_unregister(&a);
}

static void g07_without_alloc_enoent(void **state)
{
	struct ibc_device *dev;
	struct rec a;

	(void)state;
	rec_init(&a, "a", 0);
	a.client.alloc_client_data = NULL;
	fake_add("soft0", 1);
	rec_register(&a);
	dev = h_device("soft0");
	check_null(ibc_alloc_or_get_client_data(dev, &a.client), ENOENT);
	ibc_put_device(dev);
	rec_unregister(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g07_sixteen_threads_one_alloc),
		IN_ALL(g07_sixteen_threads_one_alloc_free_unused),
		IN_ALL(g07_sixteen_threads_one_alloc_defer_free),
		IN_ALL(g07_a_failed_round_gives_its_errno_to_all),
		IN_ALL(g07_set_meanwhile_wins),
		IN_ALL(g07_cmpxchg_meanwhile_wins),
		IN_ALL(g07_set_in_the_alloc_itself_wins),
		IN_ALL(g07_set_and_emptied_meanwhile),
		IN_ALL(g07_the_device_goes_meanwhile),
		IN_ALL(g07_the_client_goes_meanwhile),
		IN_ALL(g07_add_declines_meanwhile),
		IN_ALL(g07_add_fails_meanwhile),
		IN_ALL(g07_one_successful_alloc_for_good),
		IN_ALL(g07_free_unused_begins_a_life_after_each_last_put),
		IN_ALL(g07_set_null_ends_a_life),
		IN_ALL(g07_a_life_begins_while_the_old_one_is_freed),
		IN_ALL(g07_without_alloc_enoent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
