// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Kernel uevents of any bytes. What they must come to is found out once more
 * here, by another way: the input is cut into its strings first.
 */
#include <string.h>

#include "heard.h"
#include "input.h"

#define MAX_STRINGS 2048

struct strings {
	const char *at[MAX_STRINGS];
	unsigned int num;
};

/* @text has a zero at its end */
static void cut(const char *text, size_t size, struct strings *strings)
{
	size_t at;

	strings->num = 0;
	for (at = 0; at < size; at += strlen(text + at) + 1)
		strings->at[strings->num++] = text + at;
}

/* the first one's value, or NULL */
static const char *value(const struct strings *strings, const char *key)
{
	unsigned int i;

	for (i = 0; i < strings->num; i++)
		if (strstr(strings->at[i], key) == strings->at[i])
			return strings->at[i] + strlen(key);
	return NULL;
}

/* is it the path's last part? */
static bool ends_in(const char *path, const char *node)
{
	size_t len = strlen(path), n = strlen(node);

	return len >= n && strcmp(path + len - n, node) == 0 &&
	       (len == n || path[len - n - 1] == '/');
}

static struct heard expect(const struct strings *strings)
{
	const char *action = value(strings, "ACTION=");
	const char *subsystem = value(strings, "SUBSYSTEM=");
	const char *path = value(strings, "DEVPATH=");
	struct heard heard = {};
	bool verbs, gone;

	if (!action || !subsystem || !path)
		return heard;
	verbs = strcmp(subsystem, "infiniband_verbs") == 0;
	gone = verbs && strcmp(action, "remove") == 0;
	heard.hints = gone || (verbs && strcmp(action, "add") == 0) ||
		      (strcmp(subsystem, "infiniband") == 0 &&
		       strcmp(action, "move") == 0);
	heard.suspect[0] = gone && ends_in(path, "uverbs0");
	heard.suspect[1] = gone && ends_in(path, "uverbs1");
	return heard;
}

static void parse(struct ibc_registry *reg, const void *msg, size_t len)
{
	ibc__uevent_parse(reg, msg, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[MAX_STRINGS + 1];
	struct heard heard, expected;
	struct strings strings;

	if (size > MAX_STRINGS)
		return -1;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	cut(text, size, &strings);
	expected = expect(&strings);
	heard = heard_from(data, size, true, parse);
	fuzz_check(heard.hints == expected.hints);
	fuzz_check(heard.suspect[0] == expected.suspect[0]);
	fuzz_check(heard.suspect[1] == expected.suspect[1]);
	heard_in_vain();
	return 0;
}
