// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantee 12, for who lends a context and has no client: he is told once when
 * the registry does not use it any more (owner.h).
 */
#include "harness2.h"

static struct rec a;

struct lender {
	struct ibv_context *context;
	struct ibc_device *dev;
	atomic_uint told;
	atomic_bool early; /* gone() of @a came before */
};

static void let_go(void *arg)
{
	struct lender *lender = arg;

	atomic_store(&lender->early, h_count(&a, H_GONE) > 0);
	/* no lock is held: what takes one may be called */
	if (lender->context)
		check(!ibc_get_device_by_context(h_reg, lender->context));
	atomic_fetch_add(&lender->told, 1);
}

static struct ibc_device *lend(struct lender *lender,
			       struct ibv_context *context)
{
	const struct ibc__owner owner = { .let_go = let_go, .arg = lender };

	return ibc__adopt_owned(h_reg, context, 0, &owner);
}

static void begin(struct lender *lender)
{
	memset(lender, 0, sizeof(*lender));
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	lender->context = fake_open("soft0");
	lender->dev = lend(lender, lender->context);
	assert_non_null(lender->dev);
	/* g05: clients have been told when it returns */
	assert_int_equal(h_count(&a, H_ADD), 2);
	assert_int_equal(lender->told, 0);
}

static void end(struct lender *lender)
{
	fake_close(lender->context);
	ibc_put_device(lender->dev);
	rec_unregister(&a);
}

/* not while data is held; then once, and before gone() */
static void g12_the_owner_is_told_when_it_has_drained(void **state)
{
	struct ibc_client_data *data;
	struct lender lender;

	(void)state;
	begin(&lender);
	data = ibc_alloc_or_get_client_data(lender.dev, &a.client);
	assert_non_null(data);
	assert_int_equal(ibc_remove_device(lender.dev), 0);
	wait_for(h2_is(lender.dev, IBC_DEVICE_DRAINING));
	h_fence();
	assert_int_equal(lender.told, 0);
	ibc_put_client_data(data);
	wait_for(h_count(&a, H_GONE) == 1);
	assert_int_equal(lender.told, 1);
	assert_false(lender.early);
	assert_true(fake_context_is_open(lender.context));
	end(&lender);
	assert_int_equal(lender.told, 1);
}

/* without a client, and without a list that says so */
static void g12_the_owner_is_told_without_a_client(void **state)
{
	struct lender lender = {};

	(void)state;
	fake_add("soft0", 0x11);
	lender.context = fake_open("soft0");
	lender.dev = lend(&lender, lender.context);
	assert_non_null(lender.dev);
	assert_int_equal(ibc_remove_device(lender.dev), 0);
	wait_for(h2_is(lender.dev, IBC_DEVICE_GONE));
	assert_int_equal(lender.told, 1);
	fake_close(lender.context);
	ibc_put_device(lender.dev);
}

/* one waits already: another is let go at once, whoever adopts it again */
static void g12_one_owner_waits(void **state)
{
	struct lender lender, other = {};
	struct ibc_device *dev;

	(void)state;
	begin(&lender);
	dev = lend(&other, lender.context);
	assert_ptr_equal(dev, lender.dev);
	assert_int_equal(other.told, 1);
	assert_int_equal(lender.told, 0);
	ibc_put_device(dev);
	dev = ibc__adopt_again(h_reg, lender.context, 0);
	assert_ptr_equal(dev, lender.dev);
	ibc_put_device(dev);
	h2_remove(ibc_get_device(dev));
	assert_int_equal(lender.told, 1);
	assert_int_equal(other.told, 1);
	check_null(ibc__adopt_again(h_reg, lender.context, 0), ENOENT);
	end(&lender);
}

/* who came by ibc_adopt_context() waits for nothing: the next one is the owner */
static void g12_an_owner_may_come_later(void **state)
{
	struct ibv_context *context;
	struct ibc_device *dev, *again;
	struct lender lender = {};

	(void)state;
	fake_add("soft0", 0x11);
	context = fake_open("soft0");
	check_null(ibc__adopt_again(h_reg, context, 0), ENOENT);
	dev = ibc_adopt_context(h_reg, context, 0);
	assert_non_null(dev);
	check_null(ibc__adopt_again(h_reg, context, 0), ENOENT);
	again = lend(&lender, context);
	assert_ptr_equal(again, dev);
	assert_int_equal(lender.told, 0);
	ibc_put_device(again);
	h2_remove(dev);
	assert_int_equal(lender.told, 1);
	fake_close(context);
}

/* what cannot be adopted needs no owner; nor does what the registry opened */
static void g12_an_owner_in_vain_is_let_go(void **state)
{
	struct lender lender, vain = {};
	struct ibc_client_data *data;
	struct ibc_device *own, *dev;

	(void)state;
	check_null(lend(&vain, NULL), EINVAL);
	assert_int_equal(vain.told, 1);
	begin(&lender);
	own = h_device("soft0");
	dev = lend(&vain, ibc_device_context(own));
	assert_ptr_equal(dev, own);
	assert_int_equal(vain.told, 2);
	ibc_put_device(dev);
	ibc_put_device(own);
	data = ibc_alloc_or_get_client_data(lender.dev, &a.client);
	assert_non_null(data);
	ibc_remove_device(lender.dev);
	check_null(lend(&vain, lender.context), ENODEV);
	assert_int_equal(vain.told, 3);
	check_null(ibc__adopt_again(h_reg, lender.context, 0), ENODEV);
	ibc_put_client_data(data);
	wait_for(h2_is(lender.dev, IBC_DEVICE_GONE));
	end(&lender);
}

/* a registry that is closed uses nothing any more */
static void g12_closing_lets_the_owner_go(void **state)
{
	const struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_NO_OPEN };
	struct lender lender = {};
	const struct ibc__owner owner = { .let_go = let_go, .arg = &lender };
	struct ibc_registry *reg = ibc_open(&attr);
	struct ibv_context *context;
	struct ibc_device *dev;

	(void)state;
	assert_non_null(reg);
	fake_add("soft0", 0x11);
	context = fake_open("soft0");
	dev = ibc__adopt_owned(reg, context, 0, &owner);
	assert_non_null(dev);
	assert_int_equal(ibc_close(reg), EBUSY);
	assert_int_equal(lender.told, 0);
	ibc_put_device(dev);
	assert_int_equal(ibc_close(reg), 0);
	assert_int_equal(lender.told, 1);
	fake_close(context);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g12_the_owner_is_told_when_it_has_drained),
		IN_ALL(g12_the_owner_is_told_without_a_client),
		IN_ALL(g12_one_owner_waits),
		IN_ALL(g12_an_owner_may_come_later),
		IN_ALL(g12_an_owner_in_vain_is_let_go),
		IN_MANUAL(g12_closing_lets_the_owner_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
