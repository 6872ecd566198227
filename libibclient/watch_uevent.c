// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Kernel uevents, straight from the kernel (multicast group 1): no udev daemon
 * is needed. The kernel sends them to the network namespaces that belong to the
 * initial user namespace only; in others the socket works and stays silent,
 * which has to be told apart here (measured: `unshare -Urn`).
 *
 * A removal begins with `remove .../infiniband_verbs/uverbsN`, without the
 * device's name: hence the map from node to device. A rename is
 * `move@.../infiniband/NAME`. An overrun (ENOBUFS) means that anything may have
 * happened.
 */
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "private.h"

#define KERNEL_GROUP	 1
#define INIT_USER_NS_INO 0xEFFFFFFDU /* PROC_USER_INIT_INO, kernel ABI */
#define MESSAGE_MAX	 8192

enum answer { NO, YES, UNKNOWN };

/*
 * Does our network namespace belong to the initial user namespace? EPERM: to an
 * ancestor of ours, which is the initial one but for nested containers. ENOTTY: to
 * a kernel before 4.9, where nobody can tell.
 */
static enum answer owner_is_initial(int net)
{
	enum answer answer = UNKNOWN;
	struct stat st;
	int owner = ioctl(net, NS_GET_USERNS);

	if (owner < 0)
		return errno == EPERM || errno == ENOTTY ? YES : UNKNOWN;
	if (fstat(owner, &st) == 0)
		answer = st.st_ino == INIT_USER_NS_INO ? YES : NO;
	close(owner);
	return answer;
}

static enum answer kernel_sends_here(void)
{
	int net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	enum answer answer;

	if (net < 0)
		return UNKNOWN;
	answer = owner_is_initial(net);
	close(net);
	return answer;
}

static int bind_socket(int fd)
{
	struct sockaddr_nl addr = {
		.nl_family = AF_NETLINK,
		.nl_groups = KERNEL_GROUP,
	};

	ibc__watch_buffer(fd);
	return bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ? errno : 0;
}

static int open_uevent(struct ibc_registry *reg, struct ibc__source *source)
{
	enum answer sends;
	int error;

	if (ibc__watch_needless(reg, source))
		return 0;
	sends = kernel_sends_here();
	if (sends == NO) {
		ibc__watch_absent(source,
				  "the kernel sends none to this network "
				  "namespace, which a user namespace owns");
		return 0;
	}
	source->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			    NETLINK_KOBJECT_UEVENT);
	if (source->fd < 0)
		return ibc__watch_failed(source, "socket", errno);
	error = bind_socket(source->fd);
	if (error)
		return ibc__watch_failed(source, "bind", error);
	source->state = IBC_SOURCE_ACTIVE;
	source->trusted = sends == YES && reg->where == IBC_WHERE_KERNEL;
	snprintf(source->why, sizeof(source->why), "kernel uevents%s",
		 source->trusted ?
			 "" :
		 reg->where == IBC_WHERE_SIMULATED ?
			 ", but there are a simulator's devices, too" :
			 ", but maybe none are sent here");
	return 0;
}

/* the value of KEY in a message of strings, each ended by a zero */
static const char *value(const char *msg, size_t len, const char *key)
{
	size_t n = strlen(key);
	const char *end = msg + len;

	for (; msg < end; msg += strlen(msg) + 1)
		if (strncmp(msg, key, n) == 0 && msg[n] == '=')
			return msg + n + 1;
	return NULL;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* lock held. @msg is ended by a zero, whatever the kernel or a fuzzer sent. */
void ibc__uevent_parse(struct ibc_registry *reg, const char *msg, size_t len)
{
	const char *action = value(msg, len, "ACTION");
	const char *subsystem = value(msg, len, "SUBSYSTEM");
	const char *path = value(msg, len, "DEVPATH");

	if (!action || !subsystem || !path)
		return;
	if (strcmp(subsystem, "infiniband_verbs") == 0) {
		if (strcmp(action, "add") == 0)
			ibc__watch_node(reg, IBC_SOURCE_UEVENT, base_name(path),
					false);
		else if (strcmp(action, "remove") == 0)
			ibc__watch_node(reg, IBC_SOURCE_UEVENT, base_name(path),
					true);
	} else if (strcmp(subsystem, "infiniband") == 0) {
		if (strcmp(action, "move") == 0)
			ibc__hint(reg, IBC_SOURCE_UEVENT, true);
	}
}

/* false: nothing more to receive */
static bool receive(struct ibc_registry *reg, struct ibc__source *source)
{
	char buf[MESSAGE_MAX + 1];
	struct sockaddr_nl from = {};
	socklen_t from_len = sizeof(from);
	ssize_t len;

	len = recvfrom(source->fd, buf, MESSAGE_MAX, 0,
		       (struct sockaddr *)&from, &from_len);
	if (len < 0 && errno == EINTR)
		return true;
	if (len < 0 && errno == ENOBUFS) {
		ibc__log(reg, IBC_LOG_INFO,
			 "uevents were lost: reading the device list");
		ibc__hint(reg, IBC_SOURCE_UEVENT, true);
		return true;
	}
	if (len < 0)
		return false;
	buf[len] = '\0';
	if (from.nl_pid == 0) /* the kernel, not another process */
		ibc__uevent_parse(reg, buf, len);
	return true;
}

static void ready(struct ibc_registry *reg, struct ibc__source *source)
{
	while (receive(reg, source))
		;
}

const struct ibc__source_ops ibc__source_uevent = {
	.name = "uevent",
	.hotplug = true,
	.open = open_uevent,
	.ready = ready,
};
