// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common.h"
#include "top_text.h"
#include "top_view.h"

const char *view_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

const char *view_sort_name(enum top_sort sort)
{
	static const char *const names[TOP_NUM_SORTS] = {
		[TOP_BY_STATE] = "state",
		[TOP_BY_REFS] = "references",
		[TOP_BY_DEVICE] = "device",
		[TOP_BY_PID] = "process",
	};

	return names[sort];
}

/* ---- rows ---- */

/* those of one name are not told apart: one that leaves is worth a look */
static bool is_leaving(const struct top_registry *r, const json_t *client)
{
	const json_t *c;
	size_t i;

	json_array_foreach(
		json_object_get(r->dump, "clients"), i,
		c) if (json_is_true(json_object_get(c, "unregistering")) &&
		       !strcmp(view_text(c, "name"),
			       view_text(client, "name"))) return true;
	return false;
}

static enum top_trouble trouble_of(const struct top_row *row)
{
	const char *state = view_text(row->device, "state");

	if (!strcmp(state, "draining"))
		return TOP_DRAINING;
	if (!strcmp(state, "removing"))
		return TOP_REMOVING;
	if (row->client && is_leaving(row->registry, row->client))
		return TOP_LEAVING;
	return TOP_FINE;
}

static struct top_row *add_row(struct top_view *view,
			       const struct top_registry *r,
			       const json_t *device, const json_t *client)
{
	struct top_row *rows =
		reallocarray(view->rows, view->num + 1, sizeof(*rows));
	struct top_row *row;

	if (!rows)
		return NULL;
	view->rows = rows;
	row = &rows[view->num];
	*row = (struct top_row){ r, device, client, .number = view->num };
	view->num++;
	return row;
}

static int add_client(struct top_view *view, const struct top_registry *r,
		      const json_t *device, const json_t *client)
{
	struct top_row *row = add_row(view, r, device, client);
	const struct top_since *since = top_since(r, device);

	if (!row)
		return ENOMEM;
	row->trouble = trouble_of(row);
	row->refs = json_integer_value(json_object_get(client, "refs"));
	row->since = since ? since->since : top_now();
	view->refs += row->refs;
	return 0;
}

static int add_device(struct top_view *view, const struct top_registry *r,
		      const json_t *device)
{
	const json_t *clients = json_object_get(device, "clients"), *client;
	const char *state = view_text(device, "state");
	int error = 0;
	size_t i;

	view->devices++;
	view->hanging +=
		!strcmp(state, "draining") || !strcmp(state, "removing");
	if (!json_array_size(clients))
		return add_client(view, r, device, NULL);
	json_array_foreach(clients, i, client) if (!error) error =
		add_client(view, r, device, client);
	return error;
}

static int add_registries(struct top_view *view, const struct top_source *s)
{
	const struct top_registry *r;
	pid_t last = 0;

	TAILQ_FOREACH(r, &s->registries, entry) {
		if (!add_row(view, r, NULL, NULL))
			return ENOMEM;
		view->processes += r->pid != last;
		last = r->pid;
		view->silent += top_silent(r);
		view->events += r->rates.events;
		view->adds += r->rates.adds;
		view->removes += r->rates.removes;
	}
	view->num_registries = view->num;
	return 0;
}

static int compare_trouble(const struct top_row *a, const struct top_row *b)
{
	if (a->trouble != b->trouble)
		return a->trouble > b->trouble ? -1 : 1;
	if (a->trouble != TOP_FINE && a->since != b->since)
		return a->since < b->since ? -1 : 1;
	return 0;
}

static int compare_refs(const struct top_row *a, const struct top_row *b)
{
	return (a->refs < b->refs) - (a->refs > b->refs);
}

static int compare(const void *first, const void *second, void *arg)
{
	const struct top_row *a = first, *b = second;
	enum top_sort sort = *(enum top_sort *)arg;
	int order = 0;

	if (sort == TOP_BY_STATE)
		order = compare_trouble(a, b);
	else if (sort == TOP_BY_REFS)
		order = compare_refs(a, b);
	else if (sort == TOP_BY_DEVICE)
		order = strcmp(view_text(a->device, "name"),
			       view_text(b->device, "name"));
	return order ? order :
		       (a->number > b->number) - (a->number < b->number);
}

int view_make(struct top_view *view, const struct top_source *s,
	      enum top_sort sort)
{
	const struct top_registry *r;
	const json_t *device;
	int error;
	size_t i;

	memset(view, 0, sizeof(*view));
	error = add_registries(view, s);
	TAILQ_FOREACH(r, &s->registries, entry)
		json_array_foreach(json_object_get(r->dump, "devices"), i,
				   device) if (!error) error =
			add_device(view, r, device);
	if (error) {
		view_free(view);
		return error;
	}
	if (view->num > view->num_registries)
		qsort_r(view->rows + view->num_registries,
			view->num - view->num_registries, sizeof(*view->rows),
			compare, &sort);
	return 0;
}

void view_free(struct top_view *view)
{
	free(view->rows);
	memset(view, 0, sizeof(*view));
}

/* ---- lines ---- */

/* takes the text over; NULL: there was no memory */
static void put_line(FILE *out, char *text, int width)
{
	text_put(out, text ? text : "", width);
	free(text);
}

static const char *plural(unsigned long n)
{
	return n == 1 ? "" : "s";
}

void view_summary(FILE *out, const struct top_view *v, int width)
{
	time_t now = time(NULL);
	char *text = NULL, at[16];
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(at, sizeof(at), "%T", &tm);
	if (asprintf(&text,
		     "ibc_top %s  %u process%s  %u device%s  %lld ref%s  "
		     "%u hanging%s",
		     at, v->processes, v->processes == 1 ? "" : "es",
		     v->devices, plural(v->devices), (long long)v->refs,
		     plural((unsigned long)v->refs), v->hanging,
		     v->silent ? "  SOME DO NOT ANSWER" : "") < 0)
		text = NULL;
	put_line(out, text, width);
}

void view_rates(FILE *out, const struct top_view *v, const char *more,
		int width)
{
	char *text = NULL;

	if (asprintf(&text, "events %.1f/s  adds %.1f/s  removes %.1f/s  %s",
		     v->events, v->adds, v->removes, more) < 0)
		text = NULL;
	put_line(out, text, width);
}

void view_title(FILE *out, bool registries, int width)
{
	char *text = NULL;
	int n;

	if (registries)
		n = asprintf(&text, "%9s %-14s %7s %7s %6s %8s %6s %9s %s",
			     "PID", "PROGRAM", "DEVICES", "CLIENTS", "REFS",
			     "EVENTS/S", "ADDS/S", "REMOVES/S", "STATE");
	else
		n = asprintf(&text, "%9s %-10s %-8s %6s %-14s %4s %5s %s",
			     "PID", "DEVICE", "STATE", "FOR", "CLIENT", "DATA",
			     "REFS", "HELD BY");
	put_line(out, n < 0 ? NULL : text, width);
}

static void put_pid(FILE *out, const struct top_registry *r)
{
	char buf[32];

	if (r->number)
		snprintf(buf, sizeof(buf), "%ld/%u", (long)r->pid, r->number);
	else
		snprintf(buf, sizeof(buf), "%ld", (long)r->pid);
	fprintf(out, "%9s ", buf);
}

static json_int_t refs_of(const struct top_registry *r, bool *hangs)
{
	const json_t *device, *client;
	json_int_t refs = 0;
	size_t i, j;

	json_array_foreach(json_object_get(r->dump, "devices"), i, device)
	{
		if (strcmp(view_text(device, "state"), "live"))
			*hangs = true;
		json_array_foreach(json_object_get(device, "clients"), j,
				   client) refs +=
			json_integer_value(json_object_get(client, "refs"));
	}
	return refs;
}

static void registry_row(FILE *out, const struct top_registry *r)
{
	bool hangs = false;
	json_int_t refs = refs_of(r, &hangs);

	put_pid(out, r);
	text_put(out, *r->program ? r->program : "?", 14);
	if (!r->dump) {
		fprintf(out, " %7s %7s %6s %8s %6s %9s ", "-", "-", "-", "-",
			"-", "-");
	} else {
		fprintf(out, " %7zu %7zu %6lld",
			json_array_size(json_object_get(r->dump, "devices")),
			json_array_size(json_object_get(r->dump, "clients")),
			(long long)refs);
		if (r->rates.known)
			fprintf(out, " %8.1f %6.1f %9.1f ", r->rates.events,
				r->rates.adds, r->rates.removes);
		else
			fprintf(out, " %8s %6s %9s ", "-", "-", "-");
	}
	fputs(top_silent(r) ? "SILENT" :
	      hangs	    ? "HANGS" :
	      r->dump	    ? "ok" :
			      "-",
	      out);
}

static const char *state_of(const struct top_row *row)
{
	switch (row->trouble) {
	case TOP_DRAINING:
		return "DRAINING";
	case TOP_REMOVING:
		return "REMOVING";
	case TOP_LEAVING:
		return "LEAVING";
	case TOP_FINE:
		break;
	}
	return view_text(row->device, "state");
}

/* the code that took a reference: its function, else where in which object */
static void put_holder(FILE *out, const json_t *holder)
{
	const char *symbol = view_text(holder, "symbol");
	const char *object = view_text(holder, "object");
	const char *offset = view_text(holder, "offset"), *slash;

	if (*symbol) {
		fprintf(out, "%.*s", (int)strcspn(symbol, "+"), symbol);
	} else if (*object) {
		slash = strrchr(object, '/');
		fprintf(out, "%s%s%s", slash ? slash + 1 : object,
			*offset ? "+" : "", offset);
	} else {
		fputs(view_text(holder, "address"), out);
	}
}

static void put_holders(FILE *out, const struct top_row *row)
{
	const json_t *holders = json_object_get(row->client, "holders");
	size_t num = json_array_size(holders);

	if (!row->client || !row->refs)
		return;
	if (!num) {
		fputs("?", out);
		return;
	}
	put_holder(out, json_array_get(holders, 0));
	if (num > 1)
		fprintf(out, " +%zu", num - 1);
}

static void client_row(FILE *out, const struct top_row *row)
{
	const struct top_since *since = top_since(row->registry, row->device);
	const json_t *data = json_object_get(row->client, "data");
	char age[32] = "-";

	if (since)
		text_age(age, sizeof(age), top_now() - since->since,
			 since->at_least ? ">" : "");
	put_pid(out, row->registry);
	text_put(out, view_text(row->device, "name"), 10);
	fprintf(out, " %-8s %6s ", state_of(row), age);
	if (!row->client) {
		text_put(out, "-", 14);
		return;
	}
	text_put(out, view_text(row->client, "name"), 14);
	fprintf(out, " %4s %5lld ", json_is_string(data) ? "yes" : "no",
		(long long)row->refs);
	put_holders(out, row);
}

void view_row(FILE *out, const struct top_row *row, int width)
{
	char *text = NULL;
	size_t len;
	FILE *line = open_memstream(&text, &len);

	if (!line)
		return;
	if (row->device)
		client_row(line, row);
	else
		registry_row(line, row->registry);
	if (fclose(line)) {
		free(text);
		text = NULL;
	}
	put_line(out, text, width);
}
