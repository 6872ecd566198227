// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* softverbs: the command. Its words are in the other files here. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

const char *cmd_dir;

static const struct command commands[] = {
	{ "run", "[-n DEVICES] [--removal fatal|wait] [--dir DIR] -- CMD...",
	  "run CMD on a fresh fabric; its exit status", cmd_run },
	{ "env", "[--dir DIR]",
	  "print the exports that put a shell's programs on the fabric",
	  cmd_env },
	{ "add",
	  "NAME [--guid G] [--ports N] [--link roce|ib] [--removal fatal|wait]",
	  "hot-add a device", cmd_add },
	{ "remove", "NAME [--timeout MS]", "hot-remove a device", cmd_remove },
	{ "rename", "OLD NEW", "rename a device", cmd_rename },
	{ "list", "[-j]", "show devices, ports and open contexts", cmd_list },
	{ "port", "NAME PORT up|down", "bring a port up or down", cmd_port },
	{ "gid", "NAME PORT INDEX GID|none", "set a GID", cmd_gid },
	{ "pkey", "NAME PORT INDEX PKEY", "set a P_Key", cmd_pkey },
	{ "event",
	  "NAME TYPE [--port P | --qp N | --cq N | --srq N | --wq N] "
	  "[--pid PID] [--count N]",
	  "make an async event happen", cmd_event },
	{ "fault",
	  "NAME [open=ERRNO[:N]] [VERB=ERRNO[:N]] [VERB=delay:MS] [none]",
	  "make verbs fail or take their time", cmd_fault },
};

#define NUM_COMMANDS (sizeof(commands) / sizeof(commands[0]))

int cmd_fail(const char *what, const char *why)
{
	fprintf(stderr, "softverbs: %s: %s\n", what, why);
	return EXIT_FAILED;
}

int cmd_fail_errno(const char *what, int error)
{
	return cmd_fail(what, strerror(error));
}

int cmd_wrong(const char *what, const char *why)
{
	fprintf(stderr, "softverbs: %s: %s\nTry 'softverbs --help'.\n", what,
		why);
	return EXIT_USAGE;
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
	if (error == EPERM)
		cmd_fail(path, "it is not a directory of this user's alone "
			       "(mode 0700); choose another with --dir");
	else
		cmd_fail_errno(path, error);
	return NULL;
}

bool cmd_number(const char *what, const char *text, unsigned long max,
		unsigned long *n)
{
	char *end;

	errno = 0;
	*n = strtoul(text, &end, 0);
	if (*text >= '0' && *text <= '9' && !*end && !errno && *n <= max)
		return true;
	cmd_wrong(what, "not a number, or too large");
	return false;
}

int cmd_result(struct softverbs *sv, const char *name, int error)
{
	softverbs_close(sv);
	switch (error) {
	case 0:
		return EXIT_OK;
	case ENODEV:
		return cmd_fail(name, "no such device");
	case EEXIST:
		return cmd_fail(name, "the name is taken");
	case ETIMEDOUT:
		return cmd_fail(name, "timed out: it is still held open; it "
				      "stays unlisted until that ends");
	case ENOBUFS:
		return cmd_fail(name, "a program does not read its events, "
				      "and can queue no more");
	default:
		return cmd_fail_errno(name, error);
	}
}

static int help(void)
{
	unsigned int i;

	printf("Usage: softverbs [--dir DIR] COMMAND [ARGUMENT...]\n"
	       "Verbs devices in user memory, on command.\n\n");
	for (i = 0; i < NUM_COMMANDS; i++)
		printf("  %-7s %s\n          %s\n", commands[i].name,
		       commands[i].usage, commands[i].help);
	printf("\nEvery command takes --dir DIR, the fabric's directory; "
	       "default: $SOFTVERBS_DIR,\nelse $XDG_RUNTIME_DIR/softverbs, "
	       "else /tmp/softverbs-UID.\n"
	       "      --help     print this\n"
	       "      --version  print the version\n\n"
	       "Exit: 0, 1 it failed, 2 wrong use; `run`: that of CMD. "
	       "See softverbs(1).\n");
	return EXIT_OK;
}

/* --dir anywhere before "--": taken out, so that no command has to know it */
static int take_dir(int *argc, char **argv)
{
	int from, to = 1;

	for (from = 1; from < *argc; from++) {
		if (strcmp(argv[from], "--") == 0)
			break;
		if (strncmp(argv[from], "--dir=", 6) == 0) {
			cmd_dir = argv[from] + 6;
		} else if (strcmp(argv[from], "--dir") == 0) {
			if (from + 1 == *argc)
				return cmd_wrong("--dir", "wants a directory");
			cmd_dir = argv[++from];
		} else {
			argv[to++] = argv[from];
		}
	}
	while (from < *argc)
		argv[to++] = argv[from++];
	argv[to] = NULL;
	*argc = to;
	return EXIT_OK;
}

static int run_command(int argc, char **argv)
{
	unsigned int i;

	for (i = 0; i < NUM_COMMANDS; i++) {
		if (strcmp(argv[0], commands[i].name))
			continue;
		if (argc > 1 && strcmp(argv[1], "--help") == 0) {
			printf("Usage: softverbs %s %s\n  %s\n",
			       commands[i].name, commands[i].usage,
			       commands[i].help);
			return EXIT_OK;
		}
		return commands[i].run(argc, argv);
	}
	return cmd_wrong(argv[0], "no such command");
}

int main(int argc, char **argv)
{
	int error = take_dir(&argc, argv);

	if (error)
		return error;
	if (argc < 2)
		return cmd_wrong("command", "none given");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help();
	if (strcmp(argv[1], "--version") == 0) {
		printf("softverbs %s\n", SOFTVERBS_VERSION);
		return EXIT_OK;
	}
	return run_command(argc - 1, argv + 1);
}
