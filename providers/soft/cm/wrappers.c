// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What we export: functions of librdmacm. Ours for the program, librdmacm's for
 * librdmacm itself, whose rsockets stand on them.
 */
#include <endian.h>
#include <errno.h>

#include "cm.h"

#define WRAP(type, name, params, args, ours, missing)                     \
	type name params                                                  \
	{                                                                 \
		static _Atomic(void *) cached;                            \
		type(*real) params;                                       \
                                                                          \
		if (!cm_called_by_librdmacm(__builtin_return_address(0))) \
			return ours;                                      \
		real = (type(*) params)cm_real(&cached, #name);           \
		if (real)                                                 \
			return real args;                                 \
		errno = EOPNOTSUPP;                                       \
		return missing;                                           \
	}

#define WRAP_VOID(name, params, args, ours)                                 \
	void name params                                                    \
	{                                                                   \
		static _Atomic(void *) cached;                              \
		void(*real) params;                                         \
                                                                            \
		if (!cm_called_by_librdmacm(__builtin_return_address(0))) { \
			ours;                                               \
			return;                                             \
		}                                                           \
		real = (void(*) params)cm_real(&cached, #name);             \
		if (real)                                                   \
			real args;                                          \
	}

#define CALL(name, params, args) \
	WRAP(int, rdma_##name, params, args, cm_##name args, -1)

/* ---- channels and events ---- */

WRAP(struct rdma_event_channel *, rdma_create_event_channel, (void), (),
     cm_create_event_channel(), NULL)
WRAP_VOID(rdma_destroy_event_channel, (struct rdma_event_channel * channel),
	  (channel), cm_destroy_event_channel(channel))
WRAP(int, rdma_get_cm_event,
     (struct rdma_event_channel * channel, struct rdma_cm_event **event),
     (channel, event), cm_get_event(channel, event), -1)
WRAP(int, rdma_ack_cm_event, (struct rdma_cm_event * event), (event),
     cm_ack_event(event), -1)
WRAP(const char *, rdma_event_str, (enum rdma_cm_event_type event), (event),
     cm_event_str(event), "")

/* ---- ids ---- */

CALL(create_id,
     (struct rdma_event_channel * channel, struct rdma_cm_id **id,
      void *context, enum rdma_port_space ps),
     (channel, id, context, ps))
CALL(destroy_id, (struct rdma_cm_id * id), (id))
CALL(migrate_id, (struct rdma_cm_id * id, struct rdma_event_channel *channel),
     (id, channel))
CALL(set_option,
     (struct rdma_cm_id * id, int level, int optname, void *optval,
      size_t optlen),
     (id, level, optname, optval, optlen))
CALL(create_ep,
     (struct rdma_cm_id * *id, struct rdma_addrinfo *res, struct ibv_pd *pd,
      struct ibv_qp_init_attr *init),
     (id, res, pd, init))
WRAP_VOID(rdma_destroy_ep, (struct rdma_cm_id * id), (id), cm_destroy_ep(id))
CALL(getaddrinfo,
     (const char *node, const char *service, const struct rdma_addrinfo *hints,
      struct rdma_addrinfo **res),
     (node, service, hints, res))
WRAP_VOID(rdma_freeaddrinfo, (struct rdma_addrinfo * res), (res),
	  cm_freeaddrinfo(res))

/* ---- addresses and routes ---- */

CALL(bind_addr, (struct rdma_cm_id * id, struct sockaddr *addr), (id, addr))
CALL(resolve_addr,
     (struct rdma_cm_id * id, struct sockaddr *src, struct sockaddr *dst,
      int timeout_ms),
     (id, src, dst, timeout_ms))
CALL(resolve_route, (struct rdma_cm_id * id, int timeout_ms), (id, timeout_ms))
CALL(listen, (struct rdma_cm_id * id, int backlog), (id, backlog))
WRAP(__be16, rdma_get_src_port, (struct rdma_cm_id * id), (id),
     htobe16(to_id(id)->src.port), 0)
WRAP(__be16, rdma_get_dst_port, (struct rdma_cm_id * id), (id),
     htobe16(to_id(id)->dst.port), 0)
WRAP(struct ibv_context **, rdma_get_devices, (int *num), (num),
     cm_get_devices(num), NULL)
WRAP_VOID(rdma_free_devices, (struct ibv_context * *list), (list),
	  cm_free_devices(list))

/* ---- connections ---- */

CALL(connect, (struct rdma_cm_id * id, struct rdma_conn_param *param),
     (id, param))
CALL(accept, (struct rdma_cm_id * id, struct rdma_conn_param *param),
     (id, param))
CALL(get_request, (struct rdma_cm_id * listen, struct rdma_cm_id **id),
     (listen, id))
WRAP(int, rdma_reject, (struct rdma_cm_id * id, const void *data, uint8_t len),
     (id, data, len), cm_reject(id, data, len, CM_REASON_CONSUMER), -1)
WRAP(int, rdma_reject_ece,
     (struct rdma_cm_id * id, const void *data, uint8_t len), (id, data, len),
     cm_reject(id, data, len, CM_REASON_ECE), -1)
CALL(establish, (struct rdma_cm_id * id), (id))
CALL(notify, (struct rdma_cm_id * id, enum ibv_event_type event), (id, event))
CALL(disconnect, (struct rdma_cm_id * id), (id))

/* ---- queue pairs ---- */

CALL(create_qp,
     (struct rdma_cm_id * id, struct ibv_pd *pd, struct ibv_qp_init_attr *init),
     (id, pd, init))
CALL(create_qp_ex, (struct rdma_cm_id * id, struct ibv_qp_init_attr_ex *init),
     (id, init))
WRAP_VOID(rdma_destroy_qp, (struct rdma_cm_id * id), (id), cm_destroy_qp(id))
CALL(init_qp_attr,
     (struct rdma_cm_id * id, struct ibv_qp_attr *attr, int *mask),
     (id, attr, mask))
CALL(create_srq,
     (struct rdma_cm_id * id, struct ibv_pd *pd,
      struct ibv_srq_init_attr *init),
     (id, pd, init))
CALL(create_srq_ex, (struct rdma_cm_id * id, struct ibv_srq_init_attr_ex *init),
     (id, init))
WRAP_VOID(rdma_destroy_srq, (struct rdma_cm_id * id), (id), cm_destroy_srq(id))
CALL(set_local_ece, (struct rdma_cm_id * id, struct ibv_ece *ece), (id, ece))
CALL(get_remote_ece, (struct rdma_cm_id * id, struct ibv_ece *ece), (id, ece))

/* ---- multicast ---- */

WRAP(int, rdma_join_multicast,
     (struct rdma_cm_id * id, struct sockaddr *addr, void *context),
     (id, addr, context), cm_join(id, addr, context), -1)
CALL(join_multicast_ex,
     (struct rdma_cm_id * id, struct rdma_cm_join_mc_attr_ex *attr,
      void *context),
     (id, attr, context))
WRAP(int, rdma_leave_multicast, (struct rdma_cm_id * id, struct sockaddr *addr),
     (id, addr), cm_leave(id, addr), -1)
