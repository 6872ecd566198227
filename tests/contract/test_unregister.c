// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantee 6: unregistering is a full fence; its timed form. */
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

/* ---- it waits for what runs ---- */

struct fenced {
	struct rec rec;
	struct gate gate;
	struct worker unregister;
	struct worker helper; /* in whose thread the callback runs, if any */
};

/* nothing of the client runs once this has returned */
static void do_unregister(struct worker *w)
{
	struct fenced *f = w->arg;

	w->error = ibc_unregister_client(&f->rec.client);
	check(gate_left(&f->gate) == gate_entered(&f->gate));
	check(gate_left(&f->gate) >= 1);
}

static void unregister_beside(struct fenced *f)
{
	wait_for(gate_entered(&f->gate) == 1);
	f->unregister.arg = f;
	worker_start(&f->unregister, do_unregister);
	worker_wait_blocked(&f->unregister);
	check(!worker_finished(&f->unregister));
	check(gate_left(&f->gate) == 0);
	gate_open(&f->gate);
	worker_join(&f->unregister);
	check(f->unregister.error == 0);
	check(rec_live(&f->rec) == 0);
}

static void do_register(struct worker *w)
{
	rec_register(w->rec);
}

static void g06_waits_for_add(void **state)
{
	struct fenced f = { .helper = { .rec = &f.rec } };

	(void)state;
	rec_init(&f.rec, "a", 0);
	f.rec.gate[H_ADD] = &f.gate;
	fake_add("soft0", 1);
	worker_start(&f.helper, do_register);
	unregister_beside(&f);
	worker_join(&f.helper);
	check(h_count(&f.rec, H_ADD) == 1);
	check(h_count(&f.rec, H_REMOVE) == 1);
}

static void g06_waits_for_event(void **state)
{
	struct fenced f = {};
	struct ibc_device *dev = up(&f.rec, 0);

	(void)state;
	f.rec.gate[H_EVENT] = &f.gate;
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	unregister_beside(&f);
	ibc_put_device(dev);
}

static void g06_waits_for_rename(void **state)
{
	struct fenced f = {};
	struct ibc_device *dev = up(&f.rec, 0);

	(void)state;
	f.rec.gate[H_RENAME] = &f.gate;
	fake_rename("soft0", "hard0");
	unregister_beside(&f);
	ibc_put_device(dev);
}

static void g06_waits_for_remove(void **state)
{
	struct fenced f = {};
	struct ibc_device *dev = up(&f.rec, 0);

	(void)state;
	f.rec.gate[H_REMOVE] = &f.gate;
	fake_remove("soft0", FAKE_WAIT);
	unregister_beside(&f);
	check(h_count(&f.rec, H_REMOVE) == 1);
	ibc_put_device(dev);
}

static void g06_waits_for_gone(void **state)
{
	struct fenced f = {};
	struct ibc_device *dev = up(&f.rec, 0);

	(void)state;
	f.rec.gate[H_GONE] = &f.gate;
	fake_remove("soft0", FAKE_WAIT);
	unregister_beside(&f);
	check(h_count(&f.rec, H_GONE) == 1);
	ibc_put_device(dev);
}

static void do_alloc(struct worker *w)
{
	check_null(ibc_alloc_or_get_client_data(w->dev, &w->rec->client),
		   ESHUTDOWN);
}

static void g06_waits_for_alloc(void **state)
{
	struct fenced f = { .helper = { .rec = &f.rec } };
	struct ibc_device *dev = up(&f.rec, 0);

	(void)state;
	f.rec.gate[H_ALLOC] = &f.gate;
	f.helper.dev = dev;
	worker_start(&f.helper, do_alloc);
	unregister_beside(&f);
	worker_join(&f.helper);
	check(h_count(&f.rec, H_FREE) == 1);
	ibc_put_device(dev);
}

static void do_put(struct worker *w)
{
	check(ibc_put_client_data(w->data));
}

static void g06_waits_for_free(void **state)
{
	struct fenced f = {};
	struct ibc_device *dev = up(&f.rec, IBC_CLIENT_FREE_UNUSED);

	(void)state;
	f.rec.gate[H_FREE] = &f.gate;
	f.helper.data = data_of(&f.rec, dev);
	worker_start(&f.helper, do_put);
	unregister_beside(&f);
	worker_join(&f.helper);
	ibc_put_device(dev);
}

static void g06_waits_for_deferred_free(void **state)
{
	struct fenced f = {};
	struct ibc_device *dev;

	(void)state;
	dev = up(&f.rec, IBC_CLIENT_FREE_UNUSED | IBC_CLIENT_DEFER_FREE);
	f.rec.gate[H_FREE] = &f.gate;
	check(ibc_put_client_data(data_of(&f.rec, dev)));
	unregister_beside(&f);
	ibc_put_device(dev);
}

/* ---- nothing comes afterwards ---- */

static void g06_no_callback_after_it(void **state)
{
	struct ibc_device *dev;
	struct rec *a = malloc(sizeof(*a)), b;
	unsigned int n;

	(void)state;
	check(a);
	rec_init(&b, "b", 0);
	rec_register(&b);
	dev = up(a, IBC_CLIENT_DEFER_FREE);
	ibc_put_client_data(data_of(a, dev));
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	fake_rename("soft0", "hard0");
	rec_unregister(a);
	n = h_count(a, H_EVENT) + h_count(a, H_RENAME) + 4;
	memset(a, 0xee, sizeof(*a)); /* its code and data are unloaded */
	fake_event("hard0", IBV_EVENT_SM_CHANGE, 1);
	wait_for(h_count(&b, H_EVENT) == 2);
	fake_remove("hard0", FAKE_FATAL);
	fake_add("soft0", 1);
	wait_for(h_count(&b, H_GONE) == 1);
	wait_for(h_count(&b, H_ADD) == 2);
	ibc_put_device(dev);
	h_fence();
	check(n == h_count(a, H_ADD) + h_count(a, H_ALLOC) +
			   h_count(a, H_REMOVE) + h_count(a, H_FREE) +
			   h_count(a, H_EVENT) + h_count(a, H_RENAME));
	check(h_count(a, H_GONE) == 0);
	rec_unregister(&b);
	free(a);
}

static void g06_the_struct_may_be_registered_again(void **state)
{
	struct rec a;
	struct ibc_device *dev = up(&a, 0);
	unsigned int i;

	(void)state;
	for (i = 1; i < 20; i++) {
		check(h_count(&a, H_ADD) == i);
		ibc_put_client_data(data_of(&a, dev));
		rec_unregister(&a);
		for (unsigned int j = 0; j < 4; j++)
			check(!a.client.opaque[j]);
		check(ibc_unregister_client(&a.client) == EINVAL);
		rec_register(&a);
	}
	ibc_put_device(dev);
	rec_unregister(&a);
	check(h_count(&a, H_FREE) == h_count(&a, H_ALLOC));
}

static void g06_a_client_without_callbacks(void **state)
{
	struct ibc_client client = {};
	struct ibc_device *dev;

	(void)state;
	fake_add("soft0", 1);
	check(ibc_register_client(h_reg, &client) == 0);
	dev = h_device("soft0");
	check_null(ibc_alloc_or_get_client_data(dev, &client), ENOENT);
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	fake_rename("soft0", "hard0");
	fake_remove("hard0", FAKE_FATAL);
	check(ibc_wait_drained(dev, -1) == 0);
	ibc_put_device(dev);
	check(ibc_unregister_client(&client) == 0);
}

/* ---- it waits for references ---- */

static void references_held(uint32_t flags, bool published)
{
	struct ibc_client_data *data;
	struct fenced f = {};
	struct ibc_device *dev = up(&f.rec, flags);

	data = published ? data_of(&f.rec, dev) : rec_make(&f.rec, dev);
	f.unregister.arg = &f;
	gate_open(&f.gate);
	gate_wait(&f.gate);
	worker_start(&f.unregister, do_unregister);
	wait_for(h_count(&f.rec, H_REMOVE) == 1);
	worker_wait_blocked(&f.unregister);
	check(!worker_finished(&f.unregister));
	/* what is held stays good */
	check_null(ibc_get_client_data(dev, &f.rec.client), ESHUTDOWN);
	check(data->device == dev);
	check(fake_context_is_open(ibc_device_context(data->device)));
	ibc_hold_client_data(data);
	check(!ibc_put_client_data(data));
	check(h_count(&f.rec, H_FREE) == 0);
	h_fence(); /* remove() has returned, the library's own is put */
	check(ibc_put_client_data(data));
	worker_join(&f.unregister);
	check(f.unregister.error == 0);
	check(h_count(&f.rec, H_FREE) == 1);
	ibc_put_device(dev);
}

static void g06_waits_for_references(void **state)
{
	(void)state;
	references_held(0, true);
}

static void g06_waits_for_references_free_unused(void **state)
{
	(void)state;
	references_held(IBC_CLIENT_FREE_UNUSED, true);
}

static void g06_waits_for_references_defer_free(void **state)
{
	(void)state;
	references_held(IBC_CLIENT_DEFER_FREE, true);
}

static void g06_waits_for_what_was_initialised(void **state)
{
	(void)state;
	references_held(0, false);
}

/* ---- the timed form ---- */

static void g06_timed_out_call_again(void **state)
{
	struct ibc_client_data *data;
	struct rec a;
	struct ibc_device *dev = up(&a, 0);
	struct ibc_client *client = &a.client;

	(void)state;
	data = data_of(&a, dev);
	check(ibc_unregister_client_timed(client, -2) == EINVAL);
	check(ibc_unregister_client_timed(client, 0) == ETIMEDOUT);
	check_null(ibc_get_client_data(dev, client), ESHUTDOWN);
	check_null(ibc_alloc_or_get_client_data(dev, client), ESHUTDOWN);
	check(ibc_unregister_client_timed(client, 20) == ETIMEDOUT);
	check(ibc_register_client(h_reg, client) == EBUSY);
	wait_for(h_count(&a, H_REMOVE) == 1);
	ibc_put_client_data(data);
	check(ibc_unregister_client_timed(client, -1) == 0);
	check(h_count(&a, H_REMOVE) == 1);
	check(rec_live(&a) == 0);
	rec_register(&a);
	check(h_count(&a, H_ADD) == 2);
	ibc_put_device(dev);
	check(ibc_unregister_client_timed(client, 30000) == 0);
}

static void g06_one_at_a_time(void **state)
{
	struct ibc_client_data *data;
	struct fenced f = {};
	struct ibc_device *dev = up(&f.rec, 0);

	(void)state;
	data = data_of(&f.rec, dev);
	f.unregister.arg = &f;
	gate_open(&f.gate);
	gate_wait(&f.gate);
	worker_start(&f.unregister, do_unregister);
	wait_for(h_count(&f.rec, H_REMOVE) == 1);
	worker_wait_blocked(&f.unregister);
	check(ibc_unregister_client(&f.rec.client) == EBUSY);
	check(ibc_unregister_client_timed(&f.rec.client, 0) == EBUSY);
	check(ibc_unregister_client_async(&f.rec.client, NULL) == EBUSY);
	ibc_put_client_data(data);
	worker_join(&f.unregister);
	check(f.unregister.error == 0);
	ibc_put_device(dev);
}

/* EDEADLK has changed nothing: the client works on */
static int try_to_leave(struct rec *rec, struct ibc_device *dev)
{
	check(ibc_unregister_client(&rec->client) == EDEADLK);
	check(ibc_unregister_client_timed(&rec->client, 0) == EDEADLK);
	ibc_put_client_data(data_of(rec, dev));
	return 0;
}

static void g06_edeadlk_in_a_callback(void **state)
{
	struct ibc_device *dev;
	struct rec a;

	(void)state;
	rec_init(&a, "a", 0);
	a.on_add = try_to_leave;
	fake_add("soft0", 1);
	rec_register(&a);
	dev = h_device("soft0");
	ibc_put_client_data(data_of(&a, dev));
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(h_count(&a, H_EVENT) == 1);
	ibc_put_device(dev);
	rec_unregister(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_THREADS(g06_waits_for_add),
		IN_THREADS(g06_waits_for_event),
		IN_THREADS(g06_waits_for_rename),
		IN_THREADS(g06_waits_for_remove),
		IN_THREADS(g06_waits_for_gone),
		IN_ALL(g06_waits_for_alloc),
		IN_ALL(g06_waits_for_free),
		IN_THREADS(g06_waits_for_deferred_free),
		IN_ALL(g06_no_callback_after_it),
		IN_ALL(g06_the_struct_may_be_registered_again),
		IN_ALL(g06_a_client_without_callbacks),
		IN_ALL(g06_waits_for_references),
		IN_ALL(g06_waits_for_references_free_unused),
		IN_ALL(g06_waits_for_references_defer_free),
		IN_ALL(g06_waits_for_what_was_initialised),
		IN_ALL(g06_timed_out_call_again),
		IN_ALL(g06_one_at_a_time),
		IN_ALL(g06_edeadlk_in_a_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
