// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Who holds each reference that users have on data: one record for each, with
 * the code address that it was taken at and the thread. Get, hold and put do
 * this, so it takes no lock, allocates nothing and makes no system call; a
 * signal handler may interrupt it anywhere and do the same.
 *
 * The records are made with the registry. A counter takes what it needs from the
 * registry's unused ones (a stack) and keeps it, in a chain, until it is
 * recycled; whoever walks a chain has a reference on its data or reg->lock, so
 * that it is not recycled meanwhile. A record is free, busy (being written) or
 * has the number of its coming, of which there are never two the same: who sees
 * a number can take just that record.
 *
 * A put cannot know which reference it drops. It is its thread's newest, as in
 * get, use, put; where the thread has none, another one's oldest. When no record
 * is left the references are only counted, and the next puts count them down
 * first: what is recorded is what was there earlier, and more likely the leak.
 *
 * ->known is what makes that exact. It is counted up after a reference was
 * recorded (or counted), and down before one is taken away. So there always are
 * as many as there are puts looking for one, and a put that misses one on its
 * way down the chain, since others move, finds one the next time.
 */
#include "private.h"

#define NUM_RECORDS 16384

/* what ->order may be, beside a number */
#define FREE 0
#define BUSY 1

struct record {
	_Atomic uint64_t order;
	_Atomic uintptr_t address;
	_Atomic uintptr_t thread;
	_Atomic uint32_t next; /* in a chain, or the stack: a number, or 0 */
};

struct ibc__tracker {
	_Atomic uint64_t unused; /* the stack; above 32 bits: a tag */
	_Atomic uint64_t order;	 /* the last number that was given */
	struct record records[NUM_RECORDS]; /* numbered from 1 */
};

static struct record *record(struct ibc__tracker *t, uint32_t number)
{
	return &t->records[number - 1];
}

struct ibc__tracker *ibc__tracker_new(void)
{
	struct ibc__tracker *t = calloc(1, sizeof(*t));
	uint32_t i;

	if (!t)
		return NULL;
	for (i = 1; i < NUM_RECORDS; i++)
		record(t, i)->next = i + 1;
	t->unused = 1;
	t->order = BUSY;
	return t;
}

/* ---- the stack: its tag changes each time, so that nothing is mixed up ---- */

static uint64_t head(uint64_t old, uint32_t number)
{
	return ((old >> 32) + 1) << 32 | number;
}

static uint32_t pop(struct ibc__tracker *t)
{
	uint64_t old = atomic_load(&t->unused);
	uint32_t number;

	do {
		number = (uint32_t)old;
		if (!number)
			return 0;
	} while (!atomic_compare_exchange_weak(
		&t->unused, &old, head(old, record(t, number)->next)));
	return number;
}

static void push(struct ibc__tracker *t, uint32_t number)
{
	uint64_t old = atomic_load(&t->unused);

	do
		record(t, number)->next = (uint32_t)old;
	while (!atomic_compare_exchange_weak(&t->unused, &old,
					     head(old, number)));
}

void ibc__holders_forget(struct ibc__tracker *t, struct ibc__holders *h)
{
	uint32_t number, next = h->chain;

	h->chain = h->latest = h->known = h->others = 0;
	h->idle = 0;
	while ((number = next)) {
		next = record(t, number)->next;
		record(t, number)->order = FREE;
		push(t, number);
	}
}

/* ---- taking a reference ---- */

static bool take(struct ibc__tracker *t, struct ibc__holders *h,
		 uint32_t number)
{
	uint64_t order = FREE;

	if (record(t, number)->order != FREE ||
	    !atomic_compare_exchange_strong(&record(t, number)->order, &order,
					    BUSY))
		return false;
	atomic_fetch_sub(&h->idle, 1);
	return true;
}

/* a free record of the chain, busy from now on, or 0 */
static uint32_t reuse(struct ibc__tracker *t, struct ibc__holders *h)
{
	uint32_t number = h->latest;

	if (h->idle <= 0)
		return 0;
	if (number && take(t, h, number))
		return number;
	number = h->chain;
	while (number && !take(t, h, number))
		number = record(t, number)->next;
	return number;
}

/* one more, busy, in the chain */
static uint32_t extend(struct ibc__tracker *t, struct ibc__holders *h)
{
	uint32_t number = pop(t), first = h->chain;

	if (!number)
		return 0;
	record(t, number)->order = BUSY;
	do
		record(t, number)->next = first;
	while (!atomic_compare_exchange_weak(&h->chain, &first, number));
	return number;
}

void ibc__holder_came(struct ibc__tracker *t, struct ibc__ref *ref,
		      void *caller)
{
	struct ibc__holders *h = &ref->holders;
	uint32_t number = reuse(t, h);
	struct record *r;

	if (!number)
		number = extend(t, h);
	if (number) {
		r = record(t, number);
		r->address = (uintptr_t)caller;
		r->thread = (uintptr_t)pthread_self();
		r->order = atomic_fetch_add(&t->order, 1) + 1;
		h->latest = number;
	} else {
		atomic_fetch_add(&h->others, 1);
	}
	atomic_fetch_add(&h->known, 1);
}

/* ---- dropping one ---- */

static bool count_down(_Atomic uint32_t *count)
{
	uint32_t old = atomic_load(count);

	do {
		if (!old)
			return false;
	} while (!atomic_compare_exchange_weak(count, &old, old - 1));
	return true;
}

struct choice {
	struct record *record;
	uint64_t order;
	bool mine;
};

static bool better(const struct choice *a, const struct choice *b)
{
	if (!b->record || a->mine != b->mine)
		return !b->record || a->mine;
	return a->mine ? a->order > b->order : a->order < b->order;
}

static struct choice look_at(struct ibc__tracker *t, uint32_t number,
			     uintptr_t self)
{
	struct record *r = record(t, number);
	uint64_t order = r->order;

	return (struct choice){ r, order, r->thread == self };
}

/*
 * What was written last is this thread's newest, if it is this thread's at all:
 * a newer one would have been written later. (Where another thread was held up
 * before it said that it wrote that record, it may be an older one: of this
 * thread's still.) Get, use, put need not look further.
 */
static struct choice choose(struct ibc__tracker *t, struct ibc__holders *h)
{
	uintptr_t self = (uintptr_t)pthread_self();
	uint32_t number = h->latest;
	struct choice best = {}, this;

	if (number) {
		this = look_at(t, number, self);
		if (this.order > BUSY && this.mine)
			return this;
	}
	for (number = h->chain; number; number = this.record->next) {
		this = look_at(t, number, self);
		if (this.order > BUSY && better(&this, &best))
			best = this;
	}
	return best;
}

/* frees one record; false: somebody else was quicker */
static bool free_one(struct ibc__tracker *t, struct ibc__holders *h)
{
	struct choice c = choose(t, h);

	if (!c.record ||
	    !atomic_compare_exchange_strong(&c.record->order, &c.order, FREE))
		return false;
	atomic_fetch_add(&h->idle, 1);
	return true;
}

/* a put of what was never got takes nothing away */
void ibc__holder_goes(struct ibc__tracker *t, struct ibc__ref *ref)
{
	struct ibc__holders *h = &ref->holders;

	if (!count_down(&h->known))
		return;
	while (!count_down(&h->others) && !free_one(t, h))
		;
}

/* ---- looking ---- */

unsigned int ibc__holders_room(struct ibc__tracker *t, struct ibc__holders *h)
{
	unsigned int n = 0;
	uint32_t number;

	for (number = h->chain; number; number = record(t, number)->next)
		n++;
	return n;
}

unsigned int ibc__holders_copy(struct ibc__tracker *t, struct ibc__holders *h,
			       uintptr_t *addresses, unsigned int room)
{
	struct record *r;
	uint32_t number;
	unsigned int n = 0;
	uint64_t order;

	for (number = h->chain; number && n < room; number = r->next) {
		r = record(t, number);
		order = r->order;
		addresses[n] = r->address;
		if (order > BUSY && r->order == order) /* it is that one's */
			n++;
	}
	return n;
}
