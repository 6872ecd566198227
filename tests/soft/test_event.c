// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Asynchronous events of a softverbs device, and who waits for whom. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "soft_test.h"

static void send(struct soft_test *test, const char *type, const char *option,
		 uint32_t number, int expected)
{
	char spec[64];

	snprintf(spec, sizeof(spec), "%s --%s %u", type, option, number);
	assert_int_equal(softverbs_send_event(test->sv, "soft0", spec),
			 expected);
}

static void set_nonblock(struct ibv_context *context)
{
	fcntl(context->async_fd, F_SETFL, O_NONBLOCK);
}

static void port_events(void **state)
{
	struct soft_test *test = *state;
	struct ibv_async_event event;

	set_nonblock(test->context);
	assert_int_equal(ibv_get_async_event(test->context, &event), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(softverbs_set_port(test->sv, "soft0", 2, false), 0);
	assert_int_equal(ibv_get_async_event(test->context, &event), 0);
	assert_int_equal(event.event_type, IBV_EVENT_PORT_ERR);
	assert_int_equal(event.element.port_num, 2);
	ibv_ack_async_event(&event);
	/* a storm: none is lost, none is invented */
	assert_int_equal(softverbs_send_event(test->sv, "soft0",
					      "GID_CHANGE --count 20000"),
			 0);
	for (int i = 0; i < 20000; i++) {
		assert_int_equal(ibv_get_async_event(test->context, &event), 0);
		assert_int_equal(event.event_type, IBV_EVENT_GID_CHANGE);
		ibv_ack_async_event(&event);
	}
	assert_int_equal(ibv_get_async_event(test->context, &event), -1);
}

static void no_signal(int signal)
{
	(void)signal;
}

static void interrupted(void **state)
{
	struct soft_test *test = *state;
	struct sigaction action = { .sa_handler = no_signal };
	struct ibv_async_event event;

	sigaction(SIGALRM, &action, NULL);
	ualarm(20000, 20000); /* the first may come before it waits */
	assert_int_equal(ibv_get_async_event(test->context, &event), -1);
	assert_int_equal(errno, EINTR);
	ualarm(0, 0);
}

static void object_events(void **state)
{
	struct soft_test *test = *state;
	struct ibv_async_event event;
	struct soft_objects o;

	soft_make_objects(test->context, &o);
	send(test, "QP_FATAL", "qp", o.qp->qp_num, 0);
	send(test, "CQ_ERR", "cq", o.cq->handle, 0);
	send(test, "SRQ_LIMIT_REACHED", "srq", o.srq->handle, 0);
	send(test, "WQ_FATAL", "wq", o.wq->wq_num, 0);
	send(test, "QP_FATAL", "qp", 0xabcdef, ENOENT);
	assert_int_equal(ibv_get_async_event(test->context, &event), 0);
	assert_int_equal(event.event_type, IBV_EVENT_QP_FATAL);
	assert_ptr_equal(event.element.qp, o.qp);
	ibv_ack_async_event(&event);
	assert_int_equal(ibv_get_async_event(test->context, &event), 0);
	assert_ptr_equal(event.element.cq, o.cq);
	ibv_ack_async_event(&event);
	assert_int_equal(ibv_get_async_event(test->context, &event), 0);
	assert_ptr_equal(event.element.srq, o.srq);
	ibv_ack_async_event(&event);
	assert_int_equal(ibv_get_async_event(test->context, &event), 0);
	assert_ptr_equal(event.element.wq, o.wq);
	ibv_ack_async_event(&event);
	soft_destroy_objects(&o);
}

/* events of what is destroyed are taken back, also if the slot is used again */
static void stale_events(void **state)
{
	struct soft_test *test = *state;
	struct ibv_async_event event;
	struct soft_objects o;

	set_nonblock(test->context);
	soft_make_objects(test->context, &o);
	send(test, "QP_FATAL", "qp", o.qp->qp_num, 0);
	send(test, "CQ_ERR", "cq", o.cq->handle, 0);
	soft_destroy_objects(&o);
	soft_make_objects(test->context, &o);
	assert_int_equal(softverbs_send_event(test->sv, "soft0", "SM_CHANGE"),
			 0);
	assert_int_equal(ibv_get_async_event(test->context, &event), 0);
	assert_int_equal(event.event_type, IBV_EVENT_SM_CHANGE);
	ibv_ack_async_event(&event);
	assert_int_equal(ibv_get_async_event(test->context, &event), -1);
	assert_int_equal(errno, EAGAIN);
	soft_destroy_objects(&o);
}

static void *ack_later(void *arg)
{
	struct ibv_async_event *events = arg;
	int i;

	for (i = 0; i < 4; i++) {
		soft_sleep_ms(50);
		ibv_ack_async_event(&events[i]);
	}
	return NULL;
}

static void destroy_waits_for_ack(void **state)
{
	struct soft_test *test = *state;
	struct ibv_async_event events[4];
	struct soft_objects o;
	int64_t start;
	pthread_t thread;
	int i;

	soft_make_objects(test->context, &o);
	send(test, "WQ_FATAL", "wq", o.wq->wq_num, 0);
	send(test, "QP_FATAL", "qp", o.qp->qp_num, 0);
	send(test, "SRQ_ERR", "srq", o.srq->handle, 0);
	send(test, "CQ_ERR", "cq", o.cq->handle, 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(ibv_get_async_event(test->context, &events[i]),
				 0);
	start = soft_now_ms();
	pthread_create(&thread, NULL, ack_later, events);
	assert_int_equal(ibv_destroy_wq(o.wq), 0);
	assert_true(soft_now_ms() - start >= 49);
	assert_int_equal(ibv_destroy_qp(o.qp), 0);
	assert_true(soft_now_ms() - start >= 99);
	assert_int_equal(ibv_destroy_srq(o.srq), 0);
	assert_true(soft_now_ms() - start >= 149);
	assert_int_equal(ibv_destroy_cq(o.cq), 0);
	assert_true(soft_now_ms() - start >= 199);
	pthread_join(thread, NULL);
	assert_int_equal(ibv_dealloc_pd(o.pd), 0);
}

/* ---- everything at once ---- */

struct storm {
	struct ibv_context *context;
	atomic_bool stop;
	atomic_uint qp_num;
	unsigned int sent, got;
};

static void *read_events(void *arg)
{
	struct storm *storm = arg;
	struct ibv_async_event event;

	while (!ibv_get_async_event(storm->context, &event) &&
	       event.event_type != IBV_EVENT_DEVICE_FATAL) {
		/* what was got is there until it is acknowledged */
		if (event.event_type == IBV_EVENT_QP_FATAL) {
			assert_ptr_equal(event.element.qp->context,
					 storm->context);
			storm->got++;
		}
		ibv_ack_async_event(&event);
	}
	return NULL;
}

static void *send_events(void *arg)
{
	struct softverbs *sv = softverbs_open(NULL);
	struct storm *storm = arg;
	char spec[64];

	while (!storm->stop) {
		snprintf(spec, sizeof(spec), "QP_FATAL --qp %u", storm->qp_num);
		if (!softverbs_send_event(sv, "soft0", spec))
			storm->sent++;
	}
	softverbs_close(sv);
	return NULL;
}

static void storm(void **state)
{
	struct soft_test *test = *state;
	struct storm storm = { .context = test->context };
	struct soft_objects o;
	pthread_t reader, sender;
	int64_t end = soft_now_ms() + 1000;

	pthread_create(&reader, NULL, read_events, &storm);
	pthread_create(&sender, NULL, send_events, &storm);
	while (soft_now_ms() < end) {
		soft_make_objects(test->context, &o);
		storm.qp_num = o.qp->qp_num;
		soft_destroy_objects(&o);
	}
	storm.stop = true;
	pthread_join(sender, NULL);
	assert_int_equal(softverbs_remove_device(test->sv, "soft0", -1), 0);
	pthread_join(reader, NULL);
	print_message("%u events sent, %u got\n", storm.sent, storm.got);
	assert_true(storm.got <= storm.sent);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(port_events),
		TEST(interrupted),
		TEST(object_events),
		TEST(stale_events),
		TEST(destroy_waits_for_ack),
		cmocka_unit_test_setup_teardown(storm, soft_setup_fatal,
						soft_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
