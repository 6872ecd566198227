// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The counter of an object, on a machine with as many CPUs as the tests want:
 * get, hold and put ask on which one they are, and the answer is ->on. Between
 * the answer and the count anything may happen that another thread does: what
 * ->meanwhile does, once.
 */
#include "harness.h"
#include "data.h"

#define CPUS 5

static struct {
	unsigned int on;
	void (*meanwhile)(void);
	unsigned int asked;
} cpu;

unsigned int __wrap_ibc__possible_cpus(void);
unsigned int __wrap_ibc__possible_cpus(void)
{
	return CPUS;
}

unsigned int __wrap_ibc__cpu_otherwise(void);
unsigned int __wrap_ibc__cpu_otherwise(void)
{
	void (*meanwhile)(void) = cpu.meanwhile;
	unsigned int on = cpu.on;

	cpu.asked++;
	cpu.meanwhile = NULL;
	if (meanwhile)
		meanwhile();
	return on;
}

static struct ibc_client client;
static struct ibc_device *dev;
static struct ibc__slot *slot;
static unsigned int frees;
static struct ibc_client_data *last_freed;

static struct ibc_client_data *alloc(struct ibc_client *of,
				     struct ibc_device *on)
{
	(void)of;
	(void)on;
	return calloc(1, sizeof(struct ibc_client_data));
}

static void release(struct ibc_client_data *data)
{
	frees++;
	last_freed = data;
	free(data);
}

static void begin(uint32_t flags)
{
	ibc__num_rseq_cpus = 0; /* all ask what is wrapped */
	memset(&cpu, 0, sizeof(cpu));
	memset(&client, 0, sizeof(client));
	frees = 0;
	client.flags = flags;
	client.alloc_client_data = alloc;
	client.free_client_data = release;
	fake_add("soft0", 1);
	assert_int_equal(ibc_register_client(h_reg, &client), 0);
	dev = h_device("soft0");
	slot = ibc__slot(dev, 0);
}

static void end(void)
{
	cpu.meanwhile = NULL;
	ibc_put_device(dev);
	assert_int_equal(ibc_unregister_client(&client), 0);
}

static struct ibc_client_data *get_on(unsigned int on)
{
	cpu.on = on;
	return ibc_get_client_data(dev, &client);
}

static bool put_on(unsigned int on, struct ibc_client_data *data)
{
	cpu.on = on;
	return ibc_put_client_data(data);
}

/* initialised, with one reference of ours, not in the slot */
static struct ibc_client_data *make(void)
{
	struct ibc_client_data *data = alloc(NULL, NULL);

	assert_int_equal(ibc_init_client_data(data, dev, &client), 0);
	return data;
}

static struct ibc_client_data *fill(void)
{
	struct ibc_client_data *data =
		ibc_alloc_or_get_client_data(dev, &client);

	assert_non_null(data);
	return data;
}

static uint64_t word_of(unsigned int on)
{
	return *ibc__ref_shard(slot->cur, on);
}

/* ---- where it counts ---- */

static void it_counts_where_it_runs(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	begin(0);
	data = fill();
	assert_ptr_equal(get_on(1), data);
	assert_ptr_equal(get_on(1), data);
	cpu.on = 2;
	ibc_hold_client_data(data);
	assert_int_equal(word_of(0), IBC_SHARD_LIVE);
	assert_int_equal(word_of(1), IBC_SHARD_LIVE + 2 * IBC_SHARD_ONE);
	assert_int_equal(word_of(2), IBC_SHARD_LIVE + IBC_SHARD_ONE);
	assert_int_equal(ibc__slot_refs(slot), 5);
	/* below zero there, and still the same in all */
	assert_false(put_on(4, data));
	assert_false(put_on(4, data));
	assert_int_equal(word_of(4), IBC_SHARD_LIVE - 2 * IBC_SHARD_ONE);
	assert_int_equal(ibc__slot_refs(slot), 3);
	assert_false(put_on(3, data));
	assert_false(put_on(3, data));
	assert_int_equal(ibc__slot_refs(slot), 1);
	end();
	assert_int_equal(frees, 1);
}

static void g10_the_last_put_frees_wherever_it_is(void **state)
{
	struct ibc_client_data *data;
	unsigned int i;

	(void)state;
	begin(0);
	data = fill();
	for (i = 0; i < CPUS; i++)
		assert_ptr_equal(get_on(i), data);
	assert_int_equal(ibc_set_client_data(dev, &client, NULL), 0);
	for (i = 0; i < CPUS; i++) {
		assert_false(put_on(CPUS - 1, data));
		assert_int_equal(frees, 0);
	}
	assert_true(put_on(0, data));
	assert_int_equal(frees, 1);
	end();
}

static void a_held_object_counts_on_when_it_was_replaced(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	begin(0);
	data = fill();
	assert_int_equal(ibc_set_client_data(dev, &client, NULL), 0);
	cpu.on = 3;
	ibc_hold_client_data(data);
	assert_int_equal(ibc__slot_refs(slot), 2);
	assert_false(put_on(1, data));
	assert_true(put_on(2, data));
	end();
}

static void an_object_may_come_back(void **state)
{
	struct ibc_client_data *data;
	unsigned int i;

	(void)state;
	begin(0);
	data = fill();
	for (i = 0; i < 3; i++) {
		assert_int_equal(ibc_set_client_data(dev, &client, NULL), 0);
		assert_null(get_on(i)); /* whose count is nobody's */
		assert_int_equal(ibc_set_client_data(dev, &client, data), 0);
		assert_ptr_equal(get_on(i), data);
		assert_int_equal(ibc__slot_refs(slot), 3);
		assert_false(put_on(i + 1, data));
	}
	assert_false(put_on(0, data));
	end();
	assert_int_equal(frees, 1);
}

static void g08_a_number_out_of_range_is_as_good(void **state)
{
	(void)state;
	begin(0);
	ibc_put_client_data(fill());
	ibc__num_rseq_cpus = 1; /* so the area's number is too high, or 0 */
	ibc_put_client_data(get_on(4));
	assert_int_equal(ibc__slot_refs(slot), 1);
	end();
}

/* ---- what was under way when something else happened ---- */

static struct ibc_client_data *replacement, *third;

static void replace_it(void)
{
	assert_int_equal(ibc_set_client_data(dev, &client, replacement), 0);
}

static void get_finds_what_replaced_it(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	begin(0);
	ibc_put_client_data(fill());
	replacement = make();
	cpu.meanwhile = replace_it;
	data = get_on(2);
	assert_ptr_equal(data, replacement);
	assert_int_equal(frees, 1);
	assert_false(put_on(1, data));
	assert_false(put_on(0, replacement));
	end();
	assert_int_equal(frees, 2);
}

/* the counter that get has found is another object's when it counts there */
static void use_the_counter_again(void)
{
	struct ibc__ref *ref = slot->cur;

	replace_it();
	assert_int_equal(frees, 1);
	third = make();
	assert_ptr_equal(ibc__data_ref(third), ref);
	assert_int_equal(ibc_set_client_data(dev, &client, third), 0);
}

static void get_may_find_the_counter_used_again(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	begin(0);
	ibc_put_client_data(fill());
	replacement = make();
	cpu.meanwhile = use_the_counter_again;
	data = get_on(2);
	assert_ptr_equal(data, third);
	assert_int_equal(ibc__slot_refs(slot), 4); /* and one of the second */
	assert_false(put_on(1, data));
	assert_false(put_on(0, third));
	assert_true(put_on(0, replacement));
	end();
	assert_int_equal(frees, 3);
}

/* and used again, but for what is not in the slot: that is not to be had */
static void init_with_the_counter(void)
{
	replace_it();
	third = make();
}

static void get_takes_none_that_is_not_in_the_slot(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	begin(0);
	ibc_put_client_data(fill());
	replacement = make();
	cpu.meanwhile = init_with_the_counter;
	data = get_on(2);
	assert_ptr_equal(data, replacement);
	assert_false(put_on(1, data));
	assert_false(put_on(0, replacement));
	assert_true(put_on(3, third));
	end();
}

static void remove_it(void)
{
	assert_int_equal(ibc_remove_device(dev), 0);
	h_fence();
}

static void g09_get_fails_when_the_device_goes_meanwhile(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	begin(0);
	data = fill();
	cpu.meanwhile = remove_it;
	errno = 0;
	assert_null(get_on(2));
	assert_int_equal(errno, ENODEV);
	assert_true(put_on(1, data));
	assert_int_equal(frees, 1);
	end();
}

static void a_put_or_hold_may_be_overtaken_by_the_kill(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	begin(0);
	data = fill();
	assert_ptr_equal(get_on(1), data);
	replacement = make();
	cpu.on = 2;
	cpu.meanwhile = replace_it;
	ibc_hold_client_data(data);
	assert_int_equal(ibc__ref_count(ibc__data_ref(data)), 3);
	assert_false(put_on(1, data));
	assert_false(put_on(1, data));
	/* the other way round: a put, and what it puts comes back */
	assert_int_equal(ibc_set_client_data(dev, &client, data), 0);
	cpu.meanwhile = replace_it;
	assert_true(put_on(4, data));
	assert_int_equal(frees, 1);
	assert_false(put_on(0, replacement));
	end();
}

static void put_it_back(void)
{
	assert_int_equal(ibc_set_client_data(dev, &client, replacement), 0);
}

static void a_put_may_be_overtaken_by_the_publishing(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	begin(0);
	replacement = data = make();
	cpu.meanwhile = put_it_back;
	assert_false(put_on(3, data));
	assert_int_equal(frees, 0);
	assert_int_equal(ibc__slot_refs(slot), 1);
	assert_ptr_equal(get_on(1), data);
	assert_false(put_on(2, data));
	end();
	assert_int_equal(frees, 1);
}

/* ---- those that have to know their zero ---- */

static void g09_unused_data_has_no_shards(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	begin(IBC_CLIENT_FREE_UNUSED);
	data = fill();
	assert_int_equal(slot->cur->stride, 0);
	cpu.asked = 0;
	assert_ptr_equal(get_on(1), data);
	assert_false(put_on(2, data));
	assert_int_equal(cpu.asked, 0);
	assert_true(put_on(2, data));
	errno = 0;
	assert_null(get_on(1));
	assert_int_equal(errno, ENOENT);
	end();
}

/* a slot's counter had shards for the client before */
static void unused_data_may_have_a_counter_with_shards(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	begin(0);
	ibc_put_client_data(fill());
	assert_int_not_equal(slot->first.stride, 0);
	assert_int_equal(ibc_unregister_client(&client), 0);
	client.flags = IBC_CLIENT_FREE_UNUSED;
	assert_int_equal(ibc_register_client(h_reg, &client), 0);
	h_fence();
	data = fill();
	assert_int_not_equal(slot->cur->stride, 0);
	assert_ptr_equal(get_on(1), data);
	assert_false(put_on(2, data));
	assert_int_equal(frees, 1);
	assert_true(put_on(3, data));
	assert_int_equal(frees, 2);
	errno = 0;
	assert_null(get_on(1));
	assert_int_equal(errno, ENOENT);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MANUAL(it_counts_where_it_runs),
		IN_MANUAL(g10_the_last_put_frees_wherever_it_is),
		IN_MANUAL(a_held_object_counts_on_when_it_was_replaced),
		IN_MANUAL(an_object_may_come_back),
		IN_MANUAL(g08_a_number_out_of_range_is_as_good),
		IN_MANUAL(get_finds_what_replaced_it),
		IN_MANUAL(get_may_find_the_counter_used_again),
		IN_MANUAL(get_takes_none_that_is_not_in_the_slot),
		IN_MANUAL(g09_get_fails_when_the_device_goes_meanwhile),
		IN_MANUAL(a_put_or_hold_may_be_overtaken_by_the_kill),
		IN_MANUAL(a_put_may_be_overtaken_by_the_publishing),
		IN_MANUAL(g09_unused_data_has_no_shards),
		IN_MANUAL(unused_data_may_have_a_counter_with_shards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
