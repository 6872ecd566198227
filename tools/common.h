/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What the commands share: messages, options, and words for troubles. */
#ifndef IBC_TOOLS_COMMON_H
#define IBC_TOOLS_COMMON_H

#include <stdbool.h>

#include <infiniband/ibclient.h>

enum {
	TOOL_OK = 0,
	TOOL_FAILED = 1,
	TOOL_USAGE = 2,
};

#define TOOL_GUID_SIZE sizeof("0123:4567:89ab:cdef")

void tool_init(const char *name);
/* "command: what: why" on standard error */
void tool_error(const char *what, const char *why, ...)
	__attribute__((format(printf, 2, 3)));
int tool_bad_option(char **argv, int opt);
int tool_finish(int status);
void tool_version(void);

/* false: one of them is empty */
bool tool_names_valid(char **names);
/* all of them as one pattern list, to be freed; NULL for none, or no memory */
char *tool_names_join(char **names);
/* true if there are no names, too */
bool tool_names_match(char **names, const char *device);

const char *tool_guid(__be64 guid, char buf[TOOL_GUID_SIZE]);

/*
 * For ibc_registry_attr: opens a device and remembers why it could not. An
 * open_arg that is not NULL: says so at once, and again when the reason changes.
 */
struct ibv_context *tool_open_device(struct ibv_device *device, void *arg);
/* errno of the last attempt; 0: none failed */
int tool_open_error(const char *device);
void tool_explain_open(const char *device, const char *node, int error);
void tool_explain_no_devices(void);

#endif /* IBC_TOOLS_COMMON_H */
