// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A program of the future: its structs are longer (check-old makes the header), and it
 * knows bits that the library of today does not. Each is refused, and nothing is left of
 * the attempt; without them it works.
 */
#include <infiniband/ibclient.h>

#include "edge.h"

#define NEW_BIT 1U

static int adds;

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	must(client && dev);
	adds++;
	return 0;
}

static void handler(struct ibc_device *dev, const struct ibc_event *event,
		    void *arg)
{
	(void)dev;
	(void)event;
	(void)arg;
}

static struct ibc_registry *open_registry(void)
{
	struct ibc_registry_attr *attr =
		new_at_edge(struct ibc_registry_attr, .comp_mask = NEW_BIT,
			    .more = { 1, 2 });
	struct ibc_registry *reg;

	errno = 0;
	must(!ibc_open(attr) && errno == EINVAL);
	attr->comp_mask = 1U << 31;
	errno = 0;
	must(!ibc_open(attr) && errno == EINVAL);
	attr->comp_mask = 0;
	attr->flags = 1U << 31;
	errno = 0;
	must(!ibc_open(attr) && errno == EINVAL);
	attr->flags = 0;
	reg = ibc_open(attr);
	must(reg);
	free_at_edge(attr);
	return reg;
}

static void refuses_client(struct ibc_registry *reg, struct ibc_client *client)
{
	int i;

	must(ibc_register_client(reg, client) == EINVAL);
	must(adds == 0);
	for (i = 0; i < 4; i++)
		must(!client->opaque[i]);
	must(ibc_unregister_client(client) == EINVAL);
}

static void register_client(struct ibc_registry *reg, struct ibc_client *client)
{
	client->comp_mask = NEW_BIT;
	refuses_client(reg, client);
	client->comp_mask = 1U << 31;
	refuses_client(reg, client);
	client->comp_mask = 0;
	client->flags = 1U << 31;
	refuses_client(reg, client);
	client->flags = 0;
	must(ibc_register_client(reg, client) == 0 && adds == 1);
}

static void refuses_filter(struct ibc_device *dev,
			   struct ibc_event_filter *filter)
{
	errno = 0;
	must(!ibc_register_event_handler(dev, filter, handler, NULL));
	must(errno == EINVAL);
}

static void hear_events(struct ibc_device *dev)
{
	struct ibc_event_filter *filter = new_at_edge(
		struct ibc_event_filter, .comp_mask = NEW_BIT, .more = { 1 });
	struct ibc_event_handler *h;

	refuses_filter(dev, filter);
	filter->comp_mask = 0;
	filter->scope = IBC_SCOPE_NEW;
	refuses_filter(dev, filter);
	filter->scope = IBC_SCOPE_DEVICE;
	h = ibc_register_event_handler(dev, filter, handler, NULL);
	must(h && ibc_unregister_event_handler(h) == 0);
	free_at_edge(filter);
}

/* what the library does not know is zero */
static void read_stats(struct ibc_registry *reg)
{
	struct ibc_stats *stats = at_edge(sizeof(*stats), 0xff);
	size_t i;

	must(ibc_query_stats(reg, stats, sizeof(*stats)) == 0);
	must(stats->adds == 1 && stats->devices_added == 1);
	must(stats->scans > 0 && stats->scans < 1000000);
	for (i = 0; i < sizeof(stats->more) / sizeof(*stats->more); i++)
		must(stats->more[i] == 0);
	printf("counters: %zu bytes\n", sizeof(*stats));
	free_at_edge(stats);
}

int main(void)
{
	struct ibc_client *client = new_at_edge(
		struct ibc_client, .name = "new", .add = add, .more = { 3, 4 });
	struct ibc_registry *reg = open_registry();
	struct ibc_device *dev;

	register_client(reg, client);
	dev = ibc_get_device_by_name(reg, "soft0");
	must(dev);
	hear_events(dev);
	read_stats(reg);
	errno = 0;
	must(!ibc_adopt_context(reg, ibc_device_context(dev), 1U << 31));
	must(errno == EINVAL);
	must(ibc_dump(reg, stderr, (enum ibc_dump_format)99) == EINVAL);
	ibc_put_device(dev);
	must(ibc_unregister_client(client) == 0);
	must(ibc_close(reg) == 0);
	free_at_edge(client);
	return 0;
}
