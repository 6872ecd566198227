// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Finding devices. A walk down the list: nobody does this per request. */
#include "private.h"

struct key {
	const char *name;
	int index;
	struct ibv_context *context;
};

static bool matches(struct ibc_device *dev, const struct key *key)
{
	if (key->name)
		return strcmp(dev->name, key->name) == 0;
	if (key->context)
		return dev->context == key->context;
	return dev->id.index == key->index;
}

/* the registry's own device is preferred to an adopted one */
static struct ibc_device *find(struct ibc_registry *reg, const struct key *key)
{
	struct ibc_device *dev, *found = NULL;

	TAILQ_FOREACH(dev, &reg->devices, entry) {
		if (!ibc__device_live(dev) || !matches(dev, key))
			continue;
		if (!found || !dev->adopted)
			found = dev;
		if (!dev->adopted)
			break;
	}
	return found;
}

static struct ibc_device *lookup(struct ibc_registry *reg,
				 const struct key *key, bool valid)
{
	struct ibc_device *dev;
	int error = ibc__registry_check(reg);

	if (!error && !valid)
		error = EINVAL;
	if (error)
		return ibc__null(error);
	ibc__lock(reg);
	dev = find(reg, key);
	if (dev)
		ibc__device_use(dev);
	ibc__unlock(reg);
	return dev ? dev : ibc__null(ENODEV);
}

struct ibc_device *ibc_get_device_by_name(struct ibc_registry *reg,
					  const char *name)
{
	return lookup(reg, &(struct key){ .name = name }, name);
}

struct ibc_device *ibc_get_device_by_index(struct ibc_registry *reg, int index)
{
	return lookup(reg, &(struct key){ .index = index }, index >= 0);
}

struct ibc_device *ibc_get_device_by_context(struct ibc_registry *reg,
					     struct ibv_context *context)
{
	return lookup(reg, &(struct key){ .context = context }, context);
}

/* lock held: the live devices, each with a reference; n of them */
static struct ibc_device **snapshot(struct ibc_registry *reg, unsigned int *n)
{
	struct ibc_device *dev, **devs;
	unsigned int max = 1;

	TAILQ_FOREACH(dev, &reg->devices, entry)
		max++;
	devs = calloc(max, sizeof(*devs));
	*n = 0;
	if (!devs)
		return NULL;
	TAILQ_FOREACH(dev, &reg->devices, entry) {
		if (!ibc__device_live(dev))
			continue;
		ibc__device_use(dev);
		devs[(*n)++] = dev;
	}
	return devs;
}

/* lock held; it is dropped for the call. The pin keeps the context open. */
static int visit(struct ibc_device *dev,
		 int (*fn)(struct ibc_device *dev, void *arg), void *arg)
{
	struct ibc_registry *reg = dev->reg;
	struct ibc__frame frame;
	int ret;

	if (!ibc__device_live(dev))
		return 0;
	dev->pins++;
	ibc__unlock(reg);
	ibc__enter(&frame, reg);
	ret = fn(dev, arg);
	ibc__leave(&frame);
	ibc__lock(reg);
	dev->pins--;
	ibc__kick(&dev->job);
	return ret;
}

int ibc_for_each_device(struct ibc_registry *reg,
			int (*fn)(struct ibc_device *dev, void *arg), void *arg)
{
	struct ibc_device **devs;
	unsigned int i, n;
	int ret = ibc__registry_check(reg);

	if (!ret && !fn)
		ret = EINVAL;
	if (ret)
		return ret;
	ibc__lock(reg);
	devs = snapshot(reg, &n);
	if (!devs)
		ret = ENOMEM;
	for (i = 0; i < n && !ret; i++)
		ret = visit(devs[i], fn, arg);
	ibc__unlock(reg);
	for (i = 0; i < n; i++)
		ibc_put_device(devs[i]);
	free(devs);
	return ret;
}
