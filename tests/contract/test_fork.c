// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantee 19: fork(). A child has the memory and the descriptors, and none of
 * the threads: all it may do with its parent's registry is close it.
 */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness2.h"
#include "data.h"

static struct rec a;
static struct ibc_device *dev;
static struct ibv_context *context, *adopted_context;
static struct ibc_device *adopted;
static struct ibc_client_data *data;
static struct ibc_event_handler *handler;

static void begin(void)
{
	fake_add("soft0", 0x11);
	adopted_context = fake_open("soft0");
	adopted = ibc_adopt_context(h_reg, adopted_context, 0);
	rec_init(&a, "a", 0);
	rec_register(&a);
	dev = h_device("soft0");
	context = ibc_device_context(dev);
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	check(data);
}

/* the parent's registry works as if nothing had been */
static void end(void)
{
	unsigned int n = h_count(&a, H_EVENT);

	check(ibc_get_client_data(dev, &a.client) == data);
	ibc_put_client_data(data);
	fake_context_event(context, IBV_EVENT_LID_CHANGE, 1);
	wait_for(h_count(&a, H_EVENT) == n + 1);
	ibc_put_client_data(data);
	h2_remove(adopted);
	fake_close(adopted_context);
	fake_remove("soft0", FAKE_WAIT);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* ---- what a child gets ---- */

static int nothing(struct ibc_device *d, void *arg)
{
	(void)d;
	(void)arg;
	return 1;
}

static void registry_says_echild(struct ibc_registry *reg)
{
	struct ibc_client client = { .name = "child" };
	struct ibc_stats stats;

	errno = 0;
	check(ibc_get_fd(reg) == -1 && errno == ECHILD);
	check(ibc_dispatch(reg, 0) == ECHILD);
	check(ibc_rescan(reg) == ECHILD);
	check(ibc_register_client(reg, &client) == ECHILD);
	check(!client.opaque[0]);
	check_null(ibc_get_device_by_name(reg, "soft0"), ECHILD);
	check_null(ibc_get_device_by_index(reg, 0), ECHILD);
	check_null(ibc_get_device_by_context(reg, context), ECHILD);
	check(ibc_for_each_device(reg, nothing, NULL) == ECHILD);
	check_null(ibc_adopt_context(reg, context, 0), ECHILD);
	check(ibc_dump(reg, stderr, IBC_DUMP_TEXT) == ECHILD);
	check(ibc_query_stats(reg, &stats, sizeof(stats)) == ECHILD);
}

static void device_says_echild(struct ibc_device *d)
{
	struct ibv_async_event event = { .event_type = IBV_EVENT_PORT_ERR };
	unsigned int users = d->users;
	int state = d->state; /* it may have been going at the fork */

	check_null(ibc_device_context(d), ECHILD);
	check_null(ibc_device_name(d), ECHILD);
	errno = 0;
	check(ibc_device_index(d) == -1 && errno == ECHILD);
	errno = 0;
	check(ibc_device_guid(d) == 0 && errno == ECHILD);
	errno = 0;
	check(ibc_device_incarnation(d) == 0 && errno == ECHILD);
	errno = 0;
	check(ibc_device_state(d) == IBC_DEVICE_GONE && errno == ECHILD);
	check(!ibc_device_adopted(d));
	check_null(ibc_device_registry(d), ECHILD);
	check_null(ibc_get_device(d), ECHILD);
	ibc_put_device(d);
	check(d->users == users);
	check(ibc_report_event(d, &event) == ECHILD);
	check(ibc_report_error(d, EIO) == ECHILD);
	check(ibc_remove_device(d) == ECHILD);
	check(ibc_wait_drained(d, 0) == ECHILD);
	check(d->state == state);
}

static void data_says_echild(void)
{
	struct ibc_client_data new = {}, *current = &new;
	unsigned int live = rec_live(&a);
	uint64_t refs = ibc__ref_count(ibc__data_ref(data));

	check_null(ibc_alloc_or_get_client_data(dev, &a.client), ECHILD);
	check_null(ibc_get_client_data(dev, &a.client), ECHILD);
	check(ibc_init_client_data(&new, dev, &a.client) == ECHILD);
	check(ibc_set_client_data(dev, &a.client, NULL) == ECHILD);
	check(ibc_cmpxchg_client_data(dev, &a.client, data, NULL, &current) ==
	      ECHILD);
	ibc_hold_client_data(data);
	check(!ibc_put_client_data(data));
	check(!ibc_put_client_data(data));
	check(ibc__ref_count(ibc__data_ref(data)) == refs);
	check(rec_live(&a) == live);
	check(ibc_unregister_client(&a.client) == ECHILD);
	check(ibc_unregister_client_timed(&a.client, 0) == ECHILD);
	check(ibc_unregister_client_async(&a.client, NULL) == ECHILD);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* 0, and the copies are closed: once, for their numbers may be used again */
static void close_in_child(struct ibc_registry *reg)
{
	int fds[] = { reg->epoll_fd, reg->wake_fd, reg->timer_fd,
		      context->async_fd, context->cmd_fd };
	unsigned int i;
	int fd;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		check(is_open(fds[i]));
	check(ibc_close(reg) == 0);
	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		check(!is_open(fds[i]));
	for (i = 0; i < IBC_NUM_SOURCES; i++)
		check(reg->sources[i].fd < 0 || !is_open(reg->sources[i].fd));
	check(is_open(adopted_context->async_fd)); /* that is its owner's */
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	check(ibc_close(reg) == 0);
	check(is_open(fd));
	close(fd);
}

static void never(struct ibc_device *d, const struct ibc_event *event,
		  void *arg)
{
	(void)d;
	(void)event;
	(void)arg;
}

static void handlers_say_echild(void)
{
	const struct ibc_event_filter all = {};

	check_null(ibc_register_event_handler(dev, &all, never, NULL), ECHILD);
	if (handler)
		check(ibc_unregister_event_handler(handler) == ECHILD);
}

static void everything_says_echild(struct ibc_registry *reg)
{
	handlers_say_echild();
	registry_says_echild(reg);
	device_says_echild(dev);
	device_says_echild(adopted);
	data_says_echild();
}

static void g19_in_a_child_everything_is_echild(void **state)
{
	const struct ibc_event_filter all = {};
	pid_t pid;

	(void)state;
	begin();
	handler = ibc_register_event_handler(dev, &all, never, NULL);
	check(handler);
	pid = fork();
	if (!pid) {
		everything_says_echild(h_reg);
		close_in_child(h_reg);
		everything_says_echild(h_reg);
		h2_child_ends();
	}
	h2_wait_child(pid);
	check(ibc_unregister_event_handler(handler) == 0);
	handler = NULL;
	end();
}

static void g19_in_a_grandchild_too(void **state)
{
	pid_t pid;

	(void)state;
	begin();
	pid = fork();
	if (!pid) {
		pid = fork();
		if (!pid) {
			everything_says_echild(h_reg);
			close_in_child(h_reg);
			h2_child_ends();
		}
		h2_wait_child(pid);
		everything_says_echild(h_reg);
		h2_child_ends();
	}
	h2_wait_child(pid);
	end();
}

/* ---- a registry of the child's own ---- */

static unsigned int adds;

static int count_add(struct ibc_client *client, struct ibc_device *d)
{
	(void)client;
	(void)d;
	__atomic_add_fetch(&adds, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static void use_a_new_one(struct ibc_registry *parents)
{
	struct ibc_client client = { .name = "child", .add = count_add };
	struct ibc_registry *reg = ibc_open(NULL), *again = ibc_open(NULL);
	struct ibc_device *d;

	check(reg);
	check(reg != parents);
	check(again == reg);
	check(ibc_close(again) == 0);
	adds = 0;
	check(ibc_register_client(reg, &client) == 0);
	check(adds == 1);
	d = ibc_get_device_by_name(reg, "soft0");
	check(d && d != dev);
	check(ibc_device_context(d) != context);
	check(ibc_close(reg) == EBUSY);
	ibc_put_device(d);
	check(ibc_unregister_client(&client) == 0);
	check(ibc_close(reg) == 0);
}

static void g19_a_child_opens_a_new_one(void **state)
{
	pid_t pid;

	(void)state;
	begin();
	h2_all_asleep(); /* not in the fake backend, either */
	pid = fork();
	if (!pid) {
		use_a_new_one(h_reg);
		close_in_child(h_reg);
		use_a_new_one(h_reg);
		h2_child_ends();
	}
	h2_wait_child(pid);
	end();
}

/* the shared one, counted twice: the child's count is its own */
static __attribute__((unused)) void
g19_the_shared_one_is_not_shared_with_a_child(void **state)
{
	struct ibc_registry *shared;
	pid_t pid;

	(void)state;
	shared = ibc_open(NULL);
	assert_ptr_equal(ibc_open(NULL), shared);
	h_reg = shared;
	h_mode = H_ONE;
	begin();
	h2_all_asleep();
	pid = fork();
	if (!pid) {
		use_a_new_one(shared);
		close_in_child(shared);
		h2_child_ends();
	}
	h2_wait_child(pid);
	assert_ptr_equal(ibc_open(NULL), shared);
	end();
	assert_int_equal(ibc_close(shared), 0);
	assert_int_equal(ibc_close(shared), 0);
	assert_int_equal(ibc_close(shared), 0);
	h_reg = NULL;
}

/* ---- situations ---- */

static void child_of_any_moment(pid_t pid)
{
	if (!pid) {
		everything_says_echild(h_reg);
		check(ibc_close(h_reg) == 0);
		check(!is_open(context->async_fd));
		h2_child_ends();
	}
	h2_wait_child(pid);
}

static void fork_in_event(struct rec *rec, struct ibc_device *d,
			  struct ibc_client_data *borrowed,
			  const struct ibc_event *event)
{
	(void)rec, (void)d, (void)borrowed;
	if (event->async.event_type == IBV_EVENT_GID_CHANGE)
		child_of_any_moment(fork());
}

static void g19_fork_in_a_callback(void **state)
{
	(void)state;
	begin();
	a.on_event = fork_in_event;
	fake_context_event(context, IBV_EVENT_GID_CHANGE, 1);
	wait_for(h_count(&a, H_EVENT) == 1);
	end();
}

static void g19_fork_while_a_callback_runs(void **state)
{
	struct gate gate = {};

	(void)state;
	begin();
	a.gate[H_EVENT] = &gate;
	fake_context_event(context, IBV_EVENT_GID_CHANGE, 1);
	wait_for(gate_entered(&gate) == 1);
	child_of_any_moment(fork());
	gate_open(&gate);
	end();
}

static void unregister_b(struct worker *w)
{
	check(ibc_unregister_client(&w->rec->client) == 0);
}

static void g19_fork_while_a_thread_waits(void **state)
{
	struct worker w = {};
	struct ibc_client_data *held;
	static struct rec b;

	(void)state;
	begin();
	rec_init(&b, "b", 0);
	rec_register(&b);
	held = ibc_alloc_or_get_client_data(dev, &b.client);
	w.rec = &b;
	worker_start(&w, unregister_b);
	worker_wait_blocked(&w);
	child_of_any_moment(fork());
	ibc_put_client_data(held);
	worker_join(&w);
	end();
}

static void fork_in_sink(int level, const char *message, void *arg)
{
	bool *done = arg;

	(void)level;
	(void)message;
	if (!__atomic_exchange_n(done, true, __ATOMIC_SEQ_CST))
		child_of_any_moment(fork());
	h_changed();
}

static void g19_fork_in_the_log_sink(void **state)
{
	bool done = false;

	(void)state;
	begin();
	ibc_set_log(fork_in_sink, &done);
	fake_rename("soft0", "roce0");
	assert_int_equal(ibc_rescan(h_reg), 0);
	wait_for(__atomic_load_n(&done, __ATOMIC_SEQ_CST));
	ibc_set_log(NULL, NULL);
	fake_rename("roce0", "soft0");
	end();
}

static struct ibc_client_data *plain_alloc(struct ibc_client *client,
					   struct ibc_device *d)
{
	(void)client;
	(void)d;
	return calloc(1, sizeof(struct ibc_client_data));
}

static void plain_free(struct ibc_client_data *d)
{
	free(d);
}

/* one that writes nothing down: too much happens */
static struct ibc_client plain = {
	.alloc_client_data = plain_alloc,
	.free_client_data = plain_free,
};
static bool stop;

static void busy(struct worker *w)
{
	(void)w;
	while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
		ibc_put_device(ibc_get_device(dev));
		ibc_put_client_data(ibc_get_client_data(dev, &a.client));
		ibc_put_client_data(
			ibc_alloc_or_get_client_data(adopted, &plain));
		ibc_set_client_data(adopted, &plain, NULL);
	}
}

/* at moments that nobody chose: the child finds no lock that stays taken */
static void g19_fork_while_all_are_busy(void **state)
{
	struct worker w[2] = {};
	unsigned int i;

	(void)state;
	begin();
	assert_int_equal(ibc_register_client(h_reg, &plain), 0);
	stop = false;
	for (i = 0; i < 2; i++)
		worker_start(&w[i], busy);
	for (i = 0; i < 20; i++)
		child_of_any_moment(fork());
	__atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
	for (i = 0; i < 2; i++)
		worker_join(&w[i]);
	assert_int_equal(ibc_unregister_client(&plain), 0);
	end();
}

/* a child that forgot to close does not hold the parent back */
static void g19_the_parent_goes_on_beside_a_child(void **state)
{
	int fds[2];
	pid_t pid;
	char c;

	(void)state;
	begin();
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		close(fds[1]);
		check(read(fds[0], &c, 1) == 0);
		close_in_child(h_reg);
		h2_child_ends();
	}
	close(fds[0]);
	end();
	close(fds[1]);
	h2_wait_child(pid);
}

/* TSan cannot have threads in the child of a process that has threads */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__
#endif
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g19_in_a_child_everything_is_echild),
		IN_MANUAL(g19_in_a_grandchild_too),
		H_TEST(g19_in_a_grandchild_too, H_FOUR),
		IN_MANUAL(g19_a_child_opens_a_new_one),
#ifndef __SANITIZE_THREAD__
		H_TEST(g19_a_child_opens_a_new_one, H_FOUR),
		IN_NONE(g19_the_shared_one_is_not_shared_with_a_child),
#endif
		IN_ALL(g19_fork_in_a_callback),
		IN_PARALLEL(g19_fork_while_a_callback_runs),
		IN_ALL(g19_fork_while_a_thread_waits),
		IN_ALL(g19_fork_in_the_log_sink),
		IN_ALL(g19_fork_while_all_are_busy),
		IN_ALL(g19_the_parent_goes_on_beside_a_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
