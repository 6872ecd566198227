// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The fabric that processes are killed on, and what is done with it after. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kill_fabric.h"

char kill_dir[64];
struct softverbs *kill_sv;
struct ibv_context *kill_held;

/* ---- a fabric with two devices ---- */

static void too_long(int sig)
{
	static const char text[] = "the fabric stays locked\n";
	ssize_t n = write(2, text, sizeof(text) - 1);

	(void)sig;
	(void)n;
	_exit(1);
}

int kill_setup(void **state)
{
	(void)state;
	signal(SIGALRM, too_long);
	unsetenv("LD_PRELOAD");
	/* thousands of fabrics: in memory, if that can be */
	snprintf(kill_dir, sizeof(kill_dir), "%s/soft-kill-XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(kill_dir));
	setenv("SOFTVERBS_DIR", kill_dir, 1);
	kill_sv = softverbs_open(NULL);
	assert_non_null(kill_sv);
	return 0;
}

int kill_teardown(void **state)
{
	char command[128];

	(void)state;
	softverbs_close(kill_sv);
	snprintf(command, sizeof(command), "rm -r %s", kill_dir);
	return system(command);
}

void kill_add_two(void)
{
	assert_int_equal(softverbs_add_device(kill_sv, "waits", 0, 2,
					      SOFTVERBS_REMOVAL_WAIT),
			 0);
	assert_int_equal(softverbs_add_device(kill_sv, "fatal", 0, 2,
					      SOFTVERBS_REMOVAL_FATAL),
			 0);
}

void kill_remove_all(void)
{
	struct fabric fabric;
	unsigned int i;

	kill_read(kill_dir, &fabric);
	for (i = 0; i < fabric.num_listed; i++)
		if (softverbs_remove_device(kill_sv, fabric.listed[i].name, 0))
			kill_fail("%s cannot be removed",
				  fabric.listed[i].name);
	if (kill_count(kill_dir, "class/infiniband_verbs") ||
	    kill_count(kill_dir, "class/infiniband") ||
	    kill_count(kill_dir, "removed") || kill_count(kill_dir, "new"))
		kill_fail("an empty fabric is not empty");
}

/* ---- what must be so after a kill ---- */

/* each change sweeps the contexts, and writes the state anew */
static void touch_all(void)
{
	struct fabric fabric;
	char path[128];
	unsigned int i, open;

	kill_read(kill_dir, &fabric);
	for (i = 0; i < fabric.num_listed; i++) {
		const struct fabric_device *dev = &fabric.listed[i];

		if (softverbs_set_port(kill_sv, dev->name, 1, false) ||
		    softverbs_set_port(kill_sv, dev->name, 2, false) ||
		    softverbs_set_port(kill_sv, dev->name, 2, true) ||
		    softverbs_set_port(kill_sv, dev->name, 1, true))
			kill_fail("%s does not change", dev->name);
		snprintf(path, sizeof(path),
			 "class/infiniband_verbs/%s/contexts", dev->node);
		open = kill_held &&
		       strcmp(kill_held->device->dev_name, dev->node) == 0;
		if (kill_count(kill_dir, path) > open)
			kill_fail("%s has a dead context", dev->name);
	}
}

/* taken only by a device that is there */
static void try_names(const char *waits)
{
	static const char *const names[] = { "waits", "fatal", "fresh",
					     "renamed", "next" };
	struct fabric fabric;
	unsigned int i;
	bool taken;
	int error;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		kill_read(kill_dir, &fabric);
		taken = kill_has(&fabric, names[i]) ||
			(waits && strcmp(waits, names[i]) == 0);
		error = softverbs_add_device(kill_sv, names[i], 0, 2, 0);
		if (error != (taken ? EEXIST : 0))
			kill_fail("adding %s: %s", names[i], strerror(error));
	}
}

/* it went although we have it: we must have been told, once and for all */
static void check_told(void)
{
	struct ibv_async_event event = { .event_type = IBV_EVENT_COMM_EST };
	struct ibv_device_attr attr;

	while (event.event_type != IBV_EVENT_DEVICE_FATAL) {
		if (ibv_get_async_event(kill_held, &event))
			kill_fail("the holder gets no event");
		ibv_ack_async_event(&event);
	}
	if (ibv_query_device(kill_held, &attr) != EIO)
		kill_fail("verbs still work");
}

void kill_check_all(void)
{
	struct fabric fabric;
	unsigned int left;
	bool fatal;

	alarm(KILL_LIMIT_S);
	kill_read(kill_dir, &fabric);
	if (softverbs_add_device(kill_sv, "next", 0, 2, 0))
		kill_fail("the next device cannot be added");
	kill_read(kill_dir, &fabric);
	left = kill_held && fabric.num_removed;
	fatal = left && fabric.removed[0].fatal;
	kill_check_swept(kill_dir, left);
	touch_all();
	kill_check_temporary(kill_dir);
	if (fatal)
		check_told();
	try_names(left && !fatal ? fabric.removed[0].name : NULL);
	kill_check_swept(kill_dir, left);
	if (kill_held && ibv_close_device(kill_held))
		kill_fail("the holder cannot close");
	kill_held = NULL;
	kill_remove_all();
	alarm(0);
}
