// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What a target does for each connection: it finds what its device's connections
 * share, by the id that librdmacm gave it, and drops it in the end. Beside the
 * library, what a program writes without it: one mutex for all, and a list that is
 * searched for the context. Four devices of softverbs; the data is there already.
 *
 * The library has two steps, from the id to the device, and from there to the data;
 * the second is what a program does that has the device, and is shown alone, too.
 *
 * First that alone; then in its place, from rdma_resolve_addr() to the two events
 * that tell of the connection, both ends in this thread. The end of a connection is
 * not measured.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <infiniband/ibclient_rdmacm.h>

#include "measure.h"
#include "soft.h"
#include "suites.h"

#define DEVICES	    4
#define WAIT_MS	    5000
#define CONNECTIONS 32 /* of a sample */

struct device {
	struct ibc_client_data base;
	struct ibv_pd *pd;
	/* of the list alone */
	struct device *next;
	struct ibv_context *context;
	unsigned long refs;
};

/* one way of finding and dropping */
struct way {
	struct device *(*find)(struct rdma_cm_id *id);
	void (*drop)(struct device *d);
};

static struct rdma_cm_id *ids[DEVICES]; /* bound to a device each */
static struct ibc_registry *reg;

/* ---- the library ---- */

static struct ibc_client_data *alloc_device(struct ibc_client *client,
					    struct ibc_device *dev)
{
	struct device *d = need_memory(sizeof(*d));

	(void)client;
	d->pd = ibv_alloc_pd(ibc_device_context(dev));
	return &d->base;
}

static void free_device(struct ibc_client_data *base)
{
	struct device *d = (struct device *)base;

	ibv_dealloc_pd(d->pd);
	free(d);
}

static struct ibc_client client = {
	.name = "connect",
	.alloc_client_data = alloc_device,
	.free_client_data = free_device,
};

static struct device *find_ours(struct rdma_cm_id *id)
{
	struct ibc_device *dev =
		ibc_get_rdmacm_device(reg, id, IBC_ADOPT_READ_EVENTS);
	struct ibc_client_data *data =
		ibc_alloc_or_get_client_data(dev, &client);

	ibc_put_device(dev);
	if (!data)
		fail("connect: no data: %s", strerror(errno));
	return (struct device *)data;
}

static void drop_ours(struct device *d)
{
	ibc_put_client_data(&d->base);
}

/* ---- a mutex and a list ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct device *first;

static struct device *make_in_list(struct ibv_context *context)
{
	struct device *d = need_memory(sizeof(*d));

	d->context = context;
	d->pd = ibv_alloc_pd(context);
	d->next = first;
	first = d;
	return d;
}

static struct device *find_in_list(struct rdma_cm_id *id)
{
	struct device *d;

	pthread_mutex_lock(&lock);
	for (d = first; d && d->context != id->verbs; d = d->next)
		;
	if (!d)
		d = make_in_list(id->verbs);
	d->refs++;
	pthread_mutex_unlock(&lock);
	return d;
}

static void drop_in_list(struct device *d)
{
	struct device **at;

	pthread_mutex_lock(&lock);
	if (!--d->refs) {
		for (at = &first; *at != d; at = &(*at)->next)
			;
		*at = d->next;
		ibv_dealloc_pd(d->pd);
		free(d);
	}
	pthread_mutex_unlock(&lock);
}

/* ---- with the device known ---- */

static struct ibc_device *devices[DEVICES];

static struct device *find_known(struct rdma_cm_id *id)
{
	struct ibc_device *dev = devices[(uintptr_t)id->context];

	return (struct device *)ibc_alloc_or_get_client_data(dev, &client);
}

static struct way ours = { find_ours, drop_ours };
static struct way known = { find_known, drop_ours };
static struct way list = { find_in_list, drop_in_list };

/* ---- that alone ---- */

static void find_and_drop(void *context, unsigned int thread, uint64_t from,
			  uint64_t count)
{
	const struct way *way = context;

	for (; count--; from++)
		way->drop(way->find(ids[(from + thread) % DEVICES]));
}

static void measure_finding(unsigned int threads)
{
	const struct contender contenders[] = {
		{ .name = "mutex + list",
		  .what = "of all devices, one lock for find and drop each",
		  .run = find_and_drop,
		  .context = &list },
		{ .name = "alloc_or_get",
		  .what = "ibc_alloc_or_get_client_data(): the device is known",
		  .run = find_and_drop,
		  .context = &known },
		{ .name = "by the id",
		  .what = "ibc_get_rdmacm_device() before it",
		  .run = find_and_drop,
		  .context = &ours },
	};
	const struct benchmark benchmark = {
		.name = "connect",
		.operation = "find or create, and drop",
		.threads = threads,
		.devices = DEVICES,
		.contenders = contenders,
		.num = 3,
	};
	struct figures figures[3];
	char what[64];

	measure(&benchmark, figures);
	snprintf(what, sizeof(what),
		 "find or create, %u thread%s: to mutex + list", threads,
		 threads > 1 ? "s" : "");
	verdict(what, figures[1].median / figures[0].median, AT_MOST, 1);
}

/* ---- a connection ---- */

static struct rdma_event_channel
	*events; /* of both ends, one after the other */
static struct rdma_cm_id *listener;

static void must(int result, const char *what)
{
	if (result)
		fail("connect: %s: %s", what, strerror(errno));
}

static struct sockaddr *address_of(unsigned int device, uint16_t port)
{
	static struct sockaddr_in address;

	address.sin_family = AF_INET;
	address.sin_port = port;
	address.sin_addr.s_addr = htonl(0x0a000001 + device);
	return (struct sockaddr *)&address;
}

/* the next event has to be that one; its id, acknowledged */
static struct rdma_cm_id *expect(enum rdma_cm_event_type type)
{
	struct rdma_cm_event *event;
	struct rdma_cm_id *id;

	must(rdma_get_cm_event(events, &event), "an event");
	if (event->event != type)
		fail("connect: %s, not %s", rdma_event_str(event->event),
		     rdma_event_str(type));
	id = event->id;
	rdma_ack_cm_event(event);
	return id;
}

static void make_qp(struct rdma_cm_id *id, struct device *d)
{
	struct ibv_qp_init_attr attr = { .qp_type = IBV_QPT_RC,
					 .cap = { 4, 4, 1, 1, 0 } };

	must(rdma_create_qp(id, d->pd, &attr), "a QP");
}

struct end {
	struct rdma_cm_id *id;
	struct device *device;
};

static void use(struct end *end, struct rdma_cm_id *id, const struct way *way)
{
	end->id = id;
	end->device = way->find(id);
	make_qp(id, end->device);
}

static void make_connection(struct end ends[2], const struct way *way,
			    unsigned int device)
{
	struct sockaddr *to = address_of(device, rdma_get_src_port(listener));
	struct rdma_conn_param param = { .responder_resources = 1,
					 .initiator_depth = 1 };
	struct rdma_cm_id *id;

	must(rdma_create_id(events, &id, NULL, RDMA_PS_TCP), "an id");
	must(rdma_resolve_addr(id, NULL, to, WAIT_MS), "an address");
	expect(RDMA_CM_EVENT_ADDR_RESOLVED);
	use(&ends[0], id, way);
	must(rdma_resolve_route(id, WAIT_MS), "a route");
	expect(RDMA_CM_EVENT_ROUTE_RESOLVED);
	must(rdma_connect(id, &param), "connecting");
	use(&ends[1], expect(RDMA_CM_EVENT_CONNECT_REQUEST), way);
	must(rdma_accept(ends[1].id, &param), "accepting");
	expect(RDMA_CM_EVENT_ESTABLISHED);
	expect(RDMA_CM_EVENT_ESTABLISHED);
}

static void end_connection(struct end ends[2], const struct way *way)
{
	int i;

	for (i = 0; i < 2; i++) {
		rdma_destroy_qp(ends[i].id);
		must(rdma_destroy_id(ends[i].id), "the end of an id");
		way->drop(ends[i].device);
	}
}

static double connect_by(void *context)
{
	const unsigned int num = quickly() ? 2 : CONNECTIONS;
	const struct way *way = context;
	struct end ends[2];
	double begin, ns = 0;
	unsigned int i;

	for (i = 0; i < num; i++) {
		begin = now_ns();
		make_connection(ends, way, i % DEVICES);
		ns += now_ns() - begin;
		end_connection(ends, way);
	}
	return ns / num;
}

static void measure_connecting(void)
{
	const struct contender contenders[] = {
		{ .name = "mutex + list",
		  .what = "at both ends",
		  .once = connect_by,
		  .context = &list },
		{ .name = "libibclient",
		  .what = "at both ends",
		  .once = connect_by,
		  .context = &ours },
	};
	const struct benchmark benchmark = {
		.name = "connect",
		.operation = "a connection made",
		.setting = "both ends in one thread",
		.devices = DEVICES,
		.contenders = contenders,
		.num = 2,
	};
	struct figures figures[2];

	measure(&benchmark, figures);
	verdict("a whole connection, made: to one with mutex + list",
		figures[1].median / figures[0].median, AT_MOST, 1.1);
}

/* ---- the suite ---- */

static void begin(struct device *held[2 * DEVICES])
{
	const struct ibc_registry_attr attr = {
		.flags = IBC_REGISTRY_MANUAL | IBC_REGISTRY_NO_OPEN,
	};
	unsigned int i;

	setenv("SOFTVERBS_CM",
	       "10.0.0.1=soft0 10.0.0.2=soft1 10.0.0.3=soft2 10.0.0.4=soft3",
	       1);
	soft_begin(DEVICES, 1);
	events = rdma_create_event_channel();
	reg = ibc_open(&attr);
	if (!events || !reg || ibc_register_client(reg, &client))
		fail("connect: no channel or registry: %s", strerror(errno));
	for (i = 0; i < DEVICES; i++) {
		must(rdma_create_id(events, &ids[i], (void *)(uintptr_t)i,
				    RDMA_PS_TCP),
		     "an id");
		must(rdma_bind_addr(ids[i], address_of(i, 0)), "binding");
		devices[i] = ibc_get_rdmacm_device(reg, ids[i],
						   IBC_ADOPT_READ_EVENTS);
		held[i] = find_ours(ids[i]);
		held[DEVICES + i] = find_in_list(ids[i]);
	}
	must(rdma_create_id(events, &listener, NULL, RDMA_PS_TCP), "an id");
	must(rdma_listen(listener, 0), "listening");
}

static void end(struct device *held[2 * DEVICES])
{
	unsigned int i;

	rdma_destroy_id(listener);
	for (i = 0; i < DEVICES; i++) {
		drop_ours(held[i]);
		drop_in_list(held[DEVICES + i]);
		ibc_put_device(devices[i]);
		rdma_destroy_id(ids[i]);
	}
	errno = ibc_unregister_client(&client);
	if (!errno)
		errno = ibc_close(reg);
	must(errno, "the registry");
	rdma_destroy_event_channel(events);
}

void bench_connect(void)
{
	struct device *held[2 * DEVICES];

	begin(held);
	pin(0);
	measure_finding(1);
	unpin();
	measure_finding(2);
	pin(0);
	measure_connecting();
	unpin();
	end(held);
	soft_end();
}
