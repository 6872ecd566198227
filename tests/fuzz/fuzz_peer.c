// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Two contexts that send to each other, and somebody who writes into their files
 * `data`. The input is a program: a letter, and what it needs of the bytes after.
 *
 * One of the two plays a context of another process, as far as possible within one:
 * fcntl() tells its owner, and copying is for this file to allow, which it does
 * within the memory that was registered. For the other one nothing is wrapped:
 * softverbs itself must not leave that memory. There is no thread that sends again.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "input.h"
#include "preload.h"
#include "scratch.h"

#define MAX_STEPS 100
#define SIZE	  256

int __real_fcntl(int fd, int cmd, ...);
int __wrap_fcntl(int fd, int cmd, ...);
int __wrap_fcntl64(int fd, int cmd, ...);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *arg);
ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *local,
				unsigned long num_local,
				const struct iovec *remote,
				unsigned long num_remote, unsigned long flags);
ssize_t __wrap_process_vm_writev(pid_t pid, const struct iovec *local,
				 unsigned long num_local,
				 const struct iovec *remote,
				 unsigned long num_remote, unsigned long flags);

struct side {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	struct ibv_srq *srq;
	struct ibv_qp *qp;
	struct ibv_mr *mr;
	char *memory;
	uint64_t ids; /* a bit for each receive that is posted */
};

static struct softverbs *sv;
static struct ibv_device *device;
static struct side sides[2];

/* ---- the kernel ---- */

int __wrap_fcntl(int fd, int cmd, ...)
{
	va_list args;
	void *arg;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	if (cmd != F_GETLK)
		return __real_fcntl(fd, cmd, arg);
	((struct flock *)arg)->l_type = F_WRLCK;
	((struct flock *)arg)->l_pid = getpid();
	return 0;
}

int __wrap_fcntl64(int fd, int cmd, ...)
{
	va_list args;
	void *arg;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	return __wrap_fcntl(fd, cmd, arg);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *arg)
{
	(void)thread;
	(void)attr;
	(void)run;
	(void)arg;
	return EAGAIN;
}

static bool is_registered(const struct iovec *iov)
{
	const uintptr_t at =
		(uintptr_t)iov->iov_base - (uintptr_t)sides[1].memory;

	return !iov->iov_len || (at <= SIZE && iov->iov_len <= SIZE - at);
}

static ssize_t copy(const struct iovec *local, unsigned long num_local,
		    const struct iovec *remote, unsigned long num_remote,
		    bool write)
{
	size_t n;

	if (!num_local || !num_remote || !is_registered(remote)) {
		errno = EFAULT;
		return -1;
	}
	n = local->iov_len < remote->iov_len ? local->iov_len : remote->iov_len;
	if (write)
		memmove(remote->iov_base, local->iov_base, n);
	else
		memmove(local->iov_base, remote->iov_base, n);
	return (ssize_t)n;
}

ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *local,
				unsigned long num_local,
				const struct iovec *remote,
				unsigned long num_remote, unsigned long flags)
{
	(void)pid;
	(void)flags;
	return copy(local, num_local, remote, num_remote, false);
}

ssize_t __wrap_process_vm_writev(pid_t pid, const struct iovec *local,
				 unsigned long num_local,
				 const struct iovec *remote,
				 unsigned long num_remote, unsigned long flags)
{
	(void)pid;
	(void)flags;
	return copy(local, num_local, remote, num_remote, true);
}

/* ---- two sides ---- */

static void start(void)
{
	struct scratch *scratch = scratch_get();
	struct ibv_device **list;

	scratch_reset(scratch);
	setenv("SOFTVERBS_DIR", scratch->fabric, 1);
	sv = softverbs_open(NULL);
	if (!sv || softverbs_add_device(sv, "soft0", 0, 1, 0))
		scratch_fail("no fabric");
	list = ibv_get_device_list(NULL);
	if (!list || !list[0] || !soft_is_device(list[0]))
		scratch_fail("no device");
	device = list[0]; /* the list is kept */
}

static void open_side(struct side *s, bool with_srq)
{
	struct ibv_srq_init_attr srq = { .attr = { .max_wr = 4,
						   .max_sge = 2 } };
	struct ibv_qp_init_attr qp = { .qp_type = IBV_QPT_RC,
				       .cap = { 4, 4, 2, 2, 16 } };

	memset(s, 0, sizeof(*s));
	s->memory = malloc(SIZE);
	memset(s->memory, 1, SIZE);
	s->context = ibv_open_device(device);
	if (!s->context)
		scratch_fail("the device does not open");
	s->pd = ibv_alloc_pd(s->context);
	s->channel = ibv_create_comp_channel(s->context);
	fcntl(s->channel->fd, F_SETFL, O_NONBLOCK);
	s->cq = ibv_create_cq(s->context, 8, NULL, s->channel, 0);
	s->mr = ibv_reg_mr(s->pd, s->memory, SIZE,
			   IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
				   IBV_ACCESS_REMOTE_WRITE |
				   IBV_ACCESS_REMOTE_ATOMIC);
	if (with_srq)
		s->srq = ibv_create_srq(s->pd, &srq);
	qp.send_cq = qp.recv_cq = s->cq;
	qp.srq = s->srq;
	s->qp = ibv_create_qp(s->pd, &qp);
	if (!s->qp)
		scratch_fail("no QP");
}

static void connect_side(struct side *s, const struct side *peer)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qp_access_flags = IBV_ACCESS_REMOTE_READ |
				   IBV_ACCESS_REMOTE_WRITE |
				   IBV_ACCESS_REMOTE_ATOMIC,
		.path_mtu = IBV_MTU_1024,
		.dest_qp_num = peer->qp->qp_num,
		.ah_attr = { .is_global = 1, .port_num = 1 },
		.min_rnr_timer = 1,
		.timeout = 1,
	};

	ibv_query_gid(s->context, 1, 0, &attr.ah_attr.grh.dgid);
	ibv_modify_qp(s->qp, &attr,
		      IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
			      IBV_QP_ACCESS_FLAGS);
	attr.qp_state = IBV_QPS_RTR;
	ibv_modify_qp(s->qp, &attr,
		      IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
			      IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
			      IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
	attr.qp_state = IBV_QPS_RTS;
	ibv_modify_qp(s->qp, &attr,
		      IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_TIMEOUT |
			      IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
			      IBV_QP_MAX_QP_RD_ATOMIC);
}

static void close_side(struct side *s)
{
	fuzz_check(!ibv_destroy_qp(s->qp));
	fuzz_check(!s->srq || !ibv_destroy_srq(s->srq));
	fuzz_check(!ibv_destroy_cq(s->cq));
	fuzz_check(!ibv_destroy_comp_channel(s->channel));
	fuzz_check(!ibv_dereg_mr(s->mr));
	fuzz_check(!ibv_dealloc_pd(s->pd));
	fuzz_check(!ibv_close_device(s->context));
	free(s->memory);
}

/* ---- what the programs do ---- */

static void post_recv(struct side *s, struct input *in)
{
	struct ibv_sge sge = { (uintptr_t)s->memory + number(in) % SIZE,
			       number(in), s->mr->lkey };
	struct ibv_recv_wr wr = { .sg_list = &sge, .num_sge = 1 };
	struct ibv_recv_wr *bad;

	wr.wr_id = __builtin_ctzll(~s->ids);
	if (!(s->srq ? ibv_post_srq_recv(s->srq, &wr, &bad) :
		       ibv_post_recv(s->qp, &wr, &bad)))
		s->ids |= 1ULL << wr.wr_id;
}

static void post_send(struct side *s, struct side *peer, struct input *in)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_SEND,
		IBV_WR_SEND_WITH_IMM,
		IBV_WR_RDMA_WRITE,
		IBV_WR_RDMA_WRITE_WITH_IMM,
		IBV_WR_RDMA_READ,
		IBV_WR_ATOMIC_CMP_AND_SWP,
		IBV_WR_ATOMIC_FETCH_AND_ADD,
		IBV_WR_SEND_WITH_INV,
	};
	struct ibv_sge sge = { (uintptr_t)s->memory, 0, s->mr->lkey };
	struct ibv_send_wr wr = { .wr_id = 64,
				  .sg_list = &sge,
				  .num_sge = 1,
				  .send_flags = IBV_SEND_SIGNALED };
	struct ibv_send_wr *bad;

	wr.opcode = opcodes[number(in) % 8];
	sge.length = number(in);
	if (wr.opcode == IBV_WR_ATOMIC_CMP_AND_SWP ||
	    wr.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr.wr.atomic.remote_addr =
			((uintptr_t)peer->memory + number(in)) & ~7UL;
		wr.wr.atomic.rkey = peer->mr->rkey;
		sge.length = 8;
	} else {
		wr.wr.rdma.remote_addr = (uintptr_t)peer->memory + number(in);
		wr.wr.rdma.rkey = peer->mr->rkey;
	}
	ibv_post_send(s->qp, &wr, &bad);
}

/* only what was posted completes, and once */
static void poll_all(struct side *s)
{
	struct ibv_wc wc;
	int i;

	for (i = 0; i < 50 && ibv_poll_cq(s->cq, 1, &wc) == 1; i++) {
		if (wc.wr_id == 64)
			continue;
		fuzz_check(wc.wr_id < 64 && s->ids & 1ULL << wc.wr_id);
		s->ids &= ~(1ULL << wc.wr_id);
	}
}

static void read_events(struct side *s)
{
	struct ibv_async_event event;
	struct ibv_cq *cq;
	void *context;
	int i;

	fcntl(s->context->async_fd, F_SETFL, O_NONBLOCK);
	for (i = 0; i < 50 && !ibv_get_async_event(s->context, &event); i++)
		ibv_ack_async_event(&event);
	for (i = 0; i < 50 && !ibv_get_cq_event(s->channel, &cq, &context); i++)
		ibv_ack_cq_events(cq, 1);
}

/* ---- what somebody else does ---- */

static void scribble(struct side *s, struct input *in)
{
	struct soft_shm *shm = to_context(s->context)->shm;
	struct soft_qp *qp = (struct soft_qp *)s->qp;
	struct soft_cq *cq = (struct soft_cq *)s->cq;
	struct soft_srq *srq = (struct soft_srq *)s->srq;
	struct soft_rq *rq = srq ? &srq->rq : &qp->rq;
	const struct {
		void *at;
		size_t size;
	} parts[] = {
		{ shm->own_header, sizeof(*shm->own_header) },
		{ qp->shared, sizeof(*qp->shared) },
		{ cq->ring.shared, sizeof(*cq->ring.shared) },
		{ soft_own_record(shm, SD_MRS, 0), sizeof(struct sd_mr) },
		{ cq->ring.region.at, 8 * sizeof(struct sd_cqe) },
		{ rq->ring.at, 4 * sd_recv_size(2) },
		{ srq ? srq->shared : NULL, srq ? sizeof(*srq->shared) : 0 },
	};
	unsigned int part = number(in) % 7;
	size_t at = number(in) * 4, len;
	uint8_t buf[16];

	len = bytes(in, buf, sizeof(buf));
	if (!parts[part].at || at >= parts[part].size)
		return;
	if (len > parts[part].size - at)
		len = parts[part].size - at;
	memcpy((char *)parts[part].at + at, buf, len);
}

static void to_state(struct side *s, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = { .qp_state = state };

	if (!ibv_modify_qp(s->qp, &attr, IBV_QP_STATE) &&
	    state == IBV_QPS_RESET && !s->srq)
		s->ids = 0;
}

static void step(struct input *in)
{
	uint8_t letter = byte(in);
	unsigned int which = number(in) % 2;
	struct side *s = &sides[which], *peer = &sides[!which];
	struct ibv_srq_attr limit = { .srq_limit = 1 };

	switch (letter) {
	case 'w':
		return scribble(s, in);
	case 'r':
		if (~s->ids)
			post_recv(s, in);
		return;
	case 's':
		return post_send(s, peer, in);
	case 'p':
		return poll_all(s);
	case 'e':
		return read_events(s);
	case 'n':
		ibv_req_notify_cq(s->cq, number(in) & 1);
		return;
	case 'z':
		ibv_resize_cq(s->cq, 1 + number(in) % 32);
		return;
	case 'x':
		return to_state(s, IBV_QPS_ERR);
	case 'R':
		to_state(s, IBV_QPS_RESET);
		return connect_side(s, peer);
	case 'l':
		if (s->srq)
			ibv_modify_srq(s->srq, &limit, IBV_SRQ_LIMIT);
		return;
	default:
		return;
	}
}

static void run(struct input *in)
{
	uint8_t kind = byte(in);
	int i;

	open_side(&sides[0], kind & 1);
	open_side(&sides[1], kind & 2);
	for (i = 0; i < 2; i++)
		connect_side(&sides[i], &sides[!i]);
	/* it is another's from now on */
	to_context(sides[1].context)->shm->is_own = false;
	for (i = 0; i < MAX_STEPS && in->size; i++)
		step(in);
	to_context(sides[1].context)->shm->is_own = true;
	for (i = 0; i < 2; i++)
		read_events(&sides[i]);
	for (i = 0; i < 2; i++)
		close_side(&sides[i]);
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
	return 0;
}
