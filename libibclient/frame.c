// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Which callbacks this thread is in. Each call into a user's code puts a frame
 * on a per-thread stack; what would wait looks for its registry there, and says
 * EDEADLK rather than waiting for itself.
 */
#include "private.h"

static __thread struct ibc__frame *frames;

void ibc__enter(struct ibc__frame *frame, struct ibc_registry *reg)
{
	frame->up = frames;
	frame->reg = reg;
	frames = frame;
}

void ibc__leave(struct ibc__frame *frame)
{
	frames = frame->up;
}

bool ibc__in_callback(struct ibc_registry *reg)
{
	struct ibc__frame *frame;

	for (frame = frames; frame; frame = frame->up)
		if (frame->reg == reg)
			return true;
	return false;
}
