// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What ibc__netlink_parse() makes of bytes, good and odd. Each message is given
 * in memory of exactly its size, so that a sanitizer or valgrind sees a step
 * beyond its end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fed.h"
#include "netlink_message.h"

/* what the kernel answers to SYS_GET, which is no news */
static struct message answer(void)
{
	struct message m;

	begin(&m, SYS_GET);
	put_u8(&m, NETNS_MODE, 1);
	put_u8(&m, MONITOR_MODE, 1);
	end(&m);
	return m;
}

/* in memory of exactly its size, and at an odd address */
static unsigned int feed(const void *msg, size_t len)
{
	unsigned char *copy = malloc(len + 1);
	uint64_t before;

	assert_non_null(copy);
	memcpy(copy + 1, msg, len);
	ibc__lock(fed_reg);
	before = fed_reg->sources[IBC_SOURCE_NETLINK].hints;
	ibc__netlink_parse(fed_reg, copy + 1, len);
	before = fed_reg->sources[IBC_SOURCE_NETLINK].hints - before;
	ibc__unlock(fed_reg);
	free(copy);
	return before;
}

static unsigned int feed_message(struct message m)
{
	return feed(m.bytes, m.len);
}

static void what_is_no_news_is_no_hint(void **state)
{
	struct message m;
	uint32_t big = UINT32_MAX;

	(void)state;
	assert_int_equal(feed_message(news(ATTACH, 0)), 0);
	assert_int_equal(feed_message(news(DETACH, 0)), 0);
	assert_int_equal(feed_message(news(5, 0)), 0);
	assert_int_equal(feed_message(news(200, 0)), 0);
	assert_int_equal(feed_message(answer()), 0);
	begin(&m, MONITOR);
	end(&m);
	assert_int_equal(feed_message(m), 0);
	begin(&m, MONITOR); /* of some device: a hint, but nobody's */
	put_u8(&m, EVENT_TYPE, UNREGISTER);
	end(&m);
	assert_int_equal(feed_message(m), 1);
	begin(&m, MONITOR);
	put(&m, DEV_INDEX, &big, sizeof(big));
	put_u8(&m, EVENT_TYPE, UNREGISTER);
	end(&m);
	assert_int_equal(feed_message(m), 1);
	begin(&m, MONITOR); /* a number of no size that there is */
	put(&m, DEV_INDEX, &big, 3);
	put(&m, EVENT_TYPE, "\1\0", 2);
	end(&m);
	assert_int_equal(feed_message(m), 0);
	assert_false(fed_suspect(fed_soft0));
	assert_int_equal(feed_message(news(UNREGISTER, 0)), 1);
	assert_true(fed_suspect(fed_soft0));
}

static void every_truncation_is_harmless(void **state)
{
	struct message m = news(UNREGISTER, 0);
	size_t len;

	(void)state;
	for (len = 0; len < m.len; len++)
		assert_int_equal(feed(m.bytes, len), 0);
	/* and of what the header says, whatever follows */
	for (len = 0; len < m.len; len++) {
		memcpy(m.bytes, &(uint32_t){ len }, 4);
		assert_in_range(feed(m.bytes, m.len), 0, 1);
	}
	assert_int_equal(feed("", 0), 0);
}

static void every_byte_may_be_any_other(void **state)
{
	struct message good = news(UNREGISTER, 0), m;
	unsigned int at, value;

	(void)state;
	for (at = 0; at < good.len; at++) {
		for (value = 0; value < 256; value++) {
			m = good;
			m.bytes[at] = value;
			assert_in_range(feed_message(m), 0, 1);
		}
	}
}

static void several_messages_in_one_packet(void **state)
{
	struct message a = news(REGISTER, 9), b = news(UNREGISTER, 0);
	unsigned char both[1024];

	(void)state;
	memcpy(both, a.bytes, a.len);
	memcpy(both + a.len, b.bytes, b.len);
	assert_int_equal(feed(both, a.len + b.len), 2);
	assert_true(fed_suspect(fed_soft0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FED(what_is_no_news_is_no_hint),
		FED(every_truncation_is_harmless),
		FED(every_byte_may_be_any_other),
		FED(several_messages_in_one_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
