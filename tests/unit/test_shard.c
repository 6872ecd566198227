// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Where the words of per-CPU counters lie, with as many CPUs as are wanted. */
#include "harness.h"
#include "shard.h"

#define COUNTERS 3000
#define LINE	 64

static struct ibc__shard_pool pool;
static ibc__shards counters[COUNTERS];

static void take_all(unsigned int cpus)
{
	unsigned int i;

	ibc__num_cpus = cpus;
	memset(&pool, 0, sizeof(pool));
	for (i = 0; i < COUNTERS; i++) {
		counters[i] = ibc__shards_get(&pool);
		assert_int_not_equal(counters[i], 0);
	}
}

/* each has its own number, and still has it when all have */
static void expect_apart(unsigned int cpus)
{
	unsigned int i, cpu;

	for (i = 0; i < COUNTERS; i++)
		for (cpu = 0; cpu < cpus; cpu++) {
			assert_int_equal(*ibc__shard(counters[i], cpu), 0);
			*ibc__shard(counters[i], cpu) =
				1 + i * (uint64_t)cpus + cpu;
		}
	for (i = 0; i < COUNTERS; i++)
		for (cpu = 0; cpu < cpus; cpu++)
			assert_int_equal(*ibc__shard(counters[i], cpu),
					 1 + i * (uint64_t)cpus + cpu);
}

static void no_two_words_are_the_same(void **state)
{
	static const unsigned int cpus[] = { 1, 2, 7, 300 };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
		take_all(cpus[i]);
		expect_apart(cpus[i]);
		ibc__shards_free_all(&pool);
	}
}

/* what one CPU writes is in no line that another one's word is in */
static void cpus_share_no_line(void **state)
{
	static uintptr_t first[300], last[300]; /* of a block */
	unsigned int i, cpu, begun = 0;
	uintptr_t line;

	(void)state;
	take_all(300);
	for (i = 0; i < COUNTERS; i++) {
		if (!i || counters[i] != counters[i - 1] + sizeof(uint64_t))
			begun = i;
		for (cpu = 0; cpu < 300; cpu++) {
			line = (uintptr_t)ibc__shard(counters[i], cpu) / LINE;
			if (i == begun)
				first[cpu] = line;
			last[cpu] = line;
			if (cpu)
				assert_true(last[cpu - 1] < first[cpu]);
		}
	}
	ibc__shards_free_all(&pool);
}

static void what_is_given_back_is_used_again(void **state)
{
	struct ibc__shard_block *block;
	unsigned int i;

	(void)state;
	take_all(3);
	block = pool.blocks;
	for (i = 0; i < COUNTERS; i++)
		ibc__shards_put(&pool, counters[i]);
	for (i = 0; i < COUNTERS; i++)
		counters[i] = ibc__shards_get(&pool);
	assert_ptr_equal(pool.blocks, block);
	expect_apart(3);
	ibc__shards_free_all(&pool);
}

static void few_counters_need_little(void **state)
{
	(void)state;
	ibc__num_cpus = 256;
	memset(&pool, 0, sizeof(pool));
	counters[0] = ibc__shards_get(&pool);
	assert_true(pool.left >= 6); /* two devices, three clients */
	assert_int_equal(pool.code, 1);
	ibc__shards_free_all(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_two_words_are_the_same),
		cmocka_unit_test(cpus_share_no_line),
		cmocka_unit_test(what_is_given_back_is_used_again),
		cmocka_unit_test(few_counters_need_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
