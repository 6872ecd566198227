// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Hot-plug on softverbs: devices are added, removed and renamed, and events are
 * sent, by the command $SOFTVERBS_COMMAND in processes of its own, as an
 * administrator would; or, in a thread that asks for it (fake_by_calls()), by
 * the functions that the command consists of. Only what no command can say is written into the fabric
 * from here: another style of removal for a device that exists, the reset of a
 * device, an event of a type that nobody knows.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "harness.h"
#include "soft.h"

#define PORTS	    "8"
#define MAX_DEVICES 4096

extern char **environ;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct softverbs *fabric;
static char names[MAX_DEVICES][SV_NAME_MAX]; /* by index */
static char dir[PATH_MAX];
static bool is_away;
static __thread bool by_calls;

void soft_die(const char *what)
{
	fprintf(stderr, "softverbs: %s\n", what);
	abort();
}

/* ---- the command ---- */

/* the command is a program of its own: not under the interposer */
static char **plain_environment(void)
{
	size_t n, num = 0;
	char **env;

	for (n = 0; environ[n]; n++)
		;
	env = calloc(n + 1, sizeof(*env));
	if (!env)
		soft_die("no memory");
	for (n = 0; environ[n]; n++)
		if (strncmp(environ[n], "LD_PRELOAD=", 11))
			env[num++] = environ[n];
	return env;
}

/* the exit status; quiet: what it complains of is expected */
static int run(const char *const *argv, bool quiet)
{
	posix_spawn_file_actions_t actions;
	const char *path = getenv("SOFTVERBS_COMMAND");
	char **env = plain_environment();
	int status, error;
	pid_t pid;

	if (!path)
		soft_die("SOFTVERBS_COMMAND is not set: run this by ctest");
	soft_publish();
	posix_spawn_file_actions_init(&actions);
	if (quiet)
		posix_spawn_file_actions_addopen(&actions, 2, "/dev/null",
						 O_WRONLY, 0);
	error = posix_spawn(&pid, path, &actions, NULL, (char **)argv, env);
	posix_spawn_file_actions_destroy(&actions);
	free(env);
	if (error)
		soft_die("the softverbs command cannot be started");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			soft_die("waitpid");
	if (!WIFEXITED(status))
		soft_die("the softverbs command was killed");
	return WEXITSTATUS(status);
}

static void must(int status, const char *what)
{
	if (status)
		soft_die(what);
}

void fake_by_calls(void)
{
	by_calls = true;
}

/* ---- the fabric ---- */

void soft_make_fabric(void)
{
	snprintf(dir, sizeof(dir), "%s/ibc-soft-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(dir) || setenv("SOFTVERBS_DIR", dir, 1))
		soft_die("mkdtemp");
	fabric = softverbs_open(dir);
	if (!fabric)
		soft_die("the fabric cannot be made");
}

static int remove_each(struct sv_device *dev, void *arg)
{
	snprintf(arg, SV_NAME_MAX, "%s", dev->state.name);
	return 1;
}

static int found(int parent, const char *entry, void *arg)
{
	(void)parent;
	(void)arg;
	fprintf(stderr, "softverbs: %s is left\n", entry);
	return 1;
}

static bool is_empty(void)
{
	static const char *const parts[] = { "class/infiniband_verbs",
					     "class/infiniband", "removed",
					     "new" };
	bool empty = true;
	unsigned int i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		empty &= !sv_for_each_entry(fabric->dir, parts[i], found, NULL);
	return empty;
}

bool soft_destroy_fabric(void)
{
	char name[SV_NAME_MAX];
	bool empty;

	fake_no_rdma(false);
	while (sv_device_each(fabric, remove_each, name) == 1)
		if (softverbs_remove_device(fabric, name, 0))
			return false;
	must(sv_lock(fabric), "the fabric cannot be locked");
	sv_sweep(fabric);
	sv_unlock(fabric);
	empty = is_empty();
	softverbs_close(fabric);
	fabric = NULL;
	unsetenv("SOFTVERBS_DIR");
	return sv_remove_tree(AT_FDCWD, dir, 6) == 0 && empty;
}

/* a file of the directory that the inotify source watches */
void fake_notify(void)
{
	int fd;

	soft_publish();
	fd = openat(fabric->dir, "class/infiniband_verbs/news",
		    O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	unlinkat(fabric->dir, "class/infiniband_verbs/news", 0);
}

/* ---- adding ---- */

static void remember(uint32_t index, const char *name)
{
	if (index >= MAX_DEVICES)
		soft_die("too many devices");
	pthread_mutex_lock(&lock);
	snprintf(names[index], sizeof(names[index]), "%s", name);
	pthread_mutex_unlock(&lock);
}

bool soft_is_called(uint32_t index, const char *name)
{
	bool yes;

	pthread_mutex_lock(&lock);
	yes = strcmp(names[index], name) == 0;
	pthread_mutex_unlock(&lock);
	return yes;
}

const char *soft_name_of(uint32_t index)
{
	return names[index];
}

static uint32_t index_of_name(const char *name)
{
	struct sv_device dev;
	uint32_t index;

	must(sv_device_find(fabric, name, &dev), "no such device");
	index = dev.state.index;
	sv_device_done(&dev);
	return index;
}

/* 0, or not: the name is taken */
static int try_to_add(const char *name, uint64_t guid)
{
	const char *argv[] = { "softverbs", "add", name, "--ports",
			       PORTS,	    NULL,  NULL, NULL };
	char text[32];

	if (by_calls) {
		soft_publish();
		return softverbs_add_device(fabric, name, htobe64(guid),
					    strtoul(PORTS, NULL, 10),
					    SOFTVERBS_REMOVAL_WAIT);
	}
	sv_format_guid(htobe64(guid), text, sizeof(text));
	if (guid) {
		argv[5] = "--guid";
		argv[6] = text;
	}
	return run(argv, true);
}

int fake_add(const char *name, uint64_t guid)
{
	uint32_t index;

	/* the name of a device that is held after its removal is still taken */
	wait_for(try_to_add(name, guid) == 0);
	index = index_of_name(name);
	remember(index, name);
	return index;
}

int fake_add_as(const char *name, uint64_t guid, int index, const char *node)
{
	(void)name;
	(void)guid;
	(void)index;
	(void)node;
	soft_die("indices and nodes are the fabric's to choose");
}

void fake_set_guid(const char *name, uint64_t guid)
{
	(void)name;
	(void)guid;
	soft_die("a device keeps its GUID");
}

/* as long as the modules are not loaded, there is no fabric */
void fake_no_rdma(bool none)
{
	char elsewhere[PATH_MAX + 8];

	if (is_away == none)
		return;
	snprintf(elsewhere, sizeof(elsewhere), "%s-away", dir);
	if (none ? rename(dir, elsewhere) : rename(elsewhere, dir))
		soft_die("the fabric cannot be moved");
	is_away = none;
}

void fake_hang_up(struct ibv_context *context)
{
	(void)context;
	soft_die("a context of softverbs holds both ends of its queue");
}

/* ---- removing, renaming ---- */

static void set_style(const char *name, uint32_t removal)
{
	struct sv_device dev;

	must(sv_device_find(fabric, name, &dev), "no such device");
	dev.state.removal = removal;
	must(sv_state_store(dev.dir, &dev.state), "cannot set the style");
	sv_device_done(&dev);
}

static void reset(const char *name)
{
	struct sv_device dev;

	must(sv_device_find(fabric, name, &dev), "no such device");
	soft_publish();
	sv_for_each_context(dev.dir, sv_make_fatal, NULL);
	sv_device_done(&dev);
	fake_notify();
}

static int try_to_remove(const char *name, bool quiet)
{
	const char *const argv[] = { "softverbs", "remove", name,
				     "--timeout", "0",	    NULL };

	if (!by_calls)
		return run(argv, quiet);
	soft_publish();
	return softverbs_remove_device(fabric, name, 0);
}

void fake_remove(const char *name, enum fake_removal how)
{
	if (how == FAKE_RESET) {
		reset(name);
		return;
	}
	set_style(name, how == FAKE_FATAL ? SOFTVERBS_REMOVAL_FATAL :
					    SOFTVERBS_REMOVAL_WAIT);
	/* with removal "wait", whoever holds it makes this time out */
	if (try_to_remove(name, how == FAKE_WAIT) && how == FAKE_FATAL)
		soft_die("the device cannot be removed");
}

static int try_to_rename(const char *name, const char *new_name)
{
	const char *const argv[] = { "softverbs", "rename", name, new_name,
				     NULL };

	if (!by_calls)
		return run(argv, true);
	soft_publish();
	return softverbs_rename_device(fabric, name, new_name);
}

void fake_rename(const char *name, const char *new_name)
{
	uint32_t index = index_of_name(name);

	remember(index, new_name);
	/* as in fake_add() */
	wait_for(try_to_rename(name, new_name) == 0);
}

/* ---- contexts ---- */

/* DEVICE/contexts/ID/async: is it the one in that directory? */
static bool has_async(int context_dir, struct ibv_context *context)
{
	struct stat own, found;

	return fstat(context->async_fd, &own) == 0 &&
	       fstatat(context_dir, "async", &found, AT_SYMLINK_NOFOLLOW) ==
		       0 &&
	       own.st_ino == found.st_ino && own.st_dev == found.st_dev;
}

/*
 * The directory contexts/ID by which it holds its device. That may be renamed
 * before it is opened, and another one be made that has its name.
 */
static int try_context_dir(struct ibv_context *context, char *id)
{
	char link[64], path[PATH_MAX];
	ssize_t len;
	int fd;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", context->async_fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		soft_die("/proc is needed");
	path[len] = '\0';
	*strrchr(path, '/') = '\0';
	fd = sv_open_dir(AT_FDCWD, path);
	if (fd >= 0 && !has_async(fd, context)) {
		close(fd);
		return -1;
	}
	if (id)
		snprintf(id, SV_NAME_MAX, "%s", strrchr(path, '/') + 1);
	return fd;
}

/* @up: that many above; of what is held ".." is the right one */
static int open_context_dir(struct ibv_context *context, int up, char *id)
{
	int fd, parent, tries = 1000;

	do {
		fd = try_context_dir(context, id);
	} while (fd < 0 && --tries);
	while (fd >= 0 && up--) {
		parent = sv_open_dir(fd, "..");
		close(fd);
		fd = parent;
	}
	if (fd < 0)
		soft_die("a context without a device");
	return fd;
}

uint32_t soft_index_of(struct ibv_context *context)
{
	struct sv_state state;
	uint32_t index;
	int fd = open_context_dir(context, 2, NULL);

	if (sv_state_load(fd, &state))
		soft_die("a device without a state");
	index = state.index;
	sv_state_free(&state);
	close(fd);
	return index;
}

/* ---- events ---- */

struct search {
	uint32_t number;
	uint64_t id;
};

static int is_number(const struct sv_object *object, void *arg)
{
	struct search *search = arg;

	search->id = object->id;
	return object->number == search->number;
}

/* as an event names it */
static uint64_t id_of(struct ibv_context *context, enum sv_kind kind,
		      uint32_t number)
{
	struct search search = { .number = number };
	char id[SV_NAME_MAX];
	int parent = open_context_dir(context, 1, id);
	struct sv_context ctx;

	if (!sv_context_open(&ctx, parent, id) ||
	    !sv_context_objects(&ctx, kind, is_number, &search))
		soft_die("the context has no such object");
	sv_context_close(&ctx);
	close(parent);
	return search.id;
}

static uint64_t element_of(struct ibv_context *context, uint32_t type,
			   uintptr_t element)
{
	switch (sv_event_kind(type)) {
	case SV_QP:
		return id_of(context, SV_QP,
			     ((struct ibv_qp *)element)->qp_num);
	case SV_CQ:
		return id_of(context, SV_CQ,
			     ((struct ibv_cq *)element)->handle);
	case SV_SRQ:
		return id_of(context, SV_SRQ,
			     ((struct ibv_srq *)element)->handle);
	case SV_WQ:
		return id_of(context, SV_WQ,
			     ((struct ibv_wq *)element)->wq_num);
	default:
		return element;
	}
}

void soft_send(struct ibv_context *context, uint32_t type, uintptr_t element)
{
	const struct sv_event event = {
		.element = element_of(context, type, element), .type = type
	};
	char link[64];
	int fd;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", context->async_fd);
	fd = open(link, O_WRONLY | O_CLOEXEC);
	soft_publish();
	if (fd < 0 || write(fd, &event, sizeof(event)) != sizeof(event))
		soft_die("cannot inject an event");
	close(fd);
}

bool soft_command_event(const char *name, uint32_t type, uint64_t port)
{
	char number[24], spec[64];
	const char *argv[] = { "softverbs", "event", name, NULL,
			       NULL,	    NULL,    NULL };
	bool of_device = type == IBV_EVENT_DEVICE_FATAL;

	argv[3] = sv_event_name(type);
	if (!argv[3] || sv_event_kind(type) != SV_NONE)
		return false;
	snprintf(number, sizeof(number), "%u", (unsigned int)port);
	if (by_calls) {
		snprintf(spec, sizeof(spec), "%s%s%s", argv[3],
			 of_device ? "" : " --port ", of_device ? "" : number);
		soft_publish();
		return softverbs_send_event(fabric, name, spec) == 0;
	}
	if (!of_device) {
		argv[4] = "--port";
		argv[5] = number;
	}
	return run(argv, false) == 0;
}
