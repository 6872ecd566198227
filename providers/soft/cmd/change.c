// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The commands that change a fabric: add, remove, rename, port, gid, ... */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static int wrong_arguments(const char *name)
{
	return cmd_wrong(name, "wrong arguments");
}

struct add {
	__be64 guid;
	unsigned long ports, removal;
	bool ib;
};

static int add_option(struct add *add, int option, const char *value)
{
	switch (option) {
	case 'g':
		return sv_parse_guid(value, &add->guid) || !add->guid ?
			       cmd_wrong(value, "not a GUID") :
			       EXIT_OK;
	case 'p':
		if (!cmd_number("--ports", value, SV_MAX_PORTS, &add->ports))
			return EXIT_USAGE;
		return add->ports ? EXIT_OK :
				    cmd_wrong("--ports", "at least one");
	case 'l':
		add->ib = strcmp(value, "ib") == 0;
		return add->ib || !strcmp(value, "roce") ?
			       EXIT_OK :
			       cmd_wrong("--link", "roce or ib");
	case 'r':
		add->removal = strcmp(value, "fatal") ? SOFTVERBS_REMOVAL_WAIT :
							SOFTVERBS_REMOVAL_FATAL;
		return !strcmp(value, "fatal") || !strcmp(value, "wait") ?
			       EXIT_OK :
			       cmd_wrong("--removal", "fatal or wait");
	default:
		return EXIT_USAGE; /* getopt_long() has said what */
	}
}

int cmd_add(int argc, char **argv)
{
	static const struct option options[] = {
		{ "guid", required_argument, NULL, 'g' },
		{ "ports", required_argument, NULL, 'p' },
		{ "link", required_argument, NULL, 'l' },
		{ "removal", required_argument, NULL, 'r' },
		{}
	};
	struct add add = { .ports = 1 };
	struct softverbs *sv;
	int option, error;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		error = add_option(&add, option, optarg);
		if (error)
			return error;
	}
	if (argc - optind != 1)
		return wrong_arguments("add");
	if (!sv_name_is_good(argv[optind]))
		return cmd_wrong(argv[optind], "not a name for a device: "
					       "letters, digits, _ - . only");
	sv = cmd_open();
	if (!sv)
		return EXIT_FAILED;
	error = sv_add_device_link(sv, argv[optind], add.guid, add.ports,
				   add.removal, add.ib);
	return cmd_result(sv, argv[optind], error);
}

int cmd_remove(int argc, char **argv)
{
	static const struct option options[] = {
		{ "timeout", required_argument, NULL, 't' }, {}
	};
	unsigned long timeout = 0;
	struct softverbs *sv;
	bool limited = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 't' ||
		    !cmd_number("--timeout", optarg, INT_MAX, &timeout))
			return EXIT_USAGE;
		limited = true;
	}
	if (argc - optind != 1)
		return wrong_arguments("remove");
	sv = cmd_open();
	if (!sv)
		return EXIT_FAILED;
	return cmd_result(sv, argv[optind],
			  softverbs_remove_device(sv, argv[optind],
						  limited ? (int)timeout : -1));
}

int cmd_rename(int argc, char **argv)
{
	struct softverbs *sv;
	int error;

	if (argc != 3)
		return wrong_arguments("rename");
	if (!sv_name_is_good(argv[2]))
		return cmd_wrong(argv[2], "not a name for a device");
	sv = cmd_open();
	if (!sv)
		return EXIT_FAILED;
	error = softverbs_rename_device(sv, argv[1], argv[2]);
	return cmd_result(sv, error == EEXIST ? argv[2] : argv[1], error);
}

/* EINVAL is about the port, by now */
static int port_result(struct softverbs *sv, const char *name, int error)
{
	if (error == EINVAL) {
		softverbs_close(sv);
		return cmd_fail(name, "no such port");
	}
	return cmd_result(sv, name, error);
}

int cmd_port(int argc, char **argv)
{
	struct softverbs *sv;
	unsigned long port;
	bool up;

	if (argc != 4)
		return wrong_arguments("port");
	if (!cmd_number("PORT", argv[2], UINT32_MAX, &port))
		return EXIT_USAGE;
	up = strcmp(argv[3], "up") == 0;
	if (!up && strcmp(argv[3], "down"))
		return cmd_wrong(argv[3], "up or down");
	sv = cmd_open();
	if (!sv)
		return EXIT_FAILED;
	return port_result(sv, argv[1],
			   softverbs_set_port(sv, argv[1], port, up));
}

int cmd_gid(int argc, char **argv)
{
	unsigned long port, index;
	struct softverbs *sv;
	uint8_t gid[16];

	if (argc != 5)
		return wrong_arguments("gid");
	if (!cmd_number("PORT", argv[2], UINT32_MAX, &port) ||
	    !cmd_number("INDEX", argv[3], SV_NUM_GIDS - 1, &index))
		return EXIT_USAGE;
	if (sv_parse_gid(argv[4], gid))
		return cmd_wrong(argv[4], "not a GID (as an IPv6 address)");
	sv = cmd_open();
	if (!sv)
		return EXIT_FAILED;
	return port_result(sv, argv[1],
			   sv_set_gid(sv, argv[1], port, index, argv[4]));
}

int cmd_pkey(int argc, char **argv)
{
	unsigned long port, index, pkey;
	struct softverbs *sv;

	if (argc != 5)
		return wrong_arguments("pkey");
	if (!cmd_number("PORT", argv[2], UINT32_MAX, &port) ||
	    !cmd_number("INDEX", argv[3], SV_NUM_PKEYS - 1, &index) ||
	    !cmd_number("PKEY", argv[4], 0xffff, &pkey))
		return EXIT_USAGE;
	sv = cmd_open();
	if (!sv)
		return EXIT_FAILED;
	return port_result(sv, argv[1],
			   sv_set_pkey(sv, argv[1], port, index, pkey));
}

/* the rest of the command line as one text */
static char *join(char **words)
{
	size_t len = 1;
	char *text;
	int i;

	for (i = 0; words[i]; i++)
		len += strlen(words[i]) + 1;
	text = calloc(1, len);
	for (i = 0; text && words[i]; i++) {
		strcat(text, words[i]);
		strcat(text, " ");
	}
	return text;
}

typedef int (*spec_fn)(struct softverbs *sv, const char *name,
		       const char *spec);

static int apply_spec(char **argv, spec_fn fn, const char *wrong)
{
	struct softverbs *sv = cmd_open();
	char *spec = sv ? join(argv + 2) : NULL;
	int error;

	if (!sv)
		return EXIT_FAILED;
	error = spec ? fn(sv, argv[1], spec) : ENOMEM;
	if (error == EINVAL) {
		cmd_wrong(spec, wrong);
		softverbs_close(sv);
		free(spec);
		return EXIT_USAGE;
	}
	free(spec);
	if (error == ENOENT || error == ENXIO) {
		softverbs_close(sv);
		return cmd_fail(argv[1], error == ENXIO ?
						 "no such port" :
						 "no open context has that");
	}
	return cmd_result(sv, argv[1], error);
}

int cmd_event(int argc, char **argv)
{
	if (argc < 3)
		return wrong_arguments("event");
	return apply_spec(argv, softverbs_send_event,
			  "unknown type, or not its element");
}

int cmd_fault(int argc, char **argv)
{
	if (argc < 3)
		return wrong_arguments("fault");
	return apply_spec(argv, softverbs_set_fault,
			  "unknown verb or errno, or not VERB=ERRNO[:N]");
}
