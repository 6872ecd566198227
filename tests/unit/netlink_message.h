/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* RDMA netlink messages, as the kernel makes them, for tests. */
#ifndef TESTS_NETLINK_MESSAGE_H
#define TESTS_NETLINK_MESSAGE_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* the kernel's ABI */
#define NLDEV	     (5 << 10)
#define SYS_GET	     (NLDEV | 6)
#define MONITOR	     (NLDEV | 28)
#define DEV_INDEX    1
#define DEV_NAME     2
#define NETNS_MODE   66
#define EVENT_TYPE   102
#define MONITOR_MODE 103

enum { REGISTER, UNREGISTER, ATTACH, DETACH, RENAME };

/* a message, as it is made */
struct message {
	unsigned char bytes[512];
	size_t len;
	unsigned int pid; /* who sent it */
	int error;	  /* or: receiving fails so */
};

static inline void begin(struct message *m, unsigned int type)
{
	struct nlmsghdr header = { .nlmsg_type = type };

	memset(m, 0, sizeof(*m));
	memcpy(m->bytes, &header, sizeof(header));
	m->len = sizeof(header);
}

static inline void put(struct message *m, unsigned int type, const void *data,
		       size_t len)
{
	struct nlattr header = { .nla_len = sizeof(header) + len,
				 .nla_type = type };

	memcpy(m->bytes + m->len, &header, sizeof(header));
	memcpy(m->bytes + m->len + sizeof(header), data, len);
	m->len += NLMSG_ALIGN(sizeof(header) + len);
}

static inline void put_u8(struct message *m, unsigned int type, uint8_t value)
{
	put(m, type, &value, sizeof(value));
}

static inline void end(struct message *m)
{
	uint32_t len = m->len;

	memcpy(m->bytes, &len, sizeof(len));
}

static inline struct message news(unsigned int event, uint32_t index)
{
	struct message m;

	begin(&m, MONITOR);
	put(&m, DEV_INDEX, &index, sizeof(index));
	put(&m, DEV_NAME, "soft0", 6);
	put_u8(&m, EVENT_TYPE, event);
	end(&m);
	return m;
}

#endif /* TESTS_NETLINK_MESSAGE_H */
