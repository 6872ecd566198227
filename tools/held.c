// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "held.h"

TAILQ_HEAD(pd_list, pd_data);

/* lock guards all but fd, and setting the timer. */
static struct {
	int fd;
	pthread_mutex_t lock;
	struct pd_list list; /* in the order of due */
	bool stopping;
} held = {
	.fd = -1,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.list = TAILQ_HEAD_INITIALIZER(held.list),
};

static struct pd_data *to_pd_data(struct ibc_client_data *data)
{
	return (struct pd_data *)((char *)data -
				  offsetof(struct pd_data, base));
}

struct ibc_client_data *pd_data_alloc(struct ibc_client *client,
				      struct ibc_device *dev)
{
	struct pd_data *data = calloc(1, sizeof(*data));
	int error;

	(void)client;
	if (!data)
		return NULL;
	data->pd = ibv_alloc_pd(ibc_device_context(dev));
	if (data->pd)
		return &data->base;
	error = errno;
	free(data);
	errno = error;
	return NULL;
}

void pd_data_free(struct ibc_client_data *base)
{
	struct pd_data *data = to_pd_data(base);

	ibv_dealloc_pd(data->pd);
	free(data);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static void set_timer_at(int fd, uint64_t at)
{
	struct itimerspec spec = {
		.it_value.tv_sec = (time_t)(at / NSEC_PER_SEC),
		.it_value.tv_nsec = (long)(at % NSEC_PER_SEC),
	};

	timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

void set_timer(int fd, uint64_t delay)
{
	set_timer_at(fd, now_ns() + delay);
}

int held_open(void)
{
	held.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return held.fd < 0 ? errno : 0;
}

int held_fd(void)
{
	return held.fd;
}

/* False: not any more. */
static bool enqueue(struct pd_data *data, uint64_t delay)
{
	bool queued;

	pthread_mutex_lock(&held.lock);
	queued = !held.stopping;
	if (queued) {
		data->due = now_ns() + delay;
		if (TAILQ_EMPTY(&held.list))
			set_timer_at(held.fd, data->due);
		TAILQ_INSERT_TAIL(&held.list, data, entry);
	}
	pthread_mutex_unlock(&held.lock);
	return queued;
}

void held_add(struct ibc_client_data *data, uint64_t delay)
{
	if (!enqueue(to_pd_data(data), delay))
		ibc_put_client_data(data);
}

static struct pd_data *pop_due(void)
{
	struct pd_data *data;

	pthread_mutex_lock(&held.lock);
	data = TAILQ_FIRST(&held.list);
	if (data && !held.stopping && data->due > now_ns()) {
		set_timer_at(held.fd, data->due);
		data = NULL;
	}
	if (data)
		TAILQ_REMOVE(&held.list, data, entry);
	pthread_mutex_unlock(&held.lock);
	return data;
}

void held_put_due(void)
{
	struct pd_data *data;
	uint64_t count;

	/* or poll() would go on telling of a time-out that is past */
	if (read(held.fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	while ((data = pop_due()))
		ibc_put_client_data(&data->base);
}

void held_put_all(void)
{
	pthread_mutex_lock(&held.lock);
	held.stopping = true;
	pthread_mutex_unlock(&held.lock);
	held_put_due();
}
