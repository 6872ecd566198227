// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * I/O threads: they ask for data, use it, keep references on data and devices
 * for a while, and replace what is there.
 */
#include <stdio.h>

#include "clients.h"
#include "data.h"
#include "inside.h"

#define NUM_KEPT 8

struct user {
	struct dice *dice;
	struct ibc_client_data *data[NUM_KEPT];
	struct ibc_device *devices[NUM_KEPT];
};

static void put(struct ibc_client_data *data)
{
	data_goes(data);
	ibc_put_client_data(data);
}

/* keeps the caller's reference, in place of an older one or of none */
static void keep(struct user *user, struct ibc_client_data *data)
{
	unsigned int n = roll(user->dice, NUM_KEPT);

	if (user->data[n])
		put(user->data[n]);
	user->data[n] = data;
}

static void let_go(struct user *user, unsigned int sides)
{
	unsigned int n;

	for (n = 0; n < NUM_KEPT; n++) {
		if (user->data[n] && roll(user->dice, sides) == 0) {
			put(user->data[n]);
			user->data[n] = NULL;
		}
		if (user->devices[n] && roll(user->dice, sides) == 0) {
			ibc_put_device(user->devices[n]);
			user->devices[n] = NULL;
		}
	}
}

static void check_refusal(int error, bool alloc)
{
	must(is_refusal(error) || (alloc && error == DATA_ERRNO));
	count(GETS_REFUSED);
}

static void use(struct user *user, struct client *c, struct ibc_device *dev)
{
	bool alloc = roll(user->dice, 2);
	struct ibc_client_data *data;

	data = alloc ? ibc_alloc_or_get_client_data(dev, &c->ibc) :
		       ibc_get_client_data(dev, &c->ibc);
	if (!data) {
		check_refusal(errno, alloc);
		return;
	}
	count(GETS);
	data_came(data, &c->ibc, dev);
	if (roll(user->dice, 4) == 0) {
		ibc_hold_client_data(data);
		data_came(data, &c->ibc, dev);
		put(data);
	}
	if (roll(user->dice, 8) == 0)
		keep(user, data);
	else
		put(data);
}

static void exchange(struct client *c, struct ibc_device *dev,
		     struct ibc_client_data *old, struct data *data)
{
	struct ibc_client_data *current = NULL;
	int error;

	error = ibc_cmpxchg_client_data(dev, &c->ibc, old, &data->ibc,
					&current);
	must(!error || error == EAGAIN || is_refusal(error));
	must(!current || error == EAGAIN);
	if (!error)
		count(PUBLISHED);
	else if (error == EAGAIN)
		count(LOST_RACES);
	if (current) {
		data_came(current, &c->ibc, dev);
		must(current != old);
		put(current);
	}
}

/* an object of its own: set, in an empty slot, or instead of a known one */
static void publish(struct user *user, struct client *c, struct ibc_device *dev)
{
	struct data *data = data_make(c, dev);
	struct ibc_client_data *old;
	int error;

	if (!data)
		return;
	switch (roll(user->dice, 3)) {
	case 0:
		error = ibc_set_client_data(dev, &c->ibc, &data->ibc);
		must(!error || is_refusal(error));
		if (!error)
			count(PUBLISHED);
		break;
	case 1:
		exchange(c, dev, NULL, data);
		break;
	default:
		old = ibc_get_client_data(dev, &c->ibc);
		if (old)
			data_came(old, &c->ibc, dev);
		exchange(c, dev, old, data);
		if (old)
			put(old);
	}
	put(&data->ibc);
}

static void with_client(struct user *user, struct ibc_device *dev)
{
	struct client *c = client_borrow(roll(user->dice, NUM_CLIENTS));
	int error;

	if (!c)
		return;
	switch (c->replaces ? roll(user->dice, 16) : 15) {
	case 0:
	case 1:
		publish(user, c, dev);
		break;
	case 2:
		error = ibc_set_client_data(dev, &c->ibc, NULL);
		must(!error || is_refusal(error));
		break;
	default:
		use(user, c, dev);
	}
	client_return(c);
}

static int visit(struct ibc_device *dev, void *arg)
{
	struct user *user = arg;

	with_client(user, dev);
	run_errand(user->dice);
	return roll(user->dice, 8) == 0;
}

static void report(struct user *user, struct ibc_device *dev)
{
	struct ibv_async_event event = {
		.event_type = roll(user->dice, 20) ? IBV_EVENT_SM_CHANGE :
						     IBV_EVENT_DEVICE_FATAL,
		.element.port_num = 1,
	};
	int error;

	if (roll(user->dice, 2)) {
		must(ibc_report_error(dev, EIO) == 0);
	} else {
		error = ibc_report_event(dev, &event);
		must(!error || error == ENODEV);
	}
	count(REPORTS);
}

static void dump(struct user *user)
{
	FILE *out = fopen("/dev/null", "we");
	struct ibc_stats stats;

	must(out);
	must(ibc_dump(torture_registry, out,
		      roll(user->dice, 2) ? IBC_DUMP_TEXT : IBC_DUMP_JSON) ==
	     0);
	fclose(out);
	must(ibc_query_stats(torture_registry, &stats, sizeof(stats)) == 0);
	count(DUMPS);
}

/* a count more and less of the process's registry; or one that is in use */
static void open_and_close(void)
{
	if (!torture_shares) {
		must(ibc_close(torture_registry) == EBUSY);
		return;
	}
	must(ibc_open(NULL) == torture_registry);
	must(ibc_close(torture_registry) == 0);
}

/* what is rare */
static void do_more(struct user *user, struct ibc_device *dev)
{
	unsigned int n = roll(user->dice, NUM_KEPT);
	int error;

	switch (roll(user->dice, 64)) {
	case 0:
		report(user, dev);
		break;
	case 1:
		if (roll(user->dice, 8) == 0) {
			must(ibc_remove_device(dev) == 0);
			count(REMOVALS_ASKED);
		}
		error = ibc_wait_drained(dev, 0);
		must(!error || error == ETIMEDOUT);
		break;
	case 2:
		dump(user);
		break;
	case 3:
		error = ibc_rescan(torture_registry);
		must(!error || error == ENOMEM);
		break;
	case 4:
		if (!user->devices[n])
			user->devices[n] = ibc_get_device(dev);
		break;
	case 5:
		open_and_close();
		break;
	default:
		break;
	}
}

void user_run(struct actor *actor)
{
	struct user user = { .dice = &actor->dice };
	struct ibc_device *dev;

	while (torture_goes_on()) {
		let_go(&user, 4);
		if (roll(user.dice, 2)) {
			ibc_for_each_device(torture_registry, visit, &user);
			continue;
		}
		dev = some_device(user.dice);
		if (!dev) {
			sched_yield();
			continue;
		}
		with_client(&user, dev);
		do_more(&user, dev);
		ibc_put_device(dev);
	}
	let_go(&user, 1);
}
