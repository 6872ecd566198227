// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Multicast: which UD QPs are in which group is in the files of their contexts. Who
 * sends to a group goes through all of the fabric, his own context included, and
 * gives a copy to each member; whoever has no receive posted gets none. There is no
 * subnet manager to make groups: all of them are there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload.h"

static bool is_group(const uint8_t gid[16])
{
	return gid[0] == 0xff;
}

bool soft_is_multicast(const struct soft_address *to)
{
	return to->is_global && is_group(to->dgid);
}

/* ---- members ---- */

struct member {
	struct member *next;
	uint32_t slot;
	uint8_t gid[16];
};

/* soft_sq.lock held: it guards the list */
static struct member **find(struct soft_qp *qp, const union ibv_gid *gid)
{
	struct member **at;

	for (at = &qp->groups; *at; at = &(*at)->next)
		if (!memcmp((*at)->gid, gid->raw, sizeof((*at)->gid)))
			break;
	return at;
}

static void remove_member(struct soft_context *ctx, struct member **at)
{
	struct member *member = *at;
	struct sd_member *shared =
		soft_own_record(ctx->shm, SD_MEMBERS, member->slot);

	if (shared && !soft_shm_lock(ctx->shm)) {
		shared->qpn = 0;
		soft_shm_unlock(ctx->shm);
	}
	pthread_mutex_lock(&ctx->lock);
	soft_table_remove(&ctx->members, member->slot);
	pthread_mutex_unlock(&ctx->lock);
	*at = member->next;
	free(member);
}

static int publish(struct soft_context *ctx, const struct soft_qp *qp,
		   const struct member *member)
{
	struct sd_member *shared =
		soft_own_record(ctx->shm, SD_MEMBERS, member->slot);

	if (!shared)
		return ENOMEM;
	if (soft_shm_lock(ctx->shm))
		return EIO;
	memcpy(shared->gid, member->gid, sizeof(shared->gid));
	shared->qp = qp->index;
	shared->qpn = qp->ibv.qp_num;
	soft_shm_unlock(ctx->shm);
	return 0;
}

static int add_member(struct soft_context *ctx, struct soft_qp *qp,
		      const union ibv_gid *gid)
{
	struct member *member = calloc(1, sizeof(*member));
	int64_t slot;
	int error;

	if (!member)
		return ENOMEM;
	memcpy(member->gid, gid->raw, sizeof(member->gid));
	pthread_mutex_lock(&ctx->lock);
	slot = soft_table_add(&ctx->members, member, SV_MAX_OBJECTS);
	pthread_mutex_unlock(&ctx->lock);
	if (slot < 0) {
		free(member);
		return ENOMEM;
	}
	member->slot = slot;
	member->next = qp->groups;
	qp->groups = member;
	error = publish(ctx, qp, member);
	if (error)
		remove_member(ctx, &qp->groups);
	return error;
}

/* ---- the verbs ---- */

int soft_attach_mcast(struct ibv_qp *ibv, const union ibv_gid *gid,
		      uint16_t lid)
{
	struct soft_context *ctx = to_context(ibv->context);
	struct soft_qp *qp = (struct soft_qp *)ibv;
	int error = soft_enter(ibv->context, "attach_mcast");

	(void)lid; /* the group is its GID */
	if (!error && soft_is_inherited(ctx))
		error = EIO;
	if (!error && (ibv->qp_type != IBV_QPT_UD || !is_group(gid->raw)))
		error = EINVAL;
	if (error)
		return soft_fail(error);
	pthread_mutex_lock(&qp->sq.lock);
	if (!*find(qp, gid))
		error = add_member(ctx, qp, gid);
	pthread_mutex_unlock(&qp->sq.lock);
	return soft_fail(error);
}

int soft_detach_mcast(struct ibv_qp *ibv, const union ibv_gid *gid,
		      uint16_t lid)
{
	struct soft_context *ctx = to_context(ibv->context);
	struct soft_qp *qp = (struct soft_qp *)ibv;
	int error = soft_enter_destroy(ibv->context, "detach_mcast");
	struct member **at;

	(void)lid;
	if (error || soft_is_inherited(ctx))
		return soft_fail(error);
	pthread_mutex_lock(&qp->sq.lock);
	at = find(qp, gid);
	if (*at)
		remove_member(ctx, at);
	else
		error = EINVAL;
	pthread_mutex_unlock(&qp->sq.lock);
	return soft_fail(error);
}

/* of a QP that nobody uses any more */
void soft_leave_groups(struct soft_context *ctx, struct soft_qp *qp)
{
	while (qp->groups)
		remove_member(ctx, &qp->groups);
}

/* ---- sending ---- */

struct round {
	const uint8_t *gid;
	void (*deliver)(struct soft_target *target, void *arg);
	void *arg;
};

/* the lock on the file is held */
static void deliver_to(struct round *r, struct soft_shm *shm,
		       const struct sd_member *member,
		       struct soft_notices *notices)
{
	struct soft_target target = {
		.shm = shm,
		.qp = soft_shm_record(shm, SD_QPS, member->qp),
		.index = member->qp,
		.qpn = member->qpn,
		.notices = notices,
	};

	if (target.qp)
		r->deliver(&target, r->arg);
}

/* one lock for each, so that what is to be told stays small */
static bool visit_record(struct round *r, struct soft_shm *shm, uint32_t index)
{
	struct soft_notices notices = {};
	const struct sd_member *shared;
	struct sd_member member;

	if (soft_shm_lock(shm))
		return false;
	shared = soft_shm_record(shm, SD_MEMBERS, index);
	if (shared) {
		member = *shared;
		if (member.qpn &&
		    !memcmp(member.gid, r->gid, sizeof(member.gid)))
			deliver_to(r, shm, &member, &notices);
	}
	soft_shm_unlock(shm);
	soft_tell(shm, &notices);
	return shared;
}

static int visit_context(int contexts, const char *id, void *arg)
{
	struct soft_shm *shm = soft_shm_open(contexts, id);
	uint32_t i;

	if (!shm)
		return 0;
	for (i = 0; visit_record(arg, shm, i); i++)
		;
	soft_shm_put(shm);
	return 0;
}

static int visit_device(int listed, const char *node, void *arg)
{
	int dir = sv_open_dir(listed, node);

	if (dir < 0)
		return 0;
	sv_for_each_entry(dir, "contexts", visit_context, arg);
	close(dir);
	return 0;
}

void soft_multicast(struct soft_context *ctx, const struct soft_address *to,
		    void (*deliver)(struct soft_target *target, void *arg),
		    void *arg)
{
	struct softverbs *sv = sv_open_existing(ctx->dev->fabric);
	struct round r = { to->dgid, deliver, arg };
	int saved = errno;

	if (!sv)
		return;
	/*
	 * Removed and held it works as before, or else its lock is not given.
	 * First those: what is removed meanwhile gets no second copy.
	 */
	sv_for_each_entry(sv->dir, "removed", visit_device, &r);
	sv_for_each_entry(sv->dir, SV_LISTED, visit_device, &r);
	softverbs_close(sv);
	errno = saved;
}
