// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What was posted comes back when its QP fails: by what the other one did, while
 * requests wait, and with nobody who posts or polls meanwhile.
 */
#include <poll.h>
#include <string.h>

#include "flow.h"

static const struct flow rc = { .type = IBV_QPT_RC };

struct pair {
	struct end a, b;
	struct address of_a, of_b;
};

static void open_pair(struct pair *p, const struct flow *flow)
{
	end_open(&p->a, "soft0", flow);
	end_open(&p->b, "soft0", flow);
	flow_connect(&p->a, &p->b, flow);
	end_address(&p->a, &p->of_a);
	end_address(&p->b, &p->of_b);
}

static void close_pair(struct pair *p)
{
	end_close(&p->a);
	end_close(&p->b);
}

static void modify(struct end *end, enum ibv_qp_state to)
{
	struct ibv_qp_attr attr = { .qp_state = to };

	assert_int_equal(ibv_modify_qp(end->qp, &attr, IBV_QP_STATE), 0);
}

/* what @b has posted, ids from 1, when @a asks for what it may not */
static void fail_other(struct pair *p)
{
	struct address wrong = p->of_b;

	wrong.rkey ^= 1;
	assert_int_equal(
		end_rdma(&p->a, 99, IBV_WR_RDMA_WRITE, 0, 1, &wrong, 0), 0);
	end_expect(&p->a, 99, IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(end_state(&p->b), IBV_QPS_ERR);
}

static void wait_event(struct end *end)
{
	struct pollfd fd = { .fd = end->channel->fd, .events = POLLIN };
	struct ibv_cq *cq;
	void *context;

	assert_int_equal(poll(&fd, 1, 60000), 1);
	assert_int_equal(ibv_get_cq_event(end->channel, &cq, &context), 0);
	ibv_ack_cq_events(cq, 1);
}

/* sends that wait for a receive, and receives */
static void waiting_sends(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p, &rc);
	assert_int_equal(end_send(&p.b, 1, 0, 1), 0);
	assert_int_equal(end_send(&p.b, 2, 0, 1), 0);
	assert_int_equal(ibv_req_notify_cq(p.b.cq, 0), 0);
	fail_other(&p);
	wait_event(&p.b);
	end_expect(&p.b, 1, IBV_WC_WR_FLUSH_ERR);
	end_expect(&p.b, 2, IBV_WC_WR_FLUSH_ERR);
	end_expect_none(&p.b);
	close_pair(&p);
}

/* held back by SQD */
static void held_sends(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p, &rc);
	modify(&p.b, IBV_QPS_SQD);
	assert_int_equal(end_send(&p.b, 1, 0, 1), 0);
	assert_int_equal(ibv_req_notify_cq(p.b.cq, 0), 0);
	fail_other(&p);
	wait_event(&p.b);
	end_expect(&p.b, 1, IBV_WC_WR_FLUSH_ERR);
	end_expect_none(&p.b);
	close_pair(&p);
}

/* SQD while one waits: it stays where it is, and goes on in RTS */
static void held_while_waiting(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p, &rc);
	assert_int_equal(end_send(&p.a, 1, 0, 1), 0);
	modify(&p.a, IBV_QPS_SQD);
	assert_int_equal(end_send(&p.a, 2, 0, 1), 0);
	assert_int_equal(end_recv(&p.b, 3, 0, 1), 0);
	assert_int_equal(end_recv(&p.b, 4, 0, 1), 0);
	modify(&p.a, IBV_QPS_RTS);
	end_expect(&p.b, 3, IBV_WC_SUCCESS);
	end_expect(&p.b, 4, IBV_WC_SUCCESS);
	end_expect(&p.a, 1, IBV_WC_SUCCESS);
	end_expect(&p.a, 2, IBV_WC_SUCCESS);
	close_pair(&p);
}

/* unsignaled ones, too; what has gone before, signaled or not, does not */
static void unsignaled(void **state)
{
	struct ibv_send_wr wr = { .opcode = IBV_WR_SEND, .wr_id = 1 }, *bad;
	struct pair p;
	unsigned int i;

	(void)state;
	open_pair(&p, &rc);
	assert_int_equal(end_recv(&p.b, 8, 0, 1), 0);
	for (i = 1; i <= 4; i++, wr.wr_id++)
		assert_int_equal(ibv_post_send(p.a.qp, &wr, &bad), 0);
	end_expect(&p.b, 8, IBV_WC_SUCCESS);
	end_expect_none(&p.a);
	modify(&p.a, IBV_QPS_ERR);
	for (i = 2; i <= 4; i++)
		end_expect(&p.a, i, IBV_WC_WR_FLUSH_ERR);
	end_expect_none(&p.a);
	close_pair(&p);
}

/* the number of tries that a time-out allows, then all behind it */
static void gone_while_waiting(void **state)
{
	const struct flow flow = { .type = IBV_QPT_RC, .retry_cnt = 3 };
	struct pair p;

	(void)state;
	open_pair(&p, &flow);
	assert_int_equal(end_send(&p.a, 1, 0, 1), 0); /* RNR, for ever */
	assert_int_equal(end_recv(&p.a, 2, 0, 1), 0);
	assert_int_equal(end_rdma(&p.a, 3, IBV_WR_RDMA_WRITE, 0, 8, &p.of_b, 0),
			 0);
	/* armed before: closing may take longer than all the tries */
	assert_int_equal(ibv_req_notify_cq(p.a.cq, 0), 0);
	end_close(&p.b);
	wait_event(&p.a);
	end_expect(&p.a, 1, IBV_WC_RETRY_EXC_ERR);
	end_expect(&p.a, 2, IBV_WC_WR_FLUSH_ERR);
	end_expect(&p.a, 3, IBV_WC_WR_FLUSH_ERR);
	end_close(&p.a);
}

/* all is as new after RESET, and works again with the same peer */
static void again(void **state)
{
	struct pair p;
	int i;

	(void)state;
	open_pair(&p, &rc);
	for (i = 0; i < 5; i++) {
		assert_int_equal(end_recv(&p.b, 1, 0, 1), 0);
		assert_int_equal(end_recv(&p.b, 2, 0, 1), 0);
		assert_int_equal(end_send(&p.a, 3, 0, 1), 0);
		end_expect(&p.a, 3, IBV_WC_SUCCESS);
		assert_int_equal(end_send(&p.b, 4, 0, 1), 0);
		fail_other(&p);
		modify(&p.a, IBV_QPS_RESET);
		modify(&p.b, IBV_QPS_RESET);
		end_expect_none(&p.a);
		end_expect_none(&p.b);
		assert_int_equal(end_event(&p.b), IBV_EVENT_QP_ACCESS_ERR);
		flow_connect(&p.a, &p.b, &rc);
	}
	close_pair(&p);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(waiting_sends),	  TEST(held_sends),
		TEST(held_while_waiting), TEST(unsignaled),
		TEST(gone_while_waiting), TEST(again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
