// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * See fake.h. One lock guards all of it; it is never held while the code under
 * test runs. Devices and contexts are kept until fake_stop(), so that a stale
 * pointer finds a poisoned magic rather than memory that is somebody else's.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend.h"
#include "calls.h"
#include "fake.h"

#define LIVE 0x11fe11fe
#define DEAD 0xdeaddead

struct device {
	struct ibv_device ibv; /* .name: as it was called at first */
	uint32_t magic;
	char name[64]; /* today */
	int index;
	uint64_t guid;
	bool listed;
	unsigned int lists; /* that have it */
	TAILQ_ENTRY(device) entry;
};

struct context {
	struct ibv_context ibv;
	uint32_t magic;
	struct device *device; /* whose minor it was */
	int kernel_end;
	bool fatal;
	TAILQ_ENTRY(context) entry;
};

struct qp {
	struct ibv_qp ibv;
	unsigned int unacked; /* events of it that were read */
	TAILQ_ENTRY(qp) entry;
};

struct record { /* as the kernel's */
	uint64_t element;
	uint32_t type;
	uint32_t reserved;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static TAILQ_HEAD(, device) devices = TAILQ_HEAD_INITIALIZER(devices);
static TAILQ_HEAD(, context) contexts = TAILQ_HEAD_INITIALIZER(contexts);
static TAILQ_HEAD(, qp) qps = TAILQ_HEAD_INITIALIZER(qps);
static pthread_cond_t acked = PTHREAD_COND_INITIALIZER;
static int next_index;
static bool no_rdma;
static unsigned int lists, closes, reads, acks;
static char sysfs[PATH_MAX];

static void die(const char *what)
{
	fprintf(stderr, "fake: %s\n", what);
	abort();
}

static struct device *device_of(struct ibv_device *ibv)
{
	struct device *dev = (struct device *)ibv;

	if (!dev || dev->magic != LIVE)
		die("a device that was freed is used");
	return dev;
}

static struct context *context_of(struct ibv_context *ibv)
{
	struct context *ctx = (struct context *)ibv;

	if (!ctx || ctx->magic != LIVE)
		die("a context that was closed is used");
	return ctx;
}

/* lock held */
static struct device *find(const char *name)
{
	struct device *dev;

	TAILQ_FOREACH(dev, &devices, entry)
		if (dev->listed && strcmp(dev->name, name) == 0)
			return dev;
	return NULL;
}

static struct device *find_node(const char *node)
{
	struct device *dev;

	TAILQ_FOREACH(dev, &devices, entry)
		if (dev->listed && strcmp(dev->ibv.dev_name, node) == 0)
			return dev;
	return NULL;
}

/* ---- the backend ---- */

static struct ibv_device **get_device_list(int *num)
{
	struct ibv_device **list;
	struct device *dev;
	int error = fake_called(FAKE_LIST), n = 0;

	pthread_mutex_lock(&lock);
	if (!error && no_rdma)
		error = ENOSYS;
	TAILQ_FOREACH(dev, &devices, entry)
		n += dev->listed;
	list = error ? NULL : calloc(n + 1, sizeof(*list));
	if (!error && !list)
		error = ENOMEM;
	n = 0;
	if (list) {
		lists++;
		TAILQ_FOREACH(dev, &devices, entry) {
			if (!dev->listed)
				continue;
			dev->lists++;
			list[n++] = &dev->ibv;
		}
	}
	pthread_mutex_unlock(&lock);
	if (num)
		*num = n;
	errno = error;
	return list;
}

static void free_device_list(struct ibv_device **list)
{
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; list[i]; i++)
		device_of(list[i])->lists--;
	lists--;
	pthread_mutex_unlock(&lock);
	free(list);
}

/* a pointer is good while a list has it, or the device is there */
static struct device *usable(struct ibv_device *ibv)
{
	struct device *dev = device_of(ibv);

	if (!dev->listed && !dev->lists)
		die("a device pointer outlives its list");
	return dev;
}

static const char *get_device_name(struct ibv_device *ibv)
{
	return device_of(ibv)->ibv.name;
}

static int get_device_index(struct ibv_device *ibv)
{
	return device_of(ibv)->index;
}

static __be64 get_device_guid(struct ibv_device *ibv)
{
	__be64 guid;

	pthread_mutex_lock(&lock);
	guid = htobe64(device_of(ibv)->guid);
	pthread_mutex_unlock(&lock);
	return guid;
}

static const char *get_device_node(struct ibv_device *ibv)
{
	return device_of(ibv)->ibv.dev_name;
}

static int read_device_name(struct ibv_device *ibv, char *buf, size_t size)
{
	pthread_mutex_lock(&lock);
	snprintf(buf, size, "%s", device_of(ibv)->name);
	pthread_mutex_unlock(&lock);
	return 0;
}

/* lock held; like the kernel, by minor */
static struct context *new_context(const char *node)
{
	struct device *dev = find_node(node);
	struct context *ctx;
	int fds[2];

	if (!dev) {
		errno = ENOENT;
		return NULL;
	}
	ctx = calloc(1, sizeof(*ctx));
	if (!ctx || pipe2(fds, O_CLOEXEC)) {
		free(ctx);
		return NULL;
	}
	ctx->magic = LIVE;
	ctx->device = dev;
	ctx->ibv.device = &dev->ibv;
	ctx->ibv.async_fd = fds[0];
	ctx->ibv.cmd_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	ctx->kernel_end = fds[1];
	TAILQ_INSERT_TAIL(&contexts, ctx, entry);
	return ctx;
}

static struct ibv_context *open_device(struct ibv_device *ibv)
{
	struct context *ctx;
	char node[64];
	int error;

	pthread_mutex_lock(&lock);
	snprintf(node, sizeof(node), "%s", usable(ibv)->ibv.dev_name);
	pthread_mutex_unlock(&lock);
	error = fake_called(FAKE_OPEN);
	if (error) {
		errno = error;
		return NULL;
	}
	pthread_mutex_lock(&lock);
	ctx = new_context(node);
	pthread_mutex_unlock(&lock);
	return ctx ? &ctx->ibv : NULL;
}

static void end_context(struct context *ctx)
{
	close(ctx->ibv.async_fd);
	close(ctx->ibv.cmd_fd);
	/* the kernel's is no descriptor of the process: closed, it went too */
	if (ctx->kernel_end >= 0 && ctx->ibv.async_fd >= 0)
		close(ctx->kernel_end);
	ctx->kernel_end = -1;
	ctx->magic = DEAD;
	closes++;
}

static int close_device(struct ibv_context *ibv)
{
	fake_called(FAKE_CLOSE);
	pthread_mutex_lock(&lock);
	end_context(context_of(ibv));
	pthread_mutex_unlock(&lock);
	return 0;
}

static int probe(struct ibv_context *ibv)
{
	int error = fake_called(FAKE_PROBE);

	pthread_mutex_lock(&lock);
	if (!error && context_of(ibv)->fatal)
		error = EIO;
	pthread_mutex_unlock(&lock);
	return error;
}

/* lock held; NULL: it is of something else */
static struct qp *qp_of(uint64_t element)
{
	struct qp *qp;

	TAILQ_FOREACH(qp, &qps, entry)
		if ((uintptr_t)&qp->ibv == element)
			return qp;
	return NULL;
}

/* of an object's destruction and of reading only one goes on at a time */
static ssize_t read_record(struct context *ctx, struct record *record)
{
	struct qp *qp;
	ssize_t n;

	pthread_mutex_lock(&lock);
	n = read(ctx->ibv.async_fd, record, sizeof(*record));
	if (n == sizeof(*record)) {
		reads++;
		qp = qp_of(record->element);
		if (qp)
			qp->unacked++;
	}
	pthread_mutex_unlock(&lock);
	return n;
}

static int get_async_event(struct ibv_context *ibv,
			   struct ibv_async_event *event)
{
	struct context *ctx = context_of(ibv);
	int error = fake_called(FAKE_EVENT);
	struct record record;
	ssize_t n;

	if (error) {
		errno = error;
		return -1;
	}
	n = read_record(ctx, &record);
	if (n != sizeof(record)) {
		if (n == 0)
			errno = 0;
		return -1;
	}
	memset(event, 0, sizeof(*event));
	event->event_type = record.type;
	event->element.qp = NULL;
	if (record.element < 256)
		event->element.port_num = record.element;
	else
		event->element.qp = (void *)(uintptr_t)record.element;
	return 0;
}

static void ack_async_event(struct ibv_async_event *event)
{
	struct qp *qp;

	fake_called(FAKE_ACK);
	pthread_mutex_lock(&lock);
	acks++;
	qp = qp_of((uintptr_t)event->element.qp);
	if (qp && --qp->unacked == 0)
		pthread_cond_broadcast(&acked);
	pthread_mutex_unlock(&lock);
}

static int get_srq_num(struct ibv_srq *srq, uint32_t *num)
{
	*num = srq->handle;
	return 0;
}

static const char *sysfs_path(void)
{
	return sysfs[0] ? sysfs : NULL;
}

static const char *get_device_path(struct ibv_device *ibv)
{
	return device_of(ibv)->ibv.ibdev_path;
}

static const char *kernel_sysfs(void)
{
	return "/sys";
}

static const struct ibc__backend fake_backend = {
	.get_device_list = get_device_list,
	.free_device_list = free_device_list,
	.get_device_name = get_device_name,
	.get_device_index = get_device_index,
	.get_device_guid = get_device_guid,
	.get_device_node = get_device_node,
	.read_device_name = read_device_name,
	.open_device = open_device,
	.close_device = close_device,
	.probe = probe,
	.get_async_event = get_async_event,
	.ack_async_event = ack_async_event,
	.get_srq_num = get_srq_num,
	.sysfs_path = sysfs_path,
	.get_device_path = get_device_path,
};

/* ---- what tests do ---- */

static void make_sysfs(void)
{
	char path[PATH_MAX + 64];

	snprintf(sysfs, sizeof(sysfs), "%s/ibc-fake-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(sysfs))
		die("mkdtemp");
	snprintf(path, sizeof(path), "%s/class", sysfs);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/class/infiniband_verbs", sysfs);
	mkdir(path, 0700);
}

static void remove_sysfs(void)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/class/infiniband_verbs", sysfs);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/class", sysfs);
	rmdir(path);
	rmdir(sysfs);
	sysfs[0] = '\0';
}

void fake_start(void)
{
	fake_reset_calls();
	lists = closes = reads = acks = 0;
	next_index = 0;
	no_rdma = false;
	make_sysfs();
	ibc__backend = &fake_backend;
}

static bool complain(bool bad, const char *what)
{
	if (bad)
		fprintf(stderr, "fake: %s\n", what);
	return !bad;
}

void fake_in_sysfs(void)
{
	static struct ibc__backend in_sysfs;

	in_sysfs = *ibc__backend;
	in_sysfs.sysfs_path = kernel_sysfs;
	ibc__backend = &in_sysfs;
}

bool fake_stop(void)
{
	struct context *ctx;
	struct device *dev;
	bool good;

	good = complain(fake_open_contexts(NULL), "contexts are left open");
	good &= complain(lists, "device lists are not freed");
	good &= complain(reads != acks, "events are not acknowledged");
	while ((ctx = TAILQ_FIRST(&contexts))) {
		TAILQ_REMOVE(&contexts, ctx, entry);
		if (ctx->magic == LIVE)
			end_context(ctx);
		free(ctx);
	}
	while ((dev = TAILQ_FIRST(&devices))) {
		TAILQ_REMOVE(&devices, dev, entry);
		free(dev);
	}
	remove_sysfs();
	return good;
}

static void free_node(char *node, size_t size)
{
	int minor = 0;

	do {
		snprintf(node, size, "uverbs%d", minor++);
	} while (find_node(node));
}

int fake_add_as(const char *name, uint64_t guid, int index, const char *node)
{
	struct device *dev = calloc(1, sizeof(*dev));

	pthread_mutex_lock(&lock);
	dev->magic = LIVE;
	dev->guid = guid;
	dev->index = index == INT_MIN ? next_index++ : index;
	snprintf(dev->ibv.name, sizeof(dev->ibv.name), "%s", name);
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	snprintf(dev->ibv.ibdev_path, sizeof(dev->ibv.ibdev_path),
		 "%.128s/class/infiniband/%s", sysfs, name);
	if (node)
		snprintf(dev->ibv.dev_name, sizeof(dev->ibv.dev_name), "%s",
			 node);
	else
		free_node(dev->ibv.dev_name, sizeof(dev->ibv.dev_name));
	dev->listed = true;
	TAILQ_INSERT_TAIL(&devices, dev, entry);
	index = dev->index;
	pthread_mutex_unlock(&lock);
	fake_notify();
	return index;
}

int fake_add(const char *name, uint64_t guid)
{
	return fake_add_as(name, guid, INT_MIN, NULL);
}

/* lock held */
static void send_record(struct context *ctx, enum ibv_event_type type,
			uintptr_t element)
{
	struct record record = { .element = element, .type = type };

	if (ctx->kernel_end >= 0 &&
	    write(ctx->kernel_end, &record, sizeof(record)) < 0)
		die("cannot inject an event");
}

void fake_remove(const char *name, enum fake_removal how)
{
	struct context *ctx;
	struct device *dev;

	pthread_mutex_lock(&lock);
	dev = find(name);
	if (!dev)
		die("fake_remove: no such device");
	dev->listed = how == FAKE_RESET;
	TAILQ_FOREACH(ctx, &contexts, entry) {
		if (ctx->magic != LIVE || ctx->device != dev ||
		    how == FAKE_WAIT || ctx->fatal)
			continue;
		ctx->fatal = true;
		send_record(ctx, IBV_EVENT_DEVICE_FATAL, 0);
	}
	pthread_mutex_unlock(&lock);
	fake_notify();
}

void fake_rename(const char *name, const char *new_name)
{
	struct device *dev;

	pthread_mutex_lock(&lock);
	dev = find(name);
	if (!dev)
		die("fake_rename: no such device");
	snprintf(dev->name, sizeof(dev->name), "%s", new_name);
	pthread_mutex_unlock(&lock);
	fake_notify();
}

void fake_set_guid(const char *name, uint64_t guid)
{
	struct device *dev;

	pthread_mutex_lock(&lock);
	dev = find(name);
	if (!dev)
		die("fake_set_guid: no such device");
	dev->guid = guid;
	pthread_mutex_unlock(&lock);
	fake_notify();
}

void fake_no_rdma(bool none)
{
	pthread_mutex_lock(&lock);
	no_rdma = none;
	pthread_mutex_unlock(&lock);
	fake_notify();
}

void fake_event(const char *name, enum ibv_event_type type, uintptr_t element)
{
	struct context *ctx;

	pthread_mutex_lock(&lock);
	TAILQ_FOREACH(ctx, &contexts, entry)
		if (ctx->magic == LIVE && strcmp(ctx->device->name, name) == 0)
			send_record(ctx, type, element);
	pthread_mutex_unlock(&lock);
}

void fake_context_event(struct ibv_context *context, enum ibv_event_type type,
			uintptr_t element)
{
	pthread_mutex_lock(&lock);
	send_record(context_of(context), type, element);
	pthread_mutex_unlock(&lock);
}

/* here there is no other way */
void fake_by_calls(void)
{
}

void fake_hang_up(struct ibv_context *context)
{
	struct context *ctx = context_of(context);

	pthread_mutex_lock(&lock);
	close(ctx->kernel_end);
	ctx->kernel_end = -1;
	pthread_mutex_unlock(&lock);
}

struct ibv_context *fake_open(const char *name)
{
	struct context *ctx = NULL;
	struct device *dev;

	pthread_mutex_lock(&lock);
	dev = find(name);
	if (dev)
		ctx = new_context(dev->ibv.dev_name);
	pthread_mutex_unlock(&lock);
	return ctx ? &ctx->ibv : NULL;
}

void fake_close(struct ibv_context *context)
{
	close_device(context);
}

struct ibv_qp *fake_make_qp(struct ibv_context *context, void *qp_context)
{
	static uint32_t num;
	struct qp *qp = calloc(1, sizeof(*qp));

	if (!qp)
		die("no memory");
	qp->ibv.context = context;
	qp->ibv.qp_context = qp_context;
	pthread_mutex_lock(&lock);
	qp->ibv.qp_num = ++num;
	TAILQ_INSERT_TAIL(&qps, qp, entry);
	pthread_mutex_unlock(&lock);
	return &qp->ibv;
}

/* lock held: what the kernel has of it that nobody read */
static void drop_events(struct context *ctx, uintptr_t element)
{
	struct pollfd pollfd = { .fd = ctx->ibv.async_fd, .events = POLLIN };
	static struct record kept[8192]; /* a pipe has no room for more */
	struct record record;
	unsigned int n = 0, i;

	while (poll(&pollfd, 1, 0) > 0 &&
	       read(pollfd.fd, &record, sizeof(record)) == sizeof(record))
		if (record.element != element)
			kept[n++] = record;
	for (i = 0; i < n; i++)
		send_record(ctx, kept[i].type, kept[i].element);
}

/* as the kernel, and then libibverbs, which waits for what was read */
void fake_destroy_qp(struct ibv_qp *ibv)
{
	struct qp *qp = (struct qp *)ibv;
	struct context *ctx = (struct context *)ibv->context;

	pthread_mutex_lock(&lock);
	if (ctx->magic == LIVE)
		drop_events(ctx, (uintptr_t)ibv);
	while (qp->unacked)
		pthread_cond_wait(&acked, &lock);
	TAILQ_REMOVE(&qps, qp, entry);
	pthread_mutex_unlock(&lock);
	free(qp);
}

void fake_notify(void)
{
	char path[PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/class/infiniband_verbs/news", sysfs);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	unlink(path);
}

unsigned int fake_open_contexts(const char *name)
{
	struct context *ctx;
	unsigned int n = 0;

	pthread_mutex_lock(&lock);
	TAILQ_FOREACH(ctx, &contexts, entry)
		if (ctx->magic == LIVE &&
		    (!name || strcmp(ctx->device->name, name) == 0))
			n++;
	pthread_mutex_unlock(&lock);
	return n;
}

unsigned int fake_closes(void)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = closes;
	pthread_mutex_unlock(&lock);
	return n;
}

unsigned int fake_acks(void)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = acks;
	pthread_mutex_unlock(&lock);
	return n;
}

unsigned int fake_unacked(void)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = reads - acks;
	pthread_mutex_unlock(&lock);
	return n;
}

bool fake_context_is_open(struct ibv_context *context)
{
	struct context *ctx;
	bool is_open = false;

	pthread_mutex_lock(&lock);
	TAILQ_FOREACH(ctx, &contexts, entry)
		is_open |= &ctx->ibv == context && ctx->magic == LIVE;
	pthread_mutex_unlock(&lock);
	return is_open;
}

const char *fake_context_device(struct ibv_context *context)
{
	return context_of(context)->device->name;
}
