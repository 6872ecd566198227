// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "cm_test.h"

#define LIMIT_MS 60000

/* ---- the fabric ---- */

static struct cm_test *make_fabric(uint32_t removal)
{
	struct cm_test *test = calloc(1, sizeof(*test));

	unsetenv("LD_PRELOAD"); /* not for rm and a sanitizer's helpers */
	unsetenv("SOFTVERBS_CM");
	test->num_fds = soft_count_fds();
	strcpy(test->dir, "/tmp/soft-test-XXXXXX");
	assert_non_null(mkdtemp(test->dir));
	setenv("SOFTVERBS_DIR", test->dir, 1);
	test->sv = softverbs_open(NULL);
	assert_non_null(test->sv);
	assert_int_equal(softverbs_add_device(test->sv, "soft0", 0, 2, removal),
			 0);
	return test;
}

int cm_setup(void **state)
{
	*state = make_fabric(SOFTVERBS_REMOVAL_WAIT);
	return 0;
}

int cm_setup_fatal(void **state)
{
	*state = make_fabric(SOFTVERBS_REMOVAL_FATAL);
	return 0;
}

/* the thread closes the device when it sees that it is gone */
static void wait_for_fds(int num)
{
	int64_t end = soft_now_ms() + LIMIT_MS;

	while (soft_count_fds() != num && soft_now_ms() < end)
		soft_sleep_ms(1);
	assert_int_equal(soft_count_fds(), num);
}

int cm_teardown(void **state)
{
	struct cm_test *test = *state;
	char command[128];
	int error;

	error = softverbs_remove_device(test->sv, "soft0", LIMIT_MS);
	assert_true(error == 0 || error == ENODEV);
	softverbs_close(test->sv);
	if (test->num_fds)
		wait_for_fds(test->num_fds);
	snprintf(command, sizeof(command), "rm -r %s", test->dir);
	assert_int_equal(system(command), 0);
	free(test);
	return 0;
}

int cm_group_setup(void **state)
{
	struct cm_test *test = make_fabric(SOFTVERBS_REMOVAL_WAIT);
	struct ibv_context **list = rdma_get_devices(NULL);

	(void)state;
	assert_non_null(list);
	rdma_free_devices(list);
	test->num_fds = 0;
	return cm_teardown((void **)&test);
}

/* ---- events ---- */

static bool is_readable(struct rdma_event_channel *channel, int timeout_ms)
{
	struct pollfd fd = { .fd = channel->fd, .events = POLLIN };

	return poll(&fd, 1, timeout_ms) == 1;
}

void cm_wait_readable(struct rdma_event_channel *channel)
{
	assert_true(is_readable(channel, LIMIT_MS));
}

struct rdma_cm_event *cm_expect(struct rdma_event_channel *channel,
				enum rdma_cm_event_type type, int status)
{
	struct rdma_cm_event *event;

	cm_wait_readable(channel);
	assert_int_equal(rdma_get_cm_event(channel, &event), 0);
	assert_string_equal(rdma_event_str(event->event), rdma_event_str(type));
	assert_int_equal(event->status, status);
	return event;
}

void cm_expect_ack(struct rdma_event_channel *channel,
		   enum rdma_cm_event_type type, int status)
{
	assert_int_equal(rdma_ack_cm_event(cm_expect(channel, type, status)),
			 0);
}

void cm_expect_nothing(struct rdma_event_channel *channel)
{
	assert_false(is_readable(channel, 0));
}

/* ---- ids ---- */

struct sockaddr *cm_addr(const char *ip, uint16_t port)
{
	static struct sockaddr_storage storage;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&storage;
	struct sockaddr_in *sin = (struct sockaddr_in *)&storage;

	memset(&storage, 0, sizeof(storage));
	if (strchr(ip, ':')) {
		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(port);
		assert_int_equal(inet_pton(AF_INET6, ip, &sin6->sin6_addr), 1);
	} else {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(port);
		assert_int_equal(inet_pton(AF_INET, ip, &sin->sin_addr), 1);
	}
	return (struct sockaddr *)&storage;
}

uint16_t cm_port_of(struct rdma_cm_id *id)
{
	return ntohs(rdma_get_src_port(id));
}

uint16_t cm_listen_on(struct rdma_event_channel *channel,
		      enum rdma_port_space ps, struct rdma_cm_id **id)
{
	assert_int_equal(rdma_create_id(channel, id, NULL, ps), 0);
	assert_int_equal(rdma_bind_addr(*id, cm_addr("127.0.0.1", 0)), 0);
	assert_int_equal(rdma_listen(*id, 0), 0);
	assert_int_not_equal(cm_port_of(*id), 0);
	return cm_port_of(*id);
}

void cm_resolve_to(struct cm_end *end, enum rdma_port_space ps, uint16_t port)
{
	end->channel = rdma_create_event_channel();
	assert_non_null(end->channel);
	assert_int_equal(rdma_create_id(end->channel, &end->id, end, ps), 0);
	assert_int_equal(rdma_resolve_addr(end->id, NULL,
					   cm_addr("127.0.0.1", port), 1000),
			 0);
	cm_expect_ack(end->channel, RDMA_CM_EVENT_ADDR_RESOLVED, 0);
	assert_int_equal(rdma_resolve_route(end->id, 1000), 0);
	cm_expect_ack(end->channel, RDMA_CM_EVENT_ROUTE_RESOLVED, 0);
}

void cm_make_qp(struct cm_end *end)
{
	struct ibv_qp_init_attr init = {
		.cap = { 4, 4, 1, 1, 0 },
		.qp_type = end->id->ps == RDMA_PS_TCP ? IBV_QPT_RC : IBV_QPT_UD,
	};

	end->cq = ibv_create_cq(end->id->verbs, 8, NULL, NULL, 0);
	assert_non_null(end->cq);
	init.send_cq = init.recv_cq = end->cq;
	assert_int_equal(rdma_create_qp(end->id, NULL, &init), 0);
}

void cm_destroy_end(struct cm_end *end)
{
	if (!end->id)
		return;
	rdma_destroy_qp(end->id);
	if (end->cq)
		assert_int_equal(ibv_destroy_cq(end->cq), 0);
	assert_int_equal(rdma_destroy_id(end->id), 0);
	if (end->channel)
		rdma_destroy_event_channel(end->channel);
	memset(end, 0, sizeof(*end));
}

enum ibv_qp_state cm_qp_state(struct cm_end *end)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	assert_int_equal(ibv_query_qp(end->id->qp, &attr, IBV_QP_STATE, &init),
			 0);
	return attr.qp_state;
}

/* ---- both ends ---- */

static void take_request(struct cm_pair *pair)
{
	struct rdma_cm_event *event;

	event = cm_expect(pair->channel, RDMA_CM_EVENT_CONNECT_REQUEST, 0);
	pair->server.id = event->id;
	rdma_ack_cm_event(event);
	pair->server.channel = rdma_create_event_channel();
	assert_int_equal(rdma_migrate_id(pair->server.id, pair->server.channel),
			 0);
}

void cm_make_pair(struct cm_pair *pair)
{
	uint16_t port;

	memset(pair, 0, sizeof(*pair));
	pair->channel = rdma_create_event_channel();
	port = cm_listen_on(pair->channel, RDMA_PS_TCP, &pair->listener);
	cm_resolve_to(&pair->client, RDMA_PS_TCP, port);
	cm_make_qp(&pair->client);
	assert_int_equal(rdma_connect(pair->client.id, NULL), 0);
	take_request(pair);
	cm_make_qp(&pair->server);
	assert_int_equal(rdma_accept(pair->server.id, NULL), 0);
	cm_expect_ack(pair->client.channel, RDMA_CM_EVENT_ESTABLISHED, 0);
	cm_expect_ack(pair->server.channel, RDMA_CM_EVENT_ESTABLISHED, 0);
}

void cm_destroy_pair(struct cm_pair *pair)
{
	cm_destroy_end(&pair->client);
	cm_destroy_end(&pair->server);
	assert_int_equal(rdma_destroy_id(pair->listener), 0);
	rdma_destroy_event_channel(pair->channel);
}
