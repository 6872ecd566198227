// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Unregistering: a full fence. Its steps, which the devices' jobs take beside
 * each other:
 *
 *   mark		the client is dying: get says ESHUTDOWN, no add() begins
 *   remove		each device's job calls remove() where add() had returned 0
 *			and drops the registry's reference
 *   wait		until no slot is active, no callback runs, no data is left
 *   finish		the client is zero again, and its owner's; its record and
 *			slots wait for the next one
 *
 * One party may finish: a thread that waits (->claimed), or the job that the
 * asynchronous form starts. After a time-out nobody has it, until called again.
 */
#include "private.h"

static bool quiet(void *arg)
{
	struct ibc__client *c = arg;

	return !c->active && !c->running && !c->pins;
}

/* lock held: something that quiet() asks for has changed */
void ibc__client_changed(struct ibc__client *c)
{
	if (c->dying && c->job.run && quiet(c))
		ibc__kick(&c->job);
}

/* lock held */
static void mark(struct ibc__client *c)
{
	struct ibc_device *dev;

	if (c->dying)
		return;
	c->dying = true;
	TAILQ_FOREACH(dev, &c->reg->devices, entry) {
		ibc__slot_kill(ibc__slot(dev, c->id), ESHUTDOWN);
		ibc__kick(&dev->job);
	}
	ibc__changed(c->reg);
}

/* a registered client's record, with the lock held; else an errno */
static int claim(struct ibc_client *client, struct ibc__client **record)
{
	struct ibc__client *c = client ? ibc__client_of(client) : NULL;
	int error;

	if (!c)
		return EINVAL;
	error = ibc__registry_check(c->reg);
	if (error)
		return error;
	ibc__lock(c->reg);
	if (ibc__client_of(client) != c)
		error = EINVAL;
	else if (c->claimed)
		error = EBUSY;
	if (error) {
		ibc__unlock(c->reg);
		return error;
	}
	c->claimed = true;
	*record = c;
	return 0;
}

int ibc_unregister_client_timed(struct ibc_client *client, int timeout_ms)
{
	struct ibc__client *c = client ? ibc__client_of(client) : NULL;
	struct ibc_registry *reg;
	uint64_t deadline;
	int error;

	if (!c || ibc__deadline(timeout_ms, &deadline))
		return EINVAL;
	if (c->reg->generation == ibc__generation && ibc__in_callback(c->reg))
		return EDEADLK;
	error = claim(client, &c);
	if (error)
		return error;
	reg = c->reg;
	mark(c);
	error = ibc__wait(reg, quiet, c, deadline);
	c->claimed = false;
	if (!error) {
		ibc__client_finish(c);
		ibc__client_put(c);
	}
	ibc__unlock(reg);
	return error;
}

int ibc_unregister_client(struct ibc_client *client)
{
	return ibc_unregister_client_timed(client, -1);
}

/*
 * The client leaves the list before done(): who hears of it from there may
 * close the registry, which waits for this job.
 */
static bool run_done(struct ibc__job *job)
{
	struct ibc__client *c = ibc__container_of(job, struct ibc__client, job);
	struct ibc_registry *reg = c->reg;
	void (*done)(struct ibc_client * client) = c->done;
	struct ibc_client *client = c->client;
	struct ibc__frame frame;

	if (c->finished || !quiet(c))
		return false;
	ibc__client_finish(c);
	if (!done)
		return false;
	ibc__unlock(reg);
	ibc__enter(&frame, reg);
	done(client);
	ibc__leave(&frame);
	ibc__lock(reg);
	return false;
}

static void rest_done(struct ibc__job *job)
{
	struct ibc__client *c = ibc__container_of(job, struct ibc__client, job);

	if (!c->finished)
		return;
	job->run = NULL;
	ibc__client_put(c);
}

int ibc_unregister_client_async(struct ibc_client *client,
				void (*done)(struct ibc_client *client))
{
	struct ibc_registry *reg;
	struct ibc__client *c;
	int error = claim(client, &c);

	if (error)
		return error;
	reg = c->reg;
	c->done = done;
	c->job.run = run_done;
	c->job.rest = rest_done;
	mark(c);
	ibc__client_changed(c);
	ibc__unlock(reg);
	return 0;
}
