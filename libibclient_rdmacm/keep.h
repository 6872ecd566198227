/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What keeps librdmacm from closing a context: see keep.c. */
#ifndef IBC_RDMACM_KEEP_H
#define IBC_RDMACM_KEEP_H

#include <rdma/rdma_cma.h>

/* an id of ours on the device of @id; NULL and errno */
struct rdma_cm_id *ibc__keep(struct rdma_cm_id *id);
void ibc__keep_drop(void *keep);

#endif /* IBC_RDMACM_KEEP_H */
