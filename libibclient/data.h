/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What data.c, alloc.c and deliver.c share. */
#ifndef IBC_DATA_H
#define IBC_DATA_H

#include "private.h"

static inline uintptr_t ibc__data_cookie(struct ibc_client_data *data,
					 struct ibc__ref *ref)
{
	return (uintptr_t)data ^ (uintptr_t)ref ^ 0x1bcda7a;
}

static inline struct ibc__ref *ibc__data_ref(struct ibc_client_data *data)
{
	struct ibc__ref *ref = (struct ibc__ref *)data->opaque[3];

	return data->opaque[4] == ibc__data_cookie(data, ref) ? ref : NULL;
}

/* the user has a reference more */
static inline void ibc__came(struct ibc__ref *ref, void *caller)
{
	struct ibc__tracker *t = ref->reg->tracker;

	if (__builtin_expect(t != NULL, 0))
		ibc__holder_came(t, ref, caller);
}

struct ibc__slot *ibc__data_slot(struct ibc_device *dev,
				 struct ibc_client *client);
struct ibc_client_data *ibc__slot_get(struct ibc__slot *slot,
				      struct ibc_client *client);
int ibc__data_going(struct ibc__slot *slot, struct ibc_client *client);
int ibc__data_status(struct ibc__slot *slot, struct ibc_client *client);
void ibc__data_attach(struct ibc_client_data *data, struct ibc__slot *slot,
		      struct ibc_client *client, struct ibc__ref *ref);

#endif /* IBC_DATA_H */
