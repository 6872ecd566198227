/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The seam between the library and libibverbs: every device-level call goes
 * through this table, so that the tests can put devices of their own behind it.
 */
#ifndef IBC_BACKEND_H
#define IBC_BACKEND_H

#include <stddef.h>
#include <infiniband/verbs.h>

struct ibc__backend {
	/* NULL and errno if the list cannot be read */
	struct ibv_device **(*get_device_list)(int *num);
	void (*free_device_list)(struct ibv_device **list);
	const char *(*get_device_name)(struct ibv_device *device);
	int (*get_device_index)(struct ibv_device *device);
	__be64 (*get_device_guid)(struct ibv_device *device);
	/* the name of the device's uverbs node, "uverbs0"; "" if none */
	const char *(*get_device_node)(struct ibv_device *device);
	/*
	 * Today's name, where the kernel tells it apart from what
	 * get_device_name() remembers: 0 and the name in @buf, or an errno.
	 */
	int (*read_device_name)(struct ibv_device *device, char *buf,
				size_t size);
	struct ibv_context *(*open_device)(struct ibv_device *device);
	int (*close_device)(struct ibv_context *context);
	/* a cheap verb that fails with EIO or ENODEV if the device went */
	int (*probe)(struct ibv_context *context);
	/* 0, or -1 and errno; EAGAIN: none */
	int (*get_async_event)(struct ibv_context *context,
			       struct ibv_async_event *event);
	void (*ack_async_event)(struct ibv_async_event *event);
	int (*get_srq_num)(struct ibv_srq *srq, uint32_t *num);
	const char *(*sysfs_path)(void);
	/* the device's directory, below sysfs or what a simulator has instead */
	const char *(*get_device_path)(struct ibv_device *device);
};

/* the table in use; tests replace it before they open a registry */
extern const struct ibc__backend *ibc__backend;
extern const struct ibc__backend ibc__verbs_backend;

#endif /* IBC_BACKEND_H */
