// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What users of SPDK's PDs rely on; Documentation/porting.md lists these tests. */
#include <pthread.h>
#include <stdatomic.h>

#include "port_test.h"
#include "spdk_pd.h"

#define NUM_THREADS 8
#define ROUNDS	    50

static int setup(void **state)
{
	return port_setup(state) || spdk_pd_begin(port_reg);
}

static int teardown(void **state)
{
	assert_int_equal(spdk_pd_end(), 0);
	return port_teardown(state);
}

static unsigned long frees(void)
{
	struct ibc_stats stats;

	assert_int_equal(ibc_query_stats(port_reg, &stats, sizeof(stats)), 0);
	return stats.frees;
}

static struct ibv_pd *get(struct ibv_context *context)
{
	struct ibv_pd *pd = spdk_get_pd(context);

	assert_non_null(pd);
	assert_ptr_equal(pd->context, context);
	return pd;
}

static void put(struct ibv_pd *pd)
{
	assert_int_equal(spdk_put_pd(pd), 0);
}

/* what the owner of a context has to do before he closes it */
static void close_context(struct ibv_context *context)
{
	struct ibc_device *dev = ibc_get_device_by_context(port_reg, context);

	if (dev) {
		assert_int_equal(ibc_remove_device(dev), 0);
		assert_int_equal(ibc_wait_drained(dev, LIMIT_MS), 0);
		ibc_put_device(dev);
	}
	assert_int_equal(ibv_close_device(context), 0);
}

static void the_same_pd_for_the_same_context(void **state)
{
	struct ibv_context *context = soft_open("soft0");
	struct ibv_pd *pd = get(context);

	(void)state;
	assert_ptr_equal(get(context), pd);
	put(pd);
	put(pd);
	close_context(context);
}

/* of another device, and of the same, too: a PD belongs to its context */
static void another_pd_for_another_context(void **state)
{
	struct ibv_context *contexts[] = { soft_open("soft0"),
					   soft_open("soft0"),
					   soft_open("soft1") };
	struct ibv_pd *pds[3];
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		pds[i] = get(contexts[i]);
	assert_ptr_not_equal(pds[0], pds[1]);
	assert_ptr_not_equal(pds[0], pds[2]);
	assert_ptr_not_equal(pds[1], pds[2]);
	for (i = 0; i < 3; i++) {
		put(pds[i]);
		close_context(contexts[i]);
	}
}

static void it_is_freed_with_the_last_put(void **state)
{
	struct ibv_context *context = soft_open("soft0");
	struct ibv_pd *pd = get(context);
	unsigned long before = frees();

	(void)state;
	get(context);
	put(pd);
	assert_int_equal(frees(), before);
	put(pd);
	assert_int_equal(frees(), before + 1);
	assert_int_equal(spdk_put_pd(pd), EINVAL);
	put(get(context));
	assert_int_equal(frees(), before + 2);
	close_context(context);
}

static void other_devices_may_come_and_go(void **state)
{
	struct ibv_context *context = soft_open("soft0");
	struct ibv_pd *pd = get(context);
	struct ibc_device *other;
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		port_remove_device("soft1");
		assert_ptr_equal(get(context), pd);
		port_add_device("soft1");
		other = port_device("soft1");
		ibc_put_device(other);
		assert_ptr_equal(get(context), pd);
	}
	for (i = 0; i < 7; i++)
		put(pd);
	close_context(context);
}

/* the owner closes and opens; where the new one lies, an old one lay */
static void
a_context_in_the_place_of_an_old_one_has_a_pd_of_its_own(void **state)
{
	struct ibv_context *context = soft_open("soft0"), *next;
	uintptr_t place = (uintptr_t)context;
	struct ibv_pd *pd;
	int i, same = 0;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		pd = get(context);
		put(pd);
		close_context(context);
		next = soft_open("soft0");
		same += (uintptr_t)next == place;
		context = next;
		place = (uintptr_t)next;
	}
	print_message("%d contexts of %d in the place of the last one\n", same,
		      ROUNDS);
	close_context(context);
}

/* its device goes, and comes under the same name: nobody gets the old PD */
static void a_device_that_goes_takes_its_pd_along(void **state)
{
	struct ibv_context *context = soft_open("soft0");
	struct ibv_pd *pd = get(context);
	struct ibc_device *dev = ibc_get_device_by_context(port_reg, context);
	unsigned long before = frees();

	(void)state;
	assert_int_equal(softverbs_remove_device(port_sv, "soft0", 0),
			 ETIMEDOUT);
	wait_until(ibc_device_state(dev) == IBC_DEVICE_DRAINING);
	assert_error(spdk_get_pd(context), ENODEV);
	assert_int_equal(frees(), before);
	put(pd);
	assert_int_equal(frees(), before + 1);
	assert_int_equal(ibc_wait_drained(dev, LIMIT_MS), 0);
	ibc_put_device(dev);
	assert_int_equal(ibv_close_device(context), 0);

	wait_until(softverbs_add_device(port_sv, "soft0", 0, 1,
					SOFTVERBS_REMOVAL_WAIT) == 0);
	wait_until((context = soft_open("soft0")));
	put(get(context));
	close_context(context);
}

static void what_is_not_ours_is_said_so(void **state)
{
	struct ibv_context *context = soft_open("soft0");
	struct ibv_pd *own = ibv_alloc_pd(context);

	(void)state;
	assert_error(spdk_get_pd(NULL), EINVAL);
	assert_int_equal(spdk_put_pd(NULL), EINVAL);
	assert_int_equal(spdk_put_pd(own), EINVAL);
	assert_int_equal(ibv_dealloc_pd(own), 0);
	close_context(context);
}

static void why_there_is_no_pd(void **state)
{
	struct ibv_context *context = soft_open("soft0");

	(void)state;
	assert_int_equal(
		softverbs_set_fault(port_sv, "soft0", "alloc_pd=ENOMEM:1"), 0);
	assert_error(spdk_get_pd(context), ENOMEM);
	put(get(context));
	close_context(context);
}

/* ---- many threads ---- */

static struct ibv_context *shared_context;

static void *get_and_put(void *arg)
{
	struct ibv_pd *pd, *again;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		pd = spdk_get_pd(shared_context);
		check(pd);
		again = spdk_get_pd(shared_context);
		check(again == pd);
		check(!spdk_put_pd(again));
		check(!spdk_put_pd(pd));
	}
	return arg;
}

static void threads_have_one_pd_at_a_time(void **state)
{
	pthread_t threads[NUM_THREADS];
	int i;

	(void)state;
	shared_context = soft_open("soft0");
	for (i = 0; i < NUM_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, get_and_put,
						NULL),
				 0);
	for (i = 0; i < NUM_THREADS; i++)
		pthread_join(threads[i], NULL);
	close_context(shared_context);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_same_pd_for_the_same_context),
		TEST(another_pd_for_another_context),
		TEST(it_is_freed_with_the_last_put),
		TEST(other_devices_may_come_and_go),
		TEST(a_context_in_the_place_of_an_old_one_has_a_pd_of_its_own),
		TEST(a_device_that_goes_takes_its_pd_along),
		TEST(what_is_not_ours_is_said_so),
		TEST(why_there_is_no_pd),
		TEST(threads_have_one_pd_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
