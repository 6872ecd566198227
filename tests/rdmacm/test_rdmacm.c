// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantees 12 and 13 with contexts of librdmacm's, on softverbs, whose rdma_cm
 * closes the context of a device that went as soon as no id is on it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <infiniband/ibclient_rdmacm.h>

#include "cm_test.h"
#include "soft_wait.h"

#define NUM_THREADS 6
#define ROUNDS	    40

struct pd_data {
	struct ibc_client_data base;
	struct ibv_pd *pd;
};

static struct softverbs *with_soft1;
static struct ibc_registry *reg;
static struct ibc_client client;
static atomic_int adds, removes, gones;

static int add(struct ibc_client *c, struct ibc_device *dev)
{
	(void)c;
	(void)dev;
	adds++;
	return 0;
}

static void removed(struct ibc_client *c, struct ibc_device *dev,
		    struct ibc_client_data *data)
{
	(void)c;
	(void)dev;
	(void)data;
	removes++;
}

static void gone(struct ibc_client *c, struct ibc_device *dev)
{
	(void)c;
	(void)dev;
	gones++;
}

static struct ibc_client_data *alloc(struct ibc_client *c,
				     struct ibc_device *dev)
{
	struct pd_data *data = calloc(1, sizeof(*data));

	(void)c;
	data->pd = ibv_alloc_pd(ibc_device_context(dev));
	return &data->base;
}

static void free_data(struct ibc_client_data *base)
{
	struct pd_data *data = (struct pd_data *)base;

	check(!ibv_dealloc_pd(data->pd));
	free(data);
}

/* the registry hears of a removal by what the test reports, or by all sources */
static void begin(uint32_t flags, bool deaf)
{
	const struct ibc_registry_attr attr = {
		.flags = flags,
		.scan_interval_ms = deaf ? 3600000 : 0,
	};

	adds = removes = gones = 0;
	client = (struct ibc_client){
		.name = "test",
		.add = add,
		.remove = removed,
		.gone = gone,
		.alloc_client_data = alloc,
		.free_client_data = free_data,
	};
	if (deaf)
		setenv("IBC_SOURCES", "timer", 1);
	reg = ibc_open(&attr);
	unsetenv("IBC_SOURCES");
	assert_non_null(reg);
	assert_int_equal(ibc_register_client(reg, &client), 0);
}

static void remove_soft1(struct softverbs *sv)
{
	int error = softverbs_remove_device(sv, "soft1", LIMIT_MS);

	assert_true(error == 0 || error == ENODEV);
}

static void end(void)
{
	assert_int_equal(ibc_unregister_client(&client), 0);
	assert_int_equal(ibc_close(reg), 0);
	unsetenv("SOFTVERBS_CM");
	if (with_soft1)
		remove_soft1(with_soft1);
	with_soft1 = NULL;
}

/* an id on the device of that address */
static struct rdma_cm_id *bound(struct rdma_event_channel *channel,
				const char *ip)
{
	struct rdma_cm_id *id;

	assert_int_equal(rdma_create_id(channel, &id, NULL, RDMA_PS_TCP), 0);
	assert_int_equal(rdma_bind_addr(id, cm_addr(ip, 0)), 0);
	assert_non_null(id->verbs);
	return id;
}

static void add_soft1(struct cm_test *test)
{
	assert_int_equal(softverbs_add_device(test->sv, "soft1", 0, 1,
					      SOFTVERBS_REMOVAL_WAIT),
			 0);
	setenv("SOFTVERBS_CM", "127.0.0.2=soft1", 1);
	with_soft1 = test->sv;
}

/* softverbs' thread sees it; the registry need not */
static void remove_soft0(struct cm_test *test)
{
	int error = softverbs_remove_device(test->sv, "soft0", 0);

	assert_true(error == 0 || error == ETIMEDOUT);
}

#define assert_no_device(expression, error)     \
	do {                                    \
		errno = 0;                      \
		assert_null(expression);        \
		assert_int_equal(errno, error); \
	} while (0)

/* ---- which device ---- */

static void g12_ids_on_a_device_are_one_device(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_event_channel *other = rdma_create_event_channel();
	struct ibc_device *dev, *again, *second;
	struct rdma_cm_id *one, *two, *three;

	add_soft1(*state);
	begin(IBC_REGISTRY_NO_OPEN, false);
	one = bound(channel, "127.0.0.1");
	two = bound(channel, "127.0.0.1");
	three = bound(channel, "127.0.0.2");
	dev = ibc_get_rdmacm_device(reg, one, 0);
	assert_non_null(dev);
	assert_true(ibc_device_adopted(dev));
	assert_ptr_equal(ibc_device_context(dev), one->verbs);
	again = ibc_get_rdmacm_device(reg, two, 0);
	assert_ptr_equal(again, dev);
	ibc_put_device(again);
	assert_int_equal(rdma_migrate_id(one, other), 0);
	again = ibc_get_rdmacm_device(reg, one, IBC_ADOPT_READ_EVENTS);
	assert_ptr_equal(again, dev);
	ibc_put_device(again);
	second = ibc_get_rdmacm_device(reg, three, 0);
	assert_ptr_not_equal(second, dev);
	assert_string_equal(ibc_device_name(second), "soft1");
	wait_until(adds == 2);
	ibc_put_device(second);
	ibc_put_device(dev);
	rdma_destroy_id(one);
	rdma_destroy_id(two);
	rdma_destroy_id(three);
	end();
	rdma_destroy_event_channel(channel);
	rdma_destroy_event_channel(other);
}

/* one who is in a callback may be what the others wait for: he does not wait */
static int adopt_in_callback(struct ibc_device *dev, void *arg)
{
	struct ibc_device *other = ibc_get_rdmacm_device(reg, arg, 0);

	check(other && other != dev);
	ibc_put_device(other);
	return 0;
}

static void check_clients_were_told(uint32_t flags)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_cm_id *one = bound(channel, "127.0.0.1");
	struct rdma_cm_id *two = bound(channel, "127.0.0.2");
	struct ibc_client_data *data;
	struct ibc_device *dev;

	begin(IBC_REGISTRY_NO_OPEN | flags, false);
	dev = ibc_get_rdmacm_device(reg, one, 0);
	assert_non_null(dev);
	assert_int_equal(adds, 1);
	data = ibc_alloc_or_get_client_data(dev, &client);
	assert_non_null(data);
	ibc_put_client_data(data);
	assert_int_equal(ibc_for_each_device(reg, adopt_in_callback, two), 0);
	ibc_put_device(dev);
	dev = ibc_get_rdmacm_device(reg, two, 0);
	assert_int_equal(adds, 2);
	ibc_put_device(dev);
	rdma_destroy_id(one);
	rdma_destroy_id(two);
	end();
	rdma_destroy_event_channel(channel);
}

static void g05_clients_have_been_told_of_it(void **state)
{
	add_soft1(*state);
	check_clients_were_told(0);
	add_soft1(*state);
	check_clients_were_told(IBC_REGISTRY_MANUAL);
}

static void what_has_no_device_is_refused(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_cm_event event = { .event = RDMA_CM_EVENT_ESTABLISHED };
	struct rdma_cm_id *id;

	(void)state;
	begin(IBC_REGISTRY_NO_OPEN, false);
	assert_int_equal(rdma_create_id(channel, &id, NULL, RDMA_PS_TCP), 0);
	assert_no_device(ibc_get_rdmacm_device(reg, id, 0), EINVAL);
	assert_no_device(ibc_get_rdmacm_device(reg, NULL, 0), EINVAL);
	assert_int_equal(rdma_bind_addr(id, cm_addr("127.0.0.1", 0)), 0);
	assert_no_device(ibc_get_rdmacm_device(NULL, id, 0), EINVAL);
	assert_no_device(ibc_get_rdmacm_device(reg, id, 1 << 7), EINVAL);
	assert_int_equal(ibc_report_rdmacm_event(NULL, &event), EINVAL);
	assert_int_equal(ibc_report_rdmacm_event(reg, NULL), EINVAL);
	assert_int_equal(ibc_report_rdmacm_event(reg, &event), 0);
	assert_int_equal(ibc_release_rdmacm_devices(NULL), EINVAL);
	rdma_destroy_id(id);
	end();
	rdma_destroy_event_channel(channel);
}

/* nothing of the attempt is left, and it works when the address is back */
static void an_address_that_moved_keeps_nothing(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct ibc_device *dev;
	struct rdma_cm_id *id;

	add_soft1(*state);
	begin(IBC_REGISTRY_NO_OPEN, false);
	id = bound(channel, "127.0.0.1");
	setenv("SOFTVERBS_CM", "127.0.0.1=soft1", 1);
	assert_no_device(ibc_get_rdmacm_device(reg, id, 0), EADDRNOTAVAIL);
	setenv("SOFTVERBS_CM", "127.0.0.2=soft1", 1);
	dev = ibc_get_rdmacm_device(reg, id, 0);
	assert_non_null(dev);
	ibc_put_device(dev);
	rdma_destroy_id(id);
	end();
	rdma_destroy_event_channel(channel);
}

/* ---- it stays open ---- */

/* the ids are gone, the device is, and the context is used still */
static void g12_the_context_is_open_until_it_has_drained(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_cm_id *id = bound(channel, "127.0.0.1");
	struct cm_test *test = *state;
	struct ibv_device_attr attr;
	struct ibc_client_data *data;
	struct ibv_context *context;
	struct ibc_device *dev;

	add_soft1(test);
	begin(IBC_REGISTRY_NO_OPEN, false);
	dev = ibc_get_rdmacm_device(reg, id, 0);
	assert_non_null(dev);
	wait_until(adds == 1);
	data = ibc_alloc_or_get_client_data(dev, &client);
	assert_non_null(data);
	context = id->verbs;
	rdma_destroy_id(id);
	remove_soft0(test);
	/* librdmacm is made to look, too */
	assert_int_equal(ibc_release_rdmacm_devices(reg), 0);
	wait_until(ibc_device_state(dev) == IBC_DEVICE_DRAINING);
	assert_ptr_equal(ibc_device_context(dev), context);
	assert_int_equal(ibv_query_device(context, &attr), 0);
	assert_int_equal(softverbs_remove_device(test->sv, "soft0", 0), ENODEV);
	ibc_put_client_data(data);
	wait_until(gones == 1);
	assert_int_equal(removes, 1);
	ibc_put_device(dev);
	end();
	rdma_destroy_event_channel(channel);
}

static void g12_no_other_device_is_pinned(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_cm_id *id = bound(channel, "127.0.0.1");
	struct cm_test *test = *state;
	struct ibc_device *dev;

	add_soft1(test);
	begin(IBC_REGISTRY_NO_OPEN, false);
	dev = ibc_get_rdmacm_device(reg, id, 0);
	assert_non_null(dev);
	assert_int_equal(softverbs_remove_device(test->sv, "soft1", 0), 0);
	assert_int_equal(ibc_device_state(dev), IBC_DEVICE_LIVE);
	ibc_put_device(dev);
	rdma_destroy_id(id);
	end();
	rdma_destroy_event_channel(channel);
}

/* teardown finds nothing that is open */
static void g12_closing_the_registry_lets_it_go(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_cm_id *id = bound(channel, "127.0.0.1");
	struct cm_test *test = *state;
	struct ibc_device *dev;

	begin(IBC_REGISTRY_NO_OPEN, false);
	dev = ibc_get_rdmacm_device(reg, id, 0);
	rdma_destroy_id(id);
	ibc_put_device(dev);
	end();
	rdma_destroy_event_channel(channel);
	assert_int_equal(softverbs_remove_device(test->sv, "soft0", LIMIT_MS),
			 0);
}

/* ---- removal ---- */

/* nobody else tells the registry; twice is once */
static void check_told_by_the_event(struct cm_test *test)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_cm_id *id = bound(channel, "127.0.0.1");
	struct rdma_cm_event *event;
	struct ibc_device *dev;

	begin(IBC_REGISTRY_NO_OPEN, true);
	dev = ibc_get_rdmacm_device(reg, id, 0);
	wait_until(adds == 1);
	remove_soft0(test);
	event = cm_expect(channel, RDMA_CM_EVENT_DEVICE_REMOVAL, 0);
	assert_int_equal(ibc_device_state(dev), IBC_DEVICE_LIVE);
	assert_int_equal(ibc_report_rdmacm_event(reg, event), 0);
	assert_int_equal(ibc_report_rdmacm_event(reg, event), 0);
	wait_until(gones == 1);
	assert_int_equal(ibc_remove_device(dev), 0);
	assert_int_equal(ibc_report_rdmacm_event(reg, event), 0);
	rdma_ack_cm_event(event);
	rdma_destroy_id(id);
	assert_int_equal(removes, 1);
	ibc_put_device(dev);
	end();
	rdma_destroy_event_channel(channel);
}

static void g13_device_removal_is_a_trigger(void **state)
{
	check_told_by_the_event(*state);
}

/* its own context of the same device is not the id's: a list confirms it */
static void g13_device_removal_is_a_hint_for_its_own(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_cm_id *id = bound(channel, "127.0.0.1");
	struct rdma_cm_event *event, lie = {
		.event = RDMA_CM_EVENT_DEVICE_REMOVAL,
		.id = id,
	};
	struct ibc_stats stats;
	struct ibc_device *own;

	begin(0, true);
	wait_until(adds == 1);
	own = ibc_get_device_by_name(reg, "soft0");
	assert_non_null(own);
	assert_int_equal(ibc_report_rdmacm_event(reg, &lie), 0);
	wait_until(!ibc_query_stats(reg, &stats, sizeof(stats)) &&
		   stats.false_hints == 1);
	assert_int_equal(ibc_device_state(own), IBC_DEVICE_LIVE);
	remove_soft0(*state);
	event = cm_expect(channel, RDMA_CM_EVENT_DEVICE_REMOVAL, 0);
	assert_int_equal(ibc_report_rdmacm_event(reg, event), 0);
	rdma_ack_cm_event(event);
	wait_until(gones == 1);
	ibc_put_device(own);
	rdma_destroy_id(id);
	end();
	rdma_destroy_event_channel(channel);
}

/* while it goes it is nobody's; the next device of that address is another one */
static void g14_what_comes_after_is_another_device(void **state)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_cm_id *id = bound(channel, "127.0.0.1"), *next;
	struct cm_test *test = *state;
	struct ibc_client_data *data;
	struct ibc_device *dev, *after;

	begin(IBC_REGISTRY_NO_OPEN, false);
	dev = ibc_get_rdmacm_device(reg, id, 0);
	wait_until(adds == 1);
	data = ibc_alloc_or_get_client_data(dev, &client);
	remove_soft0(test);
	assert_non_null(data);
	wait_until(ibc_device_state(dev) == IBC_DEVICE_DRAINING);
	assert_no_device(ibc_get_rdmacm_device(reg, id, 0), ENODEV);
	ibc_put_client_data(data);
	wait_until(gones == 1);
	rdma_destroy_id(id);
	wait_until(!softverbs_add_device(test->sv, "soft0", 0, 1,
					 SOFTVERBS_REMOVAL_WAIT));
	next = bound(channel, "127.0.0.1");
	after = ibc_get_rdmacm_device(reg, next, 0);
	assert_non_null(after);
	assert_true(ibc_device_incarnation(after) >
		    ibc_device_incarnation(dev));
	ibc_put_device(after);
	ibc_put_device(dev);
	rdma_destroy_id(next);
	end();
	rdma_destroy_event_channel(channel);
}

/* it is asked where nothing is left, and where something is */
static void release_says_when_there_is_no_device(void **state)
{
	struct cm_test *test = *state;

	begin(IBC_REGISTRY_NO_OPEN, false);
	assert_int_equal(ibc_release_rdmacm_devices(reg), 0);
	remove_soft0(test);
	assert_int_equal(ibc_release_rdmacm_devices(reg), ENODEV);
	add_soft1(test);
	assert_int_equal(ibc_release_rdmacm_devices(reg), 0);
	end();
}

/* ---- many at once ---- */

/* cm_addr() has one answer for all threads */
static struct rdma_cm_id *bound_here(struct rdma_event_channel *channel)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct rdma_cm_id *id;

	check(!rdma_create_id(channel, &id, NULL, RDMA_PS_TCP));
	check(!rdma_bind_addr(id, (struct sockaddr *)&sin) && id->verbs);
	return id;
}

static void *come_and_go(void *arg)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct ibc_client_data *data;
	struct ibc_device *dev;
	struct rdma_cm_id *id;
	int i;

	(void)arg;
	for (i = 0; i < ROUNDS; i++) {
		id = bound_here(channel);
		dev = ibc_get_rdmacm_device(reg, id, 0);
		check(dev);
		/* whoever came first, its add() has run */
		data = ibc_alloc_or_get_client_data(dev, &client);
		check(data);
		check(data->device == dev);
		ibc_put_device(dev);
		rdma_destroy_id(id);
		ibc_put_client_data(data);
	}
	rdma_destroy_event_channel(channel);
	return NULL;
}

static void g12_many_ids_at_once_are_one_device(void **state)
{
	pthread_t threads[NUM_THREADS];
	int i;

	(void)state;
	begin(IBC_REGISTRY_NO_OPEN, false);
	for (i = 0; i < NUM_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go,
						NULL),
				 0);
	for (i = 0; i < NUM_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(adds, 1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CM_TEST(g12_ids_on_a_device_are_one_device),
		CM_TEST(g05_clients_have_been_told_of_it),
		CM_TEST(what_has_no_device_is_refused),
		CM_TEST(an_address_that_moved_keeps_nothing),
		CM_TEST(g12_the_context_is_open_until_it_has_drained),
		CM_TEST(g12_no_other_device_is_pinned),
		CM_TEST(g12_closing_the_registry_lets_it_go),
		CM_TEST(g13_device_removal_is_a_trigger),
		CM_TEST_FATAL(g13_device_removal_is_a_trigger),
		CM_TEST(g13_device_removal_is_a_hint_for_its_own),
		CM_TEST(g14_what_comes_after_is_another_device),
		CM_TEST(release_says_when_there_is_no_device),
		CM_TEST(g12_many_ids_at_once_are_one_device),
	};

	return cmocka_run_group_tests(tests, cm_group_setup, NULL);
}
