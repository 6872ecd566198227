// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Devices. Each is opened once, and then shared by all ids and lists, as
 * librdmacm does it: what a program made on id->verbs may live longer than the
 * id. One that leaves the fabric's list is told of by DEVICE_REMOVAL, and
 * closed when the last id has let go of it.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cm.h"

/* before cm_lock; not in our thread, which must not wait for a slow device */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cm_device *devices;

struct softverbs *cm_fabric(void)
{
	return sv_open_existing(NULL);
}

/*
 * In the child, with cm_lock: who held the other lock is not there. Verbs do
 * nothing on contexts of the parent, so the child opens devices of its own; what
 * it has inherited stays as it is until it ends.
 */
void cm_devices_forked(void)
{
	pthread_mutex_init(&open_lock, NULL);
	devices = NULL;
}

/* ---- which one ---- */

struct wanted {
	const char *fabric;
	const char *name; /* NULL: the first that is active */
	uint32_t port;	  /* 0: the first that is active */
	char node[SV_NODE_MAX];
	uint32_t index;
	__be64 guid;
	union ibv_gid gid; /* of the port */
};

static uint32_t active_port(const struct sv_state *state)
{
	uint32_t i;

	for (i = 0; i < state->num_ports; i++)
		if (state->ports[i].up)
			return i + 1;
	return 0;
}

static int want(struct sv_device *dev, void *arg)
{
	const struct sv_state *state = &dev->state;
	struct wanted *wanted = arg;
	uint32_t port = wanted->port ? wanted->port : active_port(state);

	if (wanted->name && strcmp(wanted->name, state->name))
		return 0;
	/* one that has no active port will do, if it was asked for */
	if (!port && wanted->name)
		port = 1;
	if (!port || port > state->num_ports)
		return 0;
	/* the order of a directory says nothing */
	if (wanted->node[0] && wanted->index < state->index)
		return 0;
	memcpy(wanted->node, dev->node, sizeof(wanted->node));
	wanted->index = state->index;
	wanted->guid = state->guid;
	return 0;
}

/* the port of that very device, once it is known */
static int want_port(struct sv_device *dev, void *arg)
{
	struct wanted *wanted = arg;

	if (dev->state.index != wanted->index)
		return 0;
	if (!wanted->port)
		wanted->port = active_port(&dev->state);
	if (!wanted->port)
		wanted->port = 1;
	memcpy(&wanted->gid, dev->state.ports[wanted->port - 1].gid[0],
	       sizeof(wanted->gid));
	return 1;
}

static int find_wanted(struct softverbs *sv, const struct cm_address *address,
		       struct wanted *wanted)
{
	char name[SV_NAME_MAX];
	uint32_t port = 0;

	memset(wanted, 0, sizeof(*wanted));
	wanted->fabric = sv->path;
	if (cm_address_is_given(sv, address, name, &port)) {
		wanted->name = name;
		wanted->port = port;
	}
	sv_device_each(sv, want, wanted);
	wanted->name = NULL;
	if (!wanted->node[0] || sv_device_each(sv, want_port, wanted) != 1)
		return ENODEV;
	return 0;
}

int cm_place_gid(const struct cm_address *address, union ibv_gid *gid)
{
	struct softverbs *sv = cm_fabric();
	struct wanted wanted;
	int error = sv ? find_wanted(sv, address, &wanted) : ENODEV;

	softverbs_close(sv);
	if (!error)
		*gid = wanted.gid;
	return error;
}

/* ---- opening ---- */

static struct ibv_context *open_wanted(const struct wanted *wanted)
{
	struct ibv_device **list = CM_VERB(ibv_get_device_list)(NULL);
	struct ibv_context *verbs = NULL;
	int i;

	for (i = 0; list && list[i] && !verbs; i++)
		if (!strcmp(list[i]->dev_name, wanted->node) &&
		    CM_VERB(ibv_get_device_guid)(list[i]) == wanted->guid)
			verbs = CM_VERB(ibv_open_device)(list[i]);
	if (list)
		CM_VERB(ibv_free_device_list)(list);
	return verbs;
}

static void close_device(struct cm_device *dev)
{
	if (dev->pd)
		CM_VERB(ibv_dealloc_pd)(dev->pd);
	if (dev->verbs)
		CM_VERB(ibv_close_device)(dev->verbs);
	free(dev->fabric);
	free(dev);
}

static struct cm_device *make_device(const struct wanted *wanted)
{
	struct cm_device *dev = calloc(1, sizeof(*dev));
	struct ibv_device_attr attr;

	if (!dev)
		return NULL;
	dev->fabric = strdup(wanted->fabric);
	dev->verbs = open_wanted(wanted);
	if (!dev->fabric || !dev->verbs ||
	    CM_VERB(ibv_query_device)(dev->verbs, &attr)) {
		close_device(dev);
		return NULL;
	}
	memcpy(dev->node, wanted->node, sizeof(dev->node));
	dev->index = wanted->index;
	dev->max_rd_atomic = attr.max_qp_rd_atom;
	return dev;
}

static struct cm_device *find_open(const struct wanted *wanted)
{
	struct cm_device *dev;

	for (dev = devices; dev; dev = dev->next)
		if (dev->index == wanted->index && !dev->removed &&
		    !strcmp(dev->fabric, wanted->fabric))
			return dev;
	return NULL;
}

static struct cm_device *get_open(const struct wanted *wanted)
{
	struct cm_device *dev;

	pthread_mutex_lock(&cm_lock);
	dev = find_open(wanted);
	if (dev)
		dev->refs++;
	pthread_mutex_unlock(&cm_lock);
	return dev;
}

/* lock held: with the first reference */
static void add_device(struct cm_device *dev)
{
	dev->refs = 1;
	dev->next = devices;
	devices = dev;
	cm_watch_devices(dev->fabric);
	/* it may have gone before we knew of it */
	cm_devices_check();
}

static int get_device(const struct wanted *wanted, struct cm_device **found)
{
	struct cm_device *dev;

	pthread_mutex_lock(&open_lock);
	dev = get_open(wanted);
	if (!dev) {
		dev = make_device(wanted);
		pthread_mutex_lock(&cm_lock);
		if (dev)
			add_device(dev);
		pthread_mutex_unlock(&cm_lock);
	}
	pthread_mutex_unlock(&open_lock);
	*found = dev;
	return dev ? 0 : ENODEV;
}

/* the struct of verbs.h is longer than what the plain function fills */
static int query_port(struct ibv_context *verbs, uint8_t port,
		      struct ibv_port_attr *attr)
{
	memset(attr, 0, sizeof(*attr));
	return CM_VERB(ibv_query_port)(verbs, port,
				       (struct _compat_ibv_port_attr *)attr);
}

static int fill_place(struct cm_place *place, uint32_t port)
{
	struct ibv_context *verbs = place->dev->verbs;
	struct ibv_port_attr attr;
	__be16 pkey;

	if (query_port(verbs, port, &attr) ||
	    CM_VERB(ibv_query_gid)(verbs, port, 0, &place->gid) ||
	    CM_VERB(ibv_query_pkey)(verbs, port, 0, &pkey))
		return ENODEV;
	place->port = port;
	place->link_layer = attr.link_layer;
	place->lid = attr.lid;
	place->mtu = attr.active_mtu;
	place->pkey = be16toh(pkey);
	return 0;
}

int cm_place_find(const struct cm_address *address, struct cm_place *place)
{
	struct softverbs *sv = cm_fabric();
	struct wanted wanted;
	int error;

	memset(place, 0, sizeof(*place));
	if (!sv)
		return ENODEV;
	error = find_wanted(sv, address, &wanted);
	if (!error)
		error = cm_thread_start();
	if (!error)
		error = get_device(&wanted, &place->dev);
	softverbs_close(sv);
	if (!error) {
		error = fill_place(place, wanted.port);
		if (error)
			cm_place_put(place);
	}
	return error;
}

/* ---- letting go ---- */

static void drop(struct cm_device *dev)
{
	pthread_mutex_lock(&cm_lock);
	dev->refs--;
	pthread_mutex_unlock(&cm_lock);
	cm_devices_sweep();
}

void cm_place_put(struct cm_place *place)
{
	struct cm_device *dev = place->dev;

	place->dev = NULL;
	if (dev)
		drop(dev);
}

static struct cm_device *take_unused(void)
{
	struct cm_device **at, *dev;

	pthread_mutex_lock(&cm_lock);
	for (at = &devices; (dev = *at); at = &dev->next) {
		if (dev->refs || !dev->removed)
			continue;
		*at = dev->next;
		break;
	}
	pthread_mutex_unlock(&cm_lock);
	return dev;
}

void cm_devices_sweep(void)
{
	struct cm_device *dev;

	while ((dev = take_unused()))
		close_device(dev);
}

int cm_device_pd(struct cm_device *dev, struct ibv_pd **pd)
{
	pthread_mutex_lock(&open_lock);
	if (!dev->pd)
		dev->pd = CM_VERB(ibv_alloc_pd)(dev->verbs);
	*pd = dev->pd;
	pthread_mutex_unlock(&open_lock);
	return *pd ? 0 : errno;
}

/* ---- removal ---- */

static void tell_removed(struct cm_id *id, void *arg)
{
	struct cm_device *dev = arg;

	if (id->place.dev != dev || id->state == CM_EMBRYO)
		return;
	cm_timewait_cancel(id);
	cm_port_free(id);
	if (id->fd >= 0) {
		cm_unwatch(id->fd);
		id->fd = -1;
	}
	id->state = CM_REMOVED;
	cm_event_add(id, RDMA_CM_EVENT_DEVICE_REMOVAL, 0);
}

static bool is_listed(const struct cm_device *dev)
{
	struct softverbs *sv = sv_open_existing(dev->fabric);
	struct sv_state state;
	char path[64];
	bool same;
	int dir;

	snprintf(path, sizeof(path), SV_LISTED "/%s", dev->node);
	dir = sv ? sv_open_dir(sv->dir, path) : -1;
	softverbs_close(sv);
	if (dir < 0)
		return false;
	same = !sv_state_load(dir, &state);
	if (same) {
		same = state.index == dev->index;
		sv_state_free(&state);
	}
	close(dir);
	return same;
}

void cm_devices_check(void)
{
	struct cm_device *dev;

	for (dev = devices; dev; dev = dev->next) {
		if (dev->removed || is_listed(dev))
			continue;
		dev->removed = true;
		cm_table_each(tell_removed, dev);
	}
}

/* ---- all of them ---- */

struct list {
	struct cm_device **devices;
	struct wanted *wanted;
	int num;
};

static int note(struct sv_device *dev, void *arg)
{
	struct list *list = arg;
	struct wanted *more =
		realloc(list->wanted, (list->num + 1) * sizeof(*more));

	if (!more)
		return ENOMEM;
	list->wanted = more;
	more += list->num++;
	memset(more, 0, sizeof(*more));
	memcpy(more->node, dev->node, sizeof(more->node));
	more->index = dev->state.index;
	more->guid = dev->state.guid;
	more->fabric = dev->sv->path;
	return 0;
}

static int by_index(const void *a, const void *b)
{
	uint32_t left = ((const struct wanted *)a)->index;
	uint32_t right = ((const struct wanted *)b)->index;

	return left < right ? -1 : left > right;
}

/* a reference on each; those that cannot be opened are left out */
static struct ibv_context **open_all(const struct wanted *wanted, int num,
				     int *opened)
{
	struct ibv_context **list = calloc(num + 1, sizeof(*list));
	struct cm_device *dev;
	int i;

	*opened = 0;
	for (i = 0; list && i < num; i++)
		if (!get_device(&wanted[i], &dev))
			list[(*opened)++] = dev->verbs;
	return list;
}

struct ibv_context **cm_get_devices(int *num)
{
	struct softverbs *sv = cm_fabric();
	struct ibv_context **contexts = NULL;
	struct list list = {};
	int opened = 0;

	if (num)
		*num = 0;
	if (sv)
		sv_device_each(sv, note, &list);
	if (list.num && !cm_thread_start()) {
		qsort(list.wanted, list.num, sizeof(*list.wanted), by_index);
		contexts = open_all(list.wanted, list.num, &opened);
	}
	free(list.wanted);
	softverbs_close(sv);
	if (!opened) {
		free(contexts);
		errno = ENODEV;
		return NULL;
	}
	if (num)
		*num = opened;
	return contexts;
}

void cm_free_devices(struct ibv_context **list)
{
	struct cm_device *dev;
	int i;

	if (!list)
		return;
	pthread_mutex_lock(&cm_lock);
	for (i = 0; list[i]; i++)
		for (dev = devices; dev; dev = dev->next)
			if (dev->verbs == list[i])
				dev->refs--;
	pthread_mutex_unlock(&cm_lock);
	free(list);
	cm_devices_sweep();
}
