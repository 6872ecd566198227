/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What two processes say to each other: one struct, always sent and received as
 * a whole over a Unix socket of packets. It is read as if somebody else had
 * written it.
 */
#ifndef SOFTVERBS_CM_MESSAGE_H
#define SOFTVERBS_CM_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CM_MAGIC   0x73766d63
#define CM_VERSION 1

enum cm_message_type {
	CM_REQ,	     /* the first: I want to connect */
	CM_REP,	     /* accepted */
	CM_RTU,	     /* my QP is ready */
	CM_REJ,	     /* refused; `reason` says why */
	CM_DREQ,     /* let us end this */
	CM_DREP,     /* agreed */
	CM_SIDR_REQ, /* which QP is it that serves this port? */
	CM_SIDR_REP,
	CM_NUM_TYPES,
};

/* the values that programs find in the status of an event */
enum cm_reason {
	CM_REASON_SERVICE_ID = 8, /* nobody listens */
	CM_REASON_CONSUMER = 28,  /* the program did not want to */
	CM_REASON_ECE = 35,
	CM_REASON_SIDR_UNSUPPORTED = 1, /* nobody listens */
	CM_REASON_SIDR_REJECT = 2,
};

/* the room that an InfiniBand CM has for the program in each type */
#define CM_DATA_REQ	 56
#define CM_DATA_REP	 196
#define CM_DATA_REJ	 148
#define CM_DATA_SIDR_REQ 180
#define CM_DATA_SIDR_REP 136
#define CM_DATA_MAX	 196

#define CM_MAX_NUMBER 0xffffff /* of a QP, and a PSN */
#define CM_MAX_RETRY  7

/* an IPv4 address is there as ::ffff:a.b.c.d */
struct cm_address {
	uint8_t ip[16];
	uint16_t port;	 /* host byte order */
	uint16_t family; /* 4 or 6 */
	uint32_t scope;
};

/* no padding: all of it is set by the sender */
struct cm_message {
	uint32_t magic;
	uint16_t version;
	uint16_t type;	 /* enum cm_message_type */
	uint32_t ps;	 /* enum rdma_port_space */
	uint32_t reason; /* of CM_REJ and CM_SIDR_REP */
	struct cm_address src, dst;
	uint8_t gid[16]; /* the sender's */
	uint32_t lid;
	uint32_t mtu; /* enum ibv_mtu */
	uint32_t qp_num;
	uint32_t psn; /* that it begins with */
	uint32_t qkey;
	uint32_t ece_vendor, ece_options;
	uint8_t responder_resources; /* as the sender's program gave them */
	uint8_t initiator_depth;
	uint8_t flow_control;
	uint8_t retry_count;
	uint8_t rnr_retry_count;
	uint8_t srq;
	uint8_t data_len;
	uint8_t reserved;
	uint8_t data[CM_DATA_MAX];
};

/* how much the program may say in a message of that type */
uint8_t cm_message_room(enum cm_message_type type);
/* false: not one of ours; else it is copied, with zeros behind its data */
bool cm_message_read(struct cm_message *message, const void *from, size_t len);
/* the port space is one that there is, and the address one that can be */
bool cm_port_space_is_good(uint32_t ps);

#endif /* SOFTVERBS_CM_MESSAGE_H */
