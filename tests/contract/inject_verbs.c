// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * See inject.h: verbs, twice: as libibverbs' functions, which the library's own
 * backend calls, and as a backend before that of the fake devices.
 */
#include <errno.h>

#include "backend.h"
#include "inject.h"

/* ---- libibverbs ---- */

struct ibv_device **inject_ibv_get_device_list(int *num);
struct ibv_device **inject_ibv_get_device_list(int *num)
{
	return inject_fails(INJECT_DEVICE_LIST) ? NULL :
						  ibv_get_device_list(num);
}

struct ibv_context *inject_ibv_open_device(struct ibv_device *device);
struct ibv_context *inject_ibv_open_device(struct ibv_device *device)
{
	return inject_fails(INJECT_OPEN_DEVICE) ? NULL :
						  ibv_open_device(device);
}

/* whatever it says, it is closed */
int inject_ibv_close_device(struct ibv_context *context);
int inject_ibv_close_device(struct ibv_context *context)
{
	int error = inject_fails(INJECT_CLOSE_DEVICE);
	int ret = ibv_close_device(context);

	return error ? error : ret;
}

int inject_ibv_query_device(struct ibv_context *context,
			    struct ibv_device_attr *attr);
int inject_ibv_query_device(struct ibv_context *context,
			    struct ibv_device_attr *attr)
{
	int error = inject_fails(INJECT_QUERY_DEVICE);

	return error ? error : ibv_query_device(context, attr);
}

int inject_ibv_get_async_event(struct ibv_context *context,
			       struct ibv_async_event *event);
int inject_ibv_get_async_event(struct ibv_context *context,
			       struct ibv_async_event *event)
{
	return inject_fails(INJECT_ASYNC_EVENT) ?
		       -1 :
		       ibv_get_async_event(context, event);
}

/* what it says when it cannot read the file */
__be64 inject_ibv_get_device_guid(struct ibv_device *device);
__be64 inject_ibv_get_device_guid(struct ibv_device *device)
{
	return inject_fails(INJECT_DEVICE_GUID) ? 0 :
						  ibv_get_device_guid(device);
}

/* ---- before another backend ---- */

static struct ibc__backend mine;
static const struct ibc__backend *behind;

static struct ibv_device **get_device_list(int *num)
{
	return inject_fails(INJECT_DEVICE_LIST) ? NULL :
						  behind->get_device_list(num);
}

/* from a file, if the device were a real one */
static int read_device_name(struct ibv_device *device, char *buf, size_t size)
{
	int error = inject_fails(INJECT_OPEN);

	return error ? error : behind->read_device_name(device, buf, size);
}

static struct ibv_context *open_device(struct ibv_device *device)
{
	return inject_fails(INJECT_OPEN_DEVICE) ? NULL :
						  behind->open_device(device);
}

static int close_device(struct ibv_context *context)
{
	int error = inject_fails(INJECT_CLOSE_DEVICE);
	int ret = behind->close_device(context);

	return error ? error : ret;
}

static int probe(struct ibv_context *context)
{
	int error = inject_fails(INJECT_QUERY_DEVICE);

	return error ? error : behind->probe(context);
}

static int get_async_event(struct ibv_context *context,
			   struct ibv_async_event *event)
{
	return inject_fails(INJECT_ASYNC_EVENT) ?
		       -1 :
		       behind->get_async_event(context, event);
}

static __be64 get_device_guid(struct ibv_device *device)
{
	return inject_fails(INJECT_DEVICE_GUID) ?
		       0 :
		       behind->get_device_guid(device);
}

void inject_backend(void)
{
	behind = ibc__backend;
	mine = *behind;
	mine.get_device_list = get_device_list;
	mine.read_device_name = read_device_name;
	mine.open_device = open_device;
	mine.close_device = close_device;
	mine.probe = probe;
	mine.get_async_event = get_async_event;
	mine.get_device_guid = get_device_guid;
	ibc__backend = &mine;
}
