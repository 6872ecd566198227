// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantees 8 (its errnos), 9 and 10: who holds what, and until when. */
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

static struct ibc_client_data *data_of(struct rec *rec, struct ibc_device *dev)
{
	struct ibc_client_data *data;

	data = ibc_alloc_or_get_client_data(dev, &rec->client);
	check(data);
	return data;
}

/* ---- 8: errnos ---- */

static void g08_enoent_enodev_eshutdown(void **state)
{
	struct rec a, b;
	struct ibc_device *dev = up(&a, 0);
	struct ibc_client_data *data;
	bool last;

	(void)state;
	rec_init(&b, "b", 0);
	check_null(ibc_get_client_data(dev, &b.client), EINVAL);
	check_null(ibc_get_client_data(NULL, &a.client), EINVAL);
	check_null(ibc_get_client_data(dev, NULL), EINVAL);
	check(!ibc_put_client_data(NULL));
	ibc_hold_client_data(NULL);
	check_null(ibc_get_client_data(dev, &a.client), ENOENT);
	rec_register(&b);
	data = data_of(&b, dev);
	check(ibc_unregister_client_timed(&b.client, 0) == ETIMEDOUT);
	check_null(ibc_get_client_data(dev, &b.client), ESHUTDOWN);
	check_null(ibc_alloc_or_get_client_data(dev, &b.client), ESHUTDOWN);
	last = ibc_put_client_data(data);
	check(last || h_mode != H_MANUAL); /* there remove() has returned */
	rec_unregister(&b);
	check(ibc_remove_device(dev) == 0);
	check_null(ibc_get_client_data(dev, &a.client), ENODEV);
	check_null(ibc_alloc_or_get_client_data(dev, &a.client), ENODEV);
	check(ibc_wait_drained(dev, -1) == 0);
	check_null(ibc_get_client_data(dev, &a.client), ENODEV);
	down(&a, dev);
}

static int fail_when_it_goes(struct rec *rec, struct ibc_device *dev)
{
	rec->arg = ibc_get_device(dev);
	check(ibc_remove_device(dev) == 0);
	return EIO;
}

/* an add() that fails is to be tried again: not on a device that goes */
static void g08_enodev_though_add_failed_later(void **state)
{
	struct ibc_device *dev;
	struct rec a;

	(void)state;
	rec_init(&a, "a", 0);
	a.on_add = fail_when_it_goes;
	fake_add("soft0", 1);
	rec_register(&a);
	dev = a.arg;
	check(dev);
	check(ibc_wait_drained(dev, -1) == 0);
	check_null(ibc_get_client_data(dev, &a.client), ENODEV);
	check_null(ibc_alloc_or_get_client_data(dev, &a.client), ENODEV);
	down(&a, dev);
}

/* ---- 9: the registry's reference ---- */

static void g09_the_registry_holds_one_until_removal(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, 0);
	struct ibc_client_data *data = data_of(&a, dev);

	(void)state;
	check(!ibc_put_client_data(data));
	check(ibc_get_client_data(dev, &a.client) == data);
	check(!ibc_put_client_data(data));
	fake_remove("soft0", FAKE_WAIT);
	check(ibc_wait_drained(dev, -1) == 0);
	check(h_count(&a, H_FREE) == 1);
	check(h_record(h_find(&a, H_REMOVE, 0)).data == data);
	check(h_before(&a, H_REMOVE, &a, H_FREE));
	down(&a, dev);
}

static void g09_the_registry_holds_one_until_unregister(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, 0);
	struct ibc_client_data *data = data_of(&a, dev);

	(void)state;
	check(!ibc_put_client_data(data));
	down(&a, dev);
	check(h_record(h_find(&a, H_REMOVE, 0)).data == data);
	check(h_before(&a, H_REMOVE, &a, H_FREE));
}

static void g09_the_registry_holds_one_until_replacement(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, 0);
	struct ibc_client_data *data = data_of(&a, dev), *other;

	(void)state;
	check(!ibc_put_client_data(data));
	other = rec_make(&a, dev);
	check(ibc_set_client_data(dev, &a.client, other) == 0);
	wait_for(h_count(&a, H_FREE) == 1);
	check(h_record(h_find(&a, H_FREE, 0)).data == data);
	check(!ibc_put_client_data(other));
	down(&a, dev);
}

static void g09_not_with_free_unused(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, IBC_CLIENT_FREE_UNUSED);

	(void)state;
	check(ibc_put_client_data(data_of(&a, dev)));
	check(h_count(&a, H_FREE) == 1);
	check_null(ibc_get_client_data(dev, &a.client), ENOENT);
	fake_remove("soft0", FAKE_WAIT);
	wait_for(h_count(&a, H_REMOVE) == 1);
	check(!h_record(h_find(&a, H_REMOVE, 0)).data);
	down(&a, dev);
}

/* ---- 9: from the first step of a removal on ---- */

static void check_dead(struct rec *rec, struct ibc_device *dev,
		       struct ibc_client_data *data)
{
	check_null(ibc_get_client_data(dev, &rec->client), ENODEV);
	check_null(ibc_alloc_or_get_client_data(dev, &rec->client), ENODEV);
	check(ibc_set_client_data(dev, &rec->client, data) == ENODEV);
	check(ibc_cmpxchg_client_data(dev, &rec->client, data, NULL, NULL) ==
	      ENODEV);
	check(data->device == dev);
	check(fake_context_is_open(ibc_device_context(data->device)));
	ibc_hold_client_data(data);
	check(!ibc_put_client_data(data));
}

static void dead_in_remove(struct rec *rec, struct ibc_device *dev,
			   struct ibc_client_data *data)
{
	check(data);
	check_dead(rec, dev, data);
}

static void g09_removal_stops_get_and_keeps_what_is_held(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, 0);
	struct ibc_client_data *data = data_of(&a, dev);

	(void)state;
	a.on_remove = dead_in_remove;
	check(ibc_remove_device(dev) == 0);
	check_dead(&a, dev, data);
	wait_for(ibc_device_state(dev) == IBC_DEVICE_DRAINING);
	h_fence();
	check_dead(&a, dev, data);
	check(ibc_wait_drained(dev, 0) == ETIMEDOUT);
	check(h_count(&a, H_FREE) == 0);
	check(ibc_put_client_data(data));
	check(ibc_wait_drained(dev, -1) == 0);
	check(fake_open_contexts("soft0") == 0);
	fake_remove("soft0", FAKE_WAIT);
	down(&a, dev);
}

/* ---- 9: borrowed data ---- */

static void empty_the_slot(struct rec *rec, struct ibc_device *dev,
			   struct ibc_client_data *data,
			   const struct ibc_event *event)
{
	(void)event;
	if (!data)
		return;
	check(ibc_set_client_data(dev, &rec->client, NULL) == 0);
	check_null(ibc_get_client_data(dev, &rec->client), ENOENT);
	ibc_put_client_data(rec->arg);
	check(h_count(rec, H_FREE) == 0); /* and the recorder uses it */
}

static void borrowed_in_event(uint32_t flags)
{
	struct rec a;
	struct ibc_device *dev = up(&a, flags);
	struct ibc_client_data *data = data_of(&a, dev);

	a.arg = data;
	a.on_event = empty_the_slot;
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(h_count(&a, H_EVENT) == 1);
	wait_for(h_count(&a, H_FREE) == 1);
	fake_event("soft0", IBV_EVENT_SM_CHANGE, 1);
	wait_for(h_count(&a, H_EVENT) == 2);
	check(h_record(h_find(&a, H_EVENT, 0)).data == data);
	check(!h_record(h_find(&a, H_EVENT, 1)).data);
	down(&a, dev);
}

static void g09_data_in_event_is_borrowed(void **state)
{
	(void)state;
	borrowed_in_event(0);
}

static void g09_data_in_event_is_borrowed_free_unused(void **state)
{
	(void)state;
	borrowed_in_event(IBC_CLIENT_FREE_UNUSED);
}

/* who holds one puts it there; the library has its own until it returned */
static void put_mine(struct rec *rec, struct ibc_device *dev,
		     struct ibc_client_data *data)
{
	(void)dev;
	check(data && data == rec->arg);
	check(!ibc_put_client_data(rec->arg));
	check(h_count(rec, H_FREE) == 0);
}

static void borrowed_in_remove(uint32_t flags, bool unregister)
{
	struct rec a;
	struct ibc_device *dev = up(&a, flags);

	a.arg = data_of(&a, dev);
	a.on_remove = put_mine;
	if (unregister) {
		down(&a, dev);
	} else {
		fake_remove("soft0", FAKE_FATAL);
		check(ibc_wait_drained(dev, -1) == 0);
		down(&a, dev);
	}
	check(h_count(&a, H_FREE) == 1);
}

static void g09_data_in_remove_is_borrowed(void **state)
{
	(void)state;
	borrowed_in_remove(0, false);
}

static void g09_data_in_remove_is_borrowed_free_unused(void **state)
{
	(void)state;
	borrowed_in_remove(IBC_CLIENT_FREE_UNUSED, false);
}

static void g09_data_in_remove_is_borrowed_unregister(void **state)
{
	(void)state;
	borrowed_in_remove(IBC_CLIENT_FREE_UNUSED, true);
}

static void g09_data_is_null_if_there_is_none(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, 0);

	(void)state;
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(h_count(&a, H_EVENT) == 1);
	check(!h_record(h_find(&a, H_EVENT, 0)).data);
	down(&a, dev);
	check(!h_record(h_find(&a, H_REMOVE, 0)).data);
}

/* ---- 9: the context ---- */

static int remove_here(struct ibc_device *dev, void *arg)
{
	struct rec *rec = arg;

	check(ibc_remove_device(dev) == 0);
	if (h_mode != H_MANUAL)
		wait_for(h_count(rec, H_REMOVE) == 1);
	else
		check(h_count(rec, H_REMOVE) == 0);
	check(fake_context_is_open(ibc_device_context(dev)));
	check(h_count(rec, H_GONE) == 0);
	return 7;
}

static void g09_the_context_is_open_in_for_each(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, 0);

	(void)state;
	check(ibc_for_each_device(h_reg, remove_here, &a) == 7);
	check(ibc_wait_drained(dev, -1) == 0);
	check(fake_open_contexts(NULL) == 0);
	down(&a, dev);
}

static void g09_a_device_reference_keeps_only_the_struct(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, 0);

	(void)state;
	fake_remove("soft0", FAKE_WAIT);
	wait_for(h_count(&a, H_GONE) == 1);
	check_null(ibc_device_context(dev), ENODEV);
	check(ibc_device_state(dev) == IBC_DEVICE_GONE);
	check(strcmp(ibc_device_name(dev), "soft0") == 0);
	check(fake_open_contexts(NULL) == 0);
	rec_unregister(&a);
	check(h_mode == H_POOL || ibc_close(h_reg) == EBUSY);
	ibc_put_device(dev);
}

/* ---- 10 ---- */

static void put(struct worker *w)
{
	check(ibc_put_client_data(w->data));
}

static void g10_the_last_put_frees_in_its_thread_and_may_sleep(void **state)
{
	struct gate gate = {};
	struct worker w = {};
	struct rec a;
	struct ibc_device *dev = up(&a, 0);

	(void)state;
	a.gate[H_FREE] = &gate;
	w.data = data_of(&a, dev);
	check(ibc_set_client_data(dev, &a.client, NULL) == 0);
	check(h_count(&a, H_FREE) == 0);
	worker_start(&w, put);
	wait_for(gate_entered(&gate) == 1);
	worker_wait_blocked(&w);
	check(!worker_finished(&w));
	/* no lock is held, the context is open */
	check(ibc_rescan(h_reg) == 0);
	fake_remove("soft0", FAKE_WAIT);
	wait_for(ibc_device_state(dev) == IBC_DEVICE_DRAINING);
	h_fence();
	check(fake_open_contexts("soft0") == 1);
	check(h_count(&a, H_GONE) == 0);
	gate_open(&gate);
	worker_join(&w);
	check(pthread_equal(h_record(h_find(&a, H_FREE, 0)).thread, w.thread));
	check(ibc_wait_drained(dev, -1) == 0);
	down(&a, dev);
}

static void g10_deferred_free_runs_in_a_dispatcher(void **state)
{
	const uint32_t flags = IBC_CLIENT_DEFER_FREE | IBC_CLIENT_FREE_UNUSED;
	struct gate gate = {};
	struct worker w = {};
	struct rec a;
	struct ibc_device *dev = up(&a, flags);

	(void)state;
	if (h_mode != H_MANUAL)
		a.gate[H_FREE] = &gate;
	w.data = data_of(&a, dev);
	worker_start(&w, put);
	check(pthread_join(w.thread, NULL) == 0); /* the free sleeps, put not */
	check(gate_left(&gate) == 0);
	check(h_mode != H_MANUAL || h_count(&a, H_FREE) == 0);
	wait_for(h_count(&a, H_FREE) == 1);
	check(!pthread_equal(h_record(h_find(&a, H_FREE, 0)).thread, w.thread));
	gate_open(&gate);
	down(&a, dev);
}

static void g10_many_deferred_frees(void **state)
{
	const uint32_t flags = IBC_CLIENT_DEFER_FREE | IBC_CLIENT_FREE_UNUSED;
	struct rec a;
	struct ibc_device *dev = up(&a, flags);
	unsigned int i;

	(void)state;
	for (i = 0; i < 1000; i++)
		check(ibc_put_client_data(data_of(&a, dev)));
	wait_for(h_count(&a, H_FREE) == 1000);
	down(&a, dev);
}

/* two clients: as soon as the last of them has put, not earlier, not later */
static void context_is_closed(uint32_t flags, enum fake_removal how)
{
	struct rec a, b;
	struct ibc_device *dev = up(&a, flags);
	struct ibc_client_data *of_a, *of_b;

	rec_init(&b, "b", flags);
	rec_register(&b);
	of_a = data_of(&a, dev);
	of_b = rec_make(&b, dev); /* never published, it counts too */
	fake_remove("soft0", how);
	wait_for(ibc_device_state(dev) == IBC_DEVICE_DRAINING);
	check(ibc_put_client_data(of_a));
	h_fence();
	check(h_count(&a, H_FREE) == 1);
	check(fake_open_contexts("soft0") == 1);
	check(ibc_put_client_data(of_b));
	/* a dispatcher closes it, and needs no other occasion */
	check(h_mode != H_MANUAL || fake_open_contexts("soft0") == 1);
	wait_for(fake_open_contexts("soft0") == 0);
	wait_for(h_count(NULL, H_GONE) == 2);
	rec_unregister(&b);
	down(&a, dev);
}

static void g10_the_context_is_closed_after_the_last_free(void **state)
{
	(void)state;
	context_is_closed(0, FAKE_WAIT);
}

static void g10_the_context_is_closed_after_the_last_free_fatal(void **state)
{
	(void)state;
	context_is_closed(IBC_CLIENT_FREE_UNUSED, FAKE_FATAL);
}

static void g10_the_context_is_closed_after_the_last_deferred(void **state)
{
	(void)state;
	context_is_closed(IBC_CLIENT_DEFER_FREE, FAKE_WAIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g08_enoent_enodev_eshutdown),
		IN_ALL(g08_enodev_though_add_failed_later),
		IN_ALL(g09_the_registry_holds_one_until_removal),
		IN_ALL(g09_the_registry_holds_one_until_unregister),
		IN_ALL(g09_the_registry_holds_one_until_replacement),
		IN_ALL(g09_not_with_free_unused),
		IN_ALL(g09_removal_stops_get_and_keeps_what_is_held),
		IN_ALL(g09_data_in_event_is_borrowed),
		IN_ALL(g09_data_in_event_is_borrowed_free_unused),
		IN_ALL(g09_data_in_remove_is_borrowed),
		IN_ALL(g09_data_in_remove_is_borrowed_free_unused),
		IN_ALL(g09_data_in_remove_is_borrowed_unregister),
		IN_ALL(g09_data_is_null_if_there_is_none),
		IN_ALL(g09_the_context_is_open_in_for_each),
		IN_ALL(g09_a_device_reference_keeps_only_the_struct),
		IN_ALL(g10_the_last_put_frees_in_its_thread_and_may_sleep),
		IN_ALL(g10_deferred_free_runs_in_a_dispatcher),
		IN_ALL(g10_many_deferred_frees),
		IN_ALL(g10_the_context_is_closed_after_the_last_free),
		IN_ALL(g10_the_context_is_closed_after_the_last_free_fatal),
		IN_ALL(g10_the_context_is_closed_after_the_last_deferred),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
