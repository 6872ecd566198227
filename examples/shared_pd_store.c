// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A library that has one piece of memory, registered once with each device. Who
 * may use its key is who has a QP on the same PD: it takes the one that all
 * libraries of the process share, and never hears who they are.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <infiniband/ibclient_pd.h>

#include "shared_pd.h"

struct piece {
	struct ibc_client_data base; /* the first member */
	struct ibc_pd *pd;
	struct ibv_mr *mr;
};

static _Alignas(STORE_SIZE) char memory[STORE_SIZE];
static struct ibc_registry *reg;

static void release(struct ibc_client_data *data)
{
	struct piece *p = (struct piece *)data;

	if (p->mr)
		ibv_dereg_mr(p->mr);
	ibc_put_pd(p->pd);
	free(p);
}

static struct ibc_client_data *make(struct ibc_client *client,
				    struct ibc_device *dev)
{
	struct piece *p = calloc(1, sizeof(*p));
	int error;

	(void)client;
	if (!p)
		return NULL;
	p->pd = ibc_get_pd(dev);
	if (p->pd)
		p->mr = ibv_reg_mr(p->pd->pd, memory, sizeof(memory),
				   IBV_ACCESS_LOCAL_WRITE);
	if (p->mr)
		return &p->base;
	error = errno;
	release(&p->base);
	errno = error;
	return NULL;
}

static struct ibc_client client = {
	.name = "store",
	.alloc_client_data = make,
	.free_client_data = release,
};

int store_begin(void)
{
	int error;

	reg = ibc_open(NULL); /* the process's */
	error = reg ? ibc_open_pds(reg) : errno;
	return error ? error : ibc_register_client(reg, &client);
}

int store_end(void)
{
	int error = ibc_unregister_client(&client);

	if (!error)
		error = ibc_close_pds(reg);
	return error ? error : ibc_close(reg);
}

/* the registry keeps the piece until the device goes */
bool store_find(struct ibc_device *dev, struct ibv_sge *sge)
{
	struct piece *p =
		(struct piece *)ibc_alloc_or_get_client_data(dev, &client);

	if (!p)
		return false;
	sge->addr = (uintptr_t)memory;
	sge->length = sizeof(memory);
	sge->lkey = p->mr->lkey;
	ibc_put_client_data(&p->base);
	return true;
}

char *store_memory(void)
{
	return memory;
}
