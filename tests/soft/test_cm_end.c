// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* rdma_cm: devices that go, peers that are killed, children of a fork. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cm_test.h"

/* ---- removal ---- */

static void remove_under(struct cm_test *test)
{
	int error = softverbs_remove_device(test->sv, "soft0", 0);

	/* who waits for holders does not wait long */
	assert_true(error == 0 || error == ETIMEDOUT);
}

static void check_removal(struct cm_test *test)
{
	struct cm_pair pair;

	cm_make_pair(&pair);
	remove_under(test);
	cm_expect_ack(pair.client.channel, RDMA_CM_EVENT_DEVICE_REMOVAL, 0);
	cm_expect_ack(pair.server.channel, RDMA_CM_EVENT_DEVICE_REMOVAL, 0);
	/* it was bound to an address of the device */
	cm_expect_ack(pair.channel, RDMA_CM_EVENT_DEVICE_REMOVAL, 0);
	assert_fails(rdma_disconnect(pair.client.id), EINVAL);
	assert_fails(rdma_resolve_route(pair.client.id, 1000), EINVAL);
	cm_destroy_pair(&pair);
}

static void removal_wait(void **state)
{
	check_removal(*state);
}

/* the context's own event is left for the program */
static void removal_fatal(void **state)
{
	struct ibv_async_event event;
	struct cm_pair pair;

	check_removal(*state);
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

/* ---- peers that die ---- */

enum when { ASKED, ACCEPTED, CONNECTED };

static void stop_here(int fd)
{
	char ready = 1;

	if (write(fd, &ready, 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* a client that goes as far as it is told, in a process of its own */
static pid_t start_client(uint16_t port, bool connected, int *ready)
{
	struct cm_end client = {};
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid) {
		close(fds[1]);
		*ready = fds[0];
		return pid;
	}
	cm_resolve_to(&client, RDMA_PS_TCP, port);
	cm_make_qp(&client);
	if (rdma_connect(client.id, NULL))
		_exit(1);
	if (connected)
		cm_expect_ack(client.channel, RDMA_CM_EVENT_ESTABLISHED, 0);
	stop_here(fds[1]);
	return 0;
}

static void kill_client(pid_t pid, int ready)
{
	char byte;

	assert_int_equal(read(ready, &byte, 1), 1);
	close(ready);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void killed_client(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct cm_end server = {};
	struct rdma_cm_id *listener;
	struct rdma_cm_event *event;
	int connected, ready;
	uint16_t port;
	pid_t pid;

	(void)state;
	port = cm_listen_on(channel, RDMA_PS_TCP, &listener);
	for (connected = 0; connected < 2; connected++) {
		pid = start_client(port, connected, &ready);
		event = cm_expect(channel, RDMA_CM_EVENT_CONNECT_REQUEST, 0);
		server.id = event->id;
		rdma_ack_cm_event(event);
		cm_make_qp(&server);
		if (!connected)
			kill_client(pid, ready);
		assert_int_equal(rdma_accept(server.id, NULL), 0);
		if (connected) {
			cm_expect_ack(channel, RDMA_CM_EVENT_ESTABLISHED, 0);
			kill_client(pid, ready);
			cm_expect_ack(channel, RDMA_CM_EVENT_DISCONNECTED, 0);
		} else {
			cm_expect_ack(channel, RDMA_CM_EVENT_UNREACHABLE,
				      -ETIMEDOUT);
		}
		cm_destroy_end(&server);
	}
	assert_int_equal(rdma_destroy_id(listener), 0);
	rdma_destroy_event_channel(channel);
}

/* listens on the port that it says, and accepts if it is told to */
static void serve(int port_fd, bool accept)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_conn_param param = { .qp_num = 5 };
	struct rdma_cm_id *listener;
	struct rdma_cm_event *event;
	uint16_t port = cm_listen_on(channel, RDMA_PS_TCP, &listener);

	if (write(port_fd, &port, sizeof(port)) != sizeof(port))
		_exit(1);
	event = cm_expect(channel, RDMA_CM_EVENT_CONNECT_REQUEST, 0);
	if (accept)
		rdma_accept(event->id, &param);
	stop_here(port_fd);
}

static void check_killed_server(bool accept)
{
	struct cm_end client = {};
	uint16_t port;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid)
		serve(fds[1], accept);
	close(fds[1]);
	assert_int_equal(read(fds[0], &port, sizeof(port)), sizeof(port));
	cm_resolve_to(&client, RDMA_PS_TCP, port);
	cm_make_qp(&client);
	assert_int_equal(rdma_connect(client.id, NULL), 0);
	if (accept)
		cm_expect_ack(client.channel, RDMA_CM_EVENT_ESTABLISHED, 0);
	kill_client(pid, fds[0]);
	if (accept)
		cm_expect_ack(client.channel, RDMA_CM_EVENT_DISCONNECTED, 0);
	else
		cm_expect_ack(client.channel, RDMA_CM_EVENT_UNREACHABLE,
			      -ETIMEDOUT);
	cm_destroy_end(&client);
	/* its port is free, though its socket is there */
	cm_resolve_to(&client, RDMA_PS_TCP, port);
	cm_make_qp(&client);
	assert_int_equal(rdma_connect(client.id, NULL), 0);
	cm_expect_ack(client.channel, RDMA_CM_EVENT_REJECTED, 8);
	assert_int_equal(rdma_bind_addr(client.id, cm_addr("127.0.0.1", port)),
			 -1);
	cm_destroy_end(&client);
}

static void killed_server(void **state)
{
	(void)state;
	check_killed_server(false);
	check_killed_server(true);
}

/* the port of one that was killed is there for the next */
static void port_of_the_dead(void **state)
{
	struct rdma_event_channel *channel;
	struct rdma_cm_id *id;
	uint16_t port;
	int fds[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		channel = rdma_create_event_channel();
		port = cm_listen_on(channel, RDMA_PS_TCP, &id);
		if (write(fds[1], &port, sizeof(port)) != sizeof(port))
			_exit(1);
		stop_here(fds[1]);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &port, sizeof(port)), sizeof(port));
	channel = rdma_create_event_channel();
	assert_int_equal(rdma_create_id(channel, &id, NULL, RDMA_PS_TCP), 0);
	assert_fails(rdma_bind_addr(id, cm_addr("127.0.0.1", port)),
		     EADDRINUSE);
	kill_client(pid, fds[0]);
	assert_int_equal(rdma_bind_addr(id, cm_addr("127.0.0.1", port)), 0);
	assert_int_equal(rdma_destroy_id(id), 0);
	rdma_destroy_event_channel(channel);
}

/* ---- fork ---- */

/* the parent's are of no use to the child, and its own work */
static void use_in_child(struct cm_pair *pair)
{
	struct rdma_cm_event *event;
	struct cm_pair own;

	assert_fails(rdma_disconnect(pair->client.id), EINVAL);
	assert_fails(rdma_get_cm_event(pair->client.channel, &event), ENODEV);
	assert_int_equal(rdma_destroy_id(pair->client.id), 0);
	rdma_destroy_event_channel(pair->client.channel);
	cm_make_pair(&own);
	cm_destroy_pair(&own);
	_exit(0);
}

/* a child that lives on does not keep the parent's connections */
static void forked(void **state)
{
	struct cm_pair pair;
	int status;
	pid_t pid;

	(void)state;
	cm_make_pair(&pair);
	pid = fork();
	if (!pid)
		use_in_child(&pair);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	cm_destroy_end(&pair.client);
	cm_expect_ack(pair.server.channel, RDMA_CM_EVENT_DISCONNECTED, 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	cm_destroy_pair(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CM_TEST(removal_wait),	   CM_TEST_FATAL(removal_fatal),
		CM_TEST(replaced),	   CM_TEST(none),
		CM_TEST(killed_client),	   CM_TEST(killed_server),
		CM_TEST(port_of_the_dead), CM_TEST(forked),
	};

	return cmocka_run_group_tests(tests, cm_group_setup, NULL);
}
