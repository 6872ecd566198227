// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A registry in libevent's loop, beside signals and standard input. */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "loop_client.h"

enum { DEVICES, INPUT, TERM, INT, NUM };

static int failed;

static void on_devices(evutil_socket_t fd, short what, void *base)
{
	(void)fd;
	(void)what;
	if (loop_dispatch())
		return;
	failed = 1;
	event_base_loopbreak(base);
}

static void on_input(evutil_socket_t fd, short what, void *base)
{
	(void)fd;
	(void)what;
	if (!loop_input())
		event_base_loopbreak(base);
}

static void on_signal(evutil_socket_t signal, short what, void *base)
{
	(void)signal;
	(void)what;
	event_base_loopbreak(base);
}

/* Without epoll, which refuses files: standard input may be one. */
static struct event_base *make_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config && !event_config_avoid_method(config, "epoll"))
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

static int run(struct event_base *base)
{
	const short in = EV_READ | EV_PERSIST; /* level-triggered */
	struct event *events[NUM];
	int i, err = 0;

	events[DEVICES] = event_new(base, loop_fd(), in, on_devices, base);
	events[INPUT] = event_new(base, STDIN_FILENO, in, on_input, base);
	events[TERM] = evsignal_new(base, SIGTERM, on_signal, base);
	events[INT] = evsignal_new(base, SIGINT, on_signal, base);
	for (i = 0; i < NUM; i++)
		if (!events[i] || event_add(events[i], NULL))
			err = -1;
	if (!err)
		err = event_base_dispatch(base);
	for (i = 0; i < NUM; i++)
		if (events[i])
			event_free(events[i]);
	return err;
}

int main(void)
{
	struct event_base *base = make_base();
	int status;

	if (!base) {
		fprintf(stderr, "libevent: no event base\n");
		return EXIT_FAILURE;
	}
	if (!loop_start()) {
		event_base_free(base);
		return EXIT_FAILURE;
	}
	if (run(base)) {
		fprintf(stderr, "libevent: the loop failed\n");
		failed = 1;
	}
	event_base_free(base);
	status = loop_end();
	return failed ? EXIT_FAILURE : status;
}
