// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * load PORT CONNECTIONS ADDRESS...: keeps so many connections to a target, each with
 * one request at a time. One that is lost, or cannot be made, is begun again at the
 * next address. Standard input is what the test says:
 *
 *	check	prints "served" when every connection has had an answer since
 *	(end)	ends all connections, and prints what there was
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load.h"

#define WAIT_MS 20000

static struct {
	unsigned long requests, begun, made, freed;
} count;

static struct rdma_event_channel *events;
static struct ibc_registry *reg;
static struct ibc_client client;
static struct sockaddr_in addresses[16];
static unsigned int num_connections, num_addresses, unserved;
static int epoll_fd;
static bool checking, ending, ended;

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int watch(int fd, void *of)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = of };

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* ---- the client ---- */

static struct ibc_client_data *alloc_data(struct ibc_client *unused,
					  struct ibc_device *dev)
{
	struct load_device *d = load_device_make(ibc_device_context(dev));

	(void)unused;
	if (!d)
		return NULL;
	if (watch(d->channel->fd, d)) {
		load_device_destroy(d);
		return NULL;
	}
	count.made++;
	return &d->base;
}

static void free_data(struct ibc_client_data *base)
{
	load_device_destroy((struct load_device *)base);
	count.freed++;
}

static void remove_device(struct ibc_client *unused, struct ibc_device *dev,
			  struct ibc_client_data *data)
{
	struct load_device *d = (struct load_device *)data;
	struct load_connection *c;

	(void)unused;
	(void)dev;
	if (!d)
		return;
	LIST_FOREACH(c, &d->connections, entry)
	rdma_disconnect(c->id);
}

static void device_gone(struct ibc_client *unused, struct ibc_device *dev)
{
	(void)unused;
	(void)dev;
	ibc_release_rdmacm_devices(reg);
}

static struct ibc_client client = {
	.name = "load",
	.remove = remove_device,
	.gone = device_gone,
	.alloc_client_data = alloc_data,
	.free_client_data = free_data,
};

static void client_ended(struct ibc_client *unused)
{
	(void)unused;
	ended = true;
}

/* ---- a connection's life ---- */

/* another one, and not the same for all that are lost together */
static unsigned int next_address(const struct load_connection *c)
{
	unsigned int number = (unsigned int)(c - load_connections) + c->life;

	if (num_addresses == 1)
		return 0;
	return (c->address + 1 + number % (num_addresses - 1)) % num_addresses;
}

static void begin(struct load_connection *c)
{
	struct sockaddr *to;

	c->life++;
	c->address = next_address(c);
	to = (struct sockaddr *)&addresses[c->address];
	if (rdma_create_id(events, &c->id, c, RDMA_PS_TCP))
		die("an id");
	if (rdma_resolve_addr(c->id, NULL, to, WAIT_MS))
		die("resolving an address");
	count.begun++;
}

/* its events are acknowledged */
static void end(struct load_connection *c)
{
	struct load_device *d = c->device;

	if (c->id->qp)
		rdma_destroy_qp(c->id);
	rdma_destroy_id(c->id);
	c->id = NULL;
	if (!d)
		return;
	LIST_REMOVE(c, entry);
	c->device = NULL;
	ibc_put_client_data(&d->base);
}

static bool find_device(struct load_connection *c)
{
	struct ibc_device *dev =
		ibc_get_rdmacm_device(reg, c->id, IBC_ADOPT_READ_EVENTS);

	if (dev)
		c->device = (struct load_device *)ibc_alloc_or_get_client_data(
			dev, &client);
	ibc_put_device(dev);
	if (c->device)
		LIST_INSERT_HEAD(&c->device->connections, c, entry);
	return c->device;
}

static bool connect_to_it(struct load_connection *c)
{
	struct rdma_conn_param param = { .retry_count = 7,
					 .rnr_retry_count = 7,
					 .responder_resources = 1,
					 .initiator_depth = 1 };

	return !rdma_connect(c->id, &param);
}

/* false: it is of no use any more */
static bool go_on(struct load_connection *c, enum rdma_cm_event_type type)
{
	switch (type) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
		return find_device(c) && load_make_qp(c) &&
		       !rdma_resolve_route(c->id, WAIT_MS);
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		return connect_to_it(c);
	case RDMA_CM_EVENT_ESTABLISHED:
		return load_request(c);
	default:
		return false;
	}
}

static void cm_event(struct rdma_cm_event *event)
{
	enum rdma_cm_event_type type = event->event;
	struct load_connection *c = event->id->context;

	ibc_report_rdmacm_event(reg, event);
	rdma_ack_cm_event(event);
	if (type == RDMA_CM_EVENT_TIMEWAIT_EXIT || go_on(c, type))
		return;
	end(c);
	if (!ending)
		begin(c);
}

static void cm_events(void)
{
	struct rdma_cm_event *event;
	int budget = 64;

	while (budget-- && !rdma_get_cm_event(events, &event))
		cm_event(event);
}

static void answered(struct load_connection *c)
{
	count.requests++;
	if (checking && !c->answered) {
		c->answered = true;
		unserved--;
	}
	if (checking && !unserved) {
		checking = false;
		puts("served");
		fflush(stdout);
	}
	if (ending || !load_request(c))
		rdma_disconnect(c->id);
}

/* ---- the test's words ---- */

static void begin_check(void)
{
	unsigned int i;

	for (i = 0; i < num_connections; i++)
		load_connections[i].answered = false;
	unserved = num_connections;
	checking = true;
}

static void begin_end(void)
{
	unsigned int i;

	ending = true;
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, 0, NULL);
	for (i = 0; i < num_connections; i++)
		if (load_connections[i].id)
			end(&load_connections[i]);
	errno = ibc_unregister_client_async(&client, client_ended);
	if (errno)
		die("the client");
}

static void words(void)
{
	char word[16];
	ssize_t size = read(0, word, sizeof(word));

	if (size == 0)
		begin_end();
	else if (size > 0)
		begin_check();
}

static void start(int argc, char **argv)
{
	const struct ibc_registry_attr attr = {
		.flags = IBC_REGISTRY_MANUAL | IBC_REGISTRY_NO_OPEN,
	};
	unsigned int i;

	num_connections = (unsigned int)atoi(argv[2]);
	for (i = 3; i < (unsigned int)argc && num_addresses < 16; i++) {
		struct sockaddr_in *to = &addresses[num_addresses++];

		to->sin_family = AF_INET;
		to->sin_port = htons(atoi(argv[1]));
		if (inet_pton(AF_INET, argv[i], &to->sin_addr) != 1)
			die("not an address");
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	reg = ibc_open(&attr);
	events = rdma_create_event_channel();
	if (epoll_fd < 0 || !reg || !events ||
	    ibc_register_client(reg, &client) || watch(events->fd, &events) ||
	    watch(ibc_get_fd(reg), &reg) || watch(0, NULL))
		die("no start");
	for (i = 0; i < num_connections; i++) {
		load_connections[i].address = i % num_addresses;
		begin(&load_connections[i]);
	}
}

static int stop(void)
{
	rdma_destroy_event_channel(events);
	errno = ibc_close(reg);
	if (errno)
		die("the registry");
	printf("%lu requests, %lu connections begun, %lu made, %lu freed\n",
	       count.requests, count.begun, count.made, count.freed);
	if (count.made == count.freed)
		return 0;
	fputs("load: not all was freed\n", stderr);
	return 1;
}

int main(int argc, char **argv)
{
	struct epoll_event event;

	if (argc < 4 || atoi(argv[2]) < 1 || atoi(argv[2]) > MAX_CONNECTIONS)
		return 2;
	start(argc, argv);
	while (!ended) {
		if (epoll_wait(epoll_fd, &event, 1, -1) != 1)
			continue;
		if (event.data.ptr == &events)
			cm_events();
		else if (event.data.ptr == &reg)
			ibc_dispatch(reg, 0);
		else if (event.data.ptr)
			load_completions(event.data.ptr, answered);
		else
			words();
	}
	return stop();
}
