// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See fed.h. */
#include "fed.h"

struct ibc_registry *fed_reg;
struct ibc_device *fed_soft0;
static struct ibc_client client = { .name = "fed" };

int fed_setup(void **state)
{
	struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };

	(void)state;
	setenv("IBC_SOURCES", "", 1);
	fake_start();
	fake_add("soft0", 0x1111);
	fake_add("soft1", 0x2222);
	fed_reg = ibc_open(&attr);
	if (!fed_reg || ibc_register_client(fed_reg, &client))
		return -1;
	fed_soft0 = ibc_get_device_by_name(fed_reg, "soft0");
	return fed_soft0 ? 0 : -1;
}

int fed_teardown(void **state)
{
	(void)state;
	ibc_put_device(fed_soft0);
	if (ibc_unregister_client(&client) || ibc_close(fed_reg))
		return -1;
	return fake_stop() ? 0 : -1;
}

bool fed_suspect(struct ibc_device *dev)
{
	bool is;

	ibc__lock(fed_reg);
	is = dev->suspect;
	dev->suspect = false;
	ibc__unlock(fed_reg);
	return is;
}
