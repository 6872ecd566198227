// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Protection domains and memory regions. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "preload.h"

struct ibv_pd *soft_alloc_pd(struct ibv_context *context)
{
	struct soft_context *ctx = to_context(context);
	int error = soft_enter(context, "alloc_pd");
	struct soft_pd *pd;

	if (error)
		return soft_fail_null(error);
	pd = calloc(1, sizeof(*pd));
	if (!pd)
		return NULL;
	pd->ibv.context = context;
	pd->ibv.handle = soft_next_handle(ctx);
	soft_use_init(&pd->use, pd);
	pthread_mutex_lock(&ctx->lock);
	pd->next = ctx->pds;
	ctx->pds = pd;
	pthread_mutex_unlock(&ctx->lock);
	return &pd->ibv;
}

/* one that was imported is not in it */
static void forget_pd(struct soft_context *ctx, struct soft_pd *pd)
{
	struct soft_pd **at;

	pthread_mutex_lock(&ctx->lock);
	for (at = &ctx->pds; *at; at = &(*at)->next) {
		if (*at == pd) {
			*at = pd->next;
			break;
		}
	}
	pthread_mutex_unlock(&ctx->lock);
}

int soft_dealloc_pd(struct ibv_pd *ibv)
{
	struct soft_context *ctx = to_context(ibv->context);
	struct soft_pd *pd = (struct soft_pd *)ibv;
	int error = soft_enter_destroy(ibv->context, "dealloc_pd");

	if (!error)
		error = soft_use_check(ctx, &pd->use);
	if (!error) {
		forget_pd(ctx, pd);
		soft_leave_parent(ctx, pd);
		soft_use_destroy(ctx, &pd->use);
	}
	return soft_fail(error);
}

/* ---- memory regions ---- */

#define REMOTE_NEEDS_LOCAL (IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC)
#define KNOWN_ACCESS                                                       \
	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |                 \
	 REMOTE_NEEDS_LOCAL | IBV_ACCESS_MW_BIND | IBV_ACCESS_ZERO_BASED | \
	 IBV_ACCESS_HUGETLB | IBV_ACCESS_ON_DEMAND |                       \
	 IBV_ACCESS_OPTIONAL_RANGE)

static int check_access(int access)
{
	if (access & ~(int)KNOWN_ACCESS)
		return EINVAL;
	if (access & REMOTE_NEEDS_LOCAL && !(access & IBV_ACCESS_LOCAL_WRITE))
		return EINVAL;
	return 0;
}

/* @first to @last; the kernel tells of each page, and fails if one is not there */
static bool is_mapped(uintptr_t first, uintptr_t last, long page)
{
	unsigned char in_core[4096];
	uintptr_t at = first & ~(uintptr_t)(page - 1);
	uintptr_t size = sizeof(in_core) * page;

	for (; last - at >= size; at += size)
		if (mincore((void *)at, size, in_core))
			return false;
	return !mincore((void *)at, last - at + 1, in_core);
}

/* all of it must be there, as for pinning, unless it is to come on demand */
static int check_range(const void *addr, size_t length, int access)
{
	uintptr_t first = (uintptr_t)addr, last = first + length - 1;

	if (access & IBV_ACCESS_ON_DEMAND) {
		/* the whole address space is meant */
		if (!addr && length == SIZE_MAX)
			return 0;
		return !length || last < first ? EINVAL : 0;
	}
	if (!length || length > SOFT_MAX_MR_SIZE || last < first)
		return EINVAL;
	return is_mapped(first, last, sysconf(_SC_PAGESIZE)) ? 0 : EFAULT;
}

/* the slot makes it unique, the count makes a stale one wrong */
int soft_add_mr(struct soft_context *ctx, struct soft_mr *mr)
{
	int64_t slot;

	pthread_mutex_lock(&ctx->lock);
	slot = soft_table_add(&ctx->mrs, mr, SV_MAX_OBJECTS);
	if (slot >= 0) {
		mr->slot = slot;
		mr->ibv.handle = slot;
		mr->ibv.lkey = mr->ibv.rkey =
			(uint32_t)(slot + 1) << 8 | (++ctx->generation & 0xff);
	}
	pthread_mutex_unlock(&ctx->lock);
	return slot < 0 ? ENOMEM : 0;
}

static struct sd_mr record_of(const struct soft_mr *mr)
{
	return (struct sd_mr){
		.key = mr->ibv.rkey,
		.access = mr->access,
		.pd = mr->ibv.pd->handle,
		.iova = mr->iova,
		.addr = (uintptr_t)mr->ibv.addr,
		.length = mr->ibv.length,
	};
}

/* for those who send to us */
static int publish(struct soft_context *ctx, const struct soft_mr *mr)
{
	struct sd_mr *shared = soft_own_record(ctx->shm, SD_MRS, mr->slot);

	if (!shared)
		return ENOMEM;
	if (soft_shm_lock(ctx->shm))
		return EIO;
	*shared = record_of(mr);
	soft_shm_unlock(ctx->shm);
	return 0;
}

/* waits for who copies; after the end of the device nobody does */
static int unpublish(struct soft_context *ctx, const struct soft_mr *mr)
{
	struct sd_mr *shared = soft_own_record(ctx->shm, SD_MRS, mr->slot);
	int error = 0;

	if (!shared)
		return 0;
	if (soft_shm_lock(ctx->shm)) {
		/* someone is stopped, and has it; nobody comes after him */
		__atomic_store_n(&shared->key, 0, __ATOMIC_SEQ_CST);
		return 0;
	}
	if (mr->access & IBV_ACCESS_MW_BIND && soft_mr_has_windows(ctx, mr))
		error = EBUSY;
	else
		shared->key = 0;
	soft_shm_unlock(ctx->shm);
	return error;
}

void soft_remove_mr(struct soft_context *ctx, struct soft_mr *mr)
{
	pthread_mutex_lock(&ctx->lock);
	soft_table_remove(&ctx->mrs, mr->slot);
	pthread_mutex_unlock(&ctx->lock);
}

struct ibv_mr *soft_reg_mr(struct ibv_pd *pd, void *addr, size_t length,
			   uint64_t iova, int access)
{
	struct soft_context *ctx = to_context(pd->context);
	int error = soft_enter(pd->context, "reg_mr");
	struct soft_mr *mr;

	if (!error)
		error = check_access(access);
	if (!error)
		error = check_range(addr, length, access);
	if (!error)
		error = soft_shm_own(ctx);
	if (error)
		return soft_fail_null(error);
	mr = calloc(1, sizeof(*mr));
	if (!mr)
		return NULL;
	mr->ibv.context = pd->context;
	mr->ibv.pd = pd;
	mr->ibv.addr = addr;
	mr->ibv.length = length;
	mr->iova = iova;
	mr->access = access;
	error = soft_add_mr(ctx, mr);
	if (!error) {
		error = publish(ctx, mr);
		if (error)
			soft_remove_mr(ctx, mr);
	}
	if (error) {
		free(mr);
		return soft_fail_null(error);
	}
	soft_use_get(ctx, &((struct soft_pd *)pd)->use);
	return &mr->ibv;
}

static const struct soft_mr *to_mr(const struct ibv_mr *mr)
{
	return (const struct soft_mr *)mr;
}

static int check_rereg(const struct ibv_mr *mr, int flags,
		       const struct ibv_pd *pd, const void *addr, size_t length,
		       int access)
{
	int error = 0;

	if (flags & ~IBV_REREG_MR_FLAGS_SUPPORTED)
		return EINVAL;
	if (access && !(flags & IBV_REREG_MR_CHANGE_ACCESS))
		return EINVAL;
	if (flags & IBV_REREG_MR_CHANGE_PD &&
	    (!pd || pd->context != mr->context))
		return EINVAL;
	if (flags & IBV_REREG_MR_CHANGE_ACCESS)
		error = check_access(access);
	if (!error && flags & IBV_REREG_MR_CHANGE_TRANSLATION)
		error = addr ? check_range(addr, length,
					   flags & IBV_REREG_MR_CHANGE_ACCESS ?
						   access :
						   to_mr(mr)->access) :
			       EINVAL;
	return error;
}

/* lock held */
static void change(struct soft_mr *mr, int flags, struct ibv_pd *pd, void *addr,
		   size_t length, int access)
{
	if (flags & IBV_REREG_MR_CHANGE_PD)
		mr->ibv.pd = pd;
	if (flags & IBV_REREG_MR_CHANGE_ACCESS)
		mr->access = access;
	if (flags & IBV_REREG_MR_CHANGE_TRANSLATION) {
		mr->ibv.addr = addr;
		mr->ibv.length = length;
		mr->iova = (uintptr_t)addr;
	}
}

/* here an error is a negative number of its own kind */
int soft_rereg_mr(struct ibv_mr *ibv, int flags, struct ibv_pd *pd, void *addr,
		  size_t length, int access)
{
	struct soft_context *ctx = to_context(ibv->context);
	struct soft_mr *mr = (struct soft_mr *)ibv;
	struct ibv_pd *old = ibv->pd;
	int error = soft_enter(ibv->context, "rereg_mr");

	if (error) {
		errno = error;
		return IBV_REREG_MR_ERR_CMD;
	}
	error = check_rereg(ibv, flags, pd, addr, length, access);
	if (error) {
		errno = error;
		return IBV_REREG_MR_ERR_INPUT;
	}
	pthread_mutex_lock(&ctx->lock);
	change(mr, flags, pd, addr, length, access);
	pthread_mutex_unlock(&ctx->lock);
	error = publish(ctx, mr);
	if (flags & IBV_REREG_MR_CHANGE_PD) {
		soft_use_get(ctx, &((struct soft_pd *)pd)->use);
		soft_use_put(ctx, &((struct soft_pd *)old)->use);
	}
	if (!error)
		return 0;
	errno = error;
	return IBV_REREG_MR_ERR_CMD;
}

int soft_dereg_mr(struct ibv_mr *ibv)
{
	struct soft_context *ctx = to_context(ibv->context);
	struct soft_mr *mr = (struct soft_mr *)ibv;
	int error = soft_enter_destroy(ibv->context, "dereg_mr");

	if (error)
		return soft_fail(error);
	error = unpublish(ctx, mr);
	if (error)
		return soft_fail(error);
	soft_remove_mr(ctx, mr);
	soft_use_put(ctx, &((struct soft_pd *)ibv->pd)->use);
	free(mr);
	return 0;
}

int soft_local_range(struct soft_context *ctx, const struct ibv_pd *pd,
		     const struct ibv_sge *sge, int access, struct iovec *iov)
{
	uint32_t slot = (sge->lkey >> 8) - 1;
	const struct soft_mr *mr;
	int error = EACCES;
	uint64_t at;

	/* a length of 0 is none: memory without a key will do */
	iov->iov_base = NULL;
	iov->iov_len = sge->length;
	if (!sge->length)
		return 0;
	pthread_mutex_lock(&ctx->lock);
	mr = soft_table_get(&ctx->mrs, slot);
	at = mr ? sge->addr - mr->iova : 0;
	if (mr && mr->ibv.lkey == sge->lkey && !mr->is_window &&
	    mr->ibv.pd->handle == pd->handle &&
	    (mr->access & access) == access && sge->addr >= mr->iova &&
	    at <= mr->ibv.length && sge->length <= mr->ibv.length - at) {
		iov->iov_base = (char *)mr->ibv.addr + at;
		error = 0;
	}
	pthread_mutex_unlock(&ctx->lock);
	return error;
}

/* it is there when it is needed; what is asked for is checked all the same */
int soft_advise_mr(struct ibv_pd *pd, enum ibv_advise_mr_advice advice,
		   uint32_t flags, struct ibv_sge *sges, uint32_t num)
{
	int error = soft_enter(pd->context, "advise_mr"), access = 0;
	struct iovec iov;
	uint32_t i;

	if (!error && (flags & ~(uint32_t)IBV_ADVISE_MR_FLAG_FLUSH || !num))
		error = EINVAL;
	if (!error && advice > IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT)
		error = EOPNOTSUPP;
	if (advice == IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE)
		access = IBV_ACCESS_LOCAL_WRITE;
	for (i = 0; !error && i < num; i++)
		error = soft_local_range(to_context(pd->context), pd, &sges[i],
					 access, &iov);
	return soft_fail(error == EACCES ? ENOENT : error);
}

/* what the file says of our memory may be somebody else's word */
bool soft_mr_covers(struct soft_context *ctx, uint32_t key,
		    const struct iovec *iov)
{
	uint32_t slot = (key >> 8) - 1;
	const struct soft_mr *mr;
	uintptr_t at;
	bool yes = false;

	pthread_mutex_lock(&ctx->lock);
	mr = soft_table_get(&ctx->mrs, slot);
	if (mr && mr->ibv.lkey == key && !mr->is_window) {
		at = (uintptr_t)iov->iov_base - (uintptr_t)mr->ibv.addr;
		yes = at <= mr->ibv.length &&
		      iov->iov_len <= mr->ibv.length - at;
	}
	pthread_mutex_unlock(&ctx->lock);
	return yes;
}
