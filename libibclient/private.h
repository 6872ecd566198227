/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the files of the library share. Documentation/architecture.md tells who
 * owns what; the short of it:
 *
 *   reg->lock	guards everything below that has no other comment. It is never
 *		held over a callback, a verb or a device list.
 *   jobs	all callbacks of a device run in its job, one at a time; whoever
 *		runs a device's job may drop the lock, and nobody else runs it
 *		meanwhile. The job decides its next step from the state alone.
 *   slots	one per (device, client), made with the later of the two, never
 *		moved while the device lives; read without a lock by get.
 *
 * Lock order: ibc__registries_lock, reg->lock (of several registries: in the
 * order of their list, only by fork()), the lock of alloc.c, the lock of log.c.
 */
#ifndef IBC_PRIVATE_H
#define IBC_PRIVATE_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <infiniband/ibclient.h>

#include "backend.h"
#include "handler.h"
#include "holders.h"
#include "found.h"
#include "owner.h"
#include "probe.h"
#include "ref.h"
#include "watch.h"

#define ibc__container_of(ptr, type, member) \
	((type *)((char *)(ptr)-offsetof(type, member)))

#define IBC_NAME_MAX 64

/* ---- job.c: units of work, each run by one dispatcher at a time ---- */

struct ibc__job {
	TAILQ_ENTRY(ibc__job) entry;
	/* lock held, may drop it; true: run again */
	bool (*run)(struct ibc__job *job);
	/* lock held: the job has come to rest; may free it */
	void (*rest)(struct ibc__job *job);
	struct ibc_registry *reg;
	bool queued, running, again;
};

TAILQ_HEAD(ibc__jobs, ibc__job);

void ibc__kick(struct ibc__job *job);
bool ibc__run_job(struct ibc_registry *reg);
bool ibc__run_job_that(struct ibc_registry *reg,
		       bool (*fits)(const struct ibc__job *job));

/* ---- timer.c: deadlines on CLOCK_MONOTONIC, in milliseconds ---- */

struct ibc__timer {
	TAILQ_ENTRY(ibc__timer) entry;
	void (*fire)(struct ibc__timer *timer); /* lock held */
	uint64_t at;
	bool armed;
};

TAILQ_HEAD(ibc__timers, ibc__timer);

void ibc__timer_arm(struct ibc_registry *reg, struct ibc__timer *timer,
		    uint64_t at);
void ibc__timer_stop(struct ibc_registry *reg, struct ibc__timer *timer);
void ibc__timers_expire(struct ibc_registry *reg);
uint64_t ibc__timers_limit(struct ibc_registry *reg, uint64_t deadline);

/* ---- slot.c: the place of one client's data on one device ---- */

enum ibc__slot_state {
	IBC_SLOT_NEW,	   /* add() is to be called */
	IBC_SLOT_ADDING,   /* add() runs */
	IBC_SLOT_ADDED,	   /* add() returned 0 */
	IBC_SLOT_RETRY,	   /* add() failed: again at retry_at */
	IBC_SLOT_DECLINED, /* add() said EOPNOTSUPP */
	IBC_SLOT_REMOVING, /* remove() runs */
	IBC_SLOT_REMOVED,  /* remove() has run */
	IBC_SLOT_DONE,	   /* and gone() too */
};

struct ibc__slot {
	_Atomic(struct ibc__ref *) cur; /* what get finds */
	struct ibc__found *found;	/* and what the quick one does */
	_Atomic int status;		/* why get must fail, or 0 */
	enum ibc__slot_state state;
	struct ibc_device *dev;
	struct ibc__client *client;   /* whose it is, or was last */
	struct ibc__attempt *attempt; /* an alloc_client_data() runs */
	struct ibc__ref *held; /* a reference kept until remove() returned */
	struct ibc__ref *spare;
	struct ibc__ref *extra; /* those that the first was not enough for */
	struct ibc__ref first;
	uint64_t retry_at;
	unsigned int failures; /* of add() in a row */
	bool tried;	       /* add() has returned once */
};

#define IBC_CHUNK_SHIFT 2 /* the first chunk has 4 slots, each next doubles */
#define IBC_NUM_CHUNKS	16
#define IBC_MAX_CLIENTS (((1U << IBC_NUM_CHUNKS) - 1) << IBC_CHUNK_SHIFT)

struct ibc__slot *ibc__slot(struct ibc_device *dev, unsigned int id);
int ibc__slot_make(struct ibc_device *dev, unsigned int id);
void ibc__slot_attach(struct ibc_device *dev, struct ibc__client *c);
void ibc__slots_free(struct ibc_device *dev);
void ibc__slot_publish(struct ibc__slot *slot, struct ibc__ref *ref,
		       unsigned int refs);
void ibc__slot_set(struct ibc__slot *slot, struct ibc__ref *ref);
struct ibc__ref *ibc__slot_current(struct ibc__slot *slot);
struct ibc__ref *ibc__slot_keep(struct ibc__slot *slot);
void ibc__slot_kill(struct ibc__slot *slot, int status);
void ibc__slot_drop(struct ibc__slot *slot);
uint64_t ibc__slot_refs(struct ibc__slot *slot);
void ibc__pin(struct ibc__slot *slot);
void ibc__unpin(struct ibc__slot *slot);

/* ---- client.c, unregister.c ---- */

struct ibc__client {
	TAILQ_ENTRY(ibc__client) entry; /* reg->clients, or reg->idle_clients */
	struct ibc_registry *reg;
	struct ibc_client *client;
	uint32_t flags;
	unsigned int id;
	uint64_t seq;	      /* order of registration */
	unsigned int refs;    /* registration, those who wait, the done job */
	unsigned int active;  /* slots between add() and the end of remove() */
	unsigned int running; /* other callbacks that run */
	unsigned int pins;    /* data and alloc callbacks that exist */
	atomic_uint told;     /* calls of add() that have returned */
	bool dying, claimed;  /* unregister began; somebody waits for it */
	bool finished;
	void (*done)(struct ibc_client *client);
	struct ibc__job job;
};

TAILQ_HEAD(ibc__clients, ibc__client);

struct ibc__client *ibc__client_of(struct ibc_client *client);
void ibc__client_put(struct ibc__client *c);
void ibc__client_changed(struct ibc__client *c);
void ibc__client_finish(struct ibc__client *c);
const char *ibc__client_name(struct ibc__client *c);

/* the next client, by registration, that has the device and seq > @after */
struct ibc__slot *ibc__next_slot(struct ibc_device *dev, uint64_t after);

/* ---- event.c, deliver.c; handler.h has what handlers need ---- */

enum ibc__element {
	IBC_ELEMENT_DEVICE,
	IBC_ELEMENT_PORT,
	IBC_ELEMENT_QP,
	IBC_ELEMENT_CQ,
	IBC_ELEMENT_SRQ,
	IBC_ELEMENT_WQ,
	IBC_ELEMENT_UNKNOWN,
};

struct ibc__pending {
	TAILQ_ENTRY(ibc__pending) entry;
	struct ibc__pending *older; /* next in its hash bucket */
	enum ibc__element element;
	uintptr_t key;	/* what it is about: pointer or port */
	uint64_t bound; /* newest handler when it was read, see handler.c */
	bool late; /* read after the removal began: its object's handlers' */
	bool reported; /* by the context's owner */
	struct ibc_event event;
};

TAILQ_HEAD(ibc__pendings, ibc__pending);

#define IBC_EVENT_BUCKETS 64

struct ibc__events {
	struct ibc__pendings queue;
	struct ibc__pending *last[IBC_EVENT_BUCKETS]; /* newest per element */
	struct ibc__pending *current; /* is being delivered, not in the queue */
	uint64_t cursor;     /* seq of the last client that had ->current */
	uint8_t sticky[256]; /* by port: IBV_EVENT_PORT_ACTIVE, _ERR or 0 */
};

enum ibc__element ibc__event_element(int type);
int ibc__event_resolve(const struct ibv_async_event *async,
		       struct ibc_event *event);
void ibc__event_queue(struct ibc_device *dev, struct ibc__pending *p);
struct ibc__pending *ibc__event_pop(struct ibc_device *dev);
void ibc__events_read(struct ibc_device *dev, uint32_t ready);
int ibc__events_watch(struct ibc_device *dev, struct ibv_context *context,
		      bool read);
void ibc__events_unwatch(struct ibc_device *dev);
bool ibc__deliver(struct ibc_device *dev);
bool ibc__sticky_event(struct ibc_device *dev, unsigned int port,
		       struct ibc_event *event);
void ibc__replay(struct ibc_device *dev, struct ibc__slot *slot);

/* ---- device.c, adopt.c, step.c, remove.c ---- */

enum ibc__stage {
	IBC_STAGE_LISTED, /* not open yet */
	IBC_STAGE_VERIFY, /* open; a newer list must confirm what was opened */
	IBC_STAGE_UP,
	IBC_STAGE_CLOSED,
};

/* what a device that is still in the list after its removal is to do */
enum ibc__claim {
	IBC_CLAIM_NONE,	  /* the list has it not, or it may be opened anew */
	IBC_CLAIM_LISTED, /* it is this incarnation that is in the list */
	IBC_CLAIM_LATER,  /* may be opened anew at reopen_at */
	IBC_CLAIM_NEVER,  /* only once it has left the list */
};

struct ibc__name {
	struct ibc__name *next;
	char name[];
};

struct ibc__identity {
	int index;
	__be64 guid;
	char node[IBC_NAME_MAX];
};

struct ibc_device {
	_Atomic(struct ibc__found *) nothing; /* where place 0 leads */
	struct ibc_registry *reg;
	_Atomic(struct ibc__found *) regions[IBC_NUM_REGIONS];
	_Atomic(struct ibc__slot *) chunks[IBC_NUM_CHUNKS];
	uint32_t magic;
	_Atomic(struct ibv_context *) context;
	_Atomic(const char *) name;
	_Atomic int state; /* enum ibc_device_state */
	struct ibc__identity id;
	uint64_t incarnation;
	bool adopted;
	struct ibc__owner owner; /* let_go: of who waits, or NULL */

	TAILQ_ENTRY(ibc_device) entry;
	struct ibc__job job;
	struct ibc__timer timer; /* the earliest thing its job waits for */
	struct ibc__name *names; /* all it ever had, newest first */
	enum ibc__stage stage;
	enum ibc__claim claim;
	bool announced; /* it was live and open once: it counts */
	bool seen;	/* adopted: a list had it once */
	bool suspect;	/* see watch_probe.c */
	bool probe;
	enum ibc__by suspect_by, probe_by;
	uint64_t probe_at;
	unsigned int probe_failures; /* in a row */
	bool stalled;		     /* VERIFY, but the list cannot be read */
	bool reading; /* somebody reads its async fd, without the lock */
	bool read_events, watched;
	uint64_t scan_mark;	/* the last list that had it */
	uint64_t opened_mark;	/* newest list begun when it was opened */
	_Atomic uint32_t users; /* references; see device.c */
	unsigned int pins;	/* what keeps the context open */
	struct ibv_device *ibv; /* in ->list, until opened */
	struct ibc__list *list;
	int open_error;	       /* as last logged */
	unsigned int failures; /* of open, in a row */
	unsigned int relapses; /* forerunners that failed soon, in a row */
	uint64_t retry_at, reopen_at, reread_at, warn_at, live_since;
	const char *old_name;	   /* a rename is to be told */
	const char *next_old_name; /* and another one after it */
	uint64_t rename_cursor;	   /* seq of the last client that heard of it */
	struct ibc__events events;
	struct ibc__handlers handlers;
};

#define IBC_DEVICE_MAGIC 0x1bcde71c

TAILQ_HEAD(ibc__devices, ibc_device);

struct ibc_device *ibc__device_new(struct ibc_registry *reg, const char *name,
				   const struct ibc__identity *id);
void ibc__device_free(struct ibc_device *dev);
void ibc__device_insert(struct ibc_device *dev);
int ibc__device_rename(struct ibc_device *dev, const char *name);
void ibc__device_rest(struct ibc__job *job);
void ibc__device_unused(struct ibc_device *dev);
void ibc__device_announce(struct ibc_device *dev);
int ibc__device_check(struct ibc_device *dev);
void ibc__device_use(struct ibc_device *dev);
uint32_t ibc__device_users(struct ibc_device *dev);
bool ibc__device_finished(const struct ibc_device *dev);
void ibc__device_finish(struct ibc_device *dev);
bool ibc__device_live(struct ibc_device *dev);
void ibc__let_go(struct ibc_device *dev);
void ibc__wait_told(struct ibc_device *dev);
void ibc__device_at(struct ibc_device *dev, uint64_t when);
bool ibc__device_step(struct ibc__job *job);
bool ibc__step_reread(struct ibc_device *dev);
bool ibc__step_open(struct ibc_device *dev);
void ibc__help_open(struct ibc_registry *reg);

enum ibc__reason {
	IBC_REASON_ABSENT,
	IBC_REASON_FATAL,
	IBC_REASON_ERROR,
	IBC_REASON_UNREADABLE,
	IBC_REASON_HANGUP,
	IBC_REASON_CALLER,
};

/* what the registry remembers of a removal */
struct ibc__removal {
	char name[IBC_NAME_MAX];
	int index;
	uint64_t incarnation;
	enum ibc__reason reason;
	enum ibc__by by; /* who told of it first */
};

#define IBC_NUM_REMOVALS 16

void ibc__begin_removal(struct ibc_device *dev, enum ibc__reason reason,
			enum ibc__by by);
const char *ibc__reason_name(enum ibc__reason reason);
void ibc__close_device(struct ibc_device *dev, struct ibv_context *context);
bool ibc__step_remove(struct ibc_device *dev);
bool ibc__remove_slot(struct ibc__slot *slot);

/* ---- scan.c ---- */

struct ibc__list {
	unsigned int refs;
	uint64_t mark;		     /* its number */
	struct ibv_device **devices; /* NULL: no RDMA in this kernel */
	int num;
	bool outside; /* there are some that are not below sysfs_path() */
};

int ibc__scan(struct ibc_registry *reg, bool names, enum ibc__by by);
int ibc__scan_and_lock(struct ibc_registry *reg, bool names, enum ibc__by by,
		       struct ibc__list **old);
bool ibc__scan_job(struct ibc__job *job);
void ibc__scan_at(struct ibc_registry *reg, uint64_t when);
bool ibc__same_guid(__be64 a, __be64 b);
void ibc__scan_failed(struct ibc_registry *reg, int error);
void ibc__hint(struct ibc_registry *reg, enum ibc__by by, bool names);
void ibc__hint_device(struct ibc_device *dev);
struct ibc__list *ibc__list_unref(struct ibc__list *list);
void ibc__list_free(struct ibc__list *list);
void ibc__list_drop(struct ibc_registry *reg, struct ibc__list *list);

/* ---- registry.c, loop.c ---- */

struct ibc_registry {
	uint32_t magic;
	unsigned int generation; /* of the process, see fork.c */
	unsigned int plain; /* the same, or 0: get, hold and put are tracked */
	struct ibc__tracker *tracker; /* with IBC_REGISTRY_TRACK_REFS */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* some state changed */
	pthread_cond_t work;	/* a dispatcher is wanted */

	TAILQ_ENTRY(ibc_registry) entry; /* ibc__registries_lock */
	unsigned int count;		 /* ibc__registries_lock */
	bool released; /* in a child: its descriptors are closed */

	struct ibc_registry_attr attr;
	char *patterns; /* copy of attr.devices */

	struct ibc__clients clients;	  /* in the order of registration */
	struct ibc__clients idle_clients; /* type-stable: kept for reuse */
	uint64_t client_seq;
	unsigned int num_ids;
	struct ibc__devices devices; /* in the order in which they came */
	atomic_uint registering;     /* threads in ibc_register_client() */
	bool wanted; /* a client or an adopted context has come */

	struct ibc__jobs ready;
	unsigned int running; /* jobs */
	unsigned int ran;     /* jobs run so far */
	struct ibc__timers timers;
	uint64_t timer_set; /* what the timerfd is set to, 0: not */
	bool timer_late;    /* it could not be set */

	_Atomic int epoll_fd, wake_fd, timer_fd;
	_Atomic bool deaf;	/* see deaf.c */
	bool pollable;		/* all three are there */
	_Atomic bool woken;	/* wake_fd is readable */
	bool polling;		/* the leader is in epoll_wait() */
	bool leader;		/* somebody is to poll, or polls */
	unsigned int followers; /* dispatchers that wait for ->work */
	bool stopping;
	pthread_t *threads;
	unsigned int num_threads;

	struct ibc__source sources[IBC_NUM_SOURCES];
	unsigned int scan_period; /* ms, of the timer */
	enum ibc__where where;	  /* the devices are, when last asked */
	bool had_kernels;	  /* devices, the list applied last */
	enum ibc__by hint_by;	  /* the first hint since a list was begun */
	enum ibc__by begun_by;	  /* that of the list that was begun last */
	enum ibc__by scan_by;	  /* that of the list that is being applied */
	struct ibc__removal removals[IBC_NUM_REMOVALS]; /* a ring */
	unsigned int num_removals;			/* so far */
	struct ibc__job scan_job;
	struct ibc__timer scan_timer;
	uint64_t scan_begun, scan_applied;
	uint64_t heard;	 /* newest list begun when a hint came last */
	bool scan_names; /* the next one reads today's names */
	int scan_error;	 /* as last logged */
	unsigned int scan_failures;
	struct ibc__list *list;

	struct ibc__job reap_job;
	struct ibc__shard_pool shards;
	_Atomic(struct ibc__ref *) deferred; /* lock-free: put may push */
	atomic_uint pushers;		     /* puts between push and wake */

	struct ibc__status *status; /* with IBC_STATUS_DIR, see status.c */

	struct ibc__log *logs; /* messages waiting for the unlock */
	struct ibc__log **logs_end;
	struct ibc_stats stats;
};

#define IBC_REGISTRY_MAGIC 0x1bc4e915

int ibc__registry_check(struct ibc_registry *reg);
void ibc__registry_free(struct ibc_registry *reg);
static inline bool ibc__manual(struct ibc_registry *reg)
{
	return reg->attr.flags & IBC_REGISTRY_MANUAL;
}

void ibc__lock(struct ibc_registry *reg);
void ibc__unlock(struct ibc_registry *reg); /* and writes the log */
void ibc__wake(struct ibc_registry *reg);
int ibc__write_wake(struct ibc_registry *reg);
void ibc__wake_leader(struct ibc_registry *reg);
void ibc__changed(struct ibc_registry *reg);
void ibc__cond_wait(struct ibc_registry *reg, pthread_cond_t *cond,
		    uint64_t deadline);
int ibc__wait(struct ibc_registry *reg, bool (*done)(void *arg), void *arg,
	      uint64_t deadline);
int ibc__loop_open(struct ibc_registry *reg);
int ibc__loop_start(struct ibc_registry *reg);
void ibc__loop_stop(struct ibc_registry *reg);
void ibc__loop_close(struct ibc_registry *reg);

/* what the epoll instance tells: a source, or a device's incarnation */
enum {
	IBC_EPOLL_WAKE = IBC_NUM_SOURCES,
	IBC_EPOLL_TIMER,
	IBC_EPOLL_STATUS,
	IBC_EPOLL_READERS,
	IBC_EPOLL_DEVICE, /* plus the incarnation */
};

int ibc__epoll_set(struct ibc_registry *reg, int op, int fd, uint32_t events,
		   uint64_t id);

/* ---- linger.c: waiting awake ---- */

void ibc__linger(struct ibc_registry *reg);
void ibc__lock_awake(struct ibc_registry *reg);
void ibc__linger_for_adds(struct ibc__client *c, unsigned int num);

/* ---- deaf.c: descriptors that the program closed under us ---- */

void ibc__deafen(struct ibc_registry *reg, const char *what, int error);
int ibc__descriptors_check(struct ibc_registry *reg);
void ibc__deaf_check(struct ibc_registry *reg);
int ibc__context_close(struct ibc_registry *reg, struct ibv_context *context);
int ibc__registry_hears(struct ibc_registry *reg);

/* ---- status.c: the socket for those who look from outside ---- */

void ibc__status_open(struct ibc_registry *reg);
void ibc__status_ready(struct ibc_registry *reg);
void ibc__status_writable(struct ibc_registry *reg);
void ibc__status_close(struct ibc_registry *reg);
void ibc__status_release(struct ibc_registry *reg);
void ibc__status_deafen(struct ibc_registry *reg);

/* ---- fork.c ---- */

TAILQ_HEAD(ibc__registries, ibc_registry);

extern struct ibc__registries ibc__registries;
extern pthread_mutex_t ibc__registries_lock;
extern _Atomic unsigned int ibc__generation;
/* another one in each process: see data.h */
extern __attribute__((visibility("hidden"))) uintptr_t ibc__quick_key;

/* false in a child of the process that opened it */
bool ibc__ours(struct ibc_registry *reg);

int ibc__fork_init(void);
void ibc__child_release(struct ibc_registry *reg);

/* ---- frame.c: which callbacks this thread is in ---- */

struct ibc__frame {
	struct ibc__frame *up;
	struct ibc_registry *reg;
};

void ibc__enter(struct ibc__frame *frame, struct ibc_registry *reg);
void ibc__leave(struct ibc__frame *frame);
bool ibc__in_callback(struct ibc_registry *reg);

/* ---- copies.c ---- */

void ibc__copies_warn(struct ibc_registry *reg);

/* ---- log.c ---- */

void ibc__log(struct ibc_registry *reg, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* the same, and behind it who @held is; takes that over, NULL: nobody */
void ibc__log_held(struct ibc_registry *reg, int level,
		   struct ibc__held_list *held, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void ibc__log_flush(struct ibc__log *logs);
void ibc__log_lock(void);
void ibc__log_unlock(void);

/* ---- util.c ---- */

#define IBC_FOREVER UINT64_MAX

uint64_t ibc__now(void);
uint64_t ibc__now_us(void); /* microseconds */
int ibc__deadline(int timeout_ms, uint64_t *deadline);
uint64_t ibc__backoff(unsigned int failures);
void *ibc__null(int error);
void *ibc__calloc_lines(size_t size);
void ibc__free_lines(void *lines);
bool ibc__out_of_resources(int error);

#endif /* IBC_PRIVATE_H */
