/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What the files of the softverbs command share. */
#ifndef SOFTVERBS_COMMAND_H
#define SOFTVERBS_COMMAND_H

#include "../control.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

/* one word of the command line after `softverbs` */
struct command {
	const char *name;
	const char *usage;
	const char *help;
	int (*run)(int argc, char **argv);
};

extern const char *cmd_dir; /* --dir */

int cmd_fail(const char *what, const char *why);
int cmd_fail_errno(const char *what, int error);
int cmd_wrong(const char *what, const char *why);
/* the fabric, or NULL after having said why not */
struct softverbs *cmd_open(void);
/* a whole number; false after having said why not */
bool cmd_number(const char *what, const char *text, unsigned long max,
		unsigned long *n);
/* calls fn on the fabric and says what went wrong with @name */
int cmd_result(struct softverbs *sv, const char *name, int error);

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

#endif /* SOFTVERBS_COMMAND_H */
