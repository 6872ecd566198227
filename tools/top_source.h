/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The status sockets of a directory, see IBC_STATUS_DIR in ibclient(7), and what was
 * last heard from each. Nobody is waited for beyond the time that the caller gives: a
 * question that is not answered yet stays open, and is not asked again.
 */
#ifndef IBC_TOOLS_TOP_SOURCE_H
#define IBC_TOOLS_TOP_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <jansson.h>

/* how long a device has been seen in its state */
struct top_since {
	SLIST_ENTRY(top_since) entry;
	uint64_t incarnation;
	char state[16];
	double since;  /* as now() has it */
	bool at_least; /* it was so when it was seen first */
	bool there;
};

struct top_rates {
	bool known; /* there were two answers */
	double events, adds, removes;
};

struct top_registry {
	TAILQ_ENTRY(top_registry) entry;
	char *name; /* of the socket */
	pid_t pid;
	unsigned int number; /* of the process's registries */
	char program[64];
	int fd;	      /* a question is open, or -1 */
	double asked; /* when */
	char *text;   /* what came of the answer so far */
	size_t len;
	bool listed;
	json_t *dump; /* the last answer, or NULL */
	double at;    /* when it was whole */
	struct top_rates rates;
	SLIST_HEAD(, top_since) since;
};

TAILQ_HEAD(top_registries, top_registry);

struct top_source {
	const char *dir;
	char **pids; /* only of these processes; ends with NULL */
	struct top_registries registries; /* by process id */
	int error;			  /* of the directory, or 0 */
};

/* seconds, of a clock that only goes forward */
double top_now(void);
/* looks who there is, and asks */
void top_ask(struct top_source *s);
/*
 * Until all have answered, @wake (or -1) is readable, or the time is over. False:
 * some have not answered.
 */
bool top_hear(struct top_source *s, int wake, double until);
/* it was asked a while ago and says nothing: its dispatcher is busy, or stopped */
bool top_silent(const struct top_registry *r);
/* of a device of this registry's dump; NULL if there was no memory for it */
const struct top_since *top_since(const struct top_registry *r,
				  const json_t *device);
void top_free(struct top_source *s);

#endif /* IBC_TOOLS_TOP_SOURCE_H */
