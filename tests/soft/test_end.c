// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What readers of events see when their device is removed: as in the kernel. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../providers/soft/context.h"
#include "soft_test.h"

#define READERS 4

struct readers {
	struct ibv_context *context;
	struct ibv_comp_channel *channel;
	pthread_t threads[READERS];
	atomic_uint started, fatal, over, wrong;
};

static void *read_async(void *arg)
{
	struct readers *r = arg;
	struct ibv_async_event event;

	r->started++;
	while (!ibv_get_async_event(r->context, &event)) {
		if (event.event_type == IBV_EVENT_DEVICE_FATAL)
			r->fatal++;
		else
			r->wrong++;
		ibv_ack_async_event(&event);
	}
	if (errno == EIO)
		r->over++;
	return NULL;
}

static void *read_comp(void *arg)
{
	struct readers *r = arg;
	struct ibv_cq *cq;
	void *context;

	r->started++;
	if (!ibv_get_cq_event(r->channel, &cq, &context))
		r->wrong++;
	else if (errno == EIO)
		r->over++;
	return NULL;
}

/* some of them will sleep by now; all must wake, whether they do or not */
static void start(struct readers *r, void *(*reader)(void *arg))
{
	unsigned int i;

	for (i = 0; i < READERS; i++)
		pthread_create(&r->threads[i], NULL, reader, r);
	while (r->started < READERS)
		soft_sleep_ms(1);
	soft_sleep_ms(20);
}

static void join(struct readers *r)
{
	unsigned int i;

	for (i = 0; i < READERS; i++)
		pthread_join(r->threads[i], NULL);
	assert_int_equal(r->wrong, 0);
	assert_int_equal(r->over, READERS);
}

static void is_readable(int fd, bool expected)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&poll_fd, 1, 0), expected);
}

static void remove_device(struct soft_test *test)
{
	assert_int_equal(softverbs_remove_device(test->sv, "soft0", -1), 0);
}

static void blocked_readers(void **state)
{
	struct soft_test *test = *state;
	struct readers r = { .context = test->context };
	struct ibv_async_event event;

	start(&r, read_async);
	is_readable(test->context->async_fd, false);
	remove_device(test);
	join(&r);
	assert_int_equal(r.fatal, 1);
	/* and so it stays */
	is_readable(test->context->async_fd, true);
	assert_int_equal(ibv_get_async_event(test->context, &event), -1);
	assert_int_equal(errno, EIO);
	is_readable(test->context->async_fd, true);
}

static void nonblocking_reader(void **state)
{
	struct soft_test *test = *state;
	struct ibv_async_event event;
	int i;

	fcntl(test->context->async_fd, F_SETFL, O_NONBLOCK);
	assert_int_equal(softverbs_set_port(test->sv, "soft0", 1, false), 0);
	remove_device(test);
	/* what came before is not lost */
	assert_int_equal(ibv_get_async_event(test->context, &event), 0);
	assert_int_equal(event.event_type, IBV_EVENT_PORT_ERR);
	assert_int_equal(ibv_get_async_event(test->context, &event), 0);
	assert_int_equal(event.event_type, IBV_EVENT_DEVICE_FATAL);
	for (i = 0; i < 20000; i++) {
		assert_int_equal(ibv_get_async_event(test->context, &event),
				 -1);
		assert_int_equal(errno, EIO);
	}
}

/* verbs fail already, the event is not there yet: that is not the end */
static void between(void **state)
{
	struct soft_test *test = *state;
	struct ibv_async_event event;
	const uint32_t fatal = 1;
	int fd = soft_open_file(test, "objects", O_WRONLY);

	assert_int_equal(pwrite(fd, &fatal, sizeof(fatal),
				offsetof(struct sv_objects_header, fatal)),
			 sizeof(fatal));
	close(fd);
	assert_error(ibv_alloc_pd(test->context), EIO);
	fcntl(test->context->async_fd, F_SETFL, O_NONBLOCK);
	assert_int_equal(ibv_get_async_event(test->context, &event), -1);
	assert_int_equal(errno, EAGAIN);
	remove_device(test);
	assert_int_equal(ibv_get_async_event(test->context, &event), 0);
	assert_int_equal(event.event_type, IBV_EVENT_DEVICE_FATAL);
	assert_int_equal(ibv_get_async_event(test->context, &event), -1);
	assert_int_equal(errno, EIO);
}

/* a queue that has no room for the last event */
static void full_queue(void **state)
{
	struct soft_test *test = *state;
	struct ibv_async_event event;
	unsigned int got = 0;

	while (!softverbs_send_event(test->sv, "soft0",
				     "SM_CHANGE --count 10000"))
		;
	remove_device(test);
	do {
		assert_int_equal(ibv_get_async_event(test->context, &event), 0);
		got++;
	} while (event.event_type == IBV_EVENT_SM_CHANGE);
	assert_int_equal(event.event_type, IBV_EVENT_DEVICE_FATAL);
	assert_true(got > 4096);
	assert_int_equal(ibv_get_async_event(test->context, &event), -1);
	assert_int_equal(errno, EIO);
}

static void channels(void **state)
{
	struct soft_test *test = *state;
	struct ibv_comp_channel *other;
	struct readers r = {};
	struct ibv_cq *cq;
	void *context;

	r.channel = ibv_create_comp_channel(test->context);
	other = ibv_create_comp_channel(test->context);
	assert_non_null(other);
	fcntl(other->fd, F_SETFL, O_NONBLOCK);
	assert_int_equal(ibv_get_cq_event(other, &cq, &context), -1);
	assert_int_equal(errno, EAGAIN);
	start(&r, read_comp);
	is_readable(r.channel->fd, false);
	remove_device(test);
	join(&r);
	is_readable(r.channel->fd, true);
	is_readable(other->fd, true);
	assert_int_equal(ibv_get_cq_event(other, &cq, &context), -1);
	assert_int_equal(errno, EIO);
	is_readable(other->fd, true);
	assert_int_equal(ibv_destroy_comp_channel(other), 0);
	assert_int_equal(ibv_destroy_comp_channel(r.channel), 0);
	assert_error(ibv_create_comp_channel(test->context), EIO);
}

/* with removal "wait" nothing ends */
static void waiting(void **state)
{
	struct soft_test *test = *state;
	struct ibv_comp_channel *channel =
		ibv_create_comp_channel(test->context);

	assert_int_equal(softverbs_remove_device(test->sv, "soft0", 0),
			 ETIMEDOUT);
	is_readable(test->context->async_fd, false);
	is_readable(channel->fd, false);
	assert_int_equal(ibv_destroy_comp_channel(channel), 0);
}

static void *open_and_listen(void *arg)
{
	struct readers *r = arg;
	struct ibv_context *context = soft_open("soft0");
	struct ibv_async_event event;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	void *cq_context;
	int i;

	r->started++;
	if (!context)
		return NULL;
	/* made before, while or after the device goes: it wakes */
	for (i = 0; i < 1000; i++) {
		channel = ibv_create_comp_channel(context);
		if (!channel)
			break;
		if (r->started < READERS + 1) {
			ibv_destroy_comp_channel(channel);
			i = 0;
			continue;
		}
		if (!ibv_get_cq_event(channel, &cq, &cq_context) ||
		    errno != EIO)
			r->wrong++;
		ibv_destroy_comp_channel(channel);
	}
	/* the event comes before the end, never after */
	if (ibv_get_async_event(context, &event) ||
	    event.event_type != IBV_EVENT_DEVICE_FATAL)
		r->wrong++;
	if (!ibv_get_async_event(context, &event) || errno != EIO)
		r->wrong++;
	ibv_close_device(context);
	return NULL;
}

static void races(void **state)
{
	struct soft_test *test = *state;
	int round, i;

	for (round = 0; round < 30; round++) {
		struct readers r = {};

		for (i = 0; i < READERS; i++)
			pthread_create(&r.threads[i], NULL, open_and_listen,
				       &r);
		while (r.started < READERS)
			;
		r.started++;
		remove_device(test);
		for (i = 0; i < READERS; i++)
			pthread_join(r.threads[i], NULL);
		assert_int_equal(r.wrong, 0);
		assert_int_equal(softverbs_add_device(test->sv, "soft0", 0, 1,
						      SOFTVERBS_REMOVAL_FATAL),
				 0);
	}
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, soft_setup_fatal, soft_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(blocked_readers),
		TEST(nonblocking_reader),
		TEST(between),
		TEST(full_queue),
		TEST(channels),
		TEST(races),
		cmocka_unit_test_setup_teardown(waiting, soft_setup,
						soft_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
