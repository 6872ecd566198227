// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Two libraries of one process, and one PD for each device: what one of them
 * registered, a QP of the other sends. Neither knows of the other, nor the program
 * of PDs. A device that goes takes with it what both have made there, and its PD;
 * one that comes has a new one. Ends with standard input.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <infiniband/ibclient.h>

#include "shared_pd.h"

/* the libraries were begun before, so they know the device */
static int add(struct ibc_client *client, struct ibc_device *dev)
{
	char copy[STORE_SIZE] = "";
	const char *why;
	struct ibv_sge sge;

	(void)client;
	if (!store_find(dev, &sge))
		printf("%s: no memory: %s\n", ibc_device_name(dev),
		       strerror(errno));
	else if (!mover_copy(dev, &sge, copy, &why))
		printf("%s: not moved: %s\n", ibc_device_name(dev), why);
	else
		printf("%s: %s\n", ibc_device_name(dev),
		       memcmp(copy, store_memory(), STORE_SIZE) ?
			       "something else was moved" :
			       "the one's memory was sent by the other's QP");
	return 0;
}

/* what both had is freed by now */
static void gone(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	printf("%s: gone\n", ibc_device_name(dev));
}

static void must(int error, const char *what)
{
	if (!error)
		return;
	fprintf(stderr, "shared_pd: %s: %s\n", what, strerror(error));
	exit(EXIT_FAILURE);
}

int main(void)
{
	struct ibc_client client = { .name = "shared_pd",
				     .add = add,
				     .gone = gone };
	struct ibc_registry *reg = ibc_open(NULL);

	setvbuf(stdout, NULL, _IOLBF, 0);
	memset(store_memory(), 'x', STORE_SIZE);
	must(reg ? 0 : errno, "no registry");
	must(store_begin(), "the store");
	must(mover_begin(), "the mover");
	must(ibc_register_client(reg, &client), "no client");
	while (getchar() != EOF)
		;
	must(ibc_unregister_client(&client), "the client");
	must(mover_end(), "the mover");
	must(store_end(), "the store");
	must(ibc_close(reg), "the registry");
	puts("ended");
	return EXIT_SUCCESS;
}
