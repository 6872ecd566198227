// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* rdma_cm: connections between two ids of one process, from REQ to timewait. */
#include "cm_test.h"

static const char hello[] = "hello", welcome[] = "welcome", no[] = "no";

/* what the other side asks for is what this side is to give */
static void ask(struct cm_end *client)
{
	struct rdma_conn_param param = {
		.private_data = hello,
		.private_data_len = sizeof(hello),
		.responder_resources = 3,
		.initiator_depth = 5,
		.retry_count = 6,
		.rnr_retry_count = 4,
	};

	assert_int_equal(rdma_connect(client->id, &param), 0);
}

static void check_request(struct rdma_cm_event *event, struct cm_pair *pair)
{
	const struct rdma_conn_param *conn = &event->param.conn;

	assert_ptr_equal(event->listen_id, pair->listener);
	assert_ptr_equal(event->id->verbs, pair->client.id->verbs);
	assert_int_equal(conn->private_data_len, 56);
	assert_string_equal(conn->private_data, hello);
	assert_int_equal(conn->responder_resources, 5);
	assert_int_equal(conn->initiator_depth, 3);
	assert_int_equal(conn->retry_count, 6);
	assert_int_equal(conn->qp_num, pair->client.id->qp->qp_num);
	assert_int_equal(rdma_get_dst_port(event->id),
			 rdma_get_src_port(pair->client.id));
}

static void answer(struct cm_end *server)
{
	struct rdma_conn_param param = {
		.private_data = welcome,
		.private_data_len = sizeof(welcome),
		.responder_resources = 5,
		.initiator_depth = 2,
		.rnr_retry_count = 1,
	};

	assert_int_equal(rdma_accept(server->id, &param), 0);
}

static void check_qp(struct cm_end *end, struct cm_end *peer, int depth,
		     int resources, int rnr)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr, other;
	union ibv_gid gid;

	assert_int_equal(ibv_query_qp(end->id->qp, &attr, 0, &init), 0);
	assert_int_equal(ibv_query_qp(peer->id->qp, &other, 0, &init), 0);
	assert_int_equal(ibv_query_gid(end->id->verbs, 1, 0, &gid), 0);
	assert_int_equal(attr.qp_state, IBV_QPS_RTS);
	assert_int_equal(attr.dest_qp_num, peer->id->qp->qp_num);
	assert_int_equal(attr.rq_psn, other.sq_psn);
	assert_int_equal(attr.path_mtu, IBV_MTU_1024);
	assert_int_equal(attr.max_rd_atomic, depth);
	assert_int_equal(attr.max_dest_rd_atomic, resources);
	assert_int_equal(attr.retry_cnt, 6);
	assert_int_equal(attr.rnr_retry, rnr);
	assert_int_equal(attr.ah_attr.is_global, 1);
	assert_memory_equal(&attr.ah_attr.grh.dgid, &gid, sizeof(gid));
}

static void begin(struct cm_pair *pair)
{
	uint16_t port;

	memset(pair, 0, sizeof(*pair));
	pair->channel = rdma_create_event_channel();
	port = cm_listen_on(pair->channel, RDMA_PS_TCP, &pair->listener);
	cm_resolve_to(&pair->client, RDMA_PS_TCP, port);
}

/* without acknowledging nothing waits but destroying */
static void private_data(void **state)
{
	struct rdma_cm_event *event;
	struct cm_pair pair;

	(void)state;
	begin(&pair);
	cm_make_qp(&pair.client);
	assert_int_equal(cm_qp_state(&pair.client), IBV_QPS_INIT);
	ask(&pair.client);
	event = cm_expect(pair.channel, RDMA_CM_EVENT_CONNECT_REQUEST, 0);
	check_request(event, &pair);
	pair.server.id = event->id;
	rdma_ack_cm_event(event);
	cm_make_qp(&pair.server);
	answer(&pair.server);
	event = cm_expect(pair.client.channel, RDMA_CM_EVENT_ESTABLISHED, 0);
	assert_int_equal(event->param.conn.private_data_len, 196);
	assert_string_equal(event->param.conn.private_data, welcome);
	assert_int_equal(event->param.conn.responder_resources, 2);
	rdma_ack_cm_event(event);
	cm_expect_ack(pair.channel, RDMA_CM_EVENT_ESTABLISHED, 0);
	check_qp(&pair.client, &pair.server, 5, 3, 1);
	check_qp(&pair.server, &pair.client, 2, 5, 4);
	cm_destroy_end(&pair.client);
	cm_expect_ack(pair.channel, RDMA_CM_EVENT_DISCONNECTED, 0);
	cm_destroy_pair(&pair);
}

/* who begins hears of it when the other one has agreed */
static void disconnect(void **state)
{
	struct cm_pair pair;

	(void)state;
	cm_make_pair(&pair);
	assert_int_equal(rdma_disconnect(pair.client.id), 0);
	assert_int_equal(cm_qp_state(&pair.client), IBV_QPS_ERR);
	cm_expect_ack(pair.server.channel, RDMA_CM_EVENT_DISCONNECTED, 0);
	cm_expect_ack(pair.client.channel, RDMA_CM_EVENT_DISCONNECTED, 0);
	cm_expect_ack(pair.client.channel, RDMA_CM_EVENT_TIMEWAIT_EXIT, 0);
	assert_int_equal(cm_qp_state(&pair.server), IBV_QPS_RTS);
	assert_int_equal(rdma_disconnect(pair.server.id), 0);
	assert_int_equal(cm_qp_state(&pair.server), IBV_QPS_ERR);
	cm_expect_ack(pair.server.channel, RDMA_CM_EVENT_TIMEWAIT_EXIT, 0);
	cm_expect_nothing(pair.client.channel);
	cm_expect_nothing(pair.server.channel);
	cm_destroy_pair(&pair);
}

static void both_disconnect(void **state)
{
	struct cm_pair pair;

	(void)state;
	cm_make_pair(&pair);
	assert_int_equal(rdma_disconnect(pair.client.id), 0);
	assert_int_equal(rdma_disconnect(pair.server.id), 0);
	cm_expect_ack(pair.client.channel, RDMA_CM_EVENT_DISCONNECTED, 0);
	cm_expect_ack(pair.server.channel, RDMA_CM_EVENT_DISCONNECTED, 0);
	cm_destroy_pair(&pair);
}

static void reject(void **state)
{
	struct rdma_cm_event *event;
	struct cm_pair pair;

	(void)state;
	begin(&pair);
	cm_make_qp(&pair.client);
	ask(&pair.client);
	event = cm_expect(pair.channel, RDMA_CM_EVENT_CONNECT_REQUEST, 0);
	assert_int_equal(rdma_reject(event->id, no, sizeof(no)), 0);
	assert_int_equal(rdma_destroy_id(event->id), 0);
	rdma_ack_cm_event(event);
	event = cm_expect(pair.client.channel, RDMA_CM_EVENT_REJECTED, 28);
	assert_int_equal(event->param.conn.private_data_len, 148);
	assert_string_equal(event->param.conn.private_data, no);
	rdma_ack_cm_event(event);
	assert_int_equal(cm_qp_state(&pair.client), IBV_QPS_ERR);
	assert_int_equal(rdma_disconnect(pair.client.id), 0);
	cm_expect_nothing(pair.client.channel);
	cm_destroy_pair(&pair);
}

/* destroying a listener refuses those whom nobody has looked at */
static void unseen_request(void **state)
{
	struct cm_pair pair;

	(void)state;
	begin(&pair);
	cm_make_qp(&pair.client);
	ask(&pair.client);
	cm_wait_readable(pair.channel);
	assert_int_equal(rdma_destroy_id(pair.listener), 0);
	cm_expect_nothing(pair.channel);
	rdma_destroy_event_channel(pair.channel);
	cm_expect_ack(pair.client.channel, RDMA_CM_EVENT_REJECTED, 28);
	cm_destroy_end(&pair.client);
}

static void nobody_listens(void **state)
{
	struct cm_end client = {};
	struct rdma_cm_id *bound;
	struct rdma_event_channel *channel = rdma_create_event_channel();

	(void)state;
	cm_resolve_to(&client, RDMA_PS_TCP, 4711);
	cm_make_qp(&client);
	ask(&client);
	cm_expect_ack(client.channel, RDMA_CM_EVENT_REJECTED, 8);
	cm_destroy_end(&client);
	/* has the port, and does not listen */
	assert_int_equal(rdma_create_id(channel, &bound, NULL, RDMA_PS_TCP), 0);
	assert_int_equal(rdma_bind_addr(bound, cm_addr("0.0.0.0", 4711)), 0);
	cm_resolve_to(&client, RDMA_PS_TCP, 4711);
	cm_make_qp(&client);
	ask(&client);
	cm_expect_ack(client.channel, RDMA_CM_EVENT_REJECTED, 8);
	cm_destroy_end(&client);
	assert_int_equal(rdma_destroy_id(bound), 0);
	rdma_destroy_event_channel(channel);
}

/* the verb fails where the program gets the event, and the peer hears of it */
static void qp_fails(void **state)
{
	struct rdma_conn_param param = { .qp_num = 77 };
	struct cm_test *test = *state;
	struct rdma_cm_event *event;
	struct cm_pair pair;

	begin(&pair);
	cm_make_qp(&pair.client);
	ask(&pair.client);
	event = cm_expect(pair.channel, RDMA_CM_EVENT_CONNECT_REQUEST, 0);
	pair.server.id = event->id;
	rdma_ack_cm_event(event);
	assert_int_equal(rdma_accept(pair.server.id, &param), 0);
	assert_int_equal(
		softverbs_set_fault(test->sv, "soft0", "modify_qp=EIO:1"), 0);
	cm_expect_ack(pair.client.channel, RDMA_CM_EVENT_CONNECT_ERROR, -EIO);
	cm_expect_ack(pair.channel, RDMA_CM_EVENT_REJECTED, 28);
	cm_destroy_pair(&pair);
}

/* the program has the QP, and does by hand what the id does otherwise */
static void own_qp(void **state)
{
	struct rdma_conn_param param = { .qp_num = 77, .retry_count = 7 };
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTR };
	struct rdma_cm_event *event;
	struct cm_pair pair;
	int mask;

	(void)state;
	begin(&pair);
	assert_fails(rdma_connect(pair.client.id, NULL), EINVAL);
	assert_int_equal(rdma_connect(pair.client.id, &param), 0);
	event = cm_expect(pair.channel, RDMA_CM_EVENT_CONNECT_REQUEST, 0);
	assert_int_equal(event->param.conn.qp_num, 77);
	pair.server.id = event->id;
	rdma_ack_cm_event(event);
	param.qp_num = 78;
	assert_int_equal(rdma_accept(pair.server.id, &param), 0);
	event = cm_expect(pair.client.channel, RDMA_CM_EVENT_CONNECT_RESPONSE,
			  0);
	assert_int_equal(event->param.conn.qp_num, 78);
	rdma_ack_cm_event(event);
	assert_int_equal(rdma_init_qp_attr(pair.client.id, &attr, &mask), 0);
	assert_int_equal(attr.dest_qp_num, 78);
	assert_true(mask & IBV_QP_DEST_QPN);
	cm_expect_nothing(pair.channel);
	assert_int_equal(rdma_establish(pair.client.id), 0);
	cm_expect_ack(pair.channel, RDMA_CM_EVENT_ESTABLISHED, 0);
	assert_fails(rdma_establish(pair.client.id), EINVAL);
	cm_destroy_pair(&pair);
}

/* the QP heard of the peer before the id did */
static void notify(void **state)
{
	struct rdma_conn_param param = { .qp_num = 77 };
	struct rdma_cm_event *event;
	struct cm_pair pair;

	(void)state;
	begin(&pair);
	assert_int_equal(rdma_connect(pair.client.id, &param), 0);
	event = cm_expect(pair.channel, RDMA_CM_EVENT_CONNECT_REQUEST, 0);
	pair.server.id = event->id;
	rdma_ack_cm_event(event);
	assert_int_equal(rdma_accept(pair.server.id, &param), 0);
	assert_fails(rdma_notify(pair.server.id, IBV_EVENT_PATH_MIG), EINVAL);
	assert_int_equal(rdma_notify(pair.server.id, IBV_EVENT_COMM_EST), 0);
	cm_expect_ack(pair.channel, RDMA_CM_EVENT_ESTABLISHED, 0);
	assert_fails(rdma_notify(pair.server.id, IBV_EVENT_COMM_EST), EISCONN);
	cm_expect_ack(pair.client.channel, RDMA_CM_EVENT_CONNECT_RESPONSE, 0);
	assert_int_equal(rdma_establish(pair.client.id), 0);
	cm_destroy_end(&pair.client);
	cm_expect_ack(pair.channel, RDMA_CM_EVENT_DISCONNECTED, 0);
	cm_destroy_pair(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CM_TEST(private_data),	  CM_TEST(disconnect),
		CM_TEST(both_disconnect), CM_TEST(reject),
		CM_TEST(unseen_request),  CM_TEST(nobody_listens),
		CM_TEST(own_qp),	  CM_TEST(qp_fails),
		CM_TEST(notify),
	};

	return cmocka_run_group_tests(tests, cm_group_setup, NULL);
}
