// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * librdmacm's contexts as devices of a registry. There is no state here: which
 * context is which device the registry knows, and what keeps a context open it
 * lets go by itself (owner.h of libibclient).
 */
#include <errno.h>

#include <infiniband/ibclient_rdmacm.h>

#include "../libibclient/owner.h"
#include "keep.h"

/*
 * Two threads may both find none and make a keep each: the registry takes one of
 * them, and lets the other go.
 */
struct ibc_device *ibc_get_rdmacm_device(struct ibc_registry *reg,
					 struct rdma_cm_id *id,
					 uint32_t adopt_flags)
{
	struct ibc__owner owner = { .let_go = ibc__keep_drop };
	struct ibc_device *dev;

	if (!id || !id->verbs) {
		errno = EINVAL;
		return NULL;
	}
	dev = ibc__adopt_again(reg, id->verbs, adopt_flags);
	if (dev || errno != ENOENT)
		return dev;
	owner.arg = ibc__keep(id);
	if (!owner.arg)
		return NULL;
	return ibc__adopt_owned(reg, id->verbs, adopt_flags, &owner);
}

static int check(struct ibc_registry *reg)
{
	struct ibc_stats stats;

	return ibc_query_stats(reg, &stats, sizeof(stats));
}

/* the context that the event is about, which is that of the id */
struct removed {
	struct ibv_context *verbs;
	int index;
	__be64 guid;
};

/* the registry's own on the same hardware, and what others lent of it: a hint */
static int hint(struct ibc_device *dev, void *arg)
{
	const struct removed *removed = arg;

	if (ibc_device_context(dev) == removed->verbs)
		ibc_remove_device(dev);
	else if (ibc_device_index(dev) == removed->index &&
		 ibc_device_guid(dev) == removed->guid)
		ibc_report_error(dev, ENODEV);
	return 0;
}

int ibc_report_rdmacm_event(struct ibc_registry *reg,
			    const struct rdma_cm_event *event)
{
	struct removed removed;
	int error = check(reg);

	if (error)
		return error;
	if (!event)
		return EINVAL;
	if (event->event != RDMA_CM_EVENT_DEVICE_REMOVAL || !event->id ||
	    !event->id->verbs)
		return 0;
	removed.verbs = event->id->verbs;
	removed.index = ibv_get_device_index(removed.verbs->device);
	removed.guid = ibv_get_device_guid(removed.verbs->device);
	return ibc_for_each_device(reg, hint, &removed);
}

int ibc_release_rdmacm_devices(struct ibc_registry *reg)
{
	struct ibv_context **list;
	int error = check(reg);

	if (error)
		return error;
	errno = 0;
	list = rdma_get_devices(NULL);
	if (!list)
		return errno ? errno : ENODEV;
	rdma_free_devices(list);
	return 0;
}
