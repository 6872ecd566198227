// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* softverbs: the command. Its words are in the other files here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

const char *cmd_dir;
const struct command *cmd_now;

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

static void help_all(void)
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
}

static int help(void)
{
	if (!cmd_now)
		help_all();
	else
		printf("Usage: softverbs %s %s\n  %s\n", cmd_now->name,
		       cmd_now->usage, cmd_now->help);
	return cmd_finish(EXIT_OK);
}

static int version(void)
{
	printf("softverbs %s\n", SOFTVERBS_VERSION);
	return cmd_finish(EXIT_OK);
}

/* getopt_long() has returned '?' or ':' */
static int bad_option(char **argv, int option)
{
	char shorter[] = { '-', (char)optopt, '\0' };
	bool is_short = optopt > 0 && optopt < 128;
	const char *what = is_short ? shorter : argv[optind - 1];

	if (option == ':')
		return cmd_wrong(what, "a value is missing");
	if (!is_short && optopt)
		return cmd_wrong(what, "it takes no value");
	return cmd_wrong(what, "no such option");
}

static int take_option(char **argv, int option, cmd_take_fn take, void *arg)
{
	switch (option) {
	case '?':
	case ':':
		return bad_option(argv, option);
	case CMD_OPTION_HELP:
		exit(help());
	case CMD_OPTION_VERSION:
		exit(version());
	case CMD_OPTION_DIR:
		cmd_dir = optarg;
		return *optarg ? EXIT_OK : cmd_wrong("--dir", "it is empty");
	default:
		return take(option, optarg, arg);
	}
}

int cmd_options(int argc, char **argv, const char *shorts,
		const struct option *options, cmd_take_fn take, void *arg)
{
	int option, status = EXIT_OK;

	opterr = 0;
	optind = 0; /* begin anew */
	while (status == EXIT_OK &&
	       (option = getopt_long(argc, argv, shorts, options, NULL)) != -1)
		status = take_option(argv, option, take, arg);
	return status;
}

int cmd_operands_left(int argc, char **argv, int num)
{
	if (argc - optind > num)
		return cmd_wrong(argv[optind + num], "one argument too many");
	if (argc - optind < num)
		return cmd_wrong(cmd_now->name, "arguments are missing");
	return EXIT_OK;
}

int cmd_operands(int argc, char **argv, int num)
{
	static const struct option options[] = { CMD_OPTIONS };
	int status = cmd_options(argc, argv, ":", options, NULL, NULL);

	return status ? status : cmd_operands_left(argc, argv, num);
}

static int run_command(int argc, char **argv)
{
	unsigned int i;

	for (i = 0; i < NUM_COMMANDS; i++) {
		if (strcmp(argv[0], commands[i].name))
			continue;
		cmd_now = &commands[i];
		return cmd_finish(commands[i].run(argc, argv));
	}
	return cmd_wrong(argv[0], "no such command");
}

static int take_help(int option, const char *value, void *arg)
{
	(void)option; /* -h */
	(void)value;
	(void)arg;
	exit(help());
}

int main(int argc, char **argv)
{
	static const struct option options[] = { CMD_OPTIONS };
	int status = cmd_options(argc, argv, "+:h", options, take_help, NULL);

	if (status)
		return status;
	if (optind >= argc)
		return cmd_wrong("COMMAND", "none is given");
	return run_command(argc - optind, argv + optind);
}
