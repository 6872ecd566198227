// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Thread domains and parent domains. A parent domain is its PD under another
 * address, with the same handle, by which keys are checked. Nothing is made of the
 * promise that one thread alone uses it, nor of allocators: we have no queues in
 * the program's memory that it could want to place.
 */
#include <errno.h>
#include <stdlib.h>

#include "preload.h"

struct soft_td {
	struct ibv_td ibv;
	struct soft_use use;
};

struct ibv_td *soft_alloc_td(struct ibv_context *context,
			     struct ibv_td_init_attr *attr)
{
	int error = soft_enter(context, "alloc_td");
	struct soft_td *td;

	if (!error && attr->comp_mask)
		error = EOPNOTSUPP;
	if (error)
		return soft_fail_null(error);
	td = calloc(1, sizeof(*td));
	if (!td)
		return NULL;
	td->ibv.context = context;
	soft_use_init(&td->use, td);
	return &td->ibv;
}

int soft_dealloc_td(struct ibv_td *ibv)
{
	struct soft_context *ctx = to_context(ibv->context);
	struct soft_td *td = (struct soft_td *)ibv;
	int error = soft_enter_destroy(ibv->context, "dealloc_td");

	if (!error)
		error = soft_use_check(ctx, &td->use);
	if (!error)
		soft_use_destroy(ctx, &td->use);
	return soft_fail(error);
}

struct ibv_pd *
soft_alloc_parent_domain(struct ibv_context *context,
			 struct ibv_parent_domain_init_attr *attr)
{
	const uint32_t known = IBV_PARENT_DOMAIN_INIT_ATTR_ALLOCATORS |
			       IBV_PARENT_DOMAIN_INIT_ATTR_PD_CONTEXT;
	struct soft_context *ctx = to_context(context);
	int error = soft_enter(context, "alloc_parent_domain");
	struct soft_td *td = (struct soft_td *)attr->td;
	struct soft_pd *pd;

	if (!error && attr->comp_mask & ~known)
		error = EOPNOTSUPP;
	if (!error && (!attr->pd || attr->pd->context != context ||
		       (td && td->ibv.context != context)))
		error = EINVAL;
	if (error)
		return soft_fail_null(error);
	pd = calloc(1, sizeof(*pd));
	if (!pd)
		return NULL;
	pd->ibv.context = context;
	pd->ibv.handle = attr->pd->handle;
	pd->parent_of = (struct soft_pd *)attr->pd;
	pd->td = td ? &td->use : NULL;
	soft_use_init(&pd->use, pd);
	soft_use_get(ctx, &pd->parent_of->use);
	if (td)
		soft_use_get(ctx, &td->use);
	return &pd->ibv;
}

/* of a parent domain that is being destroyed; of any other it does nothing */
void soft_leave_parent(struct soft_context *ctx, const struct soft_pd *pd)
{
	if (pd->parent_of)
		soft_use_put(ctx, &pd->parent_of->use);
	if (pd->td)
		soft_use_put(ctx, pd->td);
}
