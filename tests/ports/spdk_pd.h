/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * PDs as SPDK's users get and put them, by the context and by the PD alone. For
 * programs that can keep a pointer more there is libibclient_pd.
 */
#ifndef PORTS_SPDK_PD_H
#define PORTS_SPDK_PD_H

#include <infiniband/ibclient.h>

/* before the first and after the last of the others; errno values */
int spdk_pd_begin(struct ibc_registry *reg);
int spdk_pd_end(void);

/*
 * The PD of @context, whoever opened that; made with the first reference. NULL and
 * errno: EINVAL (no context), ENODEV (its device goes), or of ibv_alloc_pd(). The
 * owner of a context closes it after its device has drained. In a callback of the
 * registry the first one for a context may be ENOENT: later it is there.
 */
struct ibv_pd *spdk_get_pd(struct ibv_context *context);
/* deallocates it with the last reference; EINVAL: it is none of ours */
int spdk_put_pd(struct ibv_pd *pd);

#endif /* PORTS_SPDK_PD_H */
