// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <getopt.h>
#include <grp.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"

static const char *command;

/*
 * A standard descriptor that is closed would be given to the next file opened,
 * and messages meant for people would end up in a device.
 */
static void fill_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

void tool_init(const char *name)
{
	command = name;
	fill_standard_fds();
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
}

/* an argument may hold anything: a terminal must not obey it */
static void put_printable(const char *text)
{
	for (; *text; text++)
		putc((unsigned char)*text < ' ' || *text == 127 ? '?' : *text,
		     stderr);
}

void tool_error(const char *what, const char *why, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, why);
	if (vasprintf(&text, why, args) < 0)
		text = NULL;
	va_end(args);
	flockfile(stderr);
	fprintf(stderr, "%s: ", command);
	put_printable(what);
	fputs(": ", stderr);
	put_printable(text ? text : why);
	fputc('\n', stderr);
	funlockfile(stderr);
	free(text);
}

/* For getopt_long() with opterr 0, which has just returned '?' or ':'. */
int tool_bad_option(char **argv, int opt)
{
	char shorter[] = { '-', (char)optopt, '\0' };
	bool is_short = optopt > 0 && optopt < 128;
	const char *what = is_short ? shorter : argv[optind - 1];

	if (opt == ':')
		tool_error(what, "a value is missing (see --help)");
	else if (optopt && strchr(argv[optind - 1], '='))
		tool_error(argv[optind - 1], "it takes no value (see --help)");
	else
		tool_error(what, "no such option (see --help)");
	return TOOL_USAGE;
}

/* A reader that went away needs no message. */
int tool_finish(int status)
{
	struct pollfd out = { .fd = STDOUT_FILENO };

	if (!fflush(stdout) && !ferror(stdout))
		return status;
	if (poll(&out, 1, 0) <= 0)
		tool_error("standard output", "it could not be written");
	return TOOL_FAILED;
}

void tool_version(void)
{
	printf("%s (libibclient) %s\n", command, ibc_version());
}

bool tool_names_valid(char **names)
{
	for (; *names; names++) {
		if (!**names)
			return false;
	}
	return true;
}

char *tool_names_join(char **names)
{
	char *list = NULL;
	size_t size;
	FILE *out;

	if (!*names)
		return NULL;
	out = open_memstream(&list, &size);
	if (!out)
		return NULL;
	for (; *names; names++)
		fprintf(out, "%s%s", *names, names[1] ? "," : "");
	return fclose(out) ? NULL : list;
}

bool tool_names_match(char **names, const char *device)
{
	if (!*names)
		return true;
	for (; *names; names++) {
		if (!fnmatch(*names, device, 0))
			return true;
	}
	return false;
}

const char *tool_guid(__be64 guid, char buf[TOOL_GUID_SIZE])
{
	uint64_t g = be64toh(guid);

	snprintf(buf, TOOL_GUID_SIZE,
		 "%04" PRIx64 ":%04" PRIx64 ":%04" PRIx64 ":%04" PRIx64,
		 g >> 48, g >> 32 & 0xffff, g >> 16 & 0xffff, g & 0xffff);
	return buf;
}

/* ---- opening devices ---- */

struct open_result {
	struct open_result *next;
	int error;
	char name[];
};

static pthread_mutex_t opens_lock = PTHREAD_MUTEX_INITIALIZER;
static struct open_result *opens;

static struct open_result *find_open(const char *device)
{
	struct open_result *o;

	for (o = opens; o; o = o->next) {
		if (!strcmp(o->name, device))
			return o;
	}
	return NULL;
}

static struct open_result *make_open(const char *device)
{
	struct open_result *o = find_open(device);

	if (o)
		return o;
	o = calloc(1, sizeof(*o) + strlen(device) + 1);
	if (!o)
		return NULL;
	strcpy(o->name, device);
	o->next = opens;
	opens = o;
	return o;
}

/* Returns whether that is news. */
static bool record_open(const char *device, int error)
{
	struct open_result *o;
	bool news = true;

	pthread_mutex_lock(&opens_lock);
	o = make_open(device);
	if (o) {
		news = o->error != error;
		o->error = error;
	}
	pthread_mutex_unlock(&opens_lock);
	return news;
}

static const char *node_path(const char *node, char path[128])
{
	snprintf(path, 128, "/dev/infiniband/%.100s", node);
	return path;
}

/* libibverbs says ENOENT of a node that one may not open: so ask the node. */
static int open_reason(const char *node, int error)
{
	char path[128];
	int fd;

	fd = open(node_path(node, path), O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	else if (errno == EACCES || errno == EPERM)
		return errno;
	return error ? error : EIO;
}

struct ibv_context *tool_open_device(struct ibv_device *device, void *arg)
{
	const char *name = ibv_get_device_name(device);
	struct ibv_context *context;
	int error = 0;

	errno = 0;
	context = ibv_open_device(device);
	if (!context)
		error = open_reason(device->dev_name, errno);
	if (record_open(name, error) && error && arg)
		tool_explain_open(name, device->dev_name, error);
	errno = error;
	return context;
}

int tool_open_error(const char *device)
{
	struct open_result *o;
	int error;

	pthread_mutex_lock(&opens_lock);
	o = find_open(device);
	error = o ? o->error : 0;
	pthread_mutex_unlock(&opens_lock);
	return error;
}

/* ---- words for troubles ---- */

static void explain_denied(const char *device, const char *path, int error)
{
	char uid[16], gid[16];
	struct passwd *user;
	struct group *group;
	struct stat st;

	if (stat(path, &st)) {
		tool_error(device, "cannot open %s: %s", path, strerror(error));
		return;
	}
	user = getpwuid(st.st_uid);
	group = getgrgid(st.st_gid);
	snprintf(uid, sizeof(uid), "%u", st.st_uid);
	snprintf(gid, sizeof(gid), "%u", st.st_gid);
	tool_error(
		device, "cannot open %s (mode %04o, owner %s:%s): %s: %s", path,
		st.st_mode & 07777, user ? user->pw_name : uid,
		group ? group->gr_name : gid, strerror(error),
		eaccess(path, R_OK | W_OK) ?
			"run this as root, or let a udev rule set mode 0666" :
			"in a container, it must be started with this device");
}

void tool_explain_open(const char *device, const char *node, int error)
{
	char path[128];

	node_path(node, path);
	if (error == EACCES || error == EPERM)
		explain_denied(device, path, error);
	else if (error == ENOENT && access(path, F_OK))
		tool_error(device,
			   "cannot open %s: there is no such node; "
			   "a container must be started with it",
			   path);
	else
		tool_error(device, "cannot open %s: %s", path, strerror(error));
}

/* The first uverbs device of the kernel's that has no node; "": none lacks one. */
static bool find_uverbs(char missing[128])
{
	char path[128];
	bool found = false;
	struct dirent *d;
	DIR *dir;

	*missing = '\0';
	dir = opendir("/sys/class/infiniband_verbs");
	if (!dir)
		return false;
	while ((d = readdir(dir))) {
		if (strncmp(d->d_name, "uverbs", 6))
			continue;
		found = true;
		if (!*missing && access(node_path(d->d_name, path), F_OK))
			strcpy(missing, path);
	}
	closedir(dir);
	return found;
}

static bool has_ib_devices(void)
{
	bool found = false;
	struct dirent *d;
	DIR *dir;

	dir = opendir("/sys/class/infiniband");
	if (!dir)
		return false;
	while (!found && (d = readdir(dir)))
		found = d->d_name[0] != '.';
	closedir(dir);
	return found;
}

/* The kernel has devices, libibverbs does not list them. */
static void explain_unlisted(const char *missing)
{
	if (*missing)
		tool_error("no devices",
			   "the kernel has some, but %s is missing; "
			   "a container must be started with it",
			   missing);
	else
		tool_error("no devices",
			   "the kernel has some, but their userspace driver is "
			   "missing: install ibverbs-providers (Debian) or "
			   "libibverbs (Fedora)");
}

void tool_explain_no_devices(void)
{
	char missing[128];

	if (find_uverbs(missing))
		explain_unlisted(missing);
	else if (has_ib_devices())
		tool_error("no devices",
			   "the kernel has some, but not for userspace: "
			   "modprobe ib_uverbs");
	else if (!access("/sys/class/infiniband_verbs", F_OK))
		tool_error("no devices",
			   "this machine has none; for soft-RoCE: "
			   "rdma link add rxe0 type rxe netdev NETDEV");
	else
		tool_error("no devices",
			   "no RDMA in this kernel: modprobe ib_uverbs, for "
			   "soft-RoCE modprobe rdma_rxe (package rdma-core "
			   "does so at boot; in a container, on the host)");
}
