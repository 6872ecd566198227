// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Where slots lie, and how they grow: many clients on several devices. */
#include "harness.h"
#include "private.h"

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

static void register_client(unsigned int i)
{
	memset(&clients[i], 0, sizeof(clients[i]));
	clients[i].alloc_client_data = alloc;
	clients[i].free_client_data = release;
	assert_int_equal(ibc_register_client(h_reg, &clients[i]), 0);
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
		assert_ptr_equal(ibc__slot(dev, id)->dev, dev);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MANUAL(three_hundred_clients_have_data_of_their_own),
		H_TEST(three_hundred_clients_have_data_of_their_own, H_ONE),
		IN_MANUAL(no_two_slots_overlap),
		IN_MANUAL(a_slot_never_moves),
		IN_MANUAL(ids_are_used_again),
		IN_MANUAL(chunks_begin_and_end_where_they_should),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
