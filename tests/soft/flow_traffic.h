/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Two ends that send to each other and read from each other without a pause, each
 * in a thread or process of its own, until something goes wrong.
 */
#ifndef FLOW_TRAFFIC_H
#define FLOW_TRAFFIC_H

#include <pthread.h>
#include <stdatomic.h>

#include "flow.h"

/* of a side */
struct traffic {
	struct end end;
	struct address to;
	atomic_bool stop;
	atomic_uint rounds;
	int error;		   /* of a verb */
	enum ibv_wc_status status; /* of the first that went wrong */
	pthread_t thread;
};

/* in this thread, until it fails or is to stop */
void traffic_run(struct traffic *t);
void traffic_start(struct traffic *t);
void traffic_join(struct traffic *t);
/* until so many rounds more are done */
void traffic_wait(struct traffic *t, unsigned int rounds);
/*
 * It ended because its peer is gone; what was posted, or is posted now, comes
 * back, and nothing else.
 */
void traffic_survived(struct traffic *t);

#endif /* FLOW_TRAFFIC_H */
