/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What ibc_top shows, as lines of text: a row for each registry, then one for each
 * client of each device, what hangs first. The rows are made anew for each look, and
 * point into the answers of the source, which must stay so long.
 */
#ifndef IBC_TOOLS_TOP_VIEW_H
#define IBC_TOOLS_TOP_VIEW_H

#include <stdbool.h>
#include <stdio.h>

#include "top_source.h"

enum top_sort {
	TOP_BY_STATE,
	TOP_BY_REFS,
	TOP_BY_DEVICE,
	TOP_BY_PID,
	TOP_NUM_SORTS
};

/* the higher, the sooner somebody is to look at it */
enum top_trouble { TOP_FINE, TOP_LEAVING, TOP_REMOVING, TOP_DRAINING };

struct top_row {
	const struct top_registry *registry;
	const json_t *device; /* NULL: the row of the registry itself */
	const json_t *client; /* NULL: the device has none */
	enum top_trouble trouble;
	json_int_t refs;
	double since;
	unsigned int number; /* as they came */
};

struct top_view {
	struct top_row *rows;
	unsigned int num, num_registries; /* those come first */
	unsigned int processes, devices, hanging, silent;
	json_int_t refs;
	double events, adds, removes;
};

/* 0 or ENOMEM */
int view_make(struct top_view *view, const struct top_source *s,
	      enum top_sort sort);
void view_free(struct top_view *view);
const char *view_sort_name(enum top_sort sort);

/* Each writes one line, without its end, in @width columns. */
void view_summary(FILE *out, const struct top_view *view, int width);
void view_rates(FILE *out, const struct top_view *view, const char *more,
		int width);
void view_title(FILE *out, bool registries, int width);
void view_row(FILE *out, const struct top_row *row, int width);

/* all that is known of it, in lines that end; the holders of a client's data */
void view_details(FILE *out, const struct top_row *row, int width);
void view_holders(FILE *out, const struct top_row *row, int width);

const char *view_text(const json_t *object, const char *key);

#endif /* IBC_TOOLS_TOP_VIEW_H */
