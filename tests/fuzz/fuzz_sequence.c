// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Sequences of operations in a manual registry on the fake devices. The input is
 * a program: a letter, then what it needs of the bytes after it. In callbacks a
 * '(' makes the next operation run there. Time passes only when the input says so.
 */
#include <string.h>

#include "sequence.h"

#define MAX_STEPS    300
#define MAX_DEPTH    4
#define NUM_HANDLERS 3

struct handler {
	struct ibc_event_handler *handle;
};

struct world world;
static struct handler handlers[NUM_HANDLERS];
static unsigned int steps;

/* ---- devices ---- */

struct device *sequence_device(struct input *in)
{
	unsigned int n = number(in);
	struct device *d;

	if (!world.num_devices)
		return NULL;
	d = &world.devices[n % world.num_devices];
	return d->dev ? d : NULL;
}

/* its user, or its driver, wants it to go */
static void give_reason(struct device *d)
{
	unsigned int i;

	d->reason = true;
	for (i = 0; i < NUM_NAMES; i++)
		if (world.kernel[i].index == d->index)
			world.kernel[i].kept_away = true;
}

static void remove_device(struct input *in)
{
	struct device *d = sequence_device(in);

	if (!d)
		return;
	give_reason(d);
	fuzz_check(ibc_remove_device(d->dev) == 0);
	fuzz_check(ibc_device_state(d->dev) != IBC_DEVICE_LIVE);
}

static void report(struct input *in)
{
	struct device *d = sequence_device(in);
	struct ibv_async_event event = { .event_type =
						 sequence_event_type(in) };
	bool live;

	if (!d)
		return;
	event.element.port_num = 1 + number(in) % 2;
	live = ibc_device_state(d->dev) == IBC_DEVICE_LIVE;
	if (live && event.event_type == IBV_EVENT_DEVICE_FATAL)
		give_reason(d);
	fuzz_check(ibc_report_event(d->dev, &event) == (live ? 0 : ENODEV));
}

static void report_error(struct input *in)
{
	struct device *d = sequence_device(in);

	if (d)
		fuzz_check(ibc_report_error(d->dev, EIO) == 0);
}

static void look_up(struct input *in)
{
	struct ibc_device *dev;
	struct device *d;

	dev = ibc_get_device_by_name(world.reg, sequence_kernel(in)->name);
	if (!dev)
		return;
	d = model_device(dev);
	if (d)
		fuzz_check(!d->going);
	ibc_put_device(dev);
}

static void wait_drained(struct input *in)
{
	struct device *d = sequence_device(in);
	int error;

	if (!d)
		return;
	error = ibc_wait_drained(d->dev, 0);
	if (world.depth)
		fuzz_check(error == EDEADLK);
	else
		fuzz_check((error == 0) ==
			   (ibc_device_state(d->dev) == IBC_DEVICE_GONE));
}

static int visit(struct ibc_device *dev, void *arg)
{
	(void)arg;
	fuzz_check(ibc_device_context(dev));
	world.depth++;
	sequence_step();
	world.depth--;
	fuzz_check(ibc_device_context(dev));
	return 0;
}

static void dump(struct input *in)
{
	size_t len;
	char *text = NULL;
	FILE *f = open_memstream(&text, &len);

	fuzz_check(f);
	fuzz_check(ibc_dump(world.reg, f, number(in) & 1) == 0);
	fclose(f);
	free(text);
}

/* ---- clients ---- */

struct client *sequence_client(struct input *in)
{
	return &world.clients[number(in) % NUM_CLIENTS];
}

static void register_(struct input *in)
{
	struct client *c = sequence_client(in);
	uint32_t flags = number(in) & 3;

	if (c->registered) {
		fuzz_check(ibc_register_client(world.reg, &c->ibc) == EBUSY);
		return;
	}
	model_client(c, flags);
	fuzz_check(ibc_register_client(world.reg, &c->ibc) == 0);
}

static bool has_objects(const struct client *c)
{
	unsigned int i;

	for (i = 0; i < MAX_OBJECTS; i++)
		if (world.objects[i].used && !world.objects[i].freed &&
		    &world.clients[world.objects[i].client] == c)
			return true;
	return false;
}

static void unregister(struct input *in)
{
	struct client *c = sequence_client(in);
	int error;

	if (c->registered && !world.depth && !c->async) {
		c->claimed = true;
		model_dies(c);
	}
	error = ibc_unregister_client_timed(&c->ibc, 0);
	if (!world.depth)
		c->claimed = false;
	if (!c->registered)
		fuzz_check(error == EINVAL);
	else if (world.depth)
		fuzz_check(error == EDEADLK);
	else if (c->async)
		fuzz_check(error == EBUSY);
	else if (error)
		fuzz_check(error == ETIMEDOUT && has_objects(c));
	else
		model_is_gone(c);
}

static void done(struct ibc_client *ibc)
{
	struct client *c = (struct client *)ibc;

	fuzz_check(c->async && c->dying);
	c->async = false;
	model_is_gone(c);
	world.depth++;
	sequence_step();
	world.depth--;
}

static void unregister_async(struct input *in)
{
	struct client *c = sequence_client(in);
	bool was = c->async;

	if (!c->registered) {
		fuzz_check(ibc_unregister_client_async(&c->ibc, done) ==
			   EINVAL);
		return;
	}
	if (c->claimed) {
		fuzz_check(ibc_unregister_client_async(&c->ibc, done) == EBUSY);
		return;
	}
	c->async = true;
	model_dies(c);
	fuzz_check(ibc_unregister_client_async(&c->ibc, done) ==
		   (was ? EBUSY : 0));
}

/* ---- handlers ---- */

static void handled(struct ibc_device *dev, const struct ibc_event *event,
		    void *arg)
{
	struct handler *h = arg;

	fuzz_check(h->handle && event->count && ibc_device_context(dev));
	world.depth++;
	sequence_step();
	world.depth--;
}

static void handle(struct input *in)
{
	struct handler *h = &handlers[number(in) % NUM_HANDLERS];
	struct ibc_event_filter filter = { .scope = number(in) & 1 };
	struct device *d = sequence_device(in);
	struct ibc_event_handler *handle = h->handle;

	h->handle = NULL;
	if (handle)
		fuzz_check(ibc_unregister_event_handler(handle) == 0);
	if (!d)
		return;
	filter.port_num = filter.scope == IBC_SCOPE_PORT ? number(in) % 3 : 0;
	h->handle = ibc_register_event_handler(d->dev, &filter, handled, h);
	fuzz_check(!!h->handle ==
		   (ibc_device_state(d->dev) == IBC_DEVICE_LIVE));
}

/* ---- all together ---- */

static void pump(void)
{
	unsigned int i;

	for (i = 0; ibc_dispatch(world.reg, 0) == 0; i++)
		fuzz_check(i < 100);
}

/* everybody has heard of everything, and what is plugged in is found */
static void settle(void)
{
	struct ibc_device *dev;
	unsigned int i, before;

	if (world.depth) {
		fuzz_check(ibc_dispatch(world.reg, 0) == EDEADLK);
		return;
	}
	do { /* until nothing was done in callbacks */
		before = steps;
		fuzz_check(ibc_rescan(world.reg) == 0);
		pump();
	} while (steps != before);
	model_sync();
	model_settled();
	for (i = 0; i < NUM_NAMES; i++) {
		dev = ibc_get_device_by_name(world.reg, world.kernel[i].name);
		if (dev)
			fuzz_check(world.kernel[i].listed);
		else
			fuzz_check(!world.kernel[i].listed ||
				   world.kernel[i].kept_away ||
				   TAILQ_EMPTY(&world.reg->clients));
		if (dev)
			model_device(dev);
		ibc_put_device(dev);
	}
}

static void dispatch(void)
{
	int error = ibc_dispatch(world.reg, 0);

	fuzz_check(world.depth ? error == EDEADLK :
				 !error || error == ETIMEDOUT);
}

static void results(struct input *in)
{
	static const int add[] = { 0, EAGAIN, EOPNOTSUPP, 0 };
	struct client *c = sequence_client(in);
	unsigned int n = number(in);

	c->add_result = add[n % 4];
	c->alloc_error = n & 4 ? ENOBUFS : 0;
}

static const struct {
	char letter;
	void (*run)(struct input *in);
} operations[] = {
	{ '+', sequence_plug },
	{ '-', sequence_unplug },
	{ 'n', sequence_rename_one },
	{ 'e', sequence_send },
	{ 'T', sequence_pass_time },
	{ 'm', remove_device },
	{ 'o', report },
	{ 'E', report_error },
	{ 'l', look_up },
	{ 'w', wait_drained },
	{ 'j', dump },
	{ 'c', register_ },
	{ 'u', unregister },
	{ 'U', unregister_async },
	{ 'g', sequence_get },
	{ 'a', sequence_alloc_or_get },
	{ 'h', sequence_hold },
	{ 'p', sequence_put_one },
	{ 'i', sequence_init },
	{ 's', sequence_set },
	{ 'x', sequence_cmpxchg },
	{ 'k', handle },
	{ 'r', results },
};

static void operation(struct input *in)
{
	char letter = byte(in);
	unsigned int i;

	if (steps == MAX_STEPS)
		return;
	steps++;
	model_sync();
	if (letter == 'd')
		return dispatch();
	if (letter == 'D')
		return settle();
	if (letter == 'R') {
		fuzz_check(ibc_rescan(world.reg) == 0);
		return;
	}
	if (letter == 'v') {
		fuzz_check(ibc_for_each_device(world.reg, visit, NULL) == 0);
		return;
	}
	for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (operations[i].letter == letter)
			return operations[i].run(in);
}

void sequence_step(void)
{
	struct input *in = world.in;

	model_sync();
	while (in->size && *in->data == '(') {
		byte(in);
		if (world.depth <= MAX_DEPTH)
			operation(in);
	}
	model_sync();
}

static void start(void)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };
	unsigned int i;

	memset(&world, 0, sizeof(world));
	memset(handlers, 0, sizeof(handlers));
	steps = 0;
	sequence_time_begins();
	for (i = 0; i < NUM_NAMES; i++)
		snprintf(world.kernel[i].name, sizeof(world.kernel[i].name),
			 "d%u", i);
	setenv("IBC_SOURCES", "", 1);
	fake_start();
	world.reg = ibc_open(&attr);
	fuzz_check(world.reg);
}

static void stop(void)
{
	struct client *c;
	unsigned int i;

	for (i = 0; i < NUM_HANDLERS; i++)
		if (handlers[i].handle)
			fuzz_check(ibc_unregister_event_handler(
					   handlers[i].handle) == 0);
	for (i = 0; i < MAX_OBJECTS; i++)
		while (world.objects[i].used && world.objects[i].mine)
			sequence_put(&world.objects[i]);
	for (c = world.clients; c < world.clients + NUM_CLIENTS; c++) {
		if (c->async)
			pump();
		fuzz_check(!c->async);
		if (!c->registered)
			continue;
		model_dies(c);
		fuzz_check(ibc_unregister_client(&c->ibc) == 0);
		model_is_gone(c);
	}
	for (i = 0; i < world.num_devices; i++)
		ibc_put_device(world.devices[i].dev);
	fuzz_check(ibc_close(world.reg) == 0);
	fuzz_check(fake_stop());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	start();
	world.in = &in;
	while (in.size)
		operation(&in);
	stop();
	return 0;
}
