// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Async events, from the kernel's queue to whoever wants them: the library's
 * thread, which calls a handler, beside the loop that programs have instead: epoll,
 * ibv_get_async_event(), ibv_ack_async_event(), a call. Each side has a device of
 * its own on one softverbs fabric, each thread is on the second CPU, and what
 * injects is on the first.
 *
 * An event is injected as the kernel does it: a record of 16 bytes comes to be in
 * the queue behind the context's async descriptor. softverbs_send_event() writes
 * the same record, but looks for the device and its contexts before, which takes
 * longer than what is measured and would hide it.
 *
 * latency	one event at a time, to a thread that sleeps; a sample is the median
 *		of some
 * storm	many at once, until the last one was told. Those of each port are of
 *		two types in turn: never are two of them equal, so each is a call.
 * equal storm	all the same: the library tells several as one, with their count.
 *		Counted is each event, so this shows what merging is worth.
 *
 * They are events of ports, whose acknowledgement costs nothing: the bare loop is
 * as quick as it can be.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <infiniband/ibclient.h>

#include "bench_backend.h"
#include "measure.h"
#include "soft.h"
#include "suites.h"

#define PORTS	 250
#define PINGS	 64
#define PAUSE_NS 50000.0 /* after which whoever was told sleeps again */
#define STORM	 20000
#define PIECE	 4096 /* records in one write: what a FIFO has room for */

struct record { /* as the kernel's */
	uint64_t element;
	uint32_t type;
	uint32_t reserved;
};

/* one of the two who are told */
struct side {
	int fd; /* to inject by */
	struct ibv_context *context;
	atomic_uint told;
	_Atomic double told_at;
};

static struct side library, loop;

static void tell(struct side *side, unsigned int count)
{
	side->told_at = now_ns();
	atomic_fetch_add(&side->told, count);
}

/* ---- the library ---- */

static struct ibc_registry *registry;
static struct ibc_client client = { .name = "events" };
static struct ibc_device *device;
static struct ibc_event_handler *handler;

static void hear(struct ibc_device *dev, const struct ibc_event *event,
		 void *arg)
{
	(void)dev;
	tell(arg, event->count);
}

static void start_library(void)
{
	const struct ibc_registry_attr attr = { .devices = "soft0" };
	const struct ibc_event_filter filter = { .scope = IBC_SCOPE_PORT };

	registry = ibc_open(&attr);
	if (!registry || ibc_register_client(registry, &client))
		fail("events: no registry, or no client: %s", strerror(errno));
	device = ibc_get_device_by_name(registry, "soft0");
	if (device)
		handler = ibc_register_event_handler(device, &filter, hear,
						     &library);
	if (!handler)
		fail("events: no device, or no handler: %s", strerror(errno));
	library.context = ibc_device_context(device);
}

static void stop_library(void)
{
	ibc_unregister_event_handler(handler);
	ibc_put_device(device);
	if (ibc_unregister_client(&client) || ibc_close(registry))
		fail("events: the registry cannot be closed");
}

/* ---- the bare loop ---- */

static pthread_t loop_thread;
static int loop_epoll;

static void open_loop(void)
{
	const struct ibc__backend *verbs = bench_backend();
	struct ibv_device **list = verbs->get_device_list(NULL);
	int i;

	for (i = 0; list && list[i] && !loop.context; i++)
		if (!strcmp(verbs->get_device_name(list[i]), "soft1"))
			loop.context = verbs->open_device(list[i]);
	if (!loop.context)
		fail("events: soft1 cannot be opened: %s", strerror(errno));
	verbs->free_device_list(list);
}

/* false: it was the one that ends the loop */
static bool read_events(struct side *side)
{
	struct ibv_async_event event;

	while (!ibv_get_async_event(side->context, &event)) {
		ibv_ack_async_event(&event);
		if (event.event_type == IBV_EVENT_DEVICE_FATAL)
			return false;
		tell(side, 1);
	}
	return true;
}

static void *run_loop(void *arg)
{
	struct epoll_event event;
	struct side *side = arg;

	for (;;)
		if (epoll_wait(loop_epoll, &event, 1, -1) > 0 &&
		    !read_events(side))
			return NULL;
}

static void start_loop(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd;

	open_loop();
	fd = loop.context->async_fd;
	loop_epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop_epoll < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) ||
	    epoll_ctl(loop_epoll, EPOLL_CTL_ADD, fd, &event))
		fail("events: no epoll instance: %s", strerror(errno));
	errno = pthread_create(&loop_thread, NULL, run_loop, &loop);
	if (errno)
		fail("events: no thread: %s", strerror(errno));
}

static void inject(const struct side *side, const struct record *records,
		   unsigned int num)
{
	size_t size = num * sizeof(*records);

	if (write(side->fd, records, size) != (ssize_t)size)
		fail("events: cannot be injected: %s", strerror(errno));
}

static void stop_loop(void)
{
	const struct record end = { .type = IBV_EVENT_DEVICE_FATAL };

	inject(&loop, &end, 1);
	pthread_join(loop_thread, NULL);
	close(loop_epoll);
	bench_backend()->close_device(loop.context);
	loop.context = NULL;
}

/* ---- latency ---- */

/* with one CPU, whoever is to be told has to have it */
static void wait_until_told(struct side *side, unsigned int count)
{
	while (atomic_load(&side->told) != count)
		sched_yield();
}

static void pause_a_moment(void)
{
	double end = now_ns() + PAUSE_NS;

	while (now_ns() < end)
		sched_yield();
}

static int compare_doubles(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double latency(void *context)
{
	const struct record record = { 1, IBV_EVENT_LID_CHANGE, 0 };
	struct side *side = context;
	double ns[PINGS], begin;
	unsigned int i;

	for (i = 0; i < PINGS; i++) {
		side->told = 0;
		pause_a_moment();
		begin = now_ns();
		inject(side, &record, 1);
		wait_until_told(side, 1);
		ns[i] = side->told_at - begin;
	}
	qsort(ns, PINGS, sizeof(*ns), compare_doubles);
	return (ns[PINGS / 2 - 1] + ns[PINGS / 2]) / 2;
}

/* ---- storms ---- */

static struct record records[STORM];
static unsigned int storm_size;

/* round after round through the ports, of one type and then of the other */
static void make_different(void)
{
	unsigned int i;

	for (i = 0; i < storm_size; i++)
		records[i] = (struct record){
			.element = i % PORTS + 1,
			.type = i / PORTS % 2 ? IBV_EVENT_LID_CHANGE :
						IBV_EVENT_PKEY_CHANGE,
		};
}

static void make_equal(void)
{
	unsigned int i;

	for (i = 0; i < storm_size; i++)
		records[i] = (struct record){
			.element = 1,
			.type = IBV_EVENT_LID_CHANGE,
		};
}

static double storm(void *context)
{
	struct side *side = context;
	unsigned int sent, n;
	double begin;

	side->told = 0;
	pause_a_moment();
	begin = now_ns();
	for (sent = 0; sent < storm_size; sent += n) {
		n = storm_size - sent;
		n = n < PIECE ? n : PIECE;
		inject(side, records + sent, n);
	}
	wait_until_told(side, storm_size);
	return (side->told_at - begin) / storm_size;
}

/* ---- the suite ---- */

static void compare(const char *operation, double (*once)(void *context),
		    struct figures *figures)
{
	const struct contender contenders[] = {
		{ .name = "bare loop",
		  .what = "epoll, ibv_get_async_event, ibv_ack_async_event",
		  .once = once,
		  .context = &loop },
		{ .name = "libibclient",
		  .what = "a handler, called by the library's thread",
		  .once = once,
		  .context = &library },
	};
	const struct benchmark benchmark = {
		.name = "events",
		.operation = operation,
		.setting = "softverbs",
		.contenders = contenders,
		.num = 2,
	};

	measure(&benchmark, figures);
}

static void compare_storms(const char *operation, const char *what)
{
	struct ibc_stats before = {}, after = {};
	struct figures figures[2];
	uint64_t events, calls;

	ibc_query_stats(registry, &before, sizeof(before));
	compare(operation, storm, figures);
	ibc_query_stats(registry, &after, sizeof(after));
	events = after.events_read - before.events_read;
	calls = after.events_delivered - before.events_delivered;
	note("  events/s: bare loop %.0f, libibclient %.0f; of those %.1f in "
	     "one call",
	     1e9 / figures[0].median, 1e9 / figures[1].median,
	     (double)events / (double)calls);
	verdict(what, figures[0].median / figures[1].median, AT_LEAST, 0.7);
}

/* a descriptor that waits for room, which that of the context does not */
static void open_to_inject(struct side *side)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d",
		 side->context->async_fd);
	side->fd = open(link, O_WRONLY | O_CLOEXEC);
	if (side->fd < 0)
		fail("events: %s cannot be opened: %s", link, strerror(errno));
}

/* threads are where they are made: both on the second CPU */
static void start(void)
{
	soft_begin(2, PORTS);
	pin(1);
	start_library();
	start_loop();
	pin(0);
	open_to_inject(&library);
	open_to_inject(&loop);
}

static void stop(void)
{
	stop_loop();
	stop_library();
	close(library.fd);
	close(loop.fd);
	soft_end();
}

void bench_events(void)
{
	struct figures figures[2];
	cpu_set_t cpus;

	pthread_getaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	storm_size = quickly() ? STORM / 20 : STORM;
	start();
	compare("latency", latency, figures);
	verdict("event latency, against the bare loop",
		figures[1].median / figures[0].median, AT_MOST, 1.3);
	make_different();
	compare_storms("storm, all different",
		       "events/s, all different, against the bare loop");
	make_equal();
	compare_storms("storm, all equal",
		       "events/s, all equal, against the bare loop");
	stop();
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
}
