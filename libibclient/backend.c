// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The one file that calls device-level functions of libibverbs. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "private.h"

/* exported by every libibverbs, but declared in no installed header */
const char *ibv_get_sysfs_path(void);

static struct ibv_device **get_device_list(int *num)
{
	return ibv_get_device_list(num);
}

static void free_device_list(struct ibv_device **list)
{
	ibv_free_device_list(list);
}

static const char *get_device_name(struct ibv_device *device)
{
	return ibv_get_device_name(device);
}

static int get_device_index(struct ibv_device *device)
{
	return ibv_get_device_index(device);
}

static __be64 get_device_guid(struct ibv_device *device)
{
	return ibv_get_device_guid(device);
}

static const char *get_device_node(struct ibv_device *device)
{
	return device->dev_name;
}

/* the first line, or what there is room for; or -1 and errno */
static ssize_t read_whole_line(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size && !memchr(buf, '\n', len)) {
		n = read(fd, buf + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += n;
	}
	return len;
}

/* the first line of a file */
static int read_line(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;
	int error;

	if (fd < 0)
		return errno;
	len = read_whole_line(fd, buf, size - 1);
	error = len < 0 ? errno : 0;
	close(fd);
	if (error)
		return error;
	buf[len] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return buf[0] ? 0 : ENODATA;
}

/* 0 if it is this device's, and not that of another which reuses the node */
static int check_guid(struct ibv_device *device, const char *name)
{
	char path[512], line[64], want[64];
	const uint8_t *g;
	__be64 guid = ibv_get_device_guid(device);
	int error;

	snprintf(path, sizeof(path), "%s/class/infiniband/%s/node_guid",
		 ibv_get_sysfs_path(), name);
	error = read_line(path, line, sizeof(line));
	if (error)
		return ibc__out_of_resources(error) ? error : ESTALE;
	g = (const uint8_t *)&guid;
	snprintf(want, sizeof(want), "%02x%02x:%02x%02x:%02x%02x:%02x%02x",
		 g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7]);
	/* 0: libibverbs could not read it when it made the list */
	return !guid || strcmp(line, want) == 0 ? 0 : ESTALE;
}

static int read_device_name(struct ibv_device *device, char *buf, size_t size)
{
	const char *sysfs = ibv_get_sysfs_path();
	char path[512], name[IBC_NAME_MAX];
	int error;

	if (!sysfs || !device->dev_name[0])
		return ENOENT;
	snprintf(path, sizeof(path), "%s/class/infiniband_verbs/%s/ibdev",
		 sysfs, device->dev_name);
	error = read_line(path, name, sizeof(name));
	if (error)
		return error;
	if (strcmp(name, device->name) != 0)
		error = check_guid(device, name);
	if (error)
		return error;
	snprintf(buf, size, "%s", name);
	return 0;
}

/*
 * libibverbs looks for a node that it may not open elsewhere too, and then says
 * ENOENT. Whoever reads the log wants to know that it is a matter of permission.
 */
static int open_error(struct ibv_device *device, int error)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "/dev/infiniband/%s", device->dev_name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	else if (errno == EACCES || errno == EPERM)
		error = errno;
	return error;
}

static struct ibv_context *open_device(struct ibv_device *device)
{
	struct ibv_context *context = ibv_open_device(device);

	if (!context)
		errno = open_error(device, errno);
	return context;
}

static int close_device(struct ibv_context *context)
{
	return ibv_close_device(context);
}

/* in the kernel it reads a few words; EIO once the driver has let go */
static int probe(struct ibv_context *context)
{
	struct ibv_device_attr attr;

	return ibv_query_device(context, &attr);
}

static int get_async_event(struct ibv_context *context,
			   struct ibv_async_event *event)
{
	return ibv_get_async_event(context, event);
}

static void ack_async_event(struct ibv_async_event *event)
{
	ibv_ack_async_event(event);
}

static int get_srq_num(struct ibv_srq *srq, uint32_t *num)
{
	return ibv_get_srq_num(srq, num);
}

static const char *sysfs_path(void)
{
	return ibv_get_sysfs_path();
}

static const char *get_device_path(struct ibv_device *device)
{
	return device->ibdev_path;
}

const struct ibc__backend ibc__verbs_backend = {
	.get_device_list = get_device_list,
	.free_device_list = free_device_list,
	.get_device_name = get_device_name,
	.get_device_index = get_device_index,
	.get_device_guid = get_device_guid,
	.get_device_node = get_device_node,
	.read_device_name = read_device_name,
	.open_device = open_device,
	.close_device = close_device,
	.probe = probe,
	.get_async_event = get_async_event,
	.ack_async_event = ack_async_event,
	.get_srq_num = get_srq_num,
	.sysfs_path = sysfs_path,
	.get_device_path = get_device_path,
};

const struct ibc__backend *ibc__backend = &ibc__verbs_backend;
