// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Making async events happen: `softverbs event`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <infiniband/verbs.h>

#include "control.h"

struct spec {
	int type;
	enum sv_kind kind; /* SV_NONE: of a port or the device */
	bool has_element;
	unsigned long element; /* port, number or handle */
	unsigned long pid;     /* 0: any */
	unsigned long count;
};

static int parse_number(const char *text, unsigned long *n)
{
	char *end;

	if (!text || *text < '0' || *text > '9')
		return EINVAL;
	errno = 0;
	*n = strtoul(text, &end, 0);
	return *end || errno || *n > UINT32_MAX ? EINVAL : 0;
}

static int parse_option(struct spec *spec, const char *option,
			const char *value)
{
	static const struct {
		const char *option;
		enum sv_kind kind;
	} elements[] = {
		{ "--port", SV_NONE }, { "--qp", SV_QP }, { "--cq", SV_CQ },
		{ "--srq", SV_SRQ },   { "--wq", SV_WQ },
	};
	unsigned int i;

	if (strcmp(option, "--pid") == 0)
		return parse_number(value, &spec->pid);
	if (strcmp(option, "--count") == 0)
		return parse_number(value, &spec->count) || !spec->count ?
			       EINVAL :
			       0;
	for (i = 0; i < sizeof(elements) / sizeof(elements[0]); i++) {
		if (strcmp(option, elements[i].option))
			continue;
		if (spec->has_element || elements[i].kind != spec->kind)
			return EINVAL;
		spec->has_element = true;
		return parse_number(value, &spec->element);
	}
	return EINVAL;
}

static int parse_words(struct spec *spec, char *text)
{
	char *word, *value, *save;
	int error = 0;

	word = strtok_r(text, " \t", &save);
	spec->type = word ? sv_event_type(word) : -1;
	if (spec->type < 0)
		return EINVAL;
	spec->kind = sv_event_kind(spec->type);
	while (!error && (word = strtok_r(NULL, " \t", &save))) {
		value = strchr(word, '=');
		if (value)
			*value++ = '\0';
		else
			value = strtok_r(NULL, " \t", &save);
		error = parse_option(spec, word, value);
	}
	/* an object's event needs one, the device's has none */
	if (!error && spec->kind != SV_NONE && !spec->has_element)
		error = EINVAL;
	if (spec->type == IBV_EVENT_DEVICE_FATAL && spec->has_element)
		error = EINVAL;
	return error;
}

static int parse(struct spec *spec, const char *text)
{
	char *copy = strdup(text);
	int error;

	if (!copy)
		return ENOMEM;
	memset(spec, 0, sizeof(*spec));
	spec->count = 1;
	error = parse_words(spec, copy);
	free(copy);
	return error;
}

struct sending {
	const struct spec *spec;
	struct sv_event event;
	unsigned int found; /* contexts */
	int error;
};

static int match(const struct sv_object *object, void *arg)
{
	struct sending *s = arg;

	if (object->number != s->spec->element)
		return 0;
	s->event.element = object->id;
	return 1;
}

static int send_one(struct sv_context *ctx, void *arg)
{
	struct sending *s = arg;
	unsigned long i;

	if (s->spec->pid && ctx->pid != s->spec->pid)
		return 0;
	if (s->spec->kind != SV_NONE &&
	    !sv_context_objects(ctx, s->spec->kind, match, s))
		return 0;
	s->found++;
	for (i = 0; !s->error && i < s->spec->count; i++)
		s->error = sv_context_send(ctx, &s->event);
	return s->error;
}

/* of a port: the first, unless said */
static int set_port(struct sending *s, struct sv_device *dev)
{
	if (s->spec->kind != SV_NONE || s->event.type == IBV_EVENT_DEVICE_FATAL)
		return 0;
	s->event.element = s->spec->has_element ? s->spec->element : 1;
	if (!s->event.element || s->event.element > dev->state.num_ports)
		return ENXIO;
	return 0;
}

int softverbs_send_event(struct softverbs *sv, const char *name,
			 const char *text)
{
	struct sv_device dev;
	struct spec spec;
	struct sending s = { .spec = &spec };
	int error = text ? parse(&spec, text) : EINVAL;

	if (error)
		return error;
	error = sv_device_find(sv, name, &dev);
	if (error)
		return error;
	s.event.type = spec.type;
	error = set_port(&s, &dev);
	if (!error) {
		sv_for_each_context(dev.dir, send_one, &s);
		error = s.error;
		if (!error && !s.found && (spec.kind != SV_NONE || spec.pid))
			error = ENOENT;
	}
	sv_device_done(&dev);
	return error;
}
