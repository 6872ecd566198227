// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* rdma_getaddrinfo(): what getaddrinfo() says, in rdma_cm's words. */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "cm.h"

static const struct rdma_addrinfo no_hints = { .ai_port_space = RDMA_PS_TCP };

static void make_hints(struct addrinfo *to, const struct rdma_addrinfo *from)
{
	memset(to, 0, sizeof(*to));
	if (from->ai_flags & RAI_PASSIVE)
		to->ai_flags |= AI_PASSIVE;
	if (from->ai_flags & RAI_NUMERICHOST)
		to->ai_flags |= AI_NUMERICHOST;
	to->ai_family = from->ai_family;
	to->ai_socktype = from->ai_port_space == RDMA_PS_UDP ||
					  from->ai_qp_type == IBV_QPT_UD ?
				  SOCK_DGRAM :
				  SOCK_STREAM;
}

static struct sockaddr *copy(const struct sockaddr *from, socklen_t len)
{
	struct sockaddr *to = malloc(len);

	if (to)
		memcpy(to, from, len);
	return to;
}

static void set_kind(struct rdma_addrinfo *to,
		     const struct rdma_addrinfo *hints)
{
	bool ud = hints->ai_port_space == RDMA_PS_UDP ||
		  hints->ai_port_space == RDMA_PS_IPOIB ||
		  hints->ai_qp_type == IBV_QPT_UD;

	to->ai_flags = hints->ai_flags;
	to->ai_qp_type = hints->ai_qp_type;
	to->ai_port_space = hints->ai_port_space;
	if (!to->ai_qp_type)
		to->ai_qp_type = ud ? IBV_QPT_UD : IBV_QPT_RC;
	if (!to->ai_port_space)
		to->ai_port_space = ud ? RDMA_PS_UDP : RDMA_PS_TCP;
}

static bool set_passive(struct rdma_addrinfo *to, const struct addrinfo *from)
{
	to->ai_src_len = from->ai_addrlen;
	to->ai_src_addr = copy(from->ai_addr, from->ai_addrlen);
	return to->ai_src_addr;
}

static bool set_active(struct rdma_addrinfo *to, const struct addrinfo *from,
		       const struct rdma_addrinfo *hints)
{
	to->ai_dst_len = from->ai_addrlen;
	to->ai_dst_addr = copy(from->ai_addr, from->ai_addrlen);
	if (from->ai_canonname)
		to->ai_dst_canonname = strdup(from->ai_canonname);
	if (!to->ai_dst_addr)
		return false;
	if (!hints->ai_src_len || !hints->ai_src_addr)
		return true;
	to->ai_src_len = hints->ai_src_len;
	to->ai_src_addr = copy(hints->ai_src_addr, hints->ai_src_len);
	return to->ai_src_addr;
}

static struct rdma_addrinfo *convert(const struct addrinfo *from,
				     const struct rdma_addrinfo *hints)
{
	struct rdma_addrinfo *to = calloc(1, sizeof(*to));

	if (!to)
		return NULL;
	set_kind(to, hints);
	to->ai_family = from->ai_family;
	if (hints->ai_flags & RAI_PASSIVE ? set_passive(to, from) :
					    set_active(to, from, hints))
		return to;
	cm_freeaddrinfo(to);
	return NULL;
}

static int convert_all(const struct addrinfo *from,
		       const struct rdma_addrinfo *hints,
		       struct rdma_addrinfo **res)
{
	struct rdma_addrinfo *first = NULL, **last = &first;

	for (; from; from = from->ai_next) {
		*last = convert(from, hints);
		if (!*last) {
			cm_freeaddrinfo(first);
			return EAI_MEMORY;
		}
		last = &(*last)->ai_next;
	}
	*res = first;
	return 0;
}

/* a destination that the program has already */
static int take_destination(const struct rdma_addrinfo *hints,
			    struct rdma_addrinfo **res)
{
	const bool passive = hints->ai_flags & RAI_PASSIVE;
	const struct addrinfo from = {
		.ai_family = hints->ai_family,
		.ai_addr = passive ? hints->ai_src_addr : hints->ai_dst_addr,
		.ai_addrlen = passive ? hints->ai_src_len : hints->ai_dst_len,
	};

	if (!from.ai_addr || !from.ai_addrlen)
		return EAI_NONAME;
	return convert_all(&from, hints, res);
}

/* an EAI_ value, as getaddrinfo() gives it */
int cm_getaddrinfo(const char *node, const char *service,
		   const struct rdma_addrinfo *hints,
		   struct rdma_addrinfo **res)
{
	struct addrinfo plain, *list;
	int ret;

	if (!res || (!node && !service && !hints))
		return cm_result(EINVAL);
	if (!hints)
		hints = &no_hints;
	if (!node && !service)
		return take_destination(hints, res);
	make_hints(&plain, hints);
	ret = getaddrinfo(node, service, &plain, &list);
	if (ret)
		return ret;
	ret = convert_all(list, hints, res);
	freeaddrinfo(list);
	return ret;
}

void cm_freeaddrinfo(struct rdma_addrinfo *res)
{
	struct rdma_addrinfo *next;

	for (; res; res = next) {
		next = res->ai_next;
		free(res->ai_src_addr);
		free(res->ai_dst_addr);
		free(res->ai_src_canonname);
		free(res->ai_dst_canonname);
		free(res->ai_connect);
		free(res->ai_route);
		free(res);
	}
}
