// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* rdma_cm: peers that are killed, children of a fork, and nothing to spare. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cm_test.h"

/* ---- peers that die ---- */

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

	/* the QP comes first, and has no device here */
	assert_fails(rdma_disconnect(pair->client.id), EIO);
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

/* ---- descriptors ---- */

/* who calls while there is none left is answered when there is one again */
static void no_descriptors(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_cm_id *listener;
	struct rdma_cm_event *event;
	struct rlimit limit, none;
	uint16_t port;
	int ready;
	char byte;
	pid_t pid;

	(void)state;
	port = cm_listen_on(channel, RDMA_PS_TCP, &listener);
	pid = start_client(port, false, &ready);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	/* he has said what he wants, whether he was let in or not */
	assert_int_equal(read(ready, &byte, 1), 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	event = cm_expect(channel, RDMA_CM_EVENT_CONNECT_REQUEST, 0);
	close(ready);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(rdma_destroy_id(event->id), 0);
	rdma_ack_cm_event(event);
	assert_int_equal(rdma_destroy_id(listener), 0);
	rdma_destroy_event_channel(channel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CM_TEST(killed_client),	   CM_TEST(killed_server),
		CM_TEST(port_of_the_dead), CM_TEST(forked),
		CM_TEST(no_descriptors),
	};

	return cmocka_run_group_tests(tests, cm_group_setup, NULL);
}
