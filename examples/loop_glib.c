// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A registry in GLib's main loop, beside signals and standard input. */
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "loop_client.h"

static int failed;

static gboolean on_devices(gint fd, GIOCondition condition, gpointer loop)
{
	(void)fd;
	(void)condition;
	if (loop_dispatch())
		return G_SOURCE_CONTINUE;
	failed = 1;
	g_main_loop_quit(loop);
	return G_SOURCE_REMOVE;
}

static gboolean on_input(gint fd, GIOCondition condition, gpointer loop)
{
	(void)fd;
	(void)condition;
	if (loop_input())
		return G_SOURCE_CONTINUE;
	g_main_loop_quit(loop);
	return G_SOURCE_REMOVE;
}

static gboolean on_signal(gpointer loop)
{
	g_main_loop_quit(loop);
	return G_SOURCE_REMOVE;
}

int main(void)
{
	GMainLoop *loop;
	int status;

	if (!loop_start())
		return EXIT_FAILURE;
	loop = g_main_loop_new(NULL, FALSE);
	g_unix_signal_add(SIGTERM, on_signal, loop);
	g_unix_signal_add(SIGINT, on_signal, loop);
	g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP, on_input, loop);
	g_unix_fd_add(loop_fd(), G_IO_IN, on_devices, loop);
	g_main_loop_run(loop);
	g_main_loop_unref(loop);
	status = loop_end();
	return failed ? EXIT_FAILURE : status;
}
