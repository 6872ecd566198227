/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the tests with many devices, processes and removals share: a fabric
 * without a device, other processes, figures.
 */
#ifndef SOFT_SCALE_H
#define SOFT_SCALE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <infiniband/softverbs.h>

#define SCALE_WAIT_MS 60000 /* for what must come to be */

struct scale_fabric {
	char dir[64];
	struct softverbs *sv;
	char *tree; /* while it has no device */
	int num_fds;
};

/*
 * In memory where that is possible: ext4 looks at each inode deleted lately when
 * it makes a file, and tests that ran before have deleted thousands.
 */
void scale_make_fabric(struct scale_fabric *fabric);
void scale_remove_fabric(struct scale_fabric *fabric);
/* every path in it, sorted; the caller's to free */
char *scale_tree(const struct scale_fabric *fabric);

/*
 * The words of the softverbs command, up to NULL; its output goes to @out, if
 * that is a descriptor.
 */
pid_t scale_start_command(int out, const char *const words[]);
/* its exit status; -1: it was killed */
int scale_wait(pid_t pid);
/* this program again, under the interposer, with the socket as its stdin */
pid_t scale_start_self(const char *argument, int *socket);
/* waits until it sleeps; false: it has ended, and is not reaped yet */
bool scale_wait_asleep(pid_t pid);

int64_t scale_now_ns(void);
int scale_count_fds(void);
int scale_count_threads(void);
/* one that was joined may be seen for a moment */
void scale_wait_threads(int num);
/* and joins it: with the first, ThreadSanitizer starts one of its own */
void scale_start_first_thread(void);
/* sorts, prints a line "measured: ..."; the median */
int64_t scale_report(const char *what, int64_t *ns, int num);

#endif /* SOFT_SCALE_H */
