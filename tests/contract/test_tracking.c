// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The records of who holds what: whose a put takes, what happens when there are
 * no more of them, that they are right when many come and go at once, and who
 * asks for them.
 */
#include <sched.h>

#include "data.h"
#include "held.h"

/* references that no record was left for */
static unsigned int others(struct rec *rec)
{
	json_t *list = holders(rec), *last;
	unsigned int n = 0;

	last = json_array_get(list, json_array_size(list) - 1);
	if (last && !held_string(last, "address"))
		n = held_count(last);
	json_decref(list);
	return n;
}

/* ---- whose reference a put drops ---- */

static void put_one(struct worker *w)
{
	ibc_put_client_data(w->data);
}

static void get_and_put(struct worker *w)
{
	ibc_put_client_data(by_get(w->rec));
	w->data = by_get(w->rec);
}

static void a_put_is_of_the_own_thread_first(void **state)
{
	struct worker w = { .rec = &a };
	struct ibc_client_data *data;

	(void)state;
	start_tracked();
	data = by_alloc(&a);
	by_hold(data);
	worker_start(&w, get_and_put);
	worker_join(&w);
	assert_int_equal(held_by(&a, "by_get"), 1);
	ibc_put_client_data(data); /* ours, though another one's is newer */
	assert_int_equal(held_by(&a, "by_get"), 1);
	assert_int_equal(held_by(&a, "by_hold"), 0);
	assert_int_equal(held_by(&a, "by_alloc"), 1);
	ibc_put_client_data(data);
	ibc_put_client_data(data);
	assert_int_equal(held_by(&a, NULL), 0);
	finish();
}

static void else_a_put_is_of_the_oldest(void **state)
{
	struct worker w = {};

	(void)state;
	start_tracked();
	w.data = by_alloc(&a);
	by_hold(w.data);
	worker_start(&w, put_one);
	worker_join(&w);
	assert_int_equal(held_by(&a, "by_alloc"), 0);
	assert_int_equal(held_by(&a, "by_hold"), 1);
	ibc_put_client_data(w.data);
	assert_int_equal(held_by(&a, NULL), 0);
	finish();
}

/* ---- records are out ---- */

/* every record that is left goes to nobody's counter */
static void take_all_records(struct ibc__ref *nobodys)
{
	while (!nobodys->holders.others)
		ibc__holder_came(h_reg->tracker, nobodys, &dev);
}

static void give_them_back(struct ibc__ref *nobodys)
{
	ibc__lock(h_reg);
	ibc__holders_forget(h_reg->tracker, &nobodys->holders);
	ibc__unlock(h_reg);
}

static void without_a_record_they_are_others(void **state)
{
	struct ibc__ref nobodys = {};
	struct ibc_client_data *data;
	char *text;
	int i;

	(void)state;
	start_tracked();
	data = by_alloc(&a);
	take_all_records(&nobodys);
	for (i = 0; i < 3; i++)
		by_hold(data);
	assert_int_equal(others(&a), 3);
	assert_int_equal(held_by(&a, NULL), 4);
	assert_int_equal(held_by(&a, "by_alloc"), 1);
	text = h2_dump(h_reg, IBC_DUMP_TEXT);
	assert_non_null(strstr(text, "\n    3 by others, not recorded\n"));
	free(text);
	ibc_put_client_data(data); /* what is recorded stays longest */
	assert_int_equal(others(&a), 2);
	assert_int_equal(held_by(&a, "by_alloc"), 1);
	give_them_back(&nobodys);
	by_hold(data);
	assert_int_equal(held_by(&a, "by_hold"), 1);
	for (i = 0; i < 4; i++)
		ibc_put_client_data(data);
	assert_int_equal(held_by(&a, NULL), 0);
	finish();
}

static struct ibc_client_data *hold_100(struct rec *rec)
{
	struct ibc_client_data *data = by_alloc(rec);
	int i;

	for (i = 1; i < 100; i++)
		by_hold(data);
	return data;
}

/* the last frees it */
static void put_100(struct rec *rec, struct ibc_client_data *data)
{
	int i;

	check(ibc_set_client_data(dev, &rec->client, NULL) == 0);
	for (i = 0; i < 100; i++)
		check(ibc_put_client_data(data) == (i == 99));
}

/* what a counter needed once is another's when the data is freed */
static void records_return_when_data_is_freed(void **state)
{
	struct ibc__ref nobodys = {};
	struct ibc_client_data *data;

	(void)state;
	start_tracked();
	data = hold_100(&a);
	take_all_records(&nobodys);
	put_100(&a, data);
	data = hold_100(&b);
	assert_int_equal(others(&b), 0);
	assert_int_equal(held_by(&b, NULL), 100);
	put_100(&b, data);
	give_them_back(&nobodys);
	finish();
}

static unsigned int count_all_records(void)
{
	struct ibc__ref nobodys = {};
	unsigned int n;

	take_all_records(&nobodys);
	n = ibc__holders_room(h_reg->tracker, &nobodys.holders);
	give_them_back(&nobodys);
	return n;
}

static void take_some_and_give_them_back(struct worker *w)
{
	struct ibc__ref one = {}, two = {};
	int i;

	(void)w;
	for (i = 0; i < 500000; i++) {
		ibc__holder_came(h_reg->tracker, &one, &dev);
		ibc__holder_came(h_reg->tracker, &two, &dev);
		/* not in the order in which they were taken */
		ibc__holders_forget(h_reg->tracker, &one.holders);
		ibc__holders_forget(h_reg->tracker, &two.holders);
	}
}

/* of counters that are recycled beside others that need records */
static void no_record_is_lost_or_given_twice(void **state)
{
	struct worker workers[4] = {};
	unsigned int i, n;

	(void)state;
	start_tracked();
	n = count_all_records();
	for (i = 0; i < 4; i++)
		worker_start(&workers[i], take_some_and_give_them_back);
	for (i = 0; i < 4; i++)
		worker_join(&workers[i]);
	assert_int_equal(count_all_records(), n);
	finish();
}

/* ---- those who take are others than those who drop: all want the oldest ---- */

static struct ibc__ref common;
static _Atomic int ahead;

static void only_take(struct worker *w)
{
	int i;

	(void)w;
	for (i = 0; i < 10000; i++) {
		while (ahead > 500)
			sched_yield();
		ibc__holder_came(h_reg->tracker, &common, &dev);
		atomic_fetch_add(&ahead, 1);
	}
}

static void only_drop(struct worker *w)
{
	int i, before;

	(void)w;
	for (i = 0; i < 10000; i++) {
		while ((before = ahead) <= 0 ||
		       !atomic_compare_exchange_weak(&ahead, &before,
						     before - 1))
			sched_yield();
		ibc__holder_goes(h_reg->tracker, &common);
	}
}

static void each_drop_takes_exactly_one(void **state)
{
	struct worker workers[4] = {};
	uintptr_t address;
	unsigned int i;

	(void)state;
	start_tracked();
	for (i = 0; i < 4; i++)
		worker_start(&workers[i], i % 2 ? only_take : only_drop);
	for (i = 0; i < 4; i++)
		worker_join(&workers[i]);
	assert_int_equal(common.holders.known, 0);
	assert_int_equal(ibc__holders_copy(h_reg->tracker, &common.holders,
					   &address, 1),
			 0);
	give_them_back(&common);
	finish();
}

static void a_free_record_is_used_again(void **state)
{
	struct ibc_client_data *data;
	int i;

	(void)state;
	start_tracked();
	data = by_alloc(&a);
	for (i = 0; i < 100; i++)
		ibc_put_client_data(by_get(&a));
	assert_int_equal(ibc__holders_room(h_reg->tracker,
					   &ibc__data_ref(data)->holders),
			 2);
	ibc_put_client_data(data);
	finish();
}

/* a put too many of what was never got has nothing to take, and ends */
static void a_put_of_nothing_takes_nothing(void **state)
{
	struct ibc__ref nobodys = {};

	(void)state;
	start_tracked();
	ibc__holder_goes(h_reg->tracker, &nobodys);
	ibc__holder_came(h_reg->tracker, &nobodys, &dev);
	ibc__holder_goes(h_reg->tracker, &nobodys);
	ibc__holder_goes(h_reg->tracker, &nobodys);
	assert_int_equal(nobodys.holders.known, 0);
	assert_int_equal(nobodys.holders.others, 0);
	give_them_back(&nobodys);
	finish();
}

/* ---- many at once ---- */

#define WORKERS 4
#define ROUNDS	2000

static struct ibc_client_data *handed[WORKERS];

/* each puts what another one got, now and then */
static void get_put_and_hand_over(struct worker *w)
{
	struct ibc_client_data *data, **mine = w->arg, *other;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		data = by_alloc(w->rec);
		by_hold(data);
		ibc_put_client_data(data);
		other = __atomic_exchange_n(&handed[i % WORKERS], data,
					    __ATOMIC_ACQ_REL);
		if (other)
			ibc_put_client_data(other);
	}
	data = __atomic_exchange_n(mine, NULL, __ATOMIC_ACQ_REL);
	if (data)
		ibc_put_client_data(data);
}

static void start_workers(struct worker *workers)
{
	unsigned int i;

	for (i = 0; i < WORKERS; i++) {
		workers[i].rec = &a;
		workers[i].arg = &handed[i];
		worker_start(&workers[i], get_put_and_hand_over);
	}
}

static void join_workers(struct worker *workers)
{
	unsigned int i;

	for (i = 0; i < WORKERS; i++)
		worker_join(&workers[i]);
	for (i = 0; i < WORKERS; i++) { /* what came to an early one late */
		if (handed[i])
			ibc_put_client_data(handed[i]);
		handed[i] = NULL;
	}
}

/* with or without records, what is left in the end is what is held */
static void get_and_put_at_once(bool records)
{
	struct worker workers[WORKERS] = {};
	struct ibc__ref nobodys = {};
	struct ibc_client_data *data;

	start_tracked();
	data = by_alloc(&a);
	if (!records)
		take_all_records(&nobodys);
	start_workers(workers);
	join_workers(workers);
	assert_int_equal(held_by(&a, NULL), 1);
	assert_int_equal(held_by(&a, "by_alloc") + others(&a), 1);
	ibc_put_client_data(data);
	assert_int_equal(held_by(&a, NULL), 0);
	give_them_back(&nobodys);
	finish();
}

static void get_and_put_by_many_at_once(void **state)
{
	(void)state;
	get_and_put_at_once(true);
}

static void the_same_without_records(void **state)
{
	(void)state;
	get_and_put_at_once(false);
}

static bool all_finished(struct worker *workers)
{
	unsigned int i;

	for (i = 0; i < WORKERS; i++)
		if (!worker_finished(&workers[i]))
			return false;
	return true;
}

/* what a dump beside them names is one of them, and no more than there are */
static void dump_while_they_come_and_go(void **state)
{
	struct worker workers[WORKERS] = {};
	struct ibc_client_data *data;
	unsigned int n;

	(void)state;
	start_tracked();
	data = by_alloc(&a);
	start_workers(workers);
	do {
		n = held_by(&a, NULL);
		/* two in hand, and one handed over and not yet put */
		check(n >= 1 && n <= 1 + 4 * WORKERS);
	} while (!all_finished(workers));
	join_workers(workers);
	ibc_put_client_data(data);
	assert_int_equal(held_by(&a, NULL), 0);
	finish();
}

/* ---- the environment ---- */

static bool tracks_with(const char *value, uint32_t flags)
{
	struct ibc_registry_attr attr = { .flags = flags };
	struct ibc_registry *reg;
	bool tracks;

	attr.flags |= IBC_REGISTRY_MANUAL;
	if (value)
		setenv("IBC_TRACK_REFS", value, 1);
	else
		unsetenv("IBC_TRACK_REFS");
	reg = ibc_open(&attr);
	assert_non_null(reg);
	tracks = reg->tracker;
	assert_int_equal(ibc_close(reg), 0);
	return tracks;
}

static void the_environment_can_ask_for_it(void **state)
{
	const char *now = getenv("IBC_TRACK_REFS");
	char *old = now ? strdup(now) : NULL;

	(void)state;
	h_log_capture();
	assert_false(tracks_with(NULL, 0));
	assert_true(tracks_with(NULL, IBC_REGISTRY_TRACK_REFS));
	assert_true(tracks_with("1", 0));
	assert_false(tracks_with("0", 0));
	assert_false(tracks_with("", 0));
	assert_true(tracks_with("0", IBC_REGISTRY_TRACK_REFS));
	assert_int_equal(h_logged(IBC_LOG_WARNING, "IBC_TRACK_REFS"), 0);
	assert_false(tracks_with("yes", 0));
	assert_int_equal(h_logged(IBC_LOG_WARNING, "IBC_TRACK_REFS is \"yes\""),
			 1);
	assert_false(tracks_with("11", 0));
	assert_int_equal(h_logged(IBC_LOG_WARNING, "IBC_TRACK_REFS"), 2);
	if (old)
		setenv("IBC_TRACK_REFS", old, 1);
	else
		unsetenv("IBC_TRACK_REFS");
	free(old);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MANUAL(a_put_is_of_the_own_thread_first),
		IN_MANUAL(else_a_put_is_of_the_oldest),
		IN_MANUAL(without_a_record_they_are_others),
		IN_MANUAL(records_return_when_data_is_freed),
		IN_MANUAL(no_record_is_lost_or_given_twice),
		IN_MANUAL(each_drop_takes_exactly_one),
		IN_MANUAL(a_free_record_is_used_again),
		IN_MANUAL(a_put_of_nothing_takes_nothing),
		IN_ALL(get_and_put_by_many_at_once),
		IN_ALL(the_same_without_records),
		IN_ALL(dump_while_they_come_and_go),
		IN_MANUAL(the_environment_can_ask_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
