// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantee 4: what may be called where. */
#include <unistd.h>

#include "harness.h"

/* ---- 4 ---- */

static struct rec a; /* the client whose callbacks call everything */
static unsigned int calls;
static FILE *null; /* to the end: a sink may still run after a test */

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

static void never(struct ibc_device *dev, const struct ibc_event *event,
		  void *arg)
{
	(void)dev;
	(void)event;
	(void)arg;
	check(false);
}

/* nobody sends what it is for, so that it never runs */
static void call_handlers(struct ibc_device *dev)
{
	struct ibc_event_filter filter = { .scope = IBC_SCOPE_PORT };
	struct ibc_event_handler *handler;

	filter.type_mask = 1ULL << IBV_EVENT_CLIENT_REREGISTER;
	errno = 0;
	handler = ibc_register_event_handler(dev, &filter, never, NULL);
	check(handler || errno == ENODEV);
	check(!handler || ibc_unregister_event_handler(handler) == 0);
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
	call_handlers(dev);
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

static unsigned int handled;

static void in_handler(struct ibc_device *dev, const struct ibc_event *event,
		       void *arg)
{
	(void)event;
	(void)arg;
	call_everything(dev);
	__atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
	h_changed();
}

/* one that hears a replay first, then what is sent */
static struct ibc_event_handler *handle_events(struct ibc_device *dev)
{
	struct ibc_event_filter filter = { .scope = IBC_SCOPE_DEVICE };
	struct ibc_event_handler *handler;

	handled = 0;
	fake_event("soft0", IBV_EVENT_PORT_ERR, 1);
	wait_for(h_count(&a, H_EVENT) == 1);
	handler = ibc_register_event_handler(dev, &filter, in_handler, NULL);
	check(handler);
	wait_for(__atomic_load_n(&handled, __ATOMIC_SEQ_CST) == 1);
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(__atomic_load_n(&handled, __ATOMIC_SEQ_CST) == 2);
	return handler;
}

/* each callback at least once */
static void live_a_life(void)
{
	struct ibc_event_handler *handler;
	struct ibc_device *dev;

	fake_add("soft0", 1);
	wait_for(h_count(&a, H_ADD) == 1);
	dev = h_device("soft0");
	handler = handle_events(dev);
	ibc_put_device(dev);
	fake_rename("soft0", "hard0");
	wait_for(h_count(&a, H_RENAME) == 1);
	dev = h_device("hard0");
	check(ibc_for_each_device(h_reg, in_for_each, NULL) == 0);
	ibc_put_client_data(ibc_alloc_or_get_client_data(dev, &a.client));
	fake_remove("hard0", FAKE_FATAL);
	check(ibc_wait_drained(dev, -1) == 0);
	check(ibc_unregister_event_handler(handler) == 0);
	ibc_put_device(dev);
	check(h_count(&a, H_GONE) == 1);
	check(h_count(&a, H_ALLOC) >= 1);
	wait_for(h_count(&a, H_FREE) == h_count(&a, H_ALLOC));
}

/* the guests go first: in bye() the client is asked for what it says still */
static void end_life(void)
{
	wait_for(__atomic_load_n(&guests, __ATOMIC_SEQ_CST) == 0);
	rec_unregister(&a);
	wait_for(__atomic_load_n(&guests, __ATOMIC_SEQ_CST) == 0);
}

static void everything_is_called(uint32_t flags)
{
	const struct ibc_registry_attr attr = { .open_device = in_open };

	calls = 0;
	h_close(h_reg);
	h_reg = h_open(&attr);
	set_hooks(flags);
	rec_register(&a);
	live_a_life();
	/* those of a client, for_each, open and the handler */
	check(__atomic_load_n(&calls, __ATOMIC_SEQ_CST) >= 10);
	end_life();
	ibc_set_log(NULL, NULL);
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
	calls = 0;
	rec_init(&a, "a", 0);
	rec_register(&a);
	ibc_set_log(in_log, NULL);
	live_a_life();
	check(__atomic_load_n(&calls, __ATOMIC_SEQ_CST) >= 4);
	ibc_set_log(NULL, NULL);
	h_fence();
	end_life();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g04_every_function_in_every_callback),
		IN_ALL(g04_every_function_in_every_callback_free_unused),
		IN_ALL(g04_every_function_in_every_callback_defer_free),
		IN_ALL(g04_every_function_in_the_log_sink_too),
	};

	null = fopen("/dev/null", "we");
	check(null);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
