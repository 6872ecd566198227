/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What each of these libraries exports, as `lib_ops`. */
#ifndef TESTS_TWO_LIBS_H
#define TESTS_TWO_LIBS_H

#include <infiniband/ibclient.h>

struct lib_ops {
	/* opens the shared registry and registers a client */
	struct ibc_registry *(*open)(void);
	/* unregisters it and closes; an errno */
	int (*close)(void);
	/* makes a device of a context; forgets the reference */
	int (*adopt)(struct ibv_context *context);
	/* waits until n devices were added or removed */
	void (*wait_added)(unsigned int n);
	void (*wait_removed)(unsigned int n);
	/* of the device added last */
	uint64_t (*incarnation)(void);
	struct ibv_context *(*context)(void);
	/* the library's data for it: where it is, who made it */
	void *(*data)(const char **owner);
	int (*remove)(void);
	/* of the copy of libibclient that this library uses */
	void (*set_log)(void (*fn)(int level, const char *message, void *arg),
			void *arg);
};

#endif /* TESTS_TWO_LIBS_H */
