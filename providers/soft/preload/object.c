// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What all verbs and objects share. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "preload.h"

bool soft_is_ours(const struct ibv_context *context)
{
	return context->ops.poll_cq == soft_poll_cq;
}

/* ---- what others write into the header of `objects` ---- */

const struct sv_objects_header *soft_map_marks(int objects)
{
	void *marks = mmap(NULL, sizeof(struct sv_objects_header), PROT_READ,
			   MAP_SHARED, objects, 0);

	return marks == MAP_FAILED ? NULL : marks;
}

void soft_unmap_marks(const struct sv_objects_header *marks)
{
	if (marks)
		munmap((void *)marks, sizeof(*marks));
}

static uint32_t read_mark(const uint32_t *mark)
{
	return __atomic_load_n(mark, __ATOMIC_ACQUIRE);
}

/* set by whoever removes the device, before the event is sent */
bool soft_is_fatal(struct soft_context *ctx)
{
	return read_mark(&ctx->marks->fatal);
}

uint32_t soft_told(struct soft_context *ctx)
{
	return read_mark(&ctx->marks->told);
}

/* ---- faults ---- */

static int obey(const struct sv_fault *fault)
{
	struct timespec delay;

	if (fault->delay_ms) {
		delay.tv_sec = fault->delay_ms / 1000;
		delay.tv_nsec = fault->delay_ms % 1000 * 1000000L;
		while (clock_nanosleep(CLOCK_MONOTONIC, 0, &delay, &delay) ==
		       EINTR)
			;
	}
	return fault->error;
}

int soft_open_fault(int device_dir)
{
	struct sv_fault fault;

	sv_fault_take(device_dir, -1, "open", &fault);
	return obey(&fault);
}

int soft_take_fault(struct soft_context *ctx, const char *verb)
{
	struct sv_fault fault;

	if (!read_mark(&ctx->marks->faults))
		return 0;
	sv_fault_take(ctx->dir, ctx->objects, verb, &fault);
	return obey(&fault);
}

int soft_enter(struct ibv_context *context, const char *verb)
{
	struct soft_context *ctx = to_context(context);
	int saved = errno, error = soft_take_fault(ctx, verb);

	if (soft_is_fatal(ctx))
		error = EIO;
	errno = saved;
	return error;
}

int soft_enter_destroy(struct ibv_context *context, const char *verb)
{
	struct soft_context *ctx = to_context(context);
	int saved = errno, error = soft_take_fault(ctx, verb);

	if (soft_is_fatal(ctx))
		error = 0;
	errno = saved;
	return error;
}

int64_t soft_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

uint32_t soft_next_handle(struct soft_context *ctx)
{
	return atomic_fetch_add(&ctx->next_handle, 1);
}

/* ---- tables: the lowest slot that is free, as the kernel does ---- */

static bool grow(struct soft_table *table, uint32_t limit)
{
	uint32_t num = table->num ? 2 * table->num : 64;
	void **slots;

	if (num > limit)
		return false;
	slots = realloc(table->slots, num * sizeof(*slots));
	if (!slots)
		return false;
	memset(slots + table->num, 0, (num - table->num) * sizeof(*slots));
	table->slots = slots;
	table->num = num;
	return true;
}

int64_t soft_table_add(struct soft_table *table, void *entry, uint32_t limit)
{
	uint32_t slot = table->free;

	while (slot < table->num && table->slots[slot])
		slot++;
	if (slot == table->num && !grow(table, limit))
		return -1;
	table->slots[slot] = entry;
	table->free = slot + 1;
	return slot;
}

void soft_table_remove(struct soft_table *table, uint32_t slot)
{
	table->slots[slot] = NULL;
	if (slot < table->free)
		table->free = slot;
}

/* ---- objects that have events ---- */

/* a lost record costs an injected event, nothing else */
static void record(struct soft_context *ctx, uint32_t slot,
		   const struct sv_object *object)
{
	off_t at = sizeof(struct sv_objects_header) +
		   (off_t)slot * sizeof(*object);
	ssize_t n = pwrite(ctx->objects, object, sizeof(*object), at);

	(void)n;
}

int soft_object_add(struct soft_context *ctx, struct soft_object *object,
		    enum sv_kind kind, const uint32_t *number)
{
	struct sv_object public;
	int64_t slot;

	pthread_mutex_lock(&ctx->lock);
	slot = soft_table_add(&ctx->events, object, SV_MAX_OBJECTS);
	if (slot >= 0) {
		object->kind = kind;
		object->slot = slot;
		object->id = ++ctx->generation * SV_MAX_OBJECTS + slot;
		public = (struct sv_object){ kind, number ? *number : slot,
					     object->id };
		record(ctx, slot, &public);
	}
	pthread_mutex_unlock(&ctx->lock);
	return slot < 0 ? ENOMEM : 0;
}

void soft_object_remove(struct soft_context *ctx, struct soft_object *object)
{
	const struct sv_object none = {};

	pthread_mutex_lock(&ctx->lock);
	soft_table_remove(&ctx->events, object->slot);
	record(ctx, object->slot, &none);
	pthread_mutex_unlock(&ctx->lock);

	pthread_mutex_lock(object->mutex);
	while (*object->acked != object->got)
		pthread_cond_wait(object->cond, object->mutex);
	pthread_mutex_unlock(object->mutex);
}

/* ---- numbers of QPs and WQs ---- */

#define FIRST_NUMBER 0x11
#define NUM_NUMBERS  (0xfffff0 - FIRST_NUMBER)

static int has_number(const struct sv_object *object, void *arg)
{
	return object->number == *(uint32_t *)arg;
}

static int context_has_number(int parent, const char *id, void *arg)
{
	struct sv_context ctx;
	int yes;

	if (!sv_context_open(&ctx, parent, id))
		return 0;
	yes = sv_context_objects(&ctx, SV_QP, has_number, arg) ||
	      sv_context_objects(&ctx, SV_WQ, has_number, arg);
	sv_context_close(&ctx);
	return yes;
}

/* all have been given once: some are in use still */
static bool is_used(struct soft_context *ctx, uint64_t next, uint32_t number)
{
	return next >= NUM_NUMBERS &&
	       sv_for_each_entry(ctx->dir, "contexts", context_has_number,
				 &number);
}

/* the device's file `numbers` counts those given, under a flock */
static int count_number(struct soft_context *ctx, int fd, uint32_t *number)
{
	uint64_t next = 0;
	unsigned int tries;

	if (pread(fd, &next, sizeof(next), 0) < 0)
		return errno;
	for (tries = 0; tries < 1U << 16; tries++) {
		*number = FIRST_NUMBER + next % NUM_NUMBERS;
		if (!is_used(ctx, next++, *number)) {
			if (pwrite(fd, &next, sizeof(next), 0) != sizeof(next))
				return ENOSPC;
			return 0;
		}
	}
	return ENOMEM;
}

int soft_take_number(struct soft_context *ctx, uint32_t *number)
{
	struct sv_lock lock;
	int error = sv_lock_file(&lock, ctx->dir, "numbers", O_CREAT);

	if (error)
		return error;
	error = count_number(ctx, lock.fd, number);
	sv_unlock_file(&lock);
	return error;
}

/* ---- users ---- */

void soft_use_init(struct soft_use *use, void *memory)
{
	*use = (struct soft_use){ .memory = memory };
}

void soft_use_get(struct soft_context *ctx, struct soft_use *use)
{
	pthread_mutex_lock(&ctx->lock);
	use->users++;
	pthread_mutex_unlock(&ctx->lock);
}

void soft_use_put(struct soft_context *ctx, struct soft_use *use)
{
	bool last;

	pthread_mutex_lock(&ctx->lock);
	last = --use->users == 0 && use->destroyed;
	pthread_mutex_unlock(&ctx->lock);
	if (last)
		free(use->memory);
}

int soft_use_check(struct soft_context *ctx, struct soft_use *use)
{
	bool used;

	pthread_mutex_lock(&ctx->lock);
	used = use->users;
	pthread_mutex_unlock(&ctx->lock);
	return used && !soft_is_fatal(ctx) ? EBUSY : 0;
}

void soft_use_destroy(struct soft_context *ctx, struct soft_use *use)
{
	bool last;

	pthread_mutex_lock(&ctx->lock);
	use->destroyed = true;
	last = !use->users;
	pthread_mutex_unlock(&ctx->lock);
	if (last)
		free(use->memory);
}
