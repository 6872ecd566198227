// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The lives that sweep.h goes through. Hot-plug is never helped by ibc_rescan():
 * what a source tells has to be enough, or the clock where the source failed.
 */
#include <fcntl.h>
#include <unistd.h>

#include "status_reader.h"
#include "sweep.h"

static struct rec a, b, c;

static void begin(const struct ibc_registry_attr *attr)
{
	rec_init(&a, "a", 0);
	rec_init(&b, "b", 0);
	rec_init(&c, "c", IBC_CLIENT_FREE_UNUSED | IBC_CLIENT_DEFER_FREE);
	sweep_open(attr);
	/* the clock, where it is needed, is not to take the test's time */
	ibc__lock(h_reg);
	h_reg->scan_period = 30;
	ibc__unlock(h_reg);
}

static void end(void)
{
	sweep_close();
	sweep_check_pairs(&a);
	sweep_check_pairs(&b);
	sweep_check_pairs(&c);
}

/* live, and known to the client; a reference for the caller */
static struct ibc_device *live_device(const char *name, struct rec *rec,
				      uint64_t after)
{
	struct ibc_device *dev;

	sweep_doing(name);
	dev = h_device_after(name, after);
	await(sweep_has(rec, dev));
	return dev;
}

/* ---- data: allocated once, set, exchanged, looked at; allocs that fail ---- */

static int fails_with_edom(struct rec *rec, struct ibc_device *dev)
{
	(void)dev;
	rec->on_alloc = NULL;
	return EDOM;
}

static struct ibc_client_data *get_data(struct rec *rec, struct ibc_device *dev)
{
	struct ibc_client_data *data;

	RETRY_POINTER(data, ibc_alloc_or_get_client_data(dev, &rec->client));
	return data;
}

/* the client's own errno is the caller's; then it works */
static void use_failing_alloc(struct ibc_device *dev)
{
	struct ibc_client_data *data;

	b.on_alloc = fails_with_edom;
	do {
		errno = 0;
		data = ibc_alloc_or_get_client_data(dev, &b.client);
		check(!data);
	} while (errno != EDOM && sweep_again(errno));
	data = get_data(&b, dev);
	check(h_count(&b, H_ALLOC) == 2);
	ibc_put_client_data(data);
}

static struct ibc_client_data *make_data(struct rec *rec,
					 struct ibc_device *dev)
{
	struct ibc_client_data *data =
		rec->client.alloc_client_data(&rec->client, dev);

	RETRY(ibc_init_client_data(data, dev, &rec->client));
	return data;
}

static void use_data(struct ibc_device *dev)
{
	struct ibc_client_data *data = get_data(&a, dev), *mine, *current;

	mine = make_data(&a, dev);
	RETRY(ibc_set_client_data(dev, &a.client, mine));
	check(ibc_cmpxchg_client_data(dev, &a.client, data, NULL, &current) ==
	      EAGAIN);
	check(current == mine);
	ibc_put_client_data(current);
	check(ibc_put_client_data(data)); /* the last: it was replaced */
	sweep_dump();
	ibc_put_client_data(mine);
	check(rec_live(&a) == 1);
}

/* the last put gives it to a dispatcher */
static void use_deferred(struct ibc_device *dev)
{
	struct ibc_client_data *data = get_data(&c, dev);

	check(ibc_put_client_data(data));
	await(rec_live(&c) == 0);
	data = get_data(&c, dev);
	check(ibc_put_client_data(data));
}

static int visit(struct ibc_device *dev, void *arg)
{
	(void)arg;
	check(ibc_device_context(dev));
	return 0;
}

static void live_with_data(void)
{
	struct ibc_registry_attr attr = { .devices = "soft*,other",
					  .flags = IBC_REGISTRY_TRACK_REFS };
	struct ibc_device *dev;

	fake_add("soft0", 0x11);
	fake_add("soft1", 0x22);
	begin(&attr);
	sweep_register(&a);
	sweep_register(&b);
	sweep_register(&c);
	ibc_put_device(live_device("soft0", &c, 0));
	dev = live_device("soft1", &c, 0);
	use_failing_alloc(dev);
	use_data(dev);
	use_deferred(dev);
	RETRY(ibc_for_each_device(h_reg, visit, NULL));
	ibc_put_device(dev);
	RETRY(ibc_unregister_client(&c.client));
	check(rec_live(&c) == 0);
	rec_unregister_async(&b);
	await(rec_done(&b));
	RETRY(ibc_unregister_client_timed(&a.client, 30000));
	check(sweep_adds(&a, 0) == 2 && h_count(&a, H_REMOVE) == 2);
	end();
}

/* ---- events: read, reported, handled, of an adopted context too ---- */

struct ear {
	struct ibc_event_handler *handler;
	unsigned int heard; /* with the counts */
};

static void hear(struct ibc_device *dev, const struct ibc_event *event,
		 void *arg)
{
	struct ear *ear = arg;

	(void)dev;
	__atomic_add_fetch(&ear->heard, event->count, __ATOMIC_SEQ_CST);
	h_changed();
}

static unsigned int heard(struct ear *ear)
{
	return __atomic_load_n(&ear->heard, __ATOMIC_SEQ_CST);
}

static void listen_to(struct ear *ear, struct ibc_device *dev,
		      struct ibc_event_filter filter)
{
	memset(ear, 0, sizeof(*ear));
	RETRY_POINTER(ear->handler,
		      ibc_register_event_handler(dev, &filter, hear, ear));
}

/* events that the client heard of, with their counts */
static unsigned int events(struct rec *rec)
{
	unsigned int i, n = 0, length = h_length();
	struct h_record r;

	for (i = 0; i < length; i++) {
		r = h_record(i);
		if (r.rec == rec && r.what == H_EVENT)
			n += r.event.count;
	}
	return n;
}

static void report(struct ibc_device *dev, int type)
{
	struct ibv_async_event event = { .event_type = type };

	event.element.port_num = 1;
	RETRY(ibc_report_event(dev, &event));
}

#define STORM 70 /* more than are read at once */

static void use_events(struct ibc_device *dev)
{
	struct ibv_context *context = ibc_device_context(dev);
	struct ibv_qp *qp = fake_make_qp(context, &a);
	struct ear all, port, of_qp, late;
	unsigned int i;

	listen_to(&all, dev, (struct ibc_event_filter){ .scope = 0 });
	listen_to(&port, dev,
		  (struct ibc_event_filter){ .scope = IBC_SCOPE_PORT,
					     .port_num = 2 });
	listen_to(&of_qp, dev,
		  (struct ibc_event_filter){ .scope = IBC_SCOPE_QP, .qp = qp });
	for (i = 0; i < STORM; i++)
		fake_context_event(context, IBV_EVENT_PORT_ERR, i % 3 + 1);
	fake_context_event(context, IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	report(dev, IBV_EVENT_LID_CHANGE);
	await(events(&a) == STORM + 2);
	await(heard(&all) == STORM + 2 && heard(&of_qp) == 1);
	check(heard(&port) == STORM / 3);
	listen_to(&late, dev, (struct ibc_event_filter){ .scope = 0 });
	await(heard(&late) == 3);
	RETRY(ibc_unregister_event_handler(late.handler));
	RETRY(ibc_unregister_event_handler(of_qp.handler));
	RETRY(ibc_unregister_event_handler(port.handler));
	RETRY(ibc_unregister_event_handler(all.handler));
	fake_destroy_qp(qp);
}

static struct ibc_device *adopt(struct ibv_context *context, uint32_t flags)
{
	int before = fcntl(context->async_fd, F_GETFL);
	struct ibc_device *dev;

	errno = 0;
	dev = ibc_adopt_context(h_reg, context, flags);
	if (dev || !sweep_again(errno))
		return dev;
	check(fcntl(context->async_fd, F_GETFL) == before);
	dev = ibc_adopt_context(h_reg, context, flags);
	check(dev);
	return dev;
}

static void use_adopted(void)
{
	struct ibv_context *context;
	struct ibc_device *dev, *again;
	unsigned int before = events(&a);

	/* on softverbs it asks the library for the device's name */
	while (!(context = fake_open("soft0")))
		check(inject_hit());
	dev = adopt(context, 0);
	report(dev, IBV_EVENT_SM_CHANGE);
	await(sweep_has(&a, dev));
	again = adopt(context, IBC_ADOPT_READ_EVENTS);
	check(again == dev);
	fake_context_event(context, IBV_EVENT_PORT_ACTIVE, 1);
	await(events(&a) == before + 2);
	RETRY(ibc_remove_device(dev));
	RETRY(ibc_wait_drained(dev, 30000));
	ibc_put_device(again);
	ibc_put_device(dev);
	fake_close(context);
}

static void live_with_events(void)
{
	struct ibc_device *dev;

	fake_add("soft0", 0x11);
	begin(&(struct ibc_registry_attr){});
	sweep_register(&a);
	dev = live_device("soft0", &a, 0);
	use_events(dev);
	use_adopted();
	sweep_dump();
	ibc_put_device(dev);
	RETRY(ibc_unregister_client(&a.client));
	end();
}

/* ---- hot-plug: what comes, is renamed, goes, and is held meanwhile ---- */

static bool has_warned(struct ibc_device *dev)
{
	bool warned;

	ibc__lock(h_reg);
	warned = ibc_device_state(dev) == IBC_DEVICE_DRAINING && !dev->warn_at;
	ibc__unlock(h_reg);
	return warned;
}

static void go_while_held(struct ibc_device *dev)
{
	struct ibc_client_data *data = get_data(&a, dev);

	fake_remove(ibc_device_name(dev), FAKE_WAIT);
	await(has_warned(dev)); /* with who holds it */
	check(!sweep_has(&a, dev) && !sweep_has(&b, dev));
	ibc_put_client_data(data);
	await(h2_is(dev, IBC_DEVICE_GONE));
	await(h_count(&b, H_GONE) == 1);
}

static void live_with_hotplug(void)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_TRACK_REFS,
					  .drain_warn_ms = 1 };
	struct ibc_device *dev, *second;
	uint64_t first;

	begin(&attr);
	sweep_register(&a);
	sweep_register(&b);
	fake_add("soft0", 0x11);
	dev = live_device("soft0", &b, 0);
	first = ibc_device_incarnation(dev);
	fake_rename("soft0", "soft9");
	await(h_count(&a, H_RENAME) == 1 && h_count(&b, H_RENAME) == 1);
	fake_add("soft1", 0x22);
	second = live_device("soft1", &b, 0);
	go_while_held(dev);
	ibc_put_device(dev);
	fake_add("soft0", 0x11);
	dev = live_device("soft0", &b, first);
	fake_remove("soft1", FAKE_FATAL);
	await(h2_is(second, IBC_DEVICE_GONE));
	ibc_put_device(second);
	ibc_put_device(dev);
	sweep_dump();
	RETRY(ibc_unregister_client(&b.client));
	RETRY(ibc_unregister_client(&a.client));
	check(sweep_adds(&a, 0) == 3 && h_count(&a, H_REMOVE) == 3);
	check(sweep_adds(&b, 0) == 3 && h_count(&b, H_REMOVE) == 3);
	end();
}

/* ---- failing: devices that are reset, hints that are false ---- */

static bool is_in_step(const char *name, uint64_t after)
{
	struct ibc_device *dev = ibc_get_device_by_name(h_reg, name);
	bool is = dev && ibc_device_incarnation(dev) > after &&
		  sweep_has(&a, dev) && sweep_has(&b, dev);

	if (dev)
		ibc_put_device(dev);
	return is;
}

static bool is_live(const char *name)
{
	struct ibc_device *dev = ibc_get_device_by_name(h_reg, name);

	if (dev)
		ibc_put_device(dev);
	return dev;
}

static void live_with_failures(void)
{
	struct ibc_device *dev;
	uint64_t first;

	fake_add("soft0", 0x11);
	fake_add("soft1", 0x22);
	begin(&(struct ibc_registry_attr){});
	sweep_register(&a);
	sweep_register(&b);
	await(is_in_step("soft0", 0) && is_in_step("soft1", 0));
	h2_uevent("remove", "uverbs0"); /* it is there: a verb is asked */
	fake_event("soft1", IBV_EVENT_PORT_ERR, 1);
	fake_notify();
	await(is_in_step("soft0", 0) && is_in_step("soft1", 0));
	dev = h_device("soft1");
	first = ibc_device_incarnation(dev);
	ibc_put_device(dev);
	fake_remove("soft1", FAKE_RESET);
	await(is_in_step("soft0", 0) && is_in_step("soft1", first));
	sweep_dump();
	fake_remove("soft1", FAKE_WAIT);
	await(!is_live("soft1"));
	await(is_in_step("soft0", 0));
	RETRY(ibc_unregister_client(&a.client));
	RETRY(ibc_unregister_client(&b.client));
	check(sweep_adds(&a, 0) >= 3 && sweep_adds(&b, 0) >= 3);
	end();
}

/* ---- the status socket: somebody looks into the process ---- */

/* the socket's name is free again, whatever became of the unlink() */
static void end_directory(const char *dir)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%d-0.sock", dir, getpid());
	check(unlink(path) == 0 || errno == ENOENT);
	check(rmdir(dir) == 0);
}

static void live_with_status(void)
{
	char dir[] = "/tmp/ibc-sweep-XXXXXX", path[64];
	struct ibc_device *dev;

	check(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/made", dir);
	check(setenv("IBC_STATUS_DIR", path, 1) == 0);
	fake_add("soft0", 0x11);
	begin(&(struct ibc_registry_attr){});
	sweep_register(&a);
	dev = live_device("soft0", &a, 0);
	/* not to have one is told, and only if something failed */
	if (status_exists(path, 0))
		await(status_has(path, 0, "\"soft0\""));
	else
		check(inject_hit());
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	await(h_count(&a, H_EVENT) == 1);
	sweep_dump();
	ibc_put_device(dev);
	RETRY(ibc_unregister_client(&a.client));
	end();
	check(unsetenv("IBC_STATUS_DIR") == 0);
	if (access(path, F_OK) == 0)
		end_directory(path);
	end_directory(dir);
}

const struct life sweep_lives[] = {
	{ "data", live_with_data, false, IN_KERNEL },
	{ "events", live_with_events, false, IN_KERNEL_TOO },
	{ "hotplug", live_with_hotplug, false, IN_SIMULATOR },
	{ "failures", live_with_failures, true, IN_SIMULATOR },
	{ "status", live_with_status, false, IN_SIMULATOR },
};
const unsigned int sweep_num_lives =
	sizeof(sweep_lives) / sizeof(sweep_lives[0]);
