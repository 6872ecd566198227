/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef TESTS_HOLDER_LIB_H
#define TESTS_HOLDER_LIB_H

#include <infiniband/ibclient.h>

#define HOLDER_LIB_HOOK "IBC_TEST_HOLDER_HOOK"

typedef struct ibc_client_data *holder_lib_get_fn(struct ibc_device *dev,
						  struct ibc_client *client);

/* both take a reference; the second in a static function */
struct ibc_client_data *holder_lib_get(holder_lib_get_fn *get,
				       struct ibc_device *dev,
				       struct ibc_client *client);
struct ibc_client_data *holder_lib_get_static(holder_lib_get_fn *get,
					      struct ibc_device *dev,
					      struct ibc_client *client);

#endif /* TESTS_HOLDER_LIB_H */
