// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * show_events DEVICE: what the programs of libibverbs do not show. Prints the
 * P_Keys of each port, makes one object of each kind that has events, prints its
 * number or handle, then each event until SIGTERM.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <endian.h>
#include <infiniband/verbs.h>

static struct ibv_context *context;
static struct ibv_pd *pd;
static struct ibv_cq *cq;
static struct ibv_srq *srq;
static struct ibv_qp *qp;
static struct ibv_wq *wq;

static void need(const char *what, int good)
{
	if (good)
		return;
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static void open_device(const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	int i;

	need("list", list != NULL);
	for (i = 0; list[i]; i++)
		if (strcmp(ibv_get_device_name(list[i]), name) == 0)
			context = ibv_open_device(list[i]);
	ibv_free_device_list(list);
	need("open", context != NULL);
}

static void print_pkeys(void)
{
	struct ibv_device_attr device;
	struct ibv_port_attr attr;
	__be16 pkey;
	int port, i;

	need("query_device", !ibv_query_device(context, &device));
	for (port = 1; port <= device.phys_port_cnt; port++) {
		need("query_port", !ibv_query_port(context, port, &attr));
		for (i = 0; i < attr.pkey_tbl_len; i++) {
			need("query_pkey",
			     !ibv_query_pkey(context, port, i, &pkey));
			if (pkey)
				printf("pkey %d %d 0x%04x\n", port, i,
				       be16toh(pkey));
		}
	}
}

static void make_objects(void)
{
	struct ibv_srq_init_attr srq_attr = { .attr = { .max_wr = 1 } };
	struct ibv_qp_init_attr qp_attr = { .qp_type = IBV_QPT_RC };
	struct ibv_wq_init_attr wq_attr = { .max_wr = 1 };

	pd = ibv_alloc_pd(context);
	need("alloc_pd", pd != NULL);
	cq = ibv_create_cq(context, 1, NULL, NULL, 0);
	need("create_cq", cq != NULL);
	srq = ibv_create_srq(pd, &srq_attr);
	need("create_srq", srq != NULL);
	qp_attr.send_cq = qp_attr.recv_cq = cq;
	qp_attr.srq = srq;
	qp = ibv_create_qp(pd, &qp_attr);
	need("create_qp", qp != NULL);
	wq_attr.pd = pd;
	wq_attr.cq = cq;
	wq = ibv_create_wq(context, &wq_attr);
	need("create_wq", wq != NULL);
	printf("qp %u\ncq %u\nsrq %u\nwq %u\n", qp->qp_num, cq->handle,
	       srq->handle, wq->wq_num);
}

static void destroy_objects(void)
{
	need("destroy_wq", !ibv_destroy_wq(wq));
	need("destroy_qp", !ibv_destroy_qp(qp));
	need("destroy_srq", !ibv_destroy_srq(srq));
	need("destroy_cq", !ibv_destroy_cq(cq));
	need("dealloc_pd", !ibv_dealloc_pd(pd));
	need("close", !ibv_close_device(context));
	printf("closed\n");
}

/* "wrong" is another object than the only one of its kind */
static void print_element(const struct ibv_async_event *event)
{
	switch (event->event_type) {
	case IBV_EVENT_CQ_ERR:
		printf("%s\n", event->element.cq == cq ? "cq" : "wrong");
		break;
	case IBV_EVENT_SRQ_ERR:
	case IBV_EVENT_SRQ_LIMIT_REACHED:
		printf("%s\n", event->element.srq == srq ? "srq" : "wrong");
		break;
	case IBV_EVENT_WQ_FATAL:
		printf("%s\n", event->element.wq == wq ? "wq" : "wrong");
		break;
	case IBV_EVENT_QP_FATAL:
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
	case IBV_EVENT_COMM_EST:
	case IBV_EVENT_SQ_DRAINED:
	case IBV_EVENT_PATH_MIG:
	case IBV_EVENT_PATH_MIG_ERR:
	case IBV_EVENT_QP_LAST_WQE_REACHED:
		printf("%s\n", event->element.qp == qp ? "qp" : "wrong");
		break;
	default:
		printf("port %d\n", event->element.port_num);
	}
}

static void print_event(struct ibv_async_event *event)
{
	printf("event %d, %s, ", event->event_type,
	       ibv_event_type_str(event->event_type));
	print_element(event);
	ibv_ack_async_event(event);
}

/* 0: there will be no more */
static int print_events(void)
{
	struct ibv_async_event event;

	while (!ibv_get_async_event(context, &event))
		print_event(&event);
	if (errno == EAGAIN)
		return 1;
	printf("no more events: %s\n", strerror(errno));
	return 0;
}

int main(int argc, char **argv)
{
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	sigset_t term;

	need("usage: show_events DEVICE", argc == 2);
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	open_device(argv[1]);
	print_pkeys();
	make_objects();
	fds[0].fd = context->async_fd;
	need("fcntl", !fcntl(context->async_fd, F_SETFL, O_NONBLOCK));
	fds[1].fd = signalfd(-1, &term, SFD_CLOEXEC);
	need("signalfd", fds[1].fd >= 0);
	printf("ready\n");
	do {
		need("poll", poll(fds, 2, -1) > 0);
		if (fds[0].revents && !print_events())
			break;
	} while (!fds[1].revents);
	destroy_objects();
	return 0;
}
