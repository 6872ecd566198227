/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A fabric of the test's own with the device soft0 for rdma_cm, and the two ends
 * of a connection in one process.
 */
#ifndef CM_TEST_H
#define CM_TEST_H

#include <arpa/inet.h>
#include <string.h>

#include <rdma/rdma_cma.h>

#include "soft_test.h"

struct cm_test {
	char dir[64];
	struct softverbs *sv;
	int num_fds;
};

struct cm_end {
	struct rdma_event_channel *channel;
	struct rdma_cm_id *id;
	struct ibv_cq *cq;
};

struct cm_pair {
	struct rdma_event_channel *channel;
	struct rdma_cm_id *listener;
	struct cm_end client, server;
};

/* once, before the others: what lives as long as the process is there then */
int cm_group_setup(void **state);
int cm_setup(void **state);
int cm_setup_fatal(void **state);
/* fails if anything holds the device, or a descriptor is left */
int cm_teardown(void **state);

/* a socket address of this machine; the answer is overwritten by the next call */
struct sockaddr *cm_addr(const char *ip, uint16_t port);
uint16_t cm_port_of(struct rdma_cm_id *id);
/* the next event, which has to be that one; not acknowledged */
struct rdma_cm_event *cm_expect(struct rdma_event_channel *channel,
				enum rdma_cm_event_type type, int status);
void cm_expect_ack(struct rdma_event_channel *channel,
		   enum rdma_cm_event_type type, int status);
void cm_wait_readable(struct rdma_event_channel *channel);
void cm_expect_nothing(struct rdma_event_channel *channel);
/* on 127.0.0.1 and a free port, which is the answer */
uint16_t cm_listen_on(struct rdma_event_channel *channel,
		      enum rdma_port_space ps, struct rdma_cm_id **id);
/* an id with the route to that port resolved */
void cm_resolve_to(struct cm_end *end, enum rdma_port_space ps, uint16_t port);
void cm_make_qp(struct cm_end *end);
void cm_destroy_end(struct cm_end *end);
enum ibv_qp_state cm_qp_state(struct cm_end *end);

/* connected, with QPs, no event pending */
void cm_make_pair(struct cm_pair *pair);
void cm_destroy_pair(struct cm_pair *pair);

#define CM_TEST(name) \
	cmocka_unit_test_setup_teardown(name, cm_setup, cm_teardown)
#define CM_TEST_FATAL(name) \
	cmocka_unit_test_setup_teardown(name, cm_setup_fatal, cm_teardown)

#define assert_fails(expression, error)           \
	do {                                      \
		errno = 0;                        \
		assert_int_equal(expression, -1); \
		assert_int_equal(errno, error);   \
	} while (0)

#endif /* CM_TEST_H */
