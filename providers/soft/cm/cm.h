/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * rdma_cm on softverbs: libsoftverbs-rdmacm.so has a function of its own for
 * every function of librdmacm that is about ids and event channels. wrappers.c
 * exports them; rsockets stay librdmacm's, and what librdmacm itself calls goes
 * through to it. There is no kernel and no daemon: what two processes have to say
 * to each other goes over Unix sockets (message.h), and the fabric's directory
 * `cm` says who has which port (port.c).
 *
 * Ownership.
 *  - A channel belongs to the program; the one of a synchronous id to the id.
 *  - An id belongs to the program, but one that a peer asked for is ours until
 *    the program has got its CONNECT_REQUEST. It owns its two sockets: that by
 *    which it has a port, and the connection.
 *  - An event is in the queue of one channel, then the program's, until it is
 *    acknowledged.
 *  - A device is opened once and stays open, as with librdmacm; the last id to
 *    let go of one that was removed closes it.
 *  - A group that an id has joined is the id's.
 *
 * Locks. cm_lock guards all of it: ids, queues, devices, timers. It is held for
 * moments: nobody waits, calls a verb, or takes a lock on the fabric with it.
 * open_lock (device.c) is taken before it, and kept while a device is opened,
 * so that none is opened twice.
 *
 * Threads. One of our own (thread.c), made when there is something to watch:
 * it reads sockets, sees devices go, and ends timewait. It calls no verb but to
 * close a device that is gone. QPs are changed in the program's threads: in
 * rdma_accept(), and where it gets the event that says so. Every function may
 * run beside every other one, but for destroying what is in use.
 *
 * Waiting. A channel's descriptor is one end of a pair of sockets; it has one
 * byte to read while the queue has events, so that it can be polled, may be set
 * O_NONBLOCK, and a blocking reader sleeps in recv(MSG_PEEK). Destroying an
 * id, or moving it to another channel, waits for events that were got.
 *
 * Death. A connection whose other end is gone reads its end of file, whatever
 * became of the peer. A port's socket that nobody listens to refuses, and who
 * wants the port next removes it.
 *
 * Fork. The child finds the locks free and the sockets closed: ids and channels
 * of the parent can be destroyed there, and nothing else. It may make new ones.
 */
#ifndef SOFTVERBS_CM_H
#define SOFTVERBS_CM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rdma/rdma_cma.h>
#include <rdma/rdma_verbs.h>

#include "control.h"
#include "message.h"

/* inline functions stand before these */
#undef ibv_query_port
#undef ibv_reg_mr

#define CM_PORT_NAME 64

enum cm_state {
	CM_IDLE,
	CM_BOUND,
	CM_ADDR_RESOLVED,
	CM_ROUTE_RESOLVED,
	CM_LISTEN,
	CM_EMBRYO,    /* somebody connected, and has not said what he wants */
	CM_REQUESTED, /* he has */
	CM_CONNECT,   /* we have */
	CM_ACCEPTED,  /* we said yes, and wait for him to be ready */
	CM_RESPONDED, /* he said yes, and waits for us */
	CM_CONNECTED,
	CM_ENDING,  /* we want to end it */
	CM_ENDED,   /* he did, or is gone; or it was refused */
	CM_REMOVED, /* the device is gone */
	CM_STALE,   /* the parent's */
};

struct cm_device {
	struct cm_device *next;
	struct ibv_context *verbs;
	struct ibv_pd *pd; /* for ids that bring none */
	char *fabric;
	uint32_t index;
	char node[SV_NODE_MAX];
	unsigned int refs;
	bool removed;
	uint8_t max_rd_atomic;
};

/* the port of a device that an address leads to */
struct cm_place {
	struct cm_device *dev; /* a reference */
	uint8_t port;
	uint8_t link_layer;
	uint16_t lid;
	uint16_t pkey;
	enum ibv_mtu mtu;
	union ibv_gid gid;
};

struct cm_channel {
	struct rdma_event_channel ibv; /* first */
	int token; /* the end that makes the other readable */
	bool stale;
	unsigned int waiting; /* threads */
	struct cm_event *head, **tail;
	struct cm_channel *next, **at; /* of all, for a fork */
};

struct cm_event {
	struct rdma_cm_event ibv; /* first */
	struct cm_event *next;
	struct cm_id *counted; /* waits until it is acknowledged */
	struct cm_group *group;
	uint8_t data[CM_DATA_MAX];
};

struct cm_group {
	struct cm_group *next;
	struct cm_address address;
	union ibv_gid gid;
	void *context;
	bool attached;
};

struct cm_id {
	struct rdma_cm_id ibv; /* first */
	enum cm_state state;
	bool sync;
	bool told_end;		/* DISCONNECTED was queued */
	uint32_t slot;		/* in the table of thread.c */
	uint32_t got, acked;	/* events */
	struct cm_id *listener; /* whose queue has its CONNECT_REQUEST */

	struct cm_place place;
	struct cm_address src, dst;
	union ibv_gid dst_gid; /* until the peer says it himself */
	bool af_only;
	uint8_t ack_timeout;
	int backlog, pending; /* requests that the program has not got */

	int port_fd, fd; /* the port's socket, the connection */
	char port_name[CM_PORT_NAME];

	uint32_t psn;		/* ours */
	struct cm_message peer; /* what he said last of himself */
	struct rdma_conn_param param;
	struct ibv_ece ece;
	int64_t timewait; /* when it ends; 0: not in it */
	struct cm_id *next_timewait;
	struct cm_group *groups;

	/* of rdma_create_ep() */
	struct ibv_pd *ep_pd;
	struct ibv_qp_init_attr *ep_qp;
	void *ep_data;
	uint8_t ep_data_len;
};

extern pthread_mutex_t cm_lock;

static inline struct cm_id *to_id(struct rdma_cm_id *id)
{
	return (struct cm_id *)id;
}

static inline bool cm_is_ud(const struct cm_id *id)
{
	return id->ibv.ps == RDMA_PS_UDP || id->ibv.ps == RDMA_PS_IPOIB;
}

/* 0, or -1 and errno: as librdmacm answers */
static inline int cm_result(int error)
{
	if (!error)
		return 0;
	errno = error;
	return -1;
}

/* ---- real.c: the libraries around us ---- */

void *cm_real(_Atomic(void *) *cache, const char *name);
bool cm_called_by_librdmacm(const void *return_address);
void *cm_verb(_Atomic(void *) *cache, const char *name);

/* a verb as the program would call it */
#define CM_VERB(name)                                        \
	({                                                   \
		static _Atomic(void *) cached_;              \
		(__typeof__(&name))cm_verb(&cached_, #name); \
	})

/* ---- address.c ---- */

bool cm_address_from(struct cm_address *address, const struct sockaddr *from);
void cm_address_to(const struct cm_address *address,
		   struct sockaddr_storage *to);
bool cm_address_is_any(const struct cm_address *address);
bool cm_address_is_same(const struct cm_address *a, const struct cm_address *b);
/* one of this machine, or one that the user gave to a device */
bool cm_address_is_local(struct softverbs *sv,
			 const struct cm_address *address);
/* the device's name and its port (0: any) that it was given to; or false */
bool cm_address_is_given(struct softverbs *sv, const struct cm_address *address,
			 char name[SV_NAME_MAX], uint32_t *port);
bool cm_address_from_text(struct cm_address *address, const char *text);

/* ---- device.c ---- */

/* the place of an address, with a reference; an errno value */
int cm_place_find(const struct cm_address *address, struct cm_place *place);
/* only looked at: the GID that an address has; an errno value */
int cm_place_gid(const struct cm_address *address, union ibv_gid *gid);
void cm_place_put(struct cm_place *place);
/* the PD that ids of the device share */
int cm_device_pd(struct cm_device *dev, struct ibv_pd **pd);
struct ibv_context **cm_get_devices(int *num);
void cm_free_devices(struct ibv_context **list);
/* lock held: those that are not listed any more */
void cm_devices_check(void);
/* closes what is gone and has no user */
void cm_devices_sweep(void);
void cm_devices_forked(void);
struct softverbs *cm_fabric(void);

/* ---- port.c ---- */

/* a socket for the address; port 0: one that is free, which is filled in */
int cm_port_take(struct cm_id *id, struct cm_address *address);
void cm_port_free(struct cm_id *id);
/* a socket that is connected to who has the port, or an errno value */
int cm_port_connect(const struct cm_id *id, int *fd);
uint16_t cm_port_ephemeral(void);
/* the directory `cm`; made if need be; or -1 and errno */
int cm_port_dir(struct softverbs *sv, bool make);

/* ---- channel.c ---- */

struct rdma_event_channel *cm_create_event_channel(void);
void cm_destroy_event_channel(struct rdma_event_channel *channel);
int cm_get_event(struct rdma_event_channel *channel,
		 struct rdma_cm_event **event);
int cm_ack_event(struct rdma_cm_event *event);
/* lock held; NULL: no memory */
struct cm_event *cm_event_add(struct cm_id *id, enum rdma_cm_event_type type,
			      int status);
/* lock held: it is for the listener, too */
void cm_event_of_listener(struct cm_event *event, struct cm_id *listener);
/* lock held: those of an id that nobody got; ids in them go, too */
void cm_events_drop(struct cm_id *id, const struct cm_group *group);
void cm_events_move(struct cm_id *id, struct cm_channel *to);
/* waits until all that were got are acknowledged; lock held */
void cm_events_wait(struct cm_id *id);
const char *cm_event_str(enum rdma_cm_event_type type);
void cm_channels_forked(void);

/* ---- id.c ---- */

int cm_create_id(struct rdma_event_channel *channel, struct rdma_cm_id **id,
		 void *context, enum rdma_port_space ps);
int cm_destroy_id(struct rdma_cm_id *id);
int cm_migrate_id(struct rdma_cm_id *id, struct rdma_event_channel *channel);
int cm_set_option(struct rdma_cm_id *id, int level, int name, void *value,
		  size_t len);
/* NULL: no memory */
struct cm_id *cm_id_new(struct rdma_event_channel *channel, void *context,
			enum rdma_port_space ps);
/* lock held: one that the program never knew of; cm_ids_sweep() frees it */
void cm_id_bury(struct cm_id *id);
/* no lock */
void cm_ids_sweep(void);
/* lock held: the connection is over, as far as we are concerned */
void cm_id_hang_up(struct cm_id *id);

/* ---- resolve.c ---- */

int cm_bind_addr(struct rdma_cm_id *id, struct sockaddr *addr);
int cm_resolve_addr(struct rdma_cm_id *id, struct sockaddr *src,
		    struct sockaddr *dst, int timeout_ms);
int cm_resolve_route(struct rdma_cm_id *id, int timeout_ms);
int cm_listen(struct rdma_cm_id *id, int backlog);
/* an errno value */
int cm_id_settle(struct cm_id *id, const struct cm_address *address);
/* the public fields that say where an id is */
void cm_id_show_place(struct cm_id *id);
int cm_id_show_route(struct cm_id *id);

/* ---- connect.c ---- */

int cm_connect(struct rdma_cm_id *id, struct rdma_conn_param *param);
int cm_accept(struct rdma_cm_id *id, struct rdma_conn_param *param);
int cm_reject(struct rdma_cm_id *id, const void *data, uint8_t len,
	      uint32_t reason);
int cm_establish(struct rdma_cm_id *id);
int cm_notify(struct rdma_cm_id *id, enum ibv_event_type event);
int cm_disconnect(struct rdma_cm_id *id);
/* lock held: says it to the peer; an errno value */
int cm_send(struct cm_id *id, enum cm_message_type type,
	    const struct rdma_conn_param *param, uint32_t reason);
/* lock held: tells a peer whose request nobody will answer */
void cm_refuse(struct cm_id *id, bool nobody_listens);
/* lock held: the event of it with that status, and the end */
void cm_fail(struct cm_id *id, enum rdma_cm_event_type type, int status);

/* ---- process.c ---- */

/*
 * What an event asks for before the program sees it; no lock. False: there is
 * nothing to see.
 */
bool cm_process_event(struct cm_event *event);

/* ---- receive.c: in our thread, with the lock ---- */

void cm_receive(struct cm_id *id);
void cm_receive_packet(struct cm_id *id, const void *data, size_t len);
void cm_peer_gone(struct cm_id *id);
void cm_take_callers(struct cm_id *id);

/* ---- thread.c ---- */

enum cm_source { CM_SOURCE_PORT, CM_SOURCE_PEER };

int cm_thread_start(void);
bool cm_thread_step(int timeout_ms);
/* lock held */
int cm_table_add(struct cm_id *id);
void cm_table_remove(struct cm_id *id);
void cm_table_each(void (*fn)(struct cm_id *id, void *arg), void *arg);
int cm_watch(struct cm_id *id, enum cm_source source);
void cm_unwatch(int fd);
void cm_port_pause(struct cm_id *id);
void cm_watch_devices(const char *fabric);
void cm_timewait_start(struct cm_id *id);
void cm_timewait_cancel(struct cm_id *id);

/* ---- qp.c ---- */

int cm_create_qp(struct rdma_cm_id *id, struct ibv_pd *pd,
		 struct ibv_qp_init_attr *init);
int cm_create_qp_ex(struct rdma_cm_id *id, struct ibv_qp_init_attr_ex *init);
void cm_destroy_qp(struct rdma_cm_id *id);
int cm_create_srq(struct rdma_cm_id *id, struct ibv_pd *pd,
		  struct ibv_srq_init_attr *init);
int cm_create_srq_ex(struct rdma_cm_id *id, struct ibv_srq_init_attr_ex *init);
void cm_destroy_srq(struct rdma_cm_id *id);
int cm_init_qp_attr(struct rdma_cm_id *id, struct ibv_qp_attr *attr, int *mask);
int cm_set_local_ece(struct rdma_cm_id *id, struct ibv_ece *ece);
int cm_get_remote_ece(struct rdma_cm_id *id, struct ibv_ece *ece);
/* errno values */
int cm_qp_ready(struct cm_id *id); /* to RTR, then RTS */
int cm_qp_error(struct cm_id *id);
void cm_fill_ah(const struct cm_id *id, const union ibv_gid *gid, uint16_t lid,
		struct ibv_ah_attr *ah);

/* ---- ep.c: synchronous ids ---- */

/* waits for the answer, if the id is synchronous */
int cm_complete(struct cm_id *id);
int cm_create_ep(struct rdma_cm_id **id, struct rdma_addrinfo *res,
		 struct ibv_pd *pd, struct ibv_qp_init_attr *init);
void cm_destroy_ep(struct rdma_cm_id *id);
int cm_get_request(struct rdma_cm_id *listen, struct rdma_cm_id **id);

/* ---- addrinfo.c ---- */

int cm_getaddrinfo(const char *node, const char *service,
		   const struct rdma_addrinfo *hints,
		   struct rdma_addrinfo **res);
void cm_freeaddrinfo(struct rdma_addrinfo *res);

/* ---- group.c: multicast ---- */

int cm_join(struct rdma_cm_id *id, const struct sockaddr *addr, void *context);
int cm_join_multicast_ex(struct rdma_cm_id *id,
			 struct rdma_cm_join_mc_attr_ex *attr, void *context);
int cm_leave(struct rdma_cm_id *id, const struct sockaddr *addr);
void cm_process_join(struct cm_event *event);
void cm_groups_free(struct cm_id *id);

#endif /* SOFTVERBS_CM_H */
