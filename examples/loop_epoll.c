// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A registry in an epoll loop, beside signals and standard input. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
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

/* what is readable is told by its descriptor; false: it has said why not */
static bool watch(int epoll_fd, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (!epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
		return true;
	perror("epoll_ctl");
	return false;
}

static bool run(int epoll_fd, int signal_fd)
{
	for (;;) {
		struct epoll_event event;

		if (epoll_wait(epoll_fd, &event, 1, -1) < 0) {
			if (errno == EINTR)
				continue;
			perror("epoll_wait");
			return false;
		}
		if (event.data.fd == signal_fd)
			return true;
		if (event.data.fd == STDIN_FILENO && !loop_input())
			return true;
		if (event.data.fd == loop_fd() && !loop_dispatch())
			return false;
	}
}

int main(void)
{
	int signal_fd = make_signal_fd();
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	bool good;
	int status;

	if (signal_fd < 0 || epoll_fd < 0) {
		perror("loop_epoll");
		return EXIT_FAILURE;
	}
	if (!loop_start())
		return EXIT_FAILURE;
	good = watch(epoll_fd, signal_fd) && watch(epoll_fd, STDIN_FILENO) &&
	       watch(epoll_fd, loop_fd()) && run(epoll_fd, signal_fd);
	status = loop_end();
	close(epoll_fd);
	close(signal_fd);
	return good ? status : EXIT_FAILURE;
}
