/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A directory of the fuzzer's own: `fabric` is for the input, `canary` for what
 * must stay as it is. Whatever is wrong aborts, which libFuzzer reports.
 */
#ifndef FUZZ_SCRATCH_H
#define FUZZ_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

struct scratch {
	char path[64];
	char fabric[80];
	char canary[80];
	int dir;
};

/* makes it; it is removed at exit */
struct scratch *scratch_get(void);
/* an empty fabric directory, canaries as they were */
void scratch_reset(struct scratch *scratch);
/* aborts if anything outside the fabric has changed */
void scratch_check(struct scratch *scratch);
/* removes a tree, however deep, following no link */
void scratch_remove(int dir, const char *name);
int scratch_count_fds(void);
void scratch_fail(const char *what);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif /* FUZZ_SCRATCH_H */
