// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A target's event handler: get the device's data, use it, put it. A channel
 * (its QP has an SRQ) is released by its last WQE, a port is looked at anew when
 * it changes. Ends with standard input.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <infiniband/ibclient.h>

struct target {
	struct ibc_client_data base; /* the first member */
	struct ibc_event_handler *handler;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_srq *srq;
	struct ibv_qp *channel;
};

static void destroy(struct target *t)
{
	if (t->channel)
		ibv_destroy_qp(t->channel);
	if (t->srq)
		ibv_destroy_srq(t->srq);
	if (t->cq)
		ibv_destroy_cq(t->cq);
	if (t->pd)
		ibv_dealloc_pd(t->pd);
	free(t);
}

static bool make_objects(struct target *t, struct ibv_context *context)
{
	struct ibv_srq_init_attr srq = { .attr = { .max_wr = 8,
						   .max_sge = 1 } };
	struct ibv_qp_init_attr qp = { .qp_type = IBV_QPT_RC,
				       .cap = { .max_send_wr = 8,
						.max_send_sge = 1 } };

	t->pd = ibv_alloc_pd(context);
	t->cq = t->pd ? ibv_create_cq(context, 16, NULL, NULL, 0) : NULL;
	t->srq = t->cq ? ibv_create_srq(t->pd, &srq) : NULL;
	if (!t->srq)
		return false;
	qp.send_cq = qp.recv_cq = t->cq;
	qp.srq = t->srq;
	t->channel = ibv_create_qp(t->pd, &qp);
	return t->channel;
}

static struct ibc_client_data *make(struct ibc_client *client,
				    struct ibc_device *dev)
{
	struct target *t = calloc(1, sizeof(*t));
	int error;

	(void)client;
	if (t && make_objects(t, ibc_device_context(dev)))
		return &t->base;
	error = errno;
	if (t)
		destroy(t);
	errno = error;
	return NULL;
}

/* the last put: all who used it have ended */
static void release(struct ibc_client_data *data)
{
	destroy((struct target *)data);
}

static void look_at_port(struct ibc_device *dev, const struct ibc_event *event)
{
	struct ibv_port_attr attr;
	uint8_t port = event->element_num;

	if (ibv_query_port(ibc_device_context(dev), port, &attr))
		return; /* the device goes: remove() follows */
	printf("%s: port %u is %s%s\n", ibc_device_name(dev), port,
	       ibv_port_state_str(attr.state),
	       event->flags & IBC_EVENT_REPLAYED ? ", as before" : "");
}

/*
 * The event has been acknowledged, so its QP may be destroyed here. Nothing
 * else looks at the channel meanwhile: callbacks of one device come one by one.
 */
static void release_channel(struct target *t, struct ibc_device *dev,
			    uint32_t num)
{
	if (!t->channel || t->channel->qp_num != num)
		return; /* it has gone already */
	ibv_destroy_qp(t->channel);
	t->channel = NULL;
	printf("%s: the channel is released\n", ibc_device_name(dev));
}

static void on_event(struct ibc_device *dev, const struct ibc_event *event,
		     void *client)
{
	struct ibc_client_data *data = ibc_get_client_data(dev, client);

	if (!data)
		return;
	switch (event->async.event_type) {
	case IBV_EVENT_PORT_ACTIVE:
	case IBV_EVENT_PORT_ERR:
	case IBV_EVENT_LID_CHANGE:
	case IBV_EVENT_PKEY_CHANGE:
	case IBV_EVENT_SM_CHANGE:
	case IBV_EVENT_CLIENT_REREGISTER:
	case IBV_EVENT_GID_CHANGE:
		look_at_port(dev, event);
		break;
	case IBV_EVENT_QP_LAST_WQE_REACHED:
		release_channel((struct target *)data, dev, event->element_num);
		break;
	default:
		break;
	}
	ibc_put_client_data(data);
}

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	const struct ibc_event_filter all = { .scope = IBC_SCOPE_DEVICE };
	struct ibc_client_data *data =
		ibc_alloc_or_get_client_data(dev, client);
	struct target *t = (struct target *)data;
	int error = 0;

	if (!data)
		return errno;
	t->handler = ibc_register_event_handler(dev, &all, on_event, client);
	if (t->handler)
		printf("%s: channel %" PRIu32 "\n", ibc_device_name(dev),
		       t->channel->qp_num);
	else
		error = errno;
	ibc_put_client_data(data);
	return error;
}

/* no callback of this device runs beside this one: nothing to wait for */
static void on_remove(struct ibc_client *client, struct ibc_device *dev,
		      struct ibc_client_data *data)
{
	(void)client;
	printf("%s: removed\n", ibc_device_name(dev));
	ibc_unregister_event_handler(((struct target *)data)->handler);
}

int main(void)
{
	struct ibc_client client = { .name = "srpt_style",
				     .add = add,
				     .remove = on_remove,
				     .alloc_client_data = make,
				     .free_client_data = release };
	struct ibc_registry *reg;

	setvbuf(stdout, NULL, _IOLBF, 0);
	reg = ibc_open(NULL);
	if (!reg || (errno = ibc_register_client(reg, &client))) {
		perror("srpt_style_events");
		return EXIT_FAILURE;
	}
	while (getchar() != EOF)
		;
	if (ibc_unregister_client(&client) || ibc_close(reg))
		return EXIT_FAILURE;
	printf("everything is freed\n");
	return EXIT_SUCCESS;
}
