// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What a program hands in: attributes, environment, patterns, names, structs of
 * clients and filters, events, errors, sizes, time-outs. And what the kernel calls
 * its devices. The input begins with what is there before ibc_open(), and goes on
 * with calls, a letter each; what each must answer is worked out here again.
 */
#include <fnmatch.h>
#include <string.h>
#include <jansson.h>

#include "given.h"

#define MAX_STEPS 40

/* the sources are chosen, but the kernel has none of them to offer */
int __wrap_socket(int domain, int type, int protocol);
int __wrap_inotify_init1(int flags);

int __wrap_socket(int domain, int type, int protocol)
{
	(void)domain;
	(void)type;
	(void)protocol;
	errno = EACCES;
	return -1;
}

int __wrap_inotify_init1(int flags)
{
	(void)flags;
	errno = EACCES;
	return -1;
}

static struct ibc_client client = { .name = "first" };

static void text(struct input *in, char *buf, size_t size)
{
	size_t len = bytes(in, (uint8_t *)buf, size - 1), i;

	for (i = 0; i < len; i++)
		if (!buf[i])
			break;
	buf[i] = '\0';
}

/* ---- IBC_SOURCES, and what it must come to ---- */

static const struct {
	const char *name;
	bool hotplug;
} sources[] = {
	{ "uevent", true }, { "netlink", true }, { "inotify", true },
	{ "async", false }, { "probe", false },	 { "timer", true },
};

#define NUM_SOURCES (sizeof(sources) / sizeof(sources[0]))

static void only_context(bool *on)
{
	unsigned int i;

	for (i = 0; i < NUM_SOURCES; i++)
		on[i] = on[i] && !sources[i].hotplug;
}

static void choose(const char *list, bool *on)
{
	char copy[256], *word, *rest = NULL;
	bool any = false, named = false;
	unsigned int i;

	memset(on, true, NUM_SOURCES);
	snprintf(copy, sizeof(copy), "%s", list);
	for (word = strtok_r(copy, ", ", &rest); word;
	     word = strtok_r(NULL, ", ", &rest)) {
		any = true;
		for (i = 0; i < NUM_SOURCES; i++) {
			if (word[0] == '-' &&
			    strcmp(word + 1, sources[i].name) == 0)
				on[i] = false;
			if (strcmp(word, sources[i].name) != 0)
				continue;
			if (!named)
				only_context(on);
			named = on[i] = true;
		}
	}
	if (!any)
		only_context(on);
}

static void check_sources(struct ibc_registry *reg, const char *list)
{
	bool on[NUM_SOURCES];
	unsigned int i;

	choose(list, on);
	for (i = 0; i < NUM_SOURCES; i++)
		fuzz_check((reg->sources[i].state != IBC_SOURCE_OFF) == on[i]);
}

/* ---- opening ---- */

static bool valid_attr(const struct ibc_registry_attr *attr)
{
	if (attr->comp_mask || attr->flags > 7 || attr->num_threads > 1024)
		return false;
	return !(attr->flags & IBC_REGISTRY_MANUAL) || !attr->num_threads;
}

static bool chosen(const char *patterns, const char *name)
{
	char copy[256], *rest = copy, *pattern;

	snprintf(copy, sizeof(copy), "%s", patterns);
	if (!*copy)
		return false;
	while ((pattern = strsep(&rest, ",")))
		/* longer than a name may be: none is meant by it */
		if (strlen(pattern) < 64 && fnmatch(pattern, name, 0) == 0)
			/* what ends in a comma has no empty one behind it */
			if (*pattern || rest)
				return true;
	return false;
}

static void add_devices(struct world *w, struct input *in)
{
	unsigned int i, n = number(in) % (MAX_DEVICES + 1);
	char name[64];

	while (n--) {
		text(in, name, sizeof(name));
		for (i = 0; i < w->num_names; i++)
			if (strcmp(w->names[i], name) == 0)
				break;
		if (i < w->num_names)
			continue;
		strcpy(w->names[w->num_names++], name);
		fake_add(name, number(in));
	}
}

static void check_found(struct world *w, const struct ibc_registry_attr *attr)
{
	struct ibc_device *dev;
	unsigned int i;
	bool wanted;

	for (i = 0; i < w->num_names; i++) {
		wanted = !(attr->flags & IBC_REGISTRY_NO_OPEN) &&
			 (!attr->devices || chosen(attr->devices, w->names[i]));
		dev = ibc_get_device_by_name(w->reg, w->names[i]);
		fuzz_check(!!dev == wanted);
		if (dev)
			fuzz_check(strcmp(ibc_device_name(dev), w->names[i]) ==
				   0);
		if (dev && !w->dev)
			w->dev = dev;
		else
			ibc_put_device(dev);
	}
}

static void start(struct world *w, struct input *in)
{
	struct ibc_registry_attr attr = {};
	char list[200], track[8], patterns[200];
	bool with_list = number(in) & 1;

	text(in, list, sizeof(list));
	text(in, track, sizeof(track));
	text(in, patterns, sizeof(patterns));
	setenv("IBC_SOURCES", with_list ? list : "", 1);
	setenv("IBC_TRACK_REFS", track, 1);
	add_devices(w, in);
	attr.comp_mask = word(in);
	attr.flags = word(in);
	attr.num_threads = word(in);
	attr.scan_interval_ms = word(in);
	attr.drain_warn_ms = word(in);
	attr.devices = number(in) & 1 ? patterns : NULL;
	if (attr.num_threads > 3 && attr.num_threads <= 1024)
		attr.num_threads = 1024 + attr.num_threads; /* too many here */
	errno = 0;
	w->reg = ibc_open(&attr);
	fuzz_check(!!w->reg == valid_attr(&attr));
	if (!w->reg) {
		fuzz_check(errno == EINVAL);
		attr = (struct ibc_registry_attr){
			.flags = IBC_REGISTRY_MANUAL,
			.devices = attr.devices,
		};
		w->reg = ibc_open(&attr);
		fuzz_check(w->reg);
	}
	w->manual = attr.flags & IBC_REGISTRY_MANUAL;
	check_sources(w->reg, with_list ? list : "");
	fuzz_check(ibc_register_client(w->reg, &client) == 0);
	check_found(w, &attr);
	if (w->dev)
		w->qp = fake_make_qp(ibc_device_context(w->dev), w);
}

/* ---- clients ---- */

static void other_client(struct world *w, struct input *in)
{
	struct ibc_client other = {};
	int timeout = (int)(int8_t)number(in) - 2, error;
	char name[64];

	text(in, name, sizeof(name));
	other.name = number(in) & 1 ? name : NULL;
	other.comp_mask = word(in);
	other.flags = word(in);
	other.event_mask = (uint64_t)word(in) << 32 | word(in);
	other.opaque[number(in) % 4] = word(in);
	error = other.comp_mask || other.flags > 3 || other.opaque[0] ||
				other.opaque[1] || other.opaque[2] ||
				other.opaque[3] ?
			EINVAL :
			0;
	fuzz_check(ibc_register_client(w->reg, &other) == error);
	fuzz_check(ibc_register_client(w->reg, &client) == EBUSY);
	if (error) {
		fuzz_check(ibc_unregister_client(&other) == EINVAL);
		return;
	}
	if (timeout < -1) {
		fuzz_check(ibc_unregister_client_timed(&other, timeout) ==
			   EINVAL);
		timeout = -1;
	}
	error = ibc_unregister_client_timed(&other, timeout);
	if (error) {
		fuzz_check(!w->manual && error == ETIMEDOUT);
		fuzz_check(ibc_unregister_client(&other) == 0);
	}
	fuzz_check(!other.opaque[0]);
}

/* ---- sizes, numbers, names ---- */

static void stats(struct world *w, struct input *in)
{
	size_t size = number(in), i;
	uint8_t *buf = malloc(size);
	struct ibc_stats all;
	int error;

	given_settle(w);
	fuzz_check(ibc_query_stats(w->reg, &all, sizeof(all)) == 0);
	error = ibc_query_stats(w->reg, size ? (struct ibc_stats *)buf : NULL,
				size);
	fuzz_check(error == (size ? 0 : EINVAL));
	for (i = 0; i < size && w->manual; i++)
		fuzz_check(buf[i] ==
			   (i < sizeof(all) ? ((uint8_t *)&all)[i] : 0));
	free(buf);
}

static void look_up(struct world *w, struct input *in)
{
	struct ibc_device *dev;
	int index = (int)word(in);
	char name[64];

	text(in, name, sizeof(name));
	errno = 0;
	dev = ibc_get_device_by_index(w->reg, index);
	if (dev)
		fuzz_check(ibc_device_index(dev) == index);
	else
		fuzz_check(errno == (index < 0 ? EINVAL : ENODEV));
	ibc_put_device(dev);
	errno = 0;
	dev = ibc_get_device_by_name(w->reg, name);
	if (dev)
		fuzz_check(w->dev && !strcmp(ibc_device_name(dev), name));
	else
		fuzz_check(errno == ENODEV);
	ibc_put_device(dev);
}

/* whatever the names are, it is JSON */
static void dump(struct world *w, struct input *in)
{
	enum ibc_dump_format format = word(in);
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);
	json_t *json;
	int error;

	fuzz_check(f);
	error = ibc_dump(w->reg, f, format);
	fclose(f);
	fuzz_check(error == (format > IBC_DUMP_JSON ? EINVAL : 0));
	if (format == IBC_DUMP_JSON) {
		json = json_loadb(out, len, JSON_REJECT_DUPLICATES, NULL);
		fuzz_check(json_array_size(json_object_get(json, "sources")) ==
			   NUM_SOURCES);
		json_decref(json);
	}
	free(out);
}

static void adopt(struct world *w, struct input *in)
{
	uint32_t flags = word(in);
	struct ibv_context *context;
	struct ibc_device *dev;

	context = w->num_names ? fake_open(w->names[0]) : NULL;
	errno = 0;
	dev = ibc_adopt_context(w->reg, context, flags);
	fuzz_check(!!dev == (context && flags < 2));
	if (dev) {
		fuzz_check(ibc_device_adopted(dev));
		fuzz_check(ibc_remove_device(dev) == 0);
		fuzz_check(ibc_wait_drained(dev, -1) == 0);
		ibc_put_device(dev);
	} else {
		fuzz_check(errno == EINVAL);
	}
	if (context)
		fake_close(context);
}

static void error_of_verb(struct world *w, struct input *in)
{
	int error = (int)word(in), result;

	if (byte(in) == '-')
		error = -error;
	result = ibc_report_error(w->dev, error);
	fuzz_check(result == (w->dev ? 0 : EINVAL));
	given_settle(w);
}

static void time_outs(struct world *w, struct input *in)
{
	int timeout = -2 - (int)(word(in) >> 1);

	fuzz_check(ibc_dispatch(w->reg, timeout) == EINVAL);
	fuzz_check(ibc_wait_drained(w->dev, timeout) == EINVAL);
}

static void sink(int level, const char *message, void *arg)
{
	struct world *w = arg;

	fuzz_check(level >= IBC_LOG_ERROR && level <= IBC_LOG_INFO);
	fuzz_check(strlen(message));
	__atomic_add_fetch(&w->logged, 1, __ATOMIC_RELAXED);
}

static void step(struct world *w, struct input *in)
{
	switch (byte(in)) {
	case 'c':
		return other_client(w, in);
	case 'f':
		return given_filter(w, in);
	case 'e':
		return given_event(w, in);
	case 's':
		return stats(w, in);
	case 'l':
		return look_up(w, in);
	case 'd':
		return dump(w, in);
	case 'a':
		return adopt(w, in);
	case 'E':
		return error_of_verb(w, in);
	case 't':
		return time_outs(w, in);
	}
}

static void stop(struct world *w)
{
	unsigned int i;

	for (i = 0; i < MAX_HANDLERS; i++)
		if (w->handlers[i].handle)
			fuzz_check(ibc_unregister_event_handler(
					   w->handlers[i].handle) == 0);
	ibc_put_device(w->dev);
	fuzz_check(ibc_unregister_client(&client) == 0);
	fuzz_check(ibc_close(w->reg) == 0);
	if (w->qp)
		fake_destroy_qp(w->qp);
	ibc_set_log(NULL, NULL);
	fuzz_check(fake_stop());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct world w = {};
	int i;

	fake_start();
	ibc_set_log(sink, &w);
	start(&w, &in);
	for (i = 0; in.size && i < MAX_STEPS; i++)
		step(&w, &in);
	stop(&w);
	return 0;
}
