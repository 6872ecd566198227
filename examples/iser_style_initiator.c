// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A storage initiator: connects to a target by the first of several addresses that
 * answers, sends requests one after the other, checks the answers, and goes on to
 * the next address when the connection is lost. PD and buffer are the device's
 * client data: whichever device a connection comes to use, it finds or makes them
 * in one line, when its address has been resolved. At its end it says how long it
 * had to wait for an answer at most.
 *
 *	iser_style_initiator REQUESTS PORT ADDRESS...	0: until SIGTERM
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <infiniband/ibclient_rdmacm.h>
#include <rdma/rdma_verbs.h>

#include "wire.h"

#define WAIT_MS	 10000
#define FLUSH_MS 1000 /* a device that is gone may say nothing any more */

struct device {
	struct ibc_client_data base;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	/* to send, to be written to, and two to receive */
	char buffer[4 * WIRE_SIZE];
};

static struct rdma_event_channel *events;
static volatile sig_atomic_t stopped;
static struct ibc_registry *reg;

/* ---- a device's data ---- */

static struct ibc_client_data *alloc_device(struct ibc_client *client,
					    struct ibc_device *dev)
{
	struct device *d = calloc(1, sizeof(*d));

	(void)client;
	if (!d)
		return NULL;
	d->pd = ibv_alloc_pd(ibc_device_context(dev));
	if (d->pd)
		d->mr = ibv_reg_mr(d->pd, d->buffer, sizeof(d->buffer),
				   IBV_ACCESS_LOCAL_WRITE |
					   IBV_ACCESS_REMOTE_WRITE);
	if (d->mr)
		return &d->base;
	if (d->pd)
		ibv_dealloc_pd(d->pd);
	free(d);
	return NULL;
}

static void free_device(struct ibc_client_data *base)
{
	struct device *d = (struct device *)base;

	ibv_dereg_mr(d->mr);
	ibv_dealloc_pd(d->pd);
	free(d);
}

static void device_gone(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	(void)dev;
	ibc_release_rdmacm_devices(reg);
}

static struct ibc_client client = {
	.name = "initiator",
	.gone = device_gone,
	.alloc_client_data = alloc_device,
	.free_client_data = free_device,
};

/* ---- a connection ---- */

struct connection {
	struct rdma_cm_id *id;
	struct device *device; /* a reference */
	unsigned int receives; /* posted: always one more than is awaited */
};

/* the next event, if it is that one; everything else is the end of it */
static bool expect(enum rdma_cm_event_type type)
{
	struct pollfd fd = { .fd = events->fd, .events = POLLIN };
	struct rdma_cm_event *event;
	bool good;

	if (poll(&fd, 1, WAIT_MS) != 1 || rdma_get_cm_event(events, &event))
		return false;
	ibc_report_rdmacm_event(reg, event);
	good = event->event == type;
	rdma_ack_cm_event(event);
	return good;
}

static bool find_device(struct connection *c)
{
	struct ibc_device *dev = ibc_get_rdmacm_device(reg, c->id, 0);

	if (dev)
		c->device = (struct device *)ibc_alloc_or_get_client_data(
			dev, &client);
	ibc_put_device(dev);
	return c->device;
}

static bool make_qp(struct connection *c)
{
	struct ibv_qp_init_attr attr = {
		.qp_type = IBV_QPT_RC,
		.cap = { 4, 4, 1, 1, 0 },
	};

	return !rdma_create_qp(c->id, c->device->pd, &attr);
}

/* they are filled in turn */
static char *receive_of(struct connection *c, unsigned int number)
{
	return c->device->buffer + (2 + number % 2) * WIRE_SIZE;
}

static bool post_receive(struct connection *c)
{
	if (rdma_post_recv(c->id, NULL, receive_of(c, c->receives), WIRE_SIZE,
			   c->device->mr))
		return false;
	c->receives++;
	return true;
}

static bool resolve(struct connection *c, const char *address, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(port) };

	return inet_pton(AF_INET, address, &to.sin_addr) == 1 &&
	       !rdma_create_id(events, &c->id, NULL, RDMA_PS_TCP) &&
	       !rdma_resolve_addr(c->id, NULL, (struct sockaddr *)&to,
				  WAIT_MS) &&
	       expect(RDMA_CM_EVENT_ADDR_RESOLVED);
}

static bool open_connection(struct connection *c, const char *address,
			    uint16_t port)
{
	struct rdma_conn_param param = { .retry_count = 3,
					 .rnr_retry_count = 7,
					 .responder_resources = 1,
					 .initiator_depth = 1 };

	return resolve(c, address, port) && find_device(c) && make_qp(c) &&
	       post_receive(c) && !rdma_resolve_route(c->id, WAIT_MS) &&
	       expect(RDMA_CM_EVENT_ROUTE_RESOLVED) &&
	       !rdma_connect(c->id, &param) &&
	       expect(RDMA_CM_EVENT_ESTABLISHED);
}

/* the status of the next completion; or -1, when there is none in @fds or time */
static int completion(struct ibv_cq *cq, struct ibv_comp_channel *channel,
		      struct pollfd *fds, int num_fds, int wait_ms)
{
	struct ibv_cq *which;
	struct ibv_wc wc;
	void *context;
	int n;

	while (!(n = ibv_poll_cq(cq, 1, &wc))) {
		if (ibv_req_notify_cq(cq, 0))
			return -1;
		n = ibv_poll_cq(cq, 1, &wc);
		if (n)
			break;
		if (poll(fds, num_fds, wait_ms) < 1 ||
		    (num_fds > 1 && fds[1].revents) ||
		    ibv_get_cq_event(channel, &which, &context))
			return -1;
		ibv_ack_cq_events(which, 1);
	}
	return n == 1 ? (int)wc.status : -1;
}

/* disconnected, the QP is in the error state: what was posted is flushed */
static const char *end_of_receives(struct connection *c)
{
	struct ibv_comp_channel *channel = c->id->recv_cq_channel;
	struct pollfd fd = { .fd = channel->fd, .events = POLLIN };
	int status;

	do {
		status = completion(c->id->recv_cq, channel, &fd, 1, FLUSH_MS);
	} while (status == IBV_WC_SUCCESS);
	return status < 0 ? "no completion" : ibv_wc_status_str(status);
}

static void close_connection(struct connection *c, const char *lost)
{
	if (c->id && c->id->qp) {
		rdma_disconnect(c->id);
		if (lost)
			printf("%s: lost: %s\n", lost, end_of_receives(c));
		fflush(stdout);
		rdma_destroy_qp(c->id);
	}
	if (c->id)
		rdma_destroy_id(c->id);
	if (c->device)
		ibc_put_client_data(&c->device->base);
	memset(c, 0, sizeof(*c));
}

/* ---- a request ---- */

/* a completion, unless the connection ends */
static bool complete(struct ibv_cq *cq, struct ibv_comp_channel *channel)
{
	struct pollfd fds[2] = { { .fd = channel->fd, .events = POLLIN },
				 { .fd = events->fd, .events = POLLIN } };

	return completion(cq, channel, fds, 2, WAIT_MS) == IBV_WC_SUCCESS;
}

static bool is_answered(const struct wire_request *request, const char *answer)
{
	const char *block = (const char *)(uintptr_t)request->addr;
	int i;

	if (request->op == WIRE_ECHO)
		return !memcmp(answer, request, WIRE_SIZE);
	for (i = 0; i < WIRE_SIZE; i++)
		if ((unsigned char)block[i] != wire_byte(request->block))
			return false;
	return ((const struct wire_request *)answer)->tag == request->tag;
}

static bool request(struct connection *c, uint64_t tag)
{
	struct device *d = c->device;
	char *block = d->buffer + WIRE_SIZE;
	const char *answer = receive_of(c, c->receives - 1);
	struct wire_request *r = (struct wire_request *)d->buffer;

	memset(d->buffer, (int)tag, WIRE_SIZE);
	memset(block, 0, WIRE_SIZE);
	*r = (struct wire_request){ .op = tag % 2 ? WIRE_READ : WIRE_ECHO,
				    .rkey = d->mr->rkey,
				    .tag = tag,
				    .addr = (uintptr_t)block,
				    .block = tag };
	if (!post_receive(c) ||
	    rdma_post_send(c->id, NULL, r, WIRE_SIZE, d->mr,
			   IBV_SEND_SIGNALED) ||
	    !complete(c->id->send_cq, c->id->send_cq_channel) ||
	    !complete(c->id->recv_cq, c->id->recv_cq_channel))
		return false;
	if (is_answered(r, answer))
		return true;
	fprintf(stderr, "request %llu: a wrong answer\n",
		(unsigned long long)tag);
	exit(1);
}

/* ---- all of them ---- */

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

/* requests, and the longest time from one answer to the next in *gap */
static unsigned long ask(struct connection *c, unsigned long left, double *gap)
{
	double before = now_ms(), now;
	unsigned long done = 0;

	while (done < left && !stopped && request(c, left - done)) {
		now = now_ms();
		*gap = now - before > *gap ? now - before : *gap;
		before = now;
		done++;
	}
	return done;
}

static unsigned long serve(struct connection *c, const char *address,
			   uint16_t port, unsigned long left, double *gap)
{
	unsigned long done = 0;
	bool lost = false;

	if (open_connection(c, address, port)) {
		printf("%s: connected\n", address);
		fflush(stdout);
		done = ask(c, left, gap);
		lost = done < left && !stopped;
	}
	close_connection(c, lost ? address : NULL);
	return done;
}

int main(int argc, char **argv)
{
	struct connection c = {};
	unsigned long left;
	double gap = 0;
	int error, next = 3;

	if (argc < 4)
		return 2;
	reg = ibc_open(
		&(struct ibc_registry_attr){ .flags = IBC_REGISTRY_NO_OPEN });
	events = rdma_create_event_channel();
	if (!reg || !events || ibc_register_client(reg, &client)) {
		perror("iser_style_initiator");
		return 1;
	}
	signal(SIGTERM, stop);
	left = strtoul(argv[1], NULL, 0);
	left = left ? left : ULONG_MAX;
	while (left && !stopped) {
		left -= serve(&c, argv[next], (uint16_t)atoi(argv[2]), left,
			      &gap);
		next = next + 1 < argc ? next + 1 : 3;
	}
	error = ibc_unregister_client(&client);
	rdma_destroy_event_channel(events);
	printf("longest wait: %.0f ms\ndone\n", gap);
	return error || ibc_close(reg);
}
