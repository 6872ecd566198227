/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* ibc_top on a terminal: draws what top_view.h has, and obeys keys. */
#ifndef IBC_TOOLS_TOP_SCREEN_H
#define IBC_TOOLS_TOP_SCREEN_H

#include "top_source.h"

/* until `q`, SIGTERM or SIGINT, or @count looks (0: any number); an exit status */
int screen_run(struct top_source *s, double delay, unsigned long count);

#endif /* IBC_TOOLS_TOP_SCREEN_H */
