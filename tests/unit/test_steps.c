// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Something happens to a slot in the middle of a get, hold or put: at each of their
 * instructions once. The thread traps itself after each instruction; in the handler
 * of the n-th trap the data is replaced, or taken away, and then it goes on. Whatever
 * comes out must be right: data that is not freed yet, or why there is none; no
 * reference lost, none too many. So it is as if another thread had done the same at
 * that point, and for each point, which chance need not ever do.
 *
 * What is freed stays poisoned until the test ends: who reads it then is found out.
 * On x86-64 only, and without a sanitizer, whose steps there would be more of.
 */
#include <signal.h>
#include <ucontext.h>

#include "harness.h"
#include "data.h"

enum call {
	GET,
	ALLOC_OR_GET,
	HOLD,
	PUT,
};

#define TRAP_FLAG 0x100 /* of RFLAGS: trap after each instruction */
#define MAX_STEPS 2000	/* none of them is as long as that */

static struct ibc_client client;
static struct ibc_device *dev;

/* ---- data that is poisoned when it is freed ---- */

#define MAX_OBJECTS 20000

static struct object {
	struct ibc_client_data data;
	bool freed;
} objects[MAX_OBJECTS];
static unsigned int num_objects, num_freed;

static struct ibc_client_data *alloc(struct ibc_client *c, struct ibc_device *d)
{
	(void)c;
	(void)d;
	assert_true(num_objects < MAX_OBJECTS);
	return &objects[num_objects++].data;
}

static void release(struct ibc_client_data *data)
{
	struct object *object = (struct object *)data;

	assert_false(object->freed);
	object->freed = true;
	memset(data, 0xa5, sizeof(*data));
	data->client = &client; /* as freed memory often has what it had */
	num_freed++;
}

/* ---- what happens meanwhile; in a signal handler, so nothing that waits ---- */

static void replace_by(struct ibc_client_data *data)
{
	if (ibc_set_client_data(dev, &client, data))
		abort();
}

static struct ibc_client_data *initialised(void)
{
	struct ibc_client_data *data = alloc(NULL, NULL);

	if (ibc_init_client_data(data, dev, &client))
		abort();
	return data;
}

static void replace(void)
{
	struct ibc_client_data *data = initialised();

	replace_by(data);
	ibc_put_client_data(data);
}

static void replace_twice(void)
{
	replace();
	replace();
}

static void take_away(void)
{
	replace_by(NULL);
}

static void take_away_and_put_anew(void)
{
	take_away();
	replace();
}

static void get_and_put(void)
{
	struct ibc_client_data *data = ibc_get_client_data(dev, &client);

	if (data)
		ibc_put_client_data(data);
}

/* ---- traps ---- */

static void (*meanwhile)(void);
static volatile unsigned int steps, at_step;

static void trapped(int sig, siginfo_t *info, void *arg)
{
	ucontext_t *context = arg;

	(void)sig;
	(void)info;
	if (++steps < at_step)
		return;
	context->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
	if (steps == at_step)
		meanwhile();
}

static inline __attribute__((always_inline)) void set_trap_flag(void)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t" /* not the red zone */
			 "pushfq\n\t"
			 "orq %0, (%%rsp)\n\t"
			 "popfq\n\t"
			 "lea 128(%%rsp), %%rsp"
			 :
			 : "i"(TRAP_FLAG)
			 : "memory", "cc");
}

/* if there were fewer steps than that, it has not happened */
static inline __attribute__((always_inline)) void clear_trap_flag(void)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
			 "pushfq\n\t"
			 "andq %0, (%%rsp)\n\t"
			 "popfq\n\t"
			 "lea 128(%%rsp), %%rsp"
			 :
			 : "i"(~TRAP_FLAG)
			 : "memory", "cc");
}

static struct ibc_client_data *stepped(enum call call,
				       struct ibc_client_data *held)
{
	struct ibc_client_data *data = held;

	set_trap_flag();
	if (call == GET)
		data = ibc_get_client_data(dev, &client);
	else if (call == ALLOC_OR_GET)
		data = ibc_alloc_or_get_client_data(dev, &client);
	else if (call == HOLD)
		ibc_hold_client_data(held);
	else
		ibc_put_client_data(held);
	clear_trap_flag();
	return data;
}

/* ---- each step once ---- */

static void begin(void)
{
	client = (struct ibc_client){
		.alloc_client_data = alloc,
		.free_client_data = release,
	};
	memset(objects, 0, sizeof(objects));
	num_objects = num_freed = 0;
	fake_add("soft0", 1);
	assert_int_equal(ibc_register_client(h_reg, &client), 0);
	dev = h_device("soft0");
}

/* all that was made was freed, once */
static void end(void)
{
	ibc_put_device(dev);
	assert_int_equal(ibc_unregister_client(&client), 0);
	assert_int_equal(num_freed, num_objects);
}

/* what came out is the caller's, whatever has happened */
static void check_got(struct ibc_client_data *data, int error)
{
	if (!data) {
		assert_true(meanwhile == take_away);
		assert_int_equal(error, ENOENT);
		return;
	}
	assert_false(((struct object *)data)->freed);
	assert_ptr_equal(data->client, &client);
	assert_ptr_equal(data->device, dev);
}

/* what there is when it begins */
enum setting {
	UNHELD, /* data that only the registry has: it is freed when replaced */
	FIRST,	/* data that its holders keep */
	OTHER,	/* what has replaced such data, and so is counted elsewhere */
	NUM_SETTINGS,
};

static void put_if_any(struct ibc_client_data *data)
{
	if (!data)
		return;
	assert_false(((struct object *)data)->freed);
	ibc_put_client_data(data);
}

/* false: the call was over before that step */
static bool happens_at(unsigned int step, enum call call, enum setting setting)
{
	struct ibc_client_data *first, *held = NULL, *data;
	int error;

	first = ibc_alloc_or_get_client_data(dev, &client);
	assert_non_null(first);
	if (setting == OTHER)
		replace();
	if (setting == UNHELD) {
		ibc_put_client_data(first);
		first = NULL;
	} else {
		held = ibc_get_client_data(dev, &client);
		assert_non_null(held);
	}
	steps = 0;
	at_step = step;
	errno = 0;
	data = stepped(call, held);
	error = errno;
	if (call != PUT) {
		check_got(data, error);
		put_if_any(data);
		put_if_any(held);
	}
	put_if_any(first);
	replace_by(NULL); /* the next one begins with nothing */
	assert_int_equal(num_freed, num_objects);
	return steps >= step;
}

static void at_each_step(void (*what)(void), enum call call,
			 enum setting setting)
{
	unsigned int step = 1;

	meanwhile = what;
	while (step < MAX_STEPS && happens_at(step, call, setting))
		step++;
	assert_in_range(step, 10, MAX_STEPS - 1);
	print_message("measured: %u steps\n", step - 1);
}

static void all_that_happens(enum call call)
{
	struct sigaction old,
		action = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO };
	enum setting setting;

	assert_int_equal(sigaction(SIGTRAP, &action, &old), 0);
	begin();
	setting = call == HOLD || call == PUT ? FIRST : UNHELD;
	for (; setting < NUM_SETTINGS; setting++) {
		at_each_step(get_and_put, call, setting);
		at_each_step(replace, call, setting);
		at_each_step(replace_twice, call, setting);
		at_each_step(take_away, call, setting);
		at_each_step(take_away_and_put_anew, call, setting);
	}
	end();
	assert_int_equal(sigaction(SIGTRAP, &old, NULL), 0);
}

static void get_in_the_middle_of_a_change(void **state)
{
	(void)state;
	all_that_happens(GET);
}

static void alloc_or_get_in_the_middle_of_a_change(void **state)
{
	(void)state;
	all_that_happens(ALLOC_OR_GET);
}

static void hold_in_the_middle_of_a_change(void **state)
{
	(void)state;
	all_that_happens(HOLD);
}

static void put_in_the_middle_of_a_change(void **state)
{
	(void)state;
	all_that_happens(PUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MANUAL(get_in_the_middle_of_a_change),
		IN_MANUAL(alloc_or_get_in_the_middle_of_a_change),
		IN_MANUAL(hold_in_the_middle_of_a_change),
		IN_MANUAL(put_in_the_middle_of_a_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
