// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * No table and no thread: a handler for each, which the library calls after it has
 * acknowledged the event, so that the QP may be destroyed in the callback. All that
 * is kept is who was first, the event or the one who waits.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "ucx_async.h"

enum state {
	NOTHING,
	WAITED_FOR, /* fn and arg are set */
	HAPPENED,
};

struct ucx_wait {
	struct ibc_event_handler *handler;
	_Atomic int state;
	void (*fn)(void *arg);
	void *arg;
};

/* the first one counts: equal ones may follow */
static void happened(struct ibc_device *dev, const struct ibc_event *event,
		     void *arg)
{
	struct ucx_wait *wait = arg;

	(void)dev;
	(void)event;
	if (atomic_exchange(&wait->state, HAPPENED) == WAITED_FOR)
		wait->fn(wait->arg);
}

struct ucx_wait *ucx_expect(struct ibc_device *dev, struct ibv_qp *qp,
			    enum ibv_event_type type)
{
	const struct ibc_event_filter filter = { .scope = IBC_SCOPE_QP,
						 .qp = qp,
						 .type_mask = 1ULL << type };
	struct ucx_wait *wait = calloc(1, sizeof(*wait));
	int error;

	if (!wait)
		return NULL;
	wait->handler =
		ibc_register_event_handler(dev, &filter, happened, wait);
	if (wait->handler)
		return wait;
	error = errno;
	free(wait);
	errno = error;
	return NULL;
}

void ucx_call_when(struct ucx_wait *wait, void (*fn)(void *arg), void *arg)
{
	int nothing = NOTHING;

	wait->fn = fn;
	wait->arg = arg;
	if (!atomic_compare_exchange_strong(&wait->state, &nothing, WAITED_FOR))
		fn(arg);
}

int ucx_forget(struct ucx_wait *wait)
{
	int error = ibc_unregister_event_handler(wait->handler);

	if (!error)
		free(wait);
	return error;
}

struct ibc_event_handler *
ucx_on_port(struct ibc_device *dev, uint32_t port, enum ibv_event_type type,
	    void (*fn)(struct ibc_device *dev, const struct ibc_event *event,
		       void *arg),
	    void *arg)
{
	const struct ibc_event_filter filter = { .scope = IBC_SCOPE_PORT,
						 .port_num = port,
						 .type_mask = 1ULL << type };

	return ibc_register_event_handler(dev, &filter, fn, arg);
}
