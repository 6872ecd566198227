// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A registry in a poll loop, beside signals and standard input. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "loop_client.h"

/* SIGTERM and SIGINT become a descriptor, so that none is missed */
static int make_signal_fd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int run(struct pollfd fds[3])
{
	for (;;) {
		if (poll(fds, 3, -1) < 0) {
			if (errno == EINTR)
				continue;
			perror("poll");
			return -1;
		}
		if (fds[0].revents)
			return 0;
		if (fds[1].revents && !loop_input())
			return 0;
		if (fds[2].revents && !loop_dispatch())
			return -1;
	}
}

int main(void)
{
	struct pollfd fds[3] = { { .events = POLLIN },
				 { .fd = STDIN_FILENO, .events = POLLIN },
				 { .events = POLLIN } };
	int bad, status;

	fds[0].fd = make_signal_fd();
	if (fds[0].fd < 0) {
		perror("signalfd");
		return EXIT_FAILURE;
	}
	if (!loop_start())
		return EXIT_FAILURE;
	fds[2].fd = loop_fd();
	bad = run(fds);
	status = loop_end();
	close(fds[0].fd);
	return bad ? EXIT_FAILURE : status;
}
