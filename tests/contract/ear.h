/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the tests of event handlers share: handlers that write down what they
 * hear, a device with a client, and two QPs for events to be of.
 */
#ifndef TESTS_EAR_H
#define TESTS_EAR_H

#include "harness2.h"

#define BIT(type) (1ULL << IBV_EVENT_##type)

/* a handler that writes down what it hears */
struct ear {
	struct ibc_event_handler *handler;
	struct gate *gate;
	void (*hook)(struct ear *ear, struct ibc_device *dev,
		     const struct ibc_event *event);
	void *arg;
	unsigned int heard; /* calls; the rest is of the last one */
	uint32_t count, flags, num;
	int type;
	int result;
	unsigned int at; /* place of the last call among all */
};

/* of the test that runs; between ear_begin() and ear_end() */
extern struct rec a;
extern struct ibc_device *dev;
extern struct ibv_context *context;
extern struct ibv_qp *qp, *qp2; /* what is left of them ear_end() destroys */
extern struct ear ear, ear2;

void ear_begin(void);
void ear_end(void);

unsigned int heard(struct ear *e);
void listen_to(struct ear *e, struct ibc_event_filter filter);
void listen_qp(struct ear *e, struct ibv_qp *of, uint64_t mask);
void listen_device(struct ear *e, uint64_t mask);
void deaf(struct ear *e);
/* the handler itself, for those who register by hand */
void hear(struct ibc_device *d, const struct ibc_event *event, void *arg);
/* sends it, and returns when all have heard of it */
void ear_send(enum ibv_event_type type, uintptr_t element);

#endif /* TESTS_EAR_H */
