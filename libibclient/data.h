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

/*
 * Of this process, and untracked: get, hold and put ask both at once, so that
 * who does not want to know who holds what pays nothing for it.
 */
static inline bool ibc__plain(struct ibc_registry *reg)
{
	return __builtin_expect(reg->plain == ibc__generation, 1);
}

/* the user has a reference more */
static inline void ibc__came(struct ibc__ref *ref, void *caller)
{
	struct ibc__tracker *t = ref->slot->dev->reg->tracker;

	if (__builtin_expect(t != NULL, 0))
		ibc__holder_came(t, ref, caller);
}

struct ibc__slot *ibc__data_slot(struct ibc_device *dev,
				 struct ibc_client *client);
struct ibc_client_data *ibc__slot_get(struct ibc__slot *slot,
				      struct ibc_client *client);
struct ibc__ref *ibc__slot_current(struct ibc__slot *slot);
struct ibc__ref *ibc__data_ref(struct ibc_client_data *data);
int ibc__data_going(struct ibc__slot *slot, struct ibc_client *client);
int ibc__data_status(struct ibc__slot *slot, struct ibc_client *client);
void ibc__data_attach(struct ibc_client_data *data, struct ibc__slot *slot,
		      struct ibc_client *client, struct ibc__ref *ref);

#endif /* IBC_DATA_H */
