// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * softverbs event and fault. The library's functions judge the words; only when
 * they say EINVAL is it found out here which word that is about.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <infiniband/verbs.h>

#include "command.h"

/* a list of words with a blank between */
struct words {
	char *text;
	size_t len;
	FILE *f;
};

static bool words_open(struct words *words)
{
	memset(words, 0, sizeof(*words));
	words->f = open_memstream(&words->text, &words->len);
	if (!words->f)
		cmd_fail_errno("arguments", errno);
	return words->f;
}

/* ---- event ---- */

enum {
	OPTION_PORT = 256,
	OPTION_QP,
	OPTION_CQ,
	OPTION_SRQ,
	OPTION_WQ,
	OPTION_PID,
	OPTION_COUNT
};

static const struct option event_options[] = {
	{ "port", required_argument, NULL, OPTION_PORT },
	{ "qp", required_argument, NULL, OPTION_QP },
	{ "cq", required_argument, NULL, OPTION_CQ },
	{ "srq", required_argument, NULL, OPTION_SRQ },
	{ "wq", required_argument, NULL, OPTION_WQ },
	{ "pid", required_argument, NULL, OPTION_PID },
	{ "count", required_argument, NULL, OPTION_COUNT },
	CMD_OPTIONS
};

struct event {
	struct words words;
	const char *element; /* the option that names one */
};

static int take_event(int option, const char *value, void *arg)
{
	const char *name = event_options[option - OPTION_PORT].name;
	struct event *event = arg;
	unsigned long n, min = option >= OPTION_PID;
	char what[16];

	snprintf(what, sizeof(what), "--%s", name);
	if (!cmd_number(what, value, min, UINT32_MAX, &n))
		return EXIT_USAGE;
	if (option <= OPTION_WQ && event->element)
		return cmd_wrong(what, "an event has one element only");
	if (option <= OPTION_WQ)
		event->element = name;
	fprintf(event->words.f, " --%s %lu", name, n);
	return EXIT_OK;
}

/* what the event of a type is of, as an option; NULL: of the whole device */
static const char *element_of(int type)
{
	static const char *const options[SV_NUM_KINDS] = {
		[SV_QP] = "qp",
		[SV_CQ] = "cq",
		[SV_SRQ] = "srq",
		[SV_WQ] = "wq",
	};
	enum sv_kind kind = sv_event_kind(type);

	if (type == IBV_EVENT_DEVICE_FATAL)
		return NULL;
	return kind == SV_NONE ? "port" : options[kind];
}

static int check_element(const char *type, const char *given)
{
	const char *wanted;
	char why[64];

	if (sv_event_type(type) < 0)
		return cmd_wrong(type, "unknown type; softverbs(7) lists them");
	wanted = element_of(sv_event_type(type));
	if (!wanted && given)
		return cmd_wrong(type, "it is of the whole device");
	if (!wanted || (!given && !strcmp(wanted, "port")))
		return EXIT_OK;
	if (given && !strcmp(given, wanted))
		return EXIT_OK;
	snprintf(why, sizeof(why), "it needs --%s%s", wanted,
		 given ? ", and nothing else" : "");
	return cmd_wrong(type, why);
}

static int send_event(const char *name, const char *spec)
{
	struct softverbs *sv = cmd_open();
	int error;

	if (!sv)
		return EXIT_FAILED;
	error = softverbs_send_event(sv, name, spec);
	if (error == ENXIO || error == ENOENT) {
		softverbs_close(sv);
		return cmd_fail(name, error == ENXIO ?
					      "no such port" :
					      "no open context has that; "
					      "softverbs list shows what they "
					      "have");
	}
	if (error == EINVAL) {
		softverbs_close(sv);
		return cmd_wrong(spec, "not an event");
	}
	return cmd_result(sv, name, error);
}

static int event_of(struct event *event, int argc, char **argv)
{
	int status =
		cmd_options(argc, argv, ":", event_options, take_event, event);

	if (!status)
		status = cmd_operands_left(argc, argv, 2);
	return status ? status :
			check_element(argv[optind + 1], event->element);
}

int cmd_event(int argc, char **argv)
{
	struct event event = {};
	char *spec = NULL;
	int status;

	if (!words_open(&event.words))
		return EXIT_FAILED;
	status = event_of(&event, argc, argv);
	fclose(event.words.f);
	if (!status &&
	    asprintf(&spec, "%s%s", argv[optind + 1], event.words.text) < 0)
		status = cmd_fail_errno("event", ENOMEM);
	if (!status)
		status = send_event(argv[optind], spec);
	free(spec);
	free(event.words.text);
	return status;
}

/* ---- fault ---- */

/* what is wrong with the word; NULL: nothing that is known here */
static const char *wrong_fault(const char *word)
{
	char verb[32], error[32];
	size_t len = strcspn(word, "="), elen;

	if (strcmp(word, "none") == 0)
		return NULL;
	if (!word[len])
		return "not VERB=ERRNO[:N], VERB=delay:MS or none";
	if (len >= sizeof(verb))
		return "unknown verb; softverbs(7) lists them";
	snprintf(verb, sizeof(verb), "%.*s", (int)len, word);
	if (!sv_verb_is_known(verb))
		return "unknown verb; softverbs(7) lists them";
	word += len + 1;
	elen = strcspn(word, ":");
	snprintf(error, sizeof(error), "%.*s",
		 elen < sizeof(error) ? (int)elen : 0, word);
	if (strcmp(error, "delay") == 0)
		return "a delay is delay:MS, with MS from 1 to 1000000000";
	if (sv_errno_value(error) <= 0)
		return "unknown errno; a name such as ENOMEM, or its number";
	return "N is a number from 1 to 1000000000";
}

static int explain_faults(char **words)
{
	const char *why;

	for (; *words; words++) {
		why = wrong_fault(*words);
		/* a word of a good form: the next may be the bad one */
		if (why && (!words[1] || *why == 'u' || *why == 'n'))
			return cmd_wrong(*words, why);
	}
	return cmd_wrong("fault", "not VERB=ERRNO[:N], VERB=delay:MS or none");
}

static int set_faults(const char *name, const char *spec, char **words)
{
	struct softverbs *sv = cmd_open();
	int error;

	if (!sv)
		return EXIT_FAILED;
	error = softverbs_set_fault(sv, name, spec);
	if (error != EINVAL)
		return cmd_result(sv, name, error);
	softverbs_close(sv);
	return explain_faults(words);
}

int cmd_fault(int argc, char **argv)
{
	static const struct option options[] = { CMD_OPTIONS };
	int i, status = cmd_options(argc, argv, ":", options, NULL, NULL);
	struct words words;

	if (status)
		return status;
	if (argc - optind < 2)
		return cmd_wrong("fault", "arguments are missing");
	if (!words_open(&words))
		return EXIT_FAILED;
	for (i = optind + 1; i < argc; i++)
		fprintf(words.f, "%s ", argv[i]);
	fclose(words.f);
	status = set_faults(argv[optind], words.text, argv + optind + 1);
	free(words.text);
	return status;
}
