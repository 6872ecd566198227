// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What was measured, as tables for people or as one JSON object a line; and the
 * verdicts, which are kept until the end. Only the main thread reports.
 * JSON may go to a file beside the tables.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

#define MAX_VERDICTS 64

static bool no_text;
static FILE *json[2]; /* standard output, a file; NULL: not wanted */
static struct {
	char what[160];
	double ratio, limit;
	enum sense sense;
} verdicts[MAX_VERDICTS];
static unsigned int num_verdicts;

void report_json(void)
{
	no_text = true;
	json[0] = stdout;
}

void report_file(const char *path)
{
	json[1] = fopen(path, "we");
	if (!json[1])
		fail("%s: cannot be written: %m", path);
}

/* what could not be written was not reported */
void report_end(void)
{
	if (fflush(stdout) || ferror(stdout))
		fail("standard output cannot be written: %m");
	if (json[1] && (ferror(json[1]) || fclose(json[1])))
		fail("the file with JSON cannot be written: %m");
}

void fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("ibc_bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void note(const char *format, ...)
{
	va_list args;

	if (no_text)
		return;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

/* ---- JSON: each key by a call, the first one opens the object ---- */

static void json_string(FILE *out, const char *key, const char *value)
{
	fprintf(out, ", \"%s\": \"", key);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', out);
		if ((unsigned char)*value < ' ')
			fprintf(out, "\\u%04x", *value);
		else
			fputc(*value, out);
	}
	fputc('"', out);
}

static void json_count(FILE *out, const char *key, unsigned int value)
{
	if (value)
		fprintf(out, ", \"%s\": %u", key, value);
}

static void json_number(FILE *out, const char *key, double value)
{
	fprintf(out, ", \"%s\": %.4f", key, value);
}

static void json_begin(FILE *out, const char *benchmark)
{
	fprintf(out, "{\"benchmark\": \"%s\"", benchmark);
}

static void json_end(FILE *out)
{
	fputs("}\n", out);
	fflush(out);
}

/* ---- the CPUs ---- */

static void json_cpus(FILE *out, const char *relation, double trip)
{
	json_begin(out, "topology");
	json_count(out, "cpus", num_cpus());
	fprintf(out, ", \"first\": %d, \"second\": %d", cpus_number(0),
		cpus_number(1));
	json_string(out, "relation", relation);
	if (trip > 0)
		json_number(out, "round_trip_ns", trip);
	json_end(out);
}

void report_cpus(unsigned int rounds, double sample_ms)
{
	const char *words, *relation = cpus_relation(&words);
	double trip = cpus_round_trip();
	int i;

	for (i = 0; i < 2; i++)
		if (json[i])
			json_cpus(json[i], relation, trip);
	note("%u CPU%s. Threads are pinned, to CPU %d first and then to CPU %d, "
	     "which are",
	     num_cpus(), num_cpus() > 1 ? "s" : "", cpus_number(0),
	     cpus_number(1));
	if (trip > 0)
		note("  %s, as the kernel says; a cache line goes there\n"
		     "  and back in %.0f ns",
		     words, trip);
	else
		note("  %s", words);
	note("%u rounds, each contender in each for %g ms. Nanoseconds of one "
	     "operation\n  in one thread: the median, the quartiles, and the "
	     "ratio to the first.",
	     rounds, sample_ms);
}

/* ---- figures ---- */

void report_title(const struct benchmark *benchmark)
{
	if (no_text)
		return;
	printf("\n%s: %s", benchmark->name, benchmark->operation);
	if (benchmark->threads)
		printf(", %u thread%s", benchmark->threads,
		       benchmark->threads > 1 ? "s" : "");
	if (benchmark->slots)
		printf(", %u slot%s", benchmark->slots,
		       benchmark->slots > 1 ? "s" : "");
	if (benchmark->devices)
		printf(", %u device%s", benchmark->devices,
		       benchmark->devices > 1 ? "s" : "");
	if (benchmark->setting)
		printf(", %s", benchmark->setting);
	putchar('\n');
	fflush(stdout);
}

static void text_line(const struct contender *contender,
		      const struct figures *figures,
		      const struct figures *first)
{
	char spread[64];

	if (no_text)
		return;
	snprintf(spread, sizeof(spread), "(%.1f to %.1f)", figures->q1,
		 figures->q3);
	printf("  %-30s %10.1f  %-20s %7.2f x", contender->name,
	       figures->median, spread, figures->median / first->median);
	if (figures->beside > 0)
		printf("  one beside it each %.1f us", figures->beside / 1000);
	putchar('\n');
	fflush(stdout);
}

static void json_line(FILE *out, const struct benchmark *benchmark,
		      const struct contender *contender,
		      const struct figures *figures,
		      const struct figures *first, unsigned int rounds)
{
	json_begin(out, benchmark->name);
	json_string(out, "contender", contender->name);
	json_string(out, "operation", benchmark->operation);
	if (benchmark->setting)
		json_string(out, "setting", benchmark->setting);
	json_count(out, "threads", benchmark->threads);
	json_count(out, "slots", benchmark->slots);
	json_count(out, "devices", benchmark->devices);
	json_count(out, "rounds", rounds);
	json_number(out, "median_ns", figures->median);
	json_number(out, "q1", figures->q1);
	json_number(out, "q3", figures->q3);
	json_number(out, "min", figures->min);
	json_number(out, "max", figures->max);
	json_number(out, "ratio", figures->median / first->median);
	if (figures->beside > 0)
		json_number(out, "beside_ns", figures->beside);
	json_end(out);
}

void report_line(const struct benchmark *benchmark,
		 const struct contender *contender,
		 const struct figures *figures, const struct figures *first,
		 unsigned int rounds)
{
	int i;

	text_line(contender, figures, first);
	for (i = 0; i < 2; i++)
		if (json[i])
			json_line(json[i], benchmark, contender, figures, first,
				  rounds);
}

/* ---- verdicts ---- */

void verdict(const char *what, double ratio, enum sense sense, double limit)
{
	if (quickly())
		return;
	if (num_verdicts == MAX_VERDICTS)
		fail("more than %d verdicts", MAX_VERDICTS);
	snprintf(verdicts[num_verdicts].what, sizeof(verdicts[0].what), "%s",
		 what);
	verdicts[num_verdicts].ratio = ratio;
	verdicts[num_verdicts].sense = sense;
	verdicts[num_verdicts++].limit = limit;
}

static bool holds(unsigned int i)
{
	if (verdicts[i].sense == AT_MOST)
		return verdicts[i].ratio <= verdicts[i].limit;
	return verdicts[i].ratio >= verdicts[i].limit;
}

static const char *sense_of(unsigned int i)
{
	return verdicts[i].sense == AT_MOST ? "at most" : "at least";
}

static void json_verdict(FILE *out, unsigned int i)
{
	json_begin(out, "verdict");
	json_string(out, "what", verdicts[i].what);
	json_string(out, "sense", sense_of(i));
	json_number(out, "limit", verdicts[i].limit);
	json_number(out, "ratio", verdicts[i].ratio);
	fprintf(out, ", \"holds\": %s", holds(i) ? "true" : "false");
	json_end(out);
}

void report_verdicts(void)
{
	unsigned int i, j;

	if (num_verdicts)
		note("\n%-58s %15s  %9s  %s", "Ratios of medians", "limit",
		     "measured", "holds");
	for (i = 0; i < num_verdicts; i++) {
		note("%-58s %8s %4g x  %7.2f x  %s", verdicts[i].what,
		     sense_of(i), verdicts[i].limit, verdicts[i].ratio,
		     holds(i) ? "yes" : "no");
		for (j = 0; j < 2; j++)
			if (json[j])
				json_verdict(json[j], i);
	}
}
