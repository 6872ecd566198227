// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See top_view.h: all that is known of what a row is about. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "top_text.h"
#include "top_view.h"

static void put(FILE *out, int width, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* one line, cut where it has to be */
static void put(FILE *out, int width, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (text && width >= 0 && (int)strlen(text) <= width)
		width = -1; /* and not filled: the bytes are no fewer */
	text_put(out, text ? text : "", width);
	fputc('\n', out);
	free(text);
}

void view_holders(FILE *out, const struct top_row *row, int width)
{
	const json_t *holders = json_object_get(row->client, "holders"), *h;
	size_t i;

	if (!row->client || !row->refs)
		return;
	if (!json_array_size(holders))
		put(out, width,
		    "      held by whom is not known: run it with "
		    "IBC_TRACK_REFS=1");
	json_array_foreach(holders, i, h)
		put(out, width, "      held by %s: %lld%s%s%s%s, at %s",
		    *view_text(h, "symbol") ? view_text(h, "symbol") :
					      view_text(h, "address"),
		    (long long)json_integer_value(json_object_get(h, "count")),
		    *view_text(h, "object") ? ", in " : "",
		    view_text(h, "object"),
		    *view_text(h, "offset") ? " + " : "",
		    view_text(h, "offset"), view_text(h, "address"));
}

static void registry_details(FILE *out, const struct top_registry *r, int width)
{
	const json_t *item, *value;
	const char *key;
	size_t i;
	void *it;

	put(out, width, "libibclient %s", view_text(r->dump, "version"));
	json_array_foreach(json_object_get(r->dump, "clients"), i, item) put(
		out, width, "client %s: on %lld devices%s",
		view_text(item, "name"),
		(long long)json_integer_value(json_object_get(item, "devices")),
		json_is_true(json_object_get(item, "unregistering")) ?
			", unregistering" :
			"");
	json_array_foreach(json_object_get(r->dump, "sources"), i, item)
		put(out, width, "source %s: %s (%s)", view_text(item, "name"),
		    view_text(item, "state"), view_text(item, "why"));
	json_array_foreach(json_object_get(r->dump, "removals"), i, item)
		put(out, width, "removed %s: %s, told by %s",
		    view_text(item, "device"), view_text(item, "reason"),
		    view_text(item, "source"));
	item = json_object_get(r->dump, "stats");
	for (it = json_object_iter((json_t *)item); it;
	     it = json_object_iter_next((json_t *)item, it)) {
		key = json_object_iter_key(it);
		value = json_object_iter_value(it);
		put(out, width, "%s %lld", key,
		    (long long)json_integer_value(value));
	}
}

static void client_details(FILE *out, const struct top_row *row, int width)
{
	const struct top_since *since = top_since(row->registry, row->device);
	const json_t *d = row->device;
	char age[32] = "?";

	if (since)
		text_age(age, sizeof(age), top_now() - since->since,
			 since->at_least ? "more than " : "");
	put(out, width, "device %s: %s for %s%s", view_text(d, "name"),
	    view_text(d, "state"), age,
	    json_is_true(json_object_get(d, "adopted")) ? ", adopted" : "");
	put(out, width, "  index %lld, guid %s, incarnation %lld",
	    (long long)json_integer_value(json_object_get(d, "index")),
	    view_text(d, "guid"),
	    (long long)json_integer_value(json_object_get(d, "incarnation")));
	if (!row->client) {
		put(out, width, "  no client has it");
		return;
	}
	put(out, width, "client %s: data %s, %lld references%s",
	    view_text(row->client, "name"),
	    *view_text(row->client, "data") ? view_text(row->client, "data") :
					      "none",
	    (long long)row->refs,
	    row->trouble == TOP_LEAVING ? ", unregistering" : "");
	view_holders(out, row, width);
}

void view_details(FILE *out, const struct top_row *row, int width)
{
	const struct top_registry *r = row->registry;

	put(out, width, "process %ld, registry %u: %s", (long)r->pid, r->number,
	    *r->program ? r->program : "?");
	if (!r->dump)
		put(out, width, "it has not answered yet");
	else if (top_silent(r))
		put(out, width,
		    "it does not answer; this is what it said last");
	if (row->device)
		client_details(out, row, width);
	else if (r->dump)
		registry_details(out, r, width);
}
