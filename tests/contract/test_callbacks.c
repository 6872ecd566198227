// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantee 3: what may run beside what, and where. */
#include <poll.h>
#include <sched.h>

#include "private.h"
#include "harness.h"

static void do_register(struct worker *w)
{
	rec_register(w->rec);
}

/* ---- 3: one device ---- */

#define ROUNDS 40

static int give_way(struct rec *rec, struct ibc_device *dev)
{
	(void)rec;
	(void)dev;
	sched_yield();
	return 0;
}

static void come_and_go(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		rec_register(w->rec);
		rec_unregister(w->rec);
	}
}

static void make_noise(unsigned int round)
{
	char old_name[16], new_name[16];

	snprintf(old_name, sizeof(old_name), "soft%u", round);
	fake_event(old_name, IBV_EVENT_LID_CHANGE, 1 + round % 200);
	snprintf(new_name, sizeof(new_name), "soft%u", round + 1);
	fake_rename(old_name, new_name);
	h_changed();
}

/* the recorder aborts if two run at once */
static void g03_callbacks_of_one_device_never_run_at_once(void **state)
{
	struct rec a, b, c;
	struct worker w[2] = { { .rec = &b }, { .rec = &c } };
	unsigned int i;

	(void)state;
	rec_init(&a, "a", 0);
	rec_init(&b, "b", 0);
	rec_init(&c, "c", 0);
	b.on_add = c.on_add = give_way;
	fake_add("soft0", 1);
	rec_register(&a);
	worker_start(&w[0], come_and_go);
	worker_start(&w[1], come_and_go);
	for (i = 0; !worker_finished(&w[0]) || !worker_finished(&w[1]); i++) {
		make_noise(i);
		wait_for(h_count(&a, H_RENAME) > i || i > 2000);
	}
	worker_join(&w[0]);
	worker_join(&w[1]);
	check(h_count(&b, H_ADD) == ROUNDS);
	check(h_count(&b, H_REMOVE) == ROUNDS);
	rec_unregister(&a);
}

/* forced: while one is inside, everything else that is due stays outside */
static void g03_a_callback_of_a_device_waits_for_the_other(void **state)
{
	struct rec a, b, c;
	struct worker w = { .rec = &c };
	struct gate gate = {};

	(void)state;
	rec_init(&a, "a", 0);
	rec_init(&b, "b", 0);
	rec_init(&c, "c", 0);
	a.gate[H_EVENT] = &gate;
	fake_add("soft0", 1);
	rec_register(&a);
	rec_register(&b);
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(gate_entered(&gate) == 1);
	worker_start(&w, do_register);
	fake_event("soft0", IBV_EVENT_SM_CHANGE, 1);
	fake_rename("soft0", "hard0");
	fake_remove("hard0", FAKE_FATAL);
	check(ibc_rescan(h_reg) == 0);
	worker_wait_blocked(&w);
	check(h_count(NULL, H_EVENT) == 1);
	check(h_count(NULL, H_RENAME) + h_count(NULL, H_REMOVE) == 0);
	gate_open(&gate);
	worker_join(&w);
	wait_for(h_count(NULL, H_GONE) == h_count(NULL, H_ADD));
	rec_unregister(&a);
	rec_unregister(&b);
	rec_unregister(&c);
}

/* ---- 3: several devices ---- */

static void g03_different_devices_run_at_once(void **state)
{
	struct gate gate = {};
	struct rec a;
	struct worker w = { .rec = &a };

	(void)state;
	rec_init(&a, "a", 0);
	a.gate[H_ADD] = &gate;
	fake_add("soft0", 1);
	fake_add("soft1", 2);
	worker_start(&w, do_register);
	wait_for(gate_entered(&gate) == 2);
	check(gate_left(&gate) == 0);
	gate_open(&gate);
	worker_join(&w);
	rec_unregister(&a);
}

/* white-box: one thread polls, three sleep */
static bool all_sleep(void)
{
	bool all;

	ibc__lock(h_reg);
	all = h_reg->polling && h_reg->followers == 3;
	ibc__unlock(h_reg);
	return all;
}

/* what is due for four devices comes at once, and from outside of the loop */
static void g03_each_free_thread_takes_a_device(void **state)
{
	struct gate gate = {};
	struct rec a;
	unsigned int i;

	(void)state;
	h_close(h_reg);
	setenv("IBC_SOURCES", "", 1); /* nothing else wakes a thread */
	h_reg = h_open(NULL);
	unsetenv("IBC_SOURCES");
	rec_init(&a, "a", 0);
	a.gate[H_RENAME] = &gate;
	for (i = 0; i < 4; i++)
		fake_add((char[]){ 's', '0' + i, 0 }, 1 + i);
	rec_register(&a);
	for (i = 0; i < 4; i++)
		fake_rename((char[]){ 's', '0' + i, 0 },
			    (char[]){ 't', '0' + i, 0 });
	wait_for(all_sleep());
	check(ibc_rescan(h_reg) == 0);
	wait_for(gate_entered(&gate) == 4);
	check(gate_left(&gate) == 0);
	gate_open(&gate);
	rec_unregister(&a);
}

static void slow_on_soft0(struct rec *rec, struct ibc_device *dev,
			  struct ibc_client_data *data,
			  const struct ibc_event *event)
{
	(void)data;
	(void)event;
	if (strcmp(ibc_device_name(dev), "soft0") == 0)
		gate_wait(rec->arg);
}

/* a whole life of another device goes by meanwhile */
static void g03_a_slow_callback_delays_no_other_device(void **state)
{
	struct gate gate = {};
	struct ibc_device *dev;
	uint64_t other;
	struct rec a;

	(void)state;
	rec_init(&a, "a", 0);
	a.on_event = slow_on_soft0;
	a.arg = &gate;
	fake_add("soft0", 1);
	rec_register(&a);
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(gate_entered(&gate) == 1);
	fake_add("soft1", 2);
	dev = h_device("soft1");
	other = ibc_device_incarnation(dev);
	wait_for(h_count_of(&a, H_ADD, other) == 1);
	ibc_put_client_data(ibc_alloc_or_get_client_data(dev, &a.client));
	fake_event("soft1", IBV_EVENT_LID_CHANGE, 1);
	wait_for(h_count_of(&a, H_EVENT, other) == 1);
	fake_rename("soft1", "soft2");
	wait_for(h_count_of(&a, H_RENAME, other) == 1);
	fake_remove("soft2", FAKE_WAIT);
	wait_for(h_count_of(&a, H_GONE, other) == 1);
	ibc_put_device(dev);
	check(gate_left(&gate) == 0);
	gate_open(&gate);
	rec_unregister(&a);
}

/* ---- 3: a manual registry ---- */

static bool readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) == 1;
}

static void dispatch_all(void)
{
	while (ibc_dispatch(h_reg, 0) == 0)
		;
}

/* everything recorded since the last look was in this thread */
static void check_thread(void)
{
	unsigned int i;

	for (i = 0; i < h_length(); i++)
		check(pthread_equal(h_record(i).thread, pthread_self()));
	h_forget();
}

/* calls everything that does not wait */
static void call_around(struct rec *rec, struct ibc_device *dev)
{
	struct ibc_device *again = ibc_get_device_by_name(h_reg, "soft0");
	struct ibv_async_event event = { .event_type = IBV_EVENT_LID_CHANGE };
	struct ibc_stats stats;

	ibc_put_device(again);
	event.element.port_num = 1;
	check(ibc_report_event(dev, &event) == 0);
	check(ibc_report_error(dev, EIO) == 0);
	check(ibc_rescan(h_reg) == 0);
	check(ibc_query_stats(h_reg, &stats, sizeof(stats)) == 0);
	check_null(ibc_get_client_data(dev, &rec->client), ENOENT);
	check(ibc_close(h_reg) == EBUSY);
}

static void g03_manual_runs_callbacks_in_dispatch_only(void **state)
{
	struct ibc_device *dev;
	struct rec a;

	(void)state;
	rec_init(&a, "a", 0);
	rec_register(&a);
	fake_add("soft0", 1);
	check(ibc_rescan(h_reg) == 0);
	check(readable(ibc_get_fd(h_reg)));
	check(h_length() == 0);
	dispatch_all();
	check(h_length() == 1);
	check_thread();
	dev = h_device("soft0");
	fake_event("soft0", IBV_EVENT_SM_CHANGE, 1);
	fake_rename("soft0", "hard0");
	check(ibc_rescan(h_reg) == 0);
	fake_rename("hard0", "soft0");
	check(readable(ibc_get_fd(h_reg)));
	call_around(&a, dev);
	check(h_length() == 0);
	dispatch_all();
	check(h_count(&a, H_EVENT) == 2);
	check(h_count(&a, H_RENAME) >= 1);
	check_thread();
	fake_remove("soft0", FAKE_FATAL);
	check(ibc_remove_device(dev) == 0);
	check(h_length() == 0);
	dispatch_all();
	check(h_count(&a, H_REMOVE) == 1);
	check(h_count(&a, H_GONE) == 1);
	check_thread();
	check(!readable(ibc_get_fd(h_reg)));
	ibc_put_device(dev);
	rec_unregister(&a);
}

static void g03_manual_runs_callbacks_in_what_waits(void **state)
{
	struct ibc_device *dev;
	struct rec a;

	(void)state;
	rec_init(&a, "a", 0);
	fake_add("soft0", 1);
	fake_add("soft1", 2);
	rec_register(&a);
	check(h_count(&a, H_ADD) == 2);
	check_thread();
	dev = h_device("soft0");
	fake_remove("soft0", FAKE_WAIT);
	check(h_length() == 0);
	check(ibc_wait_drained(dev, -1) == 0);
	check(h_count(&a, H_REMOVE) == 1);
	check(h_count(&a, H_GONE) == 1);
	check_thread();
	ibc_put_device(dev);
	rec_unregister(&a);
	check(h_count(&a, H_REMOVE) == 1);
	check_thread();
}

/* alloc and free run in the thread that asks or puts, whatever the registry */
static void do_alloc(struct worker *w)
{
	w->data = ibc_alloc_or_get_client_data(w->dev, &w->rec->client);
	check(w->data);
}

static void do_put(struct worker *w)
{
	check(ibc_put_client_data(w->data));
}

static void g03_alloc_and_free_run_in_the_thread_that_asks(void **state)
{
	struct rec a;
	struct worker w = { .rec = &a };
	struct gate gate = {};

	(void)state;
	rec_init(&a, "a", IBC_CLIENT_FREE_UNUSED);
	a.gate[H_EVENT] = &gate;
	fake_add("soft0", 1);
	rec_register(&a);
	w.dev = h_device("soft0");
	if (h_mode != H_MANUAL) { /* beside a callback of the device, too */
		fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
		wait_for(gate_entered(&gate) == 1);
	}
	worker_start(&w, do_alloc);
	check(pthread_join(w.thread, NULL) == 0);
	check(pthread_equal(h_record(h_find(&a, H_ALLOC, 0)).thread, w.thread));
	worker_start(&w, do_put);
	check(pthread_join(w.thread, NULL) == 0);
	check(pthread_equal(h_record(h_find(&a, H_FREE, 0)).thread, w.thread));
	gate_open(&gate);
	ibc_put_device(w.dev);
	rec_unregister(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_THREADS(g03_callbacks_of_one_device_never_run_at_once),
		IN_THREADS(g03_a_callback_of_a_device_waits_for_the_other),
		IN_PARALLEL(g03_different_devices_run_at_once),
		H_TEST(g03_each_free_thread_takes_a_device, H_FOUR),
		IN_PARALLEL(g03_a_slow_callback_delays_no_other_device),
		IN_MANUAL(g03_manual_runs_callbacks_in_dispatch_only),
		IN_MANUAL(g03_manual_runs_callbacks_in_what_waits),
		IN_ALL(g03_alloc_and_free_run_in_the_thread_that_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
