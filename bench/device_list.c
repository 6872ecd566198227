// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * ibv_get_device_list() opens a netlink socket, has the kernel dump its RDMA
 * devices, and reads of each in sysfs. Where there are devices it is called itself.
 * Where there are none there is nothing to dump, and the stand-in has the kernel
 * dump its network interfaces instead, of which every machine has some, and reads
 * one file of sysfs for each device: less than libibverbs does.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <infiniband/verbs.h>

#include "device_list.h"
#include "measure.h"

static bool real(void)
{
	static int devices = -1; /* asked once, by the main thread */
	struct ibv_device **list;

	if (devices >= 0)
		return devices;
	list = ibv_get_device_list(&devices);
	if (!list)
		devices = 0;
	else
		ibv_free_device_list(list);
	return devices;
}

const char *device_list_kind(void)
{
	return real() ? "ibv_get_device_list() itself, of this machine" :
			"a stand-in, as this machine has no RDMA devices: a "
			"netlink dump of its\n  network interfaces, and a "
			"file of sysfs for each device";
}

/* true: more is to come */
static bool dump_goes_on(const char *buf, ssize_t size)
{
	const struct nlmsghdr *header = (const void *)buf;
	size_t left = size;

	for (; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
		if (header->nlmsg_type == NLMSG_DONE)
			return false;
		if (header->nlmsg_type == NLMSG_ERROR)
			fail("the kernel does not list network interfaces");
	}
	return true;
}

static void dump(void)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} request = {
		.header = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_GETLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.info = { .ifi_family = AF_UNSPEC },
	};
	_Alignas(NLMSG_ALIGNTO) char buf[32768];
	ssize_t got;
	int fd;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0 || send(fd, &request, sizeof(request), 0) != sizeof(request))
		fail("no netlink for a list of devices: %m");
	do {
		got = recv(fd, buf, sizeof(buf), 0);
		if (got <= 0)
			fail("netlink gives no list: %m");
	} while (dump_goes_on(buf, got));
	close(fd);
}

static void read_sysfs(void)
{
	char buf[256];
	int fd;

	fd = open("/sys/devices/system/cpu/online", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, buf, sizeof(buf)) < 0)
		fail("sysfs cannot be read: %m");
	close(fd);
}

void device_list(unsigned int devices)
{
	struct ibv_device **list;

	if (real()) {
		list = ibv_get_device_list(NULL);
		if (!list)
			fail("the devices cannot be listed: %m");
		ibv_free_device_list(list);
		return;
	}
	dump();
	while (devices--)
		read_sysfs();
}
