// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scratch.h"

#include "control.h"
#include "cmd/command.h"

#define TEXT "name soft0\nports 2\n"

/* what the command would do: list.c calls it */
struct softverbs *cmd_open(void)
{
	return softverbs_open(scratch_get()->fabric);
}

int cmd_result(struct softverbs *sv, const char *what, int error)
{
	(void)what;
	softverbs_close(sv);
	return error;
}

/* with an argument it is the option -j */
int cmd_options(int argc, char **argv, const char *shorts,
		const struct option *options, cmd_take_fn take, void *arg)
{
	(void)argv;
	(void)shorts;
	(void)options;
	return argc > 1 ? take('j', NULL, arg) : EXIT_OK;
}

int cmd_operands_left(int argc, char **argv, int num)
{
	(void)argc;
	(void)argv;
	(void)num;
	return EXIT_OK;
}

void scratch_fail(const char *what)
{
	fprintf(stderr, "wrong: %s\n", what);
	abort();
}

void scratch_remove(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	struct dirent *entry;
	DIR *stream;

	stream = fd < 0 ? NULL : fdopendir(fd);
	if (!stream) {
		unlinkat(dir, name, 0);
		return;
	}
	while ((entry = readdir(stream)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			scratch_remove(fd, entry->d_name);
	closedir(stream);
	unlinkat(dir, name, AT_REMOVEDIR);
}

int scratch_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int num = 0;

	while (readdir(dir))
		num++;
	closedir(dir);
	return num;
}

static struct scratch the;

static void remove_all(void)
{
	scratch_remove(AT_FDCWD, the.path);
}

/* shaped as what a fabric has, for whoever goes there */
static const char *const canaries[] = {
	"canary",
	"canary/dir",
	"canary/infiniband",
	"canary/infiniband/soft0",
	"canary/infiniband_verbs",
	"canary/infiniband_verbs/uverbs0",
	"canary/infiniband_verbs/uverbs0/contexts",
	"canary/infiniband_verbs/uverbs0/contexts/1-0",
	/* files */
	"canary/file",
	"canary/dir/state",
	"canary/infiniband_verbs/uverbs0/state",
};
#define NUM_DIRS 8
#define NUM	 (sizeof(canaries) / sizeof(canaries[0]))
static struct stat before[NUM];

static void make_canaries(void)
{
	size_t i;
	int fd;

	for (i = 0; i < NUM_DIRS; i++)
		mkdirat(the.dir, canaries[i], 0700);
	for (i = NUM_DIRS; i < NUM; i++) {
		fd = openat(the.dir, canaries[i], O_WRONLY | O_CREAT, 0600);
		if (fd < 0 || write(fd, TEXT, strlen(TEXT)) < 0)
			scratch_fail("cannot make the canaries");
		close(fd);
	}
	for (i = 0; i < NUM; i++)
		if (fstatat(the.dir, canaries[i], &before[i], 0))
			scratch_fail("cannot look at the canaries");
}

struct scratch *scratch_get(void)
{
	const char *base = getenv("IBC_FUZZ_DIR");

	if (the.path[0])
		return &the;
	if (!base)
		base = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	snprintf(the.path, sizeof(the.path), "%s/soft-fuzz-XXXXXX", base);
	if (!mkdtemp(the.path))
		scratch_fail("cannot make a directory");
	atexit(remove_all);
	snprintf(the.fabric, sizeof(the.fabric), "%s/fabric", the.path);
	snprintf(the.canary, sizeof(the.canary), "%s/canary", the.path);
	the.dir = open(the.path, O_RDONLY | O_DIRECTORY);
	make_canaries();
	/* what the list command prints */
	if (!freopen("/dev/null", "w", stdout))
		scratch_fail("cannot silence stdout");
	return &the;
}

void scratch_reset(struct scratch *scratch)
{
	scratch_remove(scratch->dir, "fabric");
	mkdirat(scratch->dir, "fabric", 0700);
}

static void check_one(size_t i)
{
	const struct stat *b = &before[i];
	char text[64] = "";
	struct stat st;
	int fd;

	if (fstatat(the.dir, canaries[i], &st, AT_SYMLINK_NOFOLLOW) ||
	    st.st_ino != b->st_ino || st.st_size != b->st_size ||
	    st.st_mode != b->st_mode ||
	    memcmp(&st.st_mtim, &b->st_mtim, sizeof(st.st_mtim)))
		scratch_fail(canaries[i]);
	if (!S_ISREG(st.st_mode))
		return;
	fd = openat(the.dir, canaries[i], O_RDONLY);
	if (read(fd, text, sizeof(text)) != (ssize_t)strlen(TEXT) ||
	    strcmp(text, TEXT))
		scratch_fail(canaries[i]);
	close(fd);
}

/* also what was made or removed: it is the directories' mtime */
void scratch_check(struct scratch *scratch)
{
	int fd = openat(scratch->dir, ".", O_RDONLY | O_DIRECTORY), num = -2;
	DIR *dir = fdopendir(fd);
	size_t i;

	while (readdir(dir))
		num++;
	closedir(dir);
	if (num != 2)
		scratch_fail("something beside the fabric");
	for (i = 0; i < NUM; i++)
		check_one(i);
}
