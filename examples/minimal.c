// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* One PD for each RDMA device: made once, freed when the device goes. */
#include <stdlib.h>
#include <infiniband/ibclient.h>

struct my_data {
	struct ibc_client_data base; /* the first member */
	struct ibv_pd *pd;
};

static struct ibc_client_data *make(struct ibc_client *c, struct ibc_device *d)
{
	struct my_data *my = calloc(1, sizeof(*my));

	printf("%s: making the PD of %s\n", c->name, ibc_device_name(d));
	if (my)
		my->pd = ibv_alloc_pd(ibc_device_context(d));
	if (my && my->pd)
		return &my->base;
	free(my);
	return NULL;
}

static void destroy(struct ibc_client_data *data)
{
	ibv_dealloc_pd(((struct my_data *)data)->pd);
	free(data);
}

static int add(struct ibc_client *c, struct ibc_device *d)
{
	ibc_put_client_data(ibc_alloc_or_get_client_data(d, c));
	return 0; /* our reference is put; the registry keeps one */
}

int main(void)
{
	struct ibc_client client = { .name = "minimal",
				     .add = add,
				     .alloc_client_data = make,
				     .free_client_data = destroy };
	struct ibc_registry *reg = ibc_open(NULL);

	if (!reg || ibc_register_client(reg, &client))
		return 1;
	getchar(); /* until Enter is pressed, devices come and go */
	return ibc_unregister_client(&client) || ibc_close(reg);
}
