// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A manual registry in a loop that does nothing but poll(2) its descriptor and
 * dispatch once each time that it is readable: what examples/loop_*.c do. If the
 * descriptor missed something such a loop would sleep for ever, and if it stayed
 * readable for nothing it would spin.
 */
#include <poll.h>
#include <signal.h>

#include "harness2.h"

#define GIVE_UP_MS 60000

static struct rec a, b;

static bool readable(int fd, int timeout_ms)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, timeout_ms) == 1;
}

/* one turn of the loop; false: it woke up for nothing */
static bool turn(void)
{
	int error;

	check(readable(ibc_get_fd(h_reg), GIVE_UP_MS));
	error = ibc_dispatch(h_reg, 0);
	check(error == 0 || error == ETIMEDOUT);
	return !error;
}

#define loop_until(expr)        \
	do {                    \
		while (!(expr)) \
			turn(); \
	} while (0)

/* lets it do what is due, and no wake-up is in vain; then it is quiet */
static void quiet(void)
{
	while (readable(ibc_get_fd(h_reg), 0))
		check(turn());
	check(ibc_dispatch(h_reg, 0) == ETIMEDOUT);
	check(!readable(ibc_get_fd(h_reg), 0));
}

static struct ibc_device *up(const char *name)
{
	struct ibc_device *dev = ibc_get_device_by_name(h_reg, name);

	while (!dev) {
		turn();
		dev = ibc_get_device_by_name(h_reg, name);
	}
	return dev;
}

static void report(struct ibc_device *dev, enum ibv_event_type type, int port)
{
	struct ibv_async_event event = { .event_type = type };

	event.element.port_num = port;
	check(ibc_report_event(dev, &event) == 0);
}

/* ---- readable exactly when there is work ---- */

static void g03_no_wake_up_after_what_waited(void **state)
{
	struct ibc_device *dev;

	(void)state;
	check(!readable(ibc_get_fd(h_reg), 0));
	fake_add("soft0", 1);
	fake_add("soft1", 2);
	rec_init(&a, "a", 0);
	rec_register(&a);
	quiet();
	rec_init(&b, "b", 0);
	rec_register(&b);
	quiet();
	rec_unregister(&b);
	quiet();
	dev = up("soft0");
	check(ibc_remove_device(dev) == 0);
	check(ibc_wait_drained(dev, -1) == 0);
	quiet();
	ibc_put_device(dev);
	rec_unregister(&a);
	quiet();
}

/* each makes it readable; afterwards it is quiet again */
static void g03_whatever_is_due_is_readable(void **state)
{
	struct ibc_client_data *data;
	struct ibv_context *context;
	struct ibc_device *dev, *adopted;
	int fd = ibc_get_fd(h_reg);

	(void)state;
	fake_add("soft0", 1);
	rec_init(&a, "a", IBC_CLIENT_DEFER_FREE | IBC_CLIENT_FREE_UNUSED);
	rec_register(&a);
	dev = up("soft0");
	quiet();
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	loop_until(h_count(&a, H_EVENT) == 1);
	quiet();
	report(dev, IBV_EVENT_SM_CHANGE, 1);
	check(readable(fd, 0));
	loop_until(h_count(&a, H_EVENT) == 2);
	quiet();
	check(ibc_report_error(dev, EIO) == 0);
	check(readable(fd, 0));
	quiet();
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	check(ibc_put_client_data(data));
	check(readable(fd, 0));
	loop_until(h_count(&a, H_FREE) == 1);
	quiet();
	context = fake_open("soft0");
	adopted = ibc_adopt_context(h_reg, context, IBC_ADOPT_READ_EVENTS);
	check(readable(fd, 0));
	loop_until(h_count(&a, H_ADD) == 2);
	quiet();
	check(ibc_remove_device(adopted) == 0);
	check(readable(fd, 0));
	loop_until(h_count(&a, H_GONE) == 1);
	ibc_put_device(adopted);
	fake_close(context);
	ibc_put_device(dev);
	quiet();
	rec_unregister_async(&a);
	check(readable(fd, 0));
	loop_until(rec_done(&a));
	quiet();
	check(ibc_get_fd(h_reg) == fd);
}

/* with data held, so that it drains; and no thread has anything to do with it */
static void g03_a_life_in_a_loop(void **state)
{
	unsigned int threads = h2_threads();
	struct ibc_client_data *data;
	struct ibc_device *dev;

	(void)state;
	h_log_capture();
	rec_init(&a, "a", 0);
	rec_register(&a);
	fake_add("soft0", 1);
	check(ibc_rescan(h_reg) == 0);
	dev = up("soft0");
	loop_until(h_count(&a, H_ADD) == 1);
	check(h_logged(IBC_LOG_INFO, "soft0: device added") == 1);
	quiet();
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	fake_rename("soft0", "soft9");
	check(ibc_rescan(h_reg) == 0);
	loop_until(h_count(&a, H_RENAME) == 1);
	fake_remove("soft9", FAKE_WAIT);
	check(ibc_rescan(h_reg) == 0);
	loop_until(h_count(&a, H_REMOVE) == 1);
	quiet();
	check(h2_is(dev, IBC_DEVICE_DRAINING));
	check(ibc_put_client_data(data));
	check(h2_is(dev, IBC_DEVICE_DRAINING));
	loop_until(h_count(&a, H_GONE) == 1);
	check(h2_is(dev, IBC_DEVICE_GONE));
	check(h_logged(IBC_LOG_INFO, "device gone") == 1);
	ibc_put_device(dev);
	quiet();
	check(h2_threads() == threads);
	rec_unregister(&a);
}

/* what the library does later by itself is in the descriptor, too */
static void g03_timers_are_in_the_fd(void **state)
{
	struct ibc_registry_attr attr = { .drain_warn_ms = 30 };
	struct ibc_client_data *data;
	struct ibc_device *dev;

	(void)state;
	h_close(h_reg);
	h_reg = h_open(&attr);
	h_log_capture();
	fake_add("soft0", 1);
	fake_fail(FAKE_OPEN, EACCES, 3);
	rec_init(&a, "a", 0);
	rec_register(&a);
	check(h_count(&a, H_ADD) == 0);
	loop_until(h_count(&a, H_ADD) == 1);
	dev = up("soft0");
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	check(ibc_remove_device(dev) == 0);
	loop_until(h_logged(IBC_LOG_WARNING, "held up") == 1);
	quiet();
	ibc_put_client_data(data);
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* nothing is dispatched any more: unregister and close run what is left */
static void g03_a_loop_that_has_ended_is_not_needed(void **state)
{
	struct ibc_device *dev;

	(void)state;
	fake_add("soft0", 1);
	fake_add("soft1", 2);
	rec_init(&a, "a", IBC_CLIENT_DEFER_FREE | IBC_CLIENT_FREE_UNUSED);
	rec_register(&a);
	dev = up("soft0");
	report(dev, IBV_EVENT_SM_CHANGE, 1);
	check(ibc_put_client_data(
		ibc_alloc_or_get_client_data(dev, &a.client)));
	check(ibc_remove_device(dev) == 0);
	ibc_put_device(dev);
	fake_event("soft1", IBV_EVENT_LID_CHANGE, 1);
	rec_unregister(&a);
	check(h_count(&a, H_REMOVE) == 2);
	check(h_count(&a, H_FREE) == 1);
	h_close(h_reg);
	h_reg = NULL;
}

/* ---- several threads ---- */

static void hold_soft0(struct rec *rec, struct ibc_device *dev,
		       struct ibc_client_data *data,
		       const struct ibc_event *event)
{
	(void)data;
	(void)event;
	if (strcmp(ibc_device_name(dev), "soft0") == 0)
		gate_wait(rec->arg);
}

static void dispatch_once(struct worker *w)
{
	w->error = ibc_dispatch(h_reg, 0);
}

/* both were due when one loop took the first, and is held up by it */
static void g03_a_loop_held_up_leaves_the_rest_to_another(void **state)
{
	struct ibc_device *dev0, *dev1;
	struct gate gate = {};
	struct worker w = {};

	(void)state;
	fake_add("soft0", 1);
	fake_add("soft1", 2);
	rec_init(&a, "a", 0);
	a.on_event = hold_soft0;
	a.arg = &gate;
	rec_register(&a);
	dev0 = up("soft0");
	dev1 = up("soft1");
	quiet();
	report(dev0, IBV_EVENT_SM_CHANGE, 1);
	report(dev1, IBV_EVENT_SM_CHANGE, 1);
	worker_start(&w, dispatch_once);
	while (!gate_entered(&gate))
		sched_yield();
	loop_until(h_count_of(&a, H_EVENT, ibc_device_incarnation(dev1)) == 1);
	check(gate_left(&gate) == 0);
	gate_open(&gate);
	check(pthread_join(w.thread, NULL) == 0);
	check(w.error == 0);
	quiet();
	ibc_put_device(dev0);
	ibc_put_device(dev1);
	rec_unregister(&a);
}

/* white-box: it is in epoll_wait(), or about to be */
static bool polls(void)
{
	bool polling;

	ibc__lock(h_reg);
	polling = h_reg->polling;
	ibc__unlock(h_reg);
	return polling;
}

static void dispatch_for_ever(struct worker *w)
{
	w->error = ibc_dispatch(h_reg, -1);
}

/* one waits for ever; the others' limits hold all the same */
static void g03_each_thread_has_its_own_limit(void **state)
{
	struct worker w = {};
	struct ibc_device *dev;

	(void)state;
	fake_add("soft0", 1);
	rec_init(&a, "a", 0);
	rec_register(&a);
	dev = up("soft0");
	quiet();
	worker_start(&w, dispatch_for_ever);
	while (!polls())
		sched_yield();
	check(ibc_dispatch(h_reg, 0) == ETIMEDOUT);
	check(ibc_dispatch(h_reg, 20) == ETIMEDOUT);
	check(!worker_finished(&w));
	report(dev, IBV_EVENT_SM_CHANGE, 1);
	check(pthread_join(w.thread, NULL) == 0);
	check(w.error == 0);
	check(h_count(&a, H_EVENT) == 1);
	quiet();
	ibc_put_device(dev);
	rec_unregister(&a);
}

static int handled;

static void on_signal(int sig)
{
	(void)sig;
	__atomic_store_n(&handled, 1, __ATOMIC_SEQ_CST);
}

static void g03_a_signal_does_not_end_the_wait(void **state)
{
	struct sigaction act = { .sa_handler = on_signal };
	struct worker w = {};
	struct ibc_device *dev;

	(void)state;
	fake_add("soft0", 1);
	rec_init(&a, "a", 0);
	rec_register(&a);
	dev = up("soft0");
	quiet();
	check(sigaction(SIGUSR1, &act, NULL) == 0);
	handled = 0;
	worker_start(&w, dispatch_for_ever);
	while (!polls())
		sched_yield();
	check(pthread_kill(w.thread, SIGUSR1) == 0);
	while (!__atomic_load_n(&handled, __ATOMIC_SEQ_CST))
		sched_yield();
	check(!worker_finished(&w));
	report(dev, IBV_EVENT_SM_CHANGE, 1);
	check(pthread_join(w.thread, NULL) == 0);
	check(w.error == 0);
	check(signal(SIGUSR1, SIG_DFL) != SIG_ERR);
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* ---- what else is in the process ---- */

/* the shared registry's thread calls its client, this loop its own */
static void g03_beside_a_registry_with_a_thread(void **state)
{
	struct ibc_registry *shared = ibc_open(NULL);
	unsigned int i;

	(void)state;
	check(shared);
	fake_add("soft0", 1);
	rec_init(&a, "a", 0);
	rec_init(&b, "b", 0);
	rec_register(&a);
	check(ibc_register_client(shared, &b.client) == 0);
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	loop_until(h_count(&a, H_EVENT) == 1);
	while (h_count(&b, H_EVENT) == 0)
		sched_yield();
	fake_remove("soft0", FAKE_WAIT);
	check(ibc_rescan(shared) == 0);
	loop_until(h_count(&a, H_GONE) == 1);
	while (h_count(&b, H_GONE) == 0)
		sched_yield();
	for (i = 0; i < h_length(); i++)
		check(!!pthread_equal(h_record(i).thread, pthread_self()) ==
		      (h_record(i).rec == &a));
	rec_unregister(&b);
	check(ibc_close(shared) == 0);
	quiet();
	rec_unregister(&a);
}

/* ---- fairness ---- */

#define STORM 200

static void disturb_soft1(struct rec *rec, struct ibc_device *dev,
			  struct ibc_client_data *data,
			  const struct ibc_event *event)
{
	(void)rec;
	(void)dev;
	(void)data;
	if (event->element_num == 1)
		fake_event("soft1", IBV_EVENT_LID_CHANGE, 250);
}

/* descriptors are looked at while one device has much to tell */
static void g16_a_storm_on_one_does_not_starve_another(void **state)
{
	struct ibc_device *dev0, *dev1;
	unsigned int i, seen = 0;
	uint64_t other;

	(void)state;
	fake_add("soft0", 1);
	fake_add("soft1", 2);
	rec_init(&a, "a", 0);
	a.on_event = disturb_soft1;
	rec_register(&a);
	dev0 = up("soft0");
	dev1 = up("soft1");
	other = ibc_device_incarnation(dev1);
	quiet();
	for (i = 1; i <= STORM; i++)
		report(dev0, IBV_EVENT_SM_CHANGE, i);
	loop_until(h_count(&a, H_EVENT) == STORM + 1);
	for (i = 0;
	     h_record(i).what != H_EVENT || h_record(i).incarnation != other;
	     i++)
		seen += h_record(i).what == H_EVENT;
	check(seen < STORM / 2);
	ibc_put_device(dev0);
	ibc_put_device(dev1);
	rec_unregister(&a);
}

static void storm_on(struct rec *rec, struct ibc_device *dev,
		     struct ibc_client_data *data,
		     const struct ibc_event *event)
{
	(void)rec;
	(void)data;
	h_forget(); /* too many to be kept */
	report(dev, IBV_EVENT_SM_CHANGE, 1 + event->element_num % 200);
}

static unsigned int renamed;

static void note_rename(struct rec *rec, struct ibc_device *dev,
			const char *old_name)
{
	(void)rec;
	(void)dev;
	(void)old_name;
	renamed++;
}

/* each event makes another: there is always something to run */
static void g03_a_storm_does_not_outlast_a_limit(void **state)
{
	struct ibc_device *dev;

	(void)state;
	fake_add("soft0", 1);
	fake_add("soft1", 2);
	rec_init(&a, "a", 0);
	a.on_event = storm_on;
	rec_register(&a);
	dev = up("soft0");
	report(dev, IBV_EVENT_SM_CHANGE, 1);
	ibc_put_device(dev);
	dev = up("soft1"); /* which is not going to be removed */
	check(ibc_wait_drained(dev, 1) == ETIMEDOUT);
	check(ibc_dispatch(h_reg, 0) == 0);
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* nor does who wants to know the new name wait for its end */
static void g03_a_rename_is_told_within_a_storm(void **state)
{
	struct ibc_device *dev;

	(void)state;
	fake_add("soft0", 1);
	rec_init(&a, "a", 0);
	a.on_event = storm_on;
	a.on_rename = note_rename;
	renamed = 0;
	rec_register(&a);
	dev = up("soft0");
	report(dev, IBV_EVENT_SM_CHANGE, 1);
	fake_rename("soft0", "other0");
	check(ibc_rescan(h_reg) == 0);
	loop_until(renamed == 1);
	ibc_put_device(dev);
	rec_unregister(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MANUAL(g03_no_wake_up_after_what_waited),
		IN_MANUAL(g03_whatever_is_due_is_readable),
		IN_MANUAL(g03_a_life_in_a_loop),
		IN_MANUAL(g03_timers_are_in_the_fd),
		IN_MANUAL(g03_a_loop_that_has_ended_is_not_needed),
		IN_MANUAL(g03_a_loop_held_up_leaves_the_rest_to_another),
		IN_MANUAL(g03_each_thread_has_its_own_limit),
		IN_MANUAL(g03_a_signal_does_not_end_the_wait),
		IN_MANUAL(g03_beside_a_registry_with_a_thread),
		IN_MANUAL(g16_a_storm_on_one_does_not_starve_another),
		IN_MANUAL(g03_a_storm_does_not_outlast_a_limit),
		IN_MANUAL(g03_a_rename_is_told_within_a_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
