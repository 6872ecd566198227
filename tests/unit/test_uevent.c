// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What ibc__uevent_parse() makes of messages, good and odd. Each is given in
 * memory of exactly its size, so that a sanitizer or valgrind sees a step
 * beyond its end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fed.h"

/* returns how many hints the message was worth */
static unsigned int feed(const char *msg, size_t len)
{
	char *copy = malloc(len + 1);
	uint64_t before;

	assert_non_null(copy);
	memcpy(copy, msg, len);
	copy[len] = '\0';
	ibc__lock(fed_reg);
	before = fed_reg->stats.hints;
	ibc__uevent_parse(fed_reg, copy, len);
	before = fed_reg->stats.hints - before;
	ibc__unlock(fed_reg);
	free(copy);
	return before;
}

#define FEED(literal) feed(literal, sizeof(literal) - 1)

#define VERBS "SUBSYSTEM=infiniband_verbs\0"
#define PATH  "DEVPATH=/devices/virtual/infiniband_verbs/uverbs0\0"

static void remove_makes_its_node_suspect(void **state)
{
	(void)state;
	assert_int_equal(FEED("remove@/devices/virtual/infiniband_verbs/uverbs0"
			      "\0ACTION=remove\0" PATH VERBS
			      "MAJOR=231\0MINOR=192\0SEQNUM=7\0"),
			 1);
	assert_true(fed_suspect(fed_soft0));
	assert_int_equal(FEED("ACTION=remove\0" VERBS
			      "DEVPATH=/devices/x/uverbs1\0"),
			 1);
	assert_false(fed_suspect(fed_soft0));
}

static void add_is_a_hint_and_suspects_nobody(void **state)
{
	(void)state;
	assert_int_equal(FEED("ACTION=add\0" PATH VERBS), 1);
	assert_false(fed_suspect(fed_soft0));
}

static void keys_come_in_any_order(void **state)
{
	(void)state;
	assert_int_equal(FEED(VERBS PATH "SEQNUM=1\0ACTION=remove"), 1);
	assert_true(fed_suspect(fed_soft0));
}

static void move_of_a_device_asks_for_names(void **state)
{
	(void)state;
	assert_int_equal(FEED("ACTION=move\0DEVPATH=/devices/infiniband/roce0\0"
			      "DEVPATH_OLD=/devices/infiniband/soft0\0"
			      "SUBSYSTEM=infiniband\0"),
			 1);
	ibc__lock(fed_reg);
	assert_true(fed_reg->scan_names);
	ibc__unlock(fed_reg);
}

static void others_are_not_for_us(void **state)
{
	(void)state;
	assert_int_equal(FEED("ACTION=remove\0" PATH "SUBSYSTEM=net\0"), 0);
	assert_int_equal(FEED("ACTION=change\0" PATH VERBS), 0);
	assert_int_equal(FEED("ACTION=add\0DEVPATH=/devices/infiniband/soft0\0"
			      "SUBSYSTEM=infiniband\0"),
			 0);
	assert_int_equal(FEED("ACTION=remove\0" PATH
			      "SUBSYSTEM=infiniband_verbs2\0"),
			 0);
	assert_int_equal(FEED("ACTION=remove\0" PATH "SUBSYSTEM=infini"), 0);
	assert_false(fed_suspect(fed_soft0));
}

static void a_missing_key_is_no_crash(void **state)
{
	(void)state;
	assert_int_equal(FEED(""), 0);
	assert_int_equal(FEED("\0"), 0);
	assert_int_equal(FEED("\0\0\0\0\0\0"), 0);
	assert_int_equal(FEED("ACTION=remove\0" VERBS), 0);
	assert_int_equal(FEED("ACTION=remove\0" PATH), 0);
	assert_int_equal(FEED(PATH VERBS), 0);
	assert_int_equal(FEED("ACTION\0" PATH VERBS), 0);
	assert_int_equal(FEED("XACTION=remove\0" PATH VERBS), 0);
	assert_int_equal(FEED("ACTION=\0DEVPATH=\0SUBSYSTEM=\0"), 0);
	assert_int_equal(FEED("=\0==\0=remove\0"), 0);
	assert_false(fed_suspect(fed_soft0));
}

/* the path is empty, or a slash alone: a hint perhaps, but of no device */
static void an_empty_path_names_no_device(void **state)
{
	(void)state;
	FEED("ACTION=remove\0DEVPATH=\0" VERBS);
	FEED("ACTION=remove\0DEVPATH=/\0" VERBS);
	FEED("ACTION=remove\0DEVPATH=uverbs00\0" VERBS);
	FEED("ACTION=remove\0DEVPATH=uverbs\0" VERBS);
	assert_false(fed_suspect(fed_soft0));
	FEED("ACTION=remove\0DEVPATH=uverbs0\0" VERBS);
	assert_true(fed_suspect(fed_soft0));
}

static void every_truncation_of_a_message_is_harmless(void **state)
{
	static const char msg[] = "remove@/devices/virtual/uverbs0\0"
				  "ACTION=remove\0" PATH VERBS "SEQNUM=4711\0";
	size_t len;

	(void)state;
	for (len = 0; len < sizeof(msg); len++)
		assert_in_range(feed(msg, len), 0, 1);
	assert_true(fed_suspect(fed_soft0));
}

/* no zero anywhere, and longer than the kernel ever sends */
static void a_huge_message_is_harmless(void **state)
{
	size_t i, len = 1 << 16;
	char *msg = malloc(len);

	(void)state;
	assert_non_null(msg);
	memset(msg, 'A', len);
	assert_int_equal(feed(msg, len), 0);
	memcpy(msg, "ACTION=", 7);
	assert_int_equal(feed(msg, len), 0);
	memset(msg, '\0', len);
	memcpy(msg + len - 13, "ACTION=remove", 13);
	assert_int_equal(feed(msg, len), 0);
	for (i = 0; i < len; i++)
		msg[i] = (char)(i * 7919 >> 3);
	assert_int_equal(feed(msg, len), 0);
	free(msg);
	assert_false(fed_suspect(fed_soft0));
}

/* a name as long as a device's node may be, and far longer */
static void a_long_node_name_is_compared_whole(void **state)
{
	char msg[4096];
	int len;

	(void)state;
	len = snprintf(msg, sizeof(msg),
		       "ACTION=remove%cSUBSYSTEM=infiniband_verbs%c"
		       "DEVPATH=/a/uverbs0%02000d",
		       0, 0, 0);
	feed(msg, len);
	assert_false(fed_suspect(fed_soft0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FED(remove_makes_its_node_suspect),
		FED(add_is_a_hint_and_suspects_nobody),
		FED(keys_come_in_any_order),
		FED(move_of_a_device_asks_for_names),
		FED(others_are_not_for_us),
		FED(a_missing_key_is_no_crash),
		FED(an_empty_path_names_no_device),
		FED(every_truncation_of_a_message_is_harmless),
		FED(a_huge_message_is_harmless),
		FED(a_long_node_name_is_compared_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
