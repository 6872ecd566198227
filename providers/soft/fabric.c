// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The fabric's directory and the small files in it. See fabric.h. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <infiniband/softverbs.h>

#include "fabric.h"

/* where the fabric is; ENAMETOOLONG */
int sv_fabric_path(const char *dir, char *buf, size_t size)
{
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
	int len;

	if (!dir)
		dir = secure_getenv("SOFTVERBS_DIR");
	if (dir && *dir)
		len = snprintf(buf, size, "%s", dir);
	else if (runtime && *runtime)
		len = snprintf(buf, size, "%s/softverbs", runtime);
	else
		len = snprintf(buf, size, "/tmp/softverbs-%u",
			       (unsigned int)geteuid());
	return len < 0 || (size_t)len >= size ? ENAMETOOLONG : 0;
}

/* ours, and nobody else may enter: in /tmp anybody can be there first */
static int check_owner(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return errno;
	if (st.st_uid != geteuid() || st.st_mode & 077)
		return EPERM;
	return 0;
}

static int make_dir(int dir, const char *name)
{
	return mkdirat(dir, name, 0700) && errno != EEXIST ? errno : 0;
}

static int open_top(const char *path, bool make, int *fd)
{
	int error;

	if (make && mkdir(path, 0700) && errno != EEXIST)
		return errno;
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0)
		return errno == ELOOP ? ENOTDIR : errno;
	error = check_owner(*fd);
	if (error) {
		close(*fd);
		*fd = -1;
	}
	return error;
}

static int make_layout(int dir)
{
	int class, error = make_dir(dir, "class");

	if (!error)
		error = make_dir(dir, "removed");
	if (!error)
		error = make_dir(dir, "new");
	if (error)
		return error;
	class = sv_open_dir(dir, "class");
	if (class < 0)
		return errno;
	error = make_dir(class, "infiniband_verbs");
	if (!error)
		error = make_dir(class, "infiniband");
	close(class);
	return error;
}

static int check_lock(int dir, int flags)
{
	int fd = sv_open_file(dir, "lock", flags | O_RDWR);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* the paths of a struct ibv_device are short: without it devices would be lost */
static int check_length(const char *path)
{
	char cwd[PATH_MAX];
	size_t len = strlen(path);

	if (path[0] != '/') {
		if (!getcwd(cwd, sizeof(cwd)))
			return errno;
		len += strlen(cwd) + 1;
	}
	return len > SV_PATH_MAX ? ENAMETOOLONG : 0;
}

static int open_fabric(struct softverbs *sv, const char *dir, bool make)
{
	char path[PATH_MAX];
	int error = sv_fabric_path(dir, path, sizeof(path));

	if (!error)
		error = check_length(path);
	if (!error)
		error = open_top(path, make, &sv->dir);
	if (!error && make)
		error = make_layout(sv->dir);
	if (!error)
		error = check_lock(sv->dir, make ? O_CREAT : 0);
	if (error)
		return error;
	sv->path = strdup(path);
	return sv->path ? 0 : ENOMEM;
}

static struct softverbs *open_or_make(const char *dir, bool make)
{
	struct softverbs *sv = calloc(1, sizeof(*sv));
	int error;

	if (!sv)
		return NULL;
	sv->dir = -1;
	error = open_fabric(sv, dir, make);
	if (!error)
		return sv;
	softverbs_close(sv);
	errno = error;
	return NULL;
}

struct softverbs *softverbs_open(const char *dir)
{
	return open_or_make(dir, true);
}

struct softverbs *sv_open_existing(const char *dir)
{
	return open_or_make(dir, false);
}

void softverbs_close(struct softverbs *sv)
{
	if (!sv)
		return;
	if (sv->dir >= 0)
		close(sv->dir);
	free(sv->path);
	free(sv);
}

#define SPARE_FDS 12 /* more than anything needs with the lock */

/* what cannot be opened would look as if it were not there */
static int check_spare_fds(int fd)
{
	int spare[SPARE_FDS], num = 0, error = 0;

	while (!error && num < SPARE_FDS) {
		spare[num] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (spare[num] < 0)
			error = errno;
		else
			num++;
	}
	while (num > 0)
		close(spare[--num]);
	return error;
}

/* each thread's own: threads exclude each other as processes do */
static _Thread_local struct sv_lock fabric_lock = { .fd = -1 };

static int locked(struct softverbs *sv, int error)
{
	if (error)
		return error;
	error = check_spare_fds(sv->dir);
	if (error)
		sv_unlock(sv);
	return error;
}

/* never held while waiting for anything else */
int sv_lock(struct softverbs *sv)
{
	return locked(sv, sv_lock_file(&fabric_lock, sv->dir, "lock", 0));
}

int sv_lock_shared(struct softverbs *sv)
{
	return locked(sv, sv_lock_file_shared(&fabric_lock, sv->dir, "lock"));
}

bool sv_locked_alone(void)
{
	return fabric_lock.fd >= 0 && !fabric_lock.shared;
}

void sv_unlock(struct softverbs *sv)
{
	(void)sv;
	sv_unlock_file(&fabric_lock);
}

/* a name that is safe as a path component and in text */
bool sv_name_is_good(const char *name)
{
	size_t len = strlen(name);

	if (!len || len >= SV_NAME_MAX || name[0] == '.' || name[0] == '-')
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("_-.", *name))
			return false;
	return true;
}

int sv_open_file(int dir, const char *name, int flags)
{
	int fd = openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
			0600);
	struct stat st;

	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_nlink <= 1)
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

/* what fits, ended by a zero; EFBIG for more */
int sv_read_file(int dir, const char *name, char *buf, size_t size)
{
	int fd = sv_open_file(dir, name, O_RDONLY);
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0)
		return errno;
	while (n > 0 && len < size) {
		n = read(fd, buf + len, size - len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			len += n;
	}
	close(fd);
	if (n < 0)
		return EIO;
	if (len == size)
		return EFBIG;
	buf[len] = '\0';
	return 0;
}

static int write_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		text += n;
		len -= n;
	}
	return 0;
}

/* replaces the file as a whole: readers see the old or the new one */
int sv_write_file(int dir, const char *name, const char *text, size_t len)
{
	char temp[SV_NAME_MAX + 8];
	int fd, error;

	snprintf(temp, sizeof(temp), ".%s.new", name);
	unlinkat(dir, temp, 0);
	fd = openat(dir, temp,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	error = write_all(fd, text, len);
	if (close(fd) && !error)
		error = errno;
	if (!error && renameat(dir, temp, dir, name))
		error = errno;
	if (error)
		unlinkat(dir, temp, 0);
	return error;
}

/* an absolute path is the caller's own, and taken as it is */
int sv_open_dir(int dir, const char *path)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	size_t len = strcspn(path, "/");
	char part[NAME_MAX + 1];
	int fd, below, saved;

	if (!len || !path[len])
		return openat(dir, path, flags);
	snprintf(part, sizeof(part), "%.*s", (int)len, path);
	fd = openat(dir, part, flags);
	if (fd < 0)
		return -1;
	below = sv_open_dir(fd, path + len + 1);
	saved = errno;
	close(fd);
	errno = saved;
	return below;
}

int sv_for_each_entry(int dir, const char *path,
		      int (*fn)(int parent, const char *entry, void *arg),
		      void *arg)
{
	int fd = sv_open_dir(dir, path), ret = 0;
	struct dirent *entry;
	DIR *stream;

	stream = fd < 0 ? NULL : fdopendir(fd);
	if (!stream) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (!ret && (entry = readdir(stream)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			ret = fn(dirfd(stream), entry->d_name, arg);
	closedir(stream);
	return ret;
}

static int remove_entry(int parent, const char *entry, void *arg)
{
	sv_remove_tree(parent, entry, *(int *)arg - 1);
	return 0;
}

/* at most @depth levels deep; follows no link */
int sv_remove_tree(int dir, const char *name, int depth)
{
	if (!unlinkat(dir, name, 0))
		return 0;
	if (depth > 0)
		sv_for_each_entry(dir, name, remove_entry, &depth);
	return unlinkat(dir, name, AT_REMOVEDIR) ? errno : 0;
}
