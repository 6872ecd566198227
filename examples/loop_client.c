// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The client of the loop examples: a line for all that happens to a device. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "loop_client.h"

static struct ibc_registry *reg;

static int on_add(struct ibc_client *client, struct ibc_device *dev)
{
	struct ibc_client_data *data =
		ibc_alloc_or_get_client_data(dev, client);

	if (!data)
		return errno;	   /* the library tries again, later */
	ibc_put_client_data(data); /* the registry keeps one */
	printf("add %s\n", ibc_device_name(dev));
	return 0;
}

/* data is borrowed; work goes on until it has ended, and puts its own */
static void on_remove(struct ibc_client *client, struct ibc_device *dev,
		      struct ibc_client_data *data)
{
	(void)client;
	printf("remove %s%s\n", ibc_device_name(dev),
	       ((struct loop_data *)data)->works ? ", at work" : "");
}

static void on_gone(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	printf("gone %s\n", ibc_device_name(dev));
}

static void on_rename(struct ibc_client *client, struct ibc_device *dev,
		      const char *old_name)
{
	(void)client;
	printf("rename %s %s\n", old_name, ibc_device_name(dev));
}

/* the handlers of loop_data.c have those of ports and QPs */
static void on_event(struct ibc_client *client, struct ibc_device *dev,
		     struct ibc_client_data *data,
		     const struct ibc_event *event)
{
	(void)client;
	(void)data;
	printf("device %s %s\n", ibc_device_name(dev),
	       ibv_event_type_str(event->async.event_type));
}

static struct ibc_client client = {
	.name = "loop",
	.add = on_add,
	.remove = on_remove,
	.gone = on_gone,
	.rename = on_rename,
	.event = on_event,
	.event_mask = 1ULL << IBV_EVENT_DEVICE_FATAL,
	.alloc_client_data = loop_data_alloc,
	.free_client_data = loop_data_free,
};

static bool good(const char *what, int error)
{
	if (error)
		fprintf(stderr, "%s: %s\n", what, strerror(error));
	return !error;
}

bool loop_start(void)
{
	const struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };

	setvbuf(stdout, NULL, _IOLBF, 0);
	reg = ibc_open(&attr);
	if (!reg)
		return good("ibc_open", errno);
	if (good("ibc_register_client", ibc_register_client(reg, &client)))
		return true;
	ibc_close(reg);
	return false;
}

int loop_fd(void)
{
	return ibc_get_fd(reg);
}

/*
 * One call for each time that the fd is readable: it stays readable while work
 * is left, so the loop comes back, and serves its other descriptors in between.
 * The library's timers are in the fd, too: the loop needs none for it.
 * ETIMEDOUT: what it was readable for has been done already.
 */
bool loop_dispatch(void)
{
	int error = ibc_dispatch(reg, 0);

	return error == ETIMEDOUT || good("ibc_dispatch", error);
}

bool loop_input(void)
{
	char text[256];
	ssize_t i, size = read(STDIN_FILENO, text, sizeof(text));

	for (i = 0; i < size && text[i] != 'q'; i++) {
		if (text[i] == 'h')
			loop_work_begin(reg, &client);
		else if (text[i] == 'p')
			loop_work_end();
	}
	return size < 0 ? errno == EINTR || errno == EAGAIN : size && i == size;
}

/*
 * After the loop, not in a callback: there the two would say EDEADLK. They run
 * what is left, remove() included, so the loop is not needed any more. But they
 * wait for every reference: what this thread holds, it must put first.
 */
int loop_end(void)
{
	bool ok;

	loop_work_end();
	ok = good("ibc_unregister_client", ibc_unregister_client(&client)) &&
	     good("ibc_close", ibc_close(reg));
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
