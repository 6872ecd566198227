// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A storage target: listens on all addresses, and serves whoever connects, on
 * whatever device he comes by. What the connections of a device share (PD, CQ, SRQ
 * and the buffers in it) is the device's client data: the connection handler finds
 * or makes it by one ibc_alloc_or_get_client_data(), each connection holds a
 * reference, and when the device goes the last connection's put frees it. The
 * other devices serve on, and one that comes back is served like a new one.
 *
 * One thread, one epoll instance: the event channel of librdmacm, the registry's
 * descriptor, and each device's completion channel. No lock, no table of devices.
 *
 *	nvme_style_target PORT		until the end of its input
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "nvme_style_device.h"

#define BACKLOG 1024

static struct rdma_event_channel *events;
static struct ibc_registry *reg;
static struct rdma_cm_id *listener;
static struct ibc_client client;
static int epoll_fd;
static bool ended;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static void die(const char *what)
{
	fprintf(stderr, "nvme_style_target: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* @of: what it belongs to, or the address of a static that says so */
static int watch(int fd, void *of)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = of };

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* ---- a device's resources ---- */

static struct ibc_client_data *alloc_device(struct ibc_client *unused,
					    struct ibc_device *dev)
{
	struct device *d = device_make(ibc_device_context(dev));

	(void)unused;
	if (!d)
		return NULL;
	if (!watch(d->channel->fd, d)) {
		say("%s: resources made", ibc_device_name(dev));
		return &d->base;
	}
	device_destroy(d);
	return NULL;
}

/* epoll forgets the channel with its descriptor */
static void free_device(struct ibc_client_data *base)
{
	say("%s: resources freed", ibc_device_name(base->device));
	device_destroy((struct device *)base);
}

/* ---- connections ---- */

static bool accept_connection(struct connection *c)
{
	struct rdma_conn_param param = { .rnr_retry_count = 7,
					 .responder_resources = 1,
					 .initiator_depth = 1 };

	return device_make_qp(c->device, c->id) && !rdma_accept(c->id, &param);
}

/* NULL: it cannot be served, and errno says why */
static struct connection *connect_request(struct rdma_cm_id *id)
{
	struct connection *c = calloc(1, sizeof(*c));
	struct ibc_device *dev;

	dev = c ? ibc_get_rdmacm_device(reg, id, IBC_ADOPT_READ_EVENTS) : NULL;
	if (dev)
		c->device = (struct device *)ibc_alloc_or_get_client_data(
			dev, &client);
	ibc_put_device(dev);
	if (!c || !c->device) {
		free(c);
		return NULL;
	}
	c->id = id;
	id->context = c;
	LIST_INSERT_HEAD(&c->device->connections, c, entry);
	return c;
}

/* the last put frees what the device's connections shared */
static void end_connection(struct connection *c)
{
	struct device *d = c->device;

	device_destroy_qp(d, c);
	LIST_REMOVE(c, entry);
	rdma_destroy_id(c->id);
	free(c);
	ibc_put_client_data(&d->base);
}

/* ---- what librdmacm says ---- */

static void cm_event(struct rdma_cm_event *event)
{
	enum rdma_cm_event_type type = event->event;
	struct rdma_cm_id *id = event->id;
	struct connection *c = id == listener ? NULL : id->context;
	bool served = true;

	ibc_report_rdmacm_event(reg, event);
	if (type == RDMA_CM_EVENT_CONNECT_REQUEST) {
		c = connect_request(id);
		served = c && accept_connection(c);
		if (!served)
			rdma_reject(id, NULL, 0);
	}
	rdma_ack_cm_event(event);
	if (!served && !c)
		rdma_destroy_id(id);
	if (c && (!served || type == RDMA_CM_EVENT_DISCONNECTED ||
		  type == RDMA_CM_EVENT_CONNECT_ERROR ||
		  type == RDMA_CM_EVENT_UNREACHABLE ||
		  type == RDMA_CM_EVENT_REJECTED ||
		  type == RDMA_CM_EVENT_DEVICE_REMOVAL))
		end_connection(c);
}

static void cm_events(void)
{
	struct rdma_cm_event *event;

	while (!rdma_get_cm_event(events, &event))
		cm_event(event);
}

/* ---- the client ---- */

/* each connection ends by its own event; what those had is freed by the last */
static void remove_device(struct ibc_client *unused, struct ibc_device *dev,
			  struct ibc_client_data *data)
{
	struct device *d = (struct device *)data;
	struct connection *c;

	(void)unused;
	say("%s: goes", ibc_device_name(dev));
	if (!d)
		return;
	LIST_FOREACH(c, &d->connections, entry)
	rdma_disconnect(c->id);
}

/* with a driver that waits for its users the removal does, for librdmacm */
static void device_gone(struct ibc_client *unused, struct ibc_device *dev)
{
	(void)unused;
	say("%s: gone", ibc_device_name(dev));
	ibc_release_rdmacm_devices(reg);
}

static struct ibc_client client = {
	.name = "target",
	.remove = remove_device,
	.gone = device_gone,
	.alloc_client_data = alloc_device,
	.free_client_data = free_device,
};

static void client_ended(struct ibc_client *unused)
{
	(void)unused;
	ended = true;
}

/* ---- the loop ---- */

static void start(const char *port)
{
	const struct ibc_registry_attr attr = {
		.flags = IBC_REGISTRY_MANUAL | IBC_REGISTRY_NO_OPEN,
	};
	struct sockaddr_in any = { .sin_family = AF_INET,
				   .sin_port = htons(atoi(port)) };

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	reg = ibc_open(&attr);
	if (epoll_fd < 0 || !reg)
		die("no registry");
	errno = ibc_register_client(reg, &client);
	if (errno)
		die("no client");
	events = rdma_create_event_channel();
	if (!events || rdma_create_id(events, &listener, NULL, RDMA_PS_TCP) ||
	    rdma_bind_addr(listener, (struct sockaddr *)&any) ||
	    rdma_listen(listener, BACKLOG))
		die("cannot listen");
	if (watch(events->fd, &events) || watch(ibc_get_fd(reg), &reg) ||
	    watch(0, NULL))
		die("epoll");
	say("listening");
}

static void stop(void)
{
	rdma_destroy_event_channel(events);
	errno = ibc_close(reg);
	if (errno)
		die("the registry");
	say("ended");
}

/* no new connections; the ones there are disconnected, and the loop sees them end */
static void begin_stop(void)
{
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, 0, NULL);
	rdma_destroy_id(listener);
	listener = NULL;
	errno = ibc_unregister_client_async(&client, client_ended);
	if (errno)
		die("the client");
}

int main(int argc, char **argv)
{
	struct epoll_event event;
	char byte;

	if (argc != 2)
		return 2;
	start(argv[1]);
	while (!ended) {
		if (epoll_wait(epoll_fd, &event, 1, -1) != 1)
			continue;
		if (event.data.ptr == &events)
			cm_events();
		else if (event.data.ptr == &reg)
			ibc_dispatch(reg, 0);
		else if (event.data.ptr)
			device_completions(event.data.ptr);
		else if (read(0, &byte, 1) == 0)
			begin_stop();
	}
	stop();
	return 0;
}
