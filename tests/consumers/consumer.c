/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* A stranger's program, in C and in C++: prints the devices that it finds. */
#include <stdio.h>
#include <string.h>

#include <infiniband/ibclient.h>

static int print(struct ibc_device *dev, void *arg)
{
	(void)arg;
	puts(ibc_device_name(dev));
	return 0;
}

int main(void)
{
	struct ibc_registry *reg = ibc_open(NULL);
	struct ibc_client client;
	int error;

	memset(&client, 0, sizeof(client));
	client.name = "consumer";
	if (!reg || ibc_register_client(reg, &client))
		return 1;
	error = ibc_for_each_device(reg, print, NULL);
	return error || ibc_unregister_client(&client) || ibc_close(reg);
}
