// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* rdma_cm: addresses, ports, which device it is, and what is wrong to do. */
#include <stdio.h>
#include <stdlib.h>

#include "cm_test.h"

static struct rdma_cm_id *make_id(enum rdma_port_space ps)
{
	static struct rdma_event_channel *channel;
	struct rdma_cm_id *id;

	if (!channel)
		channel = rdma_create_event_channel();
	assert_int_equal(rdma_create_id(channel, &id, NULL, ps), 0);
	return id;
}

static struct rdma_cm_id *bind_to(const char *ip, uint16_t port)
{
	struct rdma_cm_id *id = make_id(RDMA_PS_TCP);

	assert_int_equal(rdma_bind_addr(id, cm_addr(ip, port)), 0);
	return id;
}

static void cannot_bind(enum rdma_port_space ps, const char *ip, uint16_t port,
			int error)
{
	struct rdma_cm_id *id = make_id(ps);

	assert_fails(rdma_bind_addr(id, cm_addr(ip, port)), error);
	assert_int_equal(rdma_destroy_id(id), 0);
}

static void in_use(void **state)
{
	struct rdma_cm_id *one, *other;
	int only = 1;

	(void)state;
	one = bind_to("127.0.0.1", 4711);
	assert_int_equal(rdma_listen(one, 0), 0);
	cannot_bind(RDMA_PS_TCP, "127.0.0.1", 4711, EADDRINUSE);
	cannot_bind(RDMA_PS_TCP, "0.0.0.0", 4711, EADDRINUSE);
	cannot_bind(RDMA_PS_TCP, "::", 4711, EADDRINUSE);
	/* another address, another space */
	rdma_destroy_id(bind_to("127.0.0.2", 4711));
	rdma_destroy_id(bind_to("::1", 4711));
	other = make_id(RDMA_PS_UDP);
	assert_int_equal(rdma_bind_addr(other, cm_addr("127.0.0.1", 4711)), 0);
	rdma_destroy_id(other);
	/* "::" without IPv4 */
	other = make_id(RDMA_PS_TCP);
	assert_int_equal(rdma_set_option(other, RDMA_OPTION_ID,
					 RDMA_OPTION_ID_AFONLY, &only,
					 sizeof(only)),
			 0);
	assert_int_equal(rdma_bind_addr(other, cm_addr("::", 4711)), 0);
	cannot_bind(RDMA_PS_TCP, "::1", 4711, EADDRINUSE);
	rdma_destroy_id(other);
	assert_int_equal(rdma_destroy_id(one), 0);
	rdma_destroy_id(bind_to("0.0.0.0", 4711));
	cannot_bind(RDMA_PS_TCP, "192.0.2.1", 0, EADDRNOTAVAIL);
}

static void connect_to(struct rdma_cm_id *listener, const char *ip,
		       const char *src)
{
	struct cm_end client = { .channel = rdma_create_event_channel() };
	struct rdma_conn_param param = { .qp_num = 1 };
	struct rdma_cm_event *event;
	struct sockaddr_storage from;

	memcpy(&from, cm_addr(src ? src : ip, 0), sizeof(from));
	assert_int_equal(rdma_create_id(client.channel, &client.id, NULL,
					RDMA_PS_TCP),
			 0);
	assert_int_equal(
		rdma_resolve_addr(client.id,
				  src ? (struct sockaddr *)&from : NULL,
				  cm_addr(ip, cm_port_of(listener)), 1000),
		0);
	cm_expect_ack(client.channel, RDMA_CM_EVENT_ADDR_RESOLVED, 0);
	assert_int_equal(rdma_resolve_route(client.id, 1000), 0);
	cm_expect_ack(client.channel, RDMA_CM_EVENT_ROUTE_RESOLVED, 0);
	assert_int_equal(rdma_connect(client.id, &param), 0);
	event = cm_expect(listener->channel, RDMA_CM_EVENT_CONNECT_REQUEST, 0);
	/* the way there is known before he answers */
	assert_memory_equal(&event->id->route.path_rec->sgid,
			    &client.id->route.path_rec->dgid, 16);
	assert_memory_equal(&event->id->route.path_rec->dgid,
			    &client.id->route.path_rec->sgid, 16);
	assert_int_equal(rdma_reject(event->id, NULL, 0), 0);
	/* rejecting is no end: the id is there to be looked at */
	if (src)
		assert_ptr_not_equal(event->id->verbs, client.id->verbs);
	else
		assert_ptr_equal(event->id->verbs, client.id->verbs);
	assert_int_equal(rdma_destroy_id(event->id), 0);
	rdma_ack_cm_event(event);
	cm_expect_ack(client.channel, RDMA_CM_EVENT_REJECTED, 28);
	cm_destroy_end(&client);
}

static void families(void **state)
{
	struct rdma_cm_id *listener = bind_to("::", 0);

	(void)state;
	assert_int_equal(rdma_listen(listener, 0), 0);
	connect_to(listener, "127.0.0.1", NULL);
	connect_to(listener, "127.1.2.3", NULL);
	connect_to(listener, "::1", NULL);
	connect_to(listener, "0.0.0.0", NULL);
	assert_int_equal(rdma_destroy_id(listener), 0);
}

/* the variable, and below it the file */
static void given(void **state)
{
	struct cm_test *test = *state;
	struct rdma_cm_id *listener;
	char path[128];
	FILE *file;

	assert_int_equal(softverbs_add_device(test->sv, "soft1", 0, 1,
					      SOFTVERBS_REMOVAL_WAIT),
			 0);
	setenv("SOFTVERBS_CM", "127.0.0.2=soft1,nonsense 192.0.2.7=soft1/1", 1);
	listener = bind_to("192.0.2.7", 0);
	assert_string_equal(ibv_get_device_name(listener->verbs->device),
			    "soft1");
	assert_int_equal(rdma_listen(listener, 0), 0);
	connect_to(listener, "192.0.2.7", "127.0.0.1");
	assert_int_equal(rdma_destroy_id(listener), 0);
	snprintf(path, sizeof(path), "%s/cm/addresses", test->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("127.0.0.2=soft0/9\n*=soft0/2\n127.0.0.3=soft1\n", file);
	fclose(file);
	listener = bind_to("127.0.0.2", 0);
	assert_string_equal(ibv_get_device_name(listener->verbs->device),
			    "soft1");
	assert_int_equal(rdma_destroy_id(listener), 0);
	unsetenv("SOFTVERBS_CM");
	cannot_bind(RDMA_PS_TCP, "127.0.0.2", 0, ENODEV);
	listener = bind_to("127.0.0.3", 0);
	assert_string_equal(ibv_get_device_name(listener->verbs->device),
			    "soft1");
	assert_int_equal(rdma_destroy_id(listener), 0);
	listener = bind_to("127.0.0.4", 0);
	assert_int_equal(listener->port_num, 2);
	assert_int_equal(rdma_destroy_id(listener), 0);
	assert_int_equal(softverbs_remove_device(test->sv, "soft1", 60000), 0);
}

/* the first that is active */
static void active(void **state)
{
	struct cm_test *test = *state;
	struct rdma_cm_id *id;

	assert_int_equal(softverbs_set_port(test->sv, "soft0", 1, false), 0);
	id = bind_to("127.0.0.1", 0);
	assert_int_equal(id->port_num, 2);
	assert_int_equal(rdma_destroy_id(id), 0);
	assert_int_equal(softverbs_set_port(test->sv, "soft0", 2, false), 0);
	cannot_bind(RDMA_PS_TCP, "127.0.0.1", 0, ENODEV);
}

/* an address that cannot be reached may be tried again, or another one */
static void again(void **state)
{
	struct rdma_cm_id *id = make_id(RDMA_PS_TCP);
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(rdma_resolve_addr(id, NULL,
						   cm_addr("192.0.2.1", 1), 1),
				 0);
		cm_expect_ack(id->channel, RDMA_CM_EVENT_ADDR_ERROR,
			      -EHOSTUNREACH);
	}
	assert_int_equal(
		rdma_resolve_addr(id, NULL, cm_addr("127.0.0.1", 1), 1), 0);
	cm_expect_ack(id->channel, RDMA_CM_EVENT_ADDR_RESOLVED, 0);
	assert_fails(rdma_resolve_addr(id, NULL, cm_addr("127.0.0.1", 1), 1),
		     EINVAL);
	assert_int_equal(rdma_destroy_id(id), 0);
}

static void wrong_order(void **state)
{
	struct rdma_cm_id *id = make_id(RDMA_PS_TCP);
	struct rdma_conn_param param = {};
	struct ibv_qp_init_attr init = {};
	struct rdma_cm_id *none;

	(void)state;
	assert_fails(rdma_create_id(id->channel, &none, NULL, 0), EINVAL);
	assert_fails(rdma_connect(id, &param), EINVAL);
	assert_fails(rdma_accept(id, &param), EINVAL);
	assert_fails(rdma_reject(id, NULL, 0), EINVAL);
	assert_fails(rdma_disconnect(id), EINVAL);
	assert_fails(rdma_establish(id), EINVAL);
	assert_fails(rdma_resolve_route(id, 1), EINVAL);
	assert_fails(rdma_create_qp(id, NULL, &init), EINVAL);
	assert_fails(rdma_get_request(id, &none), EINVAL);
	assert_int_equal(rdma_bind_addr(id, cm_addr("127.0.0.1", 0)), 0);
	assert_fails(rdma_bind_addr(id, cm_addr("127.0.0.1", 0)), EINVAL);
	assert_int_equal(rdma_listen(id, 3), 0);
	assert_fails(rdma_resolve_addr(id, NULL, cm_addr("127.0.0.1", 1), 1),
		     EINVAL);
	assert_int_equal(rdma_destroy_id(id), 0);
}

static void wrong_parameters(void **state)
{
	struct rdma_conn_param param = { .private_data = &param,
					 .private_data_len = 57 };
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTR };
	struct cm_end end = {};
	int mask;

	(void)state;
	cm_resolve_to(&end, RDMA_PS_TCP, 1);
	assert_fails(rdma_connect(end.id, &param), EINVAL);
	param.private_data_len = 0;
	param.responder_resources = 17;
	assert_fails(rdma_connect(end.id, &param), EINVAL);
	assert_fails(rdma_connect(end.id, NULL), EINVAL);
	assert_fails(rdma_init_qp_attr(end.id, &attr, &mask), EINVAL);
	attr.qp_state = IBV_QPS_INIT;
	assert_int_equal(rdma_init_qp_attr(end.id, &attr, &mask), 0);
	cm_make_qp(&end);
	assert_fails(rdma_create_qp(end.id, NULL, &(struct ibv_qp_init_attr){}),
		     EINVAL);
	/* and then it is as it should be */
	param.responder_resources = RDMA_MAX_RESP_RES;
	assert_int_equal(rdma_connect(end.id, &param), 0);
	cm_expect_ack(end.channel, RDMA_CM_EVENT_REJECTED, 8);
	cm_destroy_end(&end);
}

static void options(void **state)
{
	struct rdma_cm_id *id = make_id(RDMA_PS_TCP);
	struct sockaddr_storage other = { .ss_family = AF_UNIX };
	uint8_t byte = 14;
	int one = 1;

	(void)state;
	assert_int_equal(rdma_set_option(id, RDMA_OPTION_ID, RDMA_OPTION_ID_TOS,
					 &byte, 1),
			 0);
	assert_int_equal(rdma_set_option(id, RDMA_OPTION_ID,
					 RDMA_OPTION_ID_REUSEADDR, &one,
					 sizeof(one)),
			 0);
	assert_int_equal(rdma_set_option(id, RDMA_OPTION_ID,
					 RDMA_OPTION_ID_ACK_TIMEOUT, &byte, 1),
			 0);
	assert_fails(rdma_set_option(id, RDMA_OPTION_ID, RDMA_OPTION_ID_TOS,
				     &one, sizeof(one)),
		     EINVAL);
	assert_fails(rdma_set_option(id, RDMA_OPTION_ID, 99, &one, 4), ENOSYS);
	assert_fails(rdma_bind_addr(id, (struct sockaddr *)&other),
		     EAFNOSUPPORT);
	assert_int_equal(rdma_destroy_id(id), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CM_TEST(in_use),
		CM_TEST(families),
		CM_TEST(given),
		CM_TEST(active),
		CM_TEST(again),
		CM_TEST(wrong_order),
		CM_TEST(wrong_parameters),
		CM_TEST(options),
	};

	/* the channel of make_id() stays */
	rdma_destroy_id(make_id(RDMA_PS_TCP));
	return cmocka_run_group_tests(tests, cm_group_setup, NULL);
}
