// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * ibc_top: what the registries of other processes have, live: devices, clients,
 * references, and who holds up the removal of a device. It only connects to the
 * sockets of IBC_STATUS_DIR; it opens no device and no registry.
 */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "top_screen.h"
#include "top_source.h"
#include "top_text.h"
#include "top_view.h"

#define MIN_DELAY 0.1
#define MAX_DELAY 1e6
#define ANSWER_S  1.0

static struct {
	bool batch, json;
	double delay;
	unsigned long count; /* 0: without end */
	struct top_source source;
} self = { .delay = 1 };

static const char usage[] =
	"usage: ibc_top [-d SECONDS] [-n COUNT] [-b | -j] [--dir DIR] [PID...]\n"
	"Shows the devices, clients and references of programs that use libibclient\n"
	"and were started with IBC_STATUS_DIR; what hangs comes first.\n"
	"\n"
	"  -d, --delay SECONDS  between two looks; 1\n"
	"  -n, --count COUNT    end after so many looks\n"
	"  -b, --batch          print text, without a terminal\n"
	"  -j, --json           print one JSON object a line for each registry\n"
	"      --dir DIR        where the programs have their sockets\n"
	"  -h, --help           print this\n"
	"      --version        print the version\n"
	"\n"
	"DIR is $IBC_STATUS_DIR, else $XDG_RUNTIME_DIR/ibclient, else\n"
	"/tmp/ibclient-UID. Keys: up, down, Enter, s, h, q.\n"
	"Exit status: 0, 1 if it failed or there was nothing to print, 2 for wrong\n"
	"use.\n";

/* ---- without a terminal ---- */

static int batch_width(void)
{
	const char *columns = getenv("COLUMNS");
	int n = columns ? atoi(columns) : 0;

	return n > 0 && n < 10000 ? n : 80;
}

/* the line was filled with spaces, which nobody needs here */
static void print_line(FILE *line, char **text)
{
	size_t len;

	if (!fclose(line)) {
		len = strlen(*text);
		while (len && (*text)[len - 1] == ' ')
			len--;
		printf("%.*s\n", (int)len, *text);
	}
	free(*text);
	*text = NULL;
}

#define PRINT(call)                                       \
	do {                                              \
		char *text = NULL;                        \
		size_t size;                              \
		FILE *out = open_memstream(&text, &size); \
		if (out) {                                \
			call;                             \
			print_line(out, &text);           \
		}                                         \
	} while (0)

static void print_rows(const struct top_view *view, int width)
{
	unsigned int i;

	PRINT(view_title(out, true, width));
	for (i = 0; i < view->num_registries; i++)
		PRINT(view_row(out, &view->rows[i], width));
	putchar('\n');
	PRINT(view_title(out, false, width));
	for (; i < view->num; i++) {
		PRINT(view_row(out, &view->rows[i], width));
		if (view->rows[i].trouble != TOP_FINE)
			view_holders(stdout, &view->rows[i], width);
	}
}

static int print_text(bool first)
{
	struct top_view view;
	int width = batch_width();

	if (view_make(&view, &self.source, TOP_BY_STATE)) {
		tool_error("rows", "%s", strerror(ENOMEM));
		return TOOL_FAILED;
	}
	if (!first)
		putchar('\n');
	PRINT(view_summary(out, &view, width));
	PRINT(view_rates(out, &view, "", width));
	putchar('\n');
	print_rows(&view, width);
	view_free(&view);
	return TOOL_OK;
}

static json_t *hanging_json(const struct top_registry *r)
{
	json_t *list = json_array(), *device;
	const struct top_since *since;
	size_t i;

	json_array_foreach(json_object_get(r->dump, "devices"), i, device)
	{
		since = top_since(r, device);
		if (!since || !strcmp(since->state, "live"))
			continue;
		json_array_append_new(
			list, json_pack("{s:O, s:O, s:s, s:f, s:b}", "device",
					json_object_get(device, "name"),
					"incarnation",
					json_object_get(device, "incarnation"),
					"state", since->state, "seconds",
					top_now() - since->since, "at_least",
					since->at_least));
	}
	return list;
}

static json_t *rates_json(const struct top_rates *rates)
{
	if (!rates->known)
		return json_null();
	return json_pack("{s:f, s:f, s:f}", "events", rates->events, "adds",
			 rates->adds, "removes", rates->removes);
}

static int print_json(const struct top_registry *r)
{
	struct timespec now;
	json_t *line;
	int error;

	clock_gettime(CLOCK_REALTIME, &now);
	line = json_pack(
		"{s:f, s:I, s:I, s:b, s:o, s:o, s:O?}", "time",
		(double)now.tv_sec + (double)(now.tv_nsec / 1000) / 1e6, "pid",
		(json_int_t)r->pid, "registry", (json_int_t)r->number,
		"answers", r->dump && !top_silent(r), "rates",
		rates_json(&r->rates), "hanging", hanging_json(r), "dump",
		r->dump);
	if (line) /* a name may be no UTF-8: then there is none */
		json_object_set_new(line, "program", json_string(r->program));
	error = !line || json_dumpf(line, stdout,
				    JSON_COMPACT | JSON_REAL_PRECISION(16));
	json_decref(line);
	putchar('\n');
	if (error)
		tool_error("JSON", "it could not be written");
	return error ? TOOL_FAILED : TOOL_OK;
}

static int print(bool first)
{
	const struct top_registry *r;
	int status = TOOL_OK;

	if (!self.json)
		return print_text(first);
	TAILQ_FOREACH(r, &self.source.registries, entry)
		if (!status)
			status = print_json(r);
	return status;
}

/* nobody has a socket: how one gets one */
static int nothing(void)
{
	const char *dir = self.source.dir;

	if (*self.source.pids)
		tool_error("PID",
			   "none of these processes has a status socket in %s",
			   dir);
	else if (self.source.error && self.source.error != ENOENT)
		tool_error(dir, "%s", strerror(self.source.error));
	else
		tool_error(dir,
			   "no process has a status socket there; start one "
			   "with IBC_STATUS_DIR=%s (and IBC_TRACK_REFS=1, to "
			   "see who holds references) in its environment",
			   dir);
	return TOOL_FAILED;
}

/* until the time of the next look */
static void rest(double until)
{
	double left = until - top_now();
	struct timespec ts = { .tv_sec = (time_t)left };

	if (left <= 0)
		return;
	ts.tv_nsec = (long)((left - (double)ts.tv_sec) * 1e9);
	nanosleep(&ts, NULL);
}

static int run_batch(void)
{
	unsigned long looks = 0;
	int status = TOOL_OK;
	double next;

	while (!status) {
		next = top_now() + self.delay;
		top_ask(&self.source);
		top_hear(&self.source, -1, top_now() + ANSWER_S);
		if (TAILQ_EMPTY(&self.source.registries))
			return nothing();
		status = print(!looks);
		fflush(stdout);
		if (ferror(stdout) || (self.count && ++looks >= self.count))
			break;
		looks += !self.count;
		rest(next);
	}
	return status;
}

static int run(void)
{
	int status;

	if (self.batch || self.json) {
		status = run_batch();
	} else if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		tool_error("terminal", "there is none: use -b or -j");
		status = TOOL_FAILED;
	} else {
		status = screen_run(&self.source, self.delay, self.count);
	}
	top_free(&self.source);
	return status;
}

/* ---- options ---- */

/* to be freed; NULL: no memory */
static char *default_dir(void)
{
	const char *dir = getenv("IBC_STATUS_DIR");
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char *path;
	int n;

	if (dir && *dir)
		return strdup(dir);
	if (runtime && *runtime)
		n = asprintf(&path, "%s/ibclient", runtime);
	else
		n = asprintf(&path, "/tmp/ibclient-%u", geteuid());
	return n < 0 ? NULL : path;
}

static int parse_delay(const char *text)
{
	char *end;

	errno = 0;
	self.delay = strtod(text, &end);
	if (text[0] >= '0' && text[0] <= '9' && !*end && !errno &&
	    self.delay >= MIN_DELAY && self.delay <= MAX_DELAY)
		return 0;
	tool_error("-d", "not a time from 0.1 to 1000000 seconds: %s", text);
	return TOOL_USAGE;
}

static bool parse_number(const char *text, unsigned long max,
			 unsigned long *value)
{
	char *end;

	errno = 0;
	*value = strtoul(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && !*end && !errno && *value &&
	       *value <= max;
}

static int parse_count(const char *text)
{
	if (parse_number(text, 1000000000, &self.count))
		return 0;
	tool_error("-n", "not a number from 1 on: %s", text);
	return TOOL_USAGE;
}

static int check_pids(char **pids)
{
	unsigned long pid;

	for (; *pids; pids++) {
		if (parse_number(*pids, 1 << 30, &pid))
			continue;
		tool_error("PID", "not a process id: %s", *pids);
		return TOOL_USAGE;
	}
	return 0;
}

enum { OPT_DIR = 256, OPT_VERSION };

static int take_option(int opt, char **argv, char **dir)
{
	switch (opt) {
	case 'b':
		self.batch = true;
		return 0;
	case 'j':
		self.json = true;
		return 0;
	case 'd':
		return parse_delay(optarg);
	case 'n':
		return parse_count(optarg);
	case OPT_DIR:
		if (!*optarg) {
			tool_error("--dir", "it is empty");
			return TOOL_USAGE;
		}
		free(*dir);
		*dir = strdup(optarg);
		return 0;
	default:
		return tool_bad_option(argv, opt);
	}
}

/* -1: go on */
static int take_options(int argc, char **argv, char **dir)
{
	static const struct option options[] = {
		{ "batch", no_argument, NULL, 'b' },
		{ "json", no_argument, NULL, 'j' },
		{ "delay", required_argument, NULL, 'd' },
		{ "count", required_argument, NULL, 'n' },
		{ "dir", required_argument, NULL, OPT_DIR },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ 0 },
	};
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":bjd:n:h", options, NULL)) !=
	       -1) {
		if (opt == 'h')
			fputs(usage, stdout);
		else if (opt == OPT_VERSION)
			tool_version();
		else if (take_option(opt, argv, dir))
			return TOOL_USAGE;
		else
			continue;
		return TOOL_OK;
	}
	self.source.pids = argv + optind;
	return check_pids(self.source.pids) ? TOOL_USAGE : -1;
}

int main(int argc, char **argv)
{
	char *dir = default_dir();
	int status;

	tool_init("ibc_top");
	setlocale(LC_CTYPE, "");
	TAILQ_INIT(&self.source.registries);
	status = take_options(argc, argv, &dir);
	if (status < 0 && !dir) {
		tool_error("options", "%s", strerror(ENOMEM));
		status = TOOL_FAILED;
	}
	self.source.dir = dir;
	if (status < 0)
		status = run();
	free(dir);
	return tool_finish(status);
}
