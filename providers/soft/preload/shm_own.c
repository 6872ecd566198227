// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The file `data` of a context of this process: making it, and giving out parts of
 * it. A part is a power of two of pages; what is freed is used again for the same
 * size. Each is mapped for itself, and stays where it is, so that its owner reads
 * and writes it without a lock; the disk space is there before, as a mapped page
 * without it would kill.
 *
 * own_lock guards ends, holes and chunks; nothing is taken inside it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload.h"
#include "shm.h"

/* until it is ready */
#define NEW_DATA "data.new"

struct soft_hole {
	struct soft_hole *next;
	uint64_t offset;
};

/* ---- parts ---- */

static unsigned int order_of(size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE), n = (size + page - 1) / page;

	return n <= 1 ? 0 : 64 - __builtin_clzll(n - 1);
}

static size_t order_size(unsigned int order)
{
	return (size_t)sysconf(_SC_PAGESIZE) << order;
}

/* lock held */
static int take_space(struct soft_shm *shm, unsigned int order,
		      uint64_t *offset)
{
	struct soft_hole *hole = shm->holes[order];
	int error;

	if (hole) {
		shm->holes[order] = hole->next;
		*offset = hole->offset;
		free(hole);
		return 0;
	}
	error = posix_fallocate(shm->fd, shm->end, order_size(order));
	if (error)
		return error == ENOSPC || error == EFBIG ? ENOMEM : error;
	*offset = shm->end;
	shm->end += order_size(order);
	return 0;
}

/* lock held; without memory it is lost until the context is closed */
static void give_space(struct soft_shm *shm, unsigned int order,
		       uint64_t offset)
{
	struct soft_hole *hole = malloc(sizeof(*hole));

	if (!hole)
		return;
	hole->offset = offset;
	hole->next = shm->holes[order];
	shm->holes[order] = hole;
}

void soft_region_forget(struct soft_shm *shm)
{
	struct soft_hole *hole;
	unsigned int i, k;

	if (!shm->is_own)
		return;
	for (i = 0; i < SD_NUM_TABLES; i++)
		for (k = 0; k < SD_NUM_CHUNKS; k++)
			if (shm->chunks[i][k])
				munmap(shm->chunks[i][k],
				       shm->chunk_sizes[i][k]);
	if (shm->own_header)
		munmap(shm->own_header, shm->own_header_size);
	for (i = 0; i < sizeof(shm->holes) / sizeof(shm->holes[0]); i++) {
		while ((hole = shm->holes[i])) {
			shm->holes[i] = hole->next;
			free(hole);
		}
	}
}

/* lock held */
static int alloc_region(struct soft_shm *shm, size_t size,
			struct soft_region *r)
{
	unsigned int order = order_of(size);
	int error = take_space(shm, order, &r->offset);

	if (error)
		return error;
	r->size = order_size(order);
	r->at = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, shm->fd,
		     (off_t)r->offset);
	if (r->at == MAP_FAILED) {
		r->at = NULL;
		give_space(shm, order, r->offset);
		return ENOMEM;
	}
	memset(r->at, 0, size);
	__atomic_store_n(&shm->own_header->size, shm->end, __ATOMIC_RELEASE);
	return 0;
}

int soft_region_alloc(struct soft_shm *shm, size_t size, struct soft_region *r)
{
	int error;

	pthread_mutex_lock(&shm->own_lock);
	error = alloc_region(shm, size, r);
	pthread_mutex_unlock(&shm->own_lock);
	return error;
}

void soft_region_free(struct soft_shm *shm, struct soft_region *r)
{
	if (!r->at)
		return;
	munmap(r->at, r->size);
	r->at = NULL;
	if (shm->process != soft_shm_process())
		return;
	pthread_mutex_lock(&shm->own_lock);
	give_space(shm, order_of(r->size), r->offset);
	pthread_mutex_unlock(&shm->own_lock);
}

/* ---- records ---- */

/* lock held; a chunk is never given back */
static void *own_chunk(struct soft_shm *shm, enum sd_table table,
		       unsigned int chunk)
{
	struct soft_region r;

	if (chunk >= SD_NUM_CHUNKS)
		return NULL;
	if (!shm->chunks[table][chunk]) {
		if (alloc_region(shm, sd_record_size(table) * (64UL << chunk),
				 &r))
			return NULL;
		shm->chunks[table][chunk] = r.at;
		shm->chunk_sizes[table][chunk] = r.size;
		__atomic_store_n(&shm->own_header->chunks[table][chunk],
				 r.offset, __ATOMIC_RELEASE);
	}
	return shm->chunks[table][chunk];
}

void *soft_own_record(struct soft_shm *shm, enum sd_table table, uint32_t index)
{
	unsigned int chunk;
	uint32_t at;
	char *records;

	if (shm->process != soft_shm_process())
		return NULL;
	sd_where(index, &chunk, &at);
	pthread_mutex_lock(&shm->own_lock);
	records = own_chunk(shm, table, chunk);
	pthread_mutex_unlock(&shm->own_lock);
	return records ? records + (size_t)at * sd_record_size(table) : NULL;
}

/* ---- the file ---- */

static int make_file(struct soft_shm *shm, int dir)
{
	struct flock owner = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat st;

	shm->fd = openat(dir, NEW_DATA,
			 O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			 0600);
	if (shm->fd < 0 || fcntl(shm->fd, F_SETLK, &owner) ||
	    fstat(shm->fd, &st))
		return errno;
	shm->dev = st.st_dev;
	shm->ino = st.st_ino;
	return 0;
}

static int make_header(struct soft_shm *shm)
{
	size_t size = order_size(order_of(sizeof(struct sd_header)));
	int error = posix_fallocate(shm->fd, 0, size);

	if (error)
		return error;
	shm->own_header = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			       shm->fd, 0);
	if (shm->own_header == MAP_FAILED) {
		shm->own_header = NULL;
		return ENOMEM;
	}
	shm->own_header_size = size;
	shm->end = size;
	shm->own_header->version = SD_VERSION;
	shm->own_header->size = size;
	/* last, for who looks meanwhile */
	__atomic_store_n(&shm->own_header->magic, SD_MAGIC, __ATOMIC_RELEASE);
	return 0;
}

static struct soft_shm *make(struct soft_context *ctx, int contexts, int *error)
{
	struct soft_shm *shm = soft_shm_new(contexts, ctx->id);
	int dir = sv_open_dir(contexts, ctx->id);

	*error = !shm ? ENOMEM : dir < 0 ? errno : 0;
	if (!*error) {
		shm->is_own = true;
		shm->owner = ctx;
		shm->pid = getpid();
		pthread_mutex_init(&shm->own_lock, NULL);
		shm->marks = soft_map_marks(ctx->objects);
		*error = shm->marks ? make_file(shm, dir) : ENOMEM;
	}
	if (!*error)
		*error = make_header(shm);
	if (*error && shm) {
		soft_shm_abandon(shm);
		unlinkat(dir, NEW_DATA, 0);
		shm = NULL;
	}
	if (shm) {
		/* who finds the file has to find us, and not open it: see shm.c */
		soft_shm_publish(shm);
		if (renameat(dir, NEW_DATA, dir, "data")) {
			*error = errno;
			soft_shm_put(shm);
			shm = NULL;
		}
	}
	if (dir >= 0)
		close(dir);
	return shm;
}

int soft_shm_own(struct soft_context *ctx)
{
	int contexts, error = 0, saved = errno;
	struct soft_shm *shm;

	if (soft_is_inherited(ctx))
		return EIO;
	if (atomic_load(&ctx->shm))
		return 0;
	pthread_mutex_lock(&ctx->shm_lock);
	if (!atomic_load(&ctx->shm)) {
		contexts = sv_open_dir(ctx->dir, "contexts");
		shm = contexts < 0 ? NULL : make(ctx, contexts, &error);
		if (contexts < 0)
			error = errno;
		else
			close(contexts);
		if (shm) {
			/* where Yama is: peers of the same user may reach us */
			prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
			atomic_store(&ctx->shm, shm);
		}
	}
	pthread_mutex_unlock(&ctx->shm_lock);
	errno = saved;
	return error;
}

void soft_shm_disown(struct soft_context *ctx)
{
	struct soft_shm *shm = atomic_load(&ctx->shm);

	if (!shm)
		return;
	/* who has it now ends first; a child's parent goes on with it */
	if (!soft_is_inherited(ctx)) {
		pthread_mutex_lock(&shm->mutex);
		shm->closed = true;
		shm->owner = NULL;
		shm->own_header->magic = 0;
		pthread_mutex_unlock(&shm->mutex);
	}
	soft_shm_put(shm);
	atomic_store(&ctx->shm, NULL);
}
