// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Who has hardly a descriptor left may fail, but takes nothing that is held for
 * something that is not.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "soft_test.h"

#define ENOUGH 40

static int any_fd(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* what the call says with just @num descriptors to spare */
static int with_fds(int num, int (*call)(struct soft_test *t),
		    struct soft_test *t)
{
	struct rlimit old, few;
	int spare[ENOUGH], i, error;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (i = 0; i < num; i++)
		assert_true((spare[i] = any_fd()) >= 0);
	/* the next is the lowest that is free: all below are in use */
	few = old;
	i = any_fd();
	assert_true(i >= 0);
	close(i);
	few.rlim_cur = i;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (i = 0; i < num; i++)
		close(spare[i]);
	error = call(t);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	return error;
}

static int change(struct soft_test *t)
{
	return softverbs_send_event(t->sv, "soft0", "SM_CHANGE");
}

static int remove_it(struct soft_test *t)
{
	return softverbs_remove_device(t->sv, "soft0", 0);
}

static void check_held(struct soft_test *t)
{
	char spec[64];

	snprintf(spec, sizeof(spec), "SM_CHANGE --pid %d", (int)getpid());
	assert_int_equal(softverbs_send_event(t->sv, "soft0", spec), 0);
}

static void change_keeps_contexts(void **state)
{
	struct soft_test *t = *state;
	int num;

	for (num = 0; num < ENOUGH; num++) {
		with_fds(num, change, t);
		check_held(t);
	}
	assert_int_equal(with_fds(ENOUGH, change, t), 0);
}

static void removal_waits(void **state)
{
	struct soft_test *t = *state;
	int num, error;

	for (num = 0; num < ENOUGH; num++) {
		error = with_fds(num, remove_it, t);
		assert_int_not_equal(error, 0);
		if (error == ETIMEDOUT)
			break;
		check_held(t);
	}
	assert_int_equal(error, ETIMEDOUT);
	/* its name is taken until it is closed */
	assert_int_equal(softverbs_add_device(t->sv, "soft0", 0, 1, 0), EEXIST);
	assert_int_equal(ibv_close_device(t->context), 0);
	t->context = NULL;
	assert_int_equal(softverbs_add_device(t->sv, "soft0", 0, 1, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(change_keeps_contexts,
						soft_setup, soft_teardown),
		cmocka_unit_test_setup_teardown(removal_waits, soft_setup,
						soft_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
