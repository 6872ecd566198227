// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The fabric's directory as somebody else left it. The input is a text; each line
 * makes a thing in the directory or calls something, "KIND PATH TEXT":
 *
 *	m		the layout of a new fabric
 *	a NAME TEXT	a device; removal "fatal" if there is any text
 *	f PATH TEXT	a file; '|' is the end of a line
 *	d PATH		a directory
 *	l PATH N	a symbolic link to canary N
 *	h PATH N	a hard link to one
 *	p PATH		a FIFO
 *	r PATH		a FIFO that has a reader
 *	s PATH		a socket
 *	n PATH		the null device, if one may make it
 *	b PATH		a file with a large hole
 *	t PATH		a deep tree
 *
 * "L/" at the start of a path is class/infiniband_verbs/, "N/" is
 * class/infiniband/. After that everything that reads the fabric is called.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "cmd/command.h"
#include "scratch.h"

#define MAX_LINES   64
#define MAX_READERS 16

static int readers[MAX_READERS], num_readers;
static int top; /* the fabric's directory */

/* the fuzzer itself goes nowhere else */
static bool path_is_good(const char *path)
{
	const char *p;

	if (!*path || *path == '/' || strlen(path) > 200)
		return false;
	for (p = path; *p; p++)
		if ((p == path || p[-1] == '/') && p[0] == '.' &&
		    (!p[1] || p[1] == '/' || p[1] == '.'))
			return false;
	return true;
}

static void make_parents(const char *path)
{
	char part[256];
	size_t i;

	for (i = 1; path[i]; i++) {
		if (path[i] != '/')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)i, path);
		mkdirat(top, part, 0700);
	}
}

/* in place of what is there: that may be a canary, by a hard link */
static int open_new(const char *path)
{
	unlinkat(top, path, 0);
	return openat(top, path, O_WRONLY | O_CREAT | O_EXCL, 0600);
}

static void make_file(const char *path, const char *text)
{
	int fd = open_new(path);
	char c;

	if (fd < 0)
		return;
	for (; *text; text++) {
		c = *text == '|' ? '\n' : *text;
		if (write(fd, &c, 1) != 1)
			break;
	}
	close(fd);
}

static void make_hole(const char *path)
{
	int fd = open_new(path);

	if (fd < 0)
		return;
	if (ftruncate(fd, 1L << 33))
		scratch_fail("no hole");
	close(fd);
}

static void make_link(struct scratch *scratch, const char *path,
		      const char *text, bool hard)
{
	static const char *const targets[] = { "", "/file", "/dir",
					       "/dir/state", "/none" };
	char to[256];

	snprintf(to, sizeof(to), "%s%s", scratch->canary,
		 targets[(uint8_t)(*text - '0') % 5]);
	if (hard ? linkat(AT_FDCWD, to, top, path, 0) :
		   symlinkat(to, top, path))
		return;
}

static void make_fifo(const char *path, bool reader)
{
	int fd;

	if (mkfifoat(top, path, 0600) || !reader || num_readers == MAX_READERS)
		return;
	fd = openat(top, path, O_RDWR | O_NONBLOCK | O_NOFOLLOW);
	if (fd >= 0)
		readers[num_readers++] = fd;
}

/* a path in an address is short: made elsewhere, and moved */
static void make_socket(struct scratch *scratch, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/.socket",
		 scratch->fabric);
	if (!bind(fd, (struct sockaddr *)&address, sizeof(address)) &&
	    renameat(top, ".socket", top, path))
		unlinkat(top, ".socket", 0);
	close(fd);
}

/* a new one: what is there may be a link, with a canary behind it */
static void make_tree(const char *path)
{
	char deep[1024];
	int i, len;

	len = snprintf(deep, sizeof(deep), "%s", path);
	for (i = 0; i < 50 && !mkdirat(top, deep, 0700); i++)
		len += snprintf(deep + len, sizeof(deep) - len, "/t");
}

static void make_one(struct scratch *scratch, char kind, const char *path,
		     const char *text)
{
	switch (kind) {
	case 'f':
		return make_file(path, text);
	case 'd':
		mkdirat(top, path, 0700);
		return;
	case 'l':
	case 'h':
		return make_link(scratch, path, text, kind == 'h');
	case 'p':
	case 'r':
		return make_fifo(path, kind == 'r');
	case 's':
		return make_socket(scratch, path);
	case 'n':
		mknodat(top, path, S_IFCHR | 0600, makedev(1, 3));
		return;
	case 'b':
		return make_hole(path);
	case 't':
		return make_tree(path);
	default:
		return;
	}
}

/* what the fuzzer makes must not pass through a link that it made */
static bool has_link(const char *path)
{
	char part[256];
	struct stat st;
	size_t i;

	for (i = 1; path[i]; i++) {
		if (path[i] != '/')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)i, path);
		if (!fstatat(top, part, &st, AT_SYMLINK_NOFOLLOW) &&
		    S_ISLNK(st.st_mode))
			return true;
	}
	return false;
}

static void do_line(struct scratch *scratch, char *line)
{
	char kind = *line, *path = NULL, *text = NULL, full[256];
	struct softverbs *sv;

	if (kind && line[1] == ' ') {
		path = line + 2;
		text = strchr(path, ' ');
	}
	if (text)
		*text++ = '\0';
	if (kind == 'm' || kind == 'a') {
		sv = softverbs_open(scratch->fabric);
		if (sv && kind == 'a' && path)
			softverbs_add_device(sv, path, 0, 2, text && *text);
		softverbs_close(sv);
		return;
	}
	if (!path || !path_is_good(path))
		return;
	snprintf(full, sizeof(full), "%s%s",
		 path[1] != '/' ? "" :
		 path[0] == 'L' ? "class/infiniband_verbs" :
		 path[0] == 'N' ? "class/infiniband" :
				  "",
		 path[1] == '/' && strchr("LN", path[0]) ? path + 1 : path);
	if (has_link(full))
		return;
	make_parents(full);
	make_one(scratch, kind, full, text ? text : "");
}

static void lay_out(struct scratch *scratch, const uint8_t *data, size_t size)
{
	char *copy = strndup((const char *)data, size), *line, *save;
	int i = 0;

	for (line = strtok_r(copy, "\n", &save); line && i < MAX_LINES;
	     line = strtok_r(NULL, "\n", &save), i++)
		do_line(scratch, line);
	free(copy);
}

static void take_faults(struct softverbs *sv, const char *node)
{
	struct sv_fault fault;
	char path[64];
	int dir;

	snprintf(path, sizeof(path), SV_LISTED "/%s", node);
	dir = sv_open_dir(sv->dir, path);
	if (dir < 0)
		return;
	sv_fault_take(dir, -1, "open", &fault);
	sv_fault_take(dir, -1, "alloc_pd", &fault);
	sv_wait_unheld(dir, 0);
	close(dir);
}

static void change(struct softverbs *sv, const char *name)
{
	softverbs_set_port(sv, name, 1, false);
	softverbs_set_port(sv, name, 1, true);
	sv_set_gid(sv, name, 1, 3, "fe80::1");
	sv_set_pkey(sv, name, 1, 3, 0x1234);
	softverbs_send_event(sv, name, "CQ_ERR --cq 0");
	softverbs_send_event(sv, name, "QP_FATAL --qp 17");
	softverbs_send_event(sv, name, "CLIENT_REREGISTER --count 3");
	softverbs_set_fault(sv, name, "open=EIO:2 alloc_pd=delay:5");
}

static void use(void)
{
	struct softverbs *sv = cmd_open();
	char list[] = "list", j[] = "-j";
	char *argv[] = { list, j, NULL };

	cmd_list(1, argv);
	cmd_list(2, argv);
	/* as the interposer does, which makes nothing */
	if (!sv)
		sv = sv_open_existing(scratch_get()->fabric);
	if (!sv)
		return;
	take_faults(sv, "uverbs0");
	change(sv, "soft0");
	change(sv, "b");
	take_faults(sv, "uverbs0");
	softverbs_add_device(sv, "soft0", 0, 1, SOFTVERBS_REMOVAL_WAIT);
	softverbs_rename_device(sv, "soft0", "b");
	softverbs_rename_device(sv, "c", "soft0");
	softverbs_add_device(sv, "d", 0, 1, SOFTVERBS_REMOVAL_FATAL);
	softverbs_remove_device(sv, "b", 0);
	softverbs_remove_device(sv, "d", 0);
	softverbs_remove_device(sv, "soft0", 0);
	if (!sv_lock(sv)) {
		sv_sweep(sv);
		sv_unlock(sv);
	}
	softverbs_close(sv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scratch *scratch = scratch_get();
	int fds = scratch_count_fds();

	scratch_reset(scratch);
	top = openat(scratch->dir, "fabric", O_RDONLY | O_DIRECTORY);
	lay_out(scratch, data, size);
	use();
	while (num_readers)
		close(readers[--num_readers]);
	close(top);
	scratch_check(scratch);
	if (scratch_count_fds() != fds)
		scratch_fail("descriptors are left");
	return 0;
}
