// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What is done inside of callbacks: every call of the library may be made
 * there; what would wait says EDEADLK and changes nothing.
 *
 * Whose client is to be registered or unregistered has that done by a callback
 * of anybody's: an errand. Its lock guards it, and is held while it is run; a
 * callback takes it only if there is an errand, and does not wait for it.
 */
#include "clients.h"
#include "data.h"
#include "inside.h"

#define ERRAND_WAITS 8

static struct errand {
	pthread_mutex_t lock;
	int (*fn)(struct client *c);
	struct client *client;
	int error;
	atomic_bool pending;
} errands[NUM_CLIENTS] = { [0 ... NUM_CLIENTS -
			    1] = { .lock = PTHREAD_MUTEX_INITIALIZER } };

static bool is_pending(struct errand *e)
{
	return atomic_load_explicit(&e->pending, memory_order_relaxed);
}

static void set_pending(struct errand *e, bool pending)
{
	atomic_store_explicit(&e->pending, pending, memory_order_relaxed);
}

void run_errand(struct dice *dice)
{
	struct errand *e = &errands[roll(dice, NUM_CLIENTS)];

	if (!is_pending(e) || pthread_mutex_trylock(&e->lock))
		return;
	if (is_pending(e)) {
		e->error = e->fn(e->client);
		set_pending(e, false);
		count(ERRANDS);
	}
	pthread_mutex_unlock(&e->lock);
}

int errand(struct client *c, int (*fn)(struct client *c), struct dice *dice)
{
	struct errand *e = &errands[c->number];
	unsigned int waits = ERRAND_WAITS;
	int error;

	pthread_mutex_lock(&e->lock);
	e->fn = fn;
	e->client = c;
	set_pending(e, true);
	pthread_mutex_unlock(&e->lock);
	while (is_pending(e) && waits--)
		linger(dice, 5000);
	pthread_mutex_lock(&e->lock);
	if (is_pending(e))
		e->error = fn(c);
	set_pending(e, false);
	error = e->error;
	pthread_mutex_unlock(&e->lock);
	return error;
}

static void never(struct ibc_device *dev, const struct ibc_event *event,
		  void *arg)
{
	(void)dev;
	(void)event;
	(void)arg;
	must(!"called before the callback in which it came and went was over");
}

/* the device's other callbacks, handlers too, wait for this one */
static void listen_in_vain(struct ibc_device *dev, struct dice *dice)
{
	struct ibc_event_filter filter = {
		.scope = roll(dice, 2) ? IBC_SCOPE_PORT : IBC_SCOPE_DEVICE,
	};
	struct ibc_event_handler *handler;

	handler = ibc_register_event_handler(dev, &filter, never, NULL);
	must(handler || errno == ENODEV);
	if (handler)
		must(ibc_unregister_event_handler(handler) == 0);
}

/* the data that another client, or this one, has of the device */
static void ask_around(struct ibc_device *dev, struct dice *dice, bool in_alloc)
{
	struct client *c = client_borrow(roll(dice, NUM_CLIENTS));
	struct ibc_client_data *data;

	if (!c)
		return;
	data = roll(dice, 4) ? ibc_alloc_or_get_client_data(dev, &c->ibc) :
			       ibc_get_client_data(dev, &c->ibc);
	if (data) {
		data_came(data, &c->ibc, dev);
		data_goes(data);
		ibc_put_client_data(data);
	} else {
		must(is_refusal(errno) || errno == DATA_ERRNO ||
		     (in_alloc && errno == EDEADLK));
	}
	client_return(c);
	count(ASKED_INSIDE);
}

static void try_to_wait(struct client *c, struct ibc_device *dev,
			struct dice *dice)
{
	int error;

	switch (roll(dice, 4)) {
	case 0:
		error = ibc_unregister_client(&c->ibc);
		must(error == EDEADLK || error == EBUSY);
		break;
	case 1:
		must(ibc_wait_drained(dev, 0) == EDEADLK);
		break;
	case 2:
		must(ibc_close(torture_registry) == EDEADLK);
		break;
	default:
		must(ibc_dispatch(torture_registry, 0) == EDEADLK);
	}
}

void act_inside(struct client *c, struct ibc_device *dev, struct dice *dice)
{
	int error;

	run_errand(dice);
	switch (roll(dice, 24)) {
	case 0:
	case 1:
	case 2:
	case 3:
		try_to_wait(c, dev, dice);
		break;
	case 4:
		listen_in_vain(dev, dice);
		break;
	case 5:
	case 6:
		ask_around(dev, dice, false);
		break;
	case 7:
		error = ibc_rescan(torture_registry);
		must(!error || error == ENOMEM); /* see break_something() */
		break;
	case 8:
		if (roll(dice, 8))
			break;
		must(ibc_remove_device(dev) == 0);
		count(REMOVALS_ASKED);
		break;
	default:
		linger(dice, 100);
	}
}

/* its own slot is the shortest cycle */
static void ask_oneself(struct client *c, struct ibc_device *dev)
{
	must(!ibc_alloc_or_get_client_data(dev, &c->ibc));
	must(errno == EDEADLK || is_refusal(errno));
}

void act_in_alloc(struct client *c, struct ibc_device *dev, struct dice *dice)
{
	switch (roll(dice, 8)) {
	case 0:
		/* where others publish, theirs may be there meanwhile */
		if (!c->replaces)
			ask_oneself(c, dev);
		break;
	case 1:
		ask_around(dev, dice, true);
		break;
	case 2:
		run_errand(dice);
		break;
	default:
		linger(dice, 300);
	}
}
