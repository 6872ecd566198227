// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* rdma_cm: devices that go. */
#include "cm_test.h"

static void remove_under(struct cm_test *test)
{
	int error = softverbs_remove_device(test->sv, "soft0", 0);

	/* who waits for holders does not wait long */
	assert_true(error == 0 || error == ETIMEDOUT);
}

/* nothing can be disconnected, and yet the QP is in the error state */
static void check_disconnect(struct cm_end *end, int error)
{
	struct ibv_qp_attr attr;
	struct ibv_qp_init_attr init;

	assert_fails(rdma_disconnect(end->id), error);
	if (error == EIO)
		return;
	assert_int_equal(ibv_query_qp(end->id->qp, &attr, IBV_QP_STATE, &init),
			 0);
	assert_int_equal(attr.qp_state, IBV_QPS_ERR);
}

static void check_removal(struct cm_test *test, int error)
{
	struct cm_pair pair;

	cm_make_pair(&pair);
	remove_under(test);
	cm_expect_ack(pair.client.channel, RDMA_CM_EVENT_DEVICE_REMOVAL, 0);
	cm_expect_ack(pair.server.channel, RDMA_CM_EVENT_DEVICE_REMOVAL, 0);
	/* it was bound to an address of the device */
	cm_expect_ack(pair.channel, RDMA_CM_EVENT_DEVICE_REMOVAL, 0);
	check_disconnect(&pair.client, error);
	assert_fails(rdma_resolve_route(pair.client.id, 1000), EINVAL);
	cm_destroy_pair(&pair);
}

static void removal_wait(void **state)
{
	check_removal(*state, EINVAL);
}

/* the context's own event is left for the program */
static void removal_fatal(void **state)
{
	struct ibv_async_event event;
	struct cm_pair pair;

	check_removal(*state, EIO);
	assert_int_equal(softverbs_add_device(((struct cm_test *)*state)->sv,
					      "soft0", 0, 1,
					      SOFTVERBS_REMOVAL_FATAL),
			 0);
	cm_make_pair(&pair);
	remove_under(*state);
	assert_int_equal(ibv_get_async_event(pair.client.id->verbs, &event), 0);
	assert_int_equal(event.event_type, IBV_EVENT_DEVICE_FATAL);
	ibv_ack_async_event(&event);
	cm_expect_ack(pair.client.channel, RDMA_CM_EVENT_DEVICE_REMOVAL, 0);
	cm_destroy_pair(&pair);
}

/* who listens on all addresses serves the next device */
static void replaced(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct cm_test *test = *state;
	struct rdma_cm_id *listener;
	struct rdma_cm_event *event;
	struct cm_end client;
	uint16_t port;
	int round;

	assert_int_equal(rdma_create_id(channel, &listener, NULL, RDMA_PS_TCP),
			 0);
	assert_int_equal(rdma_listen(listener, 0), 0);
	port = cm_port_of(listener);
	for (round = 0; round < 3; round++) {
		memset(&client, 0, sizeof(client));
		cm_resolve_to(&client, RDMA_PS_TCP, port);
		cm_make_qp(&client);
		assert_int_equal(rdma_connect(client.id, NULL), 0);
		event = cm_expect(channel, RDMA_CM_EVENT_CONNECT_REQUEST, 0);
		assert_ptr_equal(event->id->verbs, client.id->verbs);
		assert_int_equal(rdma_destroy_id(event->id), 0);
		rdma_ack_cm_event(event);
		cm_destroy_end(&client);
		assert_int_equal(
			softverbs_remove_device(test->sv, "soft0", 60000), 0);
		assert_int_equal(softverbs_add_device(test->sv, "soft0", 0, 1,
						      SOFTVERBS_REMOVAL_WAIT),
				 0);
	}
	cm_expect_nothing(channel);
	assert_int_equal(rdma_destroy_id(listener), 0);
	rdma_destroy_event_channel(channel);
}

/* no device at all */
static void none(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct cm_test *test = *state;
	struct rdma_cm_id *id;

	assert_int_equal(softverbs_remove_device(test->sv, "soft0", 0), 0);
	errno = 0;
	assert_null(rdma_get_devices(NULL));
	assert_int_equal(errno, ENODEV);
	assert_int_equal(rdma_create_id(channel, &id, NULL, RDMA_PS_TCP), 0);
	assert_fails(rdma_bind_addr(id, cm_addr("127.0.0.1", 0)), ENODEV);
	assert_int_equal(
		rdma_resolve_addr(id, NULL, cm_addr("127.0.0.1", 1), 1000), 0);
	cm_expect_ack(channel, RDMA_CM_EVENT_ADDR_ERROR, -ENODEV);
	assert_int_equal(rdma_destroy_id(id), 0);
	rdma_destroy_event_channel(channel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CM_TEST(removal_wait),
		CM_TEST_FATAL(removal_fatal),
		CM_TEST(replaced),
		CM_TEST(none),
	};

	return cmocka_run_group_tests(tests, cm_group_setup, NULL);
}
