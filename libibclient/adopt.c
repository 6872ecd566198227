// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Contexts that somebody else opened, and what their owners tell of them.
 *
 * An adopted device has no claim on the device list: the list may have the same
 * NIC, opened by the registry, as a device of its own. But once a list had it,
 * a list without it ends it. So the list is read right at the adoption, by the
 * caller: a removal that begins a moment later must not find a device that no
 * list ever had. One that the list does not have then (it is of another network
 * namespace, or going already) ends by what its own descriptor or verbs say.
 */
#include "private.h"

static void identify(struct ibv_context *context, struct ibc__identity *id,
		     char *name, size_t size)
{
	struct ibv_device *device = context->device;

	memset(id, 0, sizeof(*id));
	id->index = -1;
	snprintf(name, size, "(unknown)");
	if (!device)
		return;
	id->index = ibc__backend->get_device_index(device);
	id->guid = ibc__backend->get_device_guid(device);
	snprintf(id->node, sizeof(id->node), "%s",
		 ibc__backend->get_device_node(device));
	if (ibc__backend->read_device_name(device, name, size))
		snprintf(name, size, "%s",
			 ibc__backend->get_device_name(device));
}

static struct ibc_device *find_context(struct ibc_registry *reg,
				       struct ibv_context *context)
{
	struct ibc_device *dev;

	TAILQ_FOREACH(dev, &reg->devices, entry)
		if (dev->context == context)
			return dev;
	return NULL;
}

/* lock held: adopted before, or the registry's own */
static int adopt_again(struct ibc_device *dev, uint32_t flags)
{
	int error = 0;

	if (!ibc__device_live(dev))
		return ENODEV;
	if (dev->adopted && flags & IBC_ADOPT_READ_EVENTS && !dev->read_events)
		error = ibc__events_watch(dev, dev->context, true);
	if (error)
		return error;
	ibc__device_use(dev);
	return 0;
}

/* lock held */
static int adopt_new(struct ibc_registry *reg, struct ibv_context *context,
		     uint32_t flags, const struct ibc__identity *id,
		     const char *name, struct ibc_device **adopted)
{
	struct ibc_device *dev = ibc__device_new(reg, name, id);
	int error;

	if (!dev)
		return ENOMEM;
	dev->adopted = true;
	error = ibc__events_watch(dev, context, flags & IBC_ADOPT_READ_EVENTS);
	if (error) {
		ibc__device_free(dev);
		return error;
	}
	dev->context = context;
	ibc__device_use(dev);
	reg->wanted = true;
	ibc__device_announce(dev);
	ibc__device_insert(dev);
	*adopted = dev;
	return 0;
}

/* no lock held; a list that cannot be read now is read later */
static void look_for_it(struct ibc_registry *reg)
{
	int error = ibc__scan(reg, false, IBC_BY_LIBRARY);

	if (!error)
		return;
	ibc__lock(reg);
	ibc__scan_failed(reg, error);
	ibc__unlock(reg);
}

/* lock held: whether @dev took @owner, who may be NULL */
static bool owned_by(struct ibc_device *dev, const struct ibc__owner *owner)
{
	if (!owner || !dev || !dev->adopted || dev->owner.let_go)
		return false;
	dev->owner = *owner;
	return true;
}

static int check_adoption(struct ibc_registry *reg, struct ibv_context *context,
			  uint32_t flags)
{
	int error = ibc__registry_check(reg);

	if (!error && (!context || flags & ~IBC_ADOPT_READ_EVENTS))
		error = EINVAL;
	return error ? error : ibc__registry_hears(reg);
}

/* *@owner is NULL afterwards if the device has taken him */
static struct ibc_device *adopt(struct ibc_registry *reg,
				struct ibv_context *context, uint32_t flags,
				const struct ibc__owner **owner)
{
	char name[IBC_NAME_MAX];
	struct ibc__identity id;
	struct ibc_device *dev;
	bool again;
	int error = check_adoption(reg, context, flags);

	if (error)
		return ibc__null(error);
	identify(context, &id, name, sizeof(name));
	ibc__lock(reg);
	dev = find_context(reg, context);
	again = dev;
	if (again)
		error = adopt_again(dev, flags);
	else
		error = adopt_new(reg, context, flags, &id, name, &dev);
	if (!error && owned_by(dev, *owner))
		*owner = NULL;
	ibc__unlock(reg);
	if (error)
		return ibc__null(error);
	if (!again)
		look_for_it(reg);
	return dev;
}

struct ibc_device *ibc_adopt_context(struct ibc_registry *reg,
				     struct ibv_context *context,
				     uint32_t flags)
{
	const struct ibc__owner *nobody = NULL;

	return adopt(reg, context, flags, &nobody);
}

struct ibc_device *ibc__adopt_owned(struct ibc_registry *reg,
				    struct ibv_context *context, uint32_t flags,
				    const struct ibc__owner *owner)
{
	struct ibc_device *dev = adopt(reg, context, flags, &owner);
	int error = errno;

	if (owner)
		owner->let_go(owner->arg);
	if (dev) {
		ibc__lock(reg);
		ibc__wait_told(dev);
		ibc__unlock(reg);
	}
	errno = error;
	return dev;
}

struct ibc_device *ibc__adopt_again(struct ibc_registry *reg,
				    struct ibv_context *context, uint32_t flags)
{
	struct ibc_device *dev;
	int error = check_adoption(reg, context, flags);

	if (error)
		return ibc__null(error);
	ibc__lock(reg);
	dev = find_context(reg, context);
	if (!dev || (dev->adopted && !dev->owner.let_go))
		error = ENOENT;
	else
		error = adopt_again(dev, flags);
	if (!error)
		ibc__wait_told(dev);
	ibc__unlock(reg);
	return error ? ibc__null(error) : dev;
}

/* lock held; it is dropped. The context is its owner's again */
void ibc__let_go(struct ibc_device *dev)
{
	struct ibc_registry *reg = dev->reg;
	struct ibc__owner owner = dev->owner;
	struct ibc__frame frame;

	if (!owner.let_go)
		return;
	dev->owner.let_go = NULL;
	ibc__unlock(reg);
	ibc__enter(&frame, reg);
	owner.let_go(owner.arg);
	ibc__leave(&frame);
	ibc__lock(reg);
}

static bool of_object(int type)
{
	enum ibc__element element = ibc__event_element(type);

	return element != IBC_ELEMENT_DEVICE && element != IBC_ELEMENT_PORT;
}

int ibc_report_event(struct ibc_device *dev,
		     const struct ibv_async_event *event)
{
	struct ibc__pending *p;
	int error = ibc__device_check(dev);

	if (error)
		return error;
	if (!event ||
	    ibc__event_element(event->event_type) == IBC_ELEMENT_UNKNOWN)
		return EINVAL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return ENOMEM;
	error = ibc__event_resolve(event, &p->event);
	p->reported = true;
	p->bound = ibc__handlers_bound(dev);
	ibc__lock(dev->reg);
	if (!error &&
	    (dev->state == IBC_DEVICE_GONE ||
	     (dev->state != IBC_DEVICE_LIVE && !of_object(event->event_type))))
		error = ENODEV;
	if (error)
		free(p);
	else
		ibc__event_queue(dev, p);
	ibc__unlock(dev->reg);
	return error;
}

int ibc_report_error(struct ibc_device *dev, int error)
{
	int unusable = ibc__device_check(dev);

	if (unusable)
		return unusable;
	if (error != EIO && error != -EIO && error != ENODEV &&
	    error != -ENODEV)
		return 0;
	ibc__lock(dev->reg);
	ibc__hint_device(dev);
	ibc__unlock(dev->reg);
	return 0;
}
