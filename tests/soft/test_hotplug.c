// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * libibclient on a device that other processes remove, in both styles, while
 * threads hold references for a random time. What is checked: each (client,
 * incarnation) has one add(), one remove() and one gone(), in that order; data
 * is freed as often as it was made; no descriptor, thread or byte is left.
 *
 *	soft_hotplug [timed]
 *
 * With "timed" also how long after the last close the remove command returns.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <infiniband/ibclient.h>

#include "scale.h"
#include "soft_test.h"

#define NUM_WARM_UP 20
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NUM_REMOVALS 60
#else
#define NUM_REMOVALS 200
#endif
#define NUM_ROUNDS    (NUM_WARM_UP + NUM_REMOVALS)
#define NUM_CLIENTS   2
#define NUM_USERS     4
#define MAX_HOLD_US   4000
#define MAX_RETURN_NS 10000000LL

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	!__GLIBC_PREREQ(2, 33)
#define HAVE_MALLINFO2 0
#else
#define HAVE_MALLINFO2 1
#endif

enum { NOTHING, ADDED, REMOVED, GONE };

struct client {
	struct ibc_client ibc;
	unsigned int added, gone; /* under the lock */
	unsigned int held;	  /* remove() while somebody held data */
	_Atomic uint8_t *history; /* by incarnation */
	atomic_uint allocs, frees;
};

struct data {
	struct ibc_client_data ibc;
	struct ibv_pd *pd;
};

static struct ibc_registry *registry;
static struct client clients[NUM_CLIENTS];
static uint32_t removal;
static bool timed;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned int num_held, num_gets; /* under the lock */
static atomic_bool pause_users, stop_users;
static atomic_uint num_paused;
static _Atomic int64_t last_close;

#define require(condition)                                               \
	do {                                                             \
		if (!(condition)) {                                      \
			fprintf(stderr, "%s:%d: not so: %s\n", __func__, \
				__LINE__, #condition);                   \
			abort();                                         \
		}                                                        \
	} while (0)

/*
 * Stands before the interposer's. The time is that of its start: nobody can
 * have closed later than the library asked for it.
 */
int ibv_close_device(struct ibv_context *context)
{
	static _Atomic(void *) next;
	void *fn = atomic_load(&next);

	if (!fn) {
		fn = dlsym(RTLD_NEXT, "ibv_close_device");
		require(fn);
		atomic_store(&next, fn);
	}
	atomic_store(&last_close, scale_now_ns());
	return ((int (*)(struct ibv_context *))fn)(context);
}

/* ---- the clients ---- */

static void step(struct ibc_client *ibc, struct ibc_device *dev, uint8_t from,
		 uint8_t to)
{
	struct client *c = (struct client *)ibc;
	uint64_t incarnation = ibc_device_incarnation(dev);

	require(incarnation && incarnation <= 2 * NUM_ROUNDS);
	require(atomic_exchange(&c->history[incarnation], to) == from);
	pthread_mutex_lock(&lock);
	c->added += to == ADDED;
	c->gone += to == GONE;
	c->held += to == REMOVED && num_held;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	step(client, dev, NOTHING, ADDED);
	return 0;
}

static void removing(struct ibc_client *client, struct ibc_device *dev,
		     struct ibc_client_data *data)
{
	require(!data || ((struct data *)data)->pd);
	step(client, dev, ADDED, REMOVED);
}

static void gone(struct ibc_client *client, struct ibc_device *dev)
{
	step(client, dev, REMOVED, GONE);
}

static struct ibc_client_data *make(struct ibc_client *client,
				    struct ibc_device *dev)
{
	struct data *data = calloc(1, sizeof(*data));

	require(data);
	data->pd = ibv_alloc_pd(ibc_device_context(dev));
	if (!data->pd) {
		require(errno == EIO && removal == SOFTVERBS_REMOVAL_FATAL);
		free(data);
		errno = EIO;
		return NULL;
	}
	atomic_fetch_add(&((struct client *)client)->allocs, 1);
	return &data->ibc;
}

static void destroy(struct ibc_client_data *ibc)
{
	struct data *data = (struct data *)ibc;

	require(ibv_dealloc_pd(data->pd) == 0);
	atomic_fetch_add(&((struct client *)ibc->client)->frees, 1);
	free(data);
}

/* ---- who holds references ---- */

static void count_held(int by)
{
	pthread_mutex_lock(&lock);
	num_held += by;
	num_gets += by > 0;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* every verb works, but after a fatal removal */
static void use(struct ibc_client_data *data)
{
	struct ibv_device_attr attr;
	int error = ibv_query_device(ibc_device_context(data->device), &attr);

	require(!error || (error == EIO && removal == SOFTVERBS_REMOVAL_FATAL));
}

static void hold_one(struct ibc_device *dev, unsigned int *seed)
{
	struct ibc_client *client = &clients[rand_r(seed) % NUM_CLIENTS].ibc;
	struct timespec ts = {
		.tv_nsec = rand_r(seed) % MAX_HOLD_US * 1000L,
	};
	struct ibc_client_data *data =
		ibc_alloc_or_get_client_data(dev, client);

	if (!data) {
		require(errno == ENODEV || errno == ENOENT || errno == EIO);
		return;
	}
	count_held(1);
	use(data);
	nanosleep(&ts, NULL);
	use(data);
	count_held(-1);
	ibc_put_client_data(data);
}

static void wait_while_paused(void)
{
	if (!atomic_load(&pause_users))
		return;
	atomic_fetch_add(&num_paused, 1);
	while (atomic_load(&pause_users))
		soft_sleep_ms(1);
	atomic_fetch_sub(&num_paused, 1);
}

static void *user(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	struct ibc_device *dev;

	while (!atomic_load(&stop_users)) {
		wait_while_paused();
		dev = ibc_get_device_by_name(registry, "soft0");
		if (dev) {
			hold_one(dev, &seed);
			ibc_put_device(dev);
		} else {
			require(errno == ENODEV);
			soft_sleep_ms(1);
		}
	}
	return NULL;
}

/* ---- rounds ---- */

static void wait_changed(void)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += SCALE_WAIT_MS / 1000;
	require(pthread_cond_timedwait(&changed, &lock, &end) == 0);
}

static void wait_counts(unsigned int added, unsigned int num_gone)
{
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < NUM_CLIENTS; i++)
		while (clients[i].added < added || clients[i].gone < num_gone)
			wait_changed();
	pthread_mutex_unlock(&lock);
}

/* somebody holds a reference, and has taken it in this round */
static void wait_held(void)
{
	unsigned int before;

	pthread_mutex_lock(&lock);
	before = num_gets;
	while (num_gets == before || !num_held)
		wait_changed();
	pthread_mutex_unlock(&lock);
}

/*
 * One device comes and goes. A fatal removal leaves the name free at once: the
 * next incarnation comes while this one drains. Returns how long after the last
 * close the command came back.
 */
static int64_t come_and_go(struct scale_fabric *fabric, unsigned int round)
{
	const char *const words[] = { "remove", "soft0", NULL };
	pid_t pid;

	require(softverbs_add_device(fabric->sv, "soft0", 0, 1, removal) == 0);
	wait_counts(round + 1, 0);
	wait_held();
	pid = scale_start_command(-1, words);
	require(scale_wait(pid) == 0);
	return scale_now_ns() - atomic_load(&last_close);
}

struct usage {
	int fds, threads;
	size_t bytes;
};

/* with every device gone and nobody at work */
static void measure(struct usage *usage, unsigned int rounds)
{
	int64_t end = soft_now_ms() + SCALE_WAIT_MS;

	wait_counts(rounds, rounds);
	atomic_store(&pause_users, true);
	while (atomic_load(&num_paused) < NUM_USERS) {
		require(soft_now_ms() < end);
		soft_sleep_ms(1);
	}
	/* it holds the last list that it applied: now that is an empty one */
	require(ibc_rescan(registry) == 0);
	usage->fds = scale_count_fds();
	usage->threads = scale_count_threads();
#if HAVE_MALLINFO2
	usage->bytes = mallinfo2().uordblks;
#endif
	atomic_store(&pause_users, false);
}

/*
 * A leak of the least that malloc gives, 32 bytes, at each removal would be 6400
 * bytes. What may differ are buffers that grow to what was needed most.
 */
#define SLACK_BYTES 2048

static void compare(const struct usage *before, const struct usage *after)
{
	printf("measured: after %d and %d removals: %d and %d descriptors, "
	       "%d and %d threads",
	       NUM_WARM_UP, NUM_ROUNDS, before->fds, after->fds,
	       before->threads, after->threads);
	if (HAVE_MALLINFO2)
		printf(", %zu and %zu bytes", before->bytes, after->bytes);
	printf("\n");
	assert_int_equal(before->fds, after->fds);
	assert_int_equal(before->threads, after->threads);
	assert_true(after->bytes <= before->bytes + SLACK_BYTES);
}

static void run_rounds(struct scale_fabric *fabric, int64_t *after_close)
{
	struct usage before = {}, after = {};
	unsigned int round;
	int64_t ns;

	for (round = 0; round < NUM_ROUNDS; round++) {
		if (round == NUM_WARM_UP)
			measure(&before, round);
		ns = come_and_go(fabric, round);
		if (round >= NUM_WARM_UP)
			after_close[round - NUM_WARM_UP] = ns;
	}
	measure(&after, round);
	compare(&before, &after);
}

/* ---- start and end ---- */

static void start(pthread_t *users)
{
	uintptr_t i;

	registry = ibc_open(&(struct ibc_registry_attr){ .num_threads = 2 });
	assert_non_null(registry);
	for (i = 0; i < NUM_CLIENTS; i++) {
		clients[i] = (struct client){
			.ibc = { .name = i ? "second" : "first",
				 .flags =
					 i ? IBC_CLIENT_FREE_UNUSED |
							 IBC_CLIENT_DEFER_FREE :
					     0,
				 .add = add,
				 .remove = removing,
				 .gone = gone,
				 .alloc_client_data = make,
				 .free_client_data = destroy },
			.history = calloc(2 * NUM_ROUNDS + 1, 1),
		};
		assert_non_null(clients[i].history);
		assert_int_equal(ibc_register_client(registry, &clients[i].ibc),
				 0);
	}
	num_held = num_gets = 0;
	atomic_store(&stop_users, false);
	for (i = 0; i < NUM_USERS; i++)
		assert_int_equal(pthread_create(&users[i], NULL, user,
						(void *)(i + 1)),
				 0);
}

static void check_client(struct client *c)
{
	unsigned int i, num = 0;

	for (i = 0; i <= 2 * NUM_ROUNDS; i++) {
		assert_true(c->history[i] == NOTHING || c->history[i] == GONE);
		num += c->history[i] == GONE;
	}
	assert_int_equal(num, NUM_ROUNDS);
	assert_int_equal(c->added, NUM_ROUNDS);
	assert_int_equal(c->gone, NUM_ROUNDS);
	assert_int_equal(c->allocs, c->frees);
	assert_true(c->allocs > 0);
	printf("measured: client %s: %u of %u removals met a reference\n",
	       c->ibc.name, c->held, c->gone);
	assert_true(c->held > 0);
}

static void finish(pthread_t *users)
{
	struct ibc_stats stats;
	int i;

	atomic_store(&stop_users, true);
	for (i = 0; i < NUM_USERS; i++)
		pthread_join(users[i], NULL);
	assert_int_equal(num_held, 0);
	assert_int_equal(ibc_query_stats(registry, &stats, sizeof(stats)), 0);
	assert_int_equal(stats.devices_added, NUM_ROUNDS);
	assert_int_equal(stats.devices_gone, NUM_ROUNDS);
	for (i = 0; i < NUM_CLIENTS; i++) {
		assert_int_equal(ibc_unregister_client(&clients[i].ibc), 0);
		check_client(&clients[i]);
		free(clients[i].history);
	}
	assert_int_equal(ibc_close(registry), 0);
}

static void removals(void)
{
	const char *what = removal == SOFTVERBS_REMOVAL_WAIT ? "wait" : "fatal";
	int num_threads = scale_count_threads();
	static int64_t after_close[NUM_REMOVALS];
	struct scale_fabric fabric;
	pthread_t users[NUM_USERS];
	char *tree;

	printf("removal %s\n", what);
	scale_make_fabric(&fabric);
	start(users);
	run_rounds(&fabric, after_close);
	finish(users);
	scale_wait_threads(num_threads);
	tree = scale_tree(&fabric);
	assert_string_equal(tree, fabric.tree);
	free(tree);
	scale_remove_fabric(&fabric);
	if (timed && removal == SOFTVERBS_REMOVAL_WAIT)
		assert_true(scale_report("from the last close to the end of "
					 "`softverbs remove`",
					 after_close,
					 NUM_REMOVALS) < MAX_RETURN_NS);
}

static void removed_wait(void **state)
{
	(void)state;
	removal = SOFTVERBS_REMOVAL_WAIT;
	removals();
}

static void removed_fatal(void **state)
{
	(void)state;
	removal = SOFTVERBS_REMOVAL_FATAL;
	removals();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(removed_wait),
		cmocka_unit_test(removed_fatal),
	};

	scale_start_first_thread();
	timed = argc > 1 && strcmp(argv[1], "timed") == 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
