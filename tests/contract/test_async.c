// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantee 6: the asynchronous form, also from the client's own callbacks. */
#include "harness.h"

static struct ibc_client_data *data_of(struct rec *rec, struct ibc_device *dev)
{
	struct ibc_client_data *data;

	data = ibc_alloc_or_get_client_data(dev, &rec->client);
	check(data);
	return data;
}

/* ---- done() is the last thing ---- */

struct leaver {
	struct rec rec;
	bool left;
	bool done;
	unsigned int length; /* of the history when done() was called */
	pthread_t thread;
	bool again; /* done() registers it again */
};

static void done(struct ibc_client *client)
{
	struct leaver *l = (struct leaver *)client;
	unsigned int i;

	check(rec_live(&l->rec) == 0);
	for (i = 0; i < 4; i++)
		check(!client->opaque[i]);
	check(ibc_unregister_client_async(client, NULL) == EINVAL);
	l->length = h_length();
	l->thread = pthread_self();
	if (l->again)
		rec_register(&l->rec);
	__atomic_store_n(&l->done, true, __ATOMIC_SEQ_CST);
	h_changed();
}

static bool is_done(struct leaver *l)
{
	return __atomic_load_n(&l->done, __ATOMIC_SEQ_CST);
}

static void leave(struct leaver *l, struct ibc_device *dev)
{
	if (l->left)
		return;
	l->left = true;
	check(ibc_unregister_client_async(&l->rec.client, done) == 0);
	check(!is_done(l));
	check(ibc_unregister_client_async(&l->rec.client, done) == EBUSY);
	check(ibc_register_client(h_reg, &l->rec.client) == EBUSY);
	if (dev)
		check_null(ibc_get_client_data(dev, &l->rec.client), ESHUTDOWN);
}

static void g06_async_calls_done_as_the_last_thing(void **state)
{
	struct ibc_client_data *data;
	struct ibc_device *dev;
	struct leaver l = {};

	(void)state;
	rec_init(&l.rec, "l", 0);
	fake_add("soft0", 1);
	fake_add("soft1", 2);
	rec_register(&l.rec);
	dev = h_device("soft0");
	data = data_of(&l.rec, dev);
	leave(&l, dev);
	wait_for(h_count(&l.rec, H_REMOVE) == 2);
	h_fence();
	check(!is_done(&l)); /* a reference is held */
	check(ibc_unregister_client(&l.rec.client) == EBUSY);
	check(ibc_put_client_data(data));
	check(h_mode != H_MANUAL || !is_done(&l)); /* but in a dispatcher */
	wait_for(is_done(&l));
	h_fence();
	check(h_length() == l.length);
	if (h_mode != H_MANUAL)
		check(!pthread_equal(l.thread, pthread_self()));
	ibc_put_device(dev);
}

/* it goes as long as there is data of it; a device comes meanwhile */
static void g06_async_a_device_that_comes_is_not_for_it(void **state)
{
	struct ibc_device *dev, *later;
	struct ibc_client_data *data;
	struct leaver l = {};

	(void)state;
	fake_add("soft0", 1);
	rec_init(&l.rec, "l", 0);
	rec_register(&l.rec);
	dev = h_device("soft0");
	data = data_of(&l.rec, dev);
	leave(&l, dev);
	fake_add("soft1", 2);
	later = h_device("soft1");
	check_null(ibc_get_client_data(later, &l.rec.client), ESHUTDOWN);
	h_fence();
	check(h_count(&l.rec, H_ADD) == 1);
	ibc_put_client_data(data);
	wait_for(is_done(&l));
	ibc_put_device(later);
	ibc_put_device(dev);
}

static void g06_async_needs_no_done(void **state)
{
	struct rec a;

	(void)state;
	rec_init(&a, "a", 0);
	fake_add("soft0", 1);
	rec_register(&a);
	check(ibc_unregister_client_async(&a.client, NULL) == 0);
	wait_for(!__atomic_load_n(&a.client.opaque[0], __ATOMIC_ACQUIRE));
	check(h_count(&a, H_REMOVE) == 1);
	h_fence();
}

static void g06_done_may_register_it_again(void **state)
{
	struct leaver l = { .again = true };

	(void)state;
	rec_init(&l.rec, "l", 0);
	fake_add("soft0", 1);
	rec_register(&l.rec);
	check(ibc_unregister_client_async(&l.rec.client, done) == 0);
	wait_for(is_done(&l));
	wait_for(h_count(&l.rec, H_ADD) == 2);
	check(h_count(&l.rec, H_REMOVE) == 1);
	rec_unregister(&l.rec);
}

static void free_it(struct ibc_client *client)
{
	free(client);
	h_changed();
}

static void g06_done_may_free_it(void **state)
{
	struct rec *a = malloc(sizeof(*a));

	(void)state;
	check(a);
	rec_init(a, "a", 0);
	fake_add("soft0", 1);
	rec_register(a);
	check(ibc_unregister_client_async(&a->client, free_it) == 0);
	wait_for(h_count(a, H_REMOVE) == 1);
	h_fence();
}

/* ---- from its own callbacks ---- */

static int leave_in_add(struct rec *rec, struct ibc_device *dev)
{
	leave((struct leaver *)rec, dev);
	return *(int *)rec->arg;
}

static void left_during_registration(int result, unsigned int removes)
{
	struct leaver l = {};

	rec_init(&l.rec, "l", 0);
	l.rec.on_add = leave_in_add;
	l.rec.arg = &result;
	fake_add("soft0", 1);
	rec_register(&l.rec); /* done() may have been called when it returns */
	wait_for(is_done(&l));
	h_fence();
	check(h_length() == l.length);
	check(h_count(&l.rec, H_ADD) == 1);
	check(h_count(&l.rec, H_REMOVE) == removes);
	check(h_count(&l.rec, H_GONE) == 0);
}

static void g06_async_during_its_own_registration(void **state)
{
	(void)state;
	left_during_registration(0, 1);
}

static void g06_async_in_an_add_that_fails(void **state)
{
	(void)state;
	left_during_registration(ENOMEM, 0);
}

static void g06_async_in_an_add_that_declines(void **state)
{
	(void)state;
	left_during_registration(EOPNOTSUPP, 0);
}

static void leave_in_event(struct rec *rec, struct ibc_device *dev,
			   struct ibc_client_data *data,
			   const struct ibc_event *event)
{
	(void)data;
	(void)event;
	leave((struct leaver *)rec, dev);
}

static void leave_in_rename(struct rec *rec, struct ibc_device *dev,
			    const char *old_name)
{
	(void)old_name;
	leave((struct leaver *)rec, dev);
}

static void leave_in_remove(struct rec *rec, struct ibc_device *dev,
			    struct ibc_client_data *data)
{
	(void)data;
	(void)dev;
	leave((struct leaver *)rec, NULL);
}

static void leave_in_gone(struct rec *rec, struct ibc_device *dev)
{
	(void)dev;
	leave((struct leaver *)rec, NULL);
}

static int leave_in_alloc(struct rec *rec, struct ibc_device *dev)
{
	leave((struct leaver *)rec, dev);
	return 0;
}

static void leave_in_free(struct rec *rec, struct ibc_client_data *data)
{
	(void)data;
	leave((struct leaver *)rec, NULL);
}

static void begin(struct leaver *l)
{
	memset(l, 0, sizeof(*l));
	rec_init(&l->rec, "l", 0);
	fake_add("soft0", 1);
}

static void end(struct leaver *l, unsigned int gones)
{
	wait_for(is_done(l));
	h_fence();
	check(h_length() == l->length);
	check(h_count(&l->rec, H_REMOVE) == 1);
	check(h_count(&l->rec, H_GONE) == gones);
}

static void g06_async_in_event_and_rename(void **state)
{
	struct leaver l;

	(void)state;
	begin(&l);
	l.rec.on_event = leave_in_event;
	l.rec.on_rename = leave_in_rename;
	rec_register(&l.rec);
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	fake_event("soft0", IBV_EVENT_SM_CHANGE, 1);
	fake_rename("soft0", "hard0");
	end(&l, 0);
	check(h_count(&l.rec, H_EVENT) + h_count(&l.rec, H_RENAME) == 1);
}

static void g06_async_in_remove(void **state)
{
	struct leaver l;

	(void)state;
	begin(&l);
	l.rec.on_remove = leave_in_remove;
	rec_register(&l.rec);
	fake_remove("soft0", FAKE_WAIT);
	end(&l, 0);
}

static void g06_async_in_gone(void **state)
{
	struct leaver l;

	(void)state;
	begin(&l);
	l.rec.on_gone = leave_in_gone;
	rec_register(&l.rec);
	fake_remove("soft0", FAKE_WAIT);
	end(&l, 1);
}

static void g06_async_in_alloc(void **state)
{
	struct ibc_device *dev;
	struct leaver l;

	(void)state;
	begin(&l);
	l.rec.on_alloc = leave_in_alloc;
	rec_register(&l.rec);
	dev = h_device("soft0");
	check_null(ibc_alloc_or_get_client_data(dev, &l.rec.client), ESHUTDOWN);
	end(&l, 0);
	ibc_put_device(dev);
	check(h_count(&l.rec, H_FREE) == 1);
}

static void g06_async_in_free(void **state)
{
	struct ibc_device *dev;
	struct leaver l;

	(void)state;
	begin(&l);
	l.rec.client.flags = IBC_CLIENT_FREE_UNUSED;
	l.rec.on_free = leave_in_free;
	rec_register(&l.rec);
	dev = h_device("soft0");
	check(ibc_put_client_data(data_of(&l.rec, dev)));
	end(&l, 0);
	ibc_put_device(dev);
}

/* ---- while devices come and go ---- */

#define ROUNDS 25

static void come_and_go(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		rec_register(w->rec);
		if (i % 2) {
			rec_unregister_async(w->rec);
			wait_for(rec_done(w->rec));
		} else {
			rec_unregister(w->rec);
		}
	}
}

static int alloc_in_add(struct rec *rec, struct ibc_device *dev)
{
	ibc_put_client_data(ibc_alloc_or_get_client_data(dev, &rec->client));
	return 0;
}

static void g06_clients_and_devices_come_and_go(void **state)
{
	struct rec a, b, c;
	struct worker w[2] = { { .rec = &b }, { .rec = &c } };
	unsigned int i;

	(void)state;
	rec_init(&a, "a", 0);
	rec_init(&b, "b", IBC_CLIENT_DEFER_FREE);
	rec_init(&c, "c", IBC_CLIENT_FREE_UNUSED);
	a.on_add = b.on_add = c.on_add = alloc_in_add;
	rec_register(&a);
	worker_start(&w[0], come_and_go);
	worker_start(&w[1], come_and_go);
	for (i = 0; !worker_finished(&w[0]) || !worker_finished(&w[1]); i++) {
		fake_add("soft0", 1);
		wait_for(h_count(&a, H_ADD) == i + 1);
		fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
		fake_remove("soft0", i % 2 ? FAKE_WAIT : FAKE_FATAL);
		wait_for(h_count(&a, H_GONE) == i + 1);
	}
	worker_join(&w[0]);
	worker_join(&w[1]);
	rec_unregister(&a);
	check(h_count(NULL, H_ADD) == h_count(NULL, H_REMOVE));
	check(h_count(NULL, H_ALLOC) == h_count(NULL, H_FREE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g06_async_calls_done_as_the_last_thing),
		IN_ALL(g06_async_a_device_that_comes_is_not_for_it),
		IN_ALL(g06_async_needs_no_done),
		IN_ALL(g06_done_may_register_it_again),
		IN_ALL(g06_done_may_free_it),
		IN_ALL(g06_async_during_its_own_registration),
		IN_ALL(g06_async_in_an_add_that_fails),
		IN_ALL(g06_async_in_an_add_that_declines),
		IN_ALL(g06_async_in_event_and_rename),
		IN_ALL(g06_async_in_remove),
		IN_ALL(g06_async_in_gone),
		IN_ALL(g06_async_in_alloc),
		IN_ALL(g06_async_in_free),
		IN_THREADS(g06_clients_and_devices_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
