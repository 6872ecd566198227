// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Completion queues in use: who is woken, other sizes, polling by parts; SRQs. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "flow.h"

static const struct flow rc = { .type = IBV_QPT_RC };
static const struct flow with_srq = { .type = IBV_QPT_RC, .has_srq = true };

static bool has_event(struct end *end)
{
	struct pollfd fd = { .fd = end->channel->fd, .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

static void take_event(struct end *end)
{
	struct ibv_cq *cq;
	void *context;

	assert_int_equal(ibv_get_cq_event(end->channel, &cq, &context), 0);
	assert_ptr_equal(cq, end->cq);
	ibv_ack_cq_events(cq, 1);
}

static void send_one(struct flow_pair *p, unsigned int flags)
{
	struct ibv_send_wr wr = { .opcode = IBV_WR_SEND,
				  .send_flags = flags | IBV_SEND_SIGNALED };
	struct ibv_send_wr *bad;

	assert_int_equal(end_recv(&p->b, 0, 0, 0), 0);
	assert_int_equal(ibv_post_send(p->a.qp, &wr, &bad), 0);
	end_expect(&p->a, 0, IBV_WC_SUCCESS);
}

static void notified(void **state)
{
	struct flow_pair p;

	(void)state;
	flow_open(&p, &rc);
	send_one(&p, 0);
	assert_false(has_event(&p.b)); /* not asked for */
	end_poll(&p.b);
	assert_int_equal(ibv_req_notify_cq(p.b.cq, 0), 0);
	send_one(&p, 0);
	send_one(&p, 0);
	take_event(&p.b);
	assert_false(has_event(&p.b)); /* once only */
	end_poll(&p.b);
	end_poll(&p.b);
	/* a completion of what it sends itself, too */
	assert_int_equal(ibv_req_notify_cq(p.a.cq, 0), 0);
	send_one(&p, 0);
	take_event(&p.a);
	flow_close(&p);
}

static void solicited(void **state)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_ERR };
	struct flow_pair p;

	(void)state;
	flow_open(&p, &rc);
	assert_int_equal(ibv_req_notify_cq(p.b.cq, 1), 0);
	send_one(&p, 0);
	assert_false(has_event(&p.b));
	send_one(&p, IBV_SEND_SOLICITED);
	take_event(&p.b);
	/* to ask for less does not take back what was asked for */
	assert_int_equal(ibv_req_notify_cq(p.b.cq, 0), 0);
	assert_int_equal(ibv_req_notify_cq(p.b.cq, 1), 0);
	send_one(&p, 0);
	take_event(&p.b);
	/* errors are always told */
	assert_int_equal(ibv_req_notify_cq(p.b.cq, 1), 0);
	assert_int_equal(end_recv(&p.b, 9, 0, 0), 0);
	assert_int_equal(ibv_modify_qp(p.b.qp, &attr, IBV_QP_STATE), 0);
	take_event(&p.b);
	flow_close(&p);
}

/* ---- no wake-up is lost ---- */

#define MESSAGES 2000

static void *send_many(void *arg)
{
	struct flow_pair *p = arg;
	int i;

	for (i = 0; i < MESSAGES; i++) {
		assert_int_equal(end_send(&p->a, i, 0, 4), 0);
		end_expect(&p->a, i, IBV_WC_SUCCESS);
	}
	return NULL;
}

static void every_wake_up(void **state)
{
	struct ibv_wc wc;
	pthread_t sender;
	struct flow_pair p;
	int got = 0, n, i;

	(void)state;
	flow_open(&p, &rc);
	for (i = 0; i < 32; i++)
		assert_int_equal(end_recv(&p.b, i, 0, 4), 0);
	assert_int_equal(ibv_req_notify_cq(p.b.cq, 0), 0);
	assert_int_equal(pthread_create(&sender, NULL, send_many, &p), 0);
	while (got < MESSAGES) {
		take_event(&p.b);
		assert_int_equal(ibv_req_notify_cq(p.b.cq, 0), 0);
		while ((n = ibv_poll_cq(p.b.cq, 1, &wc)) > 0) {
			got++;
			assert_int_equal(end_recv(&p.b, got, 0, 4), 0);
		}
		assert_int_equal(n, 0);
	}
	pthread_join(sender, NULL);
	flow_close(&p);
}

/* ---- sizes ---- */

static void resized(void **state)
{
	const struct flow flow = { .type = IBV_QPT_RC, .cqe = 8 };
	struct flow_pair p;
	int i;

	(void)state;
	flow_open(&p, &flow);
	for (i = 0; i < 6; i++) {
		assert_int_equal(end_recv(&p.b, 10 + i, 0, 4), 0);
		assert_int_equal(end_send(&p.a, i, 0, 4), 0);
	}
	assert_int_equal(ibv_resize_cq(p.b.cq, 2), EINVAL);
	assert_int_equal(ibv_resize_cq(p.b.cq, 40), 0);
	assert_int_equal(p.b.cq->cqe, 40);
	assert_int_equal(ibv_resize_cq(p.a.cq, 40), 0);
	for (; i < 30; i++) {
		assert_int_equal(end_recv(&p.b, 10 + i, 0, 4), 0);
		assert_int_equal(end_send(&p.a, i, 0, 4), 0);
	}
	for (i = 0; i < 30; i++) {
		end_expect(&p.a, i, IBV_WC_SUCCESS);
		end_expect(&p.b, 10 + i, IBV_WC_SUCCESS);
	}
	flow_close(&p);
}

/* who polls by parts may post meanwhile, to that CQ */
static void by_parts(void **state)
{
	struct ibv_cq_init_attr_ex attr = {
		.cqe = 16,
		.wc_flags = IBV_WC_STANDARD_FLAGS |
			    IBV_WC_EX_WITH_COMPLETION_TIMESTAMP,
	};
	struct ibv_poll_cq_attr poll = {};
	struct ibv_cq_ex *cq;
	struct flow_pair p;
	uint64_t first;

	(void)state;
	end_open(&p.a, "soft0", &rc);
	end_open(&p.b, "soft0", &rc);
	assert_int_equal(ibv_destroy_qp(p.a.qp), 0);
	assert_int_equal(ibv_destroy_cq(p.a.cq), 0);
	cq = ibv_create_cq_ex(p.a.context, &attr);
	assert_non_null(cq);
	p.a.cq = ibv_cq_ex_to_cq(cq);
	p.a.qp = ibv_create_qp(
		p.a.pd, &(struct ibv_qp_init_attr){ .qp_type = IBV_QPT_RC,
						    .send_cq = p.a.cq,
						    .recv_cq = p.a.cq,
						    .cap = { 4, 4, 1, 1, 0 } });
	assert_non_null(p.a.qp);
	flow_connect(&p.a, &p.b, &rc);
	assert_int_equal(ibv_start_poll(cq, &poll), ENOENT);
	assert_int_equal(end_recv(&p.a, 1, 0, 8), 0);
	assert_int_equal(end_send(&p.b, 2, 0, 8), 0);
	assert_int_equal(ibv_start_poll(cq, &poll), 0);
	assert_int_equal(cq->wr_id, 1);
	assert_int_equal(cq->status, IBV_WC_SUCCESS);
	assert_int_equal(ibv_wc_read_opcode(cq), IBV_WC_RECV);
	assert_int_equal(ibv_wc_read_byte_len(cq), 8);
	assert_int_equal(ibv_wc_read_qp_num(cq), p.a.qp->qp_num);
	assert_int_equal(ibv_wc_read_src_qp(cq), p.b.qp->qp_num);
	assert_int_equal(ibv_wc_read_wc_flags(cq), 0);
	first = ibv_wc_read_completion_ts(cq);
	assert_true(first > 0);
	assert_int_equal(ibv_next_poll(cq), ENOENT);
	assert_int_equal(end_recv(&p.b, 3, 0, 8), 0);
	assert_int_equal(end_send(&p.a, 4, 0, 8), 0);
	assert_int_equal(ibv_next_poll(cq), 0);
	assert_int_equal(cq->wr_id, 4);
	assert_int_equal(ibv_wc_read_opcode(cq), IBV_WC_SEND);
	assert_true(ibv_wc_read_completion_ts(cq) >= first);
	ibv_end_poll(cq);
	flow_close(&p);
}

/* ---- SRQ ---- */

static void srq_limit(void **state)
{
	struct ibv_srq_attr attr = { .srq_limit = 3 };
	struct flow_pair p;
	int i;

	(void)state;
	flow_open(&p, &with_srq);
	for (i = 0; i < 5; i++)
		assert_int_equal(end_recv(&p.b, i, 0, 4), 0);
	assert_int_equal(ibv_modify_srq(p.b.srq, &attr, IBV_SRQ_LIMIT), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(end_send(&p.a, i, 0, 4), 0);
		end_expect(&p.a, i, IBV_WC_SUCCESS);
		end_expect(&p.b, i, IBV_WC_SUCCESS);
	}
	assert_int_equal(end_event(&p.b), IBV_EVENT_SRQ_LIMIT_REACHED);
	/* it was for once */
	assert_int_equal(ibv_query_srq(p.b.srq, &attr), 0);
	assert_int_equal(attr.srq_limit, 0);
	flow_close(&p);
}

static void srq_size(void **state)
{
	const struct flow flow = { .type = IBV_QPT_RC,
				   .has_srq = true,
				   .depth = 4 };
	struct ibv_srq_attr attr = { .max_wr = 2 };
	struct flow_pair p;
	int i;

	(void)state;
	flow_open(&p, &flow);
	for (i = 0; i < 4; i++)
		assert_int_equal(end_recv(&p.b, i, 0, 4), 0);
	assert_int_equal(end_recv(&p.b, 4, 0, 4), ENOMEM);
	assert_int_equal(ibv_modify_srq(p.b.srq, &attr, IBV_SRQ_MAX_WR),
			 EINVAL);
	attr.max_wr = 9;
	assert_int_equal(ibv_modify_srq(p.b.srq, &attr, IBV_SRQ_MAX_WR), 0);
	for (i = 4; i < 9; i++)
		assert_int_equal(end_recv(&p.b, i, 0, 4), 0);
	assert_int_equal(end_recv(&p.b, 9, 0, 4), ENOMEM);
	for (i = 0; i < 9; i++) {
		assert_int_equal(end_send(&p.a, i, 0, 4), 0);
		end_expect(&p.a, i, IBV_WC_SUCCESS);
		end_expect(&p.b, i, IBV_WC_SUCCESS);
	}
	attr.max_wr = 1;
	assert_int_equal(ibv_modify_srq(p.b.srq, &attr, IBV_SRQ_MAX_WR), 0);
	assert_int_equal(end_recv(&p.b, 0, 0, 4), 0);
	assert_int_equal(end_recv(&p.b, 1, 0, 4), ENOMEM);
	flow_close(&p);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(notified), TEST(solicited), TEST(every_wake_up),
		TEST(resized),	TEST(by_parts),	 TEST(srq_limit),
		TEST(srq_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
