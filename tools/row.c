// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "row.h"

static void count_gids(struct ibv_context *context, struct row *row)
{
	struct ibv_gid_entry *gids;
	size_t size = 0;
	ssize_t i, n;

	for (i = 0; i < row->attr.phys_port_cnt; i++)
		size += row->ports[i].attr.gid_tbl_len;
	gids = calloc(size ? size : 1, sizeof(*gids));
	if (!gids)
		return;
	n = size ? ibv_query_gid_table(context, gids, size, 0) : 0;
	for (i = 0; i < n; i++) {
		if (gids[i].port_num >= 1 &&
		    gids[i].port_num <= row->attr.phys_port_cnt)
			row->ports[gids[i].port_num - 1].gids++;
	}
	free(gids);
}

static void query_ports(struct ibv_context *context, struct row *row,
			bool verbose)
{
	unsigned int i;

	row->ports = calloc(row->attr.phys_port_cnt + 1U, sizeof(*row->ports));
	if (!row->ports) {
		row->error = ENOMEM;
		row->attr.phys_port_cnt = 0;
		return;
	}
	for (i = 0; i < row->attr.phys_port_cnt; i++)
		row->ports[i].error = ibv_query_port(context, (uint8_t)(i + 1),
						     &row->ports[i].attr);
	if (verbose)
		count_gids(context, row);
}

static void query(struct ibv_context *context, struct row *row, bool verbose)
{
	snprintf(row->node, sizeof(row->node), "%s", context->device->dev_name);
	row->error = ibv_query_device(context, &row->attr);
	if (row->error)
		memset(&row->attr, 0, sizeof(row->attr));
	query_ports(context, row, verbose);
}

struct row *row_new(struct ibc_device *dev, bool verbose)
{
	struct row *row = calloc(1, sizeof(*row));

	if (row)
		row->name = strdup(ibc_device_name(dev));
	if (!row || !row->name) {
		free(row);
		return NULL;
	}
	row->index = ibc_device_index(dev);
	row->guid = ibc_device_guid(dev);
	row->incarnation = ibc_device_incarnation(dev);
	row->state = ibc_device_state(dev);
	query(ibc_device_context(dev), row, verbose);
	return row;
}

void row_free(struct row *row)
{
	free(row->ports);
	free(row->name);
	free(row);
}

const char *row_state(enum ibc_device_state state)
{
	switch (state) {
	case IBC_DEVICE_LIVE:
		return "live";
	case IBC_DEVICE_REMOVING:
		return "removing";
	case IBC_DEVICE_DRAINING:
		return "draining";
	case IBC_DEVICE_GONE:
		break;
	}
	return "gone";
}

const char *port_state(const struct port *port)
{
	if (port->error)
		return "unknown";
	switch (port->attr.state) {
	case IBV_PORT_DOWN:
		return "down";
	case IBV_PORT_INIT:
		return "init";
	case IBV_PORT_ARMED:
		return "armed";
	case IBV_PORT_ACTIVE:
		return "active";
	case IBV_PORT_ACTIVE_DEFER:
		return "active-defer";
	default:
		return "unknown";
	}
}

const char *link_layer(const struct port *port)
{
	switch (port->attr.link_layer) {
	case IBV_LINK_LAYER_ETHERNET:
		return "Ethernet";
	case IBV_LINK_LAYER_INFINIBAND:
		return "InfiniBand";
	default:
		return "unspecified";
	}
}

int port_mtu(enum ibv_mtu value)
{
	return value >= IBV_MTU_256 && value <= IBV_MTU_4096 ? 128 << value : 0;
}
