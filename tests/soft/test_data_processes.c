// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Between processes: what the other one does not help with, who is killed in the
 * middle of it, who is stopped. A child is forked before anything is opened; the
 * two talk over a socket, a struct at a time.
 */
#include <fcntl.h>
#include <glob.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flow.h"

static const struct flow rc = { .type = IBV_QPT_RC };

struct child {
	pid_t pid;
	int fd;
};

static void put(int fd, const void *data, size_t size)
{
	assert_int_equal(write(fd, data, size), size);
}

static void get(int fd, void *data, size_t size)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&poll_fd, 1, 60000), 1);
	assert_int_equal(read(fd, data, size), size);
}

/* a child that fails must not go on with the tests: it aborts, which is seen */
static struct child start(void (*run)(int fd))
{
	struct child child;
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	fflush(stdout);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (!child.pid) {
		close(fds[0]);
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		alarm(120);
		run(fds[1]);
		_exit(0);
	}
	close(fds[1]);
	child.fd = fds[0];
	return child;
}

static void end_child(struct child *child, int expected)
{
	int status;

	close(child->fd);
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	assert_int_equal(status, expected);
}

/* ends of two processes know each other */
static void meet(struct end *end, int fd, struct address *peer,
		 const struct flow *flow)
{
	struct address own;
	char ready = 1;

	end_address(end, &own);
	put(fd, &own, sizeof(own));
	get(fd, peer, sizeof(*peer));
	end_connect(end, peer, flow);
	put(fd, &ready, 1);
	get(fd, &ready, 1);
}

static void wait_for_end(int fd)
{
	char byte;

	while (read(fd, &byte, 1) > 0)
		;
}

/* ---- who does nothing ---- */

/* it never polls, and never calls a verb until all is over */
static void passive(int fd)
{
	struct address peer;
	struct end end;

	end_open(&end, "soft0", &rc);
	fill_memory(end.memory, 4096, 1);
	meet(&end, fd, &peer, &rc);
	wait_for_end(fd);
	if (!is_filled(end.memory + 8192, 4096, 2) ||
	    *(uint64_t *)(end.memory + 16384) != 42)
		_exit(1);
	end_close(&end);
}

static void one_sided(void **state)
{
	struct child child = start(passive);
	struct address peer;
	struct end end;

	(void)state;
	end_open(&end, "soft0", &rc);
	meet(&end, child.fd, &peer, &rc);
	assert_int_equal(end_rdma(&end, 1, IBV_WR_RDMA_READ, 0, 4096, &peer, 0),
			 0);
	end_expect(&end, 1, IBV_WC_SUCCESS);
	assert_true(is_filled(end.memory, 4096, 1));
	fill_memory(end.memory, 4096, 2);
	assert_int_equal(
		end_rdma(&end, 2, IBV_WR_RDMA_WRITE, 0, 4096, &peer, 8192), 0);
	end_expect(&end, 2, IBV_WC_SUCCESS);
	assert_int_equal(end_atomic(&end, 3, IBV_WR_ATOMIC_FETCH_AND_ADD, &peer,
				    16384, 40, 0),
			 0);
	end_expect(&end, 3, IBV_WC_SUCCESS);
	assert_int_equal(end_atomic(&end, 4, IBV_WR_ATOMIC_CMP_AND_SWP, &peer,
				    16384, 40, 42),
			 0);
	end_expect(&end, 4, IBV_WC_SUCCESS);
	end_child(&child, 0);
	end_close(&end);
}

/* ---- messages, both ways ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 400
#else
#define ROUNDS 2000
#endif

static void echo(int fd)
{
	struct address peer;
	struct end end;
	struct ibv_wc wc;
	int received = 0, sent = 0;

	end_open(&end, "soft0", &rc);
	meet(&end, fd, &peer, &rc);
	end_recv(&end, 0, 0, 4096);
	/* the next one may be there before the answer is known to be */
	while (received < ROUNDS || sent < ROUNDS) {
		wc = end_poll(&end);
		assert_int_equal(wc.status, IBV_WC_SUCCESS);
		if (wc.opcode == IBV_WC_SEND) {
			sent++;
			continue;
		}
		received++;
		memcpy(end.memory + 8192, end.memory, 4096);
		assert_int_equal(end_recv(&end, 0, 0, 4096), 0);
		assert_int_equal(end_send(&end, 1, 8192, 4096), 0);
	}
	wait_for_end(fd);
	end_close(&end);
}

static void echoes(void **state)
{
	struct child child = start(echo);
	struct address peer;
	struct end end;
	int i, n;

	(void)state;
	end_open(&end, "soft0", &rc);
	meet(&end, child.fd, &peer, &rc);
	for (i = 0; i < ROUNDS; i++) {
		fill_memory(end.memory, 4096, i);
		assert_int_equal(end_recv(&end, 0, 8192, 4096), 0);
		assert_int_equal(end_send(&end, 1, 0, 4096), 0);
		for (n = 0; n < 2; n++)
			assert_int_equal(end_poll(&end).status, IBV_WC_SUCCESS);
		assert_true(is_filled(end.memory + 8192, 4096, i));
	}
	end_child(&child, 0);
	end_close(&end);
}

/* ---- many at once add to one number ---- */

#define ADDERS 4
#define ADDS   500

static void adder(int fd)
{
	struct address peer;
	struct end end;
	int i;

	end_open(&end, "soft0", &rc);
	meet(&end, fd, &peer, &rc);
	for (i = 0; i < ADDS; i++) {
		if (end_atomic(&end, i, IBV_WR_ATOMIC_FETCH_AND_ADD, &peer, 0,
			       i % 3 + 1, 0))
			_exit(1);
		end_expect(&end, i, IBV_WC_SUCCESS);
	}
	put(fd, "", 1);
	wait_for_end(fd);
	end_close(&end);
}

static void sums(void **state)
{
	struct child children[ADDERS];
	struct address peer;
	struct end ends[ADDERS];
	uint64_t sum = 0;
	char byte;
	int i;

	(void)state;
	for (i = 0; i < ADDERS; i++)
		children[i] = start(adder);
	for (i = 0; i < ADDERS; i++) {
		end_open(&ends[i], "soft0", &rc);
		/* all of them mean the first one's memory */
		if (i) {
			assert_int_equal(ibv_dereg_mr(ends[i].mr), 0);
			free(ends[i].memory);
			ends[i].memory = ends[0].memory;
			ends[i].mr = ibv_reg_mr(ends[i].pd, ends[0].memory,
						FLOW_SIZE, FLOW_ALL);
			assert_non_null(ends[i].mr);
		}
		meet(&ends[i], children[i].fd, &peer, &rc);
	}
	for (i = 0; i < ADDERS; i++)
		get(children[i].fd, &byte, 1);
	for (i = 0; i < ADDS; i++)
		sum += i % 3 + 1;
	assert_int_equal(*(uint64_t *)ends[0].memory, ADDERS * sum);
	for (i = ADDERS - 1; i >= 0; i--) {
		end_child(&children[i], 0);
		if (i)
			ends[i].memory = NULL;
		end_close(&ends[i]);
	}
}

/* ---- where copying is forbidden ---- */

static void forbid(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_writev, 1,
			 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]),
				      filter };

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program),
			 0);
}

static void without_rights(int fd)
{
	struct address peer;
	struct ibv_wc wc;
	struct end end;

	forbid();
	end_open(&end, "soft0", &rc);
	meet(&end, fd, &peer, &rc);
	assert_int_equal(end_rdma(&end, 1, IBV_WR_RDMA_WRITE, 0, 64, &peer, 0),
			 0);
	wc = end_poll(&end);
	assert_int_equal(wc.status, IBV_WC_LOC_QP_OP_ERR);
	assert_int_equal(wc.vendor_err, EPERM);
	wait_for_end(fd);
	end_close(&end);
}

/* who may not is told by the completion, and the other one does not notice */
static void forbidden(void **state)
{
	struct child child = start(without_rights);
	struct address peer;
	struct end end;

	(void)state;
	end_open(&end, "soft0", &rc);
	meet(&end, child.fd, &peer, &rc);
	end_child(&child, 0);
	assert_int_equal(end_state(&end), IBV_QPS_RTS);
	end_close(&end);
}

/* ---- who dies ---- */

static void busy(int fd)
{
	struct address peer;
	struct end end;
	uint64_t i = 0;

	end_open(&end, "soft0", &rc);
	meet(&end, fd, &peer, &rc);
	for (;;) {
		if (end_rdma(&end, i, IBV_WR_RDMA_WRITE, 0, 65536, &peer, 0) ||
		    end_send(&end, i, 0, 64))
			_exit(1);
		end_poll(&end);
		end_poll(&end);
		i++;
	}
}

/* it is killed somewhere in its traffic; the other one goes on with the next */
static void killed(void **state)
{
	struct soft_test *test = *state;
	struct child child;
	struct address peer;
	struct end end;
	struct ibv_wc wc;
	int round, i;

	for (round = 0; round < 30; round++) {
		child = start(busy);
		end_open(&end, "soft0", &rc);
		meet(&end, child.fd, &peer, &rc);
		for (i = 0; i < 32; i++)
			assert_int_equal(end_recv(&end, i, 1 << 20, 64), 0);
		for (i = 0; i < 20 + 7 * round; i++) {
			wc = end_poll(&end);
			assert_int_equal(wc.status, IBV_WC_SUCCESS);
			assert_int_equal(end_recv(&end, wc.wr_id, 1 << 20, 64),
					 0);
		}
		kill(child.pid, SIGKILL);
		assert_int_equal(waitpid(child.pid, NULL, 0), child.pid);
		close(child.fd);
		while (ibv_poll_cq(end.cq, 1, &wc) > 0)
			assert_int_equal(wc.status, IBV_WC_SUCCESS);
		assert_int_equal(end_rdma(&end, 999, IBV_WR_RDMA_WRITE, 0, 64,
					  &peer, 0),
				 0);
		end_expect(&end, 999, IBV_WC_RETRY_EXC_ERR);
		assert_int_equal(end_state(&end), IBV_QPS_ERR);
		end_close(&end);
	}
	/* what the dead have left is swept by whoever comes by */
	assert_int_equal(softverbs_send_event(test->sv, "soft0", "SM_CHANGE"),
			 0);
	assert_int_equal(soft_count_contexts(test, "uverbs0"), 1);
}

/* a stopped one is silent, and does not stop others */
static void stopped(void **state)
{
	struct child child = start(busy);
	struct address peer;
	struct end end, other;
	int status, i;

	(void)state;
	end_open(&end, "soft0", &rc);
	end_open(&other, "soft0", &rc);
	meet(&end, child.fd, &peer, &rc);
	for (i = 0; i < 32; i++)
		assert_int_equal(end_recv(&end, i, 1 << 20, 64), 0);
	end_poll(&end);
	kill(child.pid, SIGSTOP);
	assert_int_equal(waitpid(child.pid, &status, WUNTRACED), child.pid);
	assert_true(WIFSTOPPED(status));
	end_address(&other, &peer);
	end_connect(&other, &peer, &rc);
	assert_int_equal(
		end_rdma(&other, 1, IBV_WR_RDMA_WRITE, 0, 64, &peer, 0), 0);
	end_expect(&other, 1, IBV_WC_SUCCESS);
	kill(child.pid, SIGKILL);
	end_child(&child, SIGKILL);
	end_close(&other);
	end_close(&end);
}

/* ---- a file that is being made ---- */

struct search {
	struct end end;
	atomic_bool stop;
};

/* for a number that nobody has, which leads through all contexts */
static void *search(void *arg)
{
	struct search *s = arg;
	struct ibv_ah_attr attr = { .is_global = 1, .port_num = 1 };
	struct ibv_send_wr wr = { .opcode = IBV_WR_SEND,
				  .send_flags = IBV_SEND_SIGNALED };
	struct ibv_send_wr *bad;
	struct ibv_ah *ah;

	ibv_query_gid(s->end.context, 1, 0, &attr.grh.dgid);
	ah = ibv_create_ah(s->end.pd, &attr);
	wr.wr.ud.ah = ah;
	wr.wr.ud.remote_qpn = 0xabcdef;
	while (!s->stop) {
		assert_int_equal(ibv_post_send(s->end.qp, &wr, &bad), 0);
		end_poll(&s->end);
	}
	assert_int_equal(ibv_destroy_ah(ah), 0);
	return NULL;
}

/* by another process: its own locks nobody sees */
static bool all_are_alive(struct soft_test *test)
{
	struct flock owner;
	char pattern[256];
	int status;
	size_t i;
	glob_t g;
	pid_t pid;

	snprintf(pattern, sizeof(pattern),
		 "%s/class/infiniband_verbs/uverbs0/contexts/*/data",
		 test->dir);
	assert_int_equal(glob(pattern, 0, NULL, &g), 0);
	pid = fork();
	assert_true(pid >= 0);
	for (i = 0; !pid && i < g.gl_pathc; i++) {
		owner = (struct flock){ .l_type = F_WRLCK };
		if (fcntl(open(g.gl_pathv[i], O_RDWR), F_GETLK, &owner) ||
		    owner.l_type == F_UNLCK)
			_exit(1);
	}
	if (!pid)
		_exit(0);
	globfree(&g);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return !status;
}

/* who looks into the file of his own process must not end its owner's lock */
static void found_early(void **state)
{
	const struct flow ud = { .type = IBV_QPT_UD };
	struct ibv_context *context;
	struct search s = { .stop = false };
	struct address self;
	struct ibv_cq *cq;
	pthread_t thread;
	int i;

	end_open(&s.end, "soft0", &ud);
	end_address(&s.end, &self);
	end_connect(&s.end, &self, &ud);
	assert_int_equal(pthread_create(&thread, NULL, search, &s), 0);
	for (i = 0; i < 200; i++) {
		context = soft_open("soft0");
		assert_non_null(context);
		cq = ibv_create_cq(context, 1, NULL, NULL, 0);
		assert_non_null(cq);
		assert_true(all_are_alive(*state));
		assert_int_equal(ibv_destroy_cq(cq), 0);
		assert_int_equal(ibv_close_device(context), 0);
	}
	s.stop = true;
	pthread_join(thread, NULL);
	end_close(&s.end);
}

/* ---- a fork in the middle ---- */

static void forks(void **state)
{
	struct child child = start(echo);
	struct address peer;
	struct end end;
	int i, status;
	pid_t pid;

	(void)state;
	end_open(&end, "soft0", &rc);
	meet(&end, child.fd, &peer, &rc);
	for (i = 0; i < ROUNDS; i++) {
		assert_int_equal(end_recv(&end, 0, 8192, 4096), 0);
		assert_int_equal(end_send(&end, 1, 0, 4096), 0);
		end_poll(&end);
		end_poll(&end);
		if (i % 100)
			continue;
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) /* nothing of it flows here, and nothing hangs */
			_exit(end_send(&end, 1, 0, 8) != EIO ||
			      ibv_close_device(end.context));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	end_child(&child, 0);
	end_close(&end);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_sided),   TEST(echoes), TEST(sums),	TEST(forbidden),
		TEST(found_early), TEST(killed), TEST(stopped), TEST(forks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
