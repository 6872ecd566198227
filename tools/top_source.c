// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "top_source.h"

#define MAX_TEXT (64 << 20)
#define STALE_S	 10 /* a process needs less between bind() and listen() */
#define SILENT_S 1.5

double top_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- answers ---- */

static json_int_t stat_of(const json_t *dump, const char *name)
{
	return json_integer_value(
		json_object_get(json_object_get(dump, "stats"), name));
}

static double rate(const json_t *now, const json_t *before, const char *name,
		   double seconds)
{
	json_int_t more = stat_of(now, name) - stat_of(before, name);

	return more > 0 ? (double)more / seconds : 0;
}

static struct top_since *find_since(const struct top_registry *r,
				    const json_t *device)
{
	uint64_t incarnation = (uint64_t)json_integer_value(
		json_object_get(device, "incarnation"));
	struct top_since *i;

	SLIST_FOREACH(i, &r->since, entry)
	if (i->incarnation == incarnation)
		return i;
	return NULL;
}

const struct top_since *top_since(const struct top_registry *r,
				  const json_t *device)
{
	return find_since(r, device);
}

static void note_since(struct top_registry *r, const json_t *device, double now)
{
	const char *state = json_string_value(json_object_get(device, "state"));
	struct top_since *i = find_since(r, device);

	if (!i) {
		i = calloc(1, sizeof(*i));
		if (!i)
			return;
		i->incarnation = (uint64_t)json_integer_value(
			json_object_get(device, "incarnation"));
		i->at_least = true;
		SLIST_INSERT_HEAD(&r->since, i, entry);
	} else if (state && strcmp(i->state, state)) {
		i->at_least = false;
	}
	if (!state || strcmp(i->state, state)) {
		snprintf(i->state, sizeof(i->state), "%s", state ? state : "");
		i->since = now;
	}
	i->there = true;
}

static void forget_since(struct top_registry *r, bool all)
{
	struct top_since *i, *next;

	for (i = SLIST_FIRST(&r->since); i; i = next) {
		next = SLIST_NEXT(i, entry);
		if (i->there && !all) {
			i->there = false;
			continue;
		}
		SLIST_REMOVE(&r->since, i, top_since, entry);
		free(i);
	}
}

static void take_dump(struct top_registry *r, json_t *dump)
{
	double now = top_now();
	json_t *device;
	size_t i;

	if (r->dump && now > r->at) {
		r->rates.known = true;
		r->rates.events =
			rate(dump, r->dump, "events_read", now - r->at);
		r->rates.adds = rate(dump, r->dump, "adds", now - r->at);
		r->rates.removes = rate(dump, r->dump, "removes", now - r->at);
	}
	json_decref(r->dump);
	r->dump = dump;
	r->at = now;
	json_array_foreach(json_object_get(dump, "devices"), i, device)
		note_since(r, device, now);
	forget_since(r, false);
}

static void hang_up(struct top_registry *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	free(r->text);
	r->text = NULL;
	r->len = 0;
}

/* nothing, or half of it: who was asked was busy; he is asked again */
static void end_of_answer(struct top_registry *r)
{
	json_t *dump = r->text ? json_loadb(r->text, r->len, 0, NULL) : NULL;

	hang_up(r);
	if (json_is_object(dump))
		take_dump(r, dump);
	else
		json_decref(dump);
}

static bool append(struct top_registry *r, const char *buf, size_t len)
{
	char *text =
		r->len + len > MAX_TEXT ? NULL : realloc(r->text, r->len + len);

	if (!text)
		return false;
	memcpy(text + r->len, buf, len);
	r->text = text;
	r->len += len;
	return true;
}

static void read_answer(struct top_registry *r)
{
	static char buf[65536];
	ssize_t n;

	while ((n = recv(r->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		if (!append(r, buf, (size_t)n)) {
			hang_up(r);
			return;
		}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	end_of_answer(r);
}

/* ---- questions ---- */

static void forget(struct top_source *s, struct top_registry *r)
{
	TAILQ_REMOVE(&s->registries, r, entry);
	hang_up(r);
	forget_since(r, true);
	json_decref(r->dump);
	free(r->name);
	free(r);
}

/* nobody listens: of a process that ended. One's own are cleared away */
static void clear_away(const char *path)
{
	struct stat st;

	if (!lstat(path, &st) && S_ISSOCK(st.st_mode) &&
	    st.st_uid == geteuid() && time(NULL) - st.st_mtime > STALE_S)
		unlink(path);
}

static void read_program(struct top_registry *r)
{
	char path[64];
	size_t len = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/comm", (long)r->pid);
	f = fopen(path, "re");
	if (f) {
		len = fread(r->program, 1, sizeof(r->program) - 1, f);
		fclose(f);
	}
	while (len && r->program[len - 1] == '\n')
		len--;
	r->program[len] = '\0';
}

/*
 * The number in the name is that of the process's own namespace; the kernel tells
 * ours. Another user's answers are not believed, but by root, who reads all.
 */
static bool is_ours(struct top_registry *r)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(r->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return false;
	if (cred.pid > 0)
		r->pid = cred.pid;
	return geteuid() == 0 || cred.uid == geteuid();
}

/* false: there is nobody; errno EAGAIN: many ask */
static bool ask(struct top_source *s, struct top_registry *r)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int error = 0;

	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", s->dir,
		     r->name) >= (int)sizeof(addr.sun_path))
		return false;
	r->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (r->fd < 0)
		return true;
	r->asked = top_now();
	if (connect(r->fd, (struct sockaddr *)&addr, sizeof(addr)))
		error = errno;
	if (!error && is_ours(r))
		return true;
	hang_up(r);
	if (error == ECONNREFUSED)
		clear_away(addr.sun_path);
	return error == EAGAIN;
}

static bool wanted(const struct top_source *s, long pid)
{
	char **p;

	for (p = s->pids; *p; p++)
		if (atol(*p) == pid)
			return true;
	return !*s->pids;
}

static struct top_registry *find(struct top_source *s, const char *name)
{
	struct top_registry *r;

	TAILQ_FOREACH(r, &s->registries, entry)
		if (!strcmp(r->name, name))
			return r;
	return NULL;
}

static void insert(struct top_source *s, struct top_registry *r)
{
	struct top_registry *other;

	TAILQ_FOREACH(other, &s->registries, entry)
		if (other->pid > r->pid ||
		    (other->pid == r->pid && other->number > r->number))
			break;
	if (other)
		TAILQ_INSERT_BEFORE(other, r, entry);
	else
		TAILQ_INSERT_TAIL(&s->registries, r, entry);
}

/* a name PID-N.sock */
static void note_name(struct top_source *s, const char *name)
{
	struct top_registry *r = find(s, name);
	unsigned int number;
	int end = 0;
	long pid;

	if (!r) {
		if (sscanf(name, "%ld-%u.sock%n", &pid, &number, &end) != 2 ||
		    !end || name[end] || pid <= 0)
			return;
		r = calloc(1, sizeof(*r));
		if (r)
			r->name = strdup(name);
		if (!r || !r->name) {
			free(r);
			return;
		}
		r->pid = (pid_t)pid;
		r->number = number;
		r->fd = -1;
		SLIST_INIT(&r->since);
		insert(s, r);
	}
	r->listed = true;
}

static void look(struct top_source *s)
{
	struct dirent *d;
	DIR *dir = opendir(s->dir);

	s->error = dir ? 0 : errno;
	if (!dir)
		return;
	while ((d = readdir(dir)))
		note_name(s, d->d_name);
	closedir(dir);
}

void top_ask(struct top_source *s)
{
	struct top_registry *r, *next;

	TAILQ_FOREACH(r, &s->registries, entry)
		r->listed = false;
	look(s);
	for (r = TAILQ_FIRST(&s->registries); r; r = next) {
		next = TAILQ_NEXT(r, entry);
		if (!r->listed || (r->fd < 0 && !ask(s, r)) ||
		    !wanted(s, r->pid))
			forget(s, r);
		else
			read_program(r);
	}
}

static unsigned int num_registries(const struct top_source *s)
{
	const struct top_registry *r;
	unsigned int n = 0;

	TAILQ_FOREACH(r, &s->registries, entry)
		n++;
	return n;
}

/* false: nothing is asked for, or there is no memory */
static bool poll_once(struct top_source *s, int wake, int timeout_ms,
		      bool *woken)
{
	unsigned int i = 1, num = num_registries(s) + 1;
	struct pollfd *fds = calloc(num, sizeof(*fds));
	struct top_registry *r;
	bool open = false;

	if (!fds)
		return false;
	fds[0] = (struct pollfd){ .fd = wake, .events = POLLIN };
	TAILQ_FOREACH(r, &s->registries, entry) {
		open |= r->fd >= 0;
		fds[i++] = (struct pollfd){ .fd = r->fd, .events = POLLIN };
	}
	if (poll(fds, num, timeout_ms) < 0) {
		*woken = true; /* by a signal: the window has another size */
		free(fds);
		return open;
	}
	*woken = fds[0].revents;
	i = 1;
	TAILQ_FOREACH(r, &s->registries, entry)
		if (fds[i++].revents)
			read_answer(r);
	free(fds);
	return open;
}

static bool all_answered(const struct top_source *s)
{
	const struct top_registry *r;

	TAILQ_FOREACH(r, &s->registries, entry)
		if (r->fd >= 0)
			return false;
	return true;
}

bool top_hear(struct top_source *s, int wake, double until)
{
	bool woken = false;
	double left;

	while (!woken && !all_answered(s)) {
		left = until - top_now();
		if (left <= 0 ||
		    !poll_once(s, wake, (int)(left * 1000) + 1, &woken))
			break;
	}
	return all_answered(s);
}

bool top_silent(const struct top_registry *r)
{
	return r->fd >= 0 && top_now() - r->asked > SILENT_S;
}

void top_free(struct top_source *s)
{
	while (!TAILQ_EMPTY(&s->registries))
		forget(s, TAILQ_FIRST(&s->registries));
}
