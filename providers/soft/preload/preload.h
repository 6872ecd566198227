/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The interposer: libsoftverbs-preload.so has a function of its own for every
 * public function of libibverbs. wrappers.c asks whose the object is: ours go to
 * soft_*() below, all others to libibverbs. Nothing else is exported.
 *
 * Telling ours. A device of ours has soft_device_tag() in the unused slot
 * _ops._dummy1, a context has soft_poll_cq() in ops.poll_cq. Both are public
 * fields, and every other object leads to its context.
 *
 * Layout. Each object begins with the public struct, so a cast goes both ways.
 * libibverbs makes the memory of a context, if it will: then verbs that nobody
 * wrapped (of a later release) find its own "not supported" behind them. How
 * much of it comes before the public part differs by release: see memory.c.
 *
 * Ownership.
 *  - A device is held by the cache (list.c: while the fabric lists it), by each
 *    list, by each context; the last to let go frees it.
 *  - A context owns its directory contexts/ID, the two FIFOs by which it holds
 *    the device in the fabric, the file `objects` and the mapping of its
 *    header, and a descriptor of the device's directory. That one is O_PATH and
 *    follows the directory wherever it is moved: device state and faults are
 *    read through it.
 *  - Objects belong to the program. They point at what they were made from and
 *    count as its users; what has users answers EBUSY to its destruction. After
 *    a fatal removal nothing may fail, so it is freed when the last user goes.
 *
 * Locks, none of them held while another is taken, but for the first two:
 *  - list_lock (list.c): the cache of devices and the lists given out; taken
 *    before the fabric's flock, since two listings must not pass each other
 *  - the fabric's flock: opening and closing; never while waiting
 *  - soft_context.lock: the tables, user counts, attributes of QPs and the like
 *  - open_lock (open.c): the list of contexts; a fork locks those under it
 *  - the mutex in each public CQ, QP, SRQ: events acknowledged, as in
 *    libibverbs; a WQ has one of ours
 *
 * Events. The fabric names an object by an id that is never used again. Who
 * reads one looks it up under the context's lock and counts it there; an id
 * that is gone is dropped. Destroying takes the object out of the table, so no
 * more can be got, then waits until those that were got are acknowledged.
 *
 * The end. Who removes the device marks it fatal in the header of `objects`,
 * queues DEVICE_FATAL, and behind it a record that is never taken out: it makes
 * every read fail, wakes who waits, and keeps the descriptor readable, which is
 * as near as a FIFO can come to the kernel's POLLERR. The FIFOs of completion
 * channels get one, too.
 *
 * Cost. A verb reads two words of that mapped header: the fatal mark, and
 * whether there may be faults (see ../fault.c). Should somebody, who could only
 * be the same user, make the file shorter, it would be killed by SIGBUS.
 *
 * Fork. The FIFOs and all else are shared with the child, which holds the
 * device as long as it has them: closing works on either side. The locks of
 * contexts are taken before a fork (open.c), so the child finds them free.
 */
#ifndef SOFTVERBS_PRELOAD_H
#define SOFTVERBS_PRELOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <infiniband/verbs.h>

#include "control.h"
#include "data.h"

/* inline functions stand before these */
#undef ibv_query_port
#undef ibv_reg_mr
#undef ibv_reg_mr_iova

/* what a device can do, in query.c; checked where objects are made */
#define SOFT_MAX_QP	   (1 << 18)
#define SOFT_MAX_QP_WR	   (1 << 15)
#define SOFT_MAX_SGE	   32
#define SOFT_MAX_INLINE	   1024
#define SOFT_MAX_CQE	   ((1 << 22) - 1)
#define SOFT_MAX_SRQ_WR	   (1 << 15)
#define SOFT_MAX_RD_ATOMIC 16
#define SOFT_MAX_MR_SIZE   (1ULL << 47)

struct soft_device {
	struct ibv_device ibv;
	char lib[256]; /* where libibverbs believes its own part; not read */
	atomic_uint refs;
	uint32_t index;
	__be64 guid;
	char *fabric;
	bool listed;
	struct soft_device *next;
};

struct soft_table {
	void **slots;
	uint32_t num;  /* slots there are */
	uint32_t free; /* none below is free */
};

struct soft_context {
	struct ibv_context ibv;
	void *memory;
	void *priv; /* libibverbs' own, or NULL */
	struct soft_device *dev;
	unsigned int process; /* soft_shm_process() that opened it */
	int dir;	      /* the device's directory, O_PATH */
	int objects;	      /* the file */
	const struct sv_objects_header *marks; /* its header, mapped */
	char id[32];			       /* contexts/ID */
	atomic_uint next_handle;

	struct soft_context *origin; /* of an import; nothing else is used */
	unsigned int holders;	     /* by open_lock: its owner, and imports */
	atomic_bool has_ended;	     /* DEVICE_FATAL that nobody could send */
	struct soft_context *next_open, **at_open; /* see open.c */

	/* its file `data`, once it has one; shm_lock: who makes it */
	struct soft_shm *_Atomic shm;
	pthread_mutex_t shm_lock;
	struct soft_retry retry;

	pthread_mutex_t lock;
	struct soft_table events;  /* struct soft_object */
	struct soft_table mrs;	   /* struct soft_mr */
	struct soft_table members; /* of multicast groups */
	struct soft_pd *pds;
	uint64_t generation; /* of ids and keys */
};

/* what others are made from */
struct soft_use {
	unsigned int users;
	bool destroyed; /* and freed by the last user */
	void *memory;
};

/* what has events */
struct soft_object {
	enum sv_kind kind;
	uint32_t slot;
	uint64_t id;
	uint32_t got; /* events read */
	void *ibv;
	pthread_mutex_t *mutex;
	pthread_cond_t *cond;
	uint32_t *acked;
};

struct soft_pd {
	struct ibv_pd ibv;
	struct soft_use use;
	struct soft_pd *next;
	struct soft_pd *parent_of; /* of a parent domain; else NULL */
	struct soft_use *td;
};

struct soft_mr {
	struct ibv_mr ibv;
	uint64_t iova;
	int access;
	uint32_t slot;
	bool is_window; /* of that, the slot and the key are all there is */
};

struct soft_ah {
	struct ibv_ah ibv;
	struct ibv_ah_attr attr;
	struct soft_address to;
};

struct soft_channel {
	struct ibv_comp_channel ibv;
	struct soft_use use;
	int write_fd;  /* takes the ids of CQs */
	uint32_t name; /* of the FIFO */
};

struct soft_cq {
	union {
		struct ibv_cq ibv;
		struct ibv_cq_ex ex;
	};
	struct soft_use use;
	struct soft_object object;
	uint32_t comp_got;
	struct soft_cq_ring ring;
};

struct soft_srq {
	struct ibv_srq ibv;
	struct soft_use use;
	struct soft_object object;
	struct ibv_srq_attr attr;
	struct sd_srq *shared;
	struct soft_rq rq;
};

/*
 * ibv_create_wq() of verbs.h sets up the public mutex, condition and count only
 * when the WQ is there already, and may have had an event: so these are used.
 */
struct soft_wq {
	struct ibv_wq ibv;
	struct soft_object object;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	uint32_t acked;
};

struct soft_qp {
	union {
		struct ibv_qp ibv;
		struct ibv_qp_ex ex;
	};
	struct soft_object object;
	struct ibv_qp_attr attr;
	struct ibv_qp_init_attr init;

	/* where it is found: its slot, as an object and in the file */
	uint32_t index;
	struct sd_qp *shared;
	struct soft_address to;
	uint32_t mtu; /* bytes of a datagram */
	struct soft_rq rq;
	struct soft_sq sq;
	struct member *groups; /* by soft_sq.lock */
	bool has_ops;	       /* of ibv_wr_start(3) */
};

/* an import is what it was imported from */
static inline struct soft_context *to_context(struct ibv_context *context)
{
	struct soft_context *ctx = (struct soft_context *)context;

	return ctx->origin ? ctx->origin : ctx;
}

/* by a fork: it can be closed, and that is all */
static inline bool soft_is_inherited(const struct soft_context *ctx)
{
	return ctx->process != soft_shm_process();
}

/* an errno value, returned and set */
static inline int soft_fail(int error)
{
	if (error)
		errno = error;
	return error;
}

static inline void *soft_fail_null(int error)
{
	errno = error;
	return NULL;
}

/* ---- real.c: libibverbs ---- */

void *soft_real(_Atomic(void *) *cache, const char *name);
bool soft_called_by_libibverbs(const void *return_address);

/* ---- list.c ---- */

void soft_device_tag(void);
bool soft_is_device(const struct ibv_device *device);
void soft_device_put(struct soft_device *dev);

/* ---- memory.c: the memory of a context; owns cmd_fd ---- */

struct soft_context *soft_context_alloc(struct soft_device *dev, int cmd_fd);
void soft_context_free(struct soft_context *ctx);

/* ---- open.c ---- */

struct ibv_context *soft_open_device(struct ibv_device *device);
int soft_close_device(struct ibv_context *context);
/* held until soft_release_open(); NULL: none */
struct soft_context *
soft_find_open(bool (*is_it)(struct soft_context *ctx, void *arg), void *arg);
void soft_release_open(struct soft_context *ctx);

/* ---- import.c ---- */

bool soft_is_fifo(int fd);
struct ibv_context *soft_import_device(int cmd_fd);
void soft_close_import(struct soft_context *ctx);
struct ibv_pd *soft_import_pd(struct ibv_context *context, uint32_t handle);
void soft_unimport_pd(struct ibv_pd *pd);
struct ibv_mr *soft_import_mr(struct ibv_pd *pd, uint32_t handle);
void soft_unimport_mr(struct ibv_mr *mr);

/* ---- object.c ---- */

bool soft_is_ours(const struct ibv_context *context);
/* the header of the file `objects`, for reading; NULL and errno */
const struct sv_objects_header *soft_map_marks(int objects);
void soft_unmap_marks(const struct sv_objects_header *marks);
bool soft_is_fatal(struct soft_context *ctx);
uint32_t soft_told(struct soft_context *ctx); /* enum sv_told */
/* what the fabric has in store for the verb: waits, returns an errno value */
int soft_take_fault(struct soft_context *ctx, const char *verb);
int soft_open_fault(int device_dir);
/* the start of each verb: delays, then 0 or what it is to fail with */
int soft_enter(struct ibv_context *context, const char *verb);
/* of one that destroys: never fails once the device is gone */
int soft_enter_destroy(struct ibv_context *context, const char *verb);
uint32_t soft_next_handle(struct soft_context *ctx);
/* lock held: the slot, or -1 */
int64_t soft_table_add(struct soft_table *table, void *entry, uint32_t limit);
void soft_table_remove(struct soft_table *table, uint32_t slot);
/* NULL: nothing is there */
static inline void *soft_table_get(const struct soft_table *table,
				   uint32_t slot)
{
	return slot < table->num ? table->slots[slot] : NULL;
}
/* @number: NULL: the slot's; ibv, mutex, cond and acked are set */
int soft_object_add(struct soft_context *ctx, struct soft_object *object,
		    enum sv_kind kind, const uint32_t *number);
/* no more events can be got of it; waits for those that were */
void soft_object_remove(struct soft_context *ctx, struct soft_object *object);
/* a QP or WQ number, different from all others of the device */
int soft_take_number(struct soft_context *ctx, uint32_t *number);
void soft_use_init(struct soft_use *use, void *memory);
void soft_use_get(struct soft_context *ctx, struct soft_use *use);
void soft_use_put(struct soft_context *ctx, struct soft_use *use);
/* EBUSY, or it is the caller's: see soft_use_destroy() */
int soft_use_check(struct soft_context *ctx, struct soft_use *use);
/* frees it, or leaves that to its last user */
void soft_use_destroy(struct soft_context *ctx, struct soft_use *use);

/* ---- query.c ---- */

int soft_query_device(struct ibv_context *context,
		      struct ibv_device_attr *attr);
int soft_query_device_ex(struct ibv_context *context,
			 const struct ibv_query_device_ex_input *input,
			 struct ibv_device_attr_ex *attr, size_t size);
int soft_query_rt_values(struct ibv_context *context,
			 struct ibv_values_ex *values);
int soft_query_port(struct ibv_context *context, uint8_t port,
		    struct ibv_port_attr *attr, size_t size);
/* of the struct that ends before port_cap_flags2 */
int soft_query_port_compat(struct ibv_context *context, uint8_t port,
			   struct _compat_ibv_port_attr *attr);
int soft_query_gid(struct ibv_context *context, uint8_t port, int index,
		   union ibv_gid *gid);
int soft_query_gid_ex(struct ibv_context *context, uint32_t port,
		      uint32_t index, struct ibv_gid_entry *entry,
		      uint32_t flags, size_t size);
ssize_t soft_query_gid_table(struct ibv_context *context,
			     struct ibv_gid_entry *entries, size_t max,
			     uint32_t flags, size_t size);
int soft_query_gid_type(struct ibv_context *context, uint8_t port,
			unsigned int index, int *type);
int soft_query_pkey(struct ibv_context *context, uint8_t port, int index,
		    __be16 *pkey);
int soft_get_pkey_index(struct ibv_context *context, uint8_t port, __be16 pkey);

/* the LID of an InfiniBand port */
uint16_t soft_lid(const struct sv_state *state, uint32_t port);
/* what it sends at once, in bytes */
uint32_t soft_mtu(const struct sv_state *state);

/* ---- pd_mr.c ---- */

struct ibv_pd *soft_alloc_pd(struct ibv_context *context);
int soft_dealloc_pd(struct ibv_pd *pd);
struct ibv_mr *soft_reg_mr(struct ibv_pd *pd, void *addr, size_t length,
			   uint64_t iova, int access);
int soft_rereg_mr(struct ibv_mr *mr, int flags, struct ibv_pd *pd, void *addr,
		  size_t length, int access);
int soft_dereg_mr(struct ibv_mr *mr);
/* is that memory of the MR with this key? */
bool soft_mr_covers(struct soft_context *ctx, uint32_t key,
		    const struct iovec *iov);
int soft_advise_mr(struct ibv_pd *pd, enum ibv_advise_mr_advice advice,
		   uint32_t flags, struct ibv_sge *sges, uint32_t num);
/* a slot and a key; 0 or an errno value */
int soft_add_mr(struct soft_context *ctx, struct soft_mr *mr);
void soft_remove_mr(struct soft_context *ctx, struct soft_mr *mr);
/* where that is in this process; 0 or EACCES */
int soft_local_range(struct soft_context *ctx, const struct ibv_pd *pd,
		     const struct ibv_sge *sge, int access, struct iovec *iov);

/* ---- domain.c ---- */

struct ibv_td *soft_alloc_td(struct ibv_context *context,
			     struct ibv_td_init_attr *attr);
int soft_dealloc_td(struct ibv_td *td);
struct ibv_pd *
soft_alloc_parent_domain(struct ibv_context *context,
			 struct ibv_parent_domain_init_attr *attr);
void soft_leave_parent(struct soft_context *ctx, const struct soft_pd *pd);

/* ---- mw.c ---- */

struct ibv_mw *soft_alloc_mw(struct ibv_pd *pd, enum ibv_mw_type type);
int soft_dealloc_mw(struct ibv_mw *mw);
int soft_bind_mw(struct ibv_qp *qp, struct ibv_mw *mw,
		 struct ibv_mw_bind *bind);

/* ---- mcast.c ---- */

int soft_attach_mcast(struct ibv_qp *qp, const union ibv_gid *gid,
		      uint16_t lid);
int soft_detach_mcast(struct ibv_qp *qp, const union ibv_gid *gid,
		      uint16_t lid);

/* ---- ah.c ---- */

struct ibv_ah *soft_create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attr);
int soft_destroy_ah(struct ibv_ah *ah);
int soft_init_ah_from_wc(struct ibv_context *context, uint8_t port,
			 struct ibv_wc *wc, struct ibv_grh *grh,
			 struct ibv_ah_attr *attr);
struct ibv_ah *soft_create_ah_from_wc(struct ibv_pd *pd, struct ibv_wc *wc,
				      struct ibv_grh *grh, uint8_t port);
int soft_check_ah_attr(const struct sv_state *state,
		       const struct ibv_ah_attr *attr);

/* ---- cq.c, channel.c ---- */

struct ibv_cq *soft_create_cq(struct ibv_context *context, int cqe,
			      void *cq_context,
			      struct ibv_comp_channel *channel,
			      int comp_vector);
struct ibv_cq_ex *soft_create_cq_ex(struct ibv_context *context,
				    struct ibv_cq_init_attr_ex *attr);
int soft_resize_cq(struct ibv_cq *cq, int cqe);
int soft_destroy_cq(struct ibv_cq *cq);
int soft_poll_cq(struct ibv_cq *cq, int num, struct ibv_wc *wc);
int soft_req_notify_cq(struct ibv_cq *cq, int solicited_only);
/* cq_parts.c */
void soft_fill_poll(struct ibv_cq_ex *ex);
void soft_ack_cq_events(struct ibv_cq *cq, unsigned int num);
struct ibv_comp_channel *soft_create_comp_channel(struct ibv_context *context);
int soft_destroy_comp_channel(struct ibv_comp_channel *channel);
int soft_get_cq_event(struct ibv_comp_channel *channel, struct ibv_cq **cq,
		      void **cq_context);

/* ---- qp.c, qp_state.c ---- */

struct ibv_qp *soft_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *init);
struct ibv_qp *soft_create_qp_ex(struct ibv_context *context,
				 struct ibv_qp_init_attr_ex *init);
int soft_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask);
int soft_query_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask,
		  struct ibv_qp_init_attr *init);
struct ibv_qp_ex *soft_qp_to_qp_ex(struct ibv_qp *qp);
int soft_destroy_qp(struct ibv_qp *qp);
/* its soft_sq.lock is held: it goes to the error state by itself, if it is not */
bool soft_qp_enter_error(struct soft_qp *qp);
/* then, after the completion that says why, what it was to receive is flushed */
void soft_qp_end(struct soft_qp *qp);
/* of that number, in that slot, if it completes there; NULL: no more */
struct soft_qp *soft_qp_of_cq(struct soft_context *ctx, uint32_t slot,
			      uint32_t qpn, const struct ibv_cq *cq);
/* may it go from one state to the other with this mask? */
bool soft_qp_transition_is_good(enum ibv_qp_type type, enum ibv_qp_state from,
				enum ibv_qp_state to, int mask);

/* ---- srq_wq.c ---- */

struct ibv_srq *soft_create_srq(struct ibv_pd *pd,
				struct ibv_srq_init_attr *init);
struct ibv_srq *soft_create_srq_ex(struct ibv_context *context,
				   struct ibv_srq_init_attr_ex *init);
int soft_modify_srq(struct ibv_srq *srq, struct ibv_srq_attr *attr, int mask);
int soft_query_srq(struct ibv_srq *srq, struct ibv_srq_attr *attr);
int soft_destroy_srq(struct ibv_srq *srq);
int soft_get_srq_num(struct ibv_srq *srq, uint32_t *num);
struct ibv_wq *soft_create_wq(struct ibv_context *context,
			      struct ibv_wq_init_attr *init);
int soft_modify_wq(struct ibv_wq *wq, struct ibv_wq_attr *attr);
int soft_destroy_wq(struct ibv_wq *wq);

/* ---- event.c ---- */

int soft_get_async_event(struct ibv_context *context,
			 struct ibv_async_event *event);
void soft_ack_async_event(struct ibv_async_event *event);
/* whose object it is of; NULL: of a port or the device */
struct ibv_context *soft_event_context(const struct ibv_async_event *event);
/* queues an event for the program itself */
void soft_raise(struct soft_context *ctx, uint32_t type, uint64_t element);

/* ---- ops.c: the slots that inline functions of verbs.h look at ---- */

void soft_fill_ops(struct soft_context *ctx);
/* a verb that we do not have: EOPNOTSUPP, unless it is to fail otherwise */
int soft_unsupported(struct ibv_context *context, const char *verb);
void *soft_unsupported_null(struct ibv_context *context, const char *verb);

#endif /* SOFTVERBS_PRELOAD_H */
