// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * IP addresses: those of this machine, and those that the user gave to devices,
 * by the variable SOFTVERBS_CM or the fabric's file `cm/addresses`. Both are
 * words ADDRESS=DEVICE[/PORT]; "*" is every address that has no word.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cm.h"

#define FILE_SIZE 4096

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/* ---- forms of an address ---- */

bool cm_address_from(struct cm_address *address, const struct sockaddr *from)
{
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)from;
	const struct sockaddr_in *sin = (const struct sockaddr_in *)from;

	memset(address, 0, sizeof(*address));
	if (from->sa_family == AF_INET) {
		memcpy(address->ip, mapped, sizeof(mapped));
		memcpy(address->ip + 12, &sin->sin_addr, 4);
		address->port = ntohs(sin->sin_port);
	} else if (from->sa_family == AF_INET6) {
		memcpy(address->ip, &sin6->sin6_addr, 16);
		address->port = ntohs(sin6->sin6_port);
		address->scope = sin6->sin6_scope_id;
	} else {
		return false;
	}
	address->family = memcmp(address->ip, mapped, sizeof(mapped)) ? 6 : 4;
	return true;
}

void cm_address_to(const struct cm_address *address,
		   struct sockaddr_storage *to)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)to;
	struct sockaddr_in *sin = (struct sockaddr_in *)to;

	memset(to, 0, sizeof(*to));
	if (address->family == 4) {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(address->port);
		memcpy(&sin->sin_addr, address->ip + 12, 4);
	} else if (address->family == 6) {
		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(address->port);
		memcpy(&sin6->sin6_addr, address->ip, 16);
		sin6->sin6_scope_id = address->scope;
	}
}

bool cm_address_is_any(const struct cm_address *address)
{
	static const uint8_t zero[16];

	if (address->family == 4)
		return !memcmp(address->ip + 12, zero, 4);
	return !memcmp(address->ip, zero, 16);
}

bool cm_address_is_same(const struct cm_address *a, const struct cm_address *b)
{
	return a->family == b->family && !memcmp(a->ip, b->ip, 16);
}

bool cm_address_from_text(struct cm_address *address, const char *text)
{
	struct in6_addr in6;
	struct in_addr in;

	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, text, &in) == 1) {
		address->family = 4;
		memcpy(address->ip, mapped, sizeof(mapped));
		memcpy(address->ip + 12, &in, 4);
		return true;
	}
	if (inet_pton(AF_INET6, text, &in6) != 1)
		return false;
	memcpy(address->ip, &in6, 16);
	address->family = memcmp(address->ip, mapped, sizeof(mapped)) ? 6 : 4;
	return true;
}

/* ---- what the user gave ---- */

struct given {
	const struct cm_address *address;
	char *name;
	uint32_t *port;
	bool by_star;
};

static bool take_device(struct given *given, char *device)
{
	char *slash = strchr(device, '/'), *end = NULL;
	unsigned long port = 0;

	if (slash) {
		*slash++ = '\0';
		port = strtoul(slash, &end, 10);
		if (!*slash || *end || port > SV_MAX_PORTS)
			return false;
	}
	if (!sv_name_is_good(device))
		return false;
	snprintf(given->name, SV_NAME_MAX, "%s", device);
	*given->port = port;
	return true;
}

/* true: it is the word for the address itself */
static bool take_word(struct given *given, char *word)
{
	char *device = strchr(word, '=');
	struct cm_address address;

	if (!device)
		return false;
	*device++ = '\0';
	if (!strcmp(word, "*")) {
		if (!given->by_star)
			given->by_star = take_device(given, device);
		return false;
	}
	return cm_address_from_text(&address, word) &&
	       cm_address_is_same(&address, given->address) &&
	       take_device(given, device);
}

static bool take_words(struct given *given, char *text)
{
	char *save, *word;

	for (word = strtok_r(text, " ,\t\n", &save); word;
	     word = strtok_r(NULL, " ,\t\n", &save))
		if (take_word(given, word))
			return true;
	return false;
}

static void read_file(struct softverbs *sv, char *text, size_t size)
{
	int dir = cm_port_dir(sv, false);

	text[0] = '\0';
	if (dir < 0)
		return;
	if (sv_read_file(dir, "addresses", text, size))
		text[0] = '\0';
	close(dir);
}

/* what it was given to by name; or by "*" */
static bool look_up(struct softverbs *sv, struct given *given)
{
	const char *env = secure_getenv("SOFTVERBS_CM");
	char text[FILE_SIZE];

	snprintf(text, sizeof(text), "%s", env ? env : "");
	if (take_words(given, text))
		return true;
	read_file(sv, text, sizeof(text));
	return take_words(given, text);
}

bool cm_address_is_given(struct softverbs *sv, const struct cm_address *address,
			 char name[SV_NAME_MAX], uint32_t *port)
{
	struct given given = { .address = address, .name = name, .port = port };

	return look_up(sv, &given) || given.by_star;
}

/* ---- what this machine has ---- */

static bool is_loopback(const struct cm_address *address)
{
	static const uint8_t one[16] = { [15] = 1 };

	return address->family == 4 ? address->ip[12] == 127 :
				      !memcmp(address->ip, one, sizeof(one));
}

static bool is_of_an_interface(const struct cm_address *address)
{
	struct ifaddrs *list = NULL, *at;
	struct cm_address one;
	bool found = false;

	if (getifaddrs(&list))
		return false;
	for (at = list; at && !found; at = at->ifa_next)
		found = at->ifa_addr && cm_address_from(&one, at->ifa_addr) &&
			cm_address_is_same(&one, address);
	freeifaddrs(list);
	return found;
}

bool cm_address_is_local(struct softverbs *sv, const struct cm_address *address)
{
	char name[SV_NAME_MAX];
	uint32_t port;
	struct given given = { .address = address,
			       .name = name,
			       .port = &port };

	return is_loopback(address) || look_up(sv, &given) ||
	       is_of_an_interface(address);
}
