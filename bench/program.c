// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Options, and the order of things: the CPUs, the suites, the verdicts. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

#define ROUNDS	  21
#define SAMPLE_MS 4.0

#define QUICK_ROUNDS 2
#define QUICK_MS     0.05

struct settings settings = { .rounds = ROUNDS, .sample_ms = SAMPLE_MS };

bool quickly(void)
{
	return settings.quick;
}

static void usage(const struct suite *suites, unsigned int num)
{
	unsigned int i;

	printf("usage: ibc_bench [-jq] [-o FILE] [-r ROUNDS] [-t MS] "
	       "[SUITE...]\n"
	       "  -j  one JSON object a line\n"
	       "  -o  those into a file, too\n"
	       "  -q  only to see that it works: few, small and short\n"
	       "  -r  rounds, 1 to %d; %d without it\n"
	       "  -t  milliseconds of one sample, up to 1000; %g without it\n"
	       "suites, all without one:\n",
	       MAX_ROUNDS, ROUNDS, SAMPLE_MS);
	for (i = 0; i < num; i++)
		printf("  %-8s  %s\n", suites[i].name, suites[i].what);
}

static bool read_double(const char *text, double least, double most,
			double *value)
{
	char *end;

	*value = strtod(text, &end);
	return end != text && !*end && *value >= least && *value <= most;
}

static bool wrong(const char *what, const char *why)
{
	fprintf(stderr, "ibc_bench: %s: %s (see -h)\n", what, why);
	return false;
}

static bool wrong_option(const char *why)
{
	const char what[] = { '-', optopt, '\0' };

	return wrong(what, why);
}

static bool read_rounds(void)
{
	double value;

	optopt = 'r';
	if (!read_double(optarg, 1, MAX_ROUNDS, &value) ||
	    value != (unsigned int)value)
		return wrong_option("it is to be a number of rounds");
	settings.rounds = value;
	return true;
}

static bool read_sample_ms(void)
{
	optopt = 't';
	if (!read_double(optarg, 0.001, 1000, &settings.sample_ms))
		return wrong_option("it is to be a number of milliseconds");
	return true;
}

static void be_quick(void)
{
	settings.quick = true;
	settings.rounds = QUICK_ROUNDS;
	settings.sample_ms = QUICK_MS;
}

static bool read_options(int argc, char **argv, bool *help)
{
	int option;

	while ((option = getopt(argc, argv, ":jo:qr:t:h")) != -1) {
		if (option == 'j')
			report_json();
		else if (option == 'o')
			report_file(optarg);
		else if (option == 'q')
			be_quick();
		else if (option == 'h')
			*help = true;
		else if (option == ':')
			return wrong_option("it needs a value");
		else if (option == '?')
			return wrong_option("no such option");
		else if (!(option == 'r' ? read_rounds() : read_sample_ms()))
			return false;
	}
	return true;
}

static const struct suite *
find_suite(const char *name, const struct suite *suites, unsigned int num)
{
	unsigned int i;

	for (i = 0; i < num; i++)
		if (strcmp(suites[i].name, name) == 0)
			return &suites[i];
	return NULL;
}

static bool known_suites(char **names, const struct suite *suites,
			 unsigned int num)
{
	for (; *names; names++) {
		if (!find_suite(*names, suites, num))
			return wrong(*names, "no such suite");
	}
	return true;
}

int measure_main(int argc, char **argv, const struct suite *suites,
		 unsigned int num)
{
	bool help = false;
	unsigned int i;

	if (!read_options(argc, argv, &help) ||
	    !known_suites(argv + optind, suites, num))
		return 2;
	if (help) {
		usage(suites, num);
		return 0;
	}
	cpus_init();
	report_cpus(settings.rounds, settings.sample_ms);
	if (optind == argc)
		for (i = 0; i < num; i++)
			suites[i].run();
	for (; optind < argc; optind++)
		find_suite(argv[optind], suites, num)->run();
	report_verdicts();
	report_end();
	return 0;
}
