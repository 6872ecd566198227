// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The commands that change a fabric: add, remove, rename, port, gid, pkey. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "command.h"

int cmd_removal(const char *value, uint32_t *removal)
{
	if (strcmp(value, "fatal") == 0)
		*removal = SOFTVERBS_REMOVAL_FATAL;
	else if (strcmp(value, "wait") == 0)
		*removal = SOFTVERBS_REMOVAL_WAIT;
	else
		return cmd_wrong("--removal", "fatal or wait is wanted");
	return EXIT_OK;
}

/* 0 would be one of the fabric's making: wanted is a GUID */
static int take_guid(const char *value, __be64 *guid)
{
	if (sv_parse_guid(value, guid) || !*guid)
		return cmd_wrong("--guid", "not a GUID, such as "
					   "0253:56ff:fe00:0001");
	return EXIT_OK;
}

static int check_name(const char *name)
{
	if (sv_name_is_good(name))
		return EXIT_OK;
	return cmd_wrong(name, "not a name for a device: 1 to 63 letters, "
			       "digits, _ - . and none of - . first");
}

/* ---- add ---- */

enum { OPTION_GUID = 256, OPTION_PORTS, OPTION_LINK, OPTION_REMOVAL };

struct add {
	__be64 guid;
	unsigned long ports;
	uint32_t removal;
	bool ib;
};

static int take_add(int option, const char *value, void *arg)
{
	struct add *add = arg;

	switch (option) {
	case OPTION_GUID:
		return take_guid(value, &add->guid);
	case OPTION_PORTS:
		return cmd_number("--ports", value, 1, SV_MAX_PORTS,
				  &add->ports) ?
			       EXIT_OK :
			       EXIT_USAGE;
	case OPTION_LINK:
		add->ib = strcmp(value, "ib") == 0;
		return add->ib || !strcmp(value, "roce") ?
			       EXIT_OK :
			       cmd_wrong("--link", "roce or ib is wanted");
	default:
		return cmd_removal(value, &add->removal);
	}
}

int cmd_add(int argc, char **argv)
{
	static const struct option options[] = {
		{ "guid", required_argument, NULL, OPTION_GUID },
		{ "ports", required_argument, NULL, OPTION_PORTS },
		{ "link", required_argument, NULL, OPTION_LINK },
		{ "removal", required_argument, NULL, OPTION_REMOVAL },
		CMD_OPTIONS
	};
	struct add add = { .ports = 1 };
	struct softverbs *sv;
	int status = cmd_options(argc, argv, ":", options, take_add, &add);

	if (!status)
		status = cmd_operands_left(argc, argv, 1);
	if (!status)
		status = check_name(argv[optind]);
	if (status)
		return status;
	sv = cmd_open();
	if (!sv)
		return EXIT_FAILED;
	return cmd_result(sv, argv[optind],
			  sv_add_device_link(sv, argv[optind], add.guid,
					     add.ports, add.removal, add.ib));
}

/* ---- remove ---- */

static int take_timeout(int option, const char *value, void *arg)
{
	unsigned long ms;

	(void)option;
	if (!cmd_number("--timeout", value, 0, INT_MAX, &ms))
		return EXIT_USAGE;
	*(int *)arg = (int)ms;
	return EXIT_OK;
}

int cmd_remove(int argc, char **argv)
{
	static const struct option options[] = {
		{ "timeout", required_argument, NULL, 256 }, CMD_OPTIONS
	};
	int status, timeout = -1;
	struct softverbs *sv;

	status = cmd_options(argc, argv, ":", options, take_timeout, &timeout);
	if (!status)
		status = cmd_operands_left(argc, argv, 1);
	if (status)
		return status;
	sv = cmd_open();
	if (!sv)
		return EXIT_FAILED;
	return cmd_result(sv, argv[optind],
			  softverbs_remove_device(sv, argv[optind], timeout));
}

/* ---- rename ---- */

int cmd_rename(int argc, char **argv)
{
	int error, status = cmd_operands(argc, argv, 2);
	const char *old_name = argv[optind], *new_name;
	struct softverbs *sv;

	if (status)
		return status;
	new_name = argv[optind + 1];
	status = check_name(new_name);
	if (status)
		return status;
	sv = cmd_open();
	if (!sv)
		return EXIT_FAILED;
	error = softverbs_rename_device(sv, old_name, new_name);
	return cmd_result(sv, error == EEXIST ? new_name : old_name, error);
}

/* ---- ports ---- */

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
	int status = cmd_operands(argc, argv, 3);
	struct softverbs *sv;
	unsigned long port;
	bool up;

	if (status)
		return status;
	argv += optind;
	if (!cmd_number("PORT", argv[1], 0, UINT32_MAX, &port))
		return EXIT_USAGE;
	up = strcmp(argv[2], "up") == 0;
	if (!up && strcmp(argv[2], "down"))
		return cmd_wrong(argv[2], "up or down is wanted");
	sv = cmd_open();
	if (!sv)
		return EXIT_FAILED;
	return port_result(sv, argv[0],
			   softverbs_set_port(sv, argv[0], port, up));
}

int cmd_gid(int argc, char **argv)
{
	int status = cmd_operands(argc, argv, 4);
	unsigned long port, index;
	struct softverbs *sv;
	uint8_t gid[16];

	if (status)
		return status;
	argv += optind;
	if (!cmd_number("PORT", argv[1], 0, UINT32_MAX, &port) ||
	    !cmd_number("INDEX", argv[2], 0, SV_NUM_GIDS - 1, &index))
		return EXIT_USAGE;
	if (sv_parse_gid(argv[3], gid))
		return cmd_wrong(argv[3], "not a GID (as an IPv6 address, or "
					  "none)");
	sv = cmd_open();
	if (!sv)
		return EXIT_FAILED;
	return port_result(sv, argv[0],
			   sv_set_gid(sv, argv[0], port, index, argv[3]));
}

int cmd_pkey(int argc, char **argv)
{
	int status = cmd_operands(argc, argv, 4);
	unsigned long port, index, pkey;
	struct softverbs *sv;

	if (status)
		return status;
	argv += optind;
	if (!cmd_number("PORT", argv[1], 0, UINT32_MAX, &port) ||
	    !cmd_number("INDEX", argv[2], 0, SV_NUM_PKEYS - 1, &index) ||
	    !cmd_number("PKEY", argv[3], 0, 0xffff, &pkey))
		return EXIT_USAGE;
	sv = cmd_open();
	if (!sv)
		return EXIT_FAILED;
	return port_result(sv, argv[0],
			   sv_set_pkey(sv, argv[0], port, index, pkey));
}
