// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See heard.h. One registry serves all inputs of a process. */
#include <string.h>

#include "fake.h"
#include "fed.h"
#include "heard.h"
#include "input.h"

static struct ibc_device *soft1;

static void stop(void)
{
	ibc_put_device(soft1);
	fuzz_check(fed_teardown(NULL) == 0);
}

static void start(void)
{
	fuzz_check(fed_setup(NULL) == 0);
	soft1 = ibc_get_device_by_name(fed_reg, "soft1");
	fuzz_check(soft1);
	atexit(stop);
}

struct heard heard_from(const uint8_t *data, size_t size, bool zero,
			void (*parse)(struct ibc_registry *reg, const void *msg,
				      size_t len))
{
	uint8_t *copy = malloc(size + 1 + zero);
	struct heard heard;

	if (!fed_reg)
		start();
	fuzz_check(copy);
	if (size)
		memcpy(copy + 1, data, size);
	if (zero)
		copy[size + 1] = '\0';
	ibc__lock(fed_reg);
	heard.hints = fed_reg->stats.hints;
	parse(fed_reg, copy + 1, size);
	heard.hints = fed_reg->stats.hints - heard.hints;
	heard.suspect[0] = fed_soft0->suspect;
	heard.suspect[1] = soft1->suspect;
	ibc__unlock(fed_reg);
	free(copy);
	return heard;
}

void heard_in_vain(void)
{
	struct ibc_device *devs[] = { fed_soft0, soft1 };
	struct ibc_stats stats;
	unsigned int i;

	while (ibc_dispatch(fed_reg, 0) == 0)
		;
	for (i = 0; i < 2; i++) {
		fuzz_check(ibc_device_state(devs[i]) == IBC_DEVICE_LIVE);
		fuzz_check(!devs[i]->suspect && !devs[i]->probe);
	}
	fuzz_check(ibc_query_stats(fed_reg, &stats, sizeof(stats)) == 0);
	fuzz_check(stats.devices_added == 2 && !stats.devices_gone);
	fuzz_check(stats.adds == 2 && !stats.removes);
	fuzz_check(fake_open_contexts(NULL) == 2);
}
