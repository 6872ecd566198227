// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * softverbs env, and where the interposer is. Everything may have been moved
 * together, so it is looked for beside this command first: as installed, then
 * as in a build tree; at last where it was to be installed.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

#define INTERPOSER "softverbs/libsoftverbs-preload.so"
#define RDMACM	   "libsoftverbs-rdmacm.so" /* beside it, if at all */

/* the directory that this command is in; 0: not known */
static size_t own_dir(char *buf, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", buf, size - 1);

	if (len <= 0)
		return 0;
	buf[len] = '\0';
	*strrchr(buf, '/') = '\0';
	return strlen(buf);
}

static char *try_path(const char *dir, const char *libdir)
{
	char path[2 * PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s%s/" INTERPOSER, dir,
			     libdir) >= sizeof(path))
		return NULL;
	if (access(path, R_OK))
		return NULL;
	return realpath(path, NULL);
}

static char *find_interposer(void)
{
	char self[PATH_MAX], *path = NULL;

	if (own_dir(self, sizeof(self))) {
		path = try_path(self, "/" SOFTVERBS_RELATIVE_LIBDIR);
		if (!path)
			path = try_path(self, "/../lib");
	}
	if (!path)
		path = try_path("", SOFTVERBS_LIBDIR);
	if (!path)
		cmd_fail(SOFTVERBS_LIBDIR "/" INTERPOSER,
			 "the interposer is not there: install softverbs as a "
			 "whole");
	return path;
}

/* rdma_cm, and then a colon; nothing where it was not built or is not there */
static void find_rdmacm(const char *interposer, char *buf, size_t size)
{
	int len = strrchr(interposer, '/') - interposer;

	if ((size_t)snprintf(buf, size, "%.*s/" RDMACM, len, interposer) >=
		    size ||
	    access(buf, R_OK))
		buf[0] = '\0';
	else
		strcat(buf, ":");
}

/* ours first, then what was there */
char *cmd_preload(void)
{
	const char *old = getenv("LD_PRELOAD");
	char *path = find_interposer(), *value;
	char rdmacm[PATH_MAX + sizeof(RDMACM)];

	if (!path)
		return NULL;
	find_rdmacm(path, rdmacm, sizeof(rdmacm) - 1);
	if (strpbrk(path, ": \t\n")) {
		cmd_fail(path, "LD_PRELOAD cannot say a path with blanks or "
			       "colons; install softverbs elsewhere");
		free(path);
		return NULL;
	}
	if (old && strstr(old, INTERPOSER))
		value = strdup(old);
	else if (asprintf(&value, "%s%s%s%s", rdmacm, path,
			  old && *old ? ":" : "", old ? old : "") < 0)
		value = NULL;
	if (!value)
		cmd_fail_errno("LD_PRELOAD", ENOMEM);
	free(path);
	return value;
}

/* a word of the shell's, whatever is in it */
static void print_export(const char *name, const char *value)
{
	printf("export %s='", name);
	for (; *value; value++) {
		if (*value == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*value);
	}
	puts("'");
}

static int print_exports(struct softverbs *sv)
{
	char *preload = cmd_preload(), real[PATH_MAX];

	if (!preload)
		return EXIT_FAILED;
	if (!realpath(sv->path, real)) {
		free(preload);
		return cmd_fail_errno(sv->path, errno);
	}
	print_export("SOFTVERBS_DIR", real);
	print_export("LD_PRELOAD", preload);
	free(preload);
	return EXIT_OK;
}

int cmd_env(int argc, char **argv)
{
	int status = cmd_operands(argc, argv, 0);
	struct softverbs *sv;

	if (status)
		return status;
	sv = cmd_open();
	if (!sv)
		return EXIT_FAILED;
	status = print_exports(sv);
	softverbs_close(sv);
	return status;
}
