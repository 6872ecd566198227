// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* For test_plugin.c: what knows of libibverbs. */
#include <infiniband/verbs.h>

int plugin_run(void);

int plugin_run(void)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *context;
	struct ibv_device_attr attr;
	int ports = -1;

	if (!list || !list[0])
		return -1;
	/* libibverbs' own: only to be found by who looks for the library */
	if (!ibv_wc_status_str(IBV_WC_SUCCESS) || ibv_rate_to_mult(2) != 1)
		return -2;
	context = ibv_open_device(list[0]);
	ibv_free_device_list(list);
	if (!context)
		return -3;
	if (!ibv_query_device(context, &attr))
		ports = attr.phys_port_cnt;
	ibv_close_device(context);
	return ports;
}
