// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* rdma_cm: synchronous ids, end points, and moving between channels. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "cm_test.h"

static struct ibv_qp_init_attr qp_init(void)
{
	return (struct ibv_qp_init_attr){
		.cap = { 4, 4, 1, 1, 0 },
		.qp_type = IBV_QPT_RC,
	};
}

static struct rdma_addrinfo *get_info(int flags, uint16_t port)
{
	struct rdma_addrinfo hints = { .ai_flags = flags | RAI_NUMERICHOST,
				       .ai_port_space = RDMA_PS_TCP },
			     *res;
	char service[8];

	snprintf(service, sizeof(service), "%u", port);
	assert_int_equal(rdma_getaddrinfo("127.0.0.1", service, &hints, &res),
			 0);
	assert_int_equal(res->ai_qp_type, IBV_QPT_RC);
	return res;
}

static struct rdma_cm_id *make_ep(int flags, uint16_t port)
{
	struct rdma_addrinfo *res = get_info(flags, port);
	struct ibv_qp_init_attr init = qp_init();
	struct rdma_cm_id *id;

	assert_int_equal(rdma_create_ep(&id, res, NULL, &init), 0);
	rdma_freeaddrinfo(res);
	return id;
}

/* the server's side, in a thread of its own: every call waits for the other */
static void *serve(void *arg)
{
	struct rdma_cm_id *listener = arg, *id;

	assert_int_equal(rdma_get_request(listener, &id), 0);
	assert_non_null(id->qp);
	assert_non_null(id->recv_cq);
	assert_int_equal(id->event->event, RDMA_CM_EVENT_CONNECT_REQUEST);
	assert_int_equal(rdma_accept(id, NULL), 0);
	assert_int_equal(id->event->event, RDMA_CM_EVENT_ESTABLISHED);
	assert_int_equal(rdma_disconnect(id), 0);
	assert_int_equal(id->event->event, RDMA_CM_EVENT_DISCONNECTED);
	rdma_destroy_ep(id);
	return NULL;
}

static void end_points(void **state)
{
	struct rdma_cm_id *listener, *id;
	pthread_t server;

	(void)state;
	listener = make_ep(RAI_PASSIVE, 0);
	assert_int_equal(rdma_listen(listener, 0), 0);
	pthread_create(&server, NULL, serve, listener);
	id = make_ep(0, cm_port_of(listener));
	assert_non_null(id->qp);
	assert_non_null(id->send_cq_channel);
	assert_int_equal(rdma_connect(id, NULL), 0);
	assert_int_equal(id->event->event, RDMA_CM_EVENT_ESTABLISHED);
	assert_int_equal(rdma_disconnect(id), 0);
	assert_int_equal(id->event->event, RDMA_CM_EVENT_DISCONNECTED);
	pthread_join(server, NULL);
	rdma_destroy_ep(id);
	rdma_destroy_ep(listener);
}

static void *refuse(void *arg)
{
	struct rdma_cm_id *listener = arg, *id;

	assert_int_equal(rdma_get_request(listener, &id), 0);
	assert_int_equal(rdma_reject(id, NULL, 0), 0);
	rdma_destroy_ep(id);
	return NULL;
}

static void errors(void **state)
{
	struct rdma_cm_id *listener, *id;
	pthread_t server;

	(void)state;
	id = make_ep(0, 4711);
	assert_fails(rdma_connect(id, NULL), ECONNREFUSED);
	rdma_destroy_ep(id);
	listener = make_ep(RAI_PASSIVE, 0);
	assert_int_equal(rdma_listen(listener, 0), 0);
	pthread_create(&server, NULL, refuse, listener);
	id = make_ep(0, cm_port_of(listener));
	assert_fails(rdma_connect(id, NULL), ECONNREFUSED);
	pthread_join(server, NULL);
	rdma_destroy_ep(id);
	rdma_destroy_ep(listener);
	/* an address of nobody here */
	assert_int_equal(rdma_create_id(NULL, &id, NULL, RDMA_PS_TCP), 0);
	assert_fails(rdma_resolve_addr(id, NULL, cm_addr("192.0.2.1", 1), 1),
		     EHOSTUNREACH);
	assert_fails(rdma_get_request(id, NULL), EINVAL);
	assert_int_equal(rdma_destroy_id(id), 0);
}

/* what is queued goes along */
static void migrate(void **state)
{
	struct rdma_event_channel *other = rdma_create_event_channel();
	struct cm_pair pair;

	(void)state;
	cm_make_pair(&pair);
	assert_int_equal(rdma_disconnect(pair.server.id), 0);
	cm_wait_readable(pair.client.channel);
	assert_int_equal(rdma_migrate_id(pair.client.id, other), 0);
	cm_expect_nothing(pair.client.channel);
	assert_ptr_equal(pair.client.id->channel, other);
	cm_expect_ack(other, RDMA_CM_EVENT_DISCONNECTED, 0);
	/* to be synchronous, and back */
	assert_int_equal(rdma_migrate_id(pair.client.id, NULL), 0);
	assert_int_equal(rdma_disconnect(pair.client.id), 0);
	assert_int_equal(rdma_migrate_id(pair.client.id, pair.client.channel),
			 0);
	rdma_destroy_event_channel(other);
	cm_destroy_pair(&pair);
}

/* a listener takes its requests along, and the ids in them */
static void migrate_listener(void **state)
{
	struct rdma_event_channel *old = rdma_create_event_channel();
	struct rdma_event_channel *new = rdma_create_event_channel();
	struct rdma_cm_id *listener;
	struct rdma_cm_event *event;
	struct cm_end client = {};

	(void)state;
	cm_resolve_to(&client, RDMA_PS_TCP,
		      cm_listen_on(old, RDMA_PS_TCP, &listener));
	cm_make_qp(&client);
	assert_int_equal(rdma_connect(client.id, NULL), 0);
	cm_wait_readable(old);
	assert_int_equal(rdma_migrate_id(listener, new), 0);
	rdma_destroy_event_channel(old);
	event = cm_expect(new, RDMA_CM_EVENT_CONNECT_REQUEST, 0);
	assert_ptr_equal(event->id->channel, new);
	assert_int_equal(rdma_destroy_id(event->id), 0);
	rdma_ack_cm_event(event);
	cm_expect_ack(client.channel, RDMA_CM_EVENT_REJECTED, 28);
	assert_int_equal(rdma_destroy_id(listener), 0);
	rdma_destroy_event_channel(new);
	cm_destroy_end(&client);
}

static void non_blocking(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_cm_event *event;
	struct rdma_cm_id *id;

	(void)state;
	assert_int_equal(fcntl(channel->fd, F_SETFL, O_NONBLOCK), 0);
	assert_fails(rdma_get_cm_event(channel, &event), EAGAIN);
	assert_int_equal(rdma_create_id(channel, &id, NULL, RDMA_PS_TCP), 0);
	assert_int_equal(
		rdma_resolve_addr(id, NULL, cm_addr("127.0.0.1", 1), 1000), 0);
	/* destroying takes what is queued along */
	cm_wait_readable(channel);
	assert_int_equal(rdma_destroy_id(id), 0);
	cm_expect_nothing(channel);
	assert_fails(rdma_get_cm_event(channel, &event), EAGAIN);
	rdma_destroy_event_channel(channel);
}

static atomic_bool acknowledged;

static void *destroy(void *arg)
{
	assert_int_equal(rdma_destroy_id(arg), 0);
	assert_true(atomic_load(&acknowledged));
	return NULL;
}

/* what was got is ours until it is acknowledged, the id included */
static void destroy_waits(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_cm_event *event;
	struct rdma_cm_id *id;
	pthread_t thread;

	(void)state;
	atomic_store(&acknowledged, false);
	assert_int_equal(rdma_create_id(channel, &id, NULL, RDMA_PS_TCP), 0);
	assert_int_equal(
		rdma_resolve_addr(id, NULL, cm_addr("127.0.0.1", 1), 1000), 0);
	event = cm_expect(channel, RDMA_CM_EVENT_ADDR_RESOLVED, 0);
	pthread_create(&thread, NULL, destroy, id);
	sched_yield();
	assert_ptr_equal(event->id->channel, channel);
	atomic_store(&acknowledged, true);
	rdma_ack_cm_event(event);
	pthread_join(thread, NULL);
	rdma_destroy_event_channel(channel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CM_TEST(end_points),   CM_TEST(errors),
		CM_TEST(migrate),      CM_TEST(migrate_listener),
		CM_TEST(non_blocking), CM_TEST(destroy_waits),
	};

	return cmocka_run_group_tests(tests, cm_group_setup, NULL);
}
