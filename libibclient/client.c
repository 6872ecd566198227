// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Clients: registration. client->opaque[0] points to the library's record of
 * the client, opaque[1] is a cookie. Records are type-stable, reused but never
 * freed before the registry: a get beside an unregister may still look at one.
 */
#include "quick.h"

static uintptr_t cookie(struct ibc_client *client, struct ibc__client *c)
{
	return (uintptr_t)client ^ (uintptr_t)c ^ 0x1bcc71e;
}

/* the record of a registered client, else NULL: no lock */
struct ibc__client *ibc__client_of(struct ibc_client *client)
{
	uintptr_t c = __atomic_load_n(&client->opaque[0], __ATOMIC_ACQUIRE);
	uintptr_t check = __atomic_load_n(&client->opaque[1], __ATOMIC_RELAXED);

	if (!c || check != cookie(client, (struct ibc__client *)c))
		return NULL;
	return (struct ibc__client *)c;
}

static void set_record(struct ibc_client *client, struct ibc__client *c)
{
	uintptr_t check = c ? cookie(client, c) : 0;

	__atomic_store_n(&client->opaque[1], check, __ATOMIC_RELAXED);
	__atomic_store_n(&client->opaque[0], (uintptr_t)c, __ATOMIC_RELEASE);
	ibc__quick_client(client, c);
}

const char *ibc__client_name(struct ibc__client *c)
{
	return c->client->name ? c->client->name : "(unnamed)";
}

static int check_client(struct ibc_client *client)
{
	const uint32_t flags = IBC_CLIENT_FREE_UNUSED | IBC_CLIENT_DEFER_FREE;
	unsigned int i;

	if (!client || client->comp_mask || client->flags & ~flags)
		return EINVAL;
	if (ibc__client_of(client))
		return EBUSY;
	for (i = 0; i < sizeof(client->opaque) / sizeof(uintptr_t); i++)
		if (client->opaque[i])
			return EINVAL;
	return 0;
}

/* lock held */
static struct ibc__client *get_record(struct ibc_registry *reg)
{
	struct ibc__client *c = TAILQ_FIRST(&reg->idle_clients);

	if (c) {
		TAILQ_REMOVE(&reg->idle_clients, c, entry);
		return c;
	}
	if (reg->num_ids == IBC_MAX_CLIENTS)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->reg = reg;
	c->id = reg->num_ids++;
	c->job.reg = reg;
	return c;
}

/* lock held; the last one makes the record free for the next client */
void ibc__client_put(struct ibc__client *c)
{
	if (--c->refs == 0)
		TAILQ_INSERT_HEAD(&c->reg->idle_clients, c, entry);
}

/* lock held */
static int make_slots(struct ibc_registry *reg, struct ibc__client *c)
{
	struct ibc_device *dev;
	int error;

	TAILQ_FOREACH(dev, &reg->devices, entry) {
		error = ibc__slot_make(dev, c->id);
		if (error)
			return error;
	}
	return 0;
}

static void init_record(struct ibc__client *c, struct ibc_client *client)
{
	c->client = client;
	c->flags = client->flags;
	c->seq = ++c->reg->client_seq;
	c->refs = 1;
	c->dying = c->claimed = c->finished = false;
	c->done = NULL;
}

/* lock held; from here on the devices' jobs see the client */
static int insert(struct ibc_registry *reg, struct ibc_client *client,
		  struct ibc__client **record)
{
	struct ibc__client *c = get_record(reg);
	struct ibc_device *dev;
	int error;

	if (!c)
		return ENOMEM;
	error = make_slots(reg, c);
	if (error) {
		TAILQ_INSERT_HEAD(&reg->idle_clients, c, entry);
		return error;
	}
	init_record(c, client);
	TAILQ_FOREACH(dev, &reg->devices, entry)
		ibc__slot_attach(dev, c);
	TAILQ_INSERT_TAIL(&reg->clients, c, entry);
	set_record(client, c);
	reg->wanted = true;
	TAILQ_FOREACH(dev, &reg->devices, entry)
		ibc__kick(&dev->job);
	*record = c;
	return 0;
}

struct wait {
	struct ibc__client *c;
	uint64_t newest; /* incarnation */
};

/* nothing more to wait for: add() has run, or the device does not open */
static bool settled(struct ibc_device *dev, struct ibc__client *c)
{
	if (dev->state != IBC_DEVICE_LIVE)
		return true;
	if (dev->stage == IBC_STAGE_LISTED)
		return dev->failures;
	if (dev->stage == IBC_STAGE_VERIFY)
		return dev->stalled;
	return ibc__slot(dev, c->id)->tried;
}

static bool waits_for(const struct wait *wait, struct ibc_device *dev)
{
	return dev->incarnation <= wait->newest && !settled(dev, wait->c);
}

static bool all_settled(void *arg)
{
	struct wait *wait = arg;
	struct ibc_device *dev;

	if (wait->c->dying)
		return true;
	TAILQ_FOREACH(dev, &wait->c->reg->devices, entry)
		if (waits_for(wait, dev))
			return false;
	return true;
}

static unsigned int num_unsettled(const struct wait *wait)
{
	struct ibc_device *dev;
	unsigned int num = 0;

	TAILQ_FOREACH(dev, &wait->c->reg->devices, entry)
		num += waits_for(wait, dev);
	return num;
}

/* lock held */
static void wait_for_adds(struct ibc_registry *reg, struct ibc__client *c)
{
	struct ibc_device *last = TAILQ_LAST(&reg->devices, ibc__devices);
	struct wait wait = { c, last ? last->incarnation : 0 };

	c->refs++;
	ibc__help_open(reg);
	ibc__linger_for_adds(c, num_unsettled(&wait));
	ibc__wait(reg, all_settled, &wait, IBC_FOREVER);
	ibc__client_put(c);
}

static bool all_told(void *arg)
{
	struct ibc_device *dev = arg;
	struct ibc__client *c;

	TAILQ_FOREACH(c, &dev->reg->clients, entry)
		if (!c->dying && !settled(dev, c))
			return false;
	return true;
}

/*
 * Lock held; it is dropped while there is something to wait for. The caller has a
 * reference. In a callback it does not wait.
 */
void ibc__wait_told(struct ibc_device *dev)
{
	if (!all_told(dev) && !ibc__in_callback(dev->reg))
		ibc__wait(dev->reg, all_told, dev, IBC_FOREVER);
}

/* the devices' list is another job's to read */
static int register_in_callback(struct ibc_registry *reg,
				struct ibc_client *client)
{
	struct ibc__client *c;
	int error;

	ibc__lock(reg);
	error = insert(reg, client, &c);
	if (!error)
		ibc__kick(&reg->scan_job);
	ibc__unlock(reg);
	return error;
}

/*
 * Between the first list and the client the lock is not dropped: whoever is woken by
 * the devices that came finds somebody to open them for.
 */
static int register_and_wait(struct ibc_registry *reg,
			     struct ibc_client *client)
{
	struct ibc__client *c;
	struct ibc__list *old;
	int error;

	reg->registering++;
	error = ibc__scan_and_lock(reg, false, IBC_BY_LIBRARY, &old);
	ibc__list_drop(reg, old);
	if (!error)
		error = insert(reg, client, &c);
	if (!error)
		wait_for_adds(reg, c);
	reg->registering--;
	ibc__unlock(reg);
	return error;
}

int ibc_register_client(struct ibc_registry *reg, struct ibc_client *client)
{
	int error = ibc__registry_check(reg);

	if (!error)
		error = check_client(client);
	if (!error)
		error = ibc__registry_hears(reg);
	if (error)
		return error;
	if (ibc__in_callback(reg))
		return register_in_callback(reg, client);
	return register_and_wait(reg, client);
}

/* lock held: nothing is left of the client; from here on it is its owner's */
void ibc__client_finish(struct ibc__client *c)
{
	TAILQ_REMOVE(&c->reg->clients, c, entry);
	c->finished = true;
	set_record(c->client, NULL);
	ibc__changed(c->reg);
}
