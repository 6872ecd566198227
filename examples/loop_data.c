// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The data of a device in the loop examples: verbs objects, handlers for the
 * events of its ports and of its QP, and work that holds it for a while.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "loop_client.h"

static void say(const char *what, struct ibc_device *dev,
		const struct ibc_event *event)
{
	printf("%s %s %" PRIu32 " %s%s\n", what, ibc_device_name(dev),
	       event->element_num, ibv_event_type_str(event->async.event_type),
	       event->flags & IBC_EVENT_REPLAYED ? ", replayed" : "");
}

static void on_port(struct ibc_device *dev, const struct ibc_event *event,
		    void *arg)
{
	(void)arg;
	say("port", dev, event);
}

/* it would be brought up again, or destroyed, here */
static void on_qp(struct ibc_device *dev, const struct ibc_event *event,
		  void *arg)
{
	(void)arg;
	say("qp", dev, event);
}

static bool make_objects(struct loop_data *data, struct ibv_context *context)
{
	struct ibv_qp_init_attr attr = { .qp_type = IBV_QPT_RC,
					 .cap = { .max_send_wr = 1,
						  .max_recv_wr = 1,
						  .max_send_sge = 1,
						  .max_recv_sge = 1 } };

	data->pd = ibv_alloc_pd(context);
	if (!data->pd)
		return false;
	data->cq = ibv_create_cq(context, 2, NULL, NULL, 0);
	if (!data->cq)
		return false;
	attr.send_cq = attr.recv_cq = data->cq;
	data->qp = ibv_create_qp(data->pd, &attr);
	return data->qp;
}

/* before the QP leaves RESET: it has no events until then, so none is missed */
static bool add_handlers(struct loop_data *data, struct ibc_device *dev)
{
	const struct ibc_event_filter port = { .scope = IBC_SCOPE_PORT };
	const struct ibc_event_filter qp = { .scope = IBC_SCOPE_QP,
					     .qp = data->qp };

	data->on_port = ibc_register_event_handler(dev, &port, on_port, data);
	if (!data->on_port)
		return false;
	data->on_qp = ibc_register_event_handler(dev, &qp, on_qp, data);
	return data->on_qp;
}

/*
 * The handlers first: then no event of the QP finds it destroyed. Neither waits
 * nor fails here, as all callbacks are in this one thread.
 */
static void destroy(struct loop_data *data)
{
	if (data->on_qp)
		ibc_unregister_event_handler(data->on_qp);
	if (data->on_port)
		ibc_unregister_event_handler(data->on_port);
	if (data->qp)
		ibv_destroy_qp(data->qp);
	if (data->cq)
		ibv_destroy_cq(data->cq);
	if (data->pd)
		ibv_dealloc_pd(data->pd);
	free(data);
}

/* NULL: errno tells loop_client's add() why */
struct ibc_client_data *loop_data_alloc(struct ibc_client *client,
					struct ibc_device *dev)
{
	struct loop_data *data = calloc(1, sizeof(*data));
	int error;

	(void)client;
	if (!data)
		return NULL;
	if (make_objects(data, ibc_device_context(dev)) &&
	    add_handlers(data, dev))
		return &data->base;
	error = errno;
	destroy(data);
	errno = error;
	return NULL;
}

void loop_data_free(struct ibc_client_data *data)
{
	destroy((struct loop_data *)data);
}

static struct loop_data *working; /* a reference is held on each */

static int begin(struct ibc_device *dev, void *client)
{
	struct ibc_client_data *base = ibc_get_client_data(dev, client);
	struct loop_data *data = (struct loop_data *)base;

	if (!data)
		return 0; /* it is going, or has had no add() yet */
	if (data->works) {
		ibc_put_client_data(base);
		return 0;
	}
	data->works = true;
	data->next = working;
	working = data;
	printf("work %s\n", ibc_device_name(dev));
	return 0;
}

void loop_work_begin(struct ibc_registry *reg, struct ibc_client *client)
{
	ibc_for_each_device(reg, begin, client);
}

/* a put that is the last frees; the device is then closed in loop_dispatch() */
void loop_work_end(void)
{
	struct loop_data *data;

	while ((data = working)) {
		working = data->next;
		data->works = false;
		ibc_put_client_data(&data->base);
	}
}
