// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Texts that people give: the first byte says which. What one parses and prints
 * must come to the same when it is parsed again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "scratch.h"

static struct softverbs *sv;

static void open_fabric(void)
{
	struct scratch *scratch = scratch_get();

	scratch_reset(scratch);
	sv = softverbs_open(scratch->fabric);
	if (!sv || softverbs_add_device(sv, "soft0", 0, 2, 0))
		scratch_fail("no fabric");
}

static void check_state(const char *text)
{
	struct sv_state one, two;
	char *first, *second;
	size_t len;

	if (sv_state_parse(&one, text))
		return;
	if (!sv_name_is_good(one.name))
		scratch_fail("a bad name");
	if (sv_state_format(&one, &first, &len) || strlen(first) != len)
		scratch_fail("no text");
	if (sv_state_parse(&two, first))
		scratch_fail("own text is not understood");
	if (one.num_ports != two.num_ports || one.guid != two.guid ||
	    one.index != two.index || strcmp(one.name, two.name) ||
	    memcmp(one.ports, two.ports, one.num_ports * sizeof(one.ports[0])))
		scratch_fail("parsed to something else");
	if (sv_state_format(&two, &second, &len) || strcmp(first, second))
		scratch_fail("printed as something else");
	free(first);
	free(second);
	sv_state_free(&one);
	sv_state_free(&two);
}

static void check_guid(const char *text)
{
	__be64 one, two;
	char out[32];

	if (sv_parse_guid(text, &one))
		return;
	if (strspn(text, "0123456789abcdefABCDEFxX:") != strlen(text))
		scratch_fail("a GUID with other characters");
	sv_format_guid(one, out, sizeof(out));
	if (sv_parse_guid(out, &two) || one != two)
		scratch_fail("GUID");
}

static void check_fault(const char *text)
{
	int error = softverbs_set_fault(sv, "soft0", text);
	struct sv_fault fault;
	int dir = sv_open_dir(sv->dir, SV_LISTED "/uverbs0");

	if (error && error != EINVAL)
		scratch_fail("fault");
	sv_fault_take(dir, -1, "open", &fault);
	if (fault.error < 0 || fault.error >= 4096)
		scratch_fail("what a verb is to fail with");
	close(dir);
	softverbs_set_fault(sv, "soft0", "none");
}

static void check_names(const char *text)
{
	int value = sv_errno_value(text), type = sv_event_type(text);
	bool good = sv_name_is_good(text);

	sv_verb_is_known(text);
	if (value == 0 || value < -1 || value >= 4096)
		scratch_fail("errno");
	if (type >= 0 && strcmp(sv_event_name(type), text))
		scratch_fail("event");
	if (good && (strchr(text, '/') || *text == '.'))
		scratch_fail("name");
	if (!good && softverbs_add_device(sv, text, 0, 1, 0) != EINVAL)
		scratch_fail("a bad name was taken");
	if (good && softverbs_rename_device(sv, "soft0", text) == 0)
		if (softverbs_rename_device(sv, text, "soft0"))
			scratch_fail("rename");
	softverbs_rename_device(sv, text, "soft0");
	softverbs_remove_device(sv, "", 0);
}

static void check(char which, const char *text)
{
	uint8_t gid[16];

	switch (which) {
	case 's':
		return check_state(text);
	case 'g':
		return check_guid(text);
	case 'i':
		sv_parse_gid(text, gid);
		sv_set_gid(sv, "soft0", 1, 1, text);
		return;
	case 'f':
		return check_fault(text);
	case 'e':
		softverbs_send_event(sv, "soft0", text);
		return;
	case 'n':
		return check_names(text);
	default:
		return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	if (!sv)
		open_fabric();
	text = strndup((const char *)data + 1, size - 1);
	check((char)data[0], text);
	free(text);
	return 0;
}
