// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A program of long ago: compiled with the header of then (check-old makes it), linked
 * with a library of then, and run on softverbs with the one of today. All structs
 * that it gives to the library end where a page ends that nobody may touch.
 */
#include <pthread.h>
#include <stddef.h>

#include <infiniband/ibclient_pd.h>

#include "edge.h"

#define LIMIT_S 60

/* what it keeps for each device: nothing but what the library wants */
struct old_data {
	struct ibc_client_data base;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int adds, removes, gones, allocs, frees, events, handled;

static void count(int *counter)
{
	pthread_mutex_lock(&lock);
	(*counter)++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void wait_for(int *counter, int value)
{
	struct timespec limit;

	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += LIMIT_S;
	pthread_mutex_lock(&lock);
	while (*counter < value)
		must(pthread_cond_timedwait(&changed, &lock, &limit) == 0);
	pthread_mutex_unlock(&lock);
}

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	struct ibc_client_data *data =
		ibc_alloc_or_get_client_data(dev, client);

	must(data && data->device == dev && data->client == client);
	must(!ibc_put_client_data(data));
	count(&adds);
	return 0;
}

static void on_remove(struct ibc_client *client, struct ibc_device *dev,
		      struct ibc_client_data *data)
{
	must(client && dev && data);
	count(&removes);
}

static void gone(struct ibc_client *client, struct ibc_device *dev)
{
	must(client && dev);
	count(&gones);
}

static void old_event(struct ibc_client *client, struct ibc_device *dev,
		      struct ibc_client_data *data,
		      const struct ibc_event *event)
{
	/* all of it that this program knows */
	struct ibc_event *copy = at_edge(sizeof(*copy), 0xff);

	*copy = *event;
	must(client && dev && data);
	must(copy->async.event_type == IBV_EVENT_LID_CHANGE);
	must(copy->async.element.port_num == 1);
	must(copy->count == 1 && copy->flags == 0);
	must(copy->element_num == 1 && !copy->element_context);
	free_at_edge(copy);
	count(&events);
}

static void old_handler(struct ibc_device *dev, const struct ibc_event *event,
			void *arg)
{
	must(dev && arg == &handled && event->element_num == 1);
	count(&handled);
}

static struct ibc_client_data *make(struct ibc_client *client,
				    struct ibc_device *dev)
{
	struct old_data *data = at_edge(sizeof(*data), 0);

	must(client && dev);
	count(&allocs);
	return &data->base;
}

static void old_free(struct ibc_client_data *data)
{
	free_at_edge(data);
	count(&frees);
}

static struct ibc_registry *open_registry(void)
{
	struct ibc_registry_attr *attr = new_at_edge(
		struct ibc_registry_attr, .num_threads = 2, .devices = "soft*");
	struct ibc_registry *reg = ibc_open(attr);

	must(reg);
	free_at_edge(attr);
	return reg;
}

static void hear_an_event(struct ibc_device *dev)
{
	struct ibc_event_filter *filter =
		new_at_edge(struct ibc_event_filter, .scope = IBC_SCOPE_PORT,
			    .port_num = 1);
	struct ibv_async_event *event =
		new_at_edge(struct ibv_async_event, .element.port_num = 1,
			    .event_type = IBV_EVENT_LID_CHANGE);
	struct ibc_event_handler *handler =
		ibc_register_event_handler(dev, filter, old_handler, &handled);

	must(handler);
	free_at_edge(filter);
	must(ibc_report_event(dev, event) == 0);
	free_at_edge(event);
	wait_for(&events, 1);
	wait_for(&handled, 1);
	must(ibc_unregister_event_handler(handler) == 0);
}

/* data of its own making, beside what alloc_client_data() made */
static void set_data(struct ibc_client *client, struct ibc_device *dev)
{
	struct old_data *data = at_edge(sizeof(*data), 0);
	struct ibc_client_data *other, *current;

	must(ibc_init_client_data(&data->base, dev, client) == 0);
	other = ibc_get_client_data(dev, client);
	must(other && other != &data->base);
	must(ibc_cmpxchg_client_data(dev, client, NULL, &data->base,
				     &current) == EAGAIN);
	must(current == other);
	ibc_put_client_data(current);
	must(ibc_set_client_data(dev, client, &data->base) == 0);
	must(ibc_put_client_data(other)); /* the last */
	ibc_hold_client_data(&data->base);
	must(!ibc_put_client_data(&data->base));
	must(!ibc_put_client_data(&data->base));
	must(frees == 1);
}

static void read_stats(struct ibc_registry *reg)
{
	struct ibc_stats *stats = at_edge(sizeof(*stats), 0xff);

	must(ibc_query_stats(reg, stats, sizeof(*stats)) == 0);
	must(stats->devices_added == 1 && stats->adds == 1);
	must(stats->allocs == 1 && stats->frees == 1);
	must(stats->events_read >= 1 && stats->events_merged == 0);
	printf("counters: %zu bytes\n", sizeof(*stats));
	free_at_edge(stats);
}

static void share_a_pd(struct ibc_registry *reg, struct ibc_device *dev)
{
	struct ibc_pd *pd;

	must(ibc_open_pds(reg) == 0);
	pd = ibc_get_pd(dev);
	must(pd && pd->pd && pd->data.device == dev);
	ibc_put_pd(pd);
	must(ibc_close_pds(reg) == 0);
}

int main(void)
{
	struct ibc_client *client =
		new_at_edge(struct ibc_client, .name = "old", .add = add,
			    .remove = on_remove, .gone = gone,
			    .event = old_event, .alloc_client_data = make,
			    .free_client_data = old_free);
	struct ibc_registry *reg = open_registry();
	struct ibc_device *dev;
	int i;

	must(ibc_register_client(reg, client) == 0 && adds == 1);
	dev = ibc_get_device_by_name(reg, "soft0");
	must(dev && ibc_device_state(dev) == IBC_DEVICE_LIVE);
	hear_an_event(dev);
	set_data(client, dev);
	read_stats(reg);
	share_a_pd(reg, dev);
	must(ibc_unregister_client(client) == 0);
	must(removes == 1 && frees == 2 && allocs == 1);
	for (i = 0; i < 4; i++)
		must(!client->opaque[i]);
	must(ibc_register_client(reg, client) == 0 && adds == 2);
	must(ibc_remove_device(dev) == 0);
	must(ibc_wait_drained(dev, LIMIT_S * 1000) == 0);
	must(removes == 2 && gones == 1);
	must(ibc_unregister_client(client) == 0);
	ibc_put_device(dev);
	must(ibc_close(reg) == 0);
	free_at_edge(client);
	return 0;
}
