// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Messages: what went wrong, and what can be done about it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

/* an argument may hold anything: a terminal must not obey it */
static void put_quoted(const char *text)
{
	if (!*text)
		fputs("''", stderr);
	for (; *text; text++)
		putc((unsigned char)*text < ' ' || *text == 127 ? '?' : *text,
		     stderr);
}

int cmd_fail(const char *what, const char *why)
{
	fputs("softverbs: ", stderr);
	put_quoted(what);
	fprintf(stderr, ": %s\n", why);
	return EXIT_FAILED;
}

int cmd_wrong(const char *what, const char *why)
{
	fputs("softverbs: ", stderr);
	put_quoted(what);
	fprintf(stderr, ": %s (see softverbs %s%s--help)\n", why,
		cmd_now ? cmd_now->name : "", cmd_now ? " " : "");
	return EXIT_USAGE;
}

static const char *explain(int error)
{
	switch (error) {
	case EPERM:
		return "it is not a directory of this user's alone (mode "
		       "0700); choose another with --dir";
	case EACCES:
		return "permission denied; choose another directory with --dir";
	case ENOTDIR:
		return "it is no directory (a symbolic link is not followed); "
		       "choose another with --dir";
	case ENOENT:
		return "there is no directory to make it in";
	case ENAMETOOLONG:
		return "the path is too long for a verbs device (at most 174 "
		       "bytes); choose a shorter one with --dir";
	case EROFS:
		return "the file system is read-only; choose another directory "
		       "with --dir";
	case ENOSPC:
	case EDQUOT:
		return "no space is left there; make room, or choose another "
		       "directory with --dir";
	default:
		return strerror(error);
	}
}

int cmd_fail_errno(const char *what, int error)
{
	return cmd_fail(what, explain(error));
}

struct softverbs *cmd_open(void)
{
	struct softverbs *sv = softverbs_open(cmd_dir);
	char path[4096];
	int error = errno;

	if (sv)
		return sv;
	if (sv_fabric_path(cmd_dir, path, sizeof(path)))
		snprintf(path, sizeof(path), "the fabric");
	cmd_fail_errno(path, error);
	return NULL;
}

bool cmd_number(const char *what, const char *text, unsigned long min,
		unsigned long max, unsigned long *n)
{
	char why[96], *end;

	errno = 0;
	*n = strtoul(text, &end, 0);
	if (*text < '0' || *text > '9' || *end) {
		cmd_wrong(what, "not a whole number");
		return false;
	}
	if (!errno && *n >= min && *n <= max)
		return true;
	snprintf(why, sizeof(why), "a number from %lu to %lu is wanted", min,
		 max);
	cmd_wrong(what, why);
	return false;
}

static const char *why_taken(struct softverbs *sv, const char *name)
{
	struct sv_device dev;

	if (sv_device_find(sv, name, &dev))
		return "the name is taken by a removed device that a program "
		       "still has open; it is free when that closes it";
	sv_device_done(&dev);
	return "the name is taken; softverbs list shows by what";
}

static int result(struct softverbs *sv, const char *name, int error)
{
	switch (error) {
	case 0:
		return EXIT_OK;
	case ENODEV:
		return cmd_fail(name, "no such device; softverbs list shows "
				      "those that there are");
	case EEXIST:
		return cmd_fail(name, why_taken(sv, name));
	case ETIMEDOUT:
		return cmd_fail(name, "timed out: a program still has it open; "
				      "it stays unlisted, and its name taken, "
				      "until that closes it");
	case ENOBUFS:
		return cmd_fail(name, "a program does not read its events, "
				      "and can queue no more");
	default:
		return cmd_fail_errno(sv->path, error);
	}
}

int cmd_result(struct softverbs *sv, const char *name, int error)
{
	int status = result(sv, name, error);

	softverbs_close(sv);
	return status;
}

int cmd_finish(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	return cmd_fail("standard output", "it could not be written");
}
