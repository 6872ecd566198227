// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Where the references on a slot's data came to be, for the dump and the drain
 * warning. The addresses are copied under reg->lock and named after it: that
 * reads files, and the dynamic loader has locks of its own.
 */
#include <inttypes.h>

#include "private.h"
#include "symbol.h"

static struct ibc__ref *next_ref(struct ibc__slot *slot, struct ibc__ref *ref)
{
	return ref == &slot->first ? slot->extra : ref->sibling;
}

static unsigned int room_for(struct ibc__tracker *t, struct ibc__slot *slot)
{
	unsigned int room = 0;
	struct ibc__ref *ref;

	for (ref = &slot->first; ref; ref = next_ref(slot, ref))
		room += ibc__holders_room(t, &ref->holders);
	return room;
}

static int by_address(const void *a, const void *b)
{
	const uintptr_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* most first; of as many, the lower address; others last */
static int by_count(const void *a, const void *b)
{
	const struct ibc__held *x = a, *y = b;

	if (!x->address || !y->address)
		return !x->address - !y->address;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return by_address(&x->address, &y->address);
}

/* equal addresses become one */
static struct ibc__held_list *merge(uintptr_t *addresses, unsigned int num,
				    unsigned int others)
{
	struct ibc__held_list *list;
	struct ibc__held *last;
	unsigned int i;

	list = malloc(sizeof(*list) + (num + 1) * sizeof(list->held[0]));
	if (!list)
		return NULL;
	list->num = 0;
	qsort(addresses, num, sizeof(addresses[0]), by_address);
	for (i = 0; i < num; i++) {
		last = list->num ? &list->held[list->num - 1] : NULL;
		if (last && last->address == addresses[i])
			last->count++;
		else
			list->held[list->num++] =
				(struct ibc__held){ addresses[i], 1 };
	}
	if (others)
		list->held[list->num++] = (struct ibc__held){ 0, others };
	qsort(list->held, list->num, sizeof(list->held[0]), by_count);
	return list;
}

int ibc__held_list(struct ibc__slot *slot, struct ibc__held_list **list)
{
	struct ibc__tracker *t = slot->dev->reg->tracker;
	unsigned int room, num = 0, others = 0;
	uintptr_t *addresses;
	struct ibc__ref *ref;

	*list = NULL;
	if (!t)
		return 0;
	room = room_for(t, slot);
	addresses = malloc((room + 1) * sizeof(*addresses));
	if (!addresses)
		return ENOMEM;
	for (ref = &slot->first; ref; ref = next_ref(slot, ref)) {
		num += ibc__holders_copy(t, &ref->holders, addresses + num,
					 room - num);
		others += ref->holders.others;
	}
	if (num || others)
		*list = merge(addresses, num, others);
	free(addresses);
	return *list || !(num || others) ? 0 : ENOMEM;
}

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/*
 * A call that does not return may be the last of its function: its own address
 * is one before. What is printed is where it returns to, as debuggers do.
 */
void ibc__held_name(const struct ibc__held *held, struct ibc__held_name *name)
{
	struct ibc__symbol symbol;
	uintptr_t offset;

	memset(name, 0, sizeof(*name));
	if (!held->address)
		return;
	snprintf(name->address, sizeof(name->address), "0x%" PRIxPTR,
		 held->address);
	if (!ibc__symbol_find(held->address - 1, &symbol))
		return;
	offset = symbol.offset + 1;
	snprintf(name->object, sizeof(name->object), "%s", symbol.object);
	snprintf(name->offset, sizeof(name->offset), "0x%" PRIxPTR, offset);
	snprintf(name->symbol, sizeof(name->symbol), "%s+0x%" PRIxPTR,
		 symbol.function[0] ? symbol.function : base(symbol.object),
		 offset - symbol.start);
}

void ibc__held_print(FILE *out, const struct ibc__held *held)
{
	struct ibc__held_name name;

	ibc__held_name(held, &name);
	if (!held->address)
		fprintf(out, "%u by others, not recorded", held->count);
	else if (!name.object[0])
		fprintf(out, "%u by %s (code that was unloaded)", held->count,
			name.address);
	else
		fprintf(out, "%u by %s (%s+%s)", held->count, name.symbol,
			name.object, name.offset);
}
