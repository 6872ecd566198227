// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Reading a message that anybody may have written. */
#include <string.h>

#include <rdma/rdma_cma.h>

#include "message.h"

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

_Static_assert(sizeof(struct cm_message) == 312, "it has padding");

uint8_t cm_message_room(enum cm_message_type type)
{
	switch (type) {
	case CM_REQ:
		return CM_DATA_REQ;
	case CM_REP:
		return CM_DATA_REP;
	case CM_REJ:
		return CM_DATA_REJ;
	case CM_SIDR_REQ:
		return CM_DATA_SIDR_REQ;
	case CM_SIDR_REP:
		return CM_DATA_SIDR_REP;
	default:
		return 0;
	}
}

bool cm_port_space_is_good(uint32_t ps)
{
	return ps == RDMA_PS_TCP || ps == RDMA_PS_UDP || ps == RDMA_PS_IPOIB ||
	       ps == RDMA_PS_IB;
}

static bool address_is_good(const struct cm_address *address)
{
	bool is_mapped = !memcmp(address->ip, mapped, sizeof(mapped));

	return address->family == (is_mapped ? 4 : 6);
}

static bool header_is_good(const struct cm_message *message)
{
	return message->magic == CM_MAGIC && message->version == CM_VERSION &&
	       message->type < CM_NUM_TYPES && !message->reserved &&
	       cm_port_space_is_good(message->ps);
}

static bool numbers_are_good(const struct cm_message *message)
{
	return message->lid <= UINT16_MAX && message->mtu >= IBV_MTU_256 &&
	       message->mtu <= IBV_MTU_4096 &&
	       message->qp_num <= CM_MAX_NUMBER &&
	       message->psn <= CM_MAX_NUMBER && message->flow_control <= 1 &&
	       message->retry_count <= CM_MAX_RETRY &&
	       message->rnr_retry_count <= CM_MAX_RETRY && message->srq <= 1;
}

bool cm_message_read(struct cm_message *message, const void *from, size_t len)
{
	if (len != sizeof(*message))
		return false;
	memcpy(message, from, sizeof(*message));
	if (!header_is_good(message) || !numbers_are_good(message) ||
	    !address_is_good(&message->src) ||
	    !address_is_good(&message->dst) ||
	    message->data_len > cm_message_room(message->type))
		return false;
	memset(message->data + message->data_len, 0,
	       sizeof(message->data) - message->data_len);
	return true;
}
