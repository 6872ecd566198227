// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * holder DEVICE [bare]: has a device open, with a QP, a CQ, an SRQ and a WQ
 * (bare: without), until its standard input has something or ends. Prints "qp N", "cq N", "srq N",
 * "wq N" and "ready PID"; then each event as "TYPE NUMBER", the number of its
 * port or object, 0 for one of the device.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <infiniband/verbs.h>

static struct ibv_context *context;
static struct ibv_pd *pd;
static struct ibv_cq *cq;
static struct ibv_srq *srq;
static struct ibv_qp *qp;
static struct ibv_wq *wq;

static struct ibv_context *open_named(const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *found = NULL;
	int i, error = ENODEV;

	for (i = 0; list && list[i]; i++) {
		if (strcmp(ibv_get_device_name(list[i]), name))
			continue;
		found = ibv_open_device(list[i]);
		error = errno;
	}
	if (list)
		ibv_free_device_list(list);
	errno = error;
	return found;
}

static int make_objects(void)
{
	struct ibv_srq_init_attr srq_attr = { .attr = { .max_wr = 1,
							.max_sge = 1 } };
	struct ibv_wq_init_attr wq_attr = { .wq_type = IBV_WQT_RQ,
					    .max_wr = 1,
					    .max_sge = 1 };
	struct ibv_qp_init_attr qp_attr = {
		.cap = { .max_send_wr = 1,
			 .max_recv_wr = 1,
			 .max_send_sge = 1,
			 .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC,
	};

	pd = ibv_alloc_pd(context);
	cq = ibv_create_cq(context, 1, NULL, NULL, 0);
	if (!pd || !cq)
		return -1;
	srq = ibv_create_srq(pd, &srq_attr);
	wq_attr.pd = pd;
	wq_attr.cq = cq;
	wq = ibv_create_wq(context, &wq_attr);
	qp_attr.send_cq = qp_attr.recv_cq = cq;
	qp = ibv_create_qp(pd, &qp_attr);
	if (!srq || !wq || !qp)
		return -1;
	printf("qp %u\ncq %u\nsrq %u\nwq %u\n", qp->qp_num, cq->handle,
	       srq->handle, wq->wq_num);
	return 0;
}

static unsigned int number(const struct ibv_async_event *event)
{
	switch (event->event_type) {
	case IBV_EVENT_CQ_ERR:
		return event->element.cq->handle;
	case IBV_EVENT_SRQ_ERR:
	case IBV_EVENT_SRQ_LIMIT_REACHED:
		return event->element.srq->handle;
	case IBV_EVENT_WQ_FATAL:
		return event->element.wq->wq_num;
	case IBV_EVENT_DEVICE_FATAL:
		return 0;
	case IBV_EVENT_PORT_ACTIVE:
	case IBV_EVENT_PORT_ERR:
	case IBV_EVENT_LID_CHANGE:
	case IBV_EVENT_PKEY_CHANGE:
	case IBV_EVENT_SM_CHANGE:
	case IBV_EVENT_GID_CHANGE:
	case IBV_EVENT_CLIENT_REREGISTER:
		return (unsigned int)event->element.port_num;
	default:
		return event->element.qp->qp_num;
	}
}

/* false: the device is gone, and all has been read */
static bool print_event(void)
{
	struct ibv_async_event event;

	if (ibv_get_async_event(context, &event))
		return false;
	printf("%d %u\n", event.event_type, number(&event));
	ibv_ack_async_event(&event);
	return true;
}

static void loop(void)
{
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
				{ .fd = context->async_fd, .events = POLLIN } };

	while (poll(fds, 2, -1) > 0) {
		if (fds[1].revents && print_event())
			continue;
		if (fds[0].revents)
			break;
		if (fds[1].revents)
			fds[1].fd = -1;
	}
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	context = open_named(argv[1]);
	if (!context || (argc < 3 && make_objects())) {
		perror(argv[1]);
		return 1;
	}
	printf("ready %d\n", (int)getpid());
	loop();
	if (argc < 3 &&
	    (ibv_destroy_qp(qp) || ibv_destroy_wq(wq) || ibv_destroy_srq(srq) ||
	     ibv_destroy_cq(cq) || ibv_dealloc_pd(pd)))
		return 1;
	return ibv_close_device(context) ? 1 : 0;
}
