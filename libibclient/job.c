// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Jobs: the strands of the library. A job that was kicked waits in reg->ready;
 * a dispatcher takes the first, runs one step of it, and gives it back, at the
 * end of the line if there is more to do: so no device starves another. A kick
 * while it runs makes it run again. reg->lock is held here; a step may drop it.
 */
#include "private.h"

static void enqueue(struct ibc__job *job)
{
	job->queued = true;
	TAILQ_INSERT_TAIL(&job->reg->ready, job, entry);
	ibc__wake(job->reg);
}

void ibc__kick(struct ibc__job *job)
{
	if (job->running)
		job->again = true;
	else if (!job->queued)
		enqueue(job);
}

static bool run(struct ibc__job *job)
{
	struct ibc_registry *reg = job->reg;
	bool more;

	TAILQ_REMOVE(&reg->ready, job, entry);
	if (!TAILQ_EMPTY(&reg->ready)) /* this one may take its time */
		ibc__wake(reg);
	job->queued = false;
	job->running = true;
	reg->running++;
	job->again = false;
	more = job->run(job);
	job->running = false;
	reg->running--;
	if (more || job->again)
		enqueue(job);
	else if (job->rest)
		job->rest(job);
	return true;
}

/* returns whether there was one */
bool ibc__run_job(struct ibc_registry *reg)
{
	struct ibc__job *job = TAILQ_FIRST(&reg->ready);

	return job && ibc__ours(reg) && run(job);
}

/* the same, of those that @fits wants */
bool ibc__run_job_that(struct ibc_registry *reg,
		       bool (*fits)(const struct ibc__job *job))
{
	struct ibc__job *job;

	TAILQ_FOREACH(job, &reg->ready, entry)
		if (fits(job))
			return ibc__ours(reg) && run(job);
	return false;
}
