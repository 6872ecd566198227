// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How fast data flows on softverbs, between two processes, each pinned to a CPU of
 * its own and polling:
 *
 *  - 4 KiB there and back, as ibv_rc_pingpong does; beside it two processes that
 *    have memory in common, copy into it and watch a word there
 *  - 64 KiB written by RDMA WRITE, as ib_write_bw does; beside it memcpy(), of
 *    memory larger than any cache
 *
 * The other process is forked before anything is opened. It does what `mode` says,
 * and is asked to stop in the end; should it die, whoever waits for it says so.
 */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <infiniband/verbs.h>

#include "measure.h"
#include "soft.h"
#include "suites.h"

#define MESSAGE 4096
#define PIECE	65536
#define LARGE	(64U << 20)
#define DEPTH	16

enum mode {
	STARTING,
	IDLE,
	BY_MEMORY,
	BY_VERBS,
	STOP,
};

struct address {
	union ibv_gid gid;
	uint32_t qpn, rkey;
	uint64_t memory;
};

static struct common {
	atomic_int mode, is_in; /* what the other is to do, and does */
	atomic_int turn;
	atomic_int known; /* addresses */
	struct address address[2];
	char there[MESSAGE], back[MESSAGE];
} * common;

static struct side {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
	struct ibv_mr *mr;
	char *memory; /* two pieces: what is received, what is sent */
} side;

static pid_t other; /* 0: it is us */
static char *large;

/* ---- failing, and waiting ---- */

static void must(bool good, const char *what)
{
	if (good)
		return;
	if (other)
		fail("data: %s: %s", what, strerror(errno));
	fprintf(stderr, "ibc_bench: data: the other process: %s: %s\n", what,
		strerror(errno));
	_exit(1); /* not exit(): what it would remove is not ours */
}

static void wait_a_moment(unsigned int *turns)
{
	if (num_cpus() < 2)
		sched_yield();
	if (++*turns % (1U << 20))
		return;
	if (other)
		must(!waitpid(other, NULL, WNOHANG), "the other one is gone");
	else
		must(getppid() != 1, "the benchmark is gone");
}

static void wait_until(atomic_int *what, int value)
{
	unsigned int turns = 0;

	while (*what != value)
		wait_a_moment(&turns);
}

/* ---- a QP ---- */

static void open_side(void)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_qp_init_attr init = { .qp_type = IBV_QPT_RC,
					 .cap = { DEPTH, DEPTH, 1, 1, 0 } };

	must(list && list[0], "no device");
	side.context = ibv_open_device(list[0]);
	must(side.context, "a device cannot be opened");
	ibv_free_device_list(list);
	side.memory = need_memory(2 * PIECE);
	side.pd = ibv_alloc_pd(side.context);
	side.cq = ibv_create_cq(side.context, 2 * DEPTH, NULL, NULL, 0);
	must(side.pd && side.cq, "no PD, or no CQ");
	side.mr = ibv_reg_mr(side.pd, side.memory, 2 * PIECE,
			     IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	init.send_cq = init.recv_cq = side.cq;
	side.qp = ibv_create_qp(side.pd, &init);
	must(side.mr && side.qp, "no MR, or no QP");
}

static void close_side(void)
{
	must(!ibv_destroy_qp(side.qp) && !ibv_dereg_mr(side.mr) &&
		     !ibv_destroy_cq(side.cq) && !ibv_dealloc_pd(side.pd) &&
		     !ibv_close_device(side.context),
	     "closing");
	free(side.memory);
}

static void change(struct ibv_qp_attr *attr, enum ibv_qp_state state, int mask)
{
	attr->qp_state = state;
	must(!ibv_modify_qp(side.qp, attr, mask | IBV_QP_STATE),
	     "a QP cannot be connected");
}

/* number 0 is the benchmark, 1 the other process */
static void connect_side(unsigned int number)
{
	struct address *own = &common->address[number];
	const struct address *peer = &common->address[!number];
	struct ibv_qp_attr attr = {
		.port_num = 1,
		.qp_access_flags = IBV_ACCESS_REMOTE_WRITE,
		.path_mtu = IBV_MTU_1024,
		.ah_attr = { .is_global = 1, .port_num = 1 },
		.min_rnr_timer = 1,
		.timeout = 14,
		.retry_cnt = 7,
		.rnr_retry = 7,
	};

	must(!ibv_query_gid(side.context, 1, 0, &own->gid), "no GID");
	own->qpn = side.qp->qp_num;
	own->rkey = side.mr->rkey;
	own->memory = (uintptr_t)side.memory;
	common->known++;
	wait_until(&common->known, 2);
	change(&attr, IBV_QPS_INIT,
	       IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
	attr.dest_qp_num = peer->qpn;
	attr.ah_attr.grh.dgid = peer->gid;
	change(&attr, IBV_QPS_RTR,
	       IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
		       IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
	change(&attr, IBV_QPS_RTS,
	       IBV_QP_SQ_PSN | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
		       IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC);
}

static void post_recv(void)
{
	struct ibv_sge sge = { (uintptr_t)side.memory, MESSAGE, side.mr->lkey };
	struct ibv_recv_wr wr = { .sg_list = &sge, .num_sge = 1 }, *bad;

	must(!ibv_post_recv(side.qp, &wr, &bad), "posting a receive");
}

static void post_send(enum ibv_wr_opcode opcode, uint32_t length)
{
	const struct address *peer = &common->address[1];
	struct ibv_sge sge = { (uintptr_t)side.memory + PIECE, length,
			       side.mr->lkey };
	struct ibv_send_wr wr = { .sg_list = &sge,
				  .num_sge = 1,
				  .opcode = opcode,
				  .send_flags = IBV_SEND_SIGNALED };
	struct ibv_send_wr *bad;

	wr.wr.rdma.remote_addr = peer->memory;
	wr.wr.rdma.rkey = peer->rkey;
	must(!ibv_post_send(side.qp, &wr, &bad), "posting");
}

/* enum ibv_wc_opcode; -1: nothing has completed */
static int poll_once(void)
{
	struct ibv_wc wc;
	int n = ibv_poll_cq(side.cq, 1, &wc);

	must(n >= 0 && (!n || wc.status == IBV_WC_SUCCESS), "a completion");
	return n ? (int)wc.opcode : -1;
}

static void wait_for_completions(unsigned int left)
{
	unsigned int turns = 0;

	while (left) {
		if (poll_once() >= 0)
			left--;
		else
			wait_a_moment(&turns);
	}
}

/* ---- the other process ---- */

static void answer_by_memory(void)
{
	unsigned int turns = 0;

	while (common->mode == BY_MEMORY) {
		if (common->turn) {
			memcpy(common->back, common->there, MESSAGE);
			common->turn = 0;
		} else {
			wait_a_moment(&turns);
		}
	}
}

static void answer_by_verbs(void)
{
	unsigned int turns = 0;

	while (common->mode == BY_VERBS) {
		if (poll_once() == IBV_WC_RECV) {
			post_recv();
			post_send(IBV_WR_SEND, MESSAGE);
		} else {
			wait_a_moment(&turns);
		}
	}
}

static void be_the_other(void)
{
	int mode;

	pin(1);
	open_side();
	connect_side(1);
	post_recv();
	while ((mode = common->mode) != STOP) {
		common->is_in = mode;
		if (mode == BY_MEMORY)
			answer_by_memory();
		else if (mode == BY_VERBS)
			answer_by_verbs();
		else
			sched_yield();
	}
	close_side();
	_exit(0);
}

static void set_mode(enum mode mode)
{
	common->mode = mode;
	if (mode != STOP)
		wait_until(&common->is_in, mode);
}

/* ---- there and back ---- */

static unsigned int trips(void)
{
	return quickly() ? 10 : 1000;
}

static double trips_by_memory(void *context)
{
	char *buffer = context;
	double begin;
	unsigned int i;

	set_mode(BY_MEMORY);
	begin = now_ns();
	for (i = 0; i < trips(); i++) {
		memcpy(common->there, buffer, MESSAGE);
		common->turn = 1;
		wait_until(&common->turn, 0);
		memcpy(buffer, common->back, MESSAGE);
	}
	begin = (now_ns() - begin) / trips();
	set_mode(IDLE);
	return begin;
}

static double trips_by_verbs(void *context)
{
	double begin;
	unsigned int i;

	(void)context;
	set_mode(BY_VERBS);
	begin = now_ns();
	for (i = 0; i < trips(); i++) {
		post_recv();
		post_send(IBV_WR_SEND, MESSAGE);
		wait_for_completions(2);
	}
	begin = (now_ns() - begin) / trips();
	set_mode(IDLE);
	return begin;
}

static void measure_trips(void)
{
	const struct contender contenders[] = {
		{ .name = "memory in common",
		  .what = "copies, and a word that the other one watches",
		  .once = trips_by_memory,
		  .context = need_memory(MESSAGE) },
		{ .name = "softverbs",
		  .what = "RC SEND, both sides poll",
		  .once = trips_by_verbs },
	};
	const struct benchmark benchmark = {
		.name = "data",
		.operation = "4 KiB there and back",
		.setting = "two processes on softverbs",
		.contenders = contenders,
		.num = 2,
	};

	measure(&benchmark, NULL);
	free(contenders[0].context);
}

/* ---- one way ---- */

static unsigned int pieces(void)
{
	return quickly() ? 4 : 200;
}

static double copy_pieces(void *context)
{
	static size_t at;
	double begin = now_ns();
	unsigned int i;

	(void)context;
	for (i = 0; i < pieces(); i++) {
		memcpy(large + LARGE + at, large + at, PIECE);
		at = (at + PIECE) % LARGE;
	}
	return (now_ns() - begin) / pieces();
}

static double write_pieces(void *context)
{
	double begin = now_ns();
	unsigned int i;

	(void)context;
	for (i = 0; i < pieces(); i++) {
		post_send(IBV_WR_RDMA_WRITE, PIECE);
		wait_for_completions(1);
	}
	return (now_ns() - begin) / pieces();
}

static void measure_writes(void)
{
	const struct contender contenders[] = {
		{ .name = "memcpy()",
		  .what = "of memory that no cache holds",
		  .once = copy_pieces },
		{ .name = "softverbs",
		  .what = "RDMA WRITE, from one buffer to one buffer",
		  .once = write_pieces },
	};
	const struct benchmark benchmark = {
		.name = "data",
		.operation = "64 KiB written",
		.setting = "two processes on softverbs",
		.contenders = contenders,
		.num = 2,
	};
	struct figures figures[2];

	large = need_memory(2 * (size_t)LARGE);
	memset(large, 1, 2 * (size_t)LARGE);
	measure(&benchmark, figures);
	free(large);
	verdict("64 KiB by RDMA WRITE on softverbs: to copying memory",
		figures[1].median / figures[0].median, AT_MOST, 2);
}

/* ---- the suite ---- */

void bench_data(void)
{
	int status;

	common = mmap(NULL, sizeof(*common), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (common == MAP_FAILED)
		fail("data: no memory to have in common");
	soft_begin(1, 1);
	fflush(NULL);
	other = fork();
	if (other < 0)
		fail("data: no process: %s", strerror(errno));
	if (!other)
		be_the_other();
	pin(0);
	open_side();
	connect_side(0);
	set_mode(IDLE);
	measure_trips();
	measure_writes();
	set_mode(STOP);
	close_side();
	if (waitpid(other, &status, 0) != other || status)
		fail("data: the other process failed");
	unpin();
	soft_end();
	munmap(common, sizeof(*common));
}
