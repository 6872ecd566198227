// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantee 20: any allocation or system call may fail. One whole life of a
 * registry is run again and again, each time with another call failing. What
 * says so must give that errno and have changed nothing, so that a second try
 * works; what does not must have coped. In the end all has happened that should
 * have, and (sanitizers, valgrind, teardown) nothing is left.
 */
#include "harness2.h"
#include "inject.h"

struct life {
	struct ibc_client client;
	unsigned int adds, removes, gones, renames, allocs, frees;
	unsigned int events; /* with their counts */
	unsigned int port_errors;
};

static struct life life;
static int wanted; /* the errno that is injected */

static unsigned int get(unsigned int *counter)
{
	return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

static void count(unsigned int *counter, unsigned int n)
{
	__atomic_add_fetch(counter, n, __ATOMIC_SEQ_CST);
}

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	(void)dev;
	count(&life.adds, 1);
	return 0;
}

static void remove_(struct ibc_client *client, struct ibc_device *dev,
		    struct ibc_client_data *data)
{
	(void)client;
	(void)dev;
	(void)data;
	count(&life.removes, 1);
}

static void gone(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	(void)dev;
	count(&life.gones, 1);
}

static void rename_(struct ibc_client *client, struct ibc_device *dev,
		    const char *old)
{
	(void)client;
	check(strcmp(old, ibc_device_name(dev)) != 0);
	count(&life.renames, 1);
}

static void event(struct ibc_client *client, struct ibc_device *dev,
		  struct ibc_client_data *data, const struct ibc_event *e)
{
	(void)client;
	(void)dev;
	(void)data;
	count(&life.events, e->count);
}

static struct ibc_client_data *alloc(struct ibc_client *client,
				     struct ibc_device *dev)
{
	struct ibc_client_data *data = calloc(1, sizeof(*data));

	(void)client;
	(void)dev;
	if (data)
		count(&life.allocs, 1);
	return data;
}

static void free_(struct ibc_client_data *data)
{
	count(&life.frees, 1);
	free(data);
}

static void begin_life(void)
{
	memset(&life, 0, sizeof(life));
	life.client.name = "life";
	life.client.add = add;
	life.client.remove = remove_;
	life.client.gone = gone;
	life.client.rename = rename_;
	life.client.event = event;
	life.client.alloc_client_data = alloc;
	life.client.free_client_data = free_;
}

/* a failure is what was injected, once; true: try again */
static bool again(int error)
{
	if (!error)
		return false;
	if (error != wanted || !inject_hit())
		fail_msg("errno %d, injected %d", error, wanted);
	return true;
}

#define RETRY(call)                         \
	do {                                \
		int r_error = call;         \
		if (again(r_error))         \
			check((call) == 0); \
	} while (0)
#define RETRY_POINTER(result, call)                         \
	do {                                                \
		errno = 0;                                  \
		(result) = (call);                          \
		if (!(result) && again(errno ? errno : -1)) \
			check(((result) = (call)));         \
	} while (0)

/* no record of a client that could not be registered */
static void register_it(void)
{
	int error = ibc_register_client(h_reg, &life.client);

	if (!again(error))
		return;
	check(!life.client.opaque[0] && !life.client.opaque[1]);
	check(ibc_unregister_client(&life.client) == EINVAL);
	check(ibc_register_client(h_reg, &life.client) == 0);
}

static void use_data(struct ibc_device *dev)
{
	struct ibc_client_data *data, *mine, *current;

	RETRY_POINTER(data, ibc_alloc_or_get_client_data(dev, &life.client));
	check(get(&life.allocs) == 1);
	do {
		mine = calloc(1, sizeof(*mine));
	} while (!mine);
	RETRY(ibc_init_client_data(mine, dev, &life.client));
	RETRY(ibc_set_client_data(dev, &life.client, mine));
	check(ibc_cmpxchg_client_data(dev, &life.client, data, NULL,
				      &current) == EAGAIN);
	check(current == mine);
	ibc_put_client_data(current);
	check(ibc_put_client_data(data)); /* the last: it was replaced */
	ibc_put_client_data(mine);
	check(get(&life.frees) == 1);
}

static void use_events(struct ibc_device *dev)
{
	struct ibv_async_event async = { .event_type = IBV_EVENT_LID_CHANGE };
	unsigned int i;

	async.element.port_num = 1;
	for (i = 0; i < 3; i++)
		fake_context_event(ibc_device_context(dev), IBV_EVENT_PORT_ERR,
				   i + 1);
	RETRY(ibc_report_event(dev, &async));
	wait_for(get(&life.events) == 4);
}

static int nothing(struct ibc_device *dev, void *arg)
{
	(void)dev;
	(void)arg;
	return 0;
}

static int dump(enum ibc_dump_format format)
{
	FILE *null = fopen("/dev/null", "we");
	int error;

	check(null);
	error = ibc_dump(h_reg, null, format);
	fclose(null);
	return error;
}

static void use_hot_plug(struct ibc_device *dev)
{
	struct ibv_context *context;
	struct ibc_device *adopted;

	do {
		context = fake_open("soft0");
	} while (!context);
	RETRY_POINTER(adopted,
		      ibc_adopt_context(h_reg, context, IBC_ADOPT_READ_EVENTS));
	wait_for(get(&life.adds) == 2);
	fake_rename("soft0", "soft9");
	RETRY(ibc_rescan(h_reg));
	wait_for(get(&life.renames) == 2);
	check(ibc_remove_device(adopted) == 0);
	wait_for(h2_is(adopted, IBC_DEVICE_GONE));
	wait_for(get(&life.gones) == 1);
	ibc_put_device(adopted);
	fake_close(context);
	fake_remove("soft9", FAKE_WAIT);
	RETRY(ibc_rescan(h_reg));
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	wait_for(get(&life.gones) == 2);
}

/* from open to close, with one thing that fails */
static void live(void)
{
	struct ibc_registry_attr attr = { .devices = "soft*,other" };
	struct ibc_device *dev;

	begin_life();
	if (h_mode == H_MANUAL)
		attr.flags = IBC_REGISTRY_MANUAL;
	else
		attr.num_threads = h_mode == H_FOUR ? 4 : 1;
	RETRY_POINTER(h_reg, ibc_open(&attr));
	register_it();
	dev = h_device("soft0");
	wait_for(get(&life.adds) == 1);
	use_data(dev);
	use_events(dev);
	RETRY(ibc_for_each_device(h_reg, nothing, NULL));
	RETRY(dump(IBC_DUMP_TEXT));
	RETRY(dump(IBC_DUMP_JSON));
	use_hot_plug(dev);
	ibc_put_device(dev);
	RETRY(ibc_unregister_client(&life.client));
	RETRY(ibc_close(h_reg));
	h_reg = NULL;
	check(life.removes == 2);
	check(life.frees == life.allocs + 1);
}

/* in a world of its own, as setup and teardown make it */
static bool live_with(enum inject_call call, unsigned int nth, int error)
{
	unsigned int fds = h2_fds();
	bool hit;

	fake_add("soft0", 0x11);
	wanted = error;
	inject(call, nth, 1, error);
	live();
	hit = inject_hit();
	inject_nothing();
	check(fake_open_contexts(NULL) == 0);
	check(h2_fds() == fds);
	return hit;
}

static void every_call_fails_once(enum inject_call call, int error)
{
	unsigned int nth = 1;

	if (h_reg)
		h_close(h_reg);
	h_log_capture(); /* its messages are allocated too */
	while (live_with(call, nth, error))
		nth++;
	if (nth == 1 && call != INJECT_PTHREAD_CREATE)
		fail_msg("%s is never called", inject_names[call]);
}

static void g20_every_allocation_may_fail(void **state)
{
	(void)state;
	every_call_fails_once(INJECT_MALLOC, ENOMEM);
}

static void g20_epoll_create1_may_fail(void **state)
{
	(void)state;
	every_call_fails_once(INJECT_EPOLL_CREATE1, EMFILE);
}

static void g20_epoll_ctl_may_fail(void **state)
{
	(void)state;
	every_call_fails_once(INJECT_EPOLL_CTL, ENOSPC);
	h_reg = NULL;
	every_call_fails_once(INJECT_EPOLL_CTL, ENOMEM);
}

static void g20_eventfd_may_fail(void **state)
{
	(void)state;
	every_call_fails_once(INJECT_EVENTFD, ENFILE);
}

static void g20_timerfd_create_may_fail(void **state)
{
	(void)state;
	every_call_fails_once(INJECT_TIMERFD_CREATE, EMFILE);
}

static void g20_socket_may_fail(void **state)
{
	(void)state;
	every_call_fails_once(INJECT_SOCKET, EMFILE);
	every_call_fails_once(INJECT_SOCKET, EAFNOSUPPORT);
}

static void g20_bind_may_fail(void **state)
{
	(void)state;
	every_call_fails_once(INJECT_BIND, ENOMEM);
	every_call_fails_once(INJECT_BIND, EPERM);
}

static void g20_inotify_init1_may_fail(void **state)
{
	(void)state;
	every_call_fails_once(INJECT_INOTIFY_INIT1, EMFILE);
	every_call_fails_once(INJECT_INOTIFY_INIT1, ENOMEM);
}

static void g20_inotify_add_watch_may_fail(void **state)
{
	(void)state;
	every_call_fails_once(INJECT_INOTIFY_ADD_WATCH, ENOSPC);
	every_call_fails_once(INJECT_INOTIFY_ADD_WATCH, ENOMEM);
}

static void g20_pthread_create_may_fail(void **state)
{
	(void)state;
	every_call_fails_once(INJECT_PTHREAD_CREATE, EAGAIN);
}

static void g20_fcntl_may_fail(void **state)
{
	(void)state;
	every_call_fails_once(INJECT_FCNTL, ENOLCK);
}

/* ---- what exactly it means ---- */

static struct ibc_registry *open_one(void)
{
	struct ibc_registry_attr attr = { .num_threads = 3 };

	return ibc_open(&attr);
}

/* no thread: EAGAIN, and those that had been started are stopped */
static void g20_no_threads_left_is_eagain(void **state)
{
	unsigned int i, threads = h2_threads();
	struct ibc_registry *reg;

	(void)state;
	for (i = 1; i <= 3; i++) {
		inject(INJECT_PTHREAD_CREATE, i, 1, EAGAIN);
		check_null(open_one(), EAGAIN);
		wait_for(h2_threads() == threads);
	}
	inject(INJECT_PTHREAD_CREATE, 1, 1, EAGAIN);
	check_null(ibc_open(NULL), EAGAIN); /* the shared one as well */
	reg = ibc_open(NULL);
	assert_non_null(reg);
	assert_int_equal(ibc_close(reg), 0);
	inject_nothing();
}

static bool dump_has(struct ibc_registry *reg, const char *words)
{
	char *text = h2_dump(reg, IBC_DUMP_TEXT);
	bool has = strstr(text, words);

	free(text);
	return has;
}

/* no inotify watch is left: the clock takes over, and the dump says why */
static void g20_no_inotify_watches_left_is_no_error(void **state)
{
	struct ibc_registry *reg;

	(void)state;
	setenv("IBC_SOURCES", "inotify,timer", 1);
	inject(INJECT_INOTIFY_ADD_WATCH, 1, 100, ENOSPC);
	reg = open_one();
	inject_nothing();
	unsetenv("IBC_SOURCES");
	assert_non_null(reg);
	assert_true(dump_has(reg, "source inotify: failed (/dev: "
				  "fs.inotify.max_user_watches"));
	assert_true(dump_has(reg, "source timer: active"));
	assert_int_equal(ibc_close(reg), 0);
}

/* EMFILE of inotify_init1() is the user's limit, if descriptors can be had */
static void g20_no_inotify_instance_left_is_no_error(void **state)
{
	struct ibc_registry *reg;

	(void)state;
	setenv("IBC_SOURCES", "inotify,timer", 1);
	inject(INJECT_INOTIFY_INIT1, 1, 1, EMFILE);
	reg = open_one();
	inject_nothing();
	unsetenv("IBC_SOURCES");
	assert_non_null(reg);
	assert_true(dump_has(reg, "source inotify: failed"));
	assert_true(dump_has(reg, "source timer: active"));
	assert_int_equal(ibc_close(reg), 0);
}

/* uevents were lost: the list is read, with names */
static void g20_overrun_of_the_uevent_socket_means_rescan(void **state)
{
	struct ibc_stats before;
	struct ibc__source *source = &h_reg->sources[IBC_SOURCE_UEVENT];

	(void)state;
	if (source->fd < 0) {
		skip(); /* none to lose, in this network namespace */
		return;
	}
	begin_life();
	fake_add("soft0", 0x11);
	assert_int_equal(ibc_register_client(h_reg, &life.client), 0);
	h_fence();
	before = h2_stats(h_reg);
	inject(INJECT_RECVFROM, 1, 1, ENOBUFS);
	ibc__lock(h_reg);
	source->ops->ready(h_reg, source);
	ibc__unlock(h_reg);
	assert_true(inject_hit());
	/* what came behind it is read too */
	assert_true(inject_calls(INJECT_RECVFROM) > 1);
	inject_nothing();
	wait_for(h2_stats(h_reg).scans > before.scans);
	assert_true(h2_stats(h_reg).hints > before.hints);
	assert_int_equal(ibc_unregister_client(&life.client), 0);
}

/* an event is read only when there is memory to keep it */
static void g20_no_event_is_lost_for_want_of_memory(void **state)
{
	struct ibc_device *dev;
	unsigned int i;

	(void)state;
	begin_life();
	fake_add("soft0", 0x11);
	assert_int_equal(ibc_register_client(h_reg, &life.client), 0);
	dev = h_device("soft0");
	inject(INJECT_MALLOC, 1, 3, ENOMEM);
	for (i = 0; i < 10; i++)
		fake_context_event(ibc_device_context(dev), IBV_EVENT_PORT_ERR,
				   i);
	wait_for(get(&life.events) == 10);
	assert_true(inject_hit());
	inject_nothing();
	ibc_put_device(dev);
	assert_int_equal(ibc_unregister_client(&life.client), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MANUAL(g20_every_allocation_may_fail),
		H_TEST(g20_every_allocation_may_fail, H_ONE),
		H_TEST(g20_every_allocation_may_fail, H_FOUR),
		IN_MANUAL(g20_epoll_create1_may_fail),
		IN_MANUAL(g20_epoll_ctl_may_fail),
		H_TEST(g20_epoll_ctl_may_fail, H_ONE),
		IN_MANUAL(g20_eventfd_may_fail),
		IN_MANUAL(g20_timerfd_create_may_fail),
		IN_MANUAL(g20_socket_may_fail),
		IN_MANUAL(g20_bind_may_fail),
		IN_MANUAL(g20_inotify_init1_may_fail),
		IN_MANUAL(g20_inotify_add_watch_may_fail),
		H_TEST(g20_pthread_create_may_fail, H_FOUR),
		IN_MANUAL(g20_fcntl_may_fail),
		H_TEST(g20_fcntl_may_fail, H_ONE),
		IN_NONE(g20_no_threads_left_is_eagain),
		IN_NONE(g20_no_inotify_watches_left_is_no_error),
		IN_NONE(g20_no_inotify_instance_left_is_no_error),
		IN_MANUAL(g20_overrun_of_the_uevent_socket_means_rescan),
		IN_ALL(g20_no_event_is_lost_for_want_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
