/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What shm.c and shm_own.c, which makes the files of this process, share. */
#ifndef SOFTVERBS_SHM_H
#define SOFTVERBS_SHM_H

#include "data.h"

/* one that nobody else has seen; @contexts: the directory that @id is in */
struct soft_shm *soft_shm_new(int contexts, const char *id);
void soft_shm_abandon(struct soft_shm *shm);
/* from now on it is found */
void soft_shm_publish(struct soft_shm *shm);
/* the list of what is free in it */
void soft_region_forget(struct soft_shm *shm);

#endif /* SOFTVERBS_SHM_H */
