/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What ibc_devices knows of a device. */
#ifndef IBC_TOOLS_ROW_H
#define IBC_TOOLS_ROW_H

#include <stdbool.h>

#include <infiniband/ibclient.h>

struct port {
	int error; /* of ibv_query_port() */
	struct ibv_port_attr attr;
	unsigned int gids;
};

struct row {
	struct row *next;
	char *name;
	int index;
	__be64 guid;
	uint64_t incarnation;
	enum ibc_device_state state;
	char node[64];
	int error; /* of ibv_query_device() */
	struct ibv_device_attr attr;
	struct port *ports; /* attr.phys_port_cnt of them */
};

/* While the device's context is open; verbose: GIDs are counted, too. */
struct row *row_new(struct ibc_device *dev, bool verbose);
void row_free(struct row *row);

const char *row_state(enum ibc_device_state state);
const char *port_state(const struct port *port);
const char *link_layer(const struct port *port);
int port_mtu(enum ibv_mtu value);

#endif /* IBC_TOOLS_ROW_H */
