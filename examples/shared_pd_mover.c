// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A library that moves memory by the devices: on each it has a QP that is connected
 * to itself. What others registered it can use because its QPs are on the PD that
 * all libraries of the process share.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <infiniband/ibclient_pd.h>

#include "shared_pd.h"

struct mover {
	struct ibc_client_data base; /* the first member */
	struct ibc_pd *pd;
	struct ibv_mr *mr;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
	char landing[STORE_SIZE];
};

static struct ibc_registry *reg;

static void release(struct ibc_client_data *data)
{
	struct mover *m = (struct mover *)data;

	if (m->qp)
		ibv_destroy_qp(m->qp);
	if (m->cq)
		ibv_destroy_cq(m->cq);
	if (m->mr)
		ibv_dereg_mr(m->mr);
	ibc_put_pd(m->pd);
	free(m);
}

static bool to_itself(struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_INIT, .port_num = 1 };

	if (ibv_query_gid(qp->context, 1, 0, &attr.ah_attr.grh.dgid) ||
	    ibv_modify_qp(qp, &attr,
			  IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
				  IBV_QP_ACCESS_FLAGS))
		return false;
	attr.qp_state = IBV_QPS_RTR;
	attr.path_mtu = IBV_MTU_1024;
	attr.dest_qp_num = qp->qp_num;
	attr.max_dest_rd_atomic = 1;
	attr.min_rnr_timer = 12;
	attr.ah_attr.is_global = 1;
	attr.ah_attr.grh.hop_limit = 1;
	attr.ah_attr.port_num = 1;
	if (ibv_modify_qp(qp, &attr,
			  IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
				  IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
				  IBV_QP_MAX_DEST_RD_ATOMIC |
				  IBV_QP_MIN_RNR_TIMER))
		return false;
	attr.qp_state = IBV_QPS_RTS;
	attr.timeout = 14;
	attr.retry_cnt = attr.rnr_retry = 7;
	attr.max_rd_atomic = 1;
	return !ibv_modify_qp(qp, &attr,
			      IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
				      IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
				      IBV_QP_MAX_QP_RD_ATOMIC);
}

static bool make_objects(struct mover *m, struct ibc_device *dev)
{
	struct ibv_qp_init_attr init = { .qp_type = IBV_QPT_RC,
					 .cap = { 1, 1, 1, 1, 0 } };

	m->pd = ibc_get_pd(dev);
	if (!m->pd)
		return false;
	m->mr = ibv_reg_mr(m->pd->pd, m->landing, sizeof(m->landing),
			   IBV_ACCESS_LOCAL_WRITE);
	m->cq = ibv_create_cq(ibc_device_context(dev), 2, NULL, NULL, 0);
	init.send_cq = init.recv_cq = m->cq;
	if (m->mr && m->cq)
		m->qp = ibv_create_qp(m->pd->pd, &init);
	return m->qp && to_itself(m->qp);
}

static struct ibc_client_data *make(struct ibc_client *client,
				    struct ibc_device *dev)
{
	struct mover *m = calloc(1, sizeof(*m));
	int error;

	(void)client;
	if (!m || make_objects(m, dev))
		return m ? &m->base : NULL;
	error = errno;
	release(&m->base);
	errno = error;
	return NULL;
}

static struct ibc_client client = {
	.name = "mover",
	.alloc_client_data = make,
	.free_client_data = release,
};

int mover_begin(void)
{
	int error;

	reg = ibc_open(NULL); /* the process's */
	error = reg ? ibc_open_pds(reg) : errno;
	return error ? error : ibc_register_client(reg, &client);
}

int mover_end(void)
{
	int error = ibc_unregister_client(&client);

	if (!error)
		error = ibc_close_pds(reg);
	return error ? error : ibc_close(reg);
}

/* both ends complete, well or not; NULL, or why they did not */
static const char *move(struct mover *m, const struct ibv_sge *from)
{
	struct ibv_sge to = { (uintptr_t)m->landing, from->length,
			      m->mr->lkey };
	struct ibv_sge source = *from;
	struct ibv_recv_wr recv = { .sg_list = &to, .num_sge = 1 }, *bad_recv;
	struct ibv_send_wr send = { .sg_list = &source,
				    .num_sge = 1,
				    .opcode = IBV_WR_SEND,
				    .send_flags = IBV_SEND_SIGNALED },
			   *bad_send;
	struct ibv_wc wc;
	int n, left = 2;

	if (from->length > sizeof(m->landing))
		return "it is too large";
	if (ibv_post_recv(m->qp, &recv, &bad_recv) ||
	    ibv_post_send(m->qp, &send, &bad_send))
		return "it cannot be posted";
	while (left) {
		n = ibv_poll_cq(m->cq, 1, &wc);
		if (n < 0 || (n && wc.status != IBV_WC_SUCCESS))
			return n < 0 ? "the CQ cannot be polled" :
				       ibv_wc_status_str(wc.status);
		left -= n;
	}
	return NULL;
}

bool mover_copy(struct ibc_device *dev, const struct ibv_sge *from, void *to,
		const char **why)
{
	struct mover *m =
		(struct mover *)ibc_alloc_or_get_client_data(dev, &client);

	*why = m ? move(m, from) : strerror(errno);
	if (m && !*why)
		memcpy(to, m->landing, from->length);
	if (m)
		ibc_put_client_data(&m->base);
	return !*why;
}
