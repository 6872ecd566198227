// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* softverbs list [-j]: devices, ports, contexts and their objects. */
#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "command.h"

static int add_number(const struct sv_object *object, void *arg)
{
	json_array_append_new(arg, json_integer(object->number));
	return 0;
}

static json_t *numbers(struct sv_context *ctx, enum sv_kind kind)
{
	json_t *array = json_array();

	sv_context_objects(ctx, kind, add_number, array);
	return array;
}

static int add_context(struct sv_context *ctx, void *arg)
{
	json_array_append_new(arg, json_pack("{s:I, s:o, s:o, s:o, s:o}", "pid",
					     (json_int_t)ctx->pid, "qps",
					     numbers(ctx, SV_QP), "cqs",
					     numbers(ctx, SV_CQ), "srqs",
					     numbers(ctx, SV_SRQ), "wqs",
					     numbers(ctx, SV_WQ)));
	return 0;
}

static json_t *gids(const struct sv_port *p)
{
	static const uint8_t none[16];
	char text[INET6_ADDRSTRLEN];
	json_t *array = json_array();
	int i;

	for (i = 0; i < SV_NUM_GIDS; i++) {
		if (!memcmp(p->gid[i], none, sizeof(none)))
			continue;
		inet_ntop(AF_INET6, p->gid[i], text, sizeof(text));
		json_array_append_new(array, json_string(text));
	}
	return array;
}

static json_t *ports(const struct sv_state *state)
{
	json_t *array = json_array();
	uint32_t i;

	for (i = 0; i < state->num_ports; i++)
		json_array_append_new(
			array, json_pack("{s:i, s:s, s:o}", "port", (int)i + 1,
					 "state",
					 state->ports[i].up ? "active" : "down",
					 "gids", gids(&state->ports[i])));
	return array;
}

static int collect(struct sv_device *dev, void *arg)
{
	json_t *contexts = json_array();
	char guid[32];

	sv_format_guid(dev->state.guid, guid, sizeof(guid));
	sv_for_each_context(dev->dir, add_context, contexts);
	json_array_append_new(
		arg,
		json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:o, s:o}", "device",
			  dev->state.name, "index", (int)dev->state.index,
			  "node", dev->node, "guid", guid, "link",
			  dev->state.ib ? "ib" : "roce", "removal",
			  dev->state.removal == SOFTVERBS_REMOVAL_FATAL ?
				  "fatal" :
				  "wait",
			  "ports", ports(&dev->state), "contexts", contexts));
	return 0;
}

static const char *text_of(json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* as "QPs 17 18" */
static void print_numbers(json_t *context, const char *key, const char *title)
{
	json_t *list = json_object_get(context, key), *entry;
	size_t i;

	if (json_array_size(list))
		printf(", %s", title);
	json_array_foreach(list, i, entry)
		printf(" %" JSON_INTEGER_FORMAT, json_integer_value(entry));
}

static void print_context(json_t *context)
{
	printf("\topen in process %" JSON_INTEGER_FORMAT,
	       json_integer_value(json_object_get(context, "pid")));
	print_numbers(context, "qps", "QPs");
	print_numbers(context, "cqs", "CQs");
	print_numbers(context, "srqs", "SRQs");
	print_numbers(context, "wqs", "WQs");
	putchar('\n');
}

static void print_text(json_t *device)
{
	json_t *list, *entry;
	size_t i;

	printf("%s\t%s\t%s, %s, removal %s\n", text_of(device, "device"),
	       text_of(device, "guid"), text_of(device, "node"),
	       text_of(device, "link"), text_of(device, "removal"));
	list = json_object_get(device, "ports");
	json_array_foreach(list, i, entry)
		printf("\tport %d %s\n",
		       (int)json_integer_value(json_object_get(entry, "port")),
		       text_of(entry, "state"));
	list = json_object_get(device, "contexts");
	json_array_foreach(list, i, entry) print_context(entry);
}

static void print_all(json_t *devices, bool json)
{
	json_t *device;
	size_t i;

	json_array_foreach(devices, i, device)
	{
		if (!json) {
			print_text(device);
			continue;
		}
		json_dumpf(device, stdout, JSON_COMPACT);
		putchar('\n');
	}
}

static int take(int option, const char *value, void *arg)
{
	(void)option;
	(void)value;
	*(bool *)arg = true;
	return EXIT_OK;
}

int cmd_list(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 256 }, CMD_OPTIONS
	};
	struct softverbs *sv;
	bool json = false;
	json_t *devices;
	int status, error;

	status = cmd_options(argc, argv, ":j", options, take, &json);
	if (!status)
		status = cmd_operands_left(argc, argv, 0);
	if (status)
		return status;
	sv = cmd_open();
	if (!sv)
		return EXIT_FAILED;
	devices = json_array();
	error = sv_device_each(sv, collect, devices);
	print_all(devices, json);
	json_decref(devices);
	return cmd_result(sv, "list", error);
}
