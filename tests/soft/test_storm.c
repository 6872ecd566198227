// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Several contexts, threads that make and destroy objects in each, another process
 * that sends events of them as fast as it can, and the device goes meanwhile.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soft_test.h"

#define CONTEXTS 3
#define MAKERS	 2

/* with the process that sends */
struct shared {
	atomic_uint qp_num, cq, srq, wq_num;
	atomic_uint sent;
};

struct maker {
	struct part *part;
	pthread_t thread;
	unsigned int rounds, failed;
};

struct part {
	struct ibv_context *context;
	struct shared *shared;
	struct maker makers[MAKERS];
	pthread_t reader;
	unsigned int events, fatal, wrong;
};

static bool make(struct part *part, struct soft_objects *o)
{
	struct ibv_srq_init_attr srq = { .attr = { .max_wr = 1 } };
	struct ibv_qp_init_attr qp = { .qp_type = IBV_QPT_UD };
	struct ibv_wq_init_attr wq = { .max_wr = 1 };

	memset(o, 0, sizeof(*o));
	o->pd = ibv_alloc_pd(part->context);
	o->cq = ibv_create_cq(part->context, 1, NULL, NULL, 0);
	if (!o->pd || !o->cq)
		return false;
	o->srq = ibv_create_srq(o->pd, &srq);
	qp.send_cq = qp.recv_cq = o->cq;
	qp.srq = o->srq;
	o->qp = ibv_create_qp(o->pd, &qp);
	wq.pd = o->pd;
	wq.cq = o->cq;
	o->wq = ibv_create_wq(part->context, &wq);
	if (!o->srq || !o->qp || !o->wq)
		return false;
	part->shared->qp_num = o->qp->qp_num;
	part->shared->wq_num = o->wq->wq_num;
	part->shared->srq = o->srq->handle;
	part->shared->cq = o->cq->handle;
	return true;
}

static unsigned int destroy(struct soft_objects *o)
{
	unsigned int failed = 0;

	failed += o->wq && ibv_destroy_wq(o->wq);
	failed += o->qp && ibv_destroy_qp(o->qp);
	failed += o->srq && ibv_destroy_srq(o->srq);
	failed += o->cq && ibv_destroy_cq(o->cq);
	failed += o->pd && ibv_dealloc_pd(o->pd);
	return failed;
}

static void *run_maker(void *arg)
{
	struct maker *maker = arg;
	struct soft_objects o;
	bool made = true;

	while (made) {
		errno = 0;
		made = make(maker->part, &o);
		maker->failed += !made && errno != EIO;
		maker->failed += destroy(&o);
		maker->rounds++;
	}
	return NULL;
}

/* what was got is there until it is acknowledged */
static bool is_right(struct part *part, const struct ibv_async_event *event)
{
	switch (event->event_type) {
	case IBV_EVENT_QP_FATAL:
		return event->element.qp->context == part->context;
	case IBV_EVENT_CQ_ERR:
		return event->element.cq->context == part->context;
	case IBV_EVENT_SRQ_ERR:
		return event->element.srq->context == part->context;
	case IBV_EVENT_WQ_FATAL:
		return event->element.wq->context == part->context;
	case IBV_EVENT_GID_CHANGE:
		return event->element.port_num == 2;
	case IBV_EVENT_DEVICE_FATAL:
		part->fatal++;
		return true;
	default:
		return false;
	}
}

static void *run_reader(void *arg)
{
	struct part *part = arg;
	struct ibv_async_event event;

	while (!ibv_get_async_event(part->context, &event)) {
		part->wrong += !is_right(part, &event);
		part->events++;
		ibv_ack_async_event(&event);
	}
	part->wrong += errno != EIO;
	return NULL;
}

static void send(struct shared *shared, struct softverbs *sv, const char *what,
		 unsigned int number)
{
	char spec[64];

	snprintf(spec, sizeof(spec), "%s %u --count 3", what, number);
	if (!softverbs_send_event(sv, "soft0", spec))
		shared->sent++;
}

/* ends when it is killed */
static void run_sender(struct shared *shared)
{
	struct softverbs *sv = softverbs_open(NULL);

	while (getppid() > 1) {
		send(shared, sv, "QP_FATAL --qp", shared->qp_num);
		send(shared, sv, "CQ_ERR --cq", shared->cq);
		send(shared, sv, "SRQ_ERR --srq", shared->srq);
		send(shared, sv, "WQ_FATAL --wq", shared->wq_num);
		send(shared, sv, "GID_CHANGE --port", 2);
	}
	_exit(1);
}

static void begin(struct part *part, struct shared *shared)
{
	unsigned int i;

	memset(part, 0, sizeof(*part));
	part->shared = shared;
	part->context = soft_open("soft0");
	assert_non_null(part->context);
	pthread_create(&part->reader, NULL, run_reader, part);
	for (i = 0; i < MAKERS; i++) {
		part->makers[i].part = part;
		pthread_create(&part->makers[i].thread, NULL, run_maker,
			       &part->makers[i]);
	}
}

static void end(struct part *part)
{
	unsigned int i;

	for (i = 0; i < MAKERS; i++) {
		pthread_join(part->makers[i].thread, NULL);
		assert_int_equal(part->makers[i].failed, 0);
		assert_true(part->makers[i].rounds > 1);
	}
	pthread_join(part->reader, NULL);
	print_message("%u events\n", part->events);
	assert_int_equal(part->wrong, 0);
	assert_int_equal(part->fatal, 1);
	assert_int_equal(ibv_close_device(part->context), 0);
}

static void storm(void **state)
{
	struct soft_test *test = *state;
	struct shared *shared =
		mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct part parts[CONTEXTS];
	int i, status;
	pid_t pid;

	/* its queue need not be the one that is full */
	assert_int_equal(ibv_close_device(test->context), 0);
	test->context = NULL;
	pid = fork();
	if (pid == 0)
		run_sender(shared);
	for (i = 0; i < CONTEXTS; i++)
		begin(&parts[i], shared);
	while (shared->sent < 2000)
		soft_sleep_ms(1);
	assert_int_equal(softverbs_remove_device(test->sv, "soft0", -1), 0);
	for (i = 0; i < CONTEXTS; i++)
		end(&parts[i]);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	munmap(shared, sizeof(*shared));
}

/* ibv_create_wq() of verbs.h goes on after the WQ is there */
static void early_event(void **state)
{
	struct soft_test *test = *state;
	struct ibv_context *context = test->context;
	struct ibv_wq_init_attr init = { .max_wr = 1 };
	struct ibv_async_event event;
	struct ibv_wq *wq;
	char spec[64];

	init.pd = ibv_alloc_pd(context);
	init.cq = ibv_create_cq(context, 1, NULL, NULL, 0);
	wq = verbs_get_ctx(context)->create_wq(context, &init);
	assert_non_null(wq);
	snprintf(spec, sizeof(spec), "WQ_FATAL --wq %u", wq->wq_num);
	assert_int_equal(softverbs_send_event(test->sv, "soft0", spec), 0);
	assert_int_equal(ibv_get_async_event(context, &event), 0);
	ibv_ack_async_event(&event);
	wq->wq_context = init.wq_context;
	wq->events_completed = 0;
	pthread_mutex_init(&wq->mutex, NULL);
	pthread_cond_init(&wq->cond, NULL);
	alarm(60); /* it would wait for ever */
	assert_int_equal(ibv_destroy_wq(wq), 0);
	alarm(0);
	/* nobody has such a one any more */
	assert_int_equal(softverbs_send_event(test->sv, "soft0", spec), ENOENT);
	assert_int_equal(ibv_destroy_cq(init.cq), 0);
	assert_int_equal(ibv_dealloc_pd(init.pd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(early_event, soft_setup,
						soft_teardown),
		cmocka_unit_test_setup_teardown(storm, soft_setup_fatal,
						soft_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
