// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Which device and QP a message finds, and finds again. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "flow_peer.h"

#define GRH  40
#define QKEY 0x1234

static const struct flow ud = { .type = IBV_QPT_UD };
static const struct flow rc = { .type = IBV_QPT_RC };

static void add_device(struct soft_test *test, const char *name)
{
	assert_int_equal(softverbs_add_device(test->sv, name, 0, 1,
					      SOFTVERBS_REMOVAL_WAIT),
			 0);
}

static void remove_device(struct soft_test *test, const char *name)
{
	assert_int_equal(softverbs_remove_device(test->sv, name, 0), 0);
}

/* ---- datagrams ---- */

static struct ibv_ah *make_ah(struct end *end, const struct address *to)
{
	struct ibv_ah_attr attr = { .is_global = 1,
				    .port_num = 1,
				    .grh.dgid = to->gid };
	struct ibv_ah *ah = ibv_create_ah(end->pd, &attr);

	assert_non_null(ah);
	return ah;
}

static void send_to(struct end *end, struct ibv_ah *ah, uint32_t qpn)
{
	struct ibv_sge sge = { (uintptr_t)end->memory, 8, end->mr->lkey };
	struct ibv_send_wr wr = {
		.wr_id = 9,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.ud = { ah, qpn, QKEY },
	};
	struct ibv_send_wr *bad;

	assert_int_equal(ibv_post_send(end->qp, &wr, &bad), 0);
	end_expect(end, 9, IBV_WC_SUCCESS);
}

/* numbers are a device's own: the same one may be there at each */
static void same_number(void **state)
{
	struct soft_test *test = *state;
	struct end from, to[2];
	struct address of[2];
	struct ibv_ah *ah[2];
	int i;

	add_device(test, "soft1");
	add_device(test, "soft2");
	end_open(&from, "soft0", &ud);
	end_open(&to[0], "soft1", &ud);
	end_open(&to[1], "soft2", &ud);
	end_connect(&from, NULL, &ud);
	for (i = 0; i < 2; i++) {
		end_connect(&to[i], NULL, &ud);
		end_address(&to[i], &of[i]);
		ah[i] = make_ah(&from, &of[i]);
	}
	assert_int_equal(of[0].qpn, of[1].qpn);
	for (i = 0; i < 6; i++) {
		assert_int_equal(end_recv(&to[i % 2], i, 0, GRH + 8), 0);
		send_to(&from, ah[i % 2], of[i % 2].qpn);
		end_expect(&to[i % 2], i, IBV_WC_SUCCESS);
		end_expect_none(&to[1 - i % 2]);
	}
	for (i = 0; i < 2; i++) {
		assert_int_equal(ibv_destroy_ah(ah[i]), 0);
		end_close(&to[i]);
	}
	end_close(&from);
	remove_device(test, "soft1");
	remove_device(test, "soft2");
}

/* ---- connections ---- */

static void write_one(struct end *from, struct end *to)
{
	struct address address;

	end_address(to, &address);
	assert_int_equal(
		end_rdma(from, 1, IBV_WR_RDMA_WRITE, 0, 8, &address, 0), 0);
	end_expect(from, 1, IBV_WC_SUCCESS);
}

/* held after its removal, it is found as before */
static void unlisted(void **state)
{
	struct soft_test *test = *state;
	struct end a, b;

	add_device(test, "soft1");
	end_open(&a, "soft0", &rc);
	end_open(&b, "soft1", &rc);
	flow_connect(&a, &b, &rc);
	assert_int_equal(softverbs_remove_device(test->sv, "soft1", 0),
			 ETIMEDOUT);
	/* the way is looked for only now */
	write_one(&b, &a);
	write_one(&a, &b);
	end_close(&a);
	end_close(&b);
}

/* ---- datagrams to a device that is removed ---- */

static const struct address group = { .gid.raw = { 0xff, 0x0e, 1 },
				      .qpn = 0xffffff };

/* one to @to, one to the group that it is in; from ways not yet looked for */
static void send_two(struct end *from, const struct address *to)
{
	struct ibv_ah *one = make_ah(from, to), *all = make_ah(from, &group);

	send_to(from, one, to->qpn);
	send_to(from, all, group.qpn);
	assert_int_equal(ibv_destroy_ah(one), 0);
	assert_int_equal(ibv_destroy_ah(all), 0);
}

static void open_member(struct end *from, struct end *to, struct address *of)
{
	end_open(from, "soft0", &ud);
	end_open(to, "soft1", &ud);
	end_connect(from, NULL, &ud);
	end_connect(to, NULL, &ud);
	end_address(to, of);
	assert_int_equal(ibv_attach_mcast(to->qp, &group.gid, 0), 0);
	fill_memory(from->memory, 8, 3);
	assert_int_equal(end_recv(to, 1, 0, GRH + 8), 0);
	assert_int_equal(end_recv(to, 2, 100, GRH + 8), 0);
}

/* it works as before, until it is closed */
static void removed_held(void **state)
{
	struct soft_test *test = *state;
	struct address of_to;
	struct end from, to;

	add_device(test, "soft1");
	open_member(&from, &to, &of_to);
	assert_int_equal(softverbs_remove_device(test->sv, "soft1", 0),
			 ETIMEDOUT);
	send_two(&from, &of_to);
	end_expect(&to, 1, IBV_WC_SUCCESS);
	end_expect(&to, 2, IBV_WC_SUCCESS);
	assert_true(is_filled(to.memory + GRH, 8, 3));
	assert_true(is_filled(to.memory + 100 + GRH, 8, 3));
	/* and one copy of each */
	assert_int_equal(end_recv(&to, 3, 0, GRH + 8), 0);
	end_expect_none(&to);
	end_close(&to);
	send_two(&from, &of_to);
	end_close(&from);
}

/* it is gone at once, for who finds it now and who had found it */
static void removed_fatal(void **state)
{
	struct soft_test *test = *state;
	struct address of_to;
	struct end from, to;
	int i;

	assert_int_equal(softverbs_add_device(test->sv, "soft1", 0, 1,
					      SOFTVERBS_REMOVAL_FATAL),
			 0);
	open_member(&from, &to, &of_to);
	send_two(&from, &of_to);
	end_expect(&to, 1, IBV_WC_SUCCESS);
	end_expect(&to, 2, IBV_WC_SUCCESS);
	assert_int_equal(end_recv(&to, 3, 200, GRH + 8), 0);
	assert_int_equal(end_recv(&to, 4, 300, GRH + 8), 0);
	assert_int_equal(softverbs_remove_device(test->sv, "soft1", 0), 0);
	send_two(&from, &of_to);
	for (i = 200; i < 400; i++)
		assert_int_equal(to.memory[i], 0);
	end_close(&to);
	end_close(&from);
}

/* ---- a process whose first thread has ended ---- */

static void *serve(void *arg)
{
	struct peer up = *(struct peer *)arg;
	struct address theirs;
	struct end end;

	end_open(&end, "soft0", &rc);
	peer_connect(&up, &end, &theirs, &rc);
	peer_hear(&up);
	assert_int_equal(end.memory[100], 7);
	end_close(&end);
	_exit(0);
}

static void lose_first_thread(struct peer *up, void *arg)
{
	static struct peer copy;
	pthread_t thread;

	(void)arg;
	copy = *up;
	assert_int_equal(pthread_create(&thread, NULL, serve, &copy), 0);
	pthread_exit(NULL);
}

static void first_thread(void **state)
{
	struct soft_test *test = *state;
	struct address theirs;
	struct peer peer;
	struct end end;

	assert_int_equal(ibv_close_device(test->context), 0);
	test->context = NULL;
	peer_start(&peer, lose_first_thread, NULL);
	end_open(&end, "soft0", &rc);
	peer_connect(&peer, &end, &theirs, &rc);
	end.memory[0] = 7;
	assert_int_equal(
		end_rdma(&end, 1, IBV_WR_RDMA_WRITE, 0, 1, &theirs, 100), 0);
	end_expect(&end, 1, IBV_WC_SUCCESS);
	peer_tell(&peer);
	peer_join(&peer);
	end_close(&end);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(same_number),   TEST(unlisted),	 TEST(removed_held),
		TEST(removed_fatal), TEST(first_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
