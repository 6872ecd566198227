// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Event channels: a queue, and a pair of sockets of which the program's end has
 * one byte to read while the queue is not empty.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cm.h"

static pthread_cond_t acked = PTHREAD_COND_INITIALIZER;
static struct cm_channel *channels;

static struct cm_channel *to_channel(struct rdma_event_channel *channel)
{
	return (struct cm_channel *)channel;
}

/* ---- life ---- */

struct rdma_event_channel *cm_create_event_channel(void)
{
	struct cm_channel *channel = calloc(1, sizeof(*channel));
	int fds[2];

	if (!channel)
		return NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
		free(channel);
		return NULL;
	}
	channel->ibv.fd = fds[0];
	channel->token = fds[1];
	channel->tail = &channel->head;
	pthread_mutex_lock(&cm_lock);
	channel->next = channels;
	channel->at = &channels;
	if (channels)
		channels->at = &channel->next;
	channels = channel;
	pthread_mutex_unlock(&cm_lock);
	return &channel->ibv;
}

/*
 * The program has destroyed its ids, so nothing is queued. A thread that waits
 * for an event is not woken, as with the kernel: programs end the process in such
 * a thread when it gets an error. So its socket is left, and the channel with it.
 */
void cm_destroy_event_channel(struct rdma_event_channel *ibv)
{
	struct cm_channel *channel = to_channel(ibv);
	bool waiting;

	pthread_mutex_lock(&cm_lock);
	*channel->at = channel->next;
	if (channel->next)
		channel->next->at = channel->at;
	waiting = channel->waiting && !channel->stale;
	pthread_mutex_unlock(&cm_lock);
	close(channel->ibv.fd);
	if (waiting)
		return;
	close(channel->token);
	free(channel);
}

/* the parent's: what is said there is not said to us */
void cm_channels_forked(void)
{
	struct cm_channel *channel;

	for (channel = channels; channel; channel = channel->next)
		channel->stale = true;
}

/* ---- the queue, with the lock ---- */

static void make_readable(struct cm_channel *channel)
{
	const char token = 0;
	ssize_t n =
		send(channel->token, &token, 1, MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)n; /* the only byte there is */
}

static void make_unreadable(struct cm_channel *channel)
{
	char token;
	ssize_t n = recv(channel->ibv.fd, &token, 1, MSG_DONTWAIT);

	(void)n;
}

static void append(struct cm_channel *channel, struct cm_event *event)
{
	if (!channel->head)
		make_readable(channel);
	event->next = NULL;
	*channel->tail = event;
	channel->tail = &event->next;
}

static void unlink_event(struct cm_channel *channel, struct cm_event **at)
{
	struct cm_event *event = *at;

	*at = event->next;
	if (!*at)
		channel->tail = at;
	if (!channel->head && !channel->stale)
		make_unreadable(channel);
}

struct cm_event *cm_event_add(struct cm_id *id, enum rdma_cm_event_type type,
			      int status)
{
	struct cm_channel *channel = to_channel(id->ibv.channel);
	struct cm_event *event = calloc(1, sizeof(*event));

	if (!event)
		return NULL;
	event->ibv.id = &id->ibv;
	event->ibv.event = type;
	event->ibv.status = status;
	event->counted = id;
	append(channel, event);
	return event;
}

void cm_event_of_listener(struct cm_event *event, struct cm_id *listener)
{
	event->ibv.listen_id = &listener->ibv;
	event->counted = listener;
	listener->pending++;
}

/* nobody will ever know of the id that it brings */
static void drop(struct cm_event *event)
{
	struct cm_id *id = to_id(event->ibv.id);

	if (event->counted != id) {
		cm_refuse(id, false);
		cm_id_bury(id);
	}
	free(event);
}

void cm_events_drop(struct cm_id *id, const struct cm_group *group)
{
	struct cm_channel *channel = to_channel(id->ibv.channel);
	struct cm_event **at, *event;

	if (!channel)
		return;
	at = &channel->head;
	while ((event = *at)) {
		if (event->counted != id || (group && event->group != group)) {
			at = &event->next;
			continue;
		}
		unlink_event(channel, at);
		drop(event);
		/* that may have taken more out */
		at = &channel->head;
	}
}

void cm_events_move(struct cm_id *id, struct cm_channel *to)
{
	struct cm_channel *channel = to_channel(id->ibv.channel);
	struct cm_event **at = &channel->head, *event;

	while ((event = *at)) {
		if (event->counted != id && to_id(event->ibv.id) != id) {
			at = &event->next;
			continue;
		}
		unlink_event(channel, at);
		append(to, event);
		if (event->counted != to_id(event->ibv.id))
			event->ibv.id->channel = &to->ibv;
	}
	id->ibv.channel = &to->ibv;
}

void cm_events_wait(struct cm_id *id)
{
	while (id->acked != id->got && id->state != CM_STALE)
		pthread_cond_wait(&acked, &cm_lock);
}

/* ---- getting and acknowledging ---- */

static struct cm_event *take(struct cm_channel *channel)
{
	struct cm_event *event = channel->head;
	struct cm_id *id;

	if (!event)
		return NULL;
	unlink_event(channel, &channel->head);
	event->counted->got++;
	id = to_id(event->ibv.id);
	if (event->counted != id) {
		event->counted->pending--;
		id->listener = NULL;
	}
	return event;
}

/* lock held: it may have been destroyed while we waited */
static bool is_known(const struct cm_channel *channel)
{
	const struct cm_channel *at = channels;

	while (at && at != channel)
		at = at->next;
	return at;
}

/* releases the lock meanwhile; then the channel may be gone */
static int wait_readable(struct cm_channel *channel)
{
	int fd = channel->ibv.fd, error;
	char token;

	channel->waiting++;
	pthread_mutex_unlock(&cm_lock);
	error = recv(fd, &token, 1, MSG_PEEK) < 0 ? errno : 0;
	pthread_mutex_lock(&cm_lock);
	if (is_known(channel))
		channel->waiting--;
	else if (!error)
		error = EBADF;
	return error;
}

/* an errno value */
static int take_or_wait(struct cm_channel *channel, struct cm_event **event)
{
	int error = 0;

	pthread_mutex_lock(&cm_lock);
	do {
		if (channel->stale)
			error = ENODEV;
		else
			*event = take(channel);
		if (!error && !*event)
			error = wait_readable(channel);
	} while (!error && !*event);
	pthread_mutex_unlock(&cm_lock);
	return error;
}

int cm_get_event(struct rdma_event_channel *channel, struct rdma_cm_event **ibv)
{
	struct cm_event *event = NULL;
	int saved = errno, error;

	if (!ibv || !channel)
		return cm_result(EINVAL);
	do {
		error = take_or_wait(to_channel(channel), &event);
		if (error)
			return cm_result(error);
	} while (!cm_process_event(event));
	*ibv = &event->ibv;
	errno = saved;
	return 0;
}

int cm_ack_event(struct rdma_cm_event *ibv)
{
	struct cm_event *event = (struct cm_event *)ibv;

	if (!event)
		return cm_result(EINVAL);
	pthread_mutex_lock(&cm_lock);
	event->counted->acked++;
	pthread_cond_broadcast(&acked);
	pthread_mutex_unlock(&cm_lock);
	free(event);
	return 0;
}

const char *cm_event_str(enum rdma_cm_event_type type)
{
#define NAME(name) [name] = #name
	static const char *const names[] = {
		NAME(RDMA_CM_EVENT_ADDR_RESOLVED),
		NAME(RDMA_CM_EVENT_ADDR_ERROR),
		NAME(RDMA_CM_EVENT_ROUTE_RESOLVED),
		NAME(RDMA_CM_EVENT_ROUTE_ERROR),
		NAME(RDMA_CM_EVENT_CONNECT_REQUEST),
		NAME(RDMA_CM_EVENT_CONNECT_RESPONSE),
		NAME(RDMA_CM_EVENT_CONNECT_ERROR),
		NAME(RDMA_CM_EVENT_UNREACHABLE),
		NAME(RDMA_CM_EVENT_REJECTED),
		NAME(RDMA_CM_EVENT_ESTABLISHED),
		NAME(RDMA_CM_EVENT_DISCONNECTED),
		NAME(RDMA_CM_EVENT_DEVICE_REMOVAL),
		NAME(RDMA_CM_EVENT_MULTICAST_JOIN),
		NAME(RDMA_CM_EVENT_MULTICAST_ERROR),
		NAME(RDMA_CM_EVENT_ADDR_CHANGE),
		NAME(RDMA_CM_EVENT_TIMEWAIT_EXIT),
	};

	return type < sizeof(names) / sizeof(names[0]) ? names[type] :
							 "UNKNOWN EVENT";
}
