/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the parts of fuzz_input share: fuzz_input.c opens a registry as the input
 * has it, and makes most calls; given_events.c those that are about events.
 */
#ifndef FUZZ_GIVEN_H
#define FUZZ_GIVEN_H

#include "fake.h"
#include "input.h"
#include "private.h"

#define MAX_DEVICES  3
#define MAX_HANDLERS 4

struct handler {
	struct ibc_event_handler *handle;
	struct ibc_event_filter filter;
	unsigned int told;
};

struct world {
	struct ibc_registry *reg;
	bool manual;
	char names[MAX_DEVICES][64];
	unsigned int num_names;
	struct ibc_device *dev; /* the first, or NULL */
	struct ibv_qp *qp;	/* stands for any object of it */
	struct handler handlers[MAX_HANDLERS];
	unsigned int logged;
};

/* mostly small, sometimes with bits anywhere */
static inline uint32_t word(struct input *in)
{
	uint32_t value = number(in);

	return value < 0x80 ? value : value << (byte(in) % 25);
}

/* all that is due; with threads it is theirs, and not waited for */
static inline void given_settle(struct world *w)
{
	while (w->manual && ibc_dispatch(w->reg, 0) == 0)
		;
}

/* a filter for a handler, an event of the owner's: must they be taken? */
void given_filter(struct world *w, struct input *in);
void given_event(struct world *w, struct input *in);

#endif /* FUZZ_GIVEN_H */
