// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Filters of event handlers, and events: which must be refused, and which handler
 * hears of which. See given.h.
 */
#include "given.h"

static bool live(struct world *w)
{
	return w->dev && ibc_device_state(w->dev) == IBC_DEVICE_LIVE;
}

/* the scope of an event type; -1: none of the known */
static int scope_of(int type)
{
	static const uint8_t scopes[] = {
		[IBV_EVENT_CQ_ERR] = 1 + IBC_SCOPE_CQ,
		[IBV_EVENT_QP_FATAL] = 1 + IBC_SCOPE_QP,
		[IBV_EVENT_QP_REQ_ERR] = 1 + IBC_SCOPE_QP,
		[IBV_EVENT_QP_ACCESS_ERR] = 1 + IBC_SCOPE_QP,
		[IBV_EVENT_COMM_EST] = 1 + IBC_SCOPE_QP,
		[IBV_EVENT_SQ_DRAINED] = 1 + IBC_SCOPE_QP,
		[IBV_EVENT_PATH_MIG] = 1 + IBC_SCOPE_QP,
		[IBV_EVENT_PATH_MIG_ERR] = 1 + IBC_SCOPE_QP,
		[IBV_EVENT_DEVICE_FATAL] = 1 + IBC_SCOPE_DEVICE,
		[IBV_EVENT_PORT_ACTIVE] = 1 + IBC_SCOPE_PORT,
		[IBV_EVENT_PORT_ERR] = 1 + IBC_SCOPE_PORT,
		[IBV_EVENT_LID_CHANGE] = 1 + IBC_SCOPE_PORT,
		[IBV_EVENT_PKEY_CHANGE] = 1 + IBC_SCOPE_PORT,
		[IBV_EVENT_SM_CHANGE] = 1 + IBC_SCOPE_PORT,
		[IBV_EVENT_SRQ_ERR] = 1 + IBC_SCOPE_SRQ,
		[IBV_EVENT_SRQ_LIMIT_REACHED] = 1 + IBC_SCOPE_SRQ,
		[IBV_EVENT_QP_LAST_WQE_REACHED] = 1 + IBC_SCOPE_QP,
		[IBV_EVENT_CLIENT_REREGISTER] = 1 + IBC_SCOPE_PORT,
		[IBV_EVENT_GID_CHANGE] = 1 + IBC_SCOPE_PORT,
		[IBV_EVENT_WQ_FATAL] = 1 + IBC_SCOPE_WQ,
		[IBV_EVENT_WQ_FATAL + 1] = 1 + IBC_SCOPE_DEVICE, /* speed */
	};

	return type >= 0 && type < (int)sizeof(scopes) ? scopes[type] - 1 : -1;
}

static bool in_mask(const struct ibc_event_filter *f, int type)
{
	return type >= 0 && type < 64 && f->type_mask & 1ULL << type;
}

/* can this scope hear of the type at all? */
static bool possible(uint32_t scope, int type)
{
	return scope == IBC_SCOPE_DEVICE || scope_of(type) == (int)scope ||
	       type == IBV_EVENT_DEVICE_FATAL;
}

static bool valid_filter(const struct ibc_event_filter *f)
{
	bool some = !f->type_mask;
	int type;

	if (f->comp_mask || f->scope > IBC_SCOPE_WQ)
		return false;
	for (type = 0; type < 64; type++)
		some |= in_mask(f, type) && possible(f->scope, type);
	if (f->scope == IBC_SCOPE_PORT)
		return some && f->port_num < 256;
	return some && (f->scope == IBC_SCOPE_DEVICE || f->qp);
}

static bool hears(const struct ibc_event_filter *f,
		  const struct ibv_async_event *event)
{
	int type = event->event_type;

	if (f->type_mask && !in_mask(f, type))
		return false;
	if (f->scope == IBC_SCOPE_DEVICE)
		return true;
	if (type == IBV_EVENT_DEVICE_FATAL)
		return f->type_mask;
	if (scope_of(type) != (int)f->scope)
		return false;
	if (f->scope == IBC_SCOPE_PORT)
		return !f->port_num ||
		       (int)f->port_num == event->element.port_num;
	return f->qp == event->element.qp;
}

static void heard(struct ibc_device *dev, const struct ibc_event *event,
		  void *arg)
{
	struct handler *h = arg;

	fuzz_check(ibc_device_context(dev) && event->count);
	if (!(event->flags & IBC_EVENT_REPLAYED))
		h->told += event->count;
}

void given_filter(struct world *w, struct input *in)
{
	struct handler *h = &w->handlers[number(in) % MAX_HANDLERS];
	struct ibc_event_filter f = {};
	bool good;

	if (h->handle)
		fuzz_check(ibc_unregister_event_handler(h->handle) == 0);
	h->handle = NULL;
	h->told = 0;
	f.comp_mask = word(in);
	f.scope = word(in);
	f.type_mask = (uint64_t)word(in) << 32 | word(in);
	if (f.scope == IBC_SCOPE_PORT || f.scope == IBC_SCOPE_DEVICE)
		f.port_num = word(in);
	else
		f.qp = number(in) & 1 ? NULL : w->qp;
	h->filter = f;
	errno = 0;
	good = live(w);
	h->handle = ibc_register_event_handler(w->dev, &f, heard, h);
	if (!w->dev || !valid_filter(&f))
		fuzz_check(!h->handle && errno == EINVAL);
	else if (!h->handle)
		fuzz_check(errno == ENODEV && !live(w));
	else
		fuzz_check(good);
	given_settle(w);
}

void given_event(struct world *w, struct input *in)
{
	struct ibv_async_event event = {};
	unsigned int told[MAX_HANDLERS], i;
	bool was_live = live(w), object;
	int scope, error;

	event.event_type = (int)word(in);
	scope = scope_of(event.event_type);
	object = scope > IBC_SCOPE_PORT;
	if (!object)
		event.element.port_num = (int)word(in);
	else
		event.element.qp = number(in) & 1 ? NULL : w->qp;
	for (i = 0; i < MAX_HANDLERS; i++)
		told[i] = w->handlers[i].told;
	error = ibc_report_event(w->dev, &event);
	if (!w->dev || scope < 0 || (object && !event.element.qp))
		fuzz_check(error == EINVAL);
	else if (was_live && w->manual)
		fuzz_check(error == 0);
	else
		fuzz_check(!error || error == ENODEV);
	given_settle(w);
	for (i = 0; i < MAX_HANDLERS && w->manual; i++)
		if (w->handlers[i].handle && was_live)
			fuzz_check(w->handlers[i].told ==
				   told[i] + (!error &&
					      hears(&w->handlers[i].filter,
						    &event)));
}
