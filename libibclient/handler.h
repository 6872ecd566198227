/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Event handlers, see handler.c; private.h includes this. */
#ifndef IBC_HANDLER_H
#define IBC_HANDLER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct ibc_device;
struct ibc_event;
struct ibc__pending;

struct ibc_event_handler {
	uint32_t magic;
	uint32_t scope;
	struct ibc_device *dev;
	TAILQ_ENTRY(ibc_event_handler) entry; /* ->general, or ->fatal */
	TAILQ_ENTRY(ibc_event_handler) chain; /* a bucket: those of objects */
	TAILQ_ENTRY(ibc_event_handler) fresh; /* ->fresh: a replay is due */
	uintptr_t key;			      /* the object, or the port */
	uint64_t mask;			      /* what it hears */
	uint64_t seq;			      /* order of registration */
	void (*fn)(struct ibc_device *dev, const struct ibc_event *event,
		   void *arg);
	void *arg;
	pthread_t thread;     /* that runs it */
	unsigned int waiters; /* threads that unregister it */
	unsigned int replay;  /* the next port of the replay */
	bool any;	      /* hears even types that nobody knows */
	bool is_fresh;	      /* it is in ->fresh */
	bool running;
	bool dying;    /* not to be called again */
	bool unlinked; /* unregistered, by itself: freed when it returns */
};

TAILQ_HEAD(ibc__handler_list, ibc_event_handler);

struct ibc__handlers {
	struct ibc__handler_list general; /* of scope DEVICE and PORT */
	struct ibc__handler_list fatal;	  /* objects', that want DEVICE_FATAL */
	struct ibc__handler_list fresh;
	struct ibc__handler_list *buckets; /* of objects; made with the first */
	struct ibc_event_handler *at;	   /* the last one told of ->current */
	unsigned int stage;		   /* and the list that it was in */
	uint64_t upto; /* newest handler when the telling of ->current began */
	unsigned int num;
	_Atomic uint64_t seq; /* of the newest */
};

void ibc__handlers_init(struct ibc_device *dev);
void ibc__handlers_free(struct ibc_device *dev);
uint64_t ibc__handlers_bound(struct ibc_device *dev);
bool ibc__handlers_of_object(struct ibc_device *dev,
			     const struct ibc__pending *p);
bool ibc__handlers_since(struct ibc_device *dev, const struct ibc__pending *p);
void ibc__handlers_begin(struct ibc_device *dev);
bool ibc__handlers_tell(struct ibc_device *dev);
bool ibc__handlers_replay(struct ibc_device *dev);

#endif /* IBC_HANDLER_H */
