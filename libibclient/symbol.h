/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What code an address is of: see symbol.c. */
#ifndef IBC_SYMBOL_H
#define IBC_SYMBOL_H

#include <stdbool.h>
#include <stdint.h>

struct ibc__symbol {
	char object[256];   /* the file that the code was loaded from */
	uintptr_t offset;   /* in it, as addr2line(1) wants it */
	char function[256]; /* "": the file does not tell */
	uintptr_t start;    /* of the function, in the object */
};

/* no lock held; false: nothing that is loaded has that address */
bool ibc__symbol_find(uintptr_t address, struct ibc__symbol *symbol);

#endif /* IBC_SYMBOL_H */
