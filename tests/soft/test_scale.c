// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* How long it takes to add a thousand devices, and to list them. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "scale.h"
#include "soft_test.h"

#define NUM_DEVICES   1000
#define NUM_ROUNDS    5
#define MAX_ADD_NS    2000000000LL
#define MAX_LIST_NS   50000000LL
#define WARM_LISTINGS 4

/* of one process: the first call, and later ones */
struct listings {
	int64_t cold, warm[WARM_LISTINGS];
};

static int64_t list_all(void)
{
	int64_t start = scale_now_ns(), end;
	struct ibv_device **list;
	int num;

	list = ibv_get_device_list(&num);
	end = scale_now_ns();
	if (!list || num != NUM_DEVICES)
		_exit(1);
	ibv_free_device_list(list);
	return end - start;
}

static int lister(void)
{
	struct listings listings;
	int i;

	listings.cold = list_all();
	for (i = 0; i < WARM_LISTINGS; i++)
		listings.warm[i] = list_all();
	return write(STDIN_FILENO, &listings, sizeof(listings)) !=
	       sizeof(listings);
}

static void list_in_new_process(struct listings *listings)
{
	int fd;
	pid_t pid = scale_start_self("list", &fd);

	assert_int_equal(read(fd, listings, sizeof(*listings)),
			 sizeof(*listings));
	close(fd);
	assert_int_equal(scale_wait(pid), 0);
}

static void add_by_call(struct scale_fabric *fabric, const char *name)
{
	assert_int_equal(softverbs_add_device(fabric->sv, name, 0, 1, 0), 0);
}

static void add_by_command(struct scale_fabric *fabric, const char *name)
{
	const char *const words[] = { "add", name, NULL };

	(void)fabric;
	assert_int_equal(scale_wait(scale_start_command(-1, words)), 0);
}

/* a round: a new fabric, a thousand devices; lists them if asked to */
static int64_t add_all(void (*add)(struct scale_fabric *fabric,
				   const char *name),
		       struct listings *listings)
{
	struct scale_fabric fabric;
	int64_t start, end;
	char name[16];
	int i;

	scale_make_fabric(&fabric);
	start = scale_now_ns();
	for (i = 0; i < NUM_DEVICES; i++) {
		snprintf(name, sizeof(name), "many%d", i);
		add(&fabric, name);
	}
	end = scale_now_ns();
	if (listings)
		list_in_new_process(listings);
	scale_remove_fabric(&fabric);
	return end - start;
}

static void called(void **state)
{
	int64_t add[NUM_ROUNDS], cold[NUM_ROUNDS];
	int64_t warm[NUM_ROUNDS * WARM_LISTINGS];
	struct listings listings;
	int i;

	(void)state;
	for (i = 0; i < NUM_ROUNDS; i++) {
		add[i] = add_all(add_by_call, &listings);
		cold[i] = listings.cold;
		memcpy(warm + i * WARM_LISTINGS, listings.warm,
		       sizeof(listings.warm));
	}
	assert_true(scale_report("1000 devices added by softverbs_add_device()",
				 add, NUM_ROUNDS) < MAX_ADD_NS);
	assert_true(scale_report("1000 devices listed by a new process", cold,
				 NUM_ROUNDS) < MAX_LIST_NS);
	assert_true(scale_report("1000 devices listed once more", warm,
				 NUM_ROUNDS * WARM_LISTINGS) < MAX_LIST_NS);
}

/*
 * Half of this and more is what it takes to start a thousand processes of any
 * kind, which is the machine's affair: the figure is shown, with no limit.
 */
static void commanded(void **state)
{
	int64_t add[NUM_ROUNDS];
	int i;

	(void)state;
	for (i = 0; i < NUM_ROUNDS; i++)
		add[i] = add_all(add_by_command, NULL);
	scale_report("1000 devices added by 1000 commands", add, NUM_ROUNDS);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(called),
		cmocka_unit_test(commanded),
	};

	if (argc > 1 && strcmp(argv[1], "list") == 0)
		return lister();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
