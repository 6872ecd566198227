/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What the kernel says of uverbs nodes, read without the library. */
#ifndef VM_SIGNS_H
#define VM_SIGNS_H

#include <stdbool.h>
#include <stdint.h>

enum sign_source {
	SIGNS_UEVENT,
	SIGNS_INOTIFY, /* all that a rootless container has */
	SIGNS_ANY,
};

int64_t now_ns(void);

/*
 * Opens what is read, in the namespaces of now; 0 or an errno. The readers, once
 * started, read until the process ends.
 */
int signs_open(void);
int signs_start(void);
/* What was read so far does not count any more. */
void signs_forget(void);
/*
 * When a reader woke up with the first sign, by uevent, inotify or any, that
 * @node (NULL: any node of RDMA) came or went; 0 if none did within @ms.
 */
int64_t signs_wait(enum sign_source source, const char *node, bool went,
		   int ms);

#endif /* VM_SIGNS_H */
