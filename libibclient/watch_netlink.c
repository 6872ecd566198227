// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RDMA netlink's notify group: the kernel tells, from Linux 6.12 on, that a
 * device was registered or unregistered, by its index (and, later than 6.12,
 * that it was renamed). Measured with soft-RoCE:
 *
 * - Of a device that somebody holds and whose driver cannot take it away (rxe,
 *   siw), UNREGISTER comes only after the last holder closed it: no use to begin
 *   that removal. So this source is never ->trusted: it alone does not make the
 *   clock needless.
 * - An older kernel lets root join the group, and never sends anything. What
 *   tells them apart is an attribute of the answer to SYS_GET, which only kernels
 *   that send have. It is asked before joining.
 * - While all network namespaces share the devices (the default, which SYS_GET
 *   tells, too), messages go to the initial one only. How one finds out whether
 *   it is the initial one: most of /proc/sys/net/core, for example
 *   netdev_max_backlog, exists only there. No kernel promises that; should it
 *   end, this source would call itself active and stay silent, which costs
 *   nothing, since it is not trusted.
 *
 * The numbers are the kernel's ABI; headers of kernels before 6.12 lack some.
 */
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "private.h"

#define MESSAGE_MAX 8192

enum {
	GROUP_NOTIFY = 4,
	CLIENT_NLDEV = 5,
	CMD_SYS_GET = 6,
	CMD_MONITOR = 28,
	ATTR_DEV_INDEX = 1,	 /* u32 */
	ATTR_NETNS_MODE = 66,	 /* u8: do namespaces share the devices? */
	ATTR_EVENT_TYPE = 102,	 /* u8 */
	ATTR_MONITOR_MODE = 103, /* u8 */
};

enum {
	EVENT_REGISTER,
	EVENT_UNREGISTER,
	EVENT_NETDEV_ATTACH,
	EVENT_NETDEV_DETACH,
	EVENT_RENAME,
	EVENT_NETDEV_RENAME,
};

#define MESSAGE_TYPE(command) (CLIENT_NLDEV << 10 | (command))

/* ---- messages: lengths are believed only as far as there are bytes ---- */

struct bytes {
	const uint8_t *at;
	size_t left;
};

static void advance(struct bytes *bytes, size_t len)
{
	len = NLMSG_ALIGN(len);
	if (len > bytes->left)
		len = bytes->left;
	bytes->at += len;
	bytes->left -= len;
}

/* cuts the next message off; false: there is none */
static bool next_message(struct bytes *bytes, struct nlmsghdr *header,
			 struct bytes *attributes)
{
	if (bytes->left < sizeof(*header))
		return false;
	memcpy(header, bytes->at, sizeof(*header));
	if (header->nlmsg_len < sizeof(*header) ||
	    header->nlmsg_len > bytes->left)
		return false;
	attributes->at = bytes->at + sizeof(*header);
	attributes->left = header->nlmsg_len - sizeof(*header);
	advance(bytes, header->nlmsg_len);
	return true;
}

/* cuts the next attribute off; false: there is none */
static bool next_attribute(struct bytes *bytes, unsigned int *type,
			   struct bytes *value)
{
	struct nlattr header;

	if (bytes->left < sizeof(header))
		return false;
	memcpy(&header, bytes->at, sizeof(header));
	if (header.nla_len < sizeof(header) || header.nla_len > bytes->left)
		return false;
	*type = header.nla_type & NLA_TYPE_MASK;
	value->at = bytes->at + sizeof(header);
	value->left = header.nla_len - sizeof(header);
	advance(bytes, header.nla_len);
	return true;
}

/* the attribute as a number of its own size; -1: not there, or no number */
static int64_t number(struct bytes attributes, unsigned int wanted)
{
	struct bytes value;
	unsigned int type;
	uint32_t number;

	while (next_attribute(&attributes, &type, &value)) {
		if (type != wanted)
			continue;
		if (value.left == 1)
			return value.at[0];
		if (value.left != sizeof(number))
			return -1;
		memcpy(&number, value.at, sizeof(number));
		return number;
	}
	return -1;
}

static void one_event(struct ibc_registry *reg, struct bytes attributes)
{
	int64_t index = number(attributes, ATTR_DEV_INDEX);

	if (index > INT32_MAX)
		index = -1;
	switch (number(attributes, ATTR_EVENT_TYPE)) {
	case EVENT_REGISTER:
		ibc__watch_index(reg, IBC_SOURCE_NETLINK, (int)index, false);
		break;
	case EVENT_UNREGISTER:
		ibc__watch_index(reg, IBC_SOURCE_NETLINK, (int)index, true);
		break;
	case EVENT_RENAME:
		ibc__hint(reg, IBC_SOURCE_NETLINK, true);
		break;
	default: /* of network devices, or nothing that we know */
		break;
	}
}

/* lock held. @msg may be anything, at any address. */
void ibc__netlink_parse(struct ibc_registry *reg, const void *msg, size_t len)
{
	struct bytes bytes = { msg, len }, attributes;
	struct nlmsghdr header;

	while (next_message(&bytes, &header, &attributes))
		if (header.nlmsg_type == MESSAGE_TYPE(CMD_MONITOR))
			one_event(reg, attributes);
}

/* ---- opening ---- */

struct modes {
	bool sends, shared;
};

/* true: that was the answer; @error: the kernel refuses */
static bool is_answer(const void *msg, size_t len, struct modes *modes,
		      int *error)
{
	struct bytes bytes = { msg, len }, rest;
	struct nlmsghdr header;
	int32_t code;

	while (next_message(&bytes, &header, &rest)) {
		if (header.nlmsg_type == NLMSG_ERROR &&
		    rest.left >= sizeof(code)) {
			memcpy(&code, rest.at, sizeof(code));
			*error = code < 0 ? -code : EIO;
			return true;
		}
		if (header.nlmsg_type != MESSAGE_TYPE(CMD_SYS_GET))
			continue;
		modes->sends = number(rest, ATTR_MONITOR_MODE) > 0;
		modes->shared = number(rest, ATTR_NETNS_MODE) != 0;
		return true;
	}
	return false;
}

/* the kernel answers while it takes the question: there is nothing to wait for */
static int ask(int fd, struct modes *modes)
{
	struct nlmsghdr question = {
		.nlmsg_len = sizeof(question),
		.nlmsg_type = MESSAGE_TYPE(CMD_SYS_GET),
		.nlmsg_flags = NLM_F_REQUEST,
		.nlmsg_seq = 1,
	};
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	char buf[MESSAGE_MAX];
	int error = 0;
	ssize_t len;

	if (sendto(fd, &question, sizeof(question), 0,
		   (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return errno;
	for (;;) {
		len = recv(fd, buf, sizeof(buf), 0);
		if (len < 0 && errno != EINTR)
			return errno;
		if (len > 0 && is_answer(buf, len, modes, &error))
			return error;
	}
}

/* see above; where /proc does not tell, we may be in the initial one */
static bool in_initial_namespace(void)
{
	return access("/proc/sys/net/core/somaxconn", F_OK) ||
	       access("/proc/sys/net/core/netdev_max_backlog", F_OK) == 0;
}

static int join(struct ibc__source *source)
{
	int group = GROUP_NOTIFY;

	ibc__watch_buffer(source->fd);
	if (setsockopt(source->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
		       sizeof(group)))
		return ibc__watch_failed(source, "joining the notify group",
					 errno);
	source->state = IBC_SOURCE_ACTIVE;
	snprintf(source->why, sizeof(source->why),
		 "RDMA netlink; of a device in use it may tell too late");
	return 0;
}

static int open_netlink(struct ibc_registry *reg, struct ibc__source *source)
{
	struct modes modes = {};
	int error;

	if (ibc__watch_needless(reg, source))
		return 0;
	source->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			    NETLINK_RDMA);
	if (source->fd < 0 && errno == EPROTONOSUPPORT) {
		ibc__watch_absent(source, "this kernel has no RDMA, or has not "
					  "loaded it yet");
		source->later = true;
		return 0;
	}
	if (source->fd < 0)
		return ibc__watch_failed(source, "socket", errno);
	error = ask(source->fd, &modes);
	if (error)
		return ibc__watch_failed(source, "asking the kernel", error);
	if (!modes.sends)
		ibc__watch_absent(source, "this kernel never sends any: it is "
					  "older than Linux 6.12");
	else if (modes.shared && !in_initial_namespace())
		ibc__watch_absent(source,
				  "the kernel sends to the initial network "
				  "namespace only, and this is another");
	else
		return join(source);
	return 0;
}

/* ---- receiving ---- */

/* false: nothing more to receive */
static bool receive(struct ibc_registry *reg, struct ibc__source *source)
{
	struct sockaddr_nl from = {};
	socklen_t from_len = sizeof(from);
	char buf[MESSAGE_MAX];
	ssize_t len;

	len = recvfrom(source->fd, buf, sizeof(buf), 0,
		       (struct sockaddr *)&from, &from_len);
	if (len < 0 && errno == EINTR)
		return true;
	if (len < 0 && errno == ENOBUFS) {
		ibc__log(reg, IBC_LOG_INFO,
			 "RDMA netlink messages were lost: reading the device "
			 "list");
		ibc__hint(reg, IBC_SOURCE_NETLINK, true);
		return true;
	}
	if (len < 0)
		return false;
	if (from.nl_pid == 0) /* the kernel, not another process */
		ibc__netlink_parse(reg, buf, len);
	return true;
}

static void ready(struct ibc_registry *reg, struct ibc__source *source)
{
	while (receive(reg, source))
		;
}

const struct ibc__source_ops ibc__source_netlink = {
	.name = "netlink",
	.hotplug = true,
	.open = open_netlink,
	.ready = ready,
};
