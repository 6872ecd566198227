// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * An open context, and somebody who writes into its queues and its device's
 * files. The input is a program: a letter, and what it needs of the bytes after.
 * What the delays of faults would cost is not waited for.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "input.h"
#include "preload.h"
#include "scratch.h"

#define MAX_STEPS 200

int __wrap_clock_nanosleep(clockid_t clock, int flags,
			   const struct timespec *time, struct timespec *left);

int __wrap_clock_nanosleep(clockid_t clock, int flags,
			   const struct timespec *time, struct timespec *left)
{
	(void)clock;
	(void)flags;
	(void)left;
	if (time->tv_sec < 0 || time->tv_nsec < 0 ||
	    time->tv_nsec >= 1000000000)
		scratch_fail("a wrong time");
	return 0;
}

static struct softverbs *sv;
static struct ibv_device *device;
static char *good_state;
static size_t good_len;

static void start(void)
{
	struct scratch *scratch = scratch_get();
	struct ibv_device **list;
	struct sv_device dev;

	scratch_reset(scratch);
	setenv("SOFTVERBS_DIR", scratch->fabric, 1);
	sv = softverbs_open(NULL);
	if (!sv || softverbs_add_device(sv, "soft0", 0, 2, 0))
		scratch_fail("no fabric");
	if (sv_device_find(sv, "soft0", &dev) ||
	    sv_state_format(&dev.state, &good_state, &good_len))
		scratch_fail("no state");
	sv_device_done(&dev);
	list = ibv_get_device_list(NULL);
	if (!list || !list[0] || !soft_is_device(list[0]))
		scratch_fail("no device");
	device = list[0]; /* the list is kept */
}

struct things {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	struct ibv_srq *srq;
	struct ibv_qp *qp;
	struct ibv_wq *wq;
	struct ibv_mr *mr;
	struct ibv_ah *ah;
};

static char buffer[64];

static void make(struct things *t)
{
	struct ibv_srq_init_attr srq = { .attr = { .max_wr = 1 } };
	struct ibv_qp_init_attr qp = { .qp_type = IBV_QPT_RC };
	struct ibv_wq_init_attr wq = { .max_wr = 1 };
	struct ibv_ah_attr ah = { .port_num = 1, .is_global = 1 };

	if (!t->pd)
		t->pd = ibv_alloc_pd(t->context);
	if (!t->channel) {
		t->channel = ibv_create_comp_channel(t->context);
		if (t->channel)
			fcntl(t->channel->fd, F_SETFL, O_NONBLOCK);
	}
	if (!t->cq)
		t->cq = ibv_create_cq(t->context, 1, NULL, t->channel, 0);
	if (!t->pd || !t->cq)
		return;
	if (!t->srq)
		t->srq = ibv_create_srq(t->pd, &srq);
	qp.send_cq = qp.recv_cq = wq.cq = t->cq;
	qp.srq = t->srq;
	wq.pd = t->pd;
	if (!t->qp)
		t->qp = ibv_create_qp(t->pd, &qp);
	if (!t->wq)
		t->wq = ibv_create_wq(t->context, &wq);
	if (!t->mr)
		t->mr = ibv_reg_mr(t->pd, buffer, sizeof(buffer), 0);
	ah.grh.dgid.raw[0] = 0xfe;
	ah.grh.dgid.raw[1] = 0x80;
	if (!t->ah)
		t->ah = ibv_create_ah(t->pd, &ah);
}

#define DESTROY(object, verb)                \
	do {                                 \
		if (object && !verb(object)) \
			object = NULL;       \
	} while (0)

static void unmake(struct things *t)
{
	DESTROY(t->ah, ibv_destroy_ah);
	DESTROY(t->mr, ibv_dereg_mr);
	DESTROY(t->wq, ibv_destroy_wq);
	DESTROY(t->qp, ibv_destroy_qp);
	DESTROY(t->srq, ibv_destroy_srq);
	DESTROY(t->cq, ibv_destroy_cq);
	DESTROY(t->channel, ibv_destroy_comp_channel);
	DESTROY(t->pd, ibv_dealloc_pd);
}

/* ---- what somebody else does ---- */

static void write_record(struct things *t, struct input *in)
{
	const struct soft_object *objects[] = {
		t->cq ? &((struct soft_cq *)t->cq)->object : NULL,
		t->qp ? &((struct soft_qp *)t->qp)->object : NULL,
		t->srq ? &((struct soft_srq *)t->srq)->object : NULL,
		t->wq ? &((struct soft_wq *)t->wq)->object : NULL,
	};
	const struct soft_object *object = objects[number(in) % 4];
	struct sv_event event = { .type = number(in) };
	ssize_t n;

	event.element = number(in);
	if (object)
		event.element += object->id;
	n = write(t->context->async_fd, &event, sizeof(event));
	if (object && t->channel)
		n = write(((struct soft_channel *)t->channel)->write_fd,
			  &object->id, sizeof(object->id));
	(void)n;
}

static void write_bytes(int fd, struct input *in, off_t at)
{
	uint8_t buf[64];
	size_t len = bytes(in, buf, sizeof(buf));
	ssize_t n = at < 0 ? write(fd, buf, len) : pwrite(fd, buf, len, at);

	(void)n;
}

static void write_file(struct input *in, const char *name)
{
	uint8_t buf[200];
	size_t len = bytes(in, buf, sizeof(buf));
	int dir = sv_open_dir(sv->dir, SV_LISTED "/uverbs0");

	if (dir < 0)
		scratch_fail("the device is gone");
	sv_write_file(dir, name, (const char *)buf, len);
	close(dir);
}

/* the state with one of its lines changed */
static void change_state(struct input *in)
{
	int dir = sv_open_dir(sv->dir, SV_LISTED "/uverbs0");
	char *text = malloc(good_len + 256);
	uint8_t buf[200];
	size_t len = bytes(in, buf, sizeof(buf));

	memcpy(text, good_state, good_len);
	memcpy(text + good_len, buf, len);
	sv_write_file(dir, "state", text, good_len + len);
	free(text);
	close(dir);
}

/* ---- what the program does ---- */

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void read_events(struct things *t)
{
	struct ibv_async_event event;
	struct ibv_cq *cq;
	void *cq_context;
	int i;

	for (i = 0; i < 100 && is_readable(t->context->async_fd); i++)
		if (!ibv_get_async_event(t->context, &event))
			ibv_ack_async_event(&event);
	for (i = 0; i < 100 && t->channel && is_readable(t->channel->fd); i++)
		if (!ibv_get_cq_event(t->channel, &cq, &cq_context))
			ibv_ack_cq_events(cq, 1);
}

static void query(struct things *t, struct input *in)
{
	uint8_t port = number(in);
	int index = (int8_t)number(in);
	struct ibv_device_attr_ex ex;
	struct ibv_device_attr attr;
	struct ibv_port_attr port_attr;
	struct ibv_gid_entry entries[40];
	union ibv_gid gid;
	__be16 pkey;
	struct ibv_qp_attr qp_attr;
	struct ibv_qp_init_attr init;

	ibv_query_device(t->context, &attr);
	ibv_query_device_ex(t->context, NULL, &ex);
	soft_query_port(t->context, port, &port_attr, sizeof(port_attr));
	ibv_query_gid(t->context, port, index, &gid);
	ibv_query_gid_ex(t->context, port, index, entries, 0);
	ibv_query_gid_table(t->context, entries, index & 31, 0);
	ibv_query_pkey(t->context, port, index, &pkey);
	ibv_get_pkey_index(t->context, port, htobe16(index));
	if (t->qp)
		ibv_query_qp(t->qp, &qp_attr, 0, &init);
}

static void modify(struct things *t, struct input *in)
{
	struct ibv_srq_attr srq = { .srq_limit = number(in) };
	struct ibv_wq_attr wq = { .attr_mask = IBV_WQ_ATTR_STATE };
	struct ibv_qp_attr qp;
	int mask = number(in) | number(in) << 8 | number(in) << 16;
	size_t i;

	for (i = 0; i < sizeof(qp); i++)
		((uint8_t *)&qp)[i] = i < 16 ? number(in) : 1;
	wq.wq_state = number(in) % 8;
	if (t->qp)
		ibv_modify_qp(t->qp, &qp, mask);
	if (t->srq)
		ibv_modify_srq(t->srq, &srq, IBV_SRQ_LIMIT);
	if (t->wq)
		ibv_modify_wq(t->wq, &wq);
	if (t->cq) {
		ibv_resize_cq(t->cq, number(in));
		ibv_req_notify_cq(t->cq, 0);
	}
}

static void step(struct things *t, struct input *in)
{
	struct soft_context *ctx = to_context(t->context);

	switch (byte(in)) {
	case 'a':
		return write_bytes(t->context->async_fd, in, -1);
	case 'c':
		if (t->channel)
			write_bytes(
				((struct soft_channel *)t->channel)->write_fd,
				in, -1);
		return;
	case 'r':
		return write_record(t, in);
	case 'o':
		return write_bytes(ctx->objects, in, number(in));
	case 'f':
		return write_file(in, "faults");
	case 's':
		return write_file(in, "state");
	case 'S':
		return change_state(in);
	case 'n':
		return write_file(in, "numbers");
	case 'e':
		return read_events(t);
	case 'm':
		return make(t);
	case 'u':
		/* what was got is acknowledged, so this does not wait */
		return unmake(t);
	case 'q':
		return query(t, in);
	case 'M':
		return modify(t, in);
	case 'p':
		softverbs_set_port(sv, "soft0", 1 + number(in) % 2,
				   number(in) & 1);
		return;
	case 'E':
		softverbs_send_event(sv, "soft0", "CQ_ERR --cq 0");
		softverbs_send_event(sv, "soft0", "DEVICE_FATAL");
		return;
	default:
		return;
	}
}

/* the device as it was, whatever became of it */
static void restore(void)
{
	int dir = sv_open_dir(sv->dir, SV_LISTED "/uverbs0");

	if (dir < 0)
		scratch_fail("the device is gone");
	sv_write_file(dir, "state", good_state, good_len);
	unlinkat(dir, "faults", 0);
	unlinkat(dir, "numbers", 0);
	close(dir);
}

static void run(struct input *in)
{
	struct things t = { .context = ibv_open_device(device) };
	int i;

	if (!t.context)
		scratch_fail("the device does not open");
	fcntl(t.context->async_fd, F_SETFL, O_NONBLOCK);
	make(&t);
	for (i = 0; in->size && i < MAX_STEPS; i++)
		step(&t, in);
	restore();
	unmake(&t);
	if (t.pd || t.channel || ibv_close_device(t.context))
		scratch_fail("something does not go");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	int fds;

	if (!sv)
		start();
	fds = scratch_count_fds();
	run(&in);
	if (scratch_count_fds() != fds)
		scratch_fail("descriptors are left");
	scratch_check(scratch_get());
	return 0;
}
