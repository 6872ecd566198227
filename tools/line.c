// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common.h"
#include "line.h"

static const char *const types[] = {
	[IBV_EVENT_CQ_ERR] = "CQ_ERR",
	[IBV_EVENT_QP_FATAL] = "QP_FATAL",
	[IBV_EVENT_QP_REQ_ERR] = "QP_REQ_ERR",
	[IBV_EVENT_QP_ACCESS_ERR] = "QP_ACCESS_ERR",
	[IBV_EVENT_COMM_EST] = "COMM_EST",
	[IBV_EVENT_SQ_DRAINED] = "SQ_DRAINED",
	[IBV_EVENT_PATH_MIG] = "PATH_MIG",
	[IBV_EVENT_PATH_MIG_ERR] = "PATH_MIG_ERR",
	[IBV_EVENT_DEVICE_FATAL] = "DEVICE_FATAL",
	[IBV_EVENT_PORT_ACTIVE] = "PORT_ACTIVE",
	[IBV_EVENT_PORT_ERR] = "PORT_ERR",
	[IBV_EVENT_LID_CHANGE] = "LID_CHANGE",
	[IBV_EVENT_PKEY_CHANGE] = "PKEY_CHANGE",
	[IBV_EVENT_SM_CHANGE] = "SM_CHANGE",
	[IBV_EVENT_SRQ_ERR] = "SRQ_ERR",
	[IBV_EVENT_SRQ_LIMIT_REACHED] = "SRQ_LIMIT_REACHED",
	[IBV_EVENT_QP_LAST_WQE_REACHED] = "QP_LAST_WQE_REACHED",
	[IBV_EVENT_CLIENT_REREGISTER] = "CLIENT_REREGISTER",
	[IBV_EVENT_GID_CHANGE] = "GID_CHANGE",
	[IBV_EVENT_WQ_FATAL] = "WQ_FATAL",
};

#define NUM_TYPES (sizeof(types) / sizeof(types[0]))

json_t *line_new(struct ibc_device *dev, const char *event)
{
	char guid[TOOL_GUID_SIZE];
	struct timespec now;
	double seconds;

	clock_gettime(CLOCK_REALTIME, &now);
	seconds = (double)now.tv_sec + (double)(now.tv_nsec / 1000) / 1e6;
	return json_pack("{s:f, s:s, s:s, s:i, s:s, s:I}", "time", seconds,
			 "event", event, "device", ibc_device_name(dev),
			 "index", ibc_device_index(dev), "guid",
			 tool_guid(ibc_device_guid(dev), guid), "incarnation",
			 (json_int_t)ibc_device_incarnation(dev));
}

static void print_time(double seconds)
{
	time_t whole = (time_t)seconds;
	char text[32];
	struct tm tm;

	localtime_r(&whole, &tm);
	strftime(text, sizeof(text), "%F %T", &tm);
	printf("%s.%06d", text, (int)((seconds - (double)whole) * 1e6 + 0.5));
}

static void print_value(const json_t *value)
{
	if (json_is_string(value))
		fputs(json_string_value(value), stdout);
	else if (json_is_boolean(value))
		fputs(json_is_true(value) ? "yes" : "no", stdout);
	else
		printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
}

static void print_member(const char *key, const json_t *value)
{
	if (!strcmp(key, "time")) {
		print_time(json_real_value(value));
		return;
	}
	putchar(' ');
	if (strcmp(key, "event") && strcmp(key, "device"))
		printf("%s=", key);
	print_value(value);
}

/* time event device key=value ... */
static void print_text(json_t *line)
{
	void *i;

	for (i = json_object_iter(line); i; i = json_object_iter_next(line, i))
		print_member(json_object_iter_key(i),
			     json_object_iter_value(i));
}

void line_print(json_t *line, bool json)
{
	/* 16 digits: microseconds, for the next 250 years */
	if (json)
		json_dumpf(line, stdout,
			   JSON_COMPACT | JSON_REAL_PRECISION(16));
	else
		print_text(line);
	putchar('\n');
	fflush(stdout);
}

enum element {
	NO_ELEMENT,
	PORT,
	OBJECT,
};

static enum element element_of(enum ibv_event_type type)
{
	switch (type) {
	case IBV_EVENT_PORT_ACTIVE:
	case IBV_EVENT_PORT_ERR:
	case IBV_EVENT_LID_CHANGE:
	case IBV_EVENT_PKEY_CHANGE:
	case IBV_EVENT_SM_CHANGE:
	case IBV_EVENT_CLIENT_REREGISTER:
	case IBV_EVENT_GID_CHANGE:
		return PORT;
	case IBV_EVENT_DEVICE_FATAL:
		return NO_ELEMENT;
	default:
		return (unsigned int)type < NUM_TYPES ? OBJECT : NO_ELEMENT;
	}
}

static const char *type_name(enum ibv_event_type type, char buf[16])
{
	if ((unsigned int)type < NUM_TYPES && types[type])
		return types[type];
	snprintf(buf, 16, "%u", (unsigned int)type);
	return buf;
}

void line_set_event(json_t *line, const struct ibc_event *event)
{
	enum ibv_event_type type = event->async.event_type;
	enum element element = element_of(type);
	char buf[16];

	json_object_set_new(line, "type", json_string(type_name(type, buf)));
	if (element == PORT)
		json_object_set_new(
			line, "port",
			json_integer(event->async.element.port_num));
	else if (element == OBJECT)
		json_object_set_new(line, "element",
				    json_integer(event->element_num));
	json_object_set_new(line, "count", json_integer(event->count));
	json_object_set_new(line, "replayed",
			    json_boolean(event->flags & IBC_EVENT_REPLAYED));
}

bool line_is_event(const char *word)
{
	static const char *const events[] = { "add", "remove", "gone", "rename",
					      "async" };
	size_t i;

	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (!strcmp(word, events[i]))
			return true;
	}
	for (i = 0; i < NUM_TYPES; i++) {
		if (types[i] && !strcmp(word, types[i]))
			return true;
	}
	return false;
}
