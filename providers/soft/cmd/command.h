/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What the files of the softverbs command share. */
#ifndef SOFTVERBS_COMMAND_H
#define SOFTVERBS_COMMAND_H

#include <getopt.h>

#include "../control.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

/* one word of the command line after `softverbs` */
struct command {
	const char *name;
	const char *usage;
	const char *help;
	int (*run)(int argc, char **argv);
};

/* ---- main.c ---- */

extern const char *cmd_dir;	      /* --dir */
extern const struct command *cmd_now; /* NULL: before its word */

/* the options that every command takes, and the end of the list */
#define CMD_OPTIONS                                                   \
	{ "dir", required_argument, NULL, CMD_OPTION_DIR },           \
		{ "help", no_argument, NULL, CMD_OPTION_HELP },       \
		{ "version", no_argument, NULL, CMD_OPTION_VERSION }, \
	{                                                             \
	}

enum { CMD_OPTION_DIR = 1000, CMD_OPTION_HELP, CMD_OPTION_VERSION };

/* takes one of the command's own options: EXIT_OK, or what it failed with */
typedef int (*cmd_take_fn)(int option, const char *value, void *arg);

/*
 * Takes all options off the command line; what is left begins at argv[optind].
 * @shorts begins as getopt(3) wants it, with ':' for errors of our own.
 * --help and --version end the program.
 */
int cmd_options(int argc, char **argv, const char *shorts,
		const struct option *options, cmd_take_fn take, void *arg);
/* of a command that has no more; the number of operands must be @num */
int cmd_operands(int argc, char **argv, int num);
/* so many are left, or says what is missing */
int cmd_operands_left(int argc, char **argv, int num);

/* ---- say.c: messages are "softverbs: what: why" on standard error ---- */

int cmd_fail(const char *what, const char *why);
int cmd_fail_errno(const char *what, int error);
int cmd_wrong(const char *what, const char *why);
/* the fabric, or NULL after having said why not */
struct softverbs *cmd_open(void);
/* a whole number; false after having said why not */
bool cmd_number(const char *what, const char *text, unsigned long min,
		unsigned long max, unsigned long *n);
/* closes the fabric and says what went wrong with device @name */
int cmd_result(struct softverbs *sv, const char *name, int error);
/* the last thing: has standard output taken all that was printed? */
int cmd_finish(int status);

/* ---- env.c ---- */

/* LD_PRELOAD for programs on a fabric, to be freed; NULL: has said why not */
char *cmd_preload(void);

/* ---- the commands ---- */

int cmd_run(int argc, char **argv);
int cmd_env(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_add(int argc, char **argv);
int cmd_remove(int argc, char **argv);
int cmd_rename(int argc, char **argv);
int cmd_port(int argc, char **argv);
int cmd_gid(int argc, char **argv);
int cmd_pkey(int argc, char **argv);
int cmd_event(int argc, char **argv);
int cmd_fault(int argc, char **argv);

/* "fatal" or "wait" */
int cmd_removal(const char *value, uint32_t *removal);

#endif /* SOFTVERBS_COMMAND_H */
