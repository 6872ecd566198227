// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A library that takes references: for test_holders.c. */
#include <stdio.h>
#include <stdlib.h>

#include "holder_lib.h"

/* while it is loaded: the function whose address is in the environment */
__attribute__((constructor)) static void call_back(void)
{
	const char *address = getenv(HOLDER_LIB_HOOK);
	void *hook;

	if (address && sscanf(address, "%p", &hook) == 1)
		((void (*)(void))hook)();
}

/* what follows keeps the calls from being the last thing done, so a jump */
#define RETURN(data)          \
	__asm__ volatile(""); \
	return data

struct ibc_client_data *holder_lib_get(holder_lib_get_fn *get,
				       struct ibc_device *dev,
				       struct ibc_client *client)
{
	struct ibc_client_data *data = get(dev, client);

	RETURN(data);
}

static __attribute__((noinline)) struct ibc_client_data *
nobodys_business(holder_lib_get_fn *get, struct ibc_device *dev,
		 struct ibc_client *client)
{
	struct ibc_client_data *data = get(dev, client);

	RETURN(data);
}

struct ibc_client_data *holder_lib_get_static(holder_lib_get_fn *get,
					      struct ibc_device *dev,
					      struct ibc_client *client)
{
	struct ibc_client_data *data = nobodys_business(get, dev, client);

	RETURN(data);
}
