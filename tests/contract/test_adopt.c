// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantee 12: contexts that somebody else opened. */
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "harness2.h"

static struct rec a, b;

static struct ibc_device *adopt(struct ibv_context *context, uint32_t flags)
{
	struct ibc_device *dev = ibc_adopt_context(h_reg, context, flags);

	check(dev);
	check(ibc_device_adopted(dev));
	return dev;
}

/* a client, the registry's own soft0, and the same NIC adopted */
static struct ibc_device *adopt_beside(struct ibv_context **context,
				       uint32_t flags)
{
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	*context = fake_open("soft0");
	return adopt(*context, flags);
}

static void end(struct ibc_device *dev, struct ibv_context *context)
{
	h2_remove(dev);
	fake_close(context);
	rec_unregister(&a);
}

static void g12_adopted_context_is_a_device_of_its_own(void **state)
{
	struct ibc_client_data *own_data, *data;
	struct ibv_context *context;
	struct ibc_device *dev = adopt_beside(&context, 0);
	struct ibc_device *own = h_device("soft0");

	(void)state;
	wait_for(h_count(&a, H_ADD) == 2);
	assert_ptr_not_equal(own, dev);
	assert_false(ibc_device_adopted(own));
	assert_ptr_equal(ibc_device_context(dev), context);
	assert_ptr_not_equal(ibc_device_context(own), context);
	assert_true(ibc_device_incarnation(own) != ibc_device_incarnation(dev));
	assert_string_equal(ibc_device_name(dev), "soft0");
	assert_int_equal(ibc_device_index(dev), ibc_device_index(own));
	assert_int_equal(ibc_device_guid(dev), ibc_device_guid(own));
	assert_ptr_equal(ibc_device_registry(dev), h_reg);

	own_data = ibc_alloc_or_get_client_data(own, &a.client);
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	assert_non_null(data);
	assert_ptr_not_equal(own_data, data);
	ibc_put_client_data(own_data);
	ibc_put_client_data(data);
	end(dev, context);
	ibc_put_device(own);
}

static void g12_adopted_again_it_is_the_same_device(void **state)
{
	struct ibv_context *context;
	struct ibc_device *dev = adopt_beside(&context, 0);
	struct ibc_device *again = adopt(context, 0);

	(void)state;
	assert_ptr_equal(again, dev);
	assert_int_equal(dev->users, 2);
	h_fence();
	assert_int_equal(h_count(&a, H_ADD), 2); /* with the own one */
	ibc_put_device(again);
	end(dev, context);
}

/* and another context of the same NIC another one */
static void g12_each_context_is_a_device(void **state)
{
	struct ibv_context *one, *two;
	struct ibc_device *dev = adopt_beside(&one, 0), *other;

	(void)state;
	two = fake_open("soft0");
	other = adopt(two, 0);
	assert_ptr_not_equal(dev, other);
	wait_for(h_count(&a, H_ADD) == 3);
	h2_remove(other);
	fake_close(two);
	end(dev, one);
}

static void g12_lookups_prefer_the_registrys_own(void **state)
{
	struct ibc_device *dev, *own, *found;
	struct ibv_context *context;
	int index = fake_add("soft0", 0x11);

	(void)state;
	context = fake_open("soft0");
	dev = adopt(context, 0);
	/* before the first client: adopted ones at most */
	found = ibc_get_device_by_name(h_reg, "soft0");
	assert_ptr_equal(found, dev);
	ibc_put_device(found);
	found = ibc_get_device_by_index(h_reg, index);
	assert_ptr_equal(found, dev);
	ibc_put_device(found);

	rec_init(&a, "a", 0);
	rec_register(&a);
	own = ibc_get_device_by_name(h_reg, "soft0");
	assert_ptr_not_equal(own, dev);
	found = ibc_get_device_by_index(h_reg, index);
	assert_ptr_equal(found, own);
	ibc_put_device(found);
	found = ibc_get_device_by_context(h_reg, context);
	assert_ptr_equal(found, dev);
	ibc_put_device(found);
	found = ibc_get_device_by_context(h_reg, ibc_device_context(own));
	assert_ptr_equal(found, own);
	ibc_put_device(found);
	ibc_put_device(own);
	end(dev, context);
}

static int not_adopted(struct rec *rec, struct ibc_device *dev)
{
	(void)rec;
	return ibc_device_adopted(dev) ? EOPNOTSUPP : 0;
}

static void g12_a_client_may_decline_adopted_devices(void **state)
{
	struct ibv_context *context;
	struct ibc_device *dev, *own;

	(void)state;
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	a.on_add = not_adopted;
	rec_register(&a);
	context = fake_open("soft0");
	dev = adopt(context, 0);
	wait_for(h_count(&a, H_ADD) == 2);
	h_fence();
	own = h_device("soft0");
	check_null(ibc_alloc_or_get_client_data(dev, &a.client), EOPNOTSUPP);
	ibc_put_client_data(ibc_alloc_or_get_client_data(own, &a.client));
	ibc_put_device(own);
	h2_remove(dev);
	fake_close(context);
	assert_int_equal(h_count(&a, H_REMOVE), 0);
	assert_int_equal(h_count(&a, H_GONE), 0);
	rec_unregister(&a);
}

/* the library does not close it, whatever ends the device */
static void g12_the_owner_closes_the_context(void **state)
{
	struct ibv_context *context;
	struct ibc_device *dev = adopt_beside(&context, IBC_ADOPT_READ_EVENTS);
	unsigned int closes = fake_closes();

	(void)state;
	wait_for(h_count(&a, H_ADD) == 2);
	assert_true(h2_polled(h_reg, context->async_fd));
	assert_int_equal(ibc_remove_device(dev), 0);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	wait_for(h_count(&a, H_GONE) == 1);
	assert_int_equal(fake_closes(), closes);
	assert_true(fake_context_is_open(context));
	/* nor does it look at its descriptor any more */
	assert_false(h2_polled(h_reg, context->async_fd));
	check_null(ibc_device_context(dev), ENODEV);
	fake_close(context);
	ibc_put_device(dev);
	rec_unregister(&a);
}

static void put_data(struct worker *w)
{
	ibc_put_client_data(w->data);
}

/* "remove it and wait": until then the context is in use */
static void g12_it_has_drained_when_the_last_data_is_put(void **state)
{
	struct ibv_context *context;
	struct ibc_device *dev = adopt_beside(&context, 0);
	struct ibc_client_data *data;
	struct worker w = {};

	(void)state;
	wait_for(h_count(&a, H_ADD) == 2);
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	assert_non_null(data);
	assert_int_equal(ibc_remove_device(dev), 0);
	assert_int_equal(ibc_wait_drained(dev, 0), ETIMEDOUT);
	wait_for(h2_is(dev, IBC_DEVICE_DRAINING));
	assert_ptr_equal(ibc_device_context(dev), context);
	assert_true(h_count(&a, H_GONE) == 0);
	w.data = data;
	worker_start(&w, put_data);
	assert_int_equal(ibc_wait_drained(dev, -1), 0);
	assert_int_equal(h_count(&a, H_GONE), 1); /* told before it returns */
	worker_join(&w);
	fake_close(context);
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* no other device is pinned for it: the NIC's own context goes meanwhile */
static void g12_the_own_device_drains_without_the_adopted_one(void **state)
{
	struct ibv_context *context;
	struct ibc_device *dev = adopt_beside(&context, 0);
	struct ibc_device *own = h_device("soft0");
	struct ibc_client_data *data;

	(void)state;
	wait_for(h_count(&a, H_ADD) == 2);
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	h_fence(); /* a list that has it has been read since */
	fake_remove("soft0", FAKE_WAIT);
	assert_int_equal(ibc_rescan(h_reg), 0);
	wait_for(h2_is(own, IBC_DEVICE_GONE));
	/* the list had the adopted one once, and has it no more */
	wait_for(h2_is(dev, IBC_DEVICE_DRAINING));
	ibc_put_device(own);
	ibc_put_client_data(data);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	ibc_put_device(dev);
	fake_close(context);
	rec_unregister(&a);
}

static void g12_adopting_one_that_goes_is_enodev(void **state)
{
	struct ibv_context *context;
	struct ibc_device *dev = adopt_beside(&context, 0), *next;
	struct ibc_client_data *data;
	uint64_t first = ibc_device_incarnation(dev);

	(void)state;
	wait_for(h_count(&a, H_ADD) == 2);
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	ibc_remove_device(dev);
	check_null(ibc_adopt_context(h_reg, context, 0), ENODEV);
	wait_for(h2_is(dev, IBC_DEVICE_DRAINING));
	check_null(ibc_adopt_context(h_reg, context, 0), ENODEV);
	ibc_put_client_data(data);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	/* gone, but open still: a new incarnation */
	next = adopt(context, 0);
	assert_true(ibc_device_incarnation(next) > first);
	wait_for(h_count_of(&a, H_ADD, ibc_device_incarnation(next)) == 1);
	ibc_put_device(dev);
	end(next, context);
}

/* the registry's own context: no second reader, no second device */
static void g12_adopting_what_the_registry_opened_gives_that(void **state)
{
	struct ibc_device *own, *dev;

	(void)state;
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	own = h_device("soft0");
	dev = ibc_adopt_context(h_reg, ibc_device_context(own),
				IBC_ADOPT_READ_EVENTS);
	assert_ptr_equal(dev, own);
	assert_false(ibc_device_adopted(own));
	ibc_put_device(dev);
	ibc_put_device(own);
	h_fence();
	assert_int_equal(h_count(&a, H_ADD), 1);
	rec_unregister(&a);
}

/* without the flag the owner reads: nothing is taken, nothing is changed */
static void g12_events_are_the_owners_unless_asked_for(void **state)
{
	struct ibv_context *context;
	struct ibc_device *dev = adopt_beside(&context, 0), *again;
	unsigned int calls;

	(void)state;
	wait_for(h_count(&a, H_ADD) == 2);
	assert_int_equal(fcntl(context->async_fd, F_GETFL) & O_NONBLOCK, 0);
	fake_context_event(context, IBV_EVENT_PORT_ERR, 1);
	h_fence();
	assert_int_equal(h_count(&a, H_EVENT), 0);
	assert_int_equal(fake_acks(), 0);
	calls = fake_calls(FAKE_EVENT);
	/* asked for later, it begins with what is there */
	again = adopt(context, IBC_ADOPT_READ_EVENTS);
	assert_ptr_equal(again, dev);
	wait_for(h_count(&a, H_EVENT) == 1);
	assert_true(fake_calls(FAKE_EVENT) > calls);
	assert_true(fcntl(context->async_fd, F_GETFL) & O_NONBLOCK);
	/* and not to be asked for less does not end it */
	ibc_put_device(adopt(context, 0));
	fake_context_event(context, IBV_EVENT_PORT_ACTIVE, 1);
	wait_for(h_count(&a, H_EVENT) == 2);
	ibc_put_device(again);
	end(dev, context);
}

static void g12_a_hang_up_is_noticed_without_reading(void **state)
{
	struct ibv_context *context;
	struct ibc_device *dev = adopt_beside(&context, 0);

	(void)state;
	wait_for(h_count(&a, H_ADD) == 2);
	fake_hang_up(context);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	ibc_put_device(dev);
	fake_close(context);
	rec_unregister(&a);
}

/* what epoll does not take: fatal only if the library is to read it */
static void g12_a_descriptor_that_cannot_be_polled(void **state)
{
	struct ibv_context context = { .cmd_fd = -1 };
	struct ibc_device *dev;

	(void)state;
	context.async_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_true(context.async_fd >= 0);
	check_null(ibc_adopt_context(h_reg, &context, IBC_ADOPT_READ_EVENTS),
		   EPERM);
	dev = adopt(&context, 0);
	check_null(ibc_adopt_context(h_reg, &context, IBC_ADOPT_READ_EVENTS),
		   EPERM);
	h2_remove(dev);
	close(context.async_fd);
	context.async_fd = -1;
	check_null(ibc_adopt_context(h_reg, &context, IBC_ADOPT_READ_EVENTS),
		   EBADF);
	h2_remove(adopt(&context, 0));
}

/* a list that never had it cannot end it */
static void g12_one_that_no_list_has_stays(void **state)
{
	struct ibv_context *context;
	struct ibc_device *dev;

	(void)state;
	fake_add("soft0", 0x11);
	context = fake_open("soft0");
	context->device = NULL; /* from nowhere */
	dev = adopt(context, 0);
	rec_init(&a, "a", 0);
	rec_register(&a);
	assert_int_equal(h_count(&a, H_ADD), 2);
	assert_int_equal(ibc_rescan(h_reg), 0);
	h_fence();
	assert_int_equal(ibc_device_state(dev), IBC_DEVICE_LIVE);
	assert_int_equal(ibc_device_index(dev), -1);
	assert_int_equal(ibc_device_guid(dev), 0);
	end(dev, context);
}

/* adopted before and after the clients came; the order of clients holds */
static void g12_all_clients_hear_of_it(void **state)
{
	struct ibv_context *one, *two;
	struct ibc_device *dev, *other;

	(void)state;
	fake_add("soft0", 0x11);
	one = fake_open("soft0");
	two = fake_open("soft0");
	dev = adopt(one, 0);
	rec_init(&a, "a", 0);
	rec_init(&b, "b", 0);
	rec_register(&a);
	assert_int_equal(h_count_of(&a, H_ADD, ibc_device_incarnation(dev)), 1);
	rec_register(&b);
	assert_int_equal(h_count_of(&b, H_ADD, ibc_device_incarnation(dev)), 1);
	h_forget();
	other = adopt(two, 0);
	wait_for(h_count(&b, H_ADD) == 1);
	assert_true(h_before(&a, H_ADD, &b, H_ADD));
	h2_remove(other);
	assert_true(h_before(&b, H_REMOVE, &a, H_REMOVE));
	fake_close(two);
	h2_remove(dev);
	fake_close(one);
	rec_unregister(&b);
	rec_unregister(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g12_adopted_context_is_a_device_of_its_own),
		IN_ALL(g12_adopted_again_it_is_the_same_device),
		IN_MANUAL(g12_each_context_is_a_device),
		IN_ALL(g12_lookups_prefer_the_registrys_own),
		IN_ALL(g12_a_client_may_decline_adopted_devices),
		IN_ALL(g12_the_owner_closes_the_context),
		IN_ALL(g12_it_has_drained_when_the_last_data_is_put),
		IN_ALL(g12_the_own_device_drains_without_the_adopted_one),
		IN_ALL(g12_adopting_one_that_goes_is_enodev),
		IN_ALL(g12_adopting_what_the_registry_opened_gives_that),
		IN_ALL(g12_events_are_the_owners_unless_asked_for),
		ON_FAKE(IN_ALL, g12_a_hang_up_is_noticed_without_reading),
		IN_ALL(g12_a_descriptor_that_cannot_be_polled),
		IN_ALL(g12_one_that_no_list_has_stays),
		IN_ALL(g12_all_clients_hear_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
