// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* ibc_devices: lists the RDMA devices that a client of the library gets. */
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common.h"
#include "row.h"

static struct {
	bool json, verbose;
	char **names; /* ends with NULL */
	struct row *rows, **rows_end;
} self;

static const char usage[] =
	"usage: ibc_devices [-j] [-v] [NAME...]\n"
	"Lists the RDMA devices that can be opened: all, or those whose names\n"
	"match a NAME, which may be a shell pattern.\n"
	"\n"
	"  -j, --json     print one JSON object a line for each device\n"
	"  -v, --verbose  also what the device and its ports say of themselves\n"
	"  -h, --help     print this\n"
	"      --version  print the version\n"
	"\n"
	"Exit status: 0, 1 if a device could not be shown, 2 for wrong use.\n";

static int collect(struct ibc_device *dev, void *arg)
{
	struct row *row = row_new(dev, self.verbose);

	(void)arg;
	if (!row)
		return ENOMEM;
	*self.rows_end = row;
	self.rows_end = &row->next;
	return 0;
}

static void free_rows(void)
{
	struct row *row;

	while ((row = self.rows)) {
		self.rows = row->next;
		row_free(row);
	}
}

/* ---- for people ---- */

static void print_port(unsigned int num, const struct port *port)
{
	if (port->error) {
		printf("    port %u: %s\n", num, strerror(port->error));
		return;
	}
	printf("    port %u: %s, %s, MTU %d of %d, LID %u, %u GID%s\n", num,
	       port_state(port), link_layer(port),
	       port_mtu(port->attr.active_mtu), port_mtu(port->attr.max_mtu),
	       port->attr.lid, port->gids, port->gids == 1 ? "" : "s");
}

static void print_details(const struct row *row)
{
	const struct ibv_device_attr *a = &row->attr;
	unsigned int i;

	printf("    node /dev/infiniband/%s, incarnation %llu\n", row->node,
	       (unsigned long long)row->incarnation);
	if (row->error) {
		printf("    %s\n", strerror(row->error));
		return;
	}
	printf("    firmware %s, vendor 0x%06x, part %u, hardware %u\n",
	       *a->fw_ver ? a->fw_ver : "-", a->vendor_id, a->vendor_part_id,
	       a->hw_ver);
	printf("    at most %d QPs, %d CQs, %d SRQs, %d MRs, %d PDs\n",
	       a->max_qp, a->max_cq, a->max_srq, a->max_mr, a->max_pd);
	for (i = 0; i < a->phys_port_cnt; i++)
		print_port(i + 1, &row->ports[i]);
}

static void print_row(const struct row *row, int width)
{
	char guid[TOOL_GUID_SIZE];
	unsigned int i;

	printf("%-*s  ", width, row->name);
	if (row->index < 0)
		printf("%5s", "-");
	else
		printf("%5d", row->index);
	printf("  %s  %-8s ", tool_guid(row->guid, guid),
	       row_state(row->state));
	for (i = 0; i < row->attr.phys_port_cnt; i++)
		printf(" %u:%s", i + 1, port_state(&row->ports[i]));
	putchar('\n');
	if (self.verbose)
		print_details(row);
}

static void print_table(void)
{
	const struct row *row;
	int width = 6;

	if (!self.rows)
		return;
	for (row = self.rows; row; row = row->next) {
		if ((int)strlen(row->name) > width)
			width = (int)strlen(row->name);
	}
	printf("%-*s  INDEX  %-19s  STATE     PORTS\n", width, "DEVICE",
	       "NODE GUID");
	for (row = self.rows; row; row = row->next)
		print_row(row, width);
}

/* ---- for programs ---- */

static json_t *port_json(unsigned int num, const struct port *port)
{
	if (port->error)
		return json_pack("{s:i, s:s, s:s}", "port", num, "state",
				 "unknown", "why", strerror(port->error));
	return json_pack("{s:i, s:s, s:s, s:i, s:i, s:i}", "port", num, "state",
			 port_state(port), "link_layer", link_layer(port),
			 "mtu", port_mtu(port->attr.active_mtu), "lid",
			 port->attr.lid, "gids", port->gids);
}

static int add_details(json_t *object, const struct row *row)
{
	json_t *ports = json_array();
	unsigned int i;
	int error;

	error = json_object_set_new(object, "node", json_string(row->node));
	error |= json_object_set_new(object, "firmware",
				     json_string(row->attr.fw_ver));
	for (i = 0; i < row->attr.phys_port_cnt; i++)
		error |= json_array_append_new(
			ports, port_json(i + 1, &row->ports[i]));
	return error | json_object_set_new(object, "ports", ports);
}

static const struct row *find_row(json_t *object)
{
	json_int_t n =
		json_integer_value(json_object_get(object, "incarnation"));
	const struct row *row;

	for (row = self.rows; row; row = row->next) {
		if (row->incarnation == (uint64_t)n)
			return row;
	}
	return NULL;
}

/* What could not be opened has no row, and is told on standard error. */
static int print_object(json_t *object)
{
	const struct row *row = find_row(object);

	if (!row)
		return 0;
	if (self.verbose && add_details(object, row))
		return ENOMEM;
	if (json_dumpf(object, stdout, JSON_COMPACT))
		return errno ? errno : EIO;
	putchar('\n');
	return 0;
}

static json_t *dump(struct ibc_registry *reg)
{
	json_t *root = NULL;
	char *text = NULL;
	size_t size;
	FILE *out;
	int error;

	out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	error = ibc_dump(reg, out, IBC_DUMP_JSON);
	if (!fclose(out) && !error)
		root = json_loadb(text, size, 0, NULL);
	free(text);
	return root;
}

static int print_json(struct ibc_registry *reg)
{
	json_t *root = dump(reg);
	json_t *devices = json_object_get(root, "devices");
	int error = 0;
	size_t i;

	if (!root)
		return ENOMEM;
	for (i = 0; i < json_array_size(devices) && !error; i++)
		error = print_object(json_array_get(devices, i));
	json_decref(root);
	return error;
}

/* ---- what was asked for and is not there ---- */

static bool shown(const char *name)
{
	const struct row *row;

	for (row = self.rows; row; row = row->next) {
		if (!strcmp(row->name, name))
			return true;
	}
	return false;
}

static int explain_device(struct ibv_device *device)
{
	const char *name = ibv_get_device_name(device);
	int error = tool_open_error(name);

	if (!tool_names_match(self.names, name) || shown(name))
		return TOOL_OK;
	if (error)
		tool_explain_open(name, device->dev_name, error);
	else
		tool_error(name, "it is in the list of devices, but could not "
				 "be opened (IBC_LOG_LEVEL=debug tells more)");
	return TOOL_FAILED;
}

static bool name_known(const char *name, struct ibv_device **list)
{
	const struct row *row;

	for (row = self.rows; row; row = row->next) {
		if (!fnmatch(name, row->name, 0))
			return true;
	}
	for (; list && *list; list++) {
		if (!fnmatch(name, ibv_get_device_name(*list), 0))
			return true;
	}
	return false;
}

static int explain_missing(void)
{
	struct ibv_device **list, **l;
	int status = TOOL_OK;
	char **name;

	list = ibv_get_device_list(NULL);
	if (!self.rows && (!list || !*list))
		tool_explain_no_devices();
	for (l = list; l && *l; l++) {
		if (explain_device(*l))
			status = TOOL_FAILED;
	}
	for (name = self.names; *name; name++) {
		if (!name_known(*name, list)) {
			tool_error(*name, "no such device");
			status = TOOL_FAILED;
		}
	}
	if (list)
		ibv_free_device_list(list);
	return status;
}

/* ---- the whole ---- */

static int show(struct ibc_registry *reg)
{
	int error = ibc_for_each_device(reg, collect, NULL);

	if (!error && self.json)
		error = print_json(reg);
	else if (!error)
		print_table();
	if (error && !ferror(stdout)) {
		tool_error("list of devices", "%s", strerror(error));
		return TOOL_FAILED;
	}
	return explain_missing();
}

static int show_registered(struct ibc_registry *reg)
{
	struct ibc_client client = { .name = "ibc_devices" };
	int error = ibc_register_client(reg, &client);
	int status;

	if (error) {
		tool_error("list of devices", "%s", strerror(error));
		return TOOL_FAILED;
	}
	status = show(reg);
	ibc_unregister_client(&client);
	return status;
}

static int run(void)
{
	struct ibc_registry_attr attr = { .open_device = tool_open_device };
	char *patterns = tool_names_join(self.names);
	struct ibc_registry *reg;
	int status;

	attr.devices = patterns;
	reg = ibc_open(&attr);
	free(patterns);
	if (!reg) {
		tool_error("registry", "%s", strerror(errno));
		return TOOL_FAILED;
	}
	status = show_registered(reg);
	ibc_close(reg);
	free_rows();
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int opt;

	tool_init("ibc_devices");
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":jvh", options, NULL)) != -1) {
		switch (opt) {
		case 'j':
			self.json = true;
			break;
		case 'v':
			self.verbose = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return tool_finish(TOOL_OK);
		case 'V':
			tool_version();
			return tool_finish(TOOL_OK);
		default:
			return tool_bad_option(argv, opt);
		}
	}
	self.names = argv + optind;
	self.rows_end = &self.rows;
	if (!tool_names_valid(self.names)) {
		tool_error("NAME", "it is empty");
		return TOOL_USAGE;
	}
	return tool_finish(run());
}
