// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The clients: callbacks that know what may come next, and a thread for each
 * that registers and unregisters it in all the ways there are.
 *
 * Nobody may use a client whose unregister has returned. So users hold its gate
 * for reading while they ask for data; who unregisters holds it for writing,
 * round the whole call or, of one with a time limit, round each try, so that
 * some users meet a client that is on its way out. Users never wait at a gate:
 * what they keep they must be able to put.
 */
#include "clients.h"
#include "data.h"
#include "inside.h"

struct gate {
	pthread_rwlock_t lock;
	bool open;
	pthread_mutex_t done_lock;
	pthread_cond_t done_cond;
	bool done;
};

static struct client clients[NUM_CLIENTS];
static struct gate gates[NUM_CLIENTS] = {
	[0 ... NUM_CLIENTS - 1] = { .lock = PTHREAD_RWLOCK_INITIALIZER,
				    .done_lock = PTHREAD_MUTEX_INITIALIZER,
				    .done_cond = PTHREAD_COND_INITIALIZER }
};

/* ---- callbacks ---- */

static struct dice dice_for(struct client *c, struct ibc_device *dev,
			    unsigned int kind)
{
	return dice_of(torture_seed, ibc_device_incarnation(dev),
		       c->registration * 64 + c->number * 8 + kind);
}

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	struct client *c = client_of(client);
	struct pair *pair = callback_begins(c, dev);
	struct dice dice = dice_for(c, dev, pair->state);
	struct ibc_client_data *data;
	int ret = 0;

	must(pair->state == NOTHING || pair->state == FAILED);
	must(ibc_device_context(dev));
	act_inside(c, dev, &dice);
	if (roll(&dice, 2)) {
		data = ibc_alloc_or_get_client_data(dev, client);
		if (data)
			data_came(data, client, dev);
		if (data)
			data_goes(data);
		ibc_put_client_data(data);
	}
	switch (roll(&dice, 16)) {
	case 0:
		pair->state = FAILED;
		atomic_store_explicit(&pair->failed_once, true,
				      memory_order_relaxed);
		count(ADDS_FAILED);
		ret = roll(&dice, 2) ? EAGAIN : -EAGAIN;
		break;
	case 1:
		pair->state = DECLINED;
		count(ADDS_DECLINED);
		ret = EOPNOTSUPP;
		break;
	default:
		pair->state = ADDED;
		count(ADDS);
	}
	callback_ends(c, dev);
	return ret;
}

static void remove_device(struct ibc_client *client, struct ibc_device *dev,
			  struct ibc_client_data *data)
{
	struct client *c = client_of(client);
	struct pair *pair = callback_begins(c, dev);
	struct dice dice = dice_for(c, dev, 6);

	must(pair->state == ADDED);
	must(ibc_device_context(dev));
	must(fake_context_is_open(ibc_device_context(dev)));
	if (data)
		data_check(data);
	else /* what somebody got was there to stay */
		must(!keeps_one_object(c, pair) ||
		     !atomic_load_explicit(&pair->got, memory_order_relaxed));
	must(!ibc_get_client_data(dev, client));
	must(errno == ENODEV || errno == ESHUTDOWN);
	act_inside(c, dev, &dice);
	if (data)
		data_check(data);
	pair->state = REMOVED;
	atomic_fetch_add_explicit(&c->removed, 1, memory_order_relaxed);
	count(REMOVES);
	callback_ends(c, dev);
}

static void gone(struct ibc_client *client, struct ibc_device *dev)
{
	struct client *c = client_of(client);
	struct pair *pair = callback_begins(c, dev);
	struct dice dice = dice_for(c, dev, 5);

	must(pair->state == REMOVED);
	must(ibc_device_state(dev) == IBC_DEVICE_GONE);
	must(ibc_device_adopted(dev) || !ibc_device_context(dev));
	must(!atomic_load_explicit(&pair->objects, memory_order_relaxed));
	linger(&dice, roll(&dice, 8) ? 100 : 10000);
	run_errand(&dice);
	pair->state = GONE;
	count_down(&c->removed);
	count(GONES);
	callback_ends(c, dev);
}

static void renamed(struct ibc_client *client, struct ibc_device *dev,
		    const char *old_name)
{
	struct client *c = client_of(client);
	struct pair *pair = callback_begins(c, dev);
	struct dice dice = dice_for(c, dev, 4);

	must(pair->state == ADDED);
	must(old_name && *old_name && *ibc_device_name(dev));
	act_inside(c, dev, &dice);
	count(RENAMES);
	callback_ends(c, dev);
}

static void event(struct ibc_client *client, struct ibc_device *dev,
		  struct ibc_client_data *data, const struct ibc_event *event)
{
	struct client *c = client_of(client);
	struct pair *pair = callback_begins(c, dev);
	struct dice dice = dice_for(c, dev, 7);

	must(pair->state == ADDED);
	must(event->count);
	must(ibc_device_context(dev));
	if (data)
		data_check(data);
	act_inside(c, dev, &dice);
	count(EVENTS);
	callback_ends(c, dev);
}

/* ---- coming and going ---- */

struct client *client_borrow(unsigned int number)
{
	struct gate *gate = &gates[number];

	if (number == 0) /* it is there, and nothing orders its users */
		return &clients[0];
	if (pthread_rwlock_tryrdlock(&gate->lock))
		return NULL;
	if (gate->open)
		return &clients[number];
	pthread_rwlock_unlock(&gate->lock);
	return NULL;
}

void client_return(struct client *c)
{
	if (c->number)
		pthread_rwlock_unlock(&gates[c->number].lock);
}

static int join(struct client *c)
{
	return ibc_register_client(torture_registry, &c->ibc);
}

static bool enroll(struct client *c, struct dice *dice)
{
	int error;

	c->ibc = (struct ibc_client){
		.name = "torture",
		.add = add,
		.remove = remove_device,
		.gone = gone,
		.rename = renamed,
		.event = event,
		.alloc_client_data = data_alloc,
		.free_client_data = data_free,
		.flags = roll(dice, 4),
	};
	c->replaces = c->number == 0 || roll(dice, 2);
	history_begin(c);
	/* the first is there before anybody else's callbacks */
	error = c->number && roll(dice, 3) == 0 ? errand(c, join, dice) :
						  join(c);
	if (!error) {
		count(REGISTERED);
		return true;
	}
	must(error == ENOMEM); /* hardware.c makes lists fail so */
	history_end(c);
	return false;
}

static void set_gate(struct client *c, bool open)
{
	pthread_rwlock_wrlock(&gates[c->number].lock);
	gates[c->number].open = open;
	pthread_rwlock_unlock(&gates[c->number].lock);
}

static void done(struct ibc_client *client)
{
	struct gate *gate = &gates[client_of(client)->number];

	pthread_mutex_lock(&gate->done_lock);
	gate->done = true;
	pthread_cond_signal(&gate->done_cond);
	pthread_mutex_unlock(&gate->done_lock);
}

static int part(struct client *c)
{
	return ibc_unregister_client_async(&c->ibc, done);
}

/* the gate is held: nobody asks for its data meanwhile */
static void leave_async(struct client *c, struct gate *gate, struct dice *dice)
{
	gate->done = false;
	must((roll(dice, 2) ? errand(c, part, dice) : part(c)) == 0);
	pthread_mutex_lock(&gate->done_lock);
	while (!gate->done)
		pthread_cond_wait(&gate->done_cond, &gate->done_lock);
	pthread_mutex_unlock(&gate->done_lock);
	count(UNREGISTERED_ASYNC);
}

static void leave_by_tries(struct client *c, struct dice *dice)
{
	struct gate *gate = &gates[c->number];
	int error;

	do {
		pthread_rwlock_wrlock(&gate->lock);
		error = ibc_unregister_client_timed(&c->ibc, roll(dice, 2));
		gate->open = error;
		pthread_rwlock_unlock(&gate->lock);
		must(!error || error == ETIMEDOUT);
		sched_yield();
	} while (error);
	count(UNREGISTERED_TIMED);
}

static void leave(struct client *c, struct dice *dice)
{
	struct gate *gate = &gates[c->number];

	switch (roll(dice, 4)) {
	case 0:
		leave_by_tries(c, dice);
		break;
	case 1:
		pthread_rwlock_wrlock(&gate->lock);
		leave_async(c, gate, dice);
		gate->open = false;
		pthread_rwlock_unlock(&gate->lock);
		break;
	default:
		pthread_rwlock_wrlock(&gate->lock);
		must(ibc_unregister_client(&c->ibc) == 0);
		gate->open = false;
		pthread_rwlock_unlock(&gate->lock);
		count(UNREGISTERED);
	}
	history_end(c);
}

/* number 0 is clients_begin()'s */
void client_run(struct actor *actor)
{
	struct client *c = &clients[actor->number + 1];

	c->number = actor->number + 1;
	while (torture_goes_on()) {
		if (!enroll(c, &actor->dice))
			continue;
		set_gate(c, true);
		linger(&actor->dice, 20000);
		leave(c, &actor->dice);
	}
}

bool clients_begin(void)
{
	struct dice dice = dice_of(torture_seed, 1, 1);

	clients[0].number = 0;
	return enroll(&clients[0], &dice);
}

bool clients_rest(void)
{
	return !atomic_load_explicit(&clients[0].removed, memory_order_relaxed);
}

void clients_end(void)
{
	must(ibc_unregister_client(&clients[0].ibc) == 0);
	count(UNREGISTERED);
	history_end(&clients[0]);
}
