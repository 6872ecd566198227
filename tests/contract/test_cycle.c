// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantee 7: alloc may ask for other data; a cycle is EDEADLK, not a hang. */
#include "harness.h"

#define MAX 3

/* slot i's alloc asks for the data of slot (i + 1) % num */
struct ring;

struct slot {
	struct rec rec;
	struct ring *ring;
	struct ibc_device *dev;
	struct worker worker;
	int error;     /* what its alloc got */
	bool tolerant; /* and goes on without */
};

struct ring {
	unsigned int num;
	struct gate all_inside;
	struct slot slots[MAX];
};

static struct slot *next_of(struct slot *s)
{
	struct ring *ring = s->ring;

	return &ring->slots[(s - ring->slots + 1) % ring->num];
}

static int ask_next(struct rec *rec, struct ibc_device *dev)
{
	struct slot *s = (struct slot *)rec, *next = next_of(s);
	struct ibc_client_data *data;

	(void)dev;
	gate_wait(&s->ring->all_inside);
	errno = 0;
	data = ibc_alloc_or_get_client_data(next->dev, &next->rec.client);
	s->error = data ? 0 : errno;
	ibc_put_client_data(data);
	return s->tolerant ? 0 : s->error;
}

static void ask(struct worker *w)
{
	errno = 0;
	w->data = ibc_alloc_or_get_client_data(w->dev, &w->rec->client);
	w->error = w->data ? 0 : errno;
	ibc_put_client_data(w->data);
}

static void ring_up(struct ring *ring, unsigned int num, unsigned int devices)
{
	static const char *const names[] = { "soft0", "soft1", "soft2" };
	unsigned int i;

	memset(ring, 0, sizeof(*ring));
	ring->num = num;
	for (i = 0; i < devices; i++)
		fake_add(names[i], i + 1);
	for (i = 0; i < num; i++) {
		rec_init(&ring->slots[i].rec, "r", 0);
		ring->slots[i].ring = ring;
		ring->slots[i].rec.on_alloc = ask_next;
		rec_register(&ring->slots[i].rec);
		ring->slots[i].dev = h_device(names[i % devices]);
	}
}

static void ring_down(struct ring *ring)
{
	unsigned int i;

	for (i = 0; i < ring->num; i++) {
		ibc_put_device(ring->slots[i].dev);
		rec_unregister(&ring->slots[i].rec);
	}
}

/* one thread for each slot; all are inside of alloc before any asks further */
static void ring_turn(struct ring *ring)
{
	unsigned int i;

	for (i = 0; i < ring->num; i++) {
		ring->slots[i].worker.rec = &ring->slots[i].rec;
		ring->slots[i].worker.dev = ring->slots[i].dev;
		worker_start(&ring->slots[i].worker, ask);
	}
	wait_for(gate_entered(&ring->all_inside) >= ring->num);
	gate_open(&ring->all_inside);
	for (i = 0; i < ring->num; i++)
		worker_join(&ring->slots[i].worker);
}

/* each takes EDEADLK for a failure: all fail, with it */
static void cycle_fails(unsigned int num, unsigned int devices)
{
	struct ring ring;
	unsigned int i;

	ring_up(&ring, num, devices);
	ring_turn(&ring);
	for (i = 0; i < num; i++) {
		check(!ring.slots[i].worker.data);
		check(ring.slots[i].worker.error == EDEADLK);
	}
	/* and the next caller tries anew */
	ring.slots[0].rec.on_alloc = NULL;
	ask(&ring.slots[0].worker);
	check(ring.slots[0].worker.error == 0);
	ring_down(&ring);
}

/* each goes on without: exactly one had to, and all have their data */
static void cycle_is_broken(unsigned int num, unsigned int devices)
{
	unsigned int i, deadlocks = 0;
	struct ring ring;

	ring_up(&ring, num, devices);
	for (i = 0; i < num; i++)
		ring.slots[i].tolerant = true;
	ring_turn(&ring);
	for (i = 0; i < num; i++) {
		check(ring.slots[i].worker.error == 0);
		check(h_count(&ring.slots[i].rec, H_ALLOC) == 1);
		check(!ring.slots[i].error || ring.slots[i].error == EDEADLK);
		deadlocks += ring.slots[i].error == EDEADLK;
	}
	check(deadlocks == 1);
	ring_down(&ring);
}

static void g07_cycle_of_two_is_edeadlk(void **state)
{
	(void)state;
	cycle_fails(2, 1);
}

static void g07_cycle_of_two_devices_is_edeadlk(void **state)
{
	(void)state;
	cycle_fails(2, 2);
}

static void g07_cycle_of_three_is_edeadlk(void **state)
{
	(void)state;
	cycle_fails(3, 2);
}

static void g07_cycle_of_two_may_be_broken(void **state)
{
	(void)state;
	cycle_is_broken(2, 1);
}

static void g07_cycle_of_three_may_be_broken(void **state)
{
	(void)state;
	cycle_is_broken(3, 3);
}

static void g07_own_slot_is_edeadlk(void **state)
{
	struct ring ring;

	(void)state;
	ring_up(&ring, 1, 1);
	ring_turn(&ring);
	check(ring.slots[0].worker.error == EDEADLK);
	ring.slots[0].tolerant = true;
	ring_turn(&ring);
	check(ring.slots[0].error == EDEADLK);
	check(ring.slots[0].worker.error == 0);
	check(h_count(&ring.slots[0].rec, H_ALLOC) == 2);
	ring_down(&ring);
}

/* one thread all the way round: a's alloc makes b's, whose alloc wants a's */
static void g07_cycle_in_one_thread_is_edeadlk(void **state)
{
	struct ring ring;

	(void)state;
	ring_up(&ring, 3, 3);
	gate_open(&ring.all_inside);
	ring.slots[0].worker.rec = &ring.slots[0].rec;
	ring.slots[0].worker.dev = ring.slots[0].dev;
	ask(&ring.slots[0].worker);
	check(ring.slots[0].worker.error == EDEADLK);
	check(h_count(NULL, H_ALLOC) == 3);
	ring_down(&ring);
}

/* ---- no cycle ---- */

static void g07_alloc_may_ask_for_others(void **state)
{
	struct ring ring;

	(void)state;
	ring_up(&ring, 3, 3);
	gate_open(&ring.all_inside);
	ring.slots[2].rec.on_alloc = NULL;
	ring.slots[0].worker.rec = &ring.slots[0].rec;
	ring.slots[0].worker.dev = ring.slots[0].dev;
	ask(&ring.slots[0].worker);
	check(ring.slots[0].worker.error == 0);
	check(h_count(NULL, H_ALLOC) == 3);
	check(ring.slots[0].error == 0);
	check(ring.slots[1].error == 0);
	ring_down(&ring);
}

static int wait_at_gate(struct rec *rec, struct ibc_device *dev)
{
	(void)dev;
	gate_wait(rec->arg);
	return 0;
}

/* two wait for the same third one: a fork is no cycle */
static void g07_two_may_wait_for_a_third(void **state)
{
	struct gate gate = {};
	struct ring ring;
	unsigned int i;

	(void)state;
	ring_up(&ring, 3, 1);
	gate_open(&ring.all_inside);
	ring.slots[2].rec.on_alloc = wait_at_gate;
	ring.slots[2].rec.arg = &gate;
	for (i = 0; i < 3; i++) {
		ring.slots[i].worker.rec = &ring.slots[i].rec;
		ring.slots[i].worker.dev = ring.slots[i].dev;
	}
	worker_start(&ring.slots[2].worker, ask);
	wait_for(gate_entered(&gate) == 1);
	worker_start(&ring.slots[1].worker, ask);
	worker_start(&ring.slots[0].worker, ask);
	worker_wait_blocked(&ring.slots[0].worker);
	worker_wait_blocked(&ring.slots[1].worker);
	gate_open(&gate);
	for (i = 0; i < 3; i++) {
		worker_join(&ring.slots[i].worker);
		check(ring.slots[i].worker.error == 0);
	}
	check(h_count(NULL, H_ALLOC) == 3);
	ring_down(&ring);
}

/*
 * The second slot's alloc waits for the first's. Who has just made the first
 * asks at once for the second: the one who waited may not have woken up yet,
 * but waits no more. Many rounds, since only the scheduler can decide.
 */
#define ROUNDS 300

static void ask_both(struct worker *w)
{
	struct ring *ring = w->arg;
	struct worker second = { .rec = &ring->slots[0].rec,
				 .dev = ring->slots[0].dev };

	ask(w);
	ask(&second);
	check(w->error == 0);
	w->error = second.error;
}

static void served_round(struct ring *ring)
{
	struct slot *asks = &ring->slots[0], *made = &ring->slots[1];
	struct gate gate = {};

	made->rec.arg = &gate;
	made->worker = (struct worker){ .rec = &made->rec,
					.dev = made->dev,
					.arg = ring };
	asks->worker = (struct worker){ .rec = &asks->rec, .dev = asks->dev };
	worker_start(&made->worker, ask_both);
	wait_for(gate_entered(&gate) == 1);
	worker_start(&asks->worker, ask);
	worker_wait_blocked(&asks->worker);
	gate_open(&gate);
	worker_join(&made->worker);
	worker_join(&asks->worker);
	check(made->worker.error == 0);
	check(asks->worker.error == 0);
	check(ibc_set_client_data(asks->dev, &asks->rec.client, NULL) == 0);
	check(ibc_set_client_data(made->dev, &made->rec.client, NULL) == 0);
}

static void g07_who_was_served_is_in_no_cycle(void **state)
{
	struct ring ring;
	unsigned int i;

	(void)state;
	ring_up(&ring, 2, 1);
	gate_open(&ring.all_inside);
	ring.slots[1].rec.on_alloc = wait_at_gate;
	for (i = 0; i < ROUNDS; i++)
		served_round(&ring);
	check(h_count(NULL, H_ALLOC) == 2 * ROUNDS);
	ring_down(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g07_own_slot_is_edeadlk),
		IN_ALL(g07_cycle_of_two_is_edeadlk),
		IN_ALL(g07_cycle_of_two_devices_is_edeadlk),
		IN_ALL(g07_cycle_of_three_is_edeadlk),
		IN_ALL(g07_cycle_of_two_may_be_broken),
		IN_ALL(g07_cycle_of_three_may_be_broken),
		IN_ALL(g07_cycle_in_one_thread_is_edeadlk),
		IN_ALL(g07_alloc_may_ask_for_others),
		IN_ALL(g07_two_may_wait_for_a_third),
		H_TEST(g07_who_was_served_is_in_no_cycle, H_ONE),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
