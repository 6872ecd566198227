// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* rdma_cm: looking up datagram QPs, and multicast groups. */
#include "cm_test.h"

static const char hello[] = "hello", welcome[] = "welcome";

static struct rdma_cm_event *
ask(struct cm_end *client, struct rdma_event_channel *channel, uint16_t port)
{
	struct rdma_conn_param param = { .private_data = hello,
					 .private_data_len = sizeof(hello) };

	cm_resolve_to(client, RDMA_PS_UDP, port);
	cm_make_qp(client);
	assert_int_equal(cm_qp_state(client), IBV_QPS_RTS);
	assert_int_equal(rdma_connect(client->id, &param), 0);
	return cm_expect(channel, RDMA_CM_EVENT_CONNECT_REQUEST, 0);
}

static void look_up(void **state)
{
	struct rdma_conn_param param = { .private_data = welcome,
					 .private_data_len = sizeof(welcome),
					 .qp_num = 4711 };
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_cm_id *listener;
	struct rdma_cm_event *event;
	struct cm_end client = {}, server = {};
	uint16_t port;

	(void)state;
	port = cm_listen_on(channel, RDMA_PS_UDP, &listener);
	event = ask(&client, channel, port);
	assert_int_equal(event->param.ud.private_data_len, 180);
	assert_string_equal(event->param.ud.private_data, hello);
	server.id = event->id;
	rdma_ack_cm_event(event);
	cm_make_qp(&server);
	assert_int_equal(rdma_accept(server.id, &param), 0);
	event = cm_expect(client.channel, RDMA_CM_EVENT_ESTABLISHED, 0);
	assert_int_equal(event->param.ud.qp_num, server.id->qp->qp_num);
	assert_int_equal(event->param.ud.qkey, RDMA_UDP_QKEY);
	assert_string_equal(event->param.ud.private_data, welcome);
	assert_int_equal(event->param.ud.ah_attr.port_num, 1);
	assert_memory_equal(&event->param.ud.ah_attr.grh.dgid,
			    &server.id->route.addr.addr.ibaddr.sgid, 16);
	rdma_ack_cm_event(event);
	/* there is no connection, so nobody hears of its end */
	cm_destroy_end(&server);
	cm_expect_nothing(client.channel);
	cm_destroy_end(&client);
	assert_int_equal(rdma_destroy_id(listener), 0);
	rdma_destroy_event_channel(channel);
}

static void refused(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_cm_id *listener;
	struct rdma_cm_event *event;
	struct cm_end client = {};
	uint16_t port;

	(void)state;
	port = cm_listen_on(channel, RDMA_PS_UDP, &listener);
	event = ask(&client, channel, port);
	assert_int_equal(rdma_reject(event->id, NULL, 0), 0);
	assert_int_equal(rdma_destroy_id(event->id), 0);
	rdma_ack_cm_event(event);
	cm_expect_ack(client.channel, RDMA_CM_EVENT_UNREACHABLE, 2);
	cm_destroy_end(&client);
	assert_int_equal(rdma_destroy_id(listener), 0);
	rdma_destroy_event_channel(channel);
	/* nobody there; the other port space is none of it */
	cm_resolve_to(&client, RDMA_PS_UDP, port);
	assert_int_equal(rdma_connect(client.id, NULL), 0);
	cm_expect_ack(client.channel, RDMA_CM_EVENT_UNREACHABLE, 1);
	cm_destroy_end(&client);
}

static void check_group(struct rdma_cm_event *event, void *context)
{
	static const uint8_t gid[16] = { 0xff, 0x12,	   0x40, 0x1b, 0xff,
					 0xff, [12] = 239, 1,	 2,    3 };

	assert_ptr_equal(event->param.ud.private_data, context);
	assert_int_equal(event->param.ud.qp_num, 0xffffff);
	assert_int_equal(event->param.ud.qkey, RDMA_UDP_QKEY);
	assert_memory_equal(event->param.ud.ah_attr.grh.dgid.raw, gid,
			    sizeof(gid));
}

static void multicast(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_cm_join_mc_attr_ex attr = { 0 };
	struct rdma_cm_event *event;
	struct rdma_cm_id *id;
	int context;

	(void)state;
	assert_int_equal(rdma_create_id(channel, &id, NULL, RDMA_PS_UDP), 0);
	assert_fails(rdma_join_multicast(id, cm_addr("239.1.2.3", 0), NULL),
		     EINVAL);
	assert_int_equal(rdma_bind_addr(id, cm_addr("127.0.0.1", 0)), 0);
	assert_int_equal(
		rdma_join_multicast(id, cm_addr("239.1.2.3", 0), &context), 0);
	event = cm_expect(channel, RDMA_CM_EVENT_MULTICAST_JOIN, 0);
	check_group(event, &context);
	rdma_ack_cm_event(event);
	assert_fails(rdma_join_multicast(id, cm_addr("239.1.2.3", 0), NULL),
		     EADDRINUSE);
	assert_fails(rdma_join_multicast_ex(id, &attr, NULL), EINVAL);
	attr.comp_mask =
		RDMA_CM_JOIN_MC_ATTR_ADDRESS | RDMA_CM_JOIN_MC_ATTR_JOIN_FLAGS;
	attr.join_flags = RDMA_MC_JOIN_FLAG_SENDONLY_FULLMEMBER;
	attr.addr = cm_addr("ff12::77", 0);
	assert_int_equal(rdma_join_multicast_ex(id, &attr, NULL), 0);
	/* not looked at: leaving takes the event along */
	assert_int_equal(rdma_leave_multicast(id, attr.addr), 0);
	cm_expect_nothing(channel);
	assert_fails(rdma_leave_multicast(id, attr.addr), EADDRNOTAVAIL);
	assert_int_equal(rdma_leave_multicast(id, cm_addr("239.1.2.3", 0)), 0);
	assert_int_equal(rdma_destroy_id(id), 0);
	rdma_destroy_event_channel(channel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CM_TEST(look_up),
		CM_TEST(refused),
		CM_TEST(multicast),
	};

	return cmocka_run_group_tests(tests, cm_group_setup, NULL);
}
