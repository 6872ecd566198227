/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What nvme_style_target and iser_style_initiator say to each other. */
#ifndef EXAMPLES_WIRE_H
#define EXAMPLES_WIRE_H

#include <stdint.h>

#define WIRE_SIZE 4096 /* of a message, and of what can be read at once */

enum wire_op {
	WIRE_ECHO = 1, /* answered by the same message */
	WIRE_READ,     /* answered when addr has the block, by RDMA WRITE */
};

/* both are programs of one kind of machine: no byte order is converted */
struct wire_request {
	uint32_t op, rkey;
	uint64_t tag;
	uint64_t addr;
	uint64_t block;
};

/* what a block is full of */
static inline unsigned char wire_byte(uint64_t block)
{
	return (unsigned char)(block * 7 + 1);
}

#endif /* EXAMPLES_WIRE_H */
