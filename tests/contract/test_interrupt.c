// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantee 19: signals of the application, handled without SA_RESTART, while its
 * thread is in a call that waits. No call ends early for them, none reports EINTR,
 * and nothing is lost: it returns for what it waited for, or when its time is over.
 *
 * A sleep is interrupted at least SIGNALS times: the next signal is sent when the
 * handler has run and the thread sleeps again.
 */
#include <signal.h>

#include "harness2.h"

#define SIGNALS 20

static struct rec a;
static struct ibc_device *dev;
static struct ibc_client_data *data;
static volatile unsigned int handled;

static void on_signal(int sig)
{
	(void)sig;
	__atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
}

static void begin(void)
{
	struct sigaction act = { .sa_handler = on_signal };

	check(sigaction(SIGUSR1, &act, NULL) == 0);
	data = h2_begin(&a, &dev);
}

static void end(void)
{
	check(signal(SIGUSR1, SIG_DFL) != SIG_ERR);
	ibc_put_device(dev);
	dev = NULL;
}

static void interrupt(struct worker *w)
{
	unsigned int i, before;

	for (i = 0; i < SIGNALS; i++) {
		worker_wait_blocked(w);
		check(!worker_finished(w));
		before = __atomic_load_n(&handled, __ATOMIC_SEQ_CST);
		check(pthread_kill(w->thread, SIGUSR1) == 0);
		while (__atomic_load_n(&handled, __ATOMIC_SEQ_CST) == before)
			sched_yield();
	}
	worker_wait_blocked(w);
	check(!worker_finished(w));
}

/* ---- the calls ---- */

static void wait_drained(struct worker *w)
{
	w->error = ibc_wait_drained(dev, -1);
}

static void g19_wait_drained(void **state)
{
	struct worker w = {};

	(void)state;
	begin();
	check(ibc_remove_device(dev) == 0);
	worker_start(&w, wait_drained);
	interrupt(&w);
	ibc_put_client_data(data);
	worker_join(&w);
	assert_int_equal(w.error, 0);
	end();
	rec_unregister(&a);
}

static void unregister(struct worker *w)
{
	w->error = ibc_unregister_client(&a.client);
}

static void g19_unregister(void **state)
{
	struct worker w = {};

	(void)state;
	begin();
	worker_start(&w, unregister);
	interrupt(&w);
	ibc_put_client_data(data);
	worker_join(&w);
	assert_int_equal(w.error, 0);
	assert_int_equal(rec_live(&a), 0);
	end();
}

static void register_it(struct worker *w)
{
	w->error = ibc_register_client(h_reg, &w->rec->client);
}

/* the add() that it waits for runs in another thread */
static void g19_register(void **state)
{
	struct gate gate = {};
	struct rec b;
	struct worker w = { .rec = &b };

	(void)state;
	begin();
	rec_init(&b, "b", 0);
	b.gate[H_ADD] = &gate;
	worker_start(&w, register_it);
	wait_for(gate_entered(&gate) == 1);
	interrupt(&w);
	gate_open(&gate);
	worker_join(&w);
	assert_int_equal(w.error, 0);
	assert_int_equal(h_count(&b, H_ADD), 1);
	rec_unregister(&b);
	ibc_put_client_data(data);
	end();
	rec_unregister(&a);
}

/*
 * A manual registry in which only that thread dispatches, no wait_for() does; and
 * where nothing is due by the clock.
 */
static void begin_manual(void)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL,
					  .scan_interval_ms = 3600000 };

	h_reg = ibc_open(&attr);
	check(h_reg);
	begin();
	while (ibc_dispatch(h_reg, 0) == 0)
		;
}

static void end_manual(void)
{
	ibc_put_client_data(data);
	end();
	rec_unregister(&a);
	assert_int_equal(ibc_close(h_reg), 0);
	h_reg = NULL;
}

static void dispatch(struct worker *w)
{
	w->error = ibc_dispatch(h_reg, -1);
}

static void g19_dispatch(void **state)
{
	struct worker w = {};

	(void)state;
	begin_manual();
	worker_start(&w, dispatch);
	interrupt(&w);
	fake_event("soft0", IBV_EVENT_SM_CHANGE, 1);
	worker_join(&w);
	assert_int_equal(w.error, 0);
	assert_int_equal(h_count(&a, H_EVENT), 1);
	end_manual();
}

static void dispatch_timed(struct worker *w)
{
	uint64_t began = ibc__now();

	w->error = ibc_dispatch(h_reg, 300);
	check(ibc__now() - began >= 300);
}

/* not before its time, and not so much later that each signal began it anew */
static void g19_time_goes_on(void **state)
{
	struct worker w = {};

	(void)state;
	begin_manual();
	worker_start(&w, dispatch_timed);
	while (!worker_finished(&w)) {
		pthread_kill(w.thread, SIGUSR1);
		sched_yield();
	}
	worker_join(&w);
	assert_int_equal(w.error, ETIMEDOUT);
	end_manual();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g19_wait_drained),  IN_ALL(g19_unregister),
		IN_THREADS(g19_register),  IN_NONE(g19_dispatch),
		IN_NONE(g19_time_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
