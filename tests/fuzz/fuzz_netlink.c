// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RDMA netlink messages of any bytes. The input is a program that makes them, so
 * that lengths are right more often than by chance, and then spoils them; what
 * they must come to is found out once more here, by offsets.
 */
#include <linux/netlink.h>
#include <string.h>

#include "heard.h"
#include "input.h"
#include "netlink_message.h"

#define ROOM 2048

struct stream {
	uint8_t bytes[ROOM];
	size_t len;
};

static void append(struct stream *s, const void *data, size_t len)
{
	if (len > ROOM - s->len)
		len = ROOM - s->len;
	memcpy(s->bytes + s->len, data, len);
	s->len += len;
}

/* a message with attributes as the input has them */
static void message(struct stream *s, struct input *in)
{
	unsigned int n = number(in) % 8;
	struct message m;
	uint8_t value[8];
	size_t len;

	begin(&m, byte(in) == '!' ? SYS_GET : MONITOR);
	while (n--) {
		static const unsigned int types[] = { DEV_INDEX, EVENT_TYPE,
						      DEV_NAME, MONITOR_MODE };
		unsigned int type = types[number(in) % 4];

		memset(value, 0, sizeof(value));
		len = bytes(in, value, sizeof(value));
		put(&m, type, value, len);
	}
	end(&m);
	append(s, m.bytes, m.len);
}

static void step(struct stream *s, struct input *in)
{
	unsigned int event;
	struct message m;
	uint8_t raw[64];
	size_t at;

	switch (byte(in)) {
	case 'n': /* as the kernel says it */
		event = number(in);
		m = news(event, number(in));
		append(s, m.bytes, m.len);
		break;
	case 'm':
		message(s, in);
		break;
	case 'r':
		append(s, raw, bytes(in, raw, sizeof(raw)));
		break;
	case 'x': /* from here on another byte at this place */
		at = number(in);
		at |= number(in) << 6;
		if (at < s->len)
			s->bytes[at] = number(in);
		break;
	case 'c': /* cut off */
		at = number(in);
		s->len -= at < s->len ? at : s->len;
		break;
	}
}

/* ---- what it should come to ---- */

static uint32_t word(const uint8_t *at, size_t len)
{
	uint32_t value = 0;

	memcpy(&value, at, len); /* of this machine, as netlink is */
	return value;
}

/* where the value of the first such attribute is, and its length; 0: nowhere */
static size_t attribute(const struct stream *s, size_t at, size_t end,
			unsigned int wanted, size_t *len)
{
	while (at + 4 <= end) {
		size_t whole = word(s->bytes + at, 2);

		if (whole < 4 || at + whole > end)
			return 0;
		if ((word(s->bytes + at + 2, 2) & 0x3fff) == wanted) {
			*len = whole - 4;
			return at + 4;
		}
		at += (whole + 3) & ~(size_t)3;
	}
	return 0;
}

static bool value_of(const struct stream *s, size_t at, size_t end,
		     unsigned int wanted, uint32_t *value)
{
	size_t len, where = attribute(s, at, end, wanted, &len);

	if (!where || (len != 1 && len != 4))
		return false;
	*value = word(s->bytes + where, len);
	return true;
}

static void expect_of(const struct stream *s, size_t at, size_t end,
		      struct heard *heard)
{
	uint32_t index, event;

	if (!value_of(s, at, end, EVENT_TYPE, &event))
		return;
	if (event != REGISTER && event != UNREGISTER && event != RENAME)
		return;
	heard->hints++;
	if (event == UNREGISTER && value_of(s, at, end, DEV_INDEX, &index) &&
	    index < 2)
		heard->suspect[index] = true;
}

static struct heard expect(const struct stream *s)
{
	struct heard heard = {};
	size_t at, len;

	for (at = 0; at + 16 <= s->len; at += (len + 3) & ~(size_t)3) {
		len = word(s->bytes + at, 4);
		if (len < 16 || len > s->len - at)
			break;
		if (word(s->bytes + at + 4, 2) == MONITOR)
			expect_of(s, at + 16, at + len, &heard);
	}
	return heard;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct heard heard, expected;
	struct stream s = {};

	while (in.size)
		step(&s, &in);
	expected = expect(&s);
	heard = heard_from(s.bytes, s.len, false, ibc__netlink_parse);
	fuzz_check(heard.hints == expected.hints);
	fuzz_check(heard.suspect[0] == expected.suspect[0]);
	fuzz_check(heard.suspect[1] == expected.suspect[1]);
	heard_in_vain();
	return 0;
}
