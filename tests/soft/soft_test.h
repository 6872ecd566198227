/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* A fabric of the test's own with the device soft0, open. */
#ifndef SOFT_TEST_H
#define SOFT_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <infiniband/softverbs.h>
#include <infiniband/verbs.h>

struct soft_objects {
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_srq *srq;
	struct ibv_qp *qp;
	struct ibv_wq *wq;
};

struct soft_test {
	char dir[64];
	struct softverbs *sv;
	struct ibv_context *context;
	int num_fds;
};

int soft_setup(void **state);	    /* removal "wait" */
int soft_setup_fatal(void **state); /* removal "fatal" */
/* closes; fails if the test left a descriptor or the fabric is not as it was */
int soft_teardown(void **state);
struct ibv_context *soft_open(const char *name);
int soft_count_fds(void);
int64_t soft_now_ms(void);
void soft_sleep_ms(unsigned int ms);
/* one of each kind, the QP on the SRQ */
void soft_make_objects(struct ibv_context *context, struct soft_objects *o);
void soft_destroy_objects(struct soft_objects *o);
/* the device's directories contexts/ID */
int soft_count_contexts(struct soft_test *test, const char *node);
/* a file of the only context of uverbs0; @name: a pattern */
int soft_open_file(struct soft_test *test, const char *name, int flags);

#define assert_error(expression, error)         \
	do {                                    \
		errno = 0;                      \
		assert_null(expression);        \
		assert_int_equal(errno, error); \
	} while (0)

#endif /* SOFT_TEST_H */
