/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Is a fabric sound? Looks at the directory with its own eyes: nothing of
 * softverbs' code is used to read it. What is wrong fails the cmocka test, after
 * the words of kill_at() about how it came to be.
 */
#ifndef KILL_CHECK_H
#define KILL_CHECK_H

#include "soft_test.h"

#define KILL_MAX 128

struct fabric_device {
	char node[32]; /* uverbsN, or the index of a removed one */
	char name[64];
	unsigned int index, ports;
	bool fatal;
};

struct fabric {
	struct fabric_device listed[KILL_MAX], removed[KILL_MAX];
	unsigned int num_listed, num_removed;
};

/* what is being done, for messages */
void kill_at(const char *format, ...) __attribute__((format(printf, 1, 2)));
void kill_fail(const char *format, ...)
	__attribute__((noreturn, format(printf, 1, 2)));
/* what must hold at any time; fills @fabric */
void kill_read(const char *dir, struct fabric *fabric);
bool kill_has(const struct fabric *fabric, const char *name);
/* what must hold when a command has swept: @held removed devices are left */
void kill_check_swept(const char *dir, unsigned int held);
/* entries of a directory, without "." and ".." */
unsigned int kill_count(const char *dir, const char *path);
/* no file of a replacement under way, at any depth */
void kill_check_temporary(const char *dir);

#endif /* KILL_CHECK_H */
