/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The lines that ibc_monitor prints: a JSON object each, shown as such or not. */
#ifndef IBC_TOOLS_LINE_H
#define IBC_TOOLS_LINE_H

#include <stdbool.h>

#include <jansson.h>

#include <infiniband/ibclient.h>

/* to be freed by json_decref(); NULL: no memory */
json_t *line_new(struct ibc_device *dev, const char *event);
void line_set_event(json_t *line, const struct ibc_event *event);
void line_print(json_t *line, bool json);
/* is it the name of an event, or of a type of async event? */
bool line_is_event(const char *word);

#endif /* IBC_TOOLS_LINE_H */
