/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The data path: what contexts share, and what each keeps to itself. The whole of
 * it is told in Documentation/softverbs-data.md; here are the layouts.
 *
 * A context that has a QP, CQ, SRQ or MR has a file `data` beside its `objects`.
 * Who sends to it has that file mapped: he finds the QP, takes a receive, copies
 * into the other's memory, and puts the completion into the other's CQ. So what
 * arrives needs no thread of the one it arrives at.
 *
 * Locks, in this order:
 *  - soft_sq.lock: one for each QP; what it has to send, in order
 *  - the lock of a context's `data` (soft_shm_lock()): a mutex of this process
 *    and a flock, which the kernel lets go of when its holder dies
 *  - soft_cq_ring.lock: who polls; a program that polls by parts holds it while
 *    it does whatever it likes, posting included
 *  - soft_cq_ring.put_lock: who adds a completion of this process's own sends
 *  - soft_context.lock: tables, attributes, users
 *  - soft_rq.lock: what was posted to receive
 * Who holds the lock of one `data` never takes that of another.
 *
 * Trust. A file that others of the same user may write is believed as far as this:
 * numbers are plain values, indices are checked against private sizes, pointers are
 * never read from it. The ids of work requests stay in private memory. What is
 * taken from another's file is copied before it is looked at, and an offset that
 * leaves the file is an answer that never comes. Addresses of other processes are
 * for the kernel to judge; those of this one are checked against private tables.
 */
#ifndef SOFTVERBS_DATA_H
#define SOFTVERBS_DATA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <infiniband/verbs.h>

#include "context.h"

struct soft_context;
struct soft_cq;
struct soft_mr;
struct soft_qp;
struct soft_srq;

/* ---- the file: all offsets are from its start ---- */

#define SD_MAGIC      0x73766474
#define SD_VERSION    1
#define SD_MAX_SGE    32
#define SD_NUM_CHUNKS 15 /* of 64, 128, 256, … records */

enum sd_table {
	SD_QPS,
	SD_CQS,
	SD_SRQS,
	SD_MRS,
	SD_MEMBERS,
	SD_NUM_TABLES,
};

/* a completion that is about to be put in, for the next one if its maker dies */
struct sd_journal {
	uint32_t begun;
	uint32_t is_srq;
	uint32_t queue; /* QP or SRQ */
	uint32_t cq;
	uint64_t head; /* of the receive queue, when it is in */
	uint64_t tail; /* of the CQ, when it is in */
};

struct sd_header {
	uint32_t magic;
	uint32_t version;
	uint64_t size; /* of the file */
	uint64_t chunks[SD_NUM_TABLES][SD_NUM_CHUNKS];
	struct sd_journal journal;
};

struct sd_sge {
	uint64_t addr;
	uint32_t length;
	uint32_t lkey;
};

/* a slot of a receive queue; max_sge of them follow */
struct sd_recv {
	uint32_t num_sge;
	uint32_t cookie; /* the owner's slot; told in the completion */
	struct sd_sge sge[];
};

struct sd_rq {
	uint64_t ring;
	uint32_t num; /* slots, a power of two */
	uint32_t max_sge;
	uint64_t tail; /* posted, by the owner */
	uint64_t head; /* taken, by whoever holds the lock */
};

enum {
	SD_QP_ESTABLISHED = 1 << 0, /* a message came before it was in RTS */
};

struct sd_qp {
	uint32_t qpn; /* 0: none */
	uint32_t type;
	uint32_t state;
	uint32_t pd;
	uint32_t access;
	uint32_t dest_qpn;
	uint32_t qkey;
	uint32_t rnr_timer;
	uint32_t srq; /* plus 1; 0: none */
	uint32_t cq;  /* of receives */
	uint32_t flags;
	uint32_t reserved;
	uint8_t dgid[16]; /* all zero: by LID */
	uint64_t object;
	struct sd_rq rq;
};

struct sd_cq {
	uint32_t used;
	uint32_t num; /* slots, a power of two */
	uint64_t ring;
	uint64_t tail;	/* put in, by whoever holds the lock */
	uint64_t head;	/* polled, by the owner */
	uint32_t armed; /* enum sd_armed */
	uint32_t channel;
	uint64_t object;
	uint32_t broken; /* it overran */
	uint32_t is_stamped;
};

enum sd_armed {
	SD_NOT_ARMED,
	SD_ARMED_SOLICITED,
	SD_ARMED,
};

#define SD_NO_CHANNEL UINT32_MAX

struct sd_cqe {
	uint32_t qp; /* its index; */
	uint32_t qpn;
	uint32_t cookie;
	uint32_t status;
	uint32_t opcode;
	uint32_t byte_len;
	uint32_t imm;
	uint32_t src_qp;
	uint32_t flags;
	uint32_t slid;
	uint32_t vendor_err;
	uint32_t solicited;
	uint64_t stamp; /* soft_now_ns(), if the CQ wants it */
};

struct sd_srq {
	uint32_t used;
	uint32_t pd;
	uint32_t limit;
	uint32_t reserved;
	uint64_t object;
	struct sd_rq rq;
};

struct sd_mr {
	uint32_t key; /* 0: none */
	uint32_t access;
	uint32_t pd;
	uint32_t qpn;	 /* a window's of type 2: the only one; else 0 */
	uint32_t parent; /* a window's: the MR's key; else 0 */
	uint32_t reserved;
	uint64_t iova;
	uint64_t addr;
	uint64_t length;
};

/* of a multicast group */
struct sd_member {
	uint32_t qp;  /* its index */
	uint32_t qpn; /* 0: none */
	uint8_t gid[16];
};

/* CLOCK_MONOTONIC */
int64_t soft_now_ns(void);

/* as many slots as a ring has that is to hold @n */
static inline uint32_t soft_power_of_two(uint32_t n)
{
	return n <= 1 ? 1 : 1U << (32 - __builtin_clz(n - 1));
}

/* ---- shm.c, shm_own.c: a context's file, ours or another's ---- */

#define SOFT_NUM_FIFOS 8

struct soft_fifo {
	uint32_t name;
	int fd;
};

struct soft_shm {
	atomic_uint refs;
	dev_t dev;
	ino_t ino;
	int atomics; /* the device's file, whose lock is for them; -1: not yet */
	int fd, contexts; /* the file; the directory that contexts/ID is in */
	char id[32];
	unsigned int process; /* soft_shm_process() that it is of */
	bool is_own;	      /* of a context of this process */
	atomic_bool closed;
	struct soft_context *owner; /* of the own; by the mutex */
	/*
	 * Completions put in by this process. Sender and receiver have the file
	 * mapped at two addresses, of which the language does not know that
	 * they are the same: what orders the data is this.
	 */
	atomic_uint arrived;
	const struct sv_objects_header *marks;
	struct soft_shm *next;

	pthread_mutex_t mutex; /* guards the rest, with the flock */
	pid_t pid;
	int64_t seen_alive; /* when, by soft_now_ns() */
	uint8_t *map;
	size_t mapped;
	struct soft_fifo fifos[SOFT_NUM_FIFOS];
	unsigned int next_fifo;

	/* its own: where it ends, what is free, by the power of two of pages */
	uint64_t end;
	pthread_mutex_t own_lock;
	struct soft_hole *holes[48];
	struct sd_header *own_header;
	size_t own_header_size;
	void *chunks[SD_NUM_TABLES][SD_NUM_CHUNKS];
	size_t chunk_sizes[SD_NUM_TABLES][SD_NUM_CHUNKS];
};

/* part of the own file, mapped for good */
struct soft_region {
	uint64_t offset;
	size_t size;
	void *at;
};

/* of a context of ours, made when it is needed; 0 or an errno value */
int soft_shm_own(struct soft_context *ctx);
/* when it is closed: nobody finds it any more */
void soft_shm_disown(struct soft_context *ctx);
/* of contexts/ID; NULL: there is none, or it is no such file */
struct soft_shm *soft_shm_open(int contexts, const char *id);
void soft_shm_put(struct soft_shm *shm);
/* 0; ETIMEDOUT: someone has it and does not let go; ESRCH: its owner is gone */
int soft_shm_lock(struct soft_shm *shm);
void soft_shm_unlock(struct soft_shm *shm);
/* the same, inside that */
int soft_shm_lock_atomics(struct soft_shm *shm);
void soft_shm_unlock_atomics(struct soft_shm *shm);
/* lock held; NULL: not within the file. Good as long as the lock is held */
void *soft_shm_at(struct soft_shm *shm, uint64_t offset, size_t size);
void *soft_shm_record(struct soft_shm *shm, enum sd_table table,
		      uint32_t index);
/*
 * Of the process. In a child nothing flows of what its parent had open, as nobody
 * reaches its memory and no thread of ours is there; what the child opens is its
 * own. soft_shm_process() differs between the two.
 */
void soft_shm_before_fork(void);
void soft_shm_after_fork(bool is_child);
unsigned int soft_shm_process(void);

/* no lock; of the own file */
int soft_region_alloc(struct soft_shm *shm, size_t size, struct soft_region *r);
void soft_region_free(struct soft_shm *shm, struct soft_region *r);
/* NULL: no memory */
void *soft_own_record(struct soft_shm *shm, enum sd_table table,
		      uint32_t index);

size_t sd_record_size(enum sd_table table);
void sd_where(uint32_t index, unsigned int *chunk, uint32_t *in_chunk);

/* ---- route.c: where a message goes ---- */

struct soft_address {
	bool is_global;
	uint8_t dgid[16];
	uint16_t dlid;
	uint8_t sgid[16]; /* ours; told to who receives a datagram */
	uint16_t slid;
};

struct soft_route {
	struct soft_shm *shm;
	uint32_t index; /* of the QP */
	uint32_t qpn;
	struct soft_address to;
};

/* ENOENT: nobody has that number there */
int soft_route_find(struct soft_context *ctx, const struct soft_address *to,
		    uint32_t qpn, struct soft_route *route);
void soft_route_drop(struct soft_route *route);
/* it has been found, and for that */
bool soft_route_leads_to(const struct soft_route *route,
			 const struct soft_address *to, uint32_t qpn);
/* what ah_attr says, with our own part of it */
void soft_address_fill(const struct sv_state *state,
		       const struct ibv_ah_attr *attr, uint8_t port,
		       struct soft_address *to);

/* ---- rq.c: what was posted to receive, and is not yet polled ---- */

struct soft_rq {
	pthread_mutex_t lock;
	struct sd_rq *shared;
	struct soft_region ring;
	uint32_t num, max_wr, max_sge;
	uint32_t limit; /* that may be posted; slots there may be more */
	uint32_t num_free;
	uint32_t *free; /* slots */
	uint64_t *wr_ids;
	bool *used;
};

size_t sd_recv_size(uint32_t max_sge);
int soft_rq_init(struct soft_context *ctx, struct soft_rq *rq,
		 struct sd_rq *shared, uint32_t max_wr, uint32_t max_sge);
void soft_rq_done(struct soft_context *ctx, struct soft_rq *rq);
/* the lock on the file is held: all that was posted is forgotten */
void soft_rq_reset(struct soft_rq *rq);
/* so is it here; EINVAL: more is posted than would fit */
int soft_rq_resize(struct soft_context *ctx, struct soft_rq *rq,
		   uint32_t max_wr);
int soft_rq_post(struct soft_rq *rq, const struct ibv_recv_wr *wr);
/* false: nothing of that slot is under way */
bool soft_rq_take(struct soft_rq *rq, uint32_t cookie, uint64_t *wr_id);
int soft_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr,
		   struct ibv_recv_wr **bad);
int soft_post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *wr,
		       struct ibv_recv_wr **bad);

/* ---- sq.c: what was posted to send ---- */

struct soft_send {
	uint64_t wr_id;
	uint32_t opcode; /* enum ibv_wr_opcode */
	uint32_t flags;
	uint32_t imm;
	uint32_t rkey;
	uint64_t remote_addr, compare_add, swap;
	uint32_t qpn, qkey; /* of a datagram */
	struct soft_address to;
	struct ibv_mw *mw;
	struct ibv_mw_bind_info bind;
	uint32_t num_sge, inline_len;
	struct ibv_sge sge[]; /* and then what is inline */
};

/* why it has to be tried again */
enum soft_again {
	SOFT_DONE,
	SOFT_NOT_READY, /* no receive is posted */
	SOFT_NO_ANSWER,
};

/* how sending one went */
struct soft_outcome {
	enum soft_again again;
	enum ibv_wc_status status;
	uint32_t rnr_timer;
	uint32_t vendor_err; /* an errno value */
	uint32_t byte_len;
};

struct soft_sq {
	pthread_mutex_t lock;
	uint8_t *slots;
	size_t slot_size;
	uint32_t num, max_wr, max_sge, max_inline;
	bool sig_all;
	uint64_t tail;		/* posted */
	uint64_t head;		/* sent */
	_Atomic uint64_t freed; /* their completions were polled */
	struct soft_route route;

	/* ibv_wr_start(3): up to here they are built */
	uint64_t built;
	struct soft_send *building;
	int error;

	/* the one at head did not arrive, so often */
	unsigned int tries;
	int64_t since; /* the last try that counts, by soft_now_ns(); or 0 */
	enum soft_again again;

	/* guarded by the context's soft_retry.lock */
	int64_t wake_at; /* ns, CLOCK_MONOTONIC */
	struct soft_qp *next_waiting;
	bool is_waiting;
};

int soft_sq_init(struct soft_qp *qp, const struct ibv_qp_init_attr *init);
void soft_sq_done(struct soft_qp *qp);
/* its lock is held: nothing is under way any more */
void soft_sq_reset(struct soft_qp *qp);
/* its lock is held: sends what can be sent, or flushes it */
void soft_sq_run(struct soft_qp *qp);
struct soft_send *soft_sq_slot(struct soft_sq *sq, uint64_t n);
/* its lock is held: in a state that takes requests */
bool soft_sq_may_post(struct soft_qp *qp);
/* what is posted now goes, unless something before it waits */
void soft_sq_go(struct soft_qp *qp);
int soft_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr,
		   struct ibv_send_wr **bad);

/* ---- qp_ex.c ---- */

bool soft_qp_has_ops(enum ibv_qp_type type, uint64_t ops);
void soft_fill_qp_ex(struct ibv_qp_ex *ex);

/* ---- mw.c ---- */

enum ibv_wc_status soft_mw_bind(struct soft_qp *qp,
				const struct soft_send *send);
enum ibv_wc_status soft_mw_invalidate_own(struct soft_qp *qp, uint32_t key);
/* lock held; false: there is no such window */
bool soft_mw_invalidate(struct soft_shm *shm, uint32_t qpn, uint32_t key);
/* lock held */
bool soft_mr_has_windows(struct soft_context *ctx, const struct soft_mr *mr);

/* ---- move.c: what one message does at the other side ---- */

struct soft_outcome soft_move(struct soft_qp *qp, const struct soft_send *send,
			      struct soft_route *route);

/* ---- arrive.c: the lock on the other's file is held ---- */

/* what is to be told when the lock is free again */
struct soft_notices {
	bool has_cq;
	uint32_t channel;
	uint64_t cq;
	unsigned int num;
	struct sv_event events[8];
};

/* a receive that was posted at the other side */
struct soft_recv {
	uint32_t cookie, pd, num_sge;
	struct sd_sge sge[SD_MAX_SGE];
};

struct soft_target {
	struct soft_shm *shm;
	struct sd_qp *qp;
	uint32_t index, qpn;
	struct soft_notices *notices;
};

#define SOFT_NO_EVENT UINT32_MAX

/* a QP of ours, as those see it who send to it; lock held. False: it is not there */
bool soft_target_own(struct soft_target *target, const struct soft_qp *qp,
		     struct soft_notices *notices);

void soft_notice(struct soft_notices *notices, uint32_t type, uint64_t element);
/* after the lock */
void soft_tell(struct soft_shm *shm, const struct soft_notices *notices);
/* the QP is in error: everything posted is flushed */
void soft_target_fail(struct soft_target *target, uint32_t event);
/* it has just been set to that */
void soft_target_end(struct soft_target *target);
void soft_target_flush(struct soft_target *target);
/* the next receive of it: copied; false: there is none */
bool soft_target_peek(struct soft_target *target, struct soft_recv *recv);
/* it is taken, and completes so */
void soft_target_complete(struct soft_target *target,
			  const struct soft_recv *recv, struct sd_cqe *cqe);
/* that part of the other's memory, by key; 0 or an errno value */
int soft_target_range(struct soft_target *target, uint32_t pd, uint32_t key,
		      uint64_t addr, uint64_t length, uint32_t access,
		      struct iovec *iov);

/* ---- mcast.c ---- */

bool soft_is_multicast(const struct soft_address *to);
/* each member of the group, with the lock on its file */
void soft_multicast(struct soft_context *ctx, const struct soft_address *to,
		    void (*deliver)(struct soft_target *target, void *arg),
		    void *arg);
void soft_leave_groups(struct soft_context *ctx, struct soft_qp *qp);

/* ---- copy.c ---- */

/* from here to there, or back; as much as the shorter side has */
int soft_copy(struct soft_shm *shm, const struct iovec *local,
	      unsigned int num_local, const struct iovec *remote,
	      unsigned int num_remote, bool to_remote);

/* on standard error, once */
void soft_copy_complain(pid_t pid, int error);

/* ---- cq_ring.c ---- */

/* a completion of this process's own sends */
struct soft_cqe {
	struct ibv_wc wc;
	uint32_t qp;	  /* index */
	uint64_t sent_to; /* what the SQ may forget */
	uint64_t after;	  /* what the other ring had had by then */
	uint64_t stamp;
};

struct soft_cq_ring {
	pthread_mutex_t lock, put_lock;
	struct sd_cq *shared;
	struct soft_region region;
	uint32_t index;
	uint32_t num;	      /* slots of each */
	struct soft_cqe *own; /* ring */
	uint64_t head, tail;  /* of that */
	uint64_t shared_head; /* of the other */

	uint64_t stamp;	       /* of what was taken last */
	struct ibv_wc current; /* while it is polled by parts */
};

int soft_cq_ring_init(struct soft_context *ctx, struct soft_cq *cq,
		      bool is_stamped);
void soft_cq_ring_done(struct soft_context *ctx, struct soft_cq *cq);
int soft_cq_ring_resize(struct soft_context *ctx, struct soft_cq *cq, int cqe);
/* false: it overran, and the QP is of no more use */
bool soft_cq_put(struct soft_cq *cq, const struct soft_cqe *cqe);
/* no lock: it may have something the next moment */
bool soft_cq_is_empty(struct soft_cq *cq);
/* lock held */
bool soft_cq_take(struct soft_cq *cq, struct ibv_wc *wc);
/* nothing of the QP is left in it */
void soft_cq_purge(struct soft_cq *cq, struct soft_qp *qp);

/* ---- retry.c: who sends again what did not arrive ---- */

struct soft_retry {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	pthread_t thread;
	bool is_started, must_stop;
	struct soft_qp *waiting, *running;
};

void soft_retry_init(struct soft_retry *retry);
/* its soft_sq.lock is held. False: no thread can be had */
bool soft_retry_later(struct soft_qp *qp, int64_t ns);
/* not any more; waits if it is being done */
void soft_retry_never(struct soft_qp *qp);
/* of a context that is being closed */
void soft_retry_stop(struct soft_context *ctx);

#endif /* SOFTVERBS_DATA_H */
