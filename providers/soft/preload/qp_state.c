// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The state machine of queue pairs, from the InfiniBand specification: for each
 * transition the attributes it needs and those it may take. RESET and ERR are
 * reached from everywhere, with no attributes.
 */
#include "preload.h"

#define STATE	 IBV_QP_STATE
#define CUR	 IBV_QP_CUR_STATE
#define NOTIFY	 IBV_QP_EN_SQD_ASYNC_NOTIFY
#define ACCESS	 IBV_QP_ACCESS_FLAGS
#define PKEY	 IBV_QP_PKEY_INDEX
#define PORT	 IBV_QP_PORT
#define QKEY	 IBV_QP_QKEY
#define AV	 IBV_QP_AV
#define ALT	 IBV_QP_ALT_PATH
#define MIG	 IBV_QP_PATH_MIG_STATE
#define RNR_TIME IBV_QP_MIN_RNR_TIMER
#define SQ_PSN	 IBV_QP_SQ_PSN
#define RETRIES	 (IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY)
#define INITIATE IBV_QP_MAX_QP_RD_ATOMIC
#define RESPOND	 IBV_QP_MAX_DEST_RD_ATOMIC
#define PEER	 (AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN)

enum { RC, UC, UD, NUM_TYPES };

struct masks {
	int needed[NUM_TYPES];
	int allowed[NUM_TYPES];
};

struct transition {
	enum ibv_qp_state from, to;
	struct masks masks;
};

static const struct transition transitions[] = {
	{ IBV_QPS_RESET,
	  IBV_QPS_INIT,
	  { .needed = { [RC] = PKEY | PORT | ACCESS,
			[UC] = PKEY | PORT | ACCESS,
			[UD] = PKEY | PORT | QKEY } } },
	{ IBV_QPS_INIT,
	  IBV_QPS_INIT,
	  { .allowed = { [RC] = PKEY | PORT | ACCESS,
			 [UC] = PKEY | PORT | ACCESS,
			 [UD] = PKEY | PORT | QKEY } } },
	{ IBV_QPS_INIT,
	  IBV_QPS_RTR,
	  { .needed = { [RC] = PEER | RESPOND | RNR_TIME, [UC] = PEER },
	    .allowed = { [RC] = ALT | ACCESS | PKEY,
			 [UC] = ALT | ACCESS | PKEY,
			 [UD] = PKEY | QKEY } } },
	{ IBV_QPS_RTR,
	  IBV_QPS_RTS,
	  { .needed = { [RC] = SQ_PSN | RETRIES | INITIATE,
			[UC] = SQ_PSN,
			[UD] = SQ_PSN },
	    .allowed = { [RC] = CUR | ALT | ACCESS | RNR_TIME | MIG,
			 [UC] = CUR | ALT | ACCESS | MIG,
			 [UD] = CUR | QKEY } } },
	{ IBV_QPS_RTS,
	  IBV_QPS_RTS,
	  { .allowed = { [RC] = CUR | ALT | ACCESS | RNR_TIME | MIG,
			 [UC] = CUR | ALT | ACCESS | MIG,
			 [UD] = CUR | QKEY } } },
	{ IBV_QPS_RTS,
	  IBV_QPS_SQD,
	  { .allowed = { [RC] = NOTIFY, [UC] = NOTIFY, [UD] = NOTIFY } } },
	{ IBV_QPS_SQD,
	  IBV_QPS_RTS,
	  { .allowed = { [RC] = CUR | ALT | ACCESS | RNR_TIME | MIG,
			 [UC] = CUR | ALT | ACCESS | MIG,
			 [UD] = CUR | QKEY } } },
	{ IBV_QPS_SQD,
	  IBV_QPS_SQD,
	  { .allowed = { [RC] = PORT | AV | RETRIES | INITIATE | RESPOND | ALT |
				ACCESS | PKEY | RNR_TIME | MIG,
			 [UC] = AV | ALT | ACCESS | PKEY | MIG,
			 [UD] = PKEY | QKEY } } },
	{ IBV_QPS_SQE,
	  IBV_QPS_RTS,
	  { .allowed = { [UC] = CUR | ACCESS, [UD] = CUR | QKEY } } },
};

static int type_index(enum ibv_qp_type type)
{
	return type == IBV_QPT_RC ? RC : type == IBV_QPT_UC ? UC : UD;
}

bool soft_qp_transition_is_good(enum ibv_qp_type type, enum ibv_qp_state from,
				enum ibv_qp_state to, int mask)
{
	const struct masks *masks;
	int kind = type_index(type);
	unsigned int i;

	if (to == IBV_QPS_RESET || to == IBV_QPS_ERR)
		return !(mask & ~STATE);
	for (i = 0; i < sizeof(transitions) / sizeof(transitions[0]); i++) {
		if (transitions[i].from != from || transitions[i].to != to)
			continue;
		masks = &transitions[i].masks;
		return (mask & masks->needed[kind]) == masks->needed[kind] &&
		       !(mask &
			 ~(masks->needed[kind] | masks->allowed[kind] | STATE));
	}
	return false;
}
