/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* For each test: a fabric of its own with soft0 and soft1, and a registry. */
#ifndef PORT_TEST_H
#define PORT_TEST_H

#include <infiniband/ibclient.h>

#include "soft_wait.h"

extern struct softverbs *port_sv;
extern struct ibc_registry *port_reg;

int port_setup(void **state);
/* fails if anything is open or a device is held */
int port_teardown(void **state);
void port_add_device(const char *name);
/* waits for those who have it open */
void port_remove_device(const char *name);
/* a reference */
struct ibc_device *port_device(const char *name);
/* as `softverbs event NAME TYPE ELEMENT NUMBER` does */
void port_send(const char *name, const char *type, const char *element,
	       uint32_t number);
/* an RC QP with a CQ of its own, and nothing else */
struct ibv_qp *port_make_qp(struct ibv_pd *pd, struct ibv_srq *srq);
void port_destroy_qp(struct ibv_qp *qp);

#define PORT_TEST(f) \
	cmocka_unit_test_setup_teardown(f, port_setup, port_teardown)

#endif /* PORT_TEST_H */
