// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A PD for each device: one client for each registry that wants some.
 *
 * A sharer is such a registry's client and the number of ibc_open_pds(). Sharers
 * are never freed, so that ibc_get_pd() walks their list without a lock; one that
 * is not used any more serves the next registry. Who finds a sharer has its client
 * registered: it has called ibc_open_pds() and not taken that back yet.
 *
 * lock guards the counts, and that a registry has one sharer. It is not held while
 * the client is registered or unregistered: both wait for callbacks of others, which
 * may want the lock. Who comes meanwhile waits for the former, so that he does not
 * return before the devices have been told of; but not in a callback, which
 * it may be waiting for. While a client is unregistered its sharer is nobody's.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include <infiniband/ibclient_pd.h>

struct sharer {
	struct sharer *next; /* written before it is in the list */
	_Atomic(struct ibc_registry *) reg; /* NULL: of none */
	struct ibc_client client;
	/* lock */
	unsigned int opens;
	bool used;	 /* by ->reg, or until it is unregistered there */
	bool registered; /* devices have been told of */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static _Atomic(struct sharer *) sharers;

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void init(void)
{
	pthread_atfork(before_fork, after_fork, after_fork);
}

static struct ibc_pd *of_data(struct ibc_client_data *data)
{
	return (struct ibc_pd *)data; /* it is the first member */
}

/* ---- the client ---- */

static struct ibc_client_data *alloc_pd(struct ibc_client *client,
					struct ibc_device *dev)
{
	struct ibc_pd *pd = calloc(1, sizeof(*pd));
	int error;

	(void)client;
	if (!pd)
		return NULL;
	pd->pd = ibv_alloc_pd(ibc_device_context(dev));
	if (pd->pd)
		return &pd->data;
	error = errno;
	free(pd);
	errno = error;
	return NULL;
}

/* of a device that went it may fail, and there is nothing to be done */
static void free_pd(struct ibc_client_data *data)
{
	ibv_dealloc_pd(of_data(data)->pd);
	free(of_data(data));
}

static const struct ibc_client client_of_pds = {
	.name = "pd",
	.alloc_client_data = alloc_pd,
	.free_client_data = free_pd,
};

/* ---- which one ---- */

static struct sharer *find(struct ibc_registry *reg)
{
	struct sharer *s = atomic_load_explicit(&sharers, memory_order_acquire);

	while (s && atomic_load_explicit(&s->reg, memory_order_acquire) != reg)
		s = s->next;
	return s;
}

/* lock held: one of no registry */
static struct sharer *unused(void)
{
	struct sharer *s;

	for (s = atomic_load(&sharers); s; s = s->next)
		if (!s->used)
			return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->next = atomic_load(&sharers);
	atomic_store_explicit(&sharers, s, memory_order_release);
	return s;
}

/* ---- counting ---- */

static void free_probe(struct ibc_client *probe)
{
	free(probe);
}

/* no lock held. What would wait is refused there, and only there */
static bool in_callback(struct ibc_registry *reg)
{
	struct ibc_client *probe = calloc(1, sizeof(*probe));
	bool refused;

	if (!probe)
		return true;
	probe->name = "pd probe";
	if (ibc_register_client(reg, probe)) {
		free(probe);
		return true;
	}
	refused = ibc_unregister_client(probe);
	if (!refused)
		free(probe);
	else
		ibc_unregister_client_async(probe, free_probe);
	return refused;
}

/* lock held, and dropped meanwhile */
static int open_first(struct ibc_registry *reg)
{
	struct sharer *s = unused();
	int error;

	if (!s)
		return ENOMEM;
	s->client = client_of_pds;
	s->used = true;
	s->opens = 1;
	atomic_store_explicit(&s->reg, reg, memory_order_release);
	pthread_mutex_unlock(&lock);
	error = ibc_register_client(reg, &s->client);
	pthread_mutex_lock(&lock);
	s->registered = !error;
	if (error) {
		atomic_store(&s->reg, NULL);
		s->used = false;
	}
	pthread_cond_broadcast(&changed);
	return error;
}

/* lock held, and dropped meanwhile. False: there is none any more */
static bool open_again(struct ibc_registry *reg, struct sharer *s)
{
	bool waits;

	if (!s->registered) {
		pthread_mutex_unlock(&lock);
		waits = !in_callback(reg);
		pthread_mutex_lock(&lock);
		while (waits && find(reg) == s && !s->registered)
			pthread_cond_wait(&changed, &lock);
	}
	if (find(reg) != s)
		return false;
	s->opens++;
	return true;
}

/* a registry, and this process's: a child inherits sharers, but no client */
static int check(struct ibc_registry *reg)
{
	struct ibc_stats stats;

	return ibc_query_stats(reg, &stats, sizeof(stats));
}

int ibc_open_pds(struct ibc_registry *reg)
{
	struct sharer *s;
	int error = check(reg);

	if (error)
		return error;
	pthread_mutex_lock(&lock);
	do
		s = find(reg);
	while (s && !open_again(reg, s));
	if (!s)
		error = open_first(reg);
	pthread_mutex_unlock(&lock);
	return error;
}

/* lock held, and dropped meanwhile */
static int close_last(struct sharer *s)
{
	struct ibc_registry *reg = atomic_load(&s->reg);
	int error;

	atomic_store(&s->reg, NULL);
	s->opens = 0;
	pthread_mutex_unlock(&lock);
	error = ibc_unregister_client(&s->client);
	pthread_mutex_lock(&lock);
	if (error) {
		s->opens = 1;
		atomic_store(&s->reg, reg);
		return error;
	}
	s->registered = s->used = false;
	return 0;
}

int ibc_close_pds(struct ibc_registry *reg)
{
	struct sharer *s;
	int error = check(reg);

	if (error)
		return error;
	pthread_mutex_lock(&lock);
	s = find(reg);
	if (!s)
		error = EINVAL;
	else if (s->opens > 1)
		s->opens--;
	else
		error = close_last(s);
	pthread_mutex_unlock(&lock);
	return error;
}

/* ---- the PD ---- */

struct ibc_pd *ibc_get_pd(struct ibc_device *dev)
{
	struct ibc_registry *reg = ibc_device_registry(dev);
	struct sharer *s;

	if (!reg)
		return NULL; /* and errno */
	s = find(reg);
	if (!s) {
		errno = EINVAL;
		return NULL;
	}
	return of_data(ibc_alloc_or_get_client_data(dev, &s->client));
}

void ibc_hold_pd(struct ibc_pd *pd)
{
	if (pd)
		ibc_hold_client_data(&pd->data);
}

void ibc_put_pd(struct ibc_pd *pd)
{
	if (pd)
		ibc_put_client_data(&pd->data);
}
