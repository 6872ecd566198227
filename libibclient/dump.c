// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * ibc_dump(): what the registry knows, as text or JSON. Written to memory under
 * the lock and to the caller's stream after it: that stream may be anything.
 * Who holds references is copied under the lock too, but named after it, in the
 * gaps that are left for that.
 */
#include <inttypes.h>

#include "private.h"

struct gap {
	size_t at; /* in the text */
	struct ibc__held_list *held;
};

struct dump {
	struct ibc_registry *reg;
	FILE *out; /* writes to text */
	char *text;
	size_t len;
	struct gap *gaps;
	unsigned int num_gaps;
	int error;
	bool comma; /* one is due before the next element */
};

static const char *const state_names[] = {
	[IBC_DEVICE_LIVE] = "live",
	[IBC_DEVICE_REMOVING] = "removing",
	[IBC_DEVICE_DRAINING] = "draining",
	[IBC_DEVICE_GONE] = "gone",
};

#define STAT(name)                                      \
	{                                               \
#name, offsetof(struct ibc_stats, name) \
	}

static const struct {
	const char *name;
	size_t offset;
} stats[] = {
	STAT(devices_added),
	STAT(devices_gone),
	STAT(opens_failed),
	STAT(adds),
	STAT(adds_failed),
	STAT(removes),
	STAT(allocs),
	STAT(allocs_failed),
	STAT(frees),
	STAT(events_read),
	STAT(events_delivered),
	STAT(events_merged),
	STAT(scans),
	STAT(hints),
	STAT(false_hints),
};

#define NUM_STATS (sizeof(stats) / sizeof(stats[0]))

static uint64_t stat_value(const struct ibc_stats *all, unsigned int n)
{
	return *(const uint64_t *)((const char *)all + stats[n].offset);
}

static void format_guid(__be64 guid, char *buf, size_t size)
{
	const uint8_t *g = (const uint8_t *)&guid;

	snprintf(buf, size, "%02x%02x:%02x%02x:%02x%02x:%02x%02x", g[0], g[1],
		 g[2], g[3], g[4], g[5], g[6], g[7]);
}

/* the holders of the slot's data, if any, go here */
static void leave_gap(struct dump *d, struct ibc__slot *slot)
{
	struct ibc__held_list *held;
	struct gap *gaps = NULL;
	int error = ibc__held_list(slot, &held);

	if (held) {
		gaps = reallocarray(d->gaps, d->num_gaps + 1, sizeof(*gaps));
		error = gaps ? fflush(d->out) : ENOMEM;
	}
	if (gaps) {
		d->gaps = gaps;
		d->gaps[d->num_gaps++] = (struct gap){ d->len, held };
	} else {
		free(held);
	}
	if (error)
		d->error = ENOMEM;
}

/* ---- JSON ---- */

/* how long a character of UTF-8 begins here: not overlong, no surrogate; or 0 */
static unsigned int utf8_length(const unsigned char *s)
{
	unsigned int i, len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	for (i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* UTF-8 as it is; a byte that is none becomes U+FFFD */
static void json_string(FILE *out, const char *string)
{
	const unsigned char *s = (const unsigned char *)string;
	unsigned int len;

	fputc('"', out);
	for (; *s; s += len) {
		len = *s < 0x80 ? 1 : utf8_length(s);
		if (!len) {
			fputs("\\ufffd", out);
			len = 1;
		} else if (*s == '"' || *s == '\\') {
			fprintf(out, "\\%c", *s);
		} else if (*s < 0x20 || *s == 0x7f) {
			fprintf(out, "\\u%04x", *s);
		} else {
			fwrite(s, len, 1, out);
		}
	}
	fputc('"', out);
}

static void json_next(struct dump *d)
{
	if (d->comma)
		fputs(", ", d->out);
	d->comma = true;
}

/* what get would find, or what is kept for remove() */
static struct ibc_client_data *slot_data(struct ibc__slot *slot)
{
	struct ibc__ref *ref = slot->held ? slot->held : slot->cur;

	if (!ref && ibc__slot_refs(slot))
		ref = &slot->first;
	return ref ? ref->data : NULL;
}

static void json_slot(struct dump *d, struct ibc__slot *slot)
{
	struct ibc_client_data *data = slot_data(slot);

	json_next(d);
	fputs("{\"name\": ", d->out);
	json_string(d->out, ibc__client_name(slot->client));
	if (data)
		fprintf(d->out, ", \"data\": \"%p\"", (void *)data);
	else
		fputs(", \"data\": null", d->out);
	fprintf(d->out, ", \"refs\": %" PRIu64 ", \"holders\": [",
		ibc__slot_refs(slot));
	leave_gap(d, slot);
	fputs("]}", d->out);
}

/* null, if it is not known */
static void json_known(FILE *out, const char *key, const char *s)
{
	fprintf(out, "\"%s\": ", key);
	if (*s)
		json_string(out, s);
	else
		fputs("null", out);
	fputs(", ", out);
}

static void json_held(FILE *out, const struct ibc__held *held)
{
	struct ibc__held_name name;

	ibc__held_name(held, &name);
	fputc('{', out);
	json_known(out, "address", name.address);
	json_known(out, "symbol", name.symbol);
	json_known(out, "object", name.object);
	json_known(out, "offset", name.offset);
	fprintf(out, "\"count\": %u}", held->count);
}

static void json_gap(FILE *out, const struct ibc__held_list *list)
{
	unsigned int i;

	for (i = 0; i < list->num; i++) {
		fputs(i ? ", " : "", out);
		json_held(out, &list->held[i]);
	}
}

/* clients that have the device, or something of it */
static bool shown(struct ibc__slot *slot)
{
	return slot->state == IBC_SLOT_ADDED ||
	       slot->state == IBC_SLOT_REMOVING || ibc__slot_refs(slot);
}

static void json_device(struct dump *d, struct ibc_device *dev)
{
	struct ibc__client *c;
	char guid[32];

	json_next(d);
	format_guid(dev->id.guid, guid, sizeof(guid));
	fputs("{\"name\": ", d->out);
	json_string(d->out, dev->name);
	fprintf(d->out,
		", \"index\": %d, \"guid\": \"%s\", \"incarnation\": %" PRIu64
		", \"state\": \"%s\", \"adopted\": %s, \"clients\": [",
		dev->id.index, guid, dev->incarnation, state_names[dev->state],
		dev->adopted ? "true" : "false");
	d->comma = false;
	TAILQ_FOREACH(c, &d->reg->clients, entry)
		if (shown(ibc__slot(dev, c->id)))
			json_slot(d, ibc__slot(dev, c->id));
	fputs("]}", d->out);
	d->comma = true;
}

static void json_client(struct dump *d, struct ibc__client *c)
{
	json_next(d);
	fputs("{\"name\": ", d->out);
	json_string(d->out, ibc__client_name(c));
	fprintf(d->out, ", \"devices\": %u, \"unregistering\": %s}", c->active,
		c->dying ? "true" : "false");
}

static void json_source(struct dump *d, struct ibc__source *source)
{
	json_next(d);
	fprintf(d->out, "{\"name\": \"%s\", \"state\": \"%s\", \"why\": ",
		source->ops->name, ibc__source_state_name(source->state));
	json_string(d->out, source->why);
	fprintf(d->out,
		", \"hints\": %" PRIu64 ", \"false_hints\": %" PRIu64
		", \"scans\": %" PRIu64 ", \"removals\": %" PRIu64 "}",
		source->hints, source->false_hints, source->scans,
		source->removals);
}

/* the nth of the removals that are remembered, the oldest first, or NULL */
static struct ibc__removal *removal(struct ibc_registry *reg, unsigned int n)
{
	unsigned int num = reg->num_removals;
	unsigned int first =
		num > IBC_NUM_REMOVALS ? num - IBC_NUM_REMOVALS : 0;

	if (n >= num - first)
		return NULL;
	return &reg->removals[(first + n) % IBC_NUM_REMOVALS];
}

static void json_removal(struct dump *d, struct ibc__removal *r)
{
	json_next(d);
	fputs("{\"device\": ", d->out);
	json_string(d->out, r->name);
	fprintf(d->out,
		", \"index\": %d, \"incarnation\": %" PRIu64
		", \"reason\": \"%s\", \"source\": \"%s\"}",
		r->index, r->incarnation, ibc__reason_name(r->reason),
		ibc__by_name(r->by));
}

static void json_list(struct dump *d, const char *name)
{
	fprintf(d->out, "%s\"%s\": [", d->comma ? "], " : "", name);
	d->comma = false;
}

static void dump_json(struct dump *d)
{
	struct ibc_registry *reg = d->reg;
	struct ibc__removal *r;
	struct ibc_device *dev;
	struct ibc__client *c;
	unsigned int i;

	fputs("{\"version\": ", d->out);
	json_string(d->out, ibc_version());
	fputs(", ", d->out);
	json_list(d, "devices");
	TAILQ_FOREACH(dev, &reg->devices, entry)
		if (dev->announced)
			json_device(d, dev);
	d->comma = true;
	json_list(d, "clients");
	TAILQ_FOREACH(c, &reg->clients, entry)
		json_client(d, c);
	d->comma = true;
	json_list(d, "sources");
	for (i = 0; i < IBC_NUM_SOURCES; i++)
		json_source(d, &reg->sources[i]);
	d->comma = true;
	json_list(d, "removals");
	for (i = 0; (r = removal(reg, i)); i++)
		json_removal(d, r);
	fputs("], \"stats\": {", d->out);
	d->comma = false;
	for (i = 0; i < NUM_STATS; i++) {
		json_next(d);
		fprintf(d->out, "\"%s\": %" PRIu64, stats[i].name,
			stat_value(&reg->stats, i));
	}
	fputs("}}\n", d->out);
}

/* ---- text ---- */

static void text_device(struct dump *d, struct ibc_device *dev)
{
	struct ibc__client *c;
	struct ibc__slot *slot;
	char guid[32];

	format_guid(dev->id.guid, guid, sizeof(guid));
	fprintf(d->out,
		"device %s: %s%s, index %d, guid %s, incarnation %" PRIu64 "\n",
		dev->name,
		dev->announced ? state_names[dev->state] : "not open",
		dev->adopted ? ", adopted" : "", dev->id.index, guid,
		dev->incarnation);
	if (dev->open_error && !dev->announced)
		fprintf(d->out, "  cannot be opened: %s, tried %u times\n",
			strerror(dev->open_error), dev->failures);
	TAILQ_FOREACH(c, &d->reg->clients, entry) {
		slot = ibc__slot(dev, c->id);
		if (!shown(slot))
			continue;
		fprintf(d->out,
			"  client %s: data %p, %" PRIu64 " references\n",
			ibc__client_name(c), (void *)slot_data(slot),
			ibc__slot_refs(slot));
		leave_gap(d, slot);
	}
}

static void text_gap(FILE *out, const struct ibc__held_list *list)
{
	unsigned int i;

	for (i = 0; i < list->num; i++) {
		fputs("    ", out);
		ibc__held_print(out, &list->held[i]);
		fputc('\n', out);
	}
}

static void text_source(struct dump *d, struct ibc__source *source)
{
	fprintf(d->out,
		"source %s: %s (%s), %" PRIu64 " hints, %" PRIu64
		" of them false, %" PRIu64 " scans, %" PRIu64 " removals\n",
		source->ops->name, ibc__source_state_name(source->state),
		source->why, source->hints, source->false_hints, source->scans,
		source->removals);
}

static void dump_text(struct dump *d)
{
	struct ibc_registry *reg = d->reg;
	struct ibc__removal *r;
	struct ibc_device *dev;
	struct ibc__client *c;
	unsigned int i;

	fprintf(d->out, "libibclient %s\n", ibc_version());
	TAILQ_FOREACH(dev, &reg->devices, entry)
		text_device(d, dev);
	TAILQ_FOREACH(c, &reg->clients, entry)
		fprintf(d->out, "client %s: on %u devices%s\n",
			ibc__client_name(c), c->active,
			c->dying ? ", unregistering" : "");
	for (i = 0; i < IBC_NUM_SOURCES; i++)
		text_source(d, &reg->sources[i]);
	for (i = 0; (r = removal(reg, i)); i++)
		fprintf(d->out,
			"removed %s: index %d, incarnation %" PRIu64
			", %s, told by %s\n",
			r->name, r->index, r->incarnation,
			ibc__reason_name(r->reason), ibc__by_name(r->by));
	for (i = 0; i < NUM_STATS; i++)
		fprintf(d->out, "%s %" PRIu64 "\n", stats[i].name,
			stat_value(&reg->stats, i));
}

/* a stream to memory ends: did all of it fit? */
static int end(FILE *out)
{
	int failed = ferror(out);

	return fclose(out) || failed ? ENOMEM : 0;
}

/* the text as it was under the lock, with gaps */
static int collect(struct dump *d, enum ibc_dump_format format)
{
	int error;

	d->out = open_memstream(&d->text, &d->len);
	if (!d->out)
		return errno;
	ibc__lock(d->reg);
	if (format == IBC_DUMP_JSON)
		dump_json(d);
	else
		dump_text(d);
	ibc__unlock(d->reg);
	error = end(d->out);
	return error ? error : d->error;
}

/* no lock held: the same with the gaps filled, in memory of the caller's */
static int fill(const struct dump *d, enum ibc_dump_format format, char **text,
		size_t *len)
{
	FILE *out = open_memstream(text, len);
	const struct gap *gap;
	unsigned int i;
	size_t done = 0;

	if (!out)
		return errno;
	for (i = 0; i < d->num_gaps; i++) {
		gap = &d->gaps[i];
		fwrite(d->text + done, 1, gap->at - done, out);
		done = gap->at;
		if (format == IBC_DUMP_JSON)
			json_gap(out, gap->held);
		else
			text_gap(out, gap->held);
	}
	fwrite(d->text + done, 1, d->len - done, out);
	return end(out);
}

static void release(struct dump *d)
{
	while (d->num_gaps)
		free(d->gaps[--d->num_gaps].held);
	free(d->gaps);
	free(d->text);
}

int ibc_dump(struct ibc_registry *reg, FILE *out, enum ibc_dump_format format)
{
	struct dump d = { .reg = reg };
	char *text = NULL;
	size_t len = 0;
	int error = ibc__registry_check(reg);

	if (error)
		return error;
	if (!out || (format != IBC_DUMP_TEXT && format != IBC_DUMP_JSON))
		return EINVAL;
	error = collect(&d, format);
	if (!error)
		error = fill(&d, format, &text, &len);
	release(&d);
	errno = 0;
	if (!error && fwrite(text, 1, len, out) != len)
		error = errno ? errno : EIO;
	free(text);
	return error;
}
