// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The device list: the real devices, then the fabric's. As in libibverbs a
 * device keeps its address as long as it is listed or used, and the name it had
 * when it was first seen.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hidden.h"
#include "preload.h"

typedef struct ibv_device **(*get_list_fn)(int *num);
typedef void (*free_list_fn)(struct ibv_device **list);

/* a list that was given out; others are not for us to free */
struct given {
	struct given *next;
	struct ibv_device **real;
	unsigned int num_real, num;
	struct ibv_device *list[];
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct soft_device *cache; /* by index */
static struct given *given_out;

/* the child of a fork must find the lock free */
static void lock_list(void)
{
	pthread_mutex_lock(&list_lock);
}

static void unlock_list(void)
{
	pthread_mutex_unlock(&list_lock);
}

__attribute__((constructor)) static void init_list(void)
{
	pthread_atfork(lock_list, unlock_list, unlock_list);
}

/* ---- devices ---- */

/* never called; its address marks a device as ours */
void soft_device_tag(void)
{
}

bool soft_is_device(const struct ibv_device *device)
{
	return (void (*)(void))device->_ops._dummy1 == soft_device_tag;
}

void soft_device_put(struct soft_device *dev)
{
	if (atomic_fetch_sub(&dev->refs, 1) != 1)
		return;
	free(dev->fabric);
	free(dev);
}

static bool fits(int len, size_t size)
{
	return len >= 0 && (size_t)len < size;
}

/* libibverbs skips a device whose paths are too long, too */
static bool set_names(struct soft_device *dev, const struct sv_device *from)
{
	struct ibv_device *ibv = &dev->ibv;

	return fits(snprintf(ibv->name, sizeof(ibv->name), "%s",
			     from->state.name),
		    sizeof(ibv->name)) &&
	       fits(snprintf(ibv->dev_name, sizeof(ibv->dev_name), "%s",
			     from->node),
		    sizeof(ibv->dev_name)) &&
	       fits(snprintf(ibv->dev_path, sizeof(ibv->dev_path),
			     "%s/class/infiniband_verbs/%s", dev->fabric,
			     from->node),
		    sizeof(ibv->dev_path)) &&
	       fits(snprintf(ibv->ibdev_path, sizeof(ibv->ibdev_path),
			     "%s/class/infiniband/%s", dev->fabric,
			     from->state.name),
		    sizeof(ibv->ibdev_path));
}

static struct soft_device *make_device(const struct sv_device *from)
{
	struct soft_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return NULL;
	dev->fabric = strdup(from->sv->path);
	if (!dev->fabric || !set_names(dev, from)) {
		free(dev->fabric);
		free(dev);
		return NULL;
	}
	dev->ibv._ops._dummy1 =
		(struct ibv_context *
		 (*)(struct ibv_device *, int))(void *)soft_device_tag;
	dev->ibv.node_type = IBV_NODE_CA;
	dev->ibv.transport_type = IBV_TRANSPORT_IB;
	dev->index = from->state.index;
	dev->guid = from->state.guid;
	dev->refs = 1;
	return dev;
}

/* ---- the cache ---- */

static int note_device(struct sv_device *from, void *arg)
{
	struct soft_device **at = &cache, *dev;

	(void)arg;
	while (*at && (*at)->index < from->state.index)
		at = &(*at)->next;
	for (dev = *at; dev && dev->index == from->state.index;
	     dev = dev->next) {
		if (strcmp(dev->ibv.dev_name, from->node) ||
		    strcmp(dev->fabric, from->sv->path))
			continue;
		dev->listed = true;
		return 0;
	}
	dev = make_device(from);
	if (!dev)
		return 0;
	dev->listed = true;
	dev->next = *at;
	*at = dev;
	return 0;
}

static unsigned int drop_unlisted(void)
{
	struct soft_device **at = &cache, *dev;
	unsigned int num = 0;

	while ((dev = *at)) {
		if (dev->listed) {
			num++;
			at = &dev->next;
		} else {
			*at = dev->next;
			soft_device_put(dev);
		}
	}
	return num;
}

/* a relative path means what it meant when the list was asked for */
static int absolute_path(char *path, size_t size)
{
	char given[PATH_MAX], cwd[PATH_MAX];
	int error = sv_fabric_path(NULL, given, sizeof(given));

	if (error)
		return error;
	if (given[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return errno;
	if (!fits(given[0] == '/' ? snprintf(path, size, "%s", given) :
				    snprintf(path, size, "%s/%s", cwd, given),
		  size))
		return ENAMETOOLONG;
	return 0;
}

static int refresh(unsigned int *num)
{
	struct softverbs *sv = NULL;
	struct soft_device *dev;
	char path[PATH_MAX];
	int error = absolute_path(path, sizeof(path));

	for (dev = cache; dev; dev = dev->next)
		dev->listed = false;
	if (!error) {
		sv = sv_open_existing(path);
		error = sv ? 0 : errno;
	}
	if (sv)
		error = sv_device_each(sv, note_device, NULL);
	softverbs_close(sv);
	*num = drop_unlisted();
	return error;
}

/* ---- lists ---- */

static struct given *make_list(struct ibv_device **real, int num_real)
{
	struct soft_device *dev;
	struct given *given;
	unsigned int num = 0;

	for (dev = cache; dev; dev = dev->next)
		num++;
	given = calloc(1, sizeof(*given) + (num_real + num + 1) *
						   sizeof(given->list[0]));
	if (!given)
		return NULL;
	given->real = real;
	given->num_real = given->num = num_real;
	if (real)
		memcpy(given->list, real, num_real * sizeof(real[0]));
	for (dev = cache; dev; dev = dev->next) {
		atomic_fetch_add(&dev->refs, 1);
		given->list[given->num++] = &dev->ibv;
	}
	given->next = given_out;
	given_out = given;
	return given;
}

static void free_real(struct ibv_device **list)
{
	static _Atomic(void *) cached;
	free_list_fn real =
		(free_list_fn)soft_real(&cached, "ibv_free_device_list");

	if (real)
		real(list);
}

static struct ibv_device **get_list(struct ibv_device **real, int num_real,
				    int real_error, int *num)
{
	struct given *given = NULL;
	unsigned int num_soft;
	int error;

	pthread_mutex_lock(&list_lock);
	error = refresh(&num_soft);
	/* no fabric: all is as without us */
	if (real || !error)
		given = make_list(real, num_real);
	pthread_mutex_unlock(&list_lock);
	if (given) {
		if (num)
			*num = given->num;
		return given->list;
	}
	if (real)
		free_real(real);
	if (real || !error)
		errno = ENOMEM;
	else if (error != ENOENT && secure_getenv("SOFTVERBS_DIR"))
		errno = error;
	else
		errno = real_error;
	return NULL;
}

struct ibv_device **ibv_get_device_list(int *num)
{
	static _Atomic(void *) cached;
	get_list_fn real =
		(get_list_fn)soft_real(&cached, "ibv_get_device_list");
	struct ibv_device **list = NULL;
	int num_real = 0;

	if (real && soft_called_by_libibverbs(__builtin_return_address(0)))
		return real(num);
	if (num)
		*num = 0;
	errno = ENOSYS;
	if (real)
		list = real(&num_real);
	return get_list(list, num_real, errno, num);
}

static void put_list(struct given *given)
{
	struct soft_device *dev;
	unsigned int i;

	for (i = given->num_real; i < given->num; i++) {
		dev = (struct soft_device *)given->list[i];
		soft_device_put(dev);
	}
	if (given->real)
		free_real(given->real);
	free(given);
}

void ibv_free_device_list(struct ibv_device **list)
{
	struct given **at, *given;

	pthread_mutex_lock(&list_lock);
	for (at = &given_out; *at && (*at)->list != list; at = &(*at)->next)
		;
	given = *at;
	if (given)
		*at = given->next;
	pthread_mutex_unlock(&list_lock);
	if (given)
		put_list(given);
	else
		free_real(list);
}

/* ---- where sysfs is ---- */

struct path {
	struct path *next;
	char text[];
};

/* what was answered stays valid */
static const char *remember(const char *text)
{
	static struct path *paths;
	struct path *path;

	pthread_mutex_lock(&list_lock);
	for (path = paths; path && strcmp(path->text, text); path = path->next)
		;
	if (!path) {
		path = malloc(sizeof(*path) + strlen(text) + 1);
		if (path) {
			strcpy(path->text, text);
			path->next = paths;
			paths = path;
		}
	}
	pthread_mutex_unlock(&list_lock);
	return path ? path->text : NULL;
}

const char *ibv_get_sysfs_path(void)
{
	static _Atomic(void *) cached;
	const char *(*real)(void) =
		(const char *(*)(void))soft_real(&cached, "ibv_get_sysfs_path");
	const char *dir = secure_getenv("SOFTVERBS_DIR"), *answer = NULL;
	char path[PATH_MAX];

	if (dir && *dir &&
	    !soft_called_by_libibverbs(__builtin_return_address(0)) &&
	    !absolute_path(path, sizeof(path)))
		answer = remember(path);
	if (!answer)
		answer = real ? real() : "/sys";
	return answer;
}
