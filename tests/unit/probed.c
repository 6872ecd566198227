// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Two devices' lives on the fake backend, in which each probe fires. For each time a
 * line is printed, "NAME ARGUMENT…", in their order: what a tracer has to see.
 * test-probes.sh has gdb look. One thread does it all, so the order is certain.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <infiniband/ibclient.h>

#include "fake.h"

#define NUM_EVENTS 3
#define PORT	   2

struct data {
	struct ibc_client_data base; /* the first member */
};

static struct ibc_registry *reg;
static struct ibc_device *dev; /* the one that is in use, with a reference */
static struct ibc_client_data *data; /* its data, with a reference */
static int allocs;
static bool added, renamed, told, gone;

#define must(expr)                                                       \
	do {                                                             \
		if (!(expr)) {                                           \
			fprintf(stderr, "probed:%d: %s: %s\n", __LINE__, \
				#expr, strerror(errno));                 \
			exit(1);                                         \
		}                                                        \
	} while (0)

static void dispatch_until(const bool *done)
{
	while (!*done)
		must(ibc_dispatch(reg, 60000) == 0);
}

/* what fires on a device, then what comes behind its name, index and incarnation */
__attribute__((format(printf, 3, 4))) static void
fires(const char *probe, struct ibc_device *d, const char *format, ...)
{
	va_list args;

	printf("%s %s %d %lu", probe, ibc_device_name(d), ibc_device_index(d),
	       (unsigned long)ibc_device_incarnation(d));
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static struct ibc_client_data *alloc(struct ibc_client *c, struct ibc_device *d)
{
	struct data *new = NULL;

	if (allocs++) {
		new = calloc(1, sizeof(*new));
		must(new);
	} else {
		errno = ENOSPC;
	}
	fires("alloc", d, " %s 0x%lx %d", c->name, (unsigned long)new,
	      new ? 0 : ENOSPC);
	return new ? &new->base : NULL;
}

static void free_data(struct ibc_client_data *old)
{
	free(old);
}

/* the adopted one is declined; the other one's first add() fails */
static int add(struct ibc_client *c, struct ibc_device *d)
{
	int error = 0;

	if (ibc_device_adopted(d)) {
		fires("live", d, " 1");
		error = EOPNOTSUPP;
	} else {
		if (!allocs)
			fires("live", d, " 0");
		data = ibc_alloc_or_get_client_data(d, c);
		error = data ? 0 : errno;
	}
	added = error != ENOSPC;
	fires("add", d, " %s %d", c->name, error);
	return -error;
}

static void rename_device(struct ibc_client *c, struct ibc_device *d,
			  const char *old_name)
{
	(void)c;
	fires("rename", d, " %s", old_name);
	renamed = true;
}

static void event(struct ibc_client *c, struct ibc_device *d,
		  struct ibc_client_data *its, const struct ibc_event *e)
{
	(void)c;
	must(its == data);
	fires("event", d, " %d %u %u", e->async.event_type, e->element_num,
	      e->count);
	told = true;
}

static void remove_device(struct ibc_client *c, struct ibc_device *d,
			  struct ibc_client_data *its)
{
	fires("remove", d, " %s 0x%lx", c->name, (unsigned long)its);
}

static void is_gone(struct ibc_client *c, struct ibc_device *d)
{
	fires("drain", d, "%s", "");
	fires("close", d, " %d", 0);
	fires("gone", d, " %s", c->name);
	gone = true;
}

static struct ibc_client client = {
	.name = "probed",
	.add = add,
	.remove = remove_device,
	.gone = is_gone,
	.rename = rename_device,
	.event = event,
	.alloc_client_data = alloc,
	.free_client_data = free_data,
};

/* the first try to open it fails, and the first add(), for want of memory */
static void comes(void)
{
	int index = fake_add("fake0", 1);

	fake_fail(FAKE_OPEN, EACCES, 1);
	printf("open fake0 %d 1 %d\n", index, EACCES);
	printf("open fake0 %d 1 0\n", index);
	must(!ibc_register_client(reg, &client));
	dispatch_until(&added);
	dev = ibc_get_device_by_name(reg, "fake0");
	must(dev && data);
}

static void makes_its_own(void)
{
	struct data *own = calloc(1, sizeof(*own));

	must(own);
	fires("init", dev, " probed 0x%lx", (unsigned long)own);
	must(!ibc_init_client_data(&own->base, dev, &client));
	fires("free", dev, " probed 0x%lx", (unsigned long)own);
	must(ibc_put_client_data(&own->base));
}

static void something_happens(void)
{
	int i;

	fake_rename("fake0", "fake1");
	must(!ibc_rescan(reg));
	dispatch_until(&renamed);
	for (i = 0; i < NUM_EVENTS; i++)
		fake_event("fake1", IBV_EVENT_PORT_ERR, PORT);
	dispatch_until(&told);
}

static void goes(void)
{
	fires("removal", dev, " asked for by ibc_remove_device() caller");
	must(!ibc_remove_device(dev));
	while (ibc_device_state(dev) != IBC_DEVICE_DRAINING)
		must(ibc_dispatch(reg, 60000) == 0);
	fires("free", dev, " probed 0x%lx", (unsigned long)data);
	must(ibc_put_client_data(data)); /* the last */
	dispatch_until(&gone);
	ibc_put_device(dev);
}

static void is_lent(void)
{
	struct ibv_context *context;

	fake_add("fake2", 2);
	context = fake_open("fake2");
	must(context);
	added = false;
	dev = ibc_adopt_context(reg, context, 0);
	must(dev);
	dispatch_until(&added);
	fires("removal", dev, " asked for by ibc_remove_device() caller");
	must(!ibc_remove_device(dev));
	fires("drain", dev, "%s", "");
	must(!ibc_wait_drained(dev, -1));
	ibc_put_device(dev);
	fake_close(context);
}

int main(void)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL,
					  .devices = "fake0,fake1" };

	fake_start();
	reg = ibc_open(&attr);
	must(reg);
	comes();
	makes_its_own();
	something_happens();
	goes();
	is_lent();
	must(!ibc_unregister_client(&client));
	must(!ibc_close(reg));
	return fake_stop() ? 0 : 1;
}
