// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See port_test.h. */
#include <stdio.h>
#include <string.h>

#include "port_test.h"

struct softverbs *port_sv;
struct ibc_registry *port_reg;
static char dir[64];
static int num_fds;

void port_add_device(const char *name)
{
	assert_int_equal(softverbs_add_device(port_sv, name, 0, 2,
					      SOFTVERBS_REMOVAL_WAIT),
			 0);
}

void port_remove_device(const char *name)
{
	assert_int_equal(softverbs_remove_device(port_sv, name, LIMIT_MS), 0);
}

struct ibc_device *port_device(const char *name)
{
	struct ibc_device *dev;

	wait_until((dev = ibc_get_device_by_name(port_reg, name)));
	return dev;
}

void port_send(const char *name, const char *type, const char *element,
	       uint32_t number)
{
	char spec[64];

	snprintf(spec, sizeof(spec), "%s --%s %u", type, element, number);
	assert_int_equal(softverbs_send_event(port_sv, name, spec), 0);
}

int port_setup(void **state)
{
	(void)state;
	unsetenv("LD_PRELOAD"); /* not for rm and a sanitizer's helpers */
	strcpy(dir, "/tmp/soft-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	setenv("SOFTVERBS_DIR", dir, 1);
	num_fds = soft_count_fds();
	port_sv = softverbs_open(NULL);
	assert_non_null(port_sv);
	port_add_device("soft0");
	port_add_device("soft1");
	port_reg = ibc_open(&(struct ibc_registry_attr){ .num_threads = 2 });
	assert_non_null(port_reg);
	return 0;
}

int port_teardown(void **state)
{
	char command[128];

	(void)state;
	assert_int_equal(ibc_close(port_reg), 0);
	port_remove_device("soft0");
	port_remove_device("soft1");
	softverbs_close(port_sv);
	assert_int_equal(soft_count_fds(), num_fds);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
	return 0;
}

struct ibv_qp *port_make_qp(struct ibv_pd *pd, struct ibv_srq *srq)
{
	struct ibv_cq *cq = ibv_create_cq(pd->context, 4, NULL, NULL, 0);
	struct ibv_qp_init_attr init = { .qp_type = IBV_QPT_RC,
					 .cap = { 1, 1, 1, 1, 0 },
					 .send_cq = cq,
					 .recv_cq = cq,
					 .srq = srq };
	struct ibv_qp *qp;

	assert_non_null(cq);
	qp = ibv_create_qp(pd, &init);
	assert_non_null(qp);
	return qp;
}

void port_destroy_qp(struct ibv_qp *qp)
{
	struct ibv_cq *cq = qp->send_cq;

	assert_int_equal(ibv_destroy_qp(qp), 0);
	assert_int_equal(ibv_destroy_cq(cq), 0);
}
