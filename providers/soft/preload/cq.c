// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Completion queues. Nothing completes yet: they are empty. */
#include <errno.h>
#include <stdlib.h>

#include "preload.h"

/* ---- polling by parts: never starts, so nothing is read ---- */

static int start_poll(struct ibv_cq_ex *ex, struct ibv_poll_cq_attr *attr)
{
	int error = soft_enter(ex->context, "poll_cq");

	if (attr->comp_mask)
		return EINVAL;
	return error ? error : ENOENT;
}

static int next_poll(struct ibv_cq_ex *ex)
{
	(void)ex;
	return ENOENT;
}

static void end_poll(struct ibv_cq_ex *ex)
{
	(void)ex;
}

/* for those who read all the same: what a completion of nothing would say */
#define READ(type, field)                              \
	static type read_##field(struct ibv_cq_ex *ex) \
	{                                              \
		(void)ex;                              \
		return 0;                              \
	}

READ(enum ibv_wc_opcode, opcode)
READ(uint32_t, vendor_err)
READ(uint32_t, byte_len)
READ(__be32, imm_data)
READ(uint32_t, qp_num)
READ(uint32_t, src_qp)
READ(unsigned int, wc_flags)
READ(uint32_t, slid)
READ(uint8_t, sl)
READ(uint8_t, dlid_path_bits)

static void fill_poll(struct ibv_cq_ex *ex)
{
	ex->start_poll = start_poll;
	ex->next_poll = next_poll;
	ex->end_poll = end_poll;
	ex->read_opcode = read_opcode;
	ex->read_vendor_err = read_vendor_err;
	ex->read_byte_len = read_byte_len;
	ex->read_imm_data = read_imm_data;
	ex->read_qp_num = read_qp_num;
	ex->read_src_qp = read_src_qp;
	ex->read_wc_flags = read_wc_flags;
	ex->read_slid = read_slid;
	ex->read_sl = read_sl;
	ex->read_dlid_path_bits = read_dlid_path_bits;
}

/* ---- making them ---- */

struct cq_attr {
	uint32_t cqe;
	void *cq_context;
	struct ibv_comp_channel *channel;
	uint32_t comp_vector;
};

static int check(struct ibv_context *context, const struct cq_attr *attr)
{
	if (!attr->cqe || attr->cqe > SOFT_MAX_CQE)
		return EINVAL;
	if (attr->comp_vector >= (uint32_t)context->num_comp_vectors)
		return EINVAL;
	if (attr->channel && attr->channel->context != context)
		return EINVAL;
	return 0;
}

static void init(struct soft_cq *cq, struct ibv_context *context,
		 const struct cq_attr *attr)
{
	cq->ibv.context = context;
	cq->ibv.channel = attr->channel;
	cq->ibv.cq_context = attr->cq_context;
	cq->ibv.cqe = attr->cqe;
	pthread_mutex_init(&cq->ibv.mutex, NULL);
	pthread_cond_init(&cq->ibv.cond, NULL);
	fill_poll(&cq->ex);
	soft_use_init(&cq->use, cq);
	cq->object.ibv = cq;
	cq->object.mutex = &cq->ibv.mutex;
	cq->object.cond = &cq->ibv.cond;
	cq->object.acked = &cq->ibv.async_events_completed;
}

/* as libibverbs: the public count is of the CQs, under the context's lock */
static void use_channel(struct soft_context *ctx, struct ibv_comp_channel *ibv)
{
	struct soft_channel *channel = (struct soft_channel *)ibv;

	if (!channel)
		return;
	soft_use_get(ctx, &channel->use);
	pthread_mutex_lock(&ctx->lock);
	ibv->refcnt++;
	pthread_mutex_unlock(&ctx->lock);
}

static void unuse_channel(struct soft_context *ctx,
			  struct ibv_comp_channel *ibv)
{
	struct soft_channel *channel = (struct soft_channel *)ibv;

	if (!channel)
		return;
	pthread_mutex_lock(&ctx->lock);
	ibv->refcnt--;
	pthread_mutex_unlock(&ctx->lock);
	soft_use_put(ctx, &channel->use);
}

static void free_cq(struct soft_context *ctx, struct soft_cq *cq)
{
	pthread_mutex_destroy(&cq->ibv.mutex);
	pthread_cond_destroy(&cq->ibv.cond);
	soft_use_destroy(ctx, &cq->use);
}

static struct soft_cq *create(struct ibv_context *context, const char *verb,
			      const struct cq_attr *attr)
{
	struct soft_context *ctx = to_context(context);
	int error = soft_enter(context, verb);
	struct soft_cq *cq;

	if (!error)
		error = check(context, attr);
	if (error)
		return soft_fail_null(error);
	cq = calloc(1, sizeof(*cq));
	if (!cq)
		return NULL;
	init(cq, context, attr);
	error = soft_object_add(ctx, &cq->object, SV_CQ, NULL);
	if (error) {
		free_cq(ctx, cq);
		return soft_fail_null(error);
	}
	cq->ibv.handle = cq->object.slot;
	use_channel(ctx, attr->channel);
	return cq;
}

struct ibv_cq *soft_create_cq(struct ibv_context *context, int cqe,
			      void *cq_context,
			      struct ibv_comp_channel *channel, int comp_vector)
{
	const struct cq_attr attr = { cqe < 0 ? 0 : cqe, cq_context, channel,
				      comp_vector };
	struct soft_cq *cq = create(context, "create_cq", &attr);

	return cq ? &cq->ibv : NULL;
}

struct ibv_cq_ex *soft_create_cq_ex(struct ibv_context *context,
				    struct ibv_cq_init_attr_ex *ex)
{
	const struct cq_attr attr = { ex->cqe, ex->cq_context, ex->channel,
				      ex->comp_vector };
	struct soft_cq *cq;

	if (ex->wc_flags & ~(uint64_t)IBV_WC_STANDARD_FLAGS ||
	    ex->comp_mask & ~(uint32_t)IBV_CQ_INIT_ATTR_MASK_FLAGS)
		return soft_fail_null(EOPNOTSUPP);
	if (ex->comp_mask & IBV_CQ_INIT_ATTR_MASK_FLAGS &&
	    ex->flags & ~(uint32_t)IBV_CREATE_CQ_ATTR_SINGLE_THREADED)
		return soft_fail_null(EOPNOTSUPP);
	cq = create(context, "create_cq_ex", &attr);
	return cq ? &cq->ex : NULL;
}

/* ---- using them ---- */

int soft_resize_cq(struct ibv_cq *cq, int cqe)
{
	int error = soft_enter(cq->context, "resize_cq");

	if (!error && (cqe < 1 || cqe > SOFT_MAX_CQE))
		error = EINVAL;
	if (!error)
		cq->cqe = cqe;
	return soft_fail(error);
}

/* also what tells that a context is ours */
int soft_poll_cq(struct ibv_cq *cq, int num, struct ibv_wc *wc)
{
	int error = soft_enter(cq->context, "poll_cq");

	(void)num;
	(void)wc;
	return -soft_fail(error);
}

int soft_req_notify_cq(struct ibv_cq *ibv, int solicited_only)
{
	struct soft_context *ctx = to_context(ibv->context);
	struct soft_cq *cq = (struct soft_cq *)ibv;
	int error = soft_enter(ibv->context, "req_notify_cq");

	if (error)
		return soft_fail(error);
	pthread_mutex_lock(&ctx->lock);
	/* asking for all is not taken back by asking for less */
	cq->solicited_only =
		solicited_only && (!cq->armed || cq->solicited_only);
	cq->armed = true;
	pthread_mutex_unlock(&ctx->lock);
	return 0;
}

void soft_ack_cq_events(struct ibv_cq *cq, unsigned int num)
{
	pthread_mutex_lock(&cq->mutex);
	cq->comp_events_completed += num;
	pthread_cond_signal(&cq->cond);
	pthread_mutex_unlock(&cq->mutex);
}

int soft_destroy_cq(struct ibv_cq *ibv)
{
	struct soft_context *ctx = to_context(ibv->context);
	struct soft_cq *cq = (struct soft_cq *)ibv;
	int error = soft_enter_destroy(ibv->context, "destroy_cq");

	if (!error)
		error = soft_use_check(ctx, &cq->use);
	if (error)
		return soft_fail(error);
	soft_object_remove(ctx, &cq->object);
	pthread_mutex_lock(&ibv->mutex);
	while (ibv->comp_events_completed != cq->comp_got)
		pthread_cond_wait(&ibv->cond, &ibv->mutex);
	pthread_mutex_unlock(&ibv->mutex);
	unuse_channel(ctx, ibv->channel);
	free_cq(ctx, cq);
	return 0;
}
