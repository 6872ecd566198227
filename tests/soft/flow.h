/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Ends of a connection: a QP with all that it needs, and memory. Two of them are
 * connected with each other, in one process or between two; each has its own
 * context, so that nothing is shared but the fabric.
 */
#ifndef FLOW_H
#define FLOW_H

#include "soft_test.h"

#define FLOW_SIZE (2U << 20)
#define FLOW_ALL                                           \
	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | \
	 IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC)

struct end {
	struct ibv_context *context;
	struct ibv_comp_channel *channel;
	struct ibv_pd *pd;
	struct ibv_cq *cq; /* of both queues */
	struct ibv_srq *srq;
	struct ibv_qp *qp;
	struct ibv_mr *mr; /* all of memory, FLOW_ALL */
	char *memory;
};

/* what one end has to know of the other; goes through a pipe, too */
struct address {
	union ibv_gid gid;
	uint32_t qpn, rkey;
	uint64_t memory;
};

struct flow {
	enum ibv_qp_type type;
	uint32_t depth; /* of each queue; 0: 64 */
	uint32_t cqe;	/* 0: enough */
	uint32_t inline_data;
	bool sig_all, has_srq;
	uint8_t timeout;   /* 0: 8, that is 1 ms */
	uint8_t retry_cnt; /* 0: 1 */
	uint8_t rnr_retry; /* 0: 7, for ever */
	int access;	   /* of the QP; 0: FLOW_ALL */
};

void end_open(struct end *end, const char *device, const struct flow *flow);
void end_address(const struct end *end, struct address *address);
/* RESET to RTS, or only to RTR */
void end_connect(struct end *end, const struct address *peer,
		 const struct flow *flow);
void end_ready(struct end *end, const struct address *peer,
	       const struct flow *flow);
void end_start(struct end *end, const struct flow *flow);
void end_close(struct end *end);
/* of two ends in this process */
void flow_connect(struct end *a, struct end *b, const struct flow *flow);

struct flow_pair {
	struct end a, b;
	struct address of_b;
};

/* on soft0, connected */
void flow_open(struct flow_pair *pair, const struct flow *flow);
void flow_close(struct flow_pair *pair);

/* @length bytes of its memory from @offset on; 0 or an errno value */
int end_recv(struct end *end, uint64_t id, uint32_t offset, uint32_t length);
int end_send(struct end *end, uint64_t id, uint32_t offset, uint32_t length);
/* to where @peer's memory has @offset */
int end_rdma(struct end *end, uint64_t id, enum ibv_wr_opcode opcode,
	     uint32_t offset, uint32_t length, const struct address *peer,
	     uint64_t remote_offset);
int end_atomic(struct end *end, uint64_t id, enum ibv_wr_opcode opcode,
	       const struct address *peer, uint64_t remote_offset,
	       uint64_t compare_add, uint64_t swap);

/* the next completion, waited for; fails the test if none comes */
struct ibv_wc end_poll(struct end *end);
/* and it is this one */
void end_expect(struct end *end, uint64_t id, enum ibv_wc_status status);
void end_expect_none(struct end *end);
enum ibv_qp_state end_state(struct end *end);
/* the next async event, which has to be there by now; acknowledged */
enum ibv_event_type end_event(struct end *end);

void fill_memory(char *memory, size_t length, unsigned int seed);
bool is_filled(const char *memory, size_t length, unsigned int seed);

#endif /* FLOW_H */
