// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See status_reader.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "harness.h"
#include "status_reader.h"

void status_path(char *path, size_t size, const char *dir, unsigned int n)
{
	check(snprintf(path, size, "%s/%d-%u.sock", dir, getpid(), n) <
	      (int)size);
}

bool status_exists(const char *dir, unsigned int n)
{
	char path[128];

	status_path(path, sizeof(path), dir, n);
	return access(path, F_OK) == 0;
}

bool status_connect_to(struct status_reader *r, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int error;

	*r = (struct status_reader){ .fd = -1 };
	check(strlen(path) < sizeof(addr.sun_path));
	strcpy(addr.sun_path, path);
	r->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	check(r->fd >= 0);
	if (!connect(r->fd, (struct sockaddr *)&addr, sizeof(addr)))
		return true;
	error = errno;
	status_close(r);
	errno = error;
	return false;
}

bool status_connect(struct status_reader *r, const char *dir, unsigned int n)
{
	char path[128];

	status_path(path, sizeof(path), dir, n);
	return status_connect_to(r, path);
}

/* who was dropped with something unread in his queue hears ECONNRESET */
bool status_read(struct status_reader *r)
{
	char buf[65536];
	ssize_t n = 1;

	while (!r->end) {
		n = recv(r->fd, buf, sizeof(buf), 0);
		if (n < 0 && errno == EAGAIN)
			break;
		check(n >= 0 || errno == ECONNRESET);
		r->end = n <= 0;
		if (r->end)
			break;
		r->text = realloc(r->text, r->len + n + 1);
		check(r->text);
		memcpy(r->text + r->len, buf, n);
		r->len += n;
		r->text[r->len] = '\0';
	}
	return r->end;
}

void status_close(struct status_reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	free(r->text);
	*r = (struct status_reader){ .fd = -1 };
}

bool status_is_whole(const struct status_reader *r)
{
	json_t *json = r->end && r->text ? json_loads(r->text, 0, NULL) : NULL;
	bool whole = json && json_is_array(json_object_get(json, "devices")) &&
		     json_is_object(json_object_get(json, "stats"));

	json_decref(json);
	return whole;
}

bool status_has(const char *dir, unsigned int n, const char *part)
{
	static struct status_reader r = { .fd = -1 };
	bool has;

	if (r.fd < 0 && !status_connect(&r, dir, n))
		return false;
	if (!status_read(&r))
		return false;
	has = status_is_whole(&r) && strstr(r.text, part);
	status_close(&r);
	return has;
}
