// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * IBC_STATUS_DIR: a socket at which others of the same user may look into the
 * process. Whoever connects is sent what ibc_dump() says, as JSON, and then the end
 * of file; nothing is ever read from him.
 *
 * reg->lock guards all of it. The listening socket is heard once for each time that
 * it is asked for, so that one which cannot be served, for want of descriptors, wakes
 * nobody again and again: then a timer asks for it. A reader is admitted where news is
 * heard; his text is made in a job, without the lock, and sent as far as the socket
 * takes it, never waiting; epoll tells when it takes more. Who does not read is kept
 * until his place is wanted by another: there are few, and the oldest goes.
 *
 * A forked child has copies of the descriptors. So a reader is told by shutdown()
 * that there is no more, and epoll expressly that it hears of him no longer:
 * close() alone does neither while there are copies.
 */
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "private.h"

#define NUM_READERS 4
#define MAX_NAMES   1000 /* in one directory, of one process id */
#define AGAIN_MS    1000

struct reader {
	int fd;	      /* -1: the place is free */
	uint64_t seq; /* the oldest has the lowest */
	char *text;   /* NULL: is to be made */
	size_t len, sent;
};

struct ibc__status {
	struct ibc_registry *reg;
	struct ibc__job job;
	struct ibc__timer timer;
	uid_t uid; /* who may look, beside root */
	int fd;
	uint64_t seq;
	struct reader readers[NUM_READERS];
	struct sockaddr_un addr;
};

/* ---- readers ---- */

static void forget(struct reader *r)
{
	r->fd = -1;
	free(r->text);
	r->text = NULL;
	r->len = r->sent = 0;
}

static void drop(struct ibc__status *s, struct reader *r)
{
	struct epoll_event unused = {};

	(void)epoll_ctl(s->reg->epoll_fd, EPOLL_CTL_DEL, r->fd, &unused);
	(void)shutdown(r->fd, SHUT_RDWR);
	close(r->fd);
	forget(r);
}

/* what the socket takes now; then epoll tells when it takes more */
static void push(struct ibc__status *s, struct reader *r)
{
	ssize_t n = 0;
	int error = 0;

	while (r->sent < r->len) {
		n = sendto(r->fd, r->text + r->sent, r->len - r->sent,
			   MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
		if (n < 0)
			break;
		r->sent += n;
	}
	if (n < 0)
		error = errno;
	if (error == EAGAIN || error == EINTR)
		error = ibc__epoll_set(s->reg, EPOLL_CTL_ADD, r->fd, EPOLLOUT,
				       IBC_EPOLL_READERS);
	else
		r->len = r->sent;
	if (error && error != EPIPE && error != ECONNRESET)
		ibc__log(s->reg, IBC_LOG_WARNING,
			 "status socket: a reader does not get all: %s",
			 strerror(error));
	if (error || r->sent == r->len)
		drop(s, r);
}

static struct reader *find_waiting(struct ibc__status *s)
{
	unsigned int i;

	for (i = 0; i < NUM_READERS; i++)
		if (s->readers[i].fd >= 0 && !s->readers[i].text)
			return &s->readers[i];
	return NULL;
}

/* NULL: he had to leave */
static struct reader *find_seq(struct ibc__status *s, uint64_t seq)
{
	unsigned int i;

	for (i = 0; i < NUM_READERS; i++)
		if (s->readers[i].fd >= 0 && s->readers[i].seq == seq)
			return &s->readers[i];
	return NULL;
}

/* no lock held; to be freed, NULL and errno where it cannot be made */
static char *make_text(struct ibc_registry *reg, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);
	int error;

	if (!out)
		return NULL;
	error = ibc_dump(reg, out, IBC_DUMP_JSON);
	if (fclose(out) && !error)
		error = ENOMEM;
	if (!error)
		return text;
	free(text);
	return ibc__null(error);
}

/*
 * The job: one text a step. While it was made the reader may have left, and in a
 * log sink the process may have forked, or closed what is not its own.
 */
static bool serve(struct ibc__job *job)
{
	struct ibc__status *s = ibc__container_of(job, struct ibc__status, job);
	struct ibc_registry *reg = s->reg;
	struct reader *r = find_waiting(s);
	uint64_t seq;
	size_t len;
	char *text;
	int error;

	if (!r)
		return false;
	seq = r->seq;
	ibc__unlock(reg);
	text = make_text(reg, &len);
	error = errno;
	ibc__lock(reg);
	if (ibc__ours(reg))
		ibc__deaf_check(reg);
	r = ibc__ours(reg) ? find_seq(s, seq) : NULL;
	if (r && text) {
		r->text = text;
		r->len = len;
		push(s, r);
		text = NULL;
	} else if (r) {
		ibc__log(reg, IBC_LOG_WARNING,
			 "status socket: a reader gets nothing: %s",
			 strerror(error));
		drop(s, r);
	}
	free(text);
	return ibc__ours(reg) && find_waiting(s);
}

/* a free place, or that of the oldest */
static struct reader *find_place(struct ibc__status *s)
{
	struct reader *oldest = s->readers;
	unsigned int i;

	for (i = 0; i < NUM_READERS; i++) {
		if (s->readers[i].fd < 0)
			return &s->readers[i];
		if (s->readers[i].seq < oldest->seq)
			oldest = &s->readers[i];
	}
	drop(s, oldest);
	return oldest;
}

static bool may_look(struct ibc__status *s, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) &&
	       (cred.uid == 0 || cred.uid == s->uid);
}

static void admit(struct ibc__status *s, int fd)
{
	struct reader *r;

	if (!may_look(s, fd)) {
		close(fd);
		return;
	}
	r = find_place(s);
	r->fd = fd;
	r->seq = ++s->seq;
	ibc__kick(&s->job);
}

/* ---- the socket that is connected to ---- */

static int hear(struct ibc__status *s, int op)
{
	return ibc__epoll_set(s->reg, op, s->fd, EPOLLIN | EPOLLONESHOT,
			      IBC_EPOLL_STATUS);
}

static void hear_later(struct ibc__status *s)
{
	ibc__timer_arm(s->reg, &s->timer, ibc__now() + AGAIN_MS);
}

static void hear_again(struct ibc__timer *timer)
{
	struct ibc__status *s =
		ibc__container_of(timer, struct ibc__status, timer);

	if (s->fd >= 0 && hear(s, EPOLL_CTL_MOD))
		hear_later(s);
}

/* lock held */
void ibc__status_ready(struct ibc_registry *reg)
{
	struct ibc__status *s = reg->status;
	int fd;

	if (s->fd < 0)
		return;
	fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		admit(s, fd);
	else if (errno != EAGAIN)
		hear_later(s);
	if (!s->timer.armed)
		hear_again(&s->timer);
}

/* lock held: some reader can be sent more, or has left */
void ibc__status_writable(struct ibc_registry *reg)
{
	struct ibc__status *s = reg->status;
	unsigned int i;

	for (i = 0; i < NUM_READERS; i++)
		if (s->readers[i].fd >= 0 && s->readers[i].text)
			push(s, &s->readers[i]);
}

/* ---- life and death ---- */

/* what is wrong with it, or NULL; the last part of the path may be made */
static const char *check_directory(struct ibc__status *s, const char *dir)
{
	struct stat st;

	if (dir[0] != '/')
		return "it is no absolute path";
	if (mkdir(dir, 0700) && errno != EEXIST)
		return strerror(errno);
	if (stat(dir, &st))
		return strerror(errno);
	if (!S_ISDIR(st.st_mode))
		return "it is no directory";
	if (st.st_uid != s->uid)
		return "it belongs to another user";
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return "others may write there";
	return NULL;
}

/* a name that is taken may be another registry's, or of a process that was */
static int bind_in(struct ibc__status *s, const char *dir)
{
	unsigned int n;
	int len;

	s->addr.sun_family = AF_UNIX;
	for (n = 0; n < MAX_NAMES; n++) {
		len = snprintf(s->addr.sun_path, sizeof(s->addr.sun_path),
			       "%s/%ld-%u.sock", dir, (long)getpid(), n);
		if (len >= (int)sizeof(s->addr.sun_path))
			return ENAMETOOLONG;
		if (!bind(s->fd, (struct sockaddr *)&s->addr, sizeof(s->addr)))
			return 0;
		if (errno != EADDRINUSE)
			return errno;
	}
	return EADDRINUSE;
}

/* the socket's mode becomes that of the name which it is bound to */
static const char *open_in(struct ibc__status *s, const char *dir)
{
	const char *why = check_directory(s, dir);
	int error;

	if (why)
		return why;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0 || fchmod(s->fd, S_IRUSR | S_IWUSR))
		return strerror(errno);
	error = bind_in(s, dir);
	if (error) {
		s->addr.sun_path[0] = '\0';
		return strerror(error);
	}
	if (listen(s->fd, 2 * NUM_READERS))
		return strerror(errno);
	error = hear(s, EPOLL_CTL_ADD);
	return error ? strerror(error) : NULL;
}

static void close_all(struct ibc__status *s)
{
	unsigned int i;

	if (s->addr.sun_path[0])
		(void)unlink(s->addr.sun_path);
	for (i = 0; i < NUM_READERS; i++)
		if (s->readers[i].fd >= 0)
			drop(s, &s->readers[i]);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

static struct ibc__status *new_status(struct ibc_registry *reg)
{
	struct ibc__status *s = calloc(1, sizeof(*s));
	unsigned int i;

	if (!s)
		return NULL;
	s->reg = s->job.reg = reg;
	s->job.run = serve;
	s->timer.fire = hear_again;
	s->uid = geteuid();
	s->fd = -1;
	for (i = 0; i < NUM_READERS; i++)
		s->readers[i].fd = -1;
	return s;
}

/* of a registry that is being opened. Without the socket it is as good */
void ibc__status_open(struct ibc_registry *reg)
{
	const char *dir = secure_getenv("IBC_STATUS_DIR"), *why;
	struct ibc__status *s;

	if (!dir || !*dir)
		return;
	s = new_status(reg);
	why = s ? open_in(s, dir) : strerror(ENOMEM);
	if (!why) {
		reg->status = s;
		return;
	}
	ibc__log(reg, IBC_LOG_WARNING,
		 "IBC_STATUS_DIR is \"%s\": %s; there is no status socket", dir,
		 why);
	if (s)
		close_all(s);
}

/* nobody else knows the registry any more */
void ibc__status_close(struct ibc_registry *reg)
{
	if (reg->status)
		close_all(reg->status);
	reg->status = NULL;
}

/* in a child: its copies. The name is its parent's, and so is the epoll set */
void ibc__status_release(struct ibc_registry *reg)
{
	struct ibc__status *s = reg->status;
	unsigned int i;

	if (!s)
		return;
	for (i = 0; i < NUM_READERS; i++)
		if (s->readers[i].fd >= 0)
			close(s->readers[i].fd);
	if (s->fd >= 0)
		close(s->fd);
}

/* lock held: the program has closed all of them */
void ibc__status_deafen(struct ibc_registry *reg)
{
	struct ibc__status *s = reg->status;
	unsigned int i;

	if (!s)
		return;
	for (i = 0; i < NUM_READERS; i++)
		forget(&s->readers[i]);
	s->fd = -1;
}
