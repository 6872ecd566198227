// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Ports, GIDs and P_Keys: each change is told to the open contexts. */
#include <errno.h>
#include <string.h>

#include <infiniband/verbs.h>

#include "control.h"

/* with the lock held: the device, and one of its ports */
static int find_port(struct softverbs *sv, const char *name, uint32_t port,
		     struct sv_device *dev, struct sv_port **p)
{
	int error = sv_device_find(sv, name, dev);

	if (error)
		return error;
	if (!port || port > dev->state.num_ports) {
		sv_device_done(dev);
		return EINVAL;
	}
	*p = &dev->state.ports[port - 1];
	return 0;
}

/* stores what was changed, tells of it, and releases the lock */
static int changed(struct sv_device *dev, uint32_t type, uint32_t port)
{
	int error = sv_state_store(dev->dir, &dev->state);

	if (!error)
		error = sv_device_tell(dev, type, port);
	sv_device_done(dev);
	return error;
}

int softverbs_set_port(struct softverbs *sv, const char *name, uint32_t port,
		       bool up)
{
	struct sv_device dev;
	struct sv_port *p;
	int error = find_port(sv, name, port, &dev, &p);

	if (error)
		return error;
	if (p->up == up) {
		sv_device_done(&dev);
		return 0;
	}
	p->up = up;
	return changed(&dev, up ? IBV_EVENT_PORT_ACTIVE : IBV_EVENT_PORT_ERR,
		       port);
}

int sv_set_gid(struct softverbs *sv, const char *name, uint32_t port,
	       uint32_t index, const char *gid)
{
	struct sv_device dev;
	struct sv_port *p;
	uint8_t value[16];
	int error;

	if (index >= SV_NUM_GIDS || sv_parse_gid(gid, value))
		return EINVAL;
	error = find_port(sv, name, port, &dev, &p);
	if (error)
		return error;
	memcpy(p->gid[index], value, sizeof(value));
	return changed(&dev, IBV_EVENT_GID_CHANGE, port);
}

int sv_set_pkey(struct softverbs *sv, const char *name, uint32_t port,
		uint32_t index, uint32_t pkey)
{
	struct sv_device dev;
	struct sv_port *p;
	int error;

	if (index >= SV_NUM_PKEYS || pkey > 0xffff)
		return EINVAL;
	error = find_port(sv, name, port, &dev, &p);
	if (error)
		return error;
	p->pkey[index] = pkey;
	return changed(&dev, IBV_EVENT_PKEY_CHANGE, port);
}
