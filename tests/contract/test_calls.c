// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantees 4 and 5: what may be called where, and what register means. */
#include <unistd.h>

#include "harness.h"

/* ---- 4 ---- */

static struct rec a; /* the client whose callbacks call everything */
static unsigned int calls;
static FILE *null;

static int look(struct ibc_device *dev, void *arg)
{
	(void)arg;
	return ibc_device_state(dev) == IBC_DEVICE_LIVE ? 0 : 1;
}

/* what would wait for the registry that it is called from */
static void call_what_waits(struct ibc_device *dev)
{
	check(ibc_unregister_client(&a.client) == EDEADLK);
	check(ibc_unregister_client_timed(&a.client, 0) == EDEADLK);
	check(ibc_unregister_client_timed(&a.client, -1) == EDEADLK);
	check(ibc_close(h_reg) == EDEADLK);
	check(ibc_dispatch(h_reg, 0) == EDEADLK);
	check(ibc_dispatch(h_reg, -1) == EDEADLK);
	if (dev) {
		check(ibc_wait_drained(dev, 0) == EDEADLK);
		check(ibc_wait_drained(dev, -1) == EDEADLK);
	}
}

static void call_registry(void)
{
	struct ibc_stats stats;
	char name[] = "soft0";

	ibc_put_device(ibc_get_device_by_name(h_reg, name));
	ibc_put_device(ibc_get_device_by_index(h_reg, 0));
	check_null(ibc_get_device_by_context(h_reg, (void *)name), ENODEV);
	ibc_for_each_device(h_reg, look, NULL);
	check(ibc_rescan(h_reg) == 0);
	check(ibc_dump(h_reg, null, IBC_DUMP_JSON) == 0);
	check(ibc_dump(h_reg, null, IBC_DUMP_TEXT) == 0);
	check(ibc_query_stats(h_reg, &stats, sizeof(stats)) == 0);
	ibc_get_fd(h_reg);
	check(ibc_version());
}

static void call_data(struct ibc_device *dev)
{
	struct ibc_client_data *data, *current;
	int error;

	data = ibc_get_client_data(dev, &a.client);
	if (data)
		ibc_hold_client_data(data);
	ibc_put_client_data(data);
	ibc_put_client_data(data);
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	ibc_put_client_data(data);
	error = ibc_cmpxchg_client_data(dev, &a.client, (void *)&a, NULL,
					&current);
	check(error);
	ibc_put_client_data(current);
}

static void call_device(struct ibc_device *dev)
{
	check(ibc_get_device(dev) == dev);
	ibc_put_device(dev);
	ibc_device_context(dev);
	check(ibc_device_name(dev));
	check(ibc_device_index(dev) >= 0);
	check(ibc_device_guid(dev));
	check(ibc_device_incarnation(dev));
	check(ibc_device_registry(dev) == h_reg);
	check(!ibc_device_adopted(dev));
	check(ibc_report_error(dev, ENODEV) == 0);
}

/* a client that comes and goes: both return at once, done() is called later */
struct guest {
	struct ibc_client client;
};

static unsigned int guests;

static void bye(struct ibc_client *client)
{
	call_what_waits(NULL);
	free(client);
	__atomic_sub_fetch(&guests, 1, __ATOMIC_SEQ_CST);
	h_changed();
}

static void call_register(void)
{
	struct guest *guest = calloc(1, sizeof(*guest));

	check(guest);
	__atomic_add_fetch(&guests, 1, __ATOMIC_SEQ_CST);
	check(ibc_register_client(h_reg, &guest->client) == 0);
	check(ibc_register_client(h_reg, &guest->client) == EBUSY);
	check(ibc_unregister_client_async(&guest->client, bye) == 0);
}

/* another registry is not waited for by anybody here */
static void call_other_registry(void)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };
	struct ibc_registry *reg = ibc_open(&attr);
	struct ibc_client client = { .name = "other" };
	int error;

	check(reg);
	check(ibc_register_client(reg, &client) == 0);
	error = ibc_dispatch(reg, 0);
	check(error == 0 || error == ETIMEDOUT);
	check(ibc_unregister_client(&client) == 0);
	check(ibc_close(reg) == 0);
}

static __thread unsigned int depth; /* callbacks in callbacks: once is enough */

static __thread bool in_sink;

static void call_locked(struct worker *w)
{
	depth = 2; /* this thread is in no callback: do not check EDEADLK */
	call_registry();
	if (w->dev)
		call_device(w->dev);
}

/* no lock is held: another thread may take all of them */
static void call_in_other_thread(struct ibc_device *dev)
{
	struct worker w = { .dev = dev };

	worker_start(&w, call_locked);
	check(pthread_join(w.thread, NULL) == 0);
}

static void call_everything(struct ibc_device *dev)
{
	int error = errno;

	if (depth >= 2)
		return;
	depth++;
	call_what_waits(dev);
	call_registry();
	if (dev) {
		call_device(dev);
		call_data(dev);
	}
	call_register();
	if (!in_sink) /* which counts as a callback of all registries */
		call_other_registry();
	call_in_other_thread(dev);
	__atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
	depth--;
	errno = error;
}

static int in_add(struct rec *rec, struct ibc_device *dev)
{
	(void)rec;
	call_everything(dev);
	return 0;
}

static void in_remove(struct rec *rec, struct ibc_device *dev,
		      struct ibc_client_data *data)
{
	(void)rec;
	(void)data;
	call_everything(dev);
}

static void in_gone(struct rec *rec, struct ibc_device *dev)
{
	(void)rec;
	call_everything(dev);
}

static void in_rename(struct rec *rec, struct ibc_device *dev, const char *old)
{
	(void)rec;
	(void)old;
	call_everything(dev);
}

static void in_event(struct rec *rec, struct ibc_device *dev,
		     struct ibc_client_data *data,
		     const struct ibc_event *event)
{
	(void)rec;
	(void)data;
	(void)event;
	call_everything(dev);
}

static int in_alloc(struct rec *rec, struct ibc_device *dev)
{
	(void)rec;
	call_everything(dev);
	return 0;
}

static void in_free(struct rec *rec, struct ibc_client_data *data)
{
	(void)rec;
	call_everything(data->device);
}

static int in_for_each(struct ibc_device *dev, void *arg)
{
	(void)arg;
	call_everything(dev);
	return 0;
}

static struct ibv_context *in_open(struct ibv_device *device, void *arg)
{
	(void)arg;
	call_everything(NULL);
	return fake_open(device->name);
}

static void in_log(int level, const char *message, void *arg)
{
	(void)level;
	(void)message;
	(void)arg;
	in_sink = true;
	call_everything(NULL);
	in_sink = false;
}

static void set_hooks(unsigned int flags)
{
	rec_init(&a, "a", flags);
	a.on_add = in_add;
	a.on_remove = in_remove;
	a.on_gone = in_gone;
	a.on_rename = in_rename;
	a.on_event = in_event;
	a.on_alloc = in_alloc;
	a.on_free = in_free;
}

/* each callback at least once */
static void live_a_life(void)
{
	struct ibc_device *dev;

	fake_add("soft0", 1);
	wait_for(h_count(&a, H_ADD) == 1);
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(h_count(&a, H_EVENT) == 1);
	fake_rename("soft0", "hard0");
	wait_for(h_count(&a, H_RENAME) == 1);
	dev = h_device("hard0");
	check(ibc_for_each_device(h_reg, in_for_each, NULL) == 0);
	ibc_put_client_data(ibc_alloc_or_get_client_data(dev, &a.client));
	fake_remove("hard0", FAKE_FATAL);
	check(ibc_wait_drained(dev, -1) == 0);
	ibc_put_device(dev);
	check(h_count(&a, H_GONE) == 1);
	check(h_count(&a, H_ALLOC) >= 1);
	wait_for(h_count(&a, H_FREE) == h_count(&a, H_ALLOC));
}

static void everything_is_called(uint32_t flags)
{
	const struct ibc_registry_attr attr = { .open_device = in_open };

	null = fopen("/dev/null", "we");
	check(null);
	calls = 0;
	h_close(h_reg);
	h_reg = h_open(&attr);
	set_hooks(flags);
	rec_register(&a);
	live_a_life();
	/* add, remove, gone, rename, event, alloc, free, for_each, open */
	check(__atomic_load_n(&calls, __ATOMIC_SEQ_CST) >= 9);
	rec_unregister(&a);
	wait_for(__atomic_load_n(&guests, __ATOMIC_SEQ_CST) == 0);
	ibc_set_log(NULL, NULL);
	fclose(null);
}

static void g04_every_function_in_every_callback(void **state)
{
	(void)state;
	everything_is_called(0);
}

static void g04_every_function_in_every_callback_free_unused(void **state)
{
	(void)state;
	everything_is_called(IBC_CLIENT_FREE_UNUSED);
}

static void g04_every_function_in_every_callback_defer_free(void **state)
{
	(void)state;
	everything_is_called(IBC_CLIENT_DEFER_FREE);
}

static void g04_every_function_in_the_log_sink_too(void **state)
{
	(void)state;
	null = fopen("/dev/null", "we");
	check(null);
	calls = 0;
	rec_init(&a, "a", 0);
	rec_register(&a);
	ibc_set_log(in_log, NULL);
	live_a_life();
	check(__atomic_load_n(&calls, __ATOMIC_SEQ_CST) >= 4);
	ibc_set_log(NULL, NULL);
	h_fence();
	rec_unregister(&a);
	wait_for(__atomic_load_n(&guests, __ATOMIC_SEQ_CST) == 0);
	fclose(null);
}

/* ---- 5 ---- */

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
	struct rec *other = rec->arg;

	(void)dev;
	if (h_count(rec, H_ADD) > 1)
		return 0;
	rec_register(other);
	check(h_count(other, H_ADD) == 0);
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

static void one_appears_at(enum fake_call call)
{
	appeared = 0;
	rec_init(&a, "a", 0);
	fake_add("soft0", 1);
	fake_on(call, appear, NULL);
	rec_register(&a);
	wait_for(h_count(&a, H_ADD) > 1 &&
		 h_count(&a, H_ADD) ==
			 1 + (__atomic_load_n(&appeared, __ATOMIC_SEQ_CST) <
					      DEVICES ?
				      appeared :
				      DEVICES));
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
		IN_ALL(g04_every_function_in_every_callback),
		IN_ALL(g04_every_function_in_every_callback_free_unused),
		IN_ALL(g04_every_function_in_every_callback_defer_free),
		IN_ALL(g04_every_function_in_the_log_sink_too),
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
