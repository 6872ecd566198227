// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <stdlib.h>

#include "table.h"

/* the same shuffle each time */
static uint32_t random_below(uint64_t *state, uint32_t n)
{
	*state = *state * 6364136223846793005 + 1442695040888963407;
	return (*state >> 33) % n;
}

struct table *table_make(unsigned int devices, unsigned int clients,
			 unsigned int slots)
{
	struct table *t = need_memory(sizeof(*t));
	uint64_t state = slots;
	struct place other;
	uint32_t i, j;

	t->devices = devices;
	t->clients = clients;
	t->slots = slots;
	t->order = need_memory(slots * sizeof(*t->order));
	if (slots == 1) {
		t->order[0] = table_place(t, devices / 2 * clients);
		return t;
	}
	for (i = 0; i < slots; i++)
		t->order[i] = table_place(t, i);
	for (i = slots; i > 1; i--) {
		j = random_below(&state, i);
		other = t->order[i - 1];
		t->order[i - 1] = t->order[j];
		t->order[j] = other;
	}
	return t;
}

void table_free(struct table *t)
{
	free(t->order);
	free(t);
}
