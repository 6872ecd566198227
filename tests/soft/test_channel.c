// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Completion channels. Nothing completes yet, so the test itself puts into a
 * channel what a completion will: the id of a CQ.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../providers/soft/context.h"
#include "soft_test.h"

struct fixture {
	struct soft_test *test;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	int fifo;
};

static uint64_t id_of(struct fixture *f)
{
	int fd = soft_open_file(f->test, "objects", O_RDONLY);
	off_t at = sizeof(struct sv_objects_header);
	struct sv_object object = {};

	for (; pread(fd, &object, sizeof(object), at) == sizeof(object);
	     at += sizeof(object))
		if (object.kind == SV_CQ && object.number == f->cq->handle)
			break;
	close(fd);
	assert_int_equal(object.kind, SV_CQ);
	return object.id;
}

static void complete(struct fixture *f, uint64_t id)
{
	assert_int_equal(write(f->fifo, &id, sizeof(id)), sizeof(id));
}

static void make_cq(struct fixture *f)
{
	f->cq = ibv_create_cq(f->test->context, 1, f, f->channel, 0);
	assert_non_null(f->cq);
}

static void begin(struct fixture *f, struct soft_test *test)
{
	f->test = test;
	f->channel = ibv_create_comp_channel(test->context);
	assert_non_null(f->channel);
	f->fifo = soft_open_file(test, "comp-*", O_WRONLY | O_NONBLOCK);
	make_cq(f);
	assert_int_equal(f->channel->refcnt, 1);
	assert_int_equal(ibv_destroy_comp_channel(f->channel), EBUSY);
}

static void end(struct fixture *f)
{
	assert_int_equal(f->channel->refcnt, 0);
	assert_int_equal(ibv_destroy_comp_channel(f->channel), 0);
	close(f->fifo);
	/* or the next would find two */
	f->channel = ibv_create_comp_channel(f->test->context);
	close(soft_open_file(f->test, "comp-*", O_WRONLY | O_NONBLOCK));
	assert_int_equal(ibv_destroy_comp_channel(f->channel), 0);
}

static void get(struct fixture *f)
{
	struct ibv_cq *cq;
	void *context;

	assert_int_equal(ibv_get_cq_event(f->channel, &cq, &context), 0);
	assert_ptr_equal(cq, f->cq);
	assert_ptr_equal(context, f);
}

static void gets_nothing(struct fixture *f)
{
	struct ibv_cq *cq;
	void *context;

	errno = 0;
	assert_int_equal(ibv_get_cq_event(f->channel, &cq, &context), -1);
	assert_int_equal(errno, EAGAIN);
}

static void events(void **state)
{
	struct fixture f;
	uint64_t id;
	int i;

	begin(&f, *state);
	fcntl(f.channel->fd, F_SETFL, O_NONBLOCK);
	gets_nothing(&f);
	assert_int_equal(ibv_req_notify_cq(f.cq, 0), 0);
	id = id_of(&f);
	for (i = 0; i < 3; i++)
		complete(&f, id);
	for (i = 0; i < 3; i++)
		get(&f);
	gets_nothing(&f);
	ibv_ack_cq_events(f.cq, 3);
	/* of a CQ that is gone, though another has its handle */
	complete(&f, id);
	assert_int_equal(ibv_destroy_cq(f.cq), 0);
	make_cq(&f);
	gets_nothing(&f);
	/* it is not the end either, as long as the device is there */
	complete(&f, SV_COMP_END);
	gets_nothing(&f);
	assert_int_equal(ibv_destroy_cq(f.cq), 0);
	end(&f);
}

struct later {
	struct ibv_cq *cq;
	atomic_uint acked;
};

static void *ack_later(void *arg)
{
	struct later *later = arg;
	int i;

	for (i = 0; i < 2; i++) {
		soft_sleep_ms(30);
		later->acked++;
		ibv_ack_cq_events(later->cq, 1);
	}
	return NULL;
}

static void destroy_waits_for_ack(void **state)
{
	struct later later = {};
	struct fixture f;
	pthread_t thread;

	begin(&f, *state);
	complete(&f, id_of(&f));
	complete(&f, id_of(&f));
	get(&f);
	get(&f);
	later.cq = f.cq;
	pthread_create(&thread, NULL, ack_later, &later);
	assert_int_equal(ibv_destroy_cq(f.cq), 0);
	assert_int_equal(later.acked, 2);
	pthread_join(thread, NULL);
	end(&f);
}

static void no_signal(int signal)
{
	(void)signal;
}

static void interrupted(void **state)
{
	struct sigaction action = { .sa_handler = no_signal };
	struct fixture f;
	struct ibv_cq *cq;
	void *context;

	begin(&f, *state);
	sigaction(SIGALRM, &action, NULL);
	ualarm(20000, 20000);
	errno = 0;
	assert_int_equal(ibv_get_cq_event(f.channel, &cq, &context), -1);
	assert_int_equal(errno, EINTR);
	ualarm(0, 0);
	assert_int_equal(ibv_destroy_cq(f.cq), 0);
	end(&f);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(events),
		TEST(destroy_waits_for_ack),
		TEST(interrupted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
