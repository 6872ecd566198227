// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Ports. Who has one listens on the socket `cm/SPACE-PORT-ADDRESS` of the fabric,
 * from rdma_bind_addr() on: so the socket itself says whether he lives, and who
 * connects before rdma_listen() is refused by us. Names are given with the lock
 * on the fabric; one that nobody listens to any more is removed by who is in its
 * way.
 *
 * Ports that a connecting id gets are only numbers: nobody can connect to them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cm.h"

#define FIRST_PORT 32768
#define LAST_PORT  60999

/* as long as a listener's queue may be full */
#define CONNECT_SECONDS 5

int cm_port_dir(struct softverbs *sv, bool make)
{
	if (make && mkdirat(sv->dir, "cm", 0700) && errno != EEXIST)
		return -1;
	return sv_open_dir(sv->dir, "cm");
}

/* ---- names ---- */

static void name_prefix(char *name, size_t size, const struct cm_id *id,
			uint16_t port)
{
	snprintf(name, size, "%04x-%05u-", (unsigned int)id->ibv.ps, port);
}

/* "::" of an id that takes no IPv4 ends with a letter */
static void make_name(char name[CM_PORT_NAME], const struct cm_id *id,
		      const struct cm_address *address, bool only)
{
	size_t len, i;

	name_prefix(name, CM_PORT_NAME, id, address->port);
	len = strlen(name);
	for (i = 0; i < sizeof(address->ip); i++)
		snprintf(name + len + 2 * i, 3, "%02x", address->ip[i]);
	if (only)
		strcpy(name + len + 2 * sizeof(address->ip), "o");
}

/* the addresses that a name stands for: a whole family, or both, or one */
struct reach {
	bool four, six;
	char text[33];
};

static bool read_name(const char *entry, const char *prefix,
		      struct reach *reach)
{
	static const char any4[] = "00000000000000000000ffff00000000";
	static const char any6[] = "00000000000000000000000000000000";
	size_t len = strlen(prefix);

	if (strncmp(entry, prefix, len) || strlen(entry) < len + 32)
		return false;
	memcpy(reach->text, entry + len, 32);
	reach->text[32] = '\0';
	reach->six = !strcmp(reach->text, any6);
	reach->four =
		!strcmp(reach->text, any4) || (reach->six && !entry[len + 32]);
	return true;
}

static bool is_four(const struct reach *reach)
{
	return !strncmp(reach->text, "00000000000000000000ffff", 24);
}

static bool covers(const struct reach *a, const struct reach *b)
{
	return is_four(b) ? a->four : a->six;
}

static bool overlaps(const struct reach *a, const struct reach *b)
{
	return !strcmp(a->text, b->text) || covers(a, b) || covers(b, a);
}

/* ---- sockets ---- */

/* a path in an address is short, and the fabric's may be long */
static void make_path(struct sockaddr_un *address, int dir, const char *name)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof(address->sun_path),
		 "/proc/self/fd/%d/%s", dir, name);
}

static int new_socket(int flags)
{
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
}

/* an errno value; no link is followed */
static int connect_to(int fd, int dir, const char *name)
{
	struct sockaddr_un address;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno;
	if (!S_ISSOCK(st.st_mode))
		return ECONNREFUSED;
	make_path(&address, dir, name);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return errno;
	return 0;
}

/* a queue that is full is somebody's, too */
static bool is_alive(int dir, const char *name)
{
	int fd = new_socket(SOCK_NONBLOCK), error;

	if (fd < 0)
		return true;
	error = connect_to(fd, dir, name);
	close(fd);
	return error != ECONNREFUSED && error != ENOENT;
}

/* ---- taking one ---- */

struct search {
	char prefix[16];
	struct reach reach;
};

static int look_at(int dir, const char *entry, void *arg)
{
	struct search *search = arg;
	struct reach other;

	if (!read_name(entry, search->prefix, &other) ||
	    !overlaps(&search->reach, &other))
		return 0;
	if (is_alive(dir, entry))
		return EADDRINUSE;
	unlinkat(dir, entry, 0);
	return 0;
}

/* fabric locked: nobody else takes it meanwhile */
static int bind_socket(int dir, const char *name, int *fd)
{
	struct sockaddr_un address;
	int error = 0;

	*fd = new_socket(SOCK_NONBLOCK);
	if (*fd < 0)
		return errno;
	make_path(&address, dir, name);
	/* the mode that the file will have */
	if (fchmod(*fd, 0600) ||
	    bind(*fd, (struct sockaddr *)&address, sizeof(address)))
		error = errno;
	if (!error && listen(*fd, SOMAXCONN)) {
		error = errno;
		unlinkat(dir, name, 0);
	}
	if (error)
		close(*fd);
	return error;
}

/* fabric locked */
static int take(struct softverbs *sv, int dir, struct cm_id *id,
		const struct cm_address *address, int *fd)
{
	bool only = id->af_only && address->family == 6 &&
		    cm_address_is_any(address);
	struct search search;
	int error;

	make_name(id->port_name, id, address, only);
	name_prefix(search.prefix, sizeof(search.prefix), id, address->port);
	read_name(id->port_name, search.prefix, &search.reach);
	error = sv_for_each_entry(sv->dir, "cm", look_at, &search);
	if (!error)
		error = bind_socket(dir, id->port_name, fd);
	return error;
}

uint16_t cm_port_ephemeral(void)
{
	static atomic_uint next;
	unsigned int first = 0, none = 0;

	if (!atomic_load(&next)) {
		if (getrandom(&first, sizeof(first), GRND_NONBLOCK) < 0)
			first = getpid();
		atomic_compare_exchange_strong(&next, &none, first | 1);
	}
	return FIRST_PORT +
	       atomic_fetch_add(&next, 1) % (LAST_PORT - FIRST_PORT + 1);
}

static int take_any(struct softverbs *sv, int dir, struct cm_id *id,
		    struct cm_address *address, int *fd)
{
	int tries, error = EADDRINUSE;

	if (address->port)
		return take(sv, dir, id, address, fd);
	for (tries = 0; tries <= LAST_PORT - FIRST_PORT && error == EADDRINUSE;
	     tries++) {
		address->port = cm_port_ephemeral();
		error = take(sv, dir, id, address, fd);
	}
	if (error)
		address->port = 0;
	return error;
}

/* the id is nobody else's business yet */
int cm_port_take(struct cm_id *id, struct cm_address *address)
{
	struct softverbs *sv = cm_fabric();
	int error, dir, fd;

	if (!sv)
		return ENODEV;
	error = sv_lock(sv);
	if (!error) {
		dir = cm_port_dir(sv, true);
		error = dir < 0 ? errno : take_any(sv, dir, id, address, &fd);
		if (dir >= 0)
			close(dir);
		sv_unlock(sv);
	}
	softverbs_close(sv);
	if (!error) {
		pthread_mutex_lock(&cm_lock);
		id->port_fd = fd;
		error = cm_watch(id, CM_SOURCE_PORT);
		if (error)
			cm_port_free(id);
		pthread_mutex_unlock(&cm_lock);
	}
	if (error)
		id->port_name[0] = '\0';
	return error;
}

/*
 * lock held. The name goes before the socket: as long as we listen nobody else
 * can have taken it.
 */
void cm_port_free(struct cm_id *id)
{
	struct softverbs *sv;
	int dir;

	if (id->port_fd < 0)
		return;
	sv = cm_fabric();
	dir = sv ? cm_port_dir(sv, false) : -1;
	if (dir >= 0) {
		unlinkat(dir, id->port_name, 0);
		close(dir);
	}
	softverbs_close(sv);
	cm_unwatch(id->port_fd);
	id->port_fd = -1;
}

/* ---- connecting ---- */

/* the address itself, all of its family, all */
static int try_names(const struct cm_id *id, int dir, int fd)
{
	struct cm_address to = id->dst;
	char name[CM_PORT_NAME];
	int error;

	make_name(name, id, &to, false);
	error = connect_to(fd, dir, name);
	if (error == ENOENT || error == ECONNREFUSED) {
		memset(to.ip + (to.family == 4 ? 12 : 0), 0,
		       to.family == 4 ? 4 : 16);
		make_name(name, id, &to, to.family == 6);
		error = connect_to(fd, dir, name);
	}
	if (error == ENOENT || error == ECONNREFUSED) {
		memset(to.ip, 0, sizeof(to.ip));
		make_name(name, id, &to, false);
		error = connect_to(fd, dir, name);
	}
	return error;
}

int cm_port_connect(const struct cm_id *id, int *fd)
{
	const struct timeval limit = { .tv_sec = CONNECT_SECONDS };
	struct softverbs *sv = cm_fabric();
	int error = 0, dir;

	if (!sv)
		return ENODEV;
	*fd = new_socket(0);
	dir = cm_port_dir(sv, false);
	if (*fd < 0 || dir < 0)
		error = errno;
	if (!error) {
		setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		error = try_names(id, dir, *fd);
	}
	if (!error && fcntl(*fd, F_SETFL, O_NONBLOCK))
		error = errno;
	if (error && *fd >= 0)
		close(*fd);
	if (dir >= 0)
		close(dir);
	softverbs_close(sv);
	return error;
}
