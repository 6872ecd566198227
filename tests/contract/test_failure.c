// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantee 20: any allocation or system call may fail. tests/sweep lets each fail
 * in turn, in whole lives of a registry; here is what exactly some of it means.
 */
#include <endian.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "harness2.h"
#include "inject.h"

struct life {
	struct ibc_client client;
	unsigned int adds, removes, gones, renames, allocs, frees;
	unsigned int events; /* with their counts */
	unsigned int port_errors;
};

static struct life life;

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

/* the first test: it is once in a process that they are wanted */
static void g20_fork_handlers_are_tried_again(void **state)
{
	struct ibc_registry *reg;

	(void)state;
	inject(INJECT_PTHREAD_ATFORK, 1, 2, ENOMEM);
	check_null(ibc_open(NULL), ENOMEM);
	assert_int_equal(inject_calls(INJECT_PTHREAD_ATFORK), 2);
	inject_nothing();
	reg = ibc_open(NULL);
	assert_non_null(reg);
	assert_int_equal(ibc_close(reg), 0);
}

static void g20_no_locks_is_enomem(void **state)
{
	struct ibc_registry *reg;
	unsigned int i = 1;

	(void)state;
	do {
		inject(INJECT_PTHREAD_INIT, i, 1, ENOMEM);
		errno = 0;
		reg = ibc_open(NULL);
		assert_int_equal(!reg, inject_hit());
		assert_true(reg || errno == ENOMEM);
		assert_true(reg || inject_left() == 0);
		i++;
	} while (!reg);
	assert_int_equal(i, 7); /* two attributes, a mutex, two conditions */
	inject_nothing();
	assert_int_equal(ibc_close(reg), 0);
}

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

/* as if the devices were the kernel's own; @sources beside the clock */
static void reopen_in_sysfs(const char *sources)
{
	h_close(h_reg);
	fake_in_sysfs();
	setenv("IBC_SOURCES", sources, 1);
	h_reg = h_open(NULL);
	unsetenv("IBC_SOURCES");
}

/* uevents were lost: the list is read, with names */
static void g20_overrun_of_the_uevent_socket_means_rescan(void **state)
{
	struct ibc_stats before;
	struct ibc__source *source;

	(void)state;
	reopen_in_sysfs("uevent");
	source = &h_reg->sources[IBC_SOURCE_UEVENT];
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

static int may_open(void)
{
	struct ibc_device *dev = ibc_get_device_by_name(h_reg, "soft0");

	if (dev)
		ibc_put_device(dev);
	return dev != NULL;
}

/* what was to be done at a time is done, with a timerfd or without */
static void g20_deadlines_do_without_a_timerfd(void **state)
{
	unsigned int lasting;

	(void)state;
	for (lasting = 0; lasting < 2; lasting++) {
		begin_life();
		fake_add("soft0", 0x11);
		fake_fail(FAKE_OPEN, EAGAIN, 2);
		inject(INJECT_TIMERFD_SETTIME, 1, lasting ? INJECT_LASTING : 1,
		       ENOMEM);
		assert_int_equal(ibc_register_client(h_reg, &life.client), 0);
		wait_for(may_open());
		assert_true(inject_hit());
		inject_nothing();
		fake_remove("soft0", FAKE_WAIT);
		wait_for(get(&life.gones) == 1);
		assert_int_equal(ibc_unregister_client(&life.client), 0);
	}
}

/* no source tells of anything: only what the test asks for happens */
static void begin_deaf(void)
{
	h_close(h_reg);
	inject_backend();
	setenv("IBC_SOURCES", ",", 1);
	h_reg = h_open(NULL);
	unsetenv("IBC_SOURCES");
	begin_life();
	fake_add("soft0", 0x11);
	assert_int_equal(ibc_register_client(h_reg, &life.client), 0);
}

/* libibverbs remembers the name that it had at first; that is not told */
static void g20_a_name_that_cannot_be_read_is_no_rename(void **state)
{
	static const int errors[] = { ENOENT, EIO, ESTALE, EMFILE, ENOMEM };
	struct ibc_device *dev;
	unsigned int i;

	(void)state;
	begin_deaf();
	fake_rename("soft0", "soft9");
	assert_int_equal(ibc_rescan(h_reg), 0);
	wait_for(get(&life.renames) == 1);
	dev = h_device("soft9");
	for (i = 0; i < 5; i++) {
		inject(INJECT_OPEN, 1, INJECT_LASTING, errors[i]);
		assert_int_equal(ibc_rescan(h_reg), i < 3 ? 0 : errors[i]);
		assert_true(inject_hit());
		inject_nothing();
		h_fence();
		assert_string_equal(ibc_device_name(dev), "soft9");
	}
	assert_int_equal(get(&life.renames), 1);
	ibc_put_device(dev);
	assert_int_equal(ibc_unregister_client(&life.client), 0);
}

/* ibc_rescan() reports it, and what it should have found is found without it */
static void each_rescan_fails(enum inject_call call, int error)
{
	char name[32], old[32] = "soft0";
	unsigned int i;
	bool hit = true;
	int ret;

	begin_deaf();
	for (i = 1; hit && i <= 10; i++) { /* more devices, more files */
		snprintf(name, sizeof(name), "new%u", i);
		fake_add(name, 0x100 + i);
		snprintf(name, sizeof(name), "soft%u", i);
		fake_rename(old, name);
		memcpy(old, name, sizeof(old));
		inject(call, i, 1, error);
		ret = ibc_rescan(h_reg);
		hit = inject_hit();
		inject_nothing();
		assert_int_equal(ret, hit ? error : 0);
		wait_for(get(&life.renames) == i && get(&life.adds) == i + 1);
	}
	assert_true(i > 3);
	assert_int_equal(ibc_unregister_client(&life.client), 0);
}

static void g20_news_that_there_was_no_memory_for_comes_later(void **state)
{
	(void)state;
	each_rescan_fails(INJECT_MALLOC, ENOMEM);
}

static void g20_news_that_there_was_no_descriptor_for_comes_later(void **state)
{
	(void)state;
	each_rescan_fails(INJECT_OPEN, EMFILE);
}

static bool is_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) == 1;
}

/* who polls its descriptor is called as long as the timerfd is not set */
static void g20_manual_registry_is_readable_without_a_timerfd(void **state)
{
	(void)state;
	begin_life();
	fake_add("soft0", 0x11);
	fake_fail(FAKE_OPEN, EAGAIN, 3);
	inject(INJECT_TIMERFD_SETTIME, 1, INJECT_LASTING, ENOMEM);
	assert_int_equal(ibc_register_client(h_reg, &life.client), 0);
	ibc_dispatch(h_reg, 0);
	assert_true(is_readable(ibc_get_fd(h_reg)));
	inject_nothing();
	while (!may_open()) { /* a loop that does nothing else */
		struct pollfd pollfd = { .fd = ibc_get_fd(h_reg),
					 .events = POLLIN };

		assert_int_equal(poll(&pollfd, 1, 60000), 1);
		ibc_dispatch(h_reg, 0);
	}
	h_fence();
	assert_false(is_readable(ibc_get_fd(h_reg)));
	assert_int_equal(ibc_unregister_client(&life.client), 0);
}

/* a put, maybe in a signal handler, wakes the dispatcher whatever write() says */
static void g20_an_interrupted_put_frees_all_the_same(void **state)
{
	static const int errors[] = { EINTR, EAGAIN };
	struct ibc_client_data *data;
	struct ibc_device *dev;
	unsigned int i;

	(void)state;
	begin_life();
	life.client.flags = IBC_CLIENT_DEFER_FREE | IBC_CLIENT_FREE_UNUSED;
	fake_add("soft0", 0x11);
	assert_int_equal(ibc_register_client(h_reg, &life.client), 0);
	dev = h_device("soft0");
	for (i = 0; i < 2; i++) {
		data = ibc_alloc_or_get_client_data(dev, &life.client);
		assert_non_null(data);
		h_fence();
		inject(INJECT_WRITE, 1, 2, errors[i]);
		errno = EDOM;
		ibc_put_client_data(data);
		check(errno == EDOM);
		wait_for(get(&life.frees) == i + 1);
		inject_nothing();
	}
	ibc_put_device(dev);
	assert_int_equal(ibc_unregister_client(&life.client), 0);
}

/* of a device that goes, and of one that the registry's end closes */
static void g20_a_close_that_fails_is_told(void **state)
{
	(void)state;
	h_log_capture();
	inject_backend();
	begin_life();
	fake_add("soft0", 0x11);
	fake_add("soft1", 0x22);
	assert_int_equal(ibc_register_client(h_reg, &life.client), 0);
	inject(INJECT_CLOSE_DEVICE, 1, INJECT_LASTING, EIO);
	fake_remove("soft0", FAKE_WAIT);
	wait_for(get(&life.gones) == 1);
	assert_int_equal(h_logged(IBC_LOG_ERROR, "soft0: closing it failed"),
			 1);
	assert_int_equal(ibc_unregister_client(&life.client), 0);
	h_close(h_reg);
	h_reg = NULL;
	inject_nothing();
	assert_int_equal(h_logged(IBC_LOG_ERROR, "soft1: closing it failed"),
			 1);
}

/* nothing else tells of it: it is away and back, with the same everything */
static void g20_a_verb_that_says_nothing_is_asked_again(void **state)
{
	static const int errors[] = { ENOMEM, EINTR, EAGAIN };
	unsigned int i;

	(void)state;
	begin_deaf();
	for (i = 0; i < 3; i++) {
		wait_for(get(&life.adds) == i + 1);
		inject(INJECT_QUERY_DEVICE, 1, 3, errors[i]);
		fake_fail(FAKE_PROBE, EIO, 1);
		h2_uevent("remove", "uverbs0");
		wait_for(get(&life.gones) == i + 1);
		assert_int_equal(inject_calls(INJECT_QUERY_DEVICE), 4);
		inject_nothing();
	}
	assert_int_equal(ibc_unregister_client(&life.client), 0);
}

/* libibverbs says 0 where it cannot read the file */
static void g20_a_guid_that_cannot_be_read_is_no_other_device(void **state)
{
	struct ibc_device *dev;

	(void)state;
	inject_backend();
	inject(INJECT_DEVICE_GUID, 1, INJECT_LASTING, EIO);
	begin_life();
	fake_add("soft0", 0x11);
	assert_int_equal(ibc_register_client(h_reg, &life.client), 0);
	dev = h_device("soft0");
	assert_int_equal(ibc_device_guid(dev), 0);
	inject_nothing();
	h_fence();
	assert_int_equal(be64toh(ibc_device_guid(dev)), 0x11);
	inject(INJECT_DEVICE_GUID, 1, INJECT_LASTING, EIO);
	h_fence();
	assert_true(inject_hit());
	inject_nothing();
	assert_int_equal(be64toh(ibc_device_guid(dev)), 0x11);
	assert_int_equal(get(&life.adds), 1);
	assert_int_equal(get(&life.removes), 0);
	ibc_put_device(dev);
	assert_int_equal(ibc_unregister_client(&life.client), 0);
}

/* ---- which sources are to be trusted, where that cannot be found out ---- */

static bool clock_runs(void)
{
	return h_reg->sources[IBC_SOURCE_TIMER].state == IBC_SOURCE_ACTIVE;
}

/* uevents that maybe never come do not make the clock needless */
static void g20_uevents_are_trusted_only_for_sure(void **state)
{
	static const struct {
		enum inject_call call;
		int error;
	} faults[] = {
		{ INJECT_STATFS, EIO },	    { INJECT_OPEN, EMFILE },
		{ INJECT_OPEN, ENOENT },    { INJECT_IOCTL, EMFILE },
		{ INJECT_STAT, EOVERFLOW },
	};
	struct ibc__source *source;
	unsigned int i;

	(void)state;
	inject(INJECT_STAT, INJECT_LASTING, 1, EIO);
	reopen_in_sysfs("uevent,timer");
	source = &h_reg->sources[IBC_SOURCE_UEVENT];
	if (!source->trusted) {
		skip(); /* none are sent to this network namespace */
		return;
	}
	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		if (faults[i].call == INJECT_STAT && !inject_calls(INJECT_STAT))
			continue; /* the kernel does not say whose it is */
		inject(faults[i].call, 1, INJECT_LASTING, faults[i].error);
		reopen_in_sysfs("uevent,timer");
		assert_true(inject_hit());
		inject_nothing();
		source = &h_reg->sources[IBC_SOURCE_UEVENT];
		assert_int_equal(source->state, IBC_SOURCE_ACTIVE);
		assert_false(source->trusted);
		assert_true(clock_runs());
	}
}

/* a simulator's devices are found by the clock, if not by inotify */
static void g20_where_the_devices_are_may_stay_unknown(void **state)
{
	(void)state;
	h_close(h_reg);
	setenv("IBC_SOURCES", "uevent,inotify,timer", 1);
	inject(INJECT_STATFS, 1, INJECT_LASTING, EIO);
	h_reg = h_open(NULL);
	assert_true(inject_hit());
	inject_nothing();
	unsetenv("IBC_SOURCES");
	begin_life();
	fake_add("soft0", 0x11);
	assert_int_equal(ibc_register_client(h_reg, &life.client), 0);
	fake_remove("soft0", FAKE_WAIT);
	wait_for(get(&life.gones) == 1);
	assert_int_equal(ibc_unregister_client(&life.client), 0);
}

/* as if the kernel said: there is /dev/infiniband now */
static void say_that_nodes_came(struct ibc__source *source)
{
	const struct inotify_event event = {
		.wd = source->watches[1], /* of /dev */
		.mask = IN_CREATE | IN_ISDIR,
		.len = 16,
	};
	char msg[sizeof(event) + 16] = {};
	int fds[2];

	memcpy(msg, &event, sizeof(event));
	strcpy(msg + sizeof(event), "infiniband");
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(write(fds[1], msg, sizeof(msg)), sizeof(msg));
	assert_int_equal(dup3(fds[0], source->fd, O_CLOEXEC), source->fd);
	ibc__lock(h_reg);
	source->ops->ready(h_reg, source);
	ibc__unlock(h_reg);
	close(fds[0]);
	close(fds[1]);
}

/* no watch is left when the directory of the nodes comes */
static void g20_nodes_that_cannot_be_watched_end_the_trust(void **state)
{
	struct ibc__source *source;

	(void)state;
	h_log_capture();
	reopen_in_sysfs("inotify,timer");
	source = &h_reg->sources[IBC_SOURCE_INOTIFY];
	source->trusted = true; /* as with a devtmpfs */
	h_reg->sources[IBC_SOURCE_TIMER].state = IBC_SOURCE_ABSENT;
	inject(INJECT_INOTIFY_ADD_WATCH, 1, 1, ENOSPC);
	say_that_nodes_came(source);
	assert_true(inject_hit());
	inject_nothing();
	assert_false(source->trusted);
	assert_true(clock_runs());
	assert_int_equal(h_logged(IBC_LOG_WARNING, "/dev/infiniband cannot be "
						   "watched: No space left"),
			 1);
}

/* and of those that are there already the dump tells why */
static void g20_watches_that_are_missing_are_told(void **state)
{
	(void)state;
	inject(INJECT_INOTIFY_ADD_WATCH, 1, 1, ENOSPC);
	reopen_in_sysfs("inotify,timer");
	inject_nothing();
	assert_true(dump_has(h_reg, "/dev/infiniband cannot be watched: No "
				    "space left"));
	assert_true(clock_runs());
}

/* its owner goes on reading it, and that may block */
static void g20_failed_adoption_leaves_the_context_alone(void **state)
{
	static const enum inject_call calls[] = { INJECT_MALLOC,
						  INJECT_EPOLL_CTL,
						  INJECT_FCNTL };
	struct ibv_context *mine;
	struct ibc_device *dev;
	unsigned int i, j;
	int flags;

	(void)state;
	fake_add("soft0", 0x11);
	mine = fake_open("soft0");
	flags = fcntl(mine->async_fd, F_GETFL);
	for (i = 0; i < 3; i++) {
		for (j = 1; j <= 2; j++) {
			inject(calls[i], j, 1, ENOMEM);
			dev = ibc_adopt_context(h_reg, mine,
						IBC_ADOPT_READ_EVENTS);
			assert_true(inject_hit() || dev);
			if (dev)
				break;
			assert_int_equal(fcntl(mine->async_fd, F_GETFL), flags);
			assert_false(h2_polled(h_reg, mine->async_fd));
		}
		inject_nothing();
		if (dev)
			h2_remove(dev);
		fcntl(mine->async_fd, F_SETFL, flags);
	}
	fake_close(mine);
}

/* so its hang-up is heard still, and the next try works */
static void g20_adopted_context_stays_watched_if_reading_fails(void **state)
{
	static const enum inject_call calls[] = { INJECT_EPOLL_CTL,
						  INJECT_FCNTL };
	struct ibv_context *mine;
	struct ibc_device *dev;
	unsigned int i;

	(void)state;
	fake_add("soft0", 0x11);
	mine = fake_open("soft0");
	dev = ibc_adopt_context(h_reg, mine, 0);
	assert_non_null(dev);
	for (i = 0; i < 2; i++) {
		inject(calls[i], 1, INJECT_LASTING, ENOMEM);
		check_null(ibc_adopt_context(h_reg, mine,
					     IBC_ADOPT_READ_EVENTS),
			   ENOMEM);
		inject_nothing();
		assert_true(h2_polled(h_reg, mine->async_fd));
		assert_false(dev->read_events);
	}
	assert_ptr_equal(ibc_adopt_context(h_reg, mine, IBC_ADOPT_READ_EVENTS),
			 dev);
	ibc_put_device(dev);
	h2_remove(dev);
	fake_close(mine);
}

/* what epoll would not let go may come again */
static void g20_a_context_that_stayed_in_epoll_is_adopted_again(void **state)
{
	struct ibv_context *mine;
	struct ibc_device *dev;
	unsigned int i;

	(void)state;
	fake_add("soft0", 0x11);
	mine = fake_open("soft0");
	for (i = 0; i < 2; i++) {
		dev = ibc_adopt_context(h_reg, mine, IBC_ADOPT_READ_EVENTS);
		assert_non_null(dev);
		assert_true(h2_polled(h_reg, mine->async_fd));
		inject(INJECT_EPOLL_CTL, 1, INJECT_LASTING, ENOMEM);
		h2_remove(dev);
		assert_true(inject_hit());
		inject_nothing();
	}
	fake_close(mine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_NONE(g20_fork_handlers_are_tried_again),
		IN_NONE(g20_no_locks_is_enomem),
		IN_NONE(g20_no_threads_left_is_eagain),
		IN_NONE(g20_no_inotify_watches_left_is_no_error),
		IN_NONE(g20_no_inotify_instance_left_is_no_error),
		IN_MANUAL(g20_overrun_of_the_uevent_socket_means_rescan),
		IN_ALL(g20_no_event_is_lost_for_want_of_memory),
		IN_ALL(g20_deadlines_do_without_a_timerfd),
		IN_MANUAL(g20_manual_registry_is_readable_without_a_timerfd),
		IN_MANUAL(g20_a_name_that_cannot_be_read_is_no_rename),
		IN_MANUAL(g20_news_that_there_was_no_memory_for_comes_later),
		IN_MANUAL(
			g20_news_that_there_was_no_descriptor_for_comes_later),
		IN_MANUAL(g20_uevents_are_trusted_only_for_sure),
		IN_MANUAL(g20_where_the_devices_are_may_stay_unknown),
		IN_MANUAL(g20_nodes_that_cannot_be_watched_end_the_trust),
		IN_MANUAL(g20_watches_that_are_missing_are_told),
		IN_ALL(g20_an_interrupted_put_frees_all_the_same),
		IN_MANUAL(g20_a_close_that_fails_is_told),
		IN_MANUAL(g20_a_verb_that_says_nothing_is_asked_again),
		IN_ALL(g20_a_guid_that_cannot_be_read_is_no_other_device),
		IN_MANUAL(g20_failed_adoption_leaves_the_context_alone),
		IN_MANUAL(g20_adopted_context_stays_watched_if_reading_fails),
		IN_MANUAL(g20_a_context_that_stayed_in_epoll_is_adopted_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
