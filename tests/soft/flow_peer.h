/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Other processes for ends of a connection. Each is forked before anything is
 * open, and steps by what it gets through a socket. An assertion that fails in it
 * ends it, which who waits for it finds out.
 */
#ifndef FLOW_PEER_H
#define FLOW_PEER_H

#include <sys/types.h>

#include "flow.h"

struct peer {
	pid_t pid;
	int fd;
};

/* @body runs in the new process, and is all that it does */
void peer_start(struct peer *peer, void (*body)(struct peer *up, void *arg),
		void *arg);
void peer_put(struct peer *peer, const void *data, size_t size);
/* fails the test if it does not come */
void peer_get(struct peer *peer, void *data, size_t size);
/* an empty step, for order */
void peer_tell(struct peer *peer);
void peer_hear(struct peer *peer);
/* it has come to the end of its body */
void peer_join(struct peer *peer);
/* as often as one likes; returns when it is no more */
void peer_kill(struct peer *peer);
/* returns when it has stopped */
void peer_stop(struct peer *peer);
void peer_continue(struct peer *peer);

/* each side calls it: the other's address, and a QP in RTS, at both sides */
void peer_connect(struct peer *peer, struct end *end, struct address *theirs,
		  const struct flow *flow);

#endif /* FLOW_PEER_H */
