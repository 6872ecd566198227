/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* One function of each of the other libraries, as its page says it answers. */
#include <errno.h>
#include <stddef.h>

#ifdef WITH_RDMACM
#include <infiniband/ibclient_rdmacm.h>
#endif
#include <infiniband/ibclient_pd.h>
#include <infiniband/softverbs.h>

int main(void)
{
	int good = ibc_close_pds(NULL) == EINVAL &&
		   softverbs_rename_device(NULL, "a", "b") == EINVAL;

#ifdef WITH_RDMACM
	good = good && ibc_release_rdmacm_devices(NULL) == EINVAL;
#endif
	return !good;
}
