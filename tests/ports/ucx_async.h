/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Async events as UCX's transports use them: one waits for an event of a QP, which
 * may have happened already, and one has a callback for an event of a port.
 */
#ifndef PORTS_UCX_ASYNC_H
#define PORTS_UCX_ASYNC_H

#include <infiniband/ibclient.h>

struct ucx_wait;

/* before @qp leaves RESET. NULL and errno */
struct ucx_wait *ucx_expect(struct ibc_device *dev, struct ibv_qp *qp,
			    enum ibv_event_type type);
/* calls @fn once: now if it has happened, else when it does. Once for each */
void ucx_call_when(struct ucx_wait *wait, void (*fn)(void *arg), void *arg);
/* @fn does not run, and never will. It may be called there. An errno value */
int ucx_forget(struct ucx_wait *wait);

/* @port of @dev alone; for ibc_unregister_event_handler(), which is the fence */
struct ibc_event_handler *
ucx_on_port(struct ibc_device *dev, uint32_t port, enum ibv_event_type type,
	    void (*fn)(struct ibc_device *dev, const struct ibc_event *event,
		       void *arg),
	    void *arg);

#endif /* PORTS_UCX_ASYNC_H */
