// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What a device is: a text file of lines "KEY VALUES", so that a person can
 * read it. Unknown keys are skipped, anything out of range is EINVAL.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <infiniband/softverbs.h>

#include "fabric.h"

#define MAX_STATE (1 << 19)

int sv_state_init(struct sv_state *state, uint32_t ports)
{
	memset(state, 0, sizeof(*state));
	if (!ports || ports > SV_MAX_PORTS)
		return EINVAL;
	state->ports = calloc(ports, sizeof(*state->ports));
	if (!state->ports)
		return ENOMEM;
	state->num_ports = ports;
	return 0;
}

void sv_state_free(struct sv_state *state)
{
	free(state->ports);
	state->ports = NULL;
	state->num_ports = 0;
}

int sv_parse_gid(const char *text, uint8_t gid[16])
{
	if (strcmp(text, "none") == 0) {
		memset(gid, 0, 16);
		return 0;
	}
	return inet_pton(AF_INET6, text, gid) == 1 ? 0 : EINVAL;
}

/* xxxx:xxxx:xxxx:xxxx, or up to 16 hexadecimal digits, 0x allowed */
int sv_parse_guid(const char *text, __be64 *guid)
{
	unsigned int part[4];
	unsigned long long value;
	char *end;
	int used = 0;

	if (!*text || strspn(text, "0123456789abcdefABCDEFxX:") != strlen(text))
		return EINVAL;
	if (sscanf(text, "%4x:%4x:%4x:%4x%n", &part[0], &part[1], &part[2],
		   &part[3], &used) == 4 &&
	    !text[used]) {
		*guid = htobe64((uint64_t)part[0] << 48 |
				(uint64_t)part[1] << 32 |
				(uint64_t)part[2] << 16 | part[3]);
		return 0;
	}
	errno = 0;
	value = strtoull(text, &end, 16);
	if (*end || errno)
		return EINVAL;
	*guid = htobe64(value);
	return 0;
}

void sv_format_guid(__be64 guid, char *buf, size_t size)
{
	const uint8_t *g = (const uint8_t *)&guid;

	snprintf(buf, size, "%02x%02x:%02x%02x:%02x%02x:%02x%02x", g[0], g[1],
		 g[2], g[3], g[4], g[5], g[6], g[7]);
}

static struct sv_port *get_port(struct sv_state *state, unsigned int port)
{
	if (!port || port > state->num_ports)
		return NULL;
	return &state->ports[port - 1];
}

static int parse_port(struct sv_state *state, const char *text)
{
	struct sv_port *p;
	unsigned int port;
	char what[16];

	if (sscanf(text, "%u %15s", &port, what) != 2)
		return EINVAL;
	p = get_port(state, port);
	if (!p || (strcmp(what, "up") && strcmp(what, "down")))
		return EINVAL;
	p->up = strcmp(what, "up") == 0;
	return 0;
}

static int parse_gid_line(struct sv_state *state, const char *text)
{
	unsigned int port, index;
	struct sv_port *p;
	char gid[64];

	if (sscanf(text, "%u %u %63s", &port, &index, gid) != 3)
		return EINVAL;
	p = get_port(state, port);
	if (!p || index >= SV_NUM_GIDS)
		return EINVAL;
	return sv_parse_gid(gid, p->gid[index]);
}

static int parse_pkey_line(struct sv_state *state, const char *text)
{
	unsigned int port, index, pkey;
	struct sv_port *p;

	if (sscanf(text, "%u %u %x", &port, &index, &pkey) != 3)
		return EINVAL;
	p = get_port(state, port);
	if (!p || index >= SV_NUM_PKEYS || pkey > 0xffff)
		return EINVAL;
	p->pkey[index] = pkey;
	return 0;
}

static int parse_name(struct sv_state *state, const char *text)
{
	if (!sv_name_is_good(text))
		return EINVAL;
	snprintf(state->name, sizeof(state->name), "%s", text);
	return 0;
}

static int parse_ports(struct sv_state *state, const char *text)
{
	unsigned int ports;

	if (state->ports || sscanf(text, "%u", &ports) != 1 || !ports ||
	    ports > SV_MAX_PORTS)
		return EINVAL;
	state->ports = calloc(ports, sizeof(*state->ports));
	state->num_ports = state->ports ? ports : 0;
	return state->ports ? 0 : ENOMEM;
}

static int parse_line(struct sv_state *state, const char *key,
		      const char *value)
{
	if (!strcmp(key, "name"))
		return parse_name(state, value);
	if (!strcmp(key, "index"))
		return sscanf(value, "%u", &state->index) == 1 ? 0 : EINVAL;
	if (!strcmp(key, "guid"))
		return sv_parse_guid(value, &state->guid);
	if (!strcmp(key, "removal")) {
		state->removal = strcmp(value, "fatal") ?
					 SOFTVERBS_REMOVAL_WAIT :
					 SOFTVERBS_REMOVAL_FATAL;
		return 0;
	}
	if (!strcmp(key, "link")) {
		state->ib = strcmp(value, "ib") == 0;
		return 0;
	}
	if (!strcmp(key, "ports"))
		return parse_ports(state, value);
	if (!strcmp(key, "port"))
		return parse_port(state, value);
	if (!strcmp(key, "gid"))
		return parse_gid_line(state, value);
	if (!strcmp(key, "pkey"))
		return parse_pkey_line(state, value);
	return 0;
}

/* on error nothing is left to be freed */
int sv_state_parse(struct sv_state *state, const char *text)
{
	char line[256], *value;
	size_t len;
	int error = 0;

	memset(state, 0, sizeof(*state));
	for (; !error && *text; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		if (len >= sizeof(line)) {
			error = EINVAL;
			continue;
		}
		memcpy(line, text, len);
		line[len] = '\0';
		value = strchr(line, ' ');
		if (!value)
			continue;
		*value++ = '\0';
		error = parse_line(state, line, value);
	}
	if (!error && (!state->name[0] || !state->num_ports))
		error = EINVAL;
	if (error)
		sv_state_free(state);
	return error;
}

static void format_port(FILE *f, const struct sv_port *p, unsigned int port)
{
	static const uint8_t none[16];
	char text[INET6_ADDRSTRLEN];
	unsigned int i;

	fprintf(f, "port %u %s\n", port, p->up ? "up" : "down");
	for (i = 0; i < SV_NUM_GIDS; i++) {
		if (!memcmp(p->gid[i], none, sizeof(none)))
			continue;
		inet_ntop(AF_INET6, p->gid[i], text, sizeof(text));
		fprintf(f, "gid %u %u %s\n", port, i, text);
	}
	for (i = 0; i < SV_NUM_PKEYS; i++)
		if (p->pkey[i])
			fprintf(f, "pkey %u %u %04x\n", port, i, p->pkey[i]);
}

/* *text is the caller's to free */
int sv_state_format(const struct sv_state *state, char **text, size_t *len)
{
	FILE *f = open_memstream(text, len);
	char guid[32];
	unsigned int i;

	if (!f)
		return errno;
	sv_format_guid(state->guid, guid, sizeof(guid));
	fprintf(f,
		"name %s\nindex %u\nguid %s\nremoval %s\nlink %s\nports %u\n",
		state->name, state->index, guid,
		state->removal == SOFTVERBS_REMOVAL_FATAL ? "fatal" : "wait",
		state->ib ? "ib" : "roce", state->num_ports);
	for (i = 0; i < state->num_ports; i++)
		format_port(f, &state->ports[i], i + 1);
	if (fclose(f)) {
		free(*text);
		return ENOMEM;
	}
	return 0;
}

int sv_state_load(int device_dir, struct sv_state *state)
{
	char *text = malloc(MAX_STATE);
	int error;

	if (!text)
		return ENOMEM;
	error = sv_read_file(device_dir, "state", text, MAX_STATE);
	if (!error)
		error = sv_state_parse(state, text);
	free(text);
	return error;
}

int sv_state_store(int device_dir, const struct sv_state *state)
{
	char *text;
	size_t len;
	int error = sv_state_format(state, &text, &len);

	if (error)
		return error;
	error = sv_write_file(device_dir, "state", text, len);
	free(text);
	return error;
}
