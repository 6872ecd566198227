// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Bare readers of the kernel's signs: a thread for uevents and one for inotify
 * that do nothing but wait in recv() or read() and note when they woke up. What
 * the library takes longer than that is the library's own. A netlink socket stays
 * in the namespace in which it was opened.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "signs.h"

#define MAX_SIGNS 256

struct sign {
	int64_t at;
	enum sign_source source;
	bool went;
	char node[32];
};

/* The readers append; lock guards num and signs. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	int uevent_fd, inotify_fd;
	unsigned int num;
	struct sign signs[MAX_SIGNS];
} self = { .lock = PTHREAD_MUTEX_INITIALIZER };

int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void note(enum sign_source source, int64_t at, const char *node,
		 bool went)
{
	struct sign *sign;

	pthread_mutex_lock(&self.lock);
	if (self.num < MAX_SIGNS) {
		sign = &self.signs[self.num++];
		sign->at = at;
		sign->source = source;
		sign->went = went;
		snprintf(sign->node, sizeof(sign->node), "%s", node);
		pthread_cond_broadcast(&self.more);
	}
	pthread_mutex_unlock(&self.lock);
}

/* "ACTION@DEVPATH", then strings of which one is SUBSYSTEM=... */
static void one_uevent(int64_t at, const char *msg, const char *end)
{
	const char *base = strrchr(msg, '/');
	bool added = strncmp(msg, "add@", 4) == 0;
	bool went = strncmp(msg, "remove@", 7) == 0;
	const char *s;

	if (!base || (!added && !went))
		return;
	for (s = msg; s < end; s += strlen(s) + 1)
		if (strcmp(s, "SUBSYSTEM=infiniband_verbs") == 0 ||
		    strcmp(s, "SUBSYSTEM=infiniband_mad") == 0 ||
		    (added && strcmp(s, "SUBSYSTEM=infiniband") == 0))
			note(SIGNS_UEVENT, at, base + 1, went);
}

static void *read_uevents(void *arg)
{
	char msg[8192];
	ssize_t len;

	while (self.uevent_fd >= 0) {
		len = recv(self.uevent_fd, msg, sizeof(msg) - 1, 0);
		if (len <= 0)
			continue;
		msg[len] = '\0';
		one_uevent(now_ns(), msg, msg + len);
	}
	return arg;
}

static void *read_inotify(void *arg)
{
	char buf[4096]
		__attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *e;
	ssize_t len;
	int64_t at;
	char *p;

	while (self.inotify_fd >= 0) {
		len = read(self.inotify_fd, buf, sizeof(buf));
		at = now_ns();
		for (p = buf; p < buf + len; p += sizeof(*e) + e->len) {
			e = (const struct inotify_event *)p;
			if (e->len)
				note(SIGNS_INOTIFY, at, e->name,
				     e->mask & IN_DELETE);
		}
	}
	return arg;
}

static int open_uevents(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };

	self.uevent_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
				NETLINK_KOBJECT_UEVENT);
	if (self.uevent_fd < 0 ||
	    bind(self.uevent_fd, (struct sockaddr *)&addr, sizeof(addr)))
		return errno;
	return 0;
}

static int open_inotify(void)
{
	self.inotify_fd = inotify_init1(IN_CLOEXEC);
	if (self.inotify_fd < 0 ||
	    inotify_add_watch(self.inotify_fd, "/dev/infiniband",
			      IN_CREATE | IN_DELETE) < 0)
		return errno;
	return 0;
}

int signs_open(void)
{
	int error = open_uevents();

	return error ? error : open_inotify();
}

int signs_start(void)
{
	pthread_condattr_t attr;
	pthread_t thread;
	int error;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&self.more, &attr);
	pthread_condattr_destroy(&attr);
	error = pthread_create(&thread, NULL, read_uevents, NULL);
	return error ? error :
		       pthread_create(&thread, NULL, read_inotify, NULL);
}

void signs_forget(void)
{
	pthread_mutex_lock(&self.lock);
	self.num = 0;
	pthread_mutex_unlock(&self.lock);
}

static int64_t first(enum sign_source source, const char *node, bool went)
{
	struct sign *sign;
	int64_t at = 0;

	for (sign = self.signs; sign < self.signs + self.num; sign++)
		if (sign->went == went &&
		    (source == SIGNS_ANY || sign->source == source) &&
		    (!node || strcmp(sign->node, node) == 0) &&
		    (!at || sign->at < at))
			at = sign->at;
	return at;
}

int64_t signs_wait(enum sign_source source, const char *node, bool went, int ms)
{
	int64_t at, end = now_ns() + ms * 1000000LL;
	struct timespec ts = { .tv_sec = end / 1000000000,
			       .tv_nsec = end % 1000000000 };
	int error = 0;

	pthread_mutex_lock(&self.lock);
	while (!(at = first(source, node, went)) && !error)
		error = pthread_cond_timedwait(&self.more, &self.lock, &ts);
	pthread_mutex_unlock(&self.lock);
	return at;
}
