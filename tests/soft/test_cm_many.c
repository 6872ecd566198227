// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* rdma_cm: many connections at once, and threads beside each other. */
#include <pthread.h>
#include <stdlib.h>

#include "cm_test.h"

#define NUM_CONNECTIONS 200
#define NUM_THREADS	4
#define NUM_ROUNDS	25

static struct rdma_cm_id *start(struct rdma_event_channel *channel,
				uint16_t port)
{
	struct rdma_cm_id *id;

	assert_int_equal(rdma_create_id(channel, &id, NULL, RDMA_PS_TCP), 0);
	assert_int_equal(rdma_resolve_addr(id, NULL, cm_addr("127.0.0.1", port),
					   1000),
			 0);
	return id;
}

struct counts {
	int established, disconnected, ids;
	struct rdma_cm_id *all[2 * NUM_CONNECTIONS];
};

/* one event of any of them; what it asks for is done at once */
static void step(struct rdma_event_channel *channel, struct counts *counts)
{
	struct rdma_conn_param param = { .qp_num = 1 };
	struct rdma_cm_event *event;

	cm_wait_readable(channel);
	assert_int_equal(rdma_get_cm_event(channel, &event), 0);
	assert_int_equal(event->status, 0);
	switch (event->event) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
		assert_int_equal(rdma_resolve_route(event->id, 1000), 0);
		break;
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		assert_int_equal(rdma_connect(event->id, &param), 0);
		break;
	case RDMA_CM_EVENT_CONNECT_REQUEST:
		counts->all[counts->ids++] = event->id;
		assert_int_equal(rdma_accept(event->id, &param), 0);
		break;
	case RDMA_CM_EVENT_CONNECT_RESPONSE:
		assert_int_equal(rdma_establish(event->id), 0);
		break;
	case RDMA_CM_EVENT_ESTABLISHED:
		counts->established++;
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
		counts->disconnected++;
		break;
	default:
		assert_int_equal(event->event, RDMA_CM_EVENT_TIMEWAIT_EXIT);
		break;
	}
	rdma_ack_cm_event(event);
}

static void connections(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct counts counts = {};
	struct rdma_cm_id *listener;
	uint16_t port;
	int i;

	(void)state;
	port = cm_listen_on(channel, RDMA_PS_TCP, &listener);
	for (i = 0; i < NUM_CONNECTIONS; i++)
		counts.all[counts.ids++] = start(channel, port);
	while (counts.established < NUM_CONNECTIONS)
		step(channel, &counts);
	for (i = 0; i < NUM_CONNECTIONS; i++)
		assert_int_equal(rdma_disconnect(counts.all[i]), 0);
	while (counts.disconnected < 2 * NUM_CONNECTIONS)
		step(channel, &counts);
	for (i = 0; i < counts.ids; i++)
		assert_int_equal(rdma_destroy_id(counts.all[i]), 0);
	assert_int_equal(rdma_destroy_id(listener), 0);
	rdma_destroy_event_channel(channel);
}

/* those beyond it are refused, and the others served */
static void backlog(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_conn_param param = { .qp_num = 1 };
	struct cm_end ends[3] = {};
	struct rdma_cm_id *listener;
	struct rdma_cm_event *event;
	uint16_t port;
	int i;

	(void)state;
	assert_int_equal(rdma_create_id(channel, &listener, NULL, RDMA_PS_TCP),
			 0);
	assert_int_equal(rdma_listen(listener, 2), 0);
	port = cm_port_of(listener);
	for (i = 0; i < 3; i++) {
		cm_resolve_to(&ends[i], RDMA_PS_TCP, port);
		assert_int_equal(rdma_connect(ends[i].id, &param), 0);
	}
	/* its thread takes them in the order they came */
	cm_expect_ack(ends[2].channel, RDMA_CM_EVENT_REJECTED, 28);
	for (i = 0; i < 2; i++) {
		event = cm_expect(channel, RDMA_CM_EVENT_CONNECT_REQUEST, 0);
		assert_int_equal(rdma_destroy_id(event->id), 0);
		rdma_ack_cm_event(event);
		cm_expect_ack(ends[i].channel, RDMA_CM_EVENT_REJECTED, 28);
	}
	for (i = 0; i < 3; i++)
		cm_destroy_end(&ends[i]);
	assert_int_equal(rdma_destroy_id(listener), 0);
	rdma_destroy_event_channel(channel);
}

/* cm_addr() and cmocka are not for several threads: errors abort */
static void must(bool ok)
{
	if (!ok)
		abort();
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr =
					     htonl(INADDR_LOOPBACK) };
}

static void *serve(void *arg)
{
	struct rdma_conn_param param = { .qp_num = 1 };
	struct rdma_cm_id *listener = arg, *id;
	int i;

	for (i = 0; i < NUM_ROUNDS; i++) {
		must(!rdma_get_request(listener, &id));
		must(!rdma_accept(id, &param));
		must(!rdma_disconnect(id));
		must(!rdma_destroy_id(id));
	}
	return NULL;
}

/* without a QP the answer is the program's to complete */
static void *call(void *arg)
{
	struct sockaddr_in to = loopback(cm_port_of(arg));
	struct rdma_conn_param param = { .qp_num = 1 };
	struct rdma_cm_id *id;
	int i;

	for (i = 0; i < NUM_ROUNDS; i++) {
		must(!rdma_create_id(NULL, &id, NULL, RDMA_PS_TCP));
		must(!rdma_resolve_addr(id, NULL, (struct sockaddr *)&to, 1));
		must(!rdma_resolve_route(id, 1));
		must(!rdma_connect(id, &param));
		must(id->event->event == RDMA_CM_EVENT_CONNECT_RESPONSE);
		must(!rdma_establish(id));
		must(!rdma_disconnect(id));
		must(!rdma_destroy_id(id));
	}
	return NULL;
}

static void threads(void **state)
{
	struct sockaddr_in any = loopback(0);
	struct rdma_cm_id *listeners[NUM_THREADS];
	pthread_t servers[NUM_THREADS], clients[NUM_THREADS];
	int i;

	(void)state;
	for (i = 0; i < NUM_THREADS; i++) {
		assert_int_equal(rdma_create_id(NULL, &listeners[i], NULL,
						RDMA_PS_TCP),
				 0);
		assert_int_equal(rdma_bind_addr(listeners[i],
						(struct sockaddr *)&any),
				 0);
		assert_int_equal(rdma_listen(listeners[i], 0), 0);
		pthread_create(&servers[i], NULL, serve, listeners[i]);
		pthread_create(&clients[i], NULL, call, listeners[i]);
	}
	for (i = 0; i < NUM_THREADS; i++) {
		pthread_join(clients[i], NULL);
		pthread_join(servers[i], NULL);
		assert_int_equal(rdma_destroy_id(listeners[i]), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CM_TEST(connections),
		CM_TEST(backlog),
		CM_TEST(threads),
	};

	return cmocka_run_group_tests(tests, cm_group_setup, NULL);
}
