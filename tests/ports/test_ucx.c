// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What users of UCX's async events rely on; see Documentation/porting.md. */
#include <pthread.h>
#include <stdatomic.h>

#include "port_test.h"
#include "ucx_async.h"

#define ROUNDS 50

static struct ibc_client client = { .name = "ucx" };
static struct ibc_device *dev;
static struct ibv_pd *pd;
static struct ibv_srq *srq;

static int setup(void **state)
{
	struct ibv_srq_init_attr attr = { .attr = { .max_wr = 1,
						    .max_sge = 1 } };

	if (port_setup(state) || ibc_register_client(port_reg, &client))
		return -1;
	dev = port_device("soft0");
	pd = ibv_alloc_pd(ibc_device_context(dev));
	srq = ibv_create_srq(pd, &attr);
	return !srq;
}

static int teardown(void **state)
{
	assert_int_equal(ibv_destroy_srq(srq), 0);
	assert_int_equal(ibv_dealloc_pd(pd), 0);
	ibc_put_device(dev);
	assert_int_equal(ibc_unregister_client(&client), 0);
	return port_teardown(state);
}

static atomic_int called;

static void count(void *arg)
{
	(void)arg;
	called++;
}

static void send_last_wqe(struct ibv_qp *qp)
{
	port_send("soft0", "QP_LAST_WQE_REACHED", "qp", qp->qp_num);
}

static void the_last_wqe_is_waited_for(void **state)
{
	struct ibv_qp *qp = port_make_qp(pd, srq);
	struct ibv_qp *other = port_make_qp(pd, srq);
	struct ucx_wait *wait =
		ucx_expect(dev, qp, IBV_EVENT_QP_LAST_WQE_REACHED);
	struct ucx_wait *others =
		ucx_expect(dev, other, IBV_EVENT_QP_LAST_WQE_REACHED);

	(void)state;
	called = 0;
	ucx_call_when(wait, count, NULL);
	assert_int_equal(called, 0);
	send_last_wqe(other);
	ucx_call_when(others, count, NULL);
	wait_until(called == 1);
	send_last_wqe(qp);
	wait_until(called == 2);
	assert_int_equal(ucx_forget(wait), 0);
	assert_int_equal(ucx_forget(others), 0);
	port_destroy_qp(qp);
	port_destroy_qp(other);
}

/* events of a device come in order: who heard a later one has had this */
static void heard(struct ibc_device *d, const struct ibc_event *event,
		  void *arg)
{
	(void)d;
	(void)event;
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void what_has_happened_is_not_waited_for(void **state)
{
	struct ibv_qp *qp = port_make_qp(pd, srq);
	struct ucx_wait *wait =
		ucx_expect(dev, qp, IBV_EVENT_QP_LAST_WQE_REACHED);
	atomic_int later = 0;
	struct ibc_event_handler *handler =
		ucx_on_port(dev, 1, IBV_EVENT_SM_CHANGE, heard, &later);

	(void)state;
	called = 0;
	send_last_wqe(qp);
	port_send("soft0", "SM_CHANGE", "port", 1);
	wait_until(later == 1);
	assert_int_equal(called, 0);
	ucx_call_when(wait, count, NULL);
	assert_int_equal(called, 1);
	assert_int_equal(ibc_unregister_event_handler(handler), 0);
	assert_int_equal(ucx_forget(wait), 0);
	port_destroy_qp(qp);
}

/* ---- the fence ---- */

static atomic_bool forgotten, in_callback, let_go;

static void must_not_be_late(void *arg)
{
	(void)arg;
	in_callback = true;
	while (!let_go)
		soft_sleep_ms(1);
	check(!forgotten);
	called++;
}

static void *let_it_go(void *arg)
{
	let_go = true;
	return arg;
}

/* whether it waits for the callback, or finds that there was none, none follows */
static void nothing_follows_when_it_is_forgotten(void **state)
{
	struct ucx_wait *wait;
	struct ibv_qp *qp;
	pthread_t thread;
	int i;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		qp = port_make_qp(pd, srq);
		wait = ucx_expect(dev, qp, IBV_EVENT_QP_LAST_WQE_REACHED);
		called = 0;
		forgotten = in_callback = let_go = false;
		ucx_call_when(wait, must_not_be_late, NULL);
		send_last_wqe(qp);
		if (i % 2)
			wait_until(in_callback);
		assert_int_equal(pthread_create(&thread, NULL, let_it_go, NULL),
				 0);
		assert_int_equal(ucx_forget(wait), 0);
		forgotten = true;
		pthread_join(thread, NULL);
		assert_true(!(i % 2) || called == 1);
		port_destroy_qp(qp);
	}
}

struct ending {
	struct ibv_qp *qp;
	struct ucx_wait *wait;
	atomic_bool sent, ended;
};

static void end_it(void *arg)
{
	struct ending *ending = arg;

	while (!ending->sent) /* who sends reads the QP's number */
		soft_sleep_ms(1);
	check(!ucx_forget(ending->wait));
	check(!ibv_destroy_qp(ending->qp));
	ending->ended = true;
}

/* a QP cannot be destroyed while an event of it is not acknowledged */
static void the_callback_may_destroy_the_qp(void **state)
{
	struct ending ending = { .qp = port_make_qp(pd, srq) };
	struct ibv_cq *cq = ending.qp->send_cq;

	(void)state;
	ending.wait = ucx_expect(dev, ending.qp, IBV_EVENT_QP_LAST_WQE_REACHED);
	ucx_call_when(ending.wait, end_it, &ending);
	send_last_wqe(ending.qp);
	ending.sent = true;
	wait_until(ending.ended);
	assert_int_equal(ibv_destroy_cq(cq), 0);
}

/* ---- ports ---- */

static void a_port_hears_of_its_own(void **state)
{
	atomic_int first = 0, second = 0;
	struct ibc_event_handler *handlers[] = {
		ucx_on_port(dev, 1, IBV_EVENT_PORT_ERR, heard, &first),
		ucx_on_port(dev, 2, IBV_EVENT_PORT_ERR, heard, &second),
	};

	(void)state;
	assert_int_equal(softverbs_set_port(port_sv, "soft0", 2, false), 0);
	wait_until(second == 1);
	assert_int_equal(softverbs_set_port(port_sv, "soft0", 1, false), 0);
	wait_until(first == 1);
	assert_int_equal(second, 1);
	assert_int_equal(ibc_unregister_event_handler(handlers[0]), 0);
	assert_int_equal(ibc_unregister_event_handler(handlers[1]), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_last_wqe_is_waited_for),
		TEST(what_has_happened_is_not_waited_for),
		TEST(nothing_follows_when_it_is_forgotten),
		TEST(the_callback_may_destroy_the_qp),
		TEST(a_port_hears_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
