// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory windows: a record among those of the MRs, with the key of the MR that it
 * is bound to. They are bound and made invalid in the order of the send queue, with
 * the lock on the file; an MR that has windows is not deregistered.
 *
 * Type 1 is of its PD, type 2 of the QP that bound it.
 */
#include <errno.h>
#include <stdlib.h>

#include "preload.h"

#define WRITES (IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC)
#define KNOWN                                                       \
	(WRITES | IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | \
	 IBV_ACCESS_ZERO_BASED)

struct soft_mw {
	struct ibv_mw ibv;
	struct soft_mr entry; /* in the table of MRs */
	struct sd_mr *shared;
};

struct ibv_mw *soft_alloc_mw(struct ibv_pd *pd, enum ibv_mw_type type)
{
	struct soft_context *ctx = to_context(pd->context);
	int error = soft_enter(pd->context, "alloc_mw");
	struct soft_mw *mw;

	if (!error && type != IBV_MW_TYPE_1 && type != IBV_MW_TYPE_2)
		error = EINVAL;
	if (!error)
		error = soft_shm_own(ctx);
	if (error)
		return soft_fail_null(error);
	mw = calloc(1, sizeof(*mw));
	if (!mw)
		return NULL;
	mw->entry.is_window = true;
	error = soft_add_mr(ctx, &mw->entry);
	if (error) {
		free(mw);
		return soft_fail_null(error);
	}
	mw->shared = soft_own_record(ctx->shm, SD_MRS, mw->entry.slot);
	if (!mw->shared) {
		soft_remove_mr(ctx, &mw->entry);
		free(mw);
		return soft_fail_null(ENOMEM);
	}
	mw->ibv.context = pd->context;
	mw->ibv.pd = pd;
	mw->ibv.type = type;
	mw->ibv.handle = mw->entry.slot;
	mw->ibv.rkey = mw->entry.ibv.rkey;
	soft_use_get(ctx, &((struct soft_pd *)pd)->use);
	return &mw->ibv;
}

int soft_dealloc_mw(struct ibv_mw *ibv)
{
	struct soft_context *ctx = to_context(ibv->context);
	struct soft_mw *mw = (struct soft_mw *)ibv;
	int error = soft_enter_destroy(ibv->context, "dealloc_mw");

	if (error)
		return soft_fail(error);
	if (!soft_shm_lock(ctx->shm)) {
		mw->shared->key = 0;
		soft_shm_unlock(ctx->shm);
	}
	soft_remove_mr(ctx, &mw->entry);
	soft_use_put(ctx, &((struct soft_pd *)ibv->pd)->use);
	free(mw);
	return 0;
}

/* ---- in the order of the send queue; the lock on the file is held ---- */

static bool may_bind(const struct soft_qp *qp, const struct soft_send *send,
		     const struct sd_mr *mr)
{
	const struct ibv_mw_bind_info *b = &send->bind;

	if (mr->key != b->mr->rkey || mr->pd != qp->ibv.pd->handle ||
	    !(mr->access & IBV_ACCESS_MW_BIND) || mr->parent)
		return false;
	if (b->mw_access_flags & ~(unsigned int)KNOWN ||
	    (b->mw_access_flags & WRITES &&
	     !(mr->access & IBV_ACCESS_LOCAL_WRITE)))
		return false;
	return b->addr >= mr->iova && b->addr - mr->iova <= mr->length &&
	       b->length <= mr->length - (b->addr - mr->iova);
}

static bool bind_locked(struct soft_qp *qp, const struct soft_send *send)
{
	struct soft_context *ctx = to_context(qp->ibv.context);
	const struct ibv_mw_bind_info *b = &send->bind;
	struct soft_mw *mw = (struct soft_mw *)send->mw;
	const bool second = mw->ibv.type == IBV_MW_TYPE_2;
	const struct sd_mr *mr;

	if (mw->ibv.pd->handle != qp->ibv.pd->handle ||
	    send->rkey >> 8 != mw->entry.slot + 1U ||
	    (second && mw->shared->key))
		return false;
	if (!b->length) {
		mw->shared->key = 0;
		return !second;
	}
	mr = b->mr ? soft_shm_record(ctx->shm, SD_MRS,
				     ((struct soft_mr *)b->mr)->slot) :
		     NULL;
	if (!mr || !may_bind(qp, send, mr))
		return false;
	*mw->shared = (struct sd_mr){
		.key = send->rkey,
		.access = b->mw_access_flags,
		.pd = mr->pd,
		.qpn = second ? qp->ibv.qp_num : 0,
		.parent = mr->key,
		.iova = b->mw_access_flags & IBV_ACCESS_ZERO_BASED ? 0 :
								     b->addr,
		.addr = mr->addr + (b->addr - mr->iova),
		.length = b->length,
	};
	return true;
}

enum ibv_wc_status soft_mw_bind(struct soft_qp *qp,
				const struct soft_send *send)
{
	struct soft_context *ctx = to_context(qp->ibv.context);
	bool done;

	if (soft_shm_lock(ctx->shm))
		return IBV_WC_FATAL_ERR;
	done = bind_locked(qp, send);
	soft_shm_unlock(ctx->shm);
	return done ? IBV_WC_SUCCESS : IBV_WC_MW_BIND_ERR;
}

/* only windows of type 2 can be made invalid, by their QP */
bool soft_mw_invalidate(struct soft_shm *shm, uint32_t qpn, uint32_t key)
{
	struct sd_mr *mr =
		key >> 8 ? soft_shm_record(shm, SD_MRS, (key >> 8) - 1) : NULL;

	if (!mr || mr->key != key || !mr->parent || mr->qpn != qpn)
		return false;
	mr->key = 0;
	return true;
}

enum ibv_wc_status soft_mw_invalidate_own(struct soft_qp *qp, uint32_t key)
{
	struct soft_context *ctx = to_context(qp->ibv.context);
	bool done;

	if (soft_shm_lock(ctx->shm))
		return IBV_WC_FATAL_ERR;
	done = soft_mw_invalidate(ctx->shm, qp->ibv.qp_num, key);
	soft_shm_unlock(ctx->shm);
	return done ? IBV_WC_SUCCESS : IBV_WC_MW_BIND_ERR;
}

/* ---- verbs ---- */

/* of type 1; it gets a new key */
int soft_bind_mw(struct ibv_qp *qp, struct ibv_mw *mw, struct ibv_mw_bind *bind)
{
	struct ibv_send_wr wr = {
		.wr_id = bind->wr_id,
		.opcode = IBV_WR_BIND_MW,
		.send_flags = bind->send_flags,
		.bind_mw = { mw, ibv_inc_rkey(mw->rkey), bind->bind_info },
	};
	struct ibv_send_wr *bad;
	int error = soft_post_send(qp, &wr, &bad);

	if (!error)
		mw->rkey = wr.bind_mw.rkey;
	return error;
}

/* lock on the file held */
bool soft_mr_has_windows(struct soft_context *ctx, const struct soft_mr *mr)
{
	const struct sd_mr *shared;
	const struct soft_mr *entry;
	bool found = false;
	uint32_t i;

	pthread_mutex_lock(&ctx->lock);
	for (i = 0; !found && i < ctx->mrs.num; i++) {
		entry = ctx->mrs.slots[i];
		if (!entry || !entry->is_window)
			continue;
		shared = soft_shm_record(ctx->shm, SD_MRS, i);
		found = shared && shared->key && shared->parent == mr->ibv.rkey;
	}
	pthread_mutex_unlock(&ctx->lock);
	return found;
}
