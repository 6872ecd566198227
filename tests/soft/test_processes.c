// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A hundred processes that have one device open while it is removed, in both
 * styles. Each is this program, executed anew; it takes orders, a letter each,
 * from a socket and answers with the same letter when it has done well.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scale.h"
#include "soft_test.h"

#define NUM_HOLDERS 100

enum order {
	HOLD = 'h',  /* the device and a PD, CQ and QP; done unasked */
	FATAL = 'f', /* were you told, and does every verb fail? */
	WORK = 'w',  /* were you told nothing, and does every verb work? */
	CLOSE = 'c', /* all, in order */
};

/* ---- the holder ---- */

struct held {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
};

#define expect(condition)                                           \
	do {                                                        \
		if (!(condition)) {                                 \
			fprintf(stderr, "process %d: not so: %s\n", \
				(int)getpid(), #condition);         \
			_exit(1);                                   \
		}                                                   \
	} while (0)

static void hold(struct held *h)
{
	struct ibv_qp_init_attr init = { .qp_type = IBV_QPT_RC };

	h->context = soft_open("soft0");
	expect(h->context);
	h->pd = ibv_alloc_pd(h->context);
	expect(h->pd);
	h->cq = ibv_create_cq(h->context, 1, NULL, NULL, 0);
	expect(h->cq);
	init.send_cq = init.recv_cq = h->cq;
	h->qp = ibv_create_qp(h->pd, &init);
	expect(h->qp);
}

static bool has_event(struct held *h)
{
	struct pollfd pollfd = { h->context->async_fd, POLLIN, 0 };

	return poll(&pollfd, 1, 0) == 1;
}

/* the event was there before the remove command ended: no need to wait */
static void is_fatal(struct held *h)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_INIT };
	struct ibv_async_event event;
	struct ibv_device_attr device;

	expect(has_event(h));
	expect(!ibv_get_async_event(h->context, &event));
	expect(event.event_type == IBV_EVENT_DEVICE_FATAL);
	ibv_ack_async_event(&event);
	/* once; and nothing can come after it */
	expect(ibv_get_async_event(h->context, &event) && errno == EIO);
	expect(ibv_get_async_event(h->context, &event) && errno == EIO);
	expect(!ibv_alloc_pd(h->context) && errno == EIO);
	expect(!ibv_create_cq(h->context, 1, NULL, NULL, 0) && errno == EIO);
	expect(ibv_query_device(h->context, &device) == EIO);
	expect(ibv_modify_qp(h->qp, &attr, IBV_QP_STATE) == EIO);
	expect(!soft_open("soft0"));
}

static void works(struct held *h)
{
	struct ibv_device_attr device;
	struct ibv_port_attr port;
	struct ibv_pd *pd;

	expect(!has_event(h));
	pd = ibv_alloc_pd(h->context);
	expect(pd);
	expect(!ibv_dealloc_pd(pd));
	expect(!ibv_query_device(h->context, &device));
	expect(!ibv_query_port(h->context, 1, &port));
	expect(port.state == IBV_PORT_ACTIVE);
	expect(!soft_open("soft0"));
}

static void close_all(struct held *h)
{
	expect(!ibv_destroy_qp(h->qp));
	expect(!ibv_destroy_cq(h->cq));
	expect(!ibv_dealloc_pd(h->pd));
	expect(!ibv_close_device(h->context));
}

static int holder(void)
{
	char order = HOLD;
	struct held h;

	hold(&h);
	do {
		if (order == FATAL)
			is_fatal(&h);
		else if (order == WORK)
			works(&h);
		else if (order == CLOSE)
			close_all(&h);
		/* who gives orders may be gone */
		if (send(STDIN_FILENO, &order, 1, MSG_NOSIGNAL) != 1)
			return 1;
	} while (order != CLOSE && read(STDIN_FILENO, &order, 1) == 1);
	return order != CLOSE;
}

/* ---- who gives orders ---- */

struct test {
	struct scale_fabric fabric;
	pid_t pids[NUM_HOLDERS];
	int fds[NUM_HOLDERS];
};

static void answer(struct test *test, int i, char order)
{
	struct pollfd pollfd = { test->fds[i], POLLIN, 0 };
	char got = 0;

	assert_int_equal(poll(&pollfd, 1, SCALE_WAIT_MS), 1);
	assert_int_equal(read(test->fds[i], &got, 1), 1);
	assert_int_equal(got, order);
}

static void order(struct test *test, int i, char what)
{
	assert_int_equal(send(test->fds[i], &what, 1, MSG_NOSIGNAL), 1);
}

static void order_all(struct test *test, char what)
{
	int i;

	for (i = 0; i < NUM_HOLDERS; i++)
		order(test, i, what);
	for (i = 0; i < NUM_HOLDERS; i++)
		answer(test, i, what);
}

static void end(struct test *test, int i, bool killed)
{
	if (killed) {
		kill(test->pids[i], SIGKILL);
	} else {
		order(test, i, CLOSE);
		answer(test, i, CLOSE);
	}
	assert_int_equal(scale_wait(test->pids[i]), killed ? -1 : 0);
	close(test->fds[i]);
}

/* the last one is among those to be killed */
static bool is_to_be_killed(int i, bool kill_some)
{
	return kill_some && (NUM_HOLDERS - 1 - i) % 3 == 0;
}

static void end_all_but_last(struct test *test, bool kill_some)
{
	int i;

	for (i = 0; i < NUM_HOLDERS - 1; i++)
		end(test, i, is_to_be_killed(i, kill_some));
}

static void end_last(struct test *test, bool kill_some)
{
	end(test, NUM_HOLDERS - 1, kill_some);
}

static void start(struct test *test, uint32_t removal)
{
	int i;

	scale_make_fabric(&test->fabric);
	assert_int_equal(softverbs_add_device(test->fabric.sv, "soft0", 0, 2,
					      removal),
			 0);
	for (i = 0; i < NUM_HOLDERS; i++)
		test->pids[i] = scale_start_self("hold", &test->fds[i]);
	for (i = 0; i < NUM_HOLDERS; i++)
		answer(test, i, HOLD);
}

static void nothing_is_left(struct test *test)
{
	char *tree = scale_tree(&test->fabric);

	assert_string_equal(tree, test->fabric.tree);
	free(tree);
	scale_remove_fabric(&test->fabric);
}

/* relative to the fabric */
static bool exists(struct test *test, const char *path)
{
	char buf[128];
	struct stat st;

	snprintf(buf, sizeof(buf), "%s/%s", test->fabric.dir, path);
	return stat(buf, &st) == 0;
}

static bool is_listed(struct test *test)
{
	return exists(test, "class/infiniband_verbs/uverbs0");
}

/* the command's exit status, and that it said so */
static void command(int status, const char *says, const char *const words[])
{
	char text[512];
	size_t len = 0;
	ssize_t n;
	pid_t pid;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = scale_start_command(fds[1], words);
	close(fds[1]);
	while ((n = read(fds[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	text[len] = '\0';
	close(fds[0]);
	assert_int_equal(scale_wait(pid), status);
	if (!strstr(text, says))
		fail_msg("it says '%s', not '%s'", text, says);
}

static const char *const remove_words[] = { "remove", "soft0", NULL };
static const char *const remove_soon_words[] = { "remove", "soft0", "--timeout",
						 "50", NULL };
static const char *const add_words[] = { "add", "soft0", NULL };

/* ---- the tests ---- */

/* it returns while all hundred have the device open */
static void remove_fatal(bool kill_some)
{
	struct test test;

	start(&test, SOFTVERBS_REMOVAL_FATAL);
	command(0, "", remove_words);
	assert_false(is_listed(&test));
	assert_false(exists(&test, "class/infiniband/soft0"));
	order_all(&test, FATAL);
	end_all_but_last(&test, kill_some);
	end_last(&test, kill_some);
	/* whoever closes sweeps; who was killed last leaves it to the next */
	command(0, "", add_words);
	command(0, "", remove_words);
	nothing_is_left(&test);
}

static void wait_until_unlisted(struct test *test)
{
	int64_t end_ms = soft_now_ms() + SCALE_WAIT_MS;

	while (is_listed(test)) {
		assert_true(soft_now_ms() < end_ms);
		soft_sleep_ms(1);
	}
}

/*
 * Closing wakes a sleeper at once, so one that sleeps after 99 have closed and
 * nobody else is on the fabric waits for the last.
 */
static void remove_wait(bool kill_some)
{
	struct test test;
	pid_t pid;

	start(&test, SOFTVERBS_REMOVAL_WAIT);
	pid = scale_start_command(-1, remove_words);
	wait_until_unlisted(&test);
	order_all(&test, WORK);
	end_all_but_last(&test, kill_some);
	assert_true(scale_wait_asleep(pid));
	order(&test, NUM_HOLDERS - 1, WORK);
	answer(&test, NUM_HOLDERS - 1, WORK);
	assert_true(scale_wait_asleep(pid));
	assert_true(exists(&test, "class/infiniband/soft0"));
	end_last(&test, kill_some);
	assert_int_equal(scale_wait(pid), 0);
	nothing_is_left(&test);
}

static void remove_timed_out(bool kill_some)
{
	struct test test;

	start(&test, SOFTVERBS_REMOVAL_WAIT);
	command(1, "timed out", remove_soon_words);
	assert_false(is_listed(&test));
	command(1, "no such device", remove_words);
	command(1, "the name is taken", add_words);
	order_all(&test, WORK);
	end_all_but_last(&test, kill_some);
	command(1, "the name is taken", add_words);
	end_last(&test, kill_some);
	command(0, "", add_words);
	command(0, "", remove_words);
	nothing_is_left(&test);
}

#define TESTS(style)                             \
	static void style##_closed(void **state) \
	{                                        \
		(void)state;                     \
		remove_##style(false);           \
	}                                        \
                                                 \
	static void style##_killed(void **state) \
	{                                        \
		(void)state;                     \
		remove_##style(true);            \
	}

TESTS(fatal)
TESTS(wait)
TESTS(timed_out)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fatal_closed),
		cmocka_unit_test(fatal_killed),
		cmocka_unit_test(wait_closed),
		cmocka_unit_test(wait_killed),
		cmocka_unit_test(timed_out_closed),
		cmocka_unit_test(timed_out_killed),
	};

	if (argc > 1 && strcmp(argv[1], "hold") == 0)
		return holder();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
