// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantee 19: a child has copies of the descriptors that its parent's loop
 * waits for, and may have been forked in the very middle of that loop.
 */
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness2.h"

static struct rec a;
static struct ibc_device *dev;

static void begin(void)
{
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	dev = h_device("soft0");
}

/* the parent's registry works as if nothing had been */
static void end(void)
{
	unsigned int n = h_count(&a, H_EVENT);

	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(h_count(&a, H_EVENT) == n + 1);
	fake_remove("soft0", FAKE_WAIT);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* it closes its copies, and nothing that the parent waits for is lost */
static void g19_a_loop_goes_on_beside_a_child(void **state)
{
	struct pollfd pollfd = { .events = POLLIN };
	pid_t pid;

	(void)state;
	begin();
	h_fence();
	pid = fork();
	if (!pid) {
		check(ibc_get_fd(h_reg) == -1 && errno == ECHILD);
		check(ibc_dispatch(h_reg, 0) == ECHILD);
		check(ibc_close(h_reg) == 0);
		h2_child_ends();
	}
	h2_wait_child(pid);
	fake_event("soft0", IBV_EVENT_SM_CHANGE, 1);
	pollfd.fd = ibc_get_fd(h_reg);
	while (h_count(&a, H_EVENT) == 0) {
		check(poll(&pollfd, 1, 60000) == 1);
		check(ibc_dispatch(h_reg, 0) == 0);
	}
	end();
}

static struct {
	pid_t pid;
	bool child;
	int file; /* in the child: has the number of one that it closed */
} returned;

/* its own files have the numbers of the parent's descriptors */
static void reuse_numbers(void)
{
	returned.file = memfd_create("child", MFD_CLOEXEC);
	check(returned.file >= 0);
	check(dup2(returned.file, h_reg->wake_fd) >= 0);
}

/* of a client without the recorder, which would ask the device afterwards */
static void return_in_child(struct ibc_client *client, struct ibc_device *d,
			    struct ibc_client_data *borrowed,
			    const struct ibc_event *event)
{
	(void)client, (void)borrowed;
	check(!returned.child); /* it hears no more */
	if (d != dev || event->async.event_type != IBV_EVENT_GID_CHANGE)
		return;
	returned.pid = fork();
	if (returned.pid)
		return;
	returned.child = true;
	check(ibc_close(h_reg) == 0);
	reuse_numbers();
}

static void g19_a_child_returns_from_a_callback(void **state)
{
	struct ibc_client client = { .name = "returns",
				     .event = return_in_child };
	int error;

	(void)state;
	memset(&returned, 0, sizeof(returned));
	begin();
	check(ibc_register_client(h_reg, &client) == 0);
	h_fence();
	fake_event("soft0", IBV_EVENT_GID_CHANGE, 1);
	fake_event("soft0", IBV_EVENT_SM_CHANGE, 1);
	error = ibc_dispatch(h_reg, -1);
	if (returned.child) {
		check(error == ECHILD);
		check(lseek(returned.file, 0, SEEK_END) == 0);
		h2_child_ends();
	}
	h2_wait_child(returned.pid);
	check(error == 0);
	wait_for(h_count(&a, H_EVENT) == 2);
	check(ibc_unregister_client(&client) == 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MANUAL(g19_a_loop_goes_on_beside_a_child),
		IN_MANUAL(g19_a_child_returns_from_a_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
