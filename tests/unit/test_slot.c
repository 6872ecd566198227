// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Where slots lie, and how they grow: many clients on several devices; and what
 * a get finds that was under way when something happened to the slot.
 */
#include "harness.h"
#include "data.h"
#include "quick.h"

#define CLIENTS 300
#define DEVICES 3

static struct ibc_client clients[CLIENTS];
static struct ibc_device *devs[DEVICES];

static struct ibc_client_data *alloc(struct ibc_client *client,
				     struct ibc_device *dev)
{
	(void)client;
	(void)dev;
	return calloc(1, sizeof(struct ibc_client_data));
}

static void release(struct ibc_client_data *data)
{
	free(data);
}

static void register_with(unsigned int i, uint32_t flags)
{
	memset(&clients[i], 0, sizeof(clients[i]));
	clients[i].flags = flags;
	clients[i].alloc_client_data = alloc;
	clients[i].free_client_data = release;
	assert_int_equal(ibc_register_client(h_reg, &clients[i]), 0);
}

static void register_client(unsigned int i)
{
	register_with(i, 0);
}

static void register_all(void)
{
	char name[] = "soft0";
	unsigned int i;

	for (i = 0; i < DEVICES; i++, name[4]++)
		fake_add(name, 0x100 + i);
	for (i = 0; i < CLIENTS; i++)
		register_client(i);
	for (i = 0, name[4] = '0'; i < DEVICES; i++, name[4]++)
		devs[i] = h_device(name);
}

static void unregister_all(void)
{
	unsigned int i;

	for (i = 0; i < DEVICES; i++)
		ibc_put_device(devs[i]);
	for (i = 0; i < CLIENTS; i++)
		assert_int_equal(ibc_unregister_client(&clients[i]), 0);
}

/* of what alloc makes, each pair has one, and it knows its pair */
static void check_pairs(void)
{
	struct ibc_client_data *data, *again;
	unsigned int c, d;

	for (c = 0; c < CLIENTS; c++) {
		for (d = 0; d < DEVICES; d++) {
			data = ibc_alloc_or_get_client_data(devs[d],
							    &clients[c]);
			assert_non_null(data);
			assert_ptr_equal(data->device, devs[d]);
			assert_ptr_equal(data->client, &clients[c]);
			again = ibc_get_client_data(devs[d], &clients[c]);
			assert_ptr_equal(again, data);
			assert_false(ibc_put_client_data(again));
			assert_false(ibc_put_client_data(data));
		}
	}
}

static void three_hundred_clients_have_data_of_their_own(void **state)
{
	(void)state;
	register_all();
	check_pairs();
	check_pairs();
	unregister_all();
}

/* slots of all ids up to far more than are ever used: none is in another */
static void no_two_slots_overlap(void **state)
{
	struct ibc__slot *a, *b;
	unsigned int i, j;

	(void)state;
	register_all();
	for (i = 0; i < CLIENTS; i++) {
		a = ibc__slot(devs[0], i);
		assert_non_null(a);
		assert_ptr_equal(a->dev, devs[0]);
		assert_ptr_equal(a->first.slot, a);
		for (j = 0; j < i; j++) {
			b = ibc__slot(devs[0], j);
			assert_true(b + 1 <= a || a + 1 <= b);
		}
	}
	unregister_all();
}

static void a_slot_never_moves(void **state)
{
	struct ibc__slot *first[8];
	unsigned int i;

	(void)state;
	fake_add("soft0", 1);
	for (i = 0; i < 8; i++)
		register_client(i);
	devs[0] = h_device("soft0");
	for (i = 0; i < 8; i++)
		first[i] = ibc__slot(devs[0], i);
	for (; i < CLIENTS; i++)
		register_client(i);
	for (i = 0; i < 8; i++)
		assert_ptr_equal(ibc__slot(devs[0], i), first[i]);
	ibc_put_device(devs[0]);
	for (i = 0; i < CLIENTS; i++)
		assert_int_equal(ibc_unregister_client(&clients[i]), 0);
}

/* what left makes room: no growth without end, and nothing of the old is seen */
static void ids_are_used_again(void **state)
{
	struct ibc_client_data *data;
	unsigned int i;

	(void)state;
	fake_add("soft0", 1);
	register_client(0);
	devs[0] = h_device("soft0");
	for (i = 0; i < 1000; i++) {
		register_client(1);
		errno = 0;
		assert_null(ibc_get_client_data(devs[0], &clients[1]));
		assert_int_equal(errno, ENOENT);
		data = ibc_alloc_or_get_client_data(devs[0], &clients[1]);
		assert_non_null(data);
		ibc_put_client_data(data);
		assert_int_equal(ibc_unregister_client(&clients[1]), 0);
	}
	assert_int_equal(h_reg->num_ids, 2);
	ibc_put_device(devs[0]);
	assert_int_equal(ibc_unregister_client(&clients[0]), 0);
}

/* ids 4, 12, 28, ... begin a chunk; the last is not one too far */
static void chunks_begin_and_end_where_they_should(void **state)
{
	static const unsigned int edges[] = {
		3, 4, 11, 12, 27, 28, 59, 60, 123, 124, 251, 252, 507, 508
	};
	struct ibc_device *dev;
	unsigned int i, id;

	(void)state;
	fake_add("soft0", 1);
	register_client(0);
	dev = h_device("soft0");
	ibc__lock(h_reg);
	for (i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		id = edges[i];
		assert_int_equal(ibc__slot_make(dev, id), 0);
		assert_null(ibc__slot(dev, id)->dev); /* nobody's yet */
		if (i % 2) /* the first of its chunk; the one before, another */
			assert_ptr_not_equal(ibc__slot(dev, id - 1),
					     ibc__slot(dev, id) - 1);
	}
	for (id = 1; id < 508; id++)
		assert_non_null(ibc__slot(dev, id));
	assert_null(ibc__slot(dev, 1020));
	assert_null(ibc__slot(dev, IBC_MAX_CLIENTS - 1));
	ibc__unlock(h_reg);
	ibc_put_device(dev);
	assert_int_equal(ibc_unregister_client(&clients[0]), 0);
}

/* ---- a get that has looked at the slot, and not at the counter yet ---- */

static struct ibc__slot *slot;
static struct ibc__ref *looked_at;
static bool came_back;

static void begin_get(uint32_t flags)
{
	fake_add("soft0", 1);
	register_with(0, flags);
	devs[0] = h_device("soft0");
	assert_non_null(ibc_alloc_or_get_client_data(devs[0], &clients[0]));
	slot = ibc__slot(devs[0], 0);
	looked_at = slot->cur;
	assert_non_null(looked_at);
}

static void end_get(void)
{
	ibc_put_device(devs[0]);
	assert_int_equal(ibc_unregister_client(&clients[0]), 0);
}

static void get_from_a_killed_slot(uint32_t flags)
{
	struct ibc_client_data *data;

	begin_get(flags);
	data = looked_at->data;
	assert_true(ibc__ref_tryget(looked_at, 1));
	assert_false(ibc_put_client_data(data));
	assert_int_equal(ibc_remove_device(devs[0]), 0);
	assert_false(ibc__ref_tryget(looked_at, 1));
	ibc_put_client_data(data);
	end_get();
}

static void it_gets_nothing_from_a_killed_slot(void **state)
{
	(void)state;
	get_from_a_killed_slot(0);
}

static void it_gets_no_unused_data_from_a_killed_slot(void **state)
{
	(void)state;
	get_from_a_killed_slot(IBC_CLIENT_FREE_UNUSED);
}

static void try_and_release(struct ibc_client_data *data)
{
	came_back = ibc__ref_tryget(looked_at, 1);
	free(data);
}

static void it_gets_nothing_that_is_being_freed(void **state)
{
	(void)state;
	begin_get(IBC_CLIENT_FREE_UNUSED);
	clients[0].free_client_data = try_and_release;
	came_back = true;
	assert_true(ibc_put_client_data(looked_at->data));
	assert_false(came_back);
	end_get();
}

/* the client was unregistered beside it, and the slot is another's by now */
static void it_gets_nothing_of_another_client(void **state)
{
	(void)state;
	begin_get(0);
	errno = 0;
	assert_null(ibc__slot_get(slot, &clients[1]));
	assert_int_equal(errno, ESHUTDOWN);
	assert_int_equal(ibc__slot_refs(slot), 2); /* as before */
	assert_false(ibc_put_client_data(looked_at->data));
	end_get();
}

static uintptr_t taken;

static struct ibc_client_data *otherwise(struct ibc_device *dev,
					 struct ibc_client *client,
					 uintptr_t place, void *caller)
{
	(void)dev;
	(void)client;
	(void)caller;
	taken = place;
	return NULL;
}

static struct ibc_client_data *quick_get(struct ibc_client *client)
{
	taken = 0;
	return ibc__quick_get(slot->dev, client, otherwise);
}

/* qemu's emulation has no rseq area: then nothing is quick */
static bool is_quick(void)
{
	size_t cpu;

	if (ibc__cpu_quick(&cpu))
		return true;
	print_message("no rseq area: nothing to be seen\n");
	return false;
}

/* it is being unregistered: between a get's two looks its place became 0 */
static void it_has_no_place_any_more(void **state)
{
	struct ibc_client *client = &clients[0];
	uintptr_t place;

	(void)state;
	begin_get(0);
	place = client->opaque[3];
	client->opaque[3] = 0;
	assert_null(quick_get(client));
	assert_ptr_equal(ibc_get_client_data(slot->dev, client),
			 looked_at->data);
	client->opaque[3] = place;
	assert_false(ibc_put_client_data(looked_at->data));
	assert_false(ibc_put_client_data(looked_at->data));
	end_get();
}

/* it was registered elsewhere, and its place is another client's here */
static void it_has_another_place(void **state)
{
	struct ibc_client *client = &clients[0];
	struct ibc_client_data *other;
	uintptr_t place;

	(void)state;
	if (!is_quick())
		return;
	begin_get(0);
	place = client->opaque[3];
	register_client(1);
	client->opaque[3] = clients[1].opaque[3];
	assert_null(quick_get(client)); /* it is empty */
	assert_int_equal(taken, 0);
	other = ibc_alloc_or_get_client_data(slot->dev, &clients[1]);
	assert_non_null(other);
	assert_null(quick_get(client));
	assert_int_equal(taken, clients[1].opaque[3]);
	assert_ptr_equal(ibc__found_ref(slot->dev, taken),
			 ibc__data_ref(other));
	assert_false(ibc_put_client_data(other));
	assert_ptr_equal(ibc_get_client_data(slot->dev, client),
			 looked_at->data);
	assert_int_equal(ibc__slot_refs(ibc__slot(slot->dev, 1)), 2);
	client->opaque[3] = place;
	assert_false(ibc_put_client_data(looked_at->data));
	assert_false(ibc_put_client_data(other));
	assert_int_equal(ibc_unregister_client(&clients[1]), 0);
	assert_false(ibc_put_client_data(looked_at->data));
	end_get();
}

/* which has another one's data at its place */
static void it_counts_nothing_in_another_registry(void **state)
{
	struct ibc_client *elsewhere = &clients[2];
	struct ibc_registry *other;

	(void)state;
	if (!is_quick())
		return;
	begin_get(0);
	other = ibc_open(NULL);
	memset(elsewhere, 0, sizeof(*elsewhere));
	assert_int_equal(ibc_register_client(other, elsewhere), 0);
	assert_int_equal(elsewhere->opaque[3], clients[0].opaque[3]);
	assert_null(quick_get(elsewhere));
	assert_int_equal(taken, 0);
	assert_int_equal(ibc_unregister_client(elsewhere), 0);
	assert_int_equal(ibc_close(other), 0);
	assert_false(ibc_put_client_data(looked_at->data));
	end_get();
}

/* what it counted is not its client's: see test_steps for what is replaced meanwhile */
static void it_gives_back_what_it_does_not_find(void **state)
{
	struct ibc_client *client = &clients[0];
	struct ibc_client_data *data, foreign = { 0 };

	(void)state;
	if (!is_quick())
		return;
	begin_get(0);
	data = looked_at->data;
	slot->found->what = (uintptr_t)&foreign;
	assert_null(quick_get(client));
	assert_int_equal(taken, client->opaque[3]);
	assert_int_equal(ibc__slot_refs(slot), 3);
	assert_false(ibc_put_client_data(data));
	assert_ptr_equal(ibc_get_client_data(slot->dev, client), data);
	assert_ptr_equal(ibc_alloc_or_get_client_data(slot->dev, client), data);
	assert_int_equal(ibc__slot_refs(slot), 4);
	slot->found->what = (uintptr_t)data;
	assert_false(ibc_put_client_data(data));
	assert_false(ibc_put_client_data(data));
	assert_false(ibc_put_client_data(data));
	end_get();
}

static void replace_by(struct ibc_client_data *data)
{
	assert_int_equal(ibc_init_client_data(data, slot->dev, &clients[0]), 0);
	assert_int_equal(ibc_set_client_data(slot->dev, &clients[0], data), 0);
}

/* what is found is what the first counter has, as long as that is the slot's */
static void only_the_first_is_found(void **state)
{
	struct ibc_client_data *first, *second, *third;

	(void)state;
	begin_get(0);
	first = looked_at->data;
	assert_int_equal(slot->found->what, (uintptr_t)first);
	second = alloc(NULL, NULL);
	replace_by(second);
	assert_int_equal(slot->found->what,
			 (uintptr_t)slot->cur + IBC_FOUND_OTHER);
	if (is_quick()) {
		assert_ptr_equal(quick_get(&clients[0]), second);
		assert_false(ibc_put_client_data(second));
	}
	assert_true(ibc_put_client_data(first));
	assert_int_equal(slot->found->what,
			 (uintptr_t)slot->cur + IBC_FOUND_OTHER);
	third = alloc(NULL, NULL);
	replace_by(third);
	assert_ptr_equal(slot->cur, &slot->first);
	assert_int_equal(slot->found->what, (uintptr_t)third);
	assert_true(ibc_put_client_data(second));
	assert_false(ibc_put_client_data(third));
	assert_int_equal(ibc_remove_device(slot->dev), 0);
	assert_int_equal(slot->found->what, IBC_FOUND_OTHER);
	end_get();
}

/* the same as it_has_another_place, where the data is counted elsewhere */
static void it_finds_nothing_of_another_client(void **state)
{
	struct ibc_client *client = &clients[0], *other = &clients[1];
	struct ibc_client_data *first, *second = alloc(NULL, NULL);
	uintptr_t place;

	(void)state;
	begin_get(0);
	place = client->opaque[3];
	register_client(1);
	first = ibc_alloc_or_get_client_data(slot->dev, other);
	assert_int_equal(ibc_init_client_data(second, slot->dev, other), 0);
	assert_int_equal(ibc_set_client_data(slot->dev, other, second), 0);
	client->opaque[3] = other->opaque[3];
	assert_null(quick_get(client));
	assert_int_equal(taken, 0);
	assert_int_equal(ibc__ref_count(ibc__data_ref(second)), 2);
	client->opaque[3] = place;
	assert_true(ibc_put_client_data(first));
	assert_false(ibc_put_client_data(second));
	assert_int_equal(ibc_unregister_client(other), 0);
	assert_false(ibc_put_client_data(looked_at->data));
	end_get();
}

/* blocks of 16, in regions of one, two, four, ... */
static void places_lead_to_their_slots(void **state)
{
	static const unsigned int ids[] = { 0, 15, 16, 47, 48, 111, 112, 299 };
	struct ibc_device *d;
	unsigned int i;

	(void)state;
	register_all();
	d = devs[1];
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		assert_ptr_equal(ibc__found_ref(d, ibc__found_place(ids[i])),
				 &ibc__slot(d, ids[i])->first);
	for (i = 0; i < CLIENTS; i++)
		assert_ptr_equal(ibc__found_at(d, ibc__found_place(i)),
				 ibc__slot(d, i)->found);
	assert_null(ibc__found_at(d, ibc__found_place(100000)));
	unregister_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MANUAL(three_hundred_clients_have_data_of_their_own),
		H_TEST(three_hundred_clients_have_data_of_their_own, H_ONE),
		IN_MANUAL(no_two_slots_overlap),
		IN_MANUAL(a_slot_never_moves),
		IN_MANUAL(ids_are_used_again),
		IN_MANUAL(chunks_begin_and_end_where_they_should),
		IN_MANUAL(it_gets_nothing_from_a_killed_slot),
		IN_MANUAL(it_gets_no_unused_data_from_a_killed_slot),
		IN_MANUAL(it_gets_nothing_that_is_being_freed),
		IN_MANUAL(it_gets_nothing_of_another_client),
		IN_MANUAL(it_has_no_place_any_more),
		IN_MANUAL(it_has_another_place),
		IN_MANUAL(it_counts_nothing_in_another_registry),
		IN_MANUAL(it_gives_back_what_it_does_not_find),
		IN_MANUAL(only_the_first_is_found),
		IN_MANUAL(it_finds_nothing_of_another_client),
		IN_MANUAL(places_lead_to_their_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
