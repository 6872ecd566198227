/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Who looks into a process from outside: connects to the sockets of IBC_STATUS_DIR.
 * None of it waits: in a manual registry it is the test that dispatches.
 */
#ifndef TESTS_STATUS_READER_H
#define TESTS_STATUS_READER_H

#include <stdbool.h>
#include <stddef.h>

struct status_reader {
	int fd; /* -1: not connected */
	char *text;
	size_t len;
	bool end; /* there is no more */
};

/* of this process's nth registry in @dir */
void status_path(char *path, size_t size, const char *dir, unsigned int n);
bool status_exists(const char *dir, unsigned int n);
/* false and errno */
bool status_connect_to(struct status_reader *r, const char *path);
bool status_connect(struct status_reader *r, const char *dir, unsigned int n);
/* reads what there is; true: to the end */
bool status_read(struct status_reader *r);
void status_close(struct status_reader *r);
/* is it whole, valid JSON? */
bool status_is_whole(const struct status_reader *r);
/* for wait_for(): one after another is asked, until one has got all, with @part */
bool status_has(const char *dir, unsigned int n, const char *part);

#endif /* TESTS_STATUS_READER_H */
