// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Devices: identity, references, what can be asked of one.
 *
 * The struct lives until its context is closed, gone() has been called, the
 * device list has it no more (or may have it anew), the last user's reference is
 * put and the last handler unregistered. Each name it ever had lives as long.
 */
#include "private.h"

static uint64_t last_incarnation; /* of the process; atomic */

static void device_timer(struct ibc__timer *timer)
{
	struct ibc_device *dev =
		ibc__container_of(timer, struct ibc_device, timer);

	ibc__kick(&dev->job);
}

/* lock held: a device that nobody sees yet, with slots for all clients */
struct ibc_device *ibc__device_new(struct ibc_registry *reg, const char *name,
				   const struct ibc__identity *id)
{
	/* what get reads of it is in its first line */
	struct ibc_device *dev = ibc__calloc_lines(sizeof(*dev));
	unsigned int i;

	if (!dev)
		return NULL;
	dev->magic = IBC_DEVICE_MAGIC;
	dev->reg = reg;
	dev->id = *id;
	dev->incarnation =
		__atomic_add_fetch(&last_incarnation, 1, __ATOMIC_RELAXED);
	dev->timer.fire = device_timer;
	dev->job.reg = reg;
	dev->job.run = ibc__device_step;
	dev->job.rest = ibc__device_rest;
	TAILQ_INIT(&dev->events.queue);
	ibc__handlers_init(dev);
	for (i = 0; i < reg->num_ids; i++)
		if (ibc__slot_make(dev, i))
			goto fail;
	if (ibc__device_rename(dev, name))
		goto fail;
	dev->old_name = NULL;
	return dev;
fail:
	ibc__device_free(dev);
	return NULL;
}

/* lock held: its job runs from now on */
void ibc__device_insert(struct ibc_device *dev)
{
	struct ibc_registry *reg = dev->reg;
	struct ibc__client *c;

	TAILQ_FOREACH(c, &reg->clients, entry) {
		ibc__slot_attach(dev, c);
		if (c->dying)
			ibc__slot(dev, c->id)->status = ESHUTDOWN;
	}
	TAILQ_INSERT_TAIL(&reg->devices, dev, entry);
	ibc__kick(&dev->job);
}

/* lock held; not, or no more, in the registry's list */
void ibc__device_free(struct ibc_device *dev)
{
	struct ibc__pending *p;
	struct ibc__name *name;

	while ((p = ibc__event_pop(dev)))
		free(p);
	while ((name = dev->names)) {
		dev->names = name->next;
		free(name);
	}
	ibc__handlers_free(dev);
	ibc__slots_free(dev);
	dev->magic = 0;
	ibc__free_lines(dev);
}

/*
 * References to the struct. They are got and put without the lock until the device
 * is finished: nobody frees it before that, however few there are, so a put that
 * finds the bit not set has touched the device for the last time. The bit is set
 * under the lock, and from then on each put takes the lock: the last frees.
 */
#define FINISHED (1U << 31)

/* by who has a reference, the lock, or is in a callback for it */
void ibc__device_use(struct ibc_device *dev)
{
	atomic_fetch_add_explicit(&dev->users, 1, memory_order_relaxed);
}

uint32_t ibc__device_users(struct ibc_device *dev)
{
	return atomic_load(&dev->users) & ~FINISHED;
}

/* lock held: gone() has been called for all */
void ibc__device_finish(struct ibc_device *dev)
{
	atomic_fetch_or(&dev->users, FINISHED);
}

bool ibc__device_finished(const struct ibc_device *dev)
{
	return atomic_load(&dev->users) & FINISHED;
}

/* no lock held; false: it takes the lock */
static bool drop_user(struct ibc_device *dev)
{
	uint32_t users = atomic_load(&dev->users);

	do {
		if (!users || users & FINISHED)
			return !users;
	} while (!atomic_compare_exchange_weak(&dev->users, &users, users - 1));
	return true;
}

/* lock held: the job has come to rest */
void ibc__device_rest(struct ibc__job *job)
{
	struct ibc_device *dev = ibc__container_of(job, struct ibc_device, job);

	if (atomic_load(&dev->users) != FINISHED || dev->handlers.num ||
	    dev->reading || dev->claim != IBC_CLAIM_NONE)
		return;
	ibc__timer_stop(dev->reg, &dev->timer);
	TAILQ_REMOVE(&dev->reg->devices, dev, entry);
	ibc__device_free(dev);
}

/* lock held: a user or a handler less; it may go if it was the last */
void ibc__device_unused(struct ibc_device *dev)
{
	if (atomic_load(&dev->users) == FINISHED && !dev->job.running &&
	    !dev->job.queued)
		ibc__device_rest(&dev->job);
}

/* lock held. The job is to look again at @when, if not earlier. */
void ibc__device_at(struct ibc_device *dev, uint64_t when)
{
	if (when && (!dev->timer.armed || dev->timer.at > when))
		ibc__timer_arm(dev->reg, &dev->timer, when);
}

/* lock held */
int ibc__device_rename(struct ibc_device *dev, const char *name)
{
	size_t len = strlen(name) + 1;
	struct ibc__name *new = malloc(sizeof(*new) + len);

	if (!new)
		return ENOMEM;
	memcpy(new->name, name, len);
	new->next = dev->names;
	dev->names = new;
	/* renames that nobody heard of yet are told as one */
	if (!dev->old_name)
		dev->old_name = dev->name;
	else if (dev->rename_cursor && !dev->next_old_name)
		dev->next_old_name = dev->name;
	dev->name = new->name;
	if (new->next)
		IBC_PROBE(rename, dev, (const char *)new->next->name);
	return 0;
}

/* lock held: open, and what was to be opened: lookups find it from now on */
void ibc__device_announce(struct ibc_device *dev)
{
	dev->stage = IBC_STAGE_UP;
	IBC_PROBE(live, dev, (int)dev->adopted);
	dev->announced = true;
	dev->live_since = ibc__now();
	dev->reg->stats.devices_added++;
	ibc__log(dev->reg, IBC_LOG_INFO,
		 "%s: device added (index %d, incarnation %llu%s)", dev->name,
		 dev->id.index, (unsigned long long)dev->incarnation,
		 dev->adopted ? ", adopted" : "");
}

/* what lookups find */
bool ibc__device_live(struct ibc_device *dev)
{
	return dev->stage == IBC_STAGE_UP && dev->state == IBC_DEVICE_LIVE;
}

int ibc__device_check(struct ibc_device *dev)
{
	if (!dev || dev->magic != IBC_DEVICE_MAGIC)
		return EINVAL;
	return dev->reg->generation == ibc__generation ? 0 : ECHILD;
}

/* for what returns no error of its own: false, and errno */
static bool usable(struct ibc_device *dev)
{
	int error = ibc__device_check(dev);

	if (error)
		errno = error;
	return !error;
}

struct ibv_context *ibc_device_context(struct ibc_device *dev)
{
	struct ibv_context *context;

	if (!usable(dev))
		return NULL;
	context = dev->context;
	return context ? context : ibc__null(ENODEV);
}

const char *ibc_device_name(struct ibc_device *dev)
{
	return usable(dev) ? dev->name : NULL;
}

int ibc_device_index(struct ibc_device *dev)
{
	return usable(dev) ? dev->id.index : -1;
}

__be64 ibc_device_guid(struct ibc_device *dev)
{
	return usable(dev) ? __atomic_load_n(&dev->id.guid, __ATOMIC_RELAXED) :
			     0;
}

uint64_t ibc_device_incarnation(struct ibc_device *dev)
{
	return usable(dev) ? dev->incarnation : 0;
}

enum ibc_device_state ibc_device_state(struct ibc_device *dev)
{
	return usable(dev) ? (enum ibc_device_state)dev->state :
			     IBC_DEVICE_GONE;
}

bool ibc_device_adopted(struct ibc_device *dev)
{
	return usable(dev) && dev->adopted;
}

struct ibc_registry *ibc_device_registry(struct ibc_device *dev)
{
	return usable(dev) ? dev->reg : NULL;
}

struct ibc_device *ibc_get_device(struct ibc_device *dev)
{
	if (!usable(dev))
		return NULL;
	ibc__device_use(dev);
	return dev;
}

void ibc_put_device(struct ibc_device *dev)
{
	struct ibc_registry *reg;

	if (ibc__device_check(dev) || drop_user(dev))
		return;
	reg = dev->reg;
	ibc__lock(reg);
	if (ibc__device_users(dev)) {
		atomic_fetch_sub(&dev->users, 1);
		ibc__device_unused(dev);
	}
	ibc__unlock(reg);
}
