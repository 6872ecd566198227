// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* One PD for each device, for several libraries of a process, on softverbs. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <infiniband/ibclient_pd.h>

#include "soft_wait.h"

#define NUM_THREADS 6
#define ROUNDS	    60

static struct softverbs *sv;
static struct ibc_registry *reg;
static char dir[64];

static int setup(void **state)
{
	(void)state;
	unsetenv("LD_PRELOAD"); /* not for rm and a sanitizer's helpers */
	strcpy(dir, "/tmp/soft-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	setenv("SOFTVERBS_DIR", dir, 1);
	sv = softverbs_open(NULL);
	assert_non_null(sv);
	assert_int_equal(softverbs_add_device(sv, "soft0", 0, 1,
					      SOFTVERBS_REMOVAL_WAIT),
			 0);
	reg = ibc_open(&(struct ibc_registry_attr){ .num_threads = 2 });
	assert_non_null(reg);
	return 0;
}

static int teardown(void **state)
{
	char command[128];
	int error;

	(void)state;
	assert_int_equal(ibc_close(reg), 0);
	error = softverbs_remove_device(sv, "soft0", LIMIT_MS);
	assert_true(error == 0 || error == ENODEV);
	softverbs_close(sv);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
	return 0;
}

static struct ibc_device *soft0(void)
{
	struct ibc_device *dev = ibc_get_device_by_name(reg, "soft0");

	assert_non_null(dev);
	return dev;
}

/* ---- one for all ---- */

static void all_have_the_same(void **state)
{
	struct ibc_pd *one, *two;
	struct ibc_device *dev;
	struct ibv_mr *mr;
	char buffer[64];

	(void)state;
	assert_int_equal(ibc_open_pds(reg), 0);
	assert_int_equal(ibc_open_pds(reg), 0);
	dev = soft0();
	one = ibc_get_pd(dev);
	two = ibc_get_pd(dev);
	assert_non_null(one);
	assert_ptr_equal(one, two);
	assert_ptr_equal(one->data.device, dev);
	assert_ptr_equal(one->pd->context, ibc_device_context(dev));
	assert_int_equal(ibc_close_pds(reg), 0); /* one library ends */
	ibc_put_pd(one);
	mr = ibv_reg_mr(two->pd, buffer, sizeof(buffer), 0);
	assert_non_null(mr);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	ibc_hold_pd(two);
	ibc_put_pd(two);
	ibc_put_pd(two);
	assert_int_equal(ibc_close_pds(reg), 0);
	assert_int_equal(ibc_close_pds(reg), EINVAL);
	ibc_put_device(dev);
}

struct closer {
	pthread_t thread;
	atomic_bool put; /* is being */
};

static void *close_it(void *arg)
{
	struct closer *c = arg;

	check(!ibc_close_pds(reg));
	check(atomic_load(&c->put));
	return NULL;
}

static void the_last_close_waits_for_puts(void **state)
{
	struct closer c = {};
	struct ibc_device *dev;
	struct ibc_pd *pd;

	(void)state;
	assert_int_equal(ibc_open_pds(reg), 0);
	dev = soft0();
	pd = ibc_get_pd(dev);
	assert_non_null(pd);
	assert_int_equal(pthread_create(&c.thread, NULL, close_it, &c), 0);
	soft_sleep_ms(5); /* so that a close which does not wait is over */
	atomic_store(&c.put, true);
	ibc_put_pd(pd);
	pthread_join(c.thread, NULL);
	errno = 0;
	assert_null(ibc_get_pd(dev));
	assert_int_equal(errno, EINVAL);
	ibc_put_device(dev);
}

/* a removal waits for the PD, and for nothing else */
static void a_removal_waits_for_it(void **state)
{
	struct ibc_device *dev;
	struct ibc_pd *pd;

	(void)state;
	assert_int_equal(ibc_open_pds(reg), 0);
	dev = soft0();
	pd = ibc_get_pd(dev);
	assert_non_null(pd);
	assert_int_equal(softverbs_remove_device(sv, "soft0", 0), ETIMEDOUT);
	wait_until(ibc_device_state(dev) == IBC_DEVICE_DRAINING);
	errno = 0;
	assert_null(ibc_get_pd(dev));
	assert_int_equal(errno, ENODEV);
	ibc_put_pd(pd);
	wait_until(ibc_device_state(dev) == IBC_DEVICE_GONE);
	ibc_put_device(dev);
	/* the next one has its own */
	assert_int_equal(softverbs_add_device(sv, "soft0", 0, 1,
					      SOFTVERBS_REMOVAL_WAIT),
			 0);
	assert_int_equal(ibc_rescan(reg), 0);
	wait_until((dev = ibc_get_device_by_name(reg, "soft0")));
	/* ENOENT: the new device has not come to it */
	wait_until((pd = ibc_get_pd(dev)) || errno != ENOENT);
	assert_non_null(pd);
	ibc_put_pd(pd);
	ibc_put_device(dev);
	assert_int_equal(ibc_close_pds(reg), 0);
}

static void what_is_wrong_is_said(void **state)
{
	struct ibc_device *dev;
	struct ibc_pd *pd;

	(void)state;
	assert_int_equal(ibc_open_pds(NULL), EINVAL);
	assert_int_equal(ibc_close_pds(NULL), EINVAL);
	assert_int_equal(ibc_close_pds(reg), EINVAL);
	ibc_hold_pd(NULL);
	ibc_put_pd(NULL);
	assert_error(ibc_get_pd(NULL), EINVAL);
	assert_int_equal(ibc_open_pds(reg), 0);
	dev = soft0();
	assert_int_equal(softverbs_set_fault(sv, "soft0", "alloc_pd=ENOSPC:1"),
			 0);
	assert_error(ibc_get_pd(dev), ENOSPC);
	pd = ibc_get_pd(dev);
	assert_non_null(pd);
	ibc_put_pd(pd);
	ibc_put_device(dev);
	assert_int_equal(ibc_close_pds(reg), 0);
}

static int in_child(struct ibc_device *dev)
{
	if (ibc_open_pds(reg) != ECHILD || ibc_close_pds(reg) != ECHILD)
		return 1;
	errno = 0;
	return ibc_get_pd(dev) || errno != ECHILD ? 2 : 0;
}

static void a_forked_child_is_told_so(void **state)
{
	struct ibc_device *dev;
	int status, i;
	pid_t child;

	(void)state;
	for (i = 0; i < 2; i++) /* none of the child's is the last close */
		assert_int_equal(ibc_open_pds(reg), 0);
	dev = soft0();
	child = fork();
	assert_true(child >= 0);
	if (!child)
		_exit(in_child(dev));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	ibc_put_device(dev);
	for (i = 0; i < 2; i++)
		assert_int_equal(ibc_close_pds(reg), 0);
}

/* ---- in callbacks ---- */

static atomic_int adds;
static _Atomic(struct ibc_pd *) in_add;

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	in_add = ibc_get_pd(dev);
	adds++;
	return 0;
}

static void who_registers_later_has_it_in_add(void **state)
{
	struct ibc_client client = { .name = "test", .add = add };
	struct ibc_device *dev;
	struct ibc_pd *pd;

	(void)state;
	assert_int_equal(ibc_open_pds(reg), 0);
	assert_int_equal(ibc_register_client(reg, &client), 0);
	dev = soft0();
	pd = ibc_get_pd(dev);
	assert_non_null(pd);
	assert_ptr_equal(pd, in_add);
	ibc_put_pd(pd);
	ibc_put_pd(in_add);
	ibc_put_device(dev);
	assert_int_equal(ibc_unregister_client(&client), 0);
	assert_int_equal(ibc_close_pds(reg), 0);
}

static atomic_bool others_wait;

/* while another thread's first ibc_open_pds() waits for this very callback */
static int open_in_add(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	(void)dev;
	while (!atomic_load(&others_wait))
		sched_yield();
	check(!ibc_open_pds(reg));
	check(!ibc_open_pds(reg));
	check(!ibc_close_pds(reg));
	adds++;
	return 0;
}

static void *open_it(void *arg)
{
	(void)arg;
	atomic_store(&others_wait, true);
	check(!ibc_open_pds(reg));
	return NULL;
}

static void to_open_in_a_callback_waits_for_nobody(void **state)
{
	struct ibc_client client = { .name = "test", .add = open_in_add };
	pthread_t threads[2];
	int i;

	(void)state;
	adds = 0;
	others_wait = false;
	for (i = 0; i < 2; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, open_it, NULL), 0);
	assert_int_equal(ibc_register_client(reg, &client), 0);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(adds, 1);
	assert_int_equal(ibc_unregister_client(&client), 0);
	while (!ibc_close_pds(reg))
		;
}

static atomic_int refused;

static int close_in_add(struct ibc_client *client, struct ibc_device *dev)
{
	struct ibc_pd *pd;

	(void)client;
	refused = ibc_close_pds(reg);
	pd = ibc_get_pd(dev);
	check(pd);
	ibc_put_pd(pd);
	return 0;
}

/* and is as it was */
static void the_last_close_in_a_callback_is_refused(void **state)
{
	struct ibc_client client = { .name = "test", .add = close_in_add };

	(void)state;
	assert_int_equal(ibc_open_pds(reg), 0);
	assert_int_equal(ibc_register_client(reg, &client), 0);
	assert_int_equal(refused, EDEADLK);
	assert_int_equal(ibc_unregister_client(&client), 0);
	assert_int_equal(ibc_close_pds(reg), 0);
}

/* ---- many at once ---- */

static void *come_and_go(void *arg)
{
	struct ibc_registry *mine = arg;
	struct ibc_device *dev;
	struct ibv_mr *mr;
	struct ibc_pd *pd;
	char buffer[64];
	int i;

	for (i = 0; i < ROUNDS; i++) {
		check(!ibc_open_pds(mine));
		dev = ibc_get_device_by_name(mine, "soft0");
		check(dev);
		pd = ibc_get_pd(dev);
		check(pd && ibc_device_registry(pd->data.device) == mine);
		mr = ibv_reg_mr(pd->pd, buffer, sizeof(buffer), 0);
		check(mr && !ibv_dereg_mr(mr));
		ibc_put_pd(pd);
		ibc_put_device(dev);
		check(!ibc_close_pds(mine));
	}
	return NULL;
}

static void many_libraries_and_two_registries(void **state)
{
	struct ibc_registry *other;
	pthread_t threads[NUM_THREADS];
	int i;

	(void)state;
	other = ibc_open(&(struct ibc_registry_attr){ .num_threads = 1 });
	assert_non_null(other);
	for (i = 0; i < NUM_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go,
						i % 2 ? reg : other),
				 0);
	for (i = 0; i < NUM_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(ibc_close_pds(reg), EINVAL);
	assert_int_equal(ibc_close_pds(other), EINVAL);
	assert_int_equal(ibc_close(other), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_have_the_same),
		TEST(the_last_close_waits_for_puts),
		TEST(a_removal_waits_for_it),
		TEST(what_is_wrong_is_said),
		TEST(a_forked_child_is_told_so),
		TEST(who_registers_later_has_it_in_add),
		TEST(to_open_in_a_callback_waits_for_nobody),
		TEST(the_last_close_in_a_callback_is_refused),
		TEST(many_libraries_and_two_registries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
