// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See soft.h. */
#include <errno.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <infiniband/softverbs.h>

#include "bench_backend.h"
#include "measure.h"
#include "soft.h"

static struct softverbs *fabric;
static char dir[64];
static unsigned int num_devices;

void soft_preload(char **argv)
{
	const char *old = getenv("LD_PRELOAD");
	char *value;

	if (old && strstr(old, "softverbs-preload"))
		return;
	if (asprintf(&value, "%s%s%s", old ? old : "", old ? ":" : "",
		     BENCH_INTERPOSER) < 0)
		fail("no memory for LD_PRELOAD");
	setenv("LD_PRELOAD", value, 1);
	free(value);
	execv("/proc/self/exe", argv);
	fail("this program cannot be run again with softverbs: %s",
	     strerror(errno));
}

static bool is_memory(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == TMPFS_MAGIC &&
	       !access(path, W_OK | X_OK);
}

static void must(int error, const char *what)
{
	if (error)
		fail("softverbs: %s: %s", what, strerror(error));
}

static int remove_path(const char *path, const struct stat *st, int type,
		       struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_dir(void)
{
	if (dir[0])
		nftw(dir, remove_path, 16, FTW_DEPTH | FTW_PHYS);
	dir[0] = '\0';
}

static void make_dir(void)
{
	static bool registered;

	if (!registered)
		atexit(remove_dir);
	registered = true;
	snprintf(dir, sizeof(dir), "%s/ibc-bench-XXXXXX",
		 is_memory("/dev/shm") ? "/dev/shm" : "/tmp");
	if (!mkdtemp(dir)) {
		dir[0] = '\0';
		fail("no directory for softverbs' devices: %s",
		     strerror(errno));
	}
	setenv("SOFTVERBS_DIR", dir, 1);
}

void soft_begin(unsigned int devices, unsigned int ports)
{
	char name[16];

	make_dir();
	fabric = softverbs_open(NULL);
	if (!fabric)
		must(errno, dir);
	for (num_devices = 0; num_devices < devices; num_devices++) {
		snprintf(name, sizeof(name), "soft%u", num_devices);
		must(softverbs_add_device(fabric, name, 0, ports,
					  SOFTVERBS_REMOVAL_WAIT),
		     name);
	}
	bench_use_verbs();
}

void soft_end(void)
{
	char name[16];

	while (num_devices--) {
		snprintf(name, sizeof(name), "soft%u", num_devices);
		must(softverbs_remove_device(fabric, name, 10000), name);
	}
	softverbs_close(fabric);
	remove_dir();
}
