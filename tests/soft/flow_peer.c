// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flow_peer.h"

#define LIMIT_MS 60000

static void run_child(int fd, void (*body)(struct peer *up, void *arg),
		      void *arg)
{
	struct peer up = { getppid(), fd };

	/* not back into the tests of the parent, and not beyond its end */
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == up.pid)
		body(&up, arg);
	_exit(0);
}

void peer_start(struct peer *peer, void (*body)(struct peer *up, void *arg),
		void *arg)
{
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	peer->pid = fork();
	assert_true(peer->pid >= 0);
	if (peer->pid == 0) {
		close(fds[0]);
		run_child(fds[1], body, arg);
	}
	close(fds[1]);
	peer->fd = fds[0];
}

void peer_put(struct peer *peer, const void *data, size_t size)
{
	assert_int_equal(send(peer->fd, data, size, MSG_NOSIGNAL), size);
}

void peer_get(struct peer *peer, void *data, size_t size)
{
	struct pollfd fd = { .fd = peer->fd, .events = POLLIN };

	assert_int_equal(poll(&fd, 1, LIMIT_MS), 1);
	assert_int_equal(recv(peer->fd, data, size, MSG_WAITALL), size);
}

void peer_tell(struct peer *peer)
{
	peer_put(peer, "", 1);
}

void peer_hear(struct peer *peer)
{
	char byte;

	peer_get(peer, &byte, sizeof(byte));
}

void peer_join(struct peer *peer)
{
	struct pollfd fd = { .fd = peer->fd, .events = POLLIN };
	int status;
	char byte;

	/* what ends it closes the socket */
	assert_int_equal(poll(&fd, 1, LIMIT_MS), 1);
	assert_int_equal(recv(peer->fd, &byte, sizeof(byte), 0), 0);
	assert_int_equal(waitpid(peer->pid, &status, 0), peer->pid);
	assert_int_equal(status, 0);
	close(peer->fd);
}

void peer_kill(struct peer *peer)
{
	if (peer->pid <= 0)
		return;
	kill(peer->pid, SIGKILL);
	assert_int_equal(waitpid(peer->pid, NULL, 0), peer->pid);
	close(peer->fd);
	peer->pid = 0;
}

void peer_stop(struct peer *peer)
{
	int status;

	assert_int_equal(kill(peer->pid, SIGSTOP), 0);
	assert_int_equal(waitpid(peer->pid, &status, WUNTRACED), peer->pid);
	assert_true(WIFSTOPPED(status));
}

void peer_continue(struct peer *peer)
{
	assert_int_equal(kill(peer->pid, SIGCONT), 0);
}

void peer_connect(struct peer *peer, struct end *end, struct address *theirs,
		  const struct flow *flow)
{
	struct address ours;

	end_address(end, &ours);
	peer_put(peer, &ours, sizeof(ours));
	peer_get(peer, theirs, sizeof(*theirs));
	end_connect(end, theirs, flow);
	/* nothing goes before the other one is ready */
	peer_tell(peer);
	peer_hear(peer);
}
