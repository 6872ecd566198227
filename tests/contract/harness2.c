// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See harness2.h. */
#include <dirent.h>
#include <linux/netlink.h>

#include "harness2.h"

/* white-box: an unprivileged test cannot make the kernel send one */
void h2_uevent(const char *action, const char *node)
{
	char msg[256];
	int len;

	len = snprintf(msg, sizeof(msg),
		       "%s@/devices/x/infiniband_verbs/%s%cACTION=%s%c"
		       "DEVPATH=/devices/x/infiniband_verbs/%s%c"
		       "SUBSYSTEM=infiniband_verbs",
		       action, node, 0, action, 0, node, 0);
	ibc__lock(h_reg);
	ibc__uevent_parse(h_reg, msg, len);
	ibc__unlock(h_reg);
}

void h2_unregistered(int index)
{
	struct {
		struct nlmsghdr header;
		struct nlattr of_index;
		int32_t index;
		struct nlattr of_event;
		uint8_t event, pad[3];
	} msg = {
		.header = { .nlmsg_len = sizeof(msg),
			    .nlmsg_type = 5 << 10 | 28 },
		.of_index = { .nla_len = 8, .nla_type = 1 },
		.index = index,
		.of_event = { .nla_len = 5, .nla_type = 102 },
		.event = 1,
	};

	ibc__lock(h_reg);
	ibc__netlink_parse(h_reg, &msg, sizeof(msg));
	ibc__unlock(h_reg);
}

struct ibc_stats h2_stats(struct ibc_registry *reg)
{
	struct ibc_stats stats;

	check(ibc_query_stats(reg, &stats, sizeof(stats)) == 0);
	return stats;
}

bool h2_is(struct ibc_device *dev, enum ibc_device_state state)
{
	return ibc_device_state(dev) == state;
}

bool h2_polled(struct ibc_registry *reg, int fd)
{
	char path[64], line[256];
	bool found = false;
	int tfd;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", reg->epoll_fd);
	f = fopen(path, "re");
	check(f);
	while (fgets(line, sizeof(line), f))
		found |= sscanf(line, "tfd: %d", &tfd) == 1 && tfd == fd;
	fclose(f);
	return found;
}

static unsigned int entries(const char *path)
{
	unsigned int n = 0;
	DIR *dir = opendir(path);

	check(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

unsigned int h2_fds(void)
{
	return entries("/proc/self/fd");
}

unsigned int h2_threads(void)
{
	return entries("/proc/self/task");
}

void h2_remove(struct ibc_device *dev)
{
	check(ibc_remove_device(dev) == 0);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	ibc_put_device(dev);
}

char *h2_dump(struct ibc_registry *reg, enum ibc_dump_format format)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	check(out);
	check(ibc_dump(reg, out, format) == 0);
	check(fclose(out) == 0);
	return text;
}
