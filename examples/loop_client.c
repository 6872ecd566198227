// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The client of loop_poll, loop_event and loop_glib: one PD for each device, and
 * a line for all that happens. Callbacks run only in loop_dispatch() and in
 * loop_start() and loop_end(): in the thread of the loop, so that nothing here
 * needs a lock.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "loop_client.h"

struct loop_data {
	struct ibc_client_data base; /* the first member */
	struct ibv_pd *pd;
};

static struct ibc_client_data *make(struct ibc_client *client,
				    struct ibc_device *dev)
{
	struct loop_data *data = calloc(1, sizeof(*data));

	(void)client;
	if (data)
		data->pd = ibv_alloc_pd(ibc_device_context(dev));
	if (data && data->pd)
		return &data->base;
	free(data);
	return NULL;
}

static void destroy(struct ibc_client_data *data)
{
	ibv_dealloc_pd(((struct loop_data *)data)->pd);
	free(data);
}

static int on_add(struct ibc_client *client, struct ibc_device *dev)
{
	struct ibc_client_data *data;

	data = ibc_alloc_or_get_client_data(dev, client);
	if (!data)
		return errno;	   /* the library tries again, later */
	ibc_put_client_data(data); /* the registry keeps one */
	printf("add %s\n", ibc_device_name(dev));
	return 0;
}

static void on_remove(struct ibc_client *client, struct ibc_device *dev,
		      struct ibc_client_data *data)
{
	(void)client;
	(void)data; /* borrowed: who holds none of its own puts none */
	printf("remove %s\n", ibc_device_name(dev));
}

static void on_gone(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	printf("gone %s\n", ibc_device_name(dev));
}

static void on_rename(struct ibc_client *client, struct ibc_device *dev,
		      const char *old_name)
{
	(void)client;
	printf("rename %s %s\n", old_name, ibc_device_name(dev));
}

static void on_event(struct ibc_client *client, struct ibc_device *dev,
		     struct ibc_client_data *data,
		     const struct ibc_event *event)
{
	(void)client;
	(void)data;
	printf("event %s %d element %" PRIu32 "%s\n", ibc_device_name(dev),
	       (int)event->async.event_type, event->element_num,
	       event->flags & IBC_EVENT_REPLAYED ? " replayed" : "");
}

static struct ibc_registry *reg;
static struct ibc_client client = { .name = "loop",
				    .add = on_add,
				    .remove = on_remove,
				    .gone = on_gone,
				    .rename = on_rename,
				    .event = on_event,
				    .alloc_client_data = make,
				    .free_client_data = destroy };

int loop_start(void)
{
	const struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };
	int err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	reg = ibc_open(&attr);
	if (!reg)
		return -1;
	err = ibc_register_client(reg, &client);
	if (err) {
		ibc_close(reg);
		errno = err;
		return -1;
	}
	return 0;
}

int loop_fd(void)
{
	return ibc_get_fd(reg);
}

/*
 * One call for each time that the fd is readable: it stays readable while work
 * is left, so the loop comes back, and serves its other descriptors in between.
 * (With EPOLLET one would call until it says ETIMEDOUT.) ETIMEDOUT means that
 * another wake-up has done the work: nothing is wrong.
 */
bool loop_dispatch(void)
{
	int err = ibc_dispatch(reg, 0);

	return !err || err == ETIMEDOUT || err == EINTR;
}

/*
 * Not in a callback of the client: unregister would say EDEADLK there. It runs
 * remove() of what is left, by itself: the loop is not needed any more.
 */
int loop_end(void)
{
	int err = ibc_unregister_client(&client);

	if (!err)
		err = ibc_close(reg);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
