// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Owners of contexts: they open one, have it adopted, make QPs, listen, destroy
 * a QP in its own handler or after that was unregistered, and close the context
 * when it has drained. Beside that they listen to devices of the registry's.
 */
#include <stdio.h>
#include <stdlib.h>

#include "inside.h"

/*
 * A handler, and what it heard. All but the atomics is the callback's until the
 * handler is unregistered, then the owner's: without a lock, as in data.c.
 */
struct ear {
	struct ibc_event_handler *handler;
	struct ibv_qp *qp; /* of the event, if it is one's */
	unsigned int heard;
	bool fenced, leaves; /* leaves: unregisters itself, once it heard */
	atomic_bool claimed; /* who unregisters: the first to say so */
	atomic_bool left;    /* its last call is over */
	atomic_bool known;   /* ->handler is written */
};

static void destroy_qp(struct ear *ear)
{
	if (ear->qp)
		fake_destroy_qp(ear->qp);
	ear->qp = NULL;
}

/* the library may call it before the owner knows the handler's name */
static void leave(struct ear *ear)
{
	while (!atomic_load(&ear->known))
		sched_yield();
	if (atomic_exchange(&ear->claimed, true))
		return;
	must(ibc_unregister_event_handler(ear->handler) == 0);
	ear->fenced = true;
	destroy_qp(ear);
}

static void hear(struct ibc_device *dev, const struct ibc_event *event,
		 void *arg)
{
	struct ear *ear = arg;
	struct dice dice =
		dice_of(torture_seed, ear->heard, ibc_device_incarnation(dev));

	device_enter(dev);
	must(!ear->fenced);
	must(event->count);
	ear->heard++;
	count(HANDLER_CALLS);
	linger(&dice, 50);
	run_errand(&dice);
	device_leave(dev);
	if (!ear->leaves)
		return;
	leave(ear);
	if (ear->fenced)
		atomic_store(&ear->left, true);
}

static struct ear *listen(struct ibc_device *dev,
			  const struct ibc_event_filter *filter, bool leaves)
{
	struct ear *ear = calloc(1, sizeof(*ear));

	must(ear);
	ear->leaves = leaves;
	if (filter->scope == IBC_SCOPE_QP)
		ear->qp = filter->qp;
	ear->handler = ibc_register_event_handler(dev, filter, hear, ear);
	must(ear->handler || errno == ENODEV);
	atomic_store(&ear->known, true);
	if (ear->handler) {
		count(HANDLERS);
		return ear;
	}
	destroy_qp(ear);
	free(ear);
	return NULL;
}

/* afterwards nothing is heard; without a lock: unregistering is a fence */
static void deafen(struct ear *ear)
{
	if (!ear)
		return;
	if (!atomic_exchange(&ear->claimed, true)) {
		must(ibc_unregister_event_handler(ear->handler) == 0);
		ear->fenced = true;
		destroy_qp(ear);
	} else {
		while (!atomic_load(&ear->left))
			sched_yield();
	}
	ear->handler = NULL;
	free(ear);
}

/* a device of the registry's own, for a moment */
static void eavesdrop(struct dice *dice)
{
	struct ibc_device *dev = some_device(dice);
	struct ibc_event_filter filter = {
		.scope = roll(dice, 2) ? IBC_SCOPE_PORT : IBC_SCOPE_DEVICE,
		.type_mask = roll(dice, 2) ? 1ULL << IBV_EVENT_DEVICE_FATAL : 0,
	};
	struct ear *ear;

	if (!dev)
		return;
	ear = listen(dev, &filter, roll(dice, 2));
	linger(dice, 5000);
	deafen(ear);
	ibc_put_device(dev);
}

static struct ibv_context *open_some(struct dice *dice)
{
	char name[16];

	snprintf(name, sizeof(name), "soft%u_%u", roll(dice, HARDWARE_THREADS),
		 roll(dice, NAMES_PER_THREAD));
	return fake_open(name);
}

/* what the QP says; read by the library, or by the owner who reports it */
static void say(struct dice *dice, struct ibc_device *dev, struct ibv_qp *qp,
		bool reads)
{
	struct ibv_async_event event = {
		.event_type =
			roll(dice, 2) ? IBV_EVENT_QP_FATAL : IBV_EVENT_COMM_EST,
		.element.qp = qp,
	};
	int error;

	if (reads) {
		/* not the device's: it forgets the context once it is gone */
		fake_context_event(qp->context, event.event_type,
				   (uintptr_t)qp);
		return;
	}
	error = ibc_report_event(dev, &event);
	must(!error || error == ENODEV);
}

/* a QP, its handler, an event or two; it ends in the one way or the other */
static void live(struct dice *dice, struct ibc_device *dev,
		 struct ibv_context *context, bool reads)
{
	struct ibc_event_filter filter = { .scope = IBC_SCOPE_QP };
	unsigned int n = roll(dice, 3);
	bool leaves = roll(dice, 2);
	struct ear *ear;

	filter.qp = fake_make_qp(context, NULL);
	ear = filter.qp ? listen(dev, &filter, leaves) : NULL;
	if (!ear)
		return;
	/* one that is destroyed by its handler says nothing after that */
	if (leaves && n)
		n = 1;
	while (n--)
		say(dice, dev, filter.qp, reads);
	linger(dice, 3000);
	deafen(ear);
}

static void lend(struct dice *dice, struct ibv_context *context)
{
	bool reads = roll(dice, 2);
	struct ibc_device *dev, *same;

	dev = ibc_adopt_context(torture_registry, context,
				reads ? IBC_ADOPT_READ_EVENTS : 0);
	must(dev);
	count(ADOPTED);
	must(ibc_device_adopted(dev));
	same = ibc_get_device_by_context(torture_registry, context);
	must(!same || same == dev); /* its removal may have begun */
	ibc_put_device(same);
	if (roll(dice, 4))
		live(dice, dev, context, reads);
	linger(dice, 3000);
	must(ibc_remove_device(dev) == 0);
	must(ibc_wait_drained(dev, -1) == 0);
	fake_close(context);
	ibc_put_device(dev);
}

void owner_run(struct actor *actor)
{
	struct ibv_context *context;

	while (torture_goes_on()) {
		if (roll(&actor->dice, 2)) {
			eavesdrop(&actor->dice);
			continue;
		}
		context = open_some(&actor->dice);
		if (context)
			lend(&actor->dice, context);
		else
			sched_yield();
	}
}
