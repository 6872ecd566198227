// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Registries: opening, closing, the shared one. ibc__registries_lock guards the
 * list of them, their counts and which one is shared; reg->lock nests inside.
 */
#include <sched.h>

#include "private.h"

#define MAX_THREADS   1024
#define DRAIN_WARN_MS 10000

static struct ibc_registry *shared; /* ibc__registries_lock */

int ibc__registry_check(struct ibc_registry *reg)
{
	if (!reg || reg->magic != IBC_REGISTRY_MAGIC)
		return EINVAL;
	return reg->generation == ibc__generation ? 0 : ECHILD;
}

static int check_attr(const struct ibc_registry_attr *attr)
{
	const uint32_t flags = IBC_REGISTRY_MANUAL | IBC_REGISTRY_NO_OPEN |
			       IBC_REGISTRY_TRACK_REFS;

	if (!attr)
		return 0;
	if (attr->comp_mask || attr->flags & ~flags ||
	    attr->num_threads > MAX_THREADS)
		return EINVAL;
	if (attr->flags & IBC_REGISTRY_MANUAL && attr->num_threads)
		return EINVAL;
	return 0;
}

/*
 * The struct ends here for who was compiled with the header of 1.0. What follows one
 * day is read only if its comp_mask bit is set.
 */
#define ATTR_SIZE_1_0                                   \
	(offsetof(struct ibc_registry_attr, open_arg) + \
	 sizeof(((struct ibc_registry_attr *)0)->open_arg))

static int copy_attr(struct ibc_registry *reg,
		     const struct ibc_registry_attr *attr)
{
	if (attr)
		memcpy(&reg->attr, attr, ATTR_SIZE_1_0);
	if (!reg->attr.num_threads)
		reg->attr.num_threads = 1;
	if (!reg->attr.drain_warn_ms)
		reg->attr.drain_warn_ms = DRAIN_WARN_MS;
	if (!reg->attr.devices)
		return 0;
	reg->patterns = strdup(reg->attr.devices);
	reg->attr.devices = NULL;
	return reg->patterns ? 0 : ENOMEM;
}

/* IBC_TRACK_REFS=1 does it too */
static int start_tracking(struct ibc_registry *reg)
{
	const char *value = secure_getenv("IBC_TRACK_REFS");
	bool track = reg->attr.flags & IBC_REGISTRY_TRACK_REFS;

	if (value && strcmp(value, "1") == 0)
		track = true;
	else if (value && *value && strcmp(value, "0") != 0)
		ibc__log(reg, IBC_LOG_WARNING,
			 "IBC_TRACK_REFS is \"%s\": not 1 or 0, ignored",
			 value);
	if (!track)
		return 0;
	reg->tracker = ibc__tracker_new();
	reg->plain = 0;
	return reg->tracker ? 0 : ENOMEM;
}

static int init_conditions(struct ibc_registry *reg)
{
	pthread_condattr_t attr;
	int error = pthread_condattr_init(&attr);

	if (error)
		return error;
	error = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (!error)
		error = pthread_cond_init(&reg->changed, &attr);
	if (!error) {
		error = pthread_cond_init(&reg->work, &attr);
		if (error)
			pthread_cond_destroy(&reg->changed);
	}
	pthread_condattr_destroy(&attr);
	return error;
}

static int init_locks(struct ibc_registry *reg)
{
	int error = pthread_mutex_init(&reg->lock, NULL);

	if (error)
		return error;
	error = init_conditions(reg);
	if (error)
		pthread_mutex_destroy(&reg->lock);
	return error;
}

/* nothing that can fail */
static struct ibc_registry *new_registry(void)
{
	struct ibc_registry *reg = calloc(1, sizeof(*reg));
	unsigned int i;

	if (!reg)
		return NULL;
	reg->magic = IBC_REGISTRY_MAGIC;
	reg->generation = reg->plain = ibc__generation;
	reg->count = 1;
	TAILQ_INIT(&reg->clients);
	TAILQ_INIT(&reg->idle_clients);
	TAILQ_INIT(&reg->devices);
	TAILQ_INIT(&reg->ready);
	TAILQ_INIT(&reg->timers);
	reg->logs_end = &reg->logs;
	reg->epoll_fd = reg->wake_fd = reg->timer_fd = -1;
	for (i = 0; i < IBC_NUM_SOURCES; i++)
		reg->sources[i].fd = -1;
	reg->scan_job.reg = reg->reap_job.reg = reg;
	reg->scan_job.run = ibc__scan_job;
	reg->reap_job.run = ibc__reap_deferred;
	return reg;
}

static int start(struct ibc_registry *reg, const struct ibc_registry_attr *attr)
{
	int error = copy_attr(reg, attr);

	if (!error)
		ibc__copies_warn(reg);
	if (!error)
		error = start_tracking(reg);
	if (!error)
		error = ibc__loop_open(reg);
	if (!error)
		ibc__status_open(reg);
	if (!error)
		error = ibc__watch_open(reg);
	if (!error)
		error = ibc__loop_start(reg);
	return error;
}

static void free_clients(struct ibc_registry *reg)
{
	struct ibc__client *c;

	while ((c = TAILQ_FIRST(&reg->idle_clients))) {
		TAILQ_REMOVE(&reg->idle_clients, c, entry);
		free(c);
	}
}

/* no client is left, so no data: the contexts can be closed at once */
static void free_devices(struct ibc_registry *reg)
{
	struct ibv_context *context;
	struct ibc_device *dev;

	ibc__lock(reg);
	while ((dev = TAILQ_FIRST(&reg->devices))) {
		context = dev->context;
		ibc__events_unwatch(dev);
		if (context && !dev->adopted)
			ibc__close_device(dev, context);
		ibc__let_go(dev);
		TAILQ_REMOVE(&reg->devices, dev, entry);
		free(dev->events.current);
		ibc__device_free(dev);
	}
	ibc__unlock(reg);
}

/* nobody else knows it any more */
void ibc__registry_free(struct ibc_registry *reg)
{
	ibc__loop_stop(reg);
	while (atomic_load(&reg->pushers)) /* between a push and its wake */
		sched_yield();
	free_devices(reg);
	ibc__shards_free_all(&reg->shards);
	free_clients(reg);
	ibc__list_free(reg->list);
	ibc__status_close(reg);
	ibc__watch_close(reg);
	ibc__loop_close(reg);
	pthread_cond_destroy(&reg->work);
	pthread_cond_destroy(&reg->changed);
	pthread_mutex_destroy(&reg->lock);
	free(reg->tracker);
	free(reg->patterns);
	reg->magic = 0;
	free(reg);
}

/* no lock held: a log sink may open registries. Not in the list yet */
static struct ibc_registry *make(const struct ibc_registry_attr *attr)
{
	struct ibc_registry *reg = new_registry();
	int error;

	if (!reg)
		return NULL;
	error = init_locks(reg);
	if (error) {
		free(reg);
		return ibc__null(error);
	}
	error = start(reg, attr);
	if (error) {
		ibc__registry_free(reg);
		return ibc__null(error);
	}
	return reg;
}

static struct ibc_registry *open_own(const struct ibc_registry_attr *attr)
{
	struct ibc_registry *reg = make(attr);

	if (!reg)
		return NULL;
	pthread_mutex_lock(&ibc__registries_lock);
	TAILQ_INSERT_TAIL(&ibc__registries, reg, entry);
	pthread_mutex_unlock(&ibc__registries_lock);
	ibc__lock(reg);
	ibc__unlock(reg); /* writes what is to be said */
	return reg;
}

/*
 * Counts one more user of the shared one; if there is none, the candidate, if
 * there is one, becomes it. A child forgets its parent's.
 */
static struct ibc_registry *count_shared(struct ibc_registry *candidate)
{
	struct ibc_registry *reg;

	pthread_mutex_lock(&ibc__registries_lock);
	if (shared && shared->generation != ibc__generation)
		shared = NULL;
	if (shared) {
		shared->count++;
	} else if (candidate) {
		shared = candidate;
		TAILQ_INSERT_TAIL(&ibc__registries, shared, entry);
	}
	reg = shared;
	pthread_mutex_unlock(&ibc__registries_lock);
	return reg;
}

/* of two that are made at once, one is thrown away */
static struct ibc_registry *open_shared(void)
{
	struct ibc_registry *mine, *reg = count_shared(NULL);

	if (reg)
		return reg;
	mine = make(NULL);
	if (!mine)
		return NULL;
	reg = count_shared(mine);
	if (reg != mine)
		ibc__registry_free(mine);
	return reg;
}

struct ibc_registry *ibc_open(const struct ibc_registry_attr *attr)
{
	int error = check_attr(attr);

	if (!error)
		error = ibc__fork_init();
	if (error)
		return ibc__null(error);
	ibc__cpu_init();
	return attr ? open_own(attr) : open_shared();
}

/* ibc__registries_lock held */
static bool in_use(struct ibc_registry *reg)
{
	struct ibc_device *dev;
	bool used;

	ibc__lock(reg);
	used = !TAILQ_EMPTY(&reg->clients);
	TAILQ_FOREACH(dev, &reg->devices, entry)
		used |= ibc__device_users(dev) || dev->handlers.num > 0;
	pthread_mutex_unlock(&reg->lock); /* and leave the log to others */
	return used;
}

/* ibc__registries_lock held; 0 and *last: it is the caller's to free */
static int drop(struct ibc_registry *reg, bool *last)
{
	*last = false;
	if (reg->generation != ibc__generation) {
		ibc__child_release(reg);
		return 0;
	}
	if (reg->count > 1) {
		reg->count--;
		return 0;
	}
	if (in_use(reg))
		return EBUSY;
	if (shared == reg)
		shared = NULL;
	TAILQ_REMOVE(&ibc__registries, reg, entry);
	*last = true;
	return 0;
}

int ibc_close(struct ibc_registry *reg)
{
	bool last;
	int error;

	if (ibc__registry_check(reg) == EINVAL)
		return EINVAL;
	if (ibc__registry_check(reg) == 0 && ibc__in_callback(reg))
		return EDEADLK;
	pthread_mutex_lock(&ibc__registries_lock);
	error = drop(reg, &last);
	pthread_mutex_unlock(&ibc__registries_lock);
	if (last)
		ibc__registry_free(reg);
	return error;
}
