// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A library that takes references and is unloaded: for test_holders.c. */
#include "holder_lib.h"

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
