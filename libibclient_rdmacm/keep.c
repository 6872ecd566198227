// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * librdmacm opens a device once, and counts the ids that are bound to it. When
 * the device has left the list and the count is zero it closes the context,
 * whoever else uses it. rdma_get_devices() raises the count of every device, so it
 * cannot keep one without the others; an id can. So each adopted context has one
 * of ours, bound to the address that the program's id has, on a port of its own.
 *
 * It listens to nothing and connects to nothing. It has events (that its device or
 * its address went), which nobody reads: all keeps share one channel, made with
 * the first and destroyed with the last of them, and events of an id are discarded
 * with it. The kernel does not wait for an id whose device goes: it ends that by
 * itself, and only librdmacm's count is left.
 *
 * lock guards the channel and the number of its users, not the ids: it is held
 * while the channel is opened and closed, and no other lock is taken with it.
 * After a fork the child has a channel and ids that are the parent's: it makes
 * new ones, and leaves those.
 */
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <infiniband/ib.h>

#include "keep.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rdma_event_channel *channel;
static unsigned int users;

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
	channel = NULL;
	users = 0;
	pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void init(void)
{
	pthread_atfork(before_fork, in_parent, in_child);
}

static struct rdma_event_channel *get_channel(void)
{
	struct rdma_event_channel *got;

	pthread_mutex_lock(&lock);
	if (!channel)
		channel = rdma_create_event_channel();
	if (channel)
		users++;
	got = channel;
	pthread_mutex_unlock(&lock);
	return got;
}

static void put_channel(void)
{
	pthread_mutex_lock(&lock);
	if (!--users) {
		rdma_destroy_event_channel(channel);
		channel = NULL;
	}
	pthread_mutex_unlock(&lock);
}

/* 0: nothing that an id can be bound to */
static size_t size_of(const struct sockaddr *address)
{
	switch (address->sa_family) {
	case AF_INET:
		return sizeof(struct sockaddr_in);
	case AF_INET6:
		return sizeof(struct sockaddr_in6);
	case AF_IB:
		return sizeof(struct sockaddr_ib);
	default:
		return 0;
	}
}

/* any port: the program's is taken. In a service id it is the last 16 bits */
static void clear_port(struct sockaddr_storage *address)
{
	struct sockaddr_ib *sib = (struct sockaddr_ib *)address;

	switch (address->ss_family) {
	case AF_INET:
		((struct sockaddr_in *)address)->sin_port = 0;
		break;
	case AF_INET6:
		((struct sockaddr_in6 *)address)->sin6_port = 0;
		break;
	default:
		sib->sib_sid &= htobe64(~0xffffULL);
	}
}

/* an address may have moved to another device since @id was bound */
static int bind_beside(struct rdma_cm_id *keep, struct rdma_cm_id *id)
{
	const struct sockaddr *source = rdma_get_local_addr(id);
	struct sockaddr_storage address = {};
	size_t size = size_of(source);

	if (!size)
		return EADDRNOTAVAIL;
	memcpy(&address, source, size);
	clear_port(&address);
	if (rdma_bind_addr(keep, (struct sockaddr *)&address))
		return errno;
	return keep->verbs == id->verbs ? 0 : EADDRNOTAVAIL;
}

struct rdma_cm_id *ibc__keep(struct rdma_cm_id *id)
{
	struct rdma_event_channel *in = get_channel();
	struct rdma_cm_id *keep;
	int error;

	if (!in)
		return NULL;
	if (rdma_create_id(in, &keep, NULL, RDMA_PS_TCP)) {
		error = errno;
		put_channel();
		errno = error;
		return NULL;
	}
	error = bind_beside(keep, id);
	if (!error)
		return keep;
	ibc__keep_drop(keep);
	errno = error;
	return NULL;
}

void ibc__keep_drop(void *keep)
{
	rdma_destroy_id(keep);
	put_channel();
}
