// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * See fake.h: the same on softverbs. The library's calls go to libibverbs, as
 * they do in a real program, and find softverbs' interposer there; all that is
 * in between is counted, may be hooked or made to fail, and is watched for uses
 * of what was closed. The devices are a fabric of the test's own: see
 * soft_plug.c. Run with softverbs' interposer preloaded.
 *
 * One lock guards the table of open contexts; it is never held while the code
 * under test or libibverbs runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "backend.h"
#include "calls.h"
#include "soft.h"

#define MAX_CONTEXTS 16

struct context {
	struct ibv_context *ibv;
	uint32_t index; /* of the device that it really is of */
	TAILQ_ENTRY(context) entry;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static TAILQ_HEAD(, context) contexts = TAILQ_HEAD_INITIALIZER(contexts);
static unsigned int lists, closes, reads, acks;

/* lock held */
static struct context *find(struct ibv_context *ibv)
{
	struct context *ctx;

	TAILQ_FOREACH(ctx, &contexts, entry)
		if (ctx->ibv == ibv)
			return ctx;
	return NULL;
}

static void must_be_open(struct ibv_context *ibv)
{
	if (!fake_context_is_open(ibv))
		soft_die("a context that was closed is used");
}

/* list and event are counted after they were got: under the same lock */
void soft_publish(void)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
}

static void count(unsigned int *what, int by)
{
	pthread_mutex_lock(&lock);
	*what += by;
	pthread_mutex_unlock(&lock);
}

static unsigned int read_count(unsigned int *what)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = *what;
	pthread_mutex_unlock(&lock);
	return n;
}

/* ---- the backend ---- */

static struct ibv_device **get_device_list(int *num)
{
	int error = fake_called(FAKE_LIST);
	struct ibv_device **list;

	if (error) {
		*num = 0;
		errno = error;
		return NULL;
	}
	list = ibc__verbs_backend.get_device_list(num);
	if (list)
		count(&lists, 1);
	return list;
}

static void free_device_list(struct ibv_device **list)
{
	count(&lists, -1);
	ibc__verbs_backend.free_device_list(list);
}

static struct ibv_context *note_open(struct ibv_context *ibv)
{
	struct context *ctx = calloc(1, sizeof(*ctx));

	if (!ctx)
		soft_die("no memory");
	ctx->ibv = ibv;
	ctx->index = soft_index_of(ibv);
	pthread_mutex_lock(&lock);
	if (find(ibv))
		soft_die("a context has the address of an open one");
	TAILQ_INSERT_TAIL(&contexts, ctx, entry);
	pthread_mutex_unlock(&lock);
	return ibv;
}

static struct ibv_context *open_device(struct ibv_device *device)
{
	int error = fake_called(FAKE_OPEN);
	struct ibv_context *ibv;

	if (error) {
		errno = error;
		return NULL;
	}
	ibv = ibc__verbs_backend.open_device(device);
	return ibv ? note_open(ibv) : NULL;
}

static void note_close(struct ibv_context *ibv)
{
	struct context *ctx;

	fake_called(FAKE_CLOSE);
	pthread_mutex_lock(&lock);
	ctx = find(ibv);
	if (!ctx)
		soft_die("a context that was closed is closed");
	TAILQ_REMOVE(&contexts, ctx, entry);
	closes++;
	pthread_mutex_unlock(&lock);
	free(ctx);
}

static int close_device(struct ibv_context *ibv)
{
	note_close(ibv);
	return ibc__verbs_backend.close_device(ibv);
}

static int probe(struct ibv_context *ibv)
{
	int error = fake_called(FAKE_PROBE);

	must_be_open(ibv);
	return error ? error : ibc__verbs_backend.probe(ibv);
}

static int get_async_event(struct ibv_context *ibv,
			   struct ibv_async_event *event)
{
	int error = fake_called(FAKE_EVENT);

	must_be_open(ibv);
	if (error) {
		errno = error;
		return -1;
	}
	if (ibc__verbs_backend.get_async_event(ibv, event))
		return -1;
	count(&reads, 1);
	return 0;
}

static void ack_async_event(struct ibv_async_event *event)
{
	fake_called(FAKE_ACK);
	ibc__verbs_backend.ack_async_event(event);
	count(&acks, 1);
}

static struct ibc__backend soft_backend;

/* ---- what tests do ---- */

void fake_start(void)
{
	fake_reset_calls();
	lists = closes = reads = acks = 0;
	soft_make_fabric();
	soft_backend = ibc__verbs_backend;
	soft_backend.get_device_list = get_device_list;
	soft_backend.free_device_list = free_device_list;
	soft_backend.open_device = open_device;
	soft_backend.close_device = close_device;
	soft_backend.probe = probe;
	soft_backend.get_async_event = get_async_event;
	soft_backend.ack_async_event = ack_async_event;
	ibc__backend = &soft_backend;
}

static bool complain(bool bad, const char *what)
{
	if (bad)
		fprintf(stderr, "softverbs: %s\n", what);
	return !bad;
}

bool fake_stop(void)
{
	struct context *ctx;
	bool good;

	good = complain(fake_open_contexts(NULL), "contexts are left open");
	good &= complain(lists, "device lists are not freed");
	good &= complain(reads != acks, "events are not acknowledged");
	while ((ctx = TAILQ_FIRST(&contexts)))
		fake_close(ctx->ibv);
	good &= complain(!soft_destroy_fabric(),
			 "the fabric is not empty when nobody holds it");
	return good;
}

struct ibv_context *fake_open(const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *ibv = NULL;
	char today[64];
	int i;

	for (i = 0; list && list[i] && !ibv; i++)
		if (!ibc__verbs_backend.read_device_name(list[i], today,
							 sizeof(today)) &&
		    strcmp(today, name) == 0)
			ibv = ibv_open_device(list[i]);
	if (list)
		ibv_free_device_list(list);
	return ibv ? note_open(ibv) : NULL;
}

/* not by way of the library's backend: what fails there on purpose is its own */
void fake_close(struct ibv_context *context)
{
	note_close(context);
	ibv_close_device(context);
}

static void is_dead_or_die(const char *what)
{
	if (errno != EIO && errno != ENODEV)
		soft_die(what);
}

/* each with a PD and a CQ of its own; NULL: the context is dead */
struct ibv_qp *fake_make_qp(struct ibv_context *context, void *qp_context)
{
	struct ibv_qp_init_attr init = { .qp_type = IBV_QPT_RC };
	struct ibv_pd *pd = ibv_alloc_pd(context);
	struct ibv_qp *qp = NULL;

	init.qp_context = qp_context;
	if (pd)
		init.send_cq = ibv_create_cq(context, 1, NULL, NULL, 0);
	init.recv_cq = init.send_cq;
	if (init.send_cq)
		qp = ibv_create_qp(pd, &init);
	if (qp)
		return qp;
	is_dead_or_die("cannot make a QP");
	if (init.send_cq)
		ibv_destroy_cq(init.send_cq);
	if (pd)
		ibv_dealloc_pd(pd);
	return NULL;
}

void fake_destroy_qp(struct ibv_qp *qp)
{
	struct ibv_cq *cq = qp->send_cq;
	struct ibv_pd *pd = qp->pd;

	errno = ibv_destroy_qp(qp);
	if (!errno)
		errno = ibv_destroy_cq(cq);
	if (!errno)
		errno = ibv_dealloc_pd(pd);
	if (errno)
		is_dead_or_die("cannot destroy a QP");
}

void fake_context_event(struct ibv_context *context, enum ibv_event_type type,
			uintptr_t element)
{
	must_be_open(context);
	soft_send(context, type, element);
}

/* of a type that the command does not know: one by one */
void fake_event(const char *name, enum ibv_event_type type, uintptr_t element)
{
	struct ibv_context *all[MAX_CONTEXTS];
	unsigned int i, num = 0;
	struct context *ctx;

	if (soft_command_event(name, type, element))
		return;
	pthread_mutex_lock(&lock);
	TAILQ_FOREACH(ctx, &contexts, entry)
		if (soft_is_called(ctx->index, name) && num < MAX_CONTEXTS)
			all[num++] = ctx->ibv;
	pthread_mutex_unlock(&lock);
	for (i = 0; i < num; i++)
		soft_send(all[i], type, element);
}

unsigned int fake_open_contexts(const char *name)
{
	struct context *ctx;
	unsigned int n = 0;

	pthread_mutex_lock(&lock);
	TAILQ_FOREACH(ctx, &contexts, entry)
		n += !name || soft_is_called(ctx->index, name);
	pthread_mutex_unlock(&lock);
	return n;
}

unsigned int fake_closes(void)
{
	return read_count(&closes);
}

unsigned int fake_acks(void)
{
	return read_count(&acks);
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
	bool is_open;

	pthread_mutex_lock(&lock);
	is_open = find(context) != NULL;
	pthread_mutex_unlock(&lock);
	return is_open;
}

const char *fake_context_device(struct ibv_context *context)
{
	struct context *ctx;
	const char *name = NULL;

	pthread_mutex_lock(&lock);
	ctx = find(context);
	if (ctx)
		name = soft_name_of(ctx->index);
	pthread_mutex_unlock(&lock);
	return name;
}
