// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Clients that write down what they are told; see harness.h. What they check
 * always is kept per pair of client and incarnation, and per incarnation.
 */
#include "harness.h"

/* a storm that never ends is slow to be stopped; most tests have a few */
#define MAX_RECORDS   262144
#define FIRST_RECORDS 256
#define MAX_PAIRS     1024
#define MAGIC	      0x600d600dU
#define FREED	      0xbadbadbaU

enum pair_state { NEW, ADDING, ADDED, REMOVED, GONE };

/* what the pair has heard */
struct pair {
	struct rec *rec;
	uint64_t incarnation;
	enum pair_state state;
};

/* which callbacks of a device run now */
struct strand {
	uint64_t incarnation;
	unsigned int running;
};

struct payload {
	struct ibc_client_data data;
	uint32_t magic;
	struct rec *rec;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct h_record *records;
static unsigned int num_records, room;
static struct pair pairs[MAX_PAIRS];
static unsigned int num_pairs;
static struct strand strands[MAX_PAIRS];
static unsigned int num_strands;

/* lock held */
static struct pair *pair_of(struct rec *rec, uint64_t incarnation)
{
	unsigned int i;

	for (i = 0; i < num_pairs; i++)
		if (pairs[i].rec == rec && pairs[i].incarnation == incarnation)
			return &pairs[i];
	check(num_pairs < MAX_PAIRS);
	pairs[num_pairs].rec = rec;
	pairs[num_pairs].incarnation = incarnation;
	pairs[num_pairs].state = NEW;
	return &pairs[num_pairs++];
}

/* lock held */
static struct strand *strand_of(uint64_t incarnation)
{
	unsigned int i;

	for (i = 0; i < num_strands; i++)
		if (strands[i].incarnation == incarnation)
			return &strands[i];
	check(num_strands < MAX_PAIRS);
	strands[num_strands].incarnation = incarnation;
	strands[num_strands].running = 0;
	return &strands[num_strands++];
}

/* a client that is registered anew begins anew */
static void forget_pairs(struct rec *rec)
{
	unsigned int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < num_pairs; i++)
		if (pairs[i].rec == rec)
			pairs[i].state = NEW;
	pthread_mutex_unlock(&lock);
}

void h_record_start(void)
{
	room = FIRST_RECORDS;
	records = calloc(room, sizeof(*records));
	check(records);
	num_records = num_pairs = num_strands = 0;
}

void h_record_stop(void)
{
	free(records);
	records = NULL;
}

/* lock held; what happened is in *r but for the place and the thread */
static unsigned int append(const struct h_record *r)
{
	if (num_records == room) {
		check(room < MAX_RECORDS);
		room *= 2;
		records = reallocarray(records, room, sizeof(*records));
		check(records);
	}
	records[num_records] = *r;
	records[num_records].thread = pthread_self();
	return num_records++;
}

static void add_record(const struct h_record *r)
{
	pthread_mutex_lock(&lock);
	append(r);
	pthread_mutex_unlock(&lock);
	h_changed();
}

static void check_context(struct ibc_device *dev)
{
	struct ibv_context *context = ibc_device_context(dev);

	check(context);
	check(fake_context_is_open(context));
}

static void check_data(struct rec *rec, struct ibc_device *dev,
		       struct ibc_client_data *data)
{
	struct payload *p = (struct payload *)data;

	if (!data)
		return;
	check(data->device == dev);
	check(data->client == &rec->client);
	check(p->magic == MAGIC);
}

/* a callback of a device begins: is it its turn, and is it the only one? */
static unsigned int begin(struct h_record *r, struct ibc_device *dev,
			  enum pair_state from, enum pair_state to)
{
	struct pair *pair;
	unsigned int n;

	r->incarnation = ibc_device_incarnation(dev);
	if (!r->name[0])
		snprintf(r->name, sizeof(r->name), "%s", ibc_device_name(dev));
	pthread_mutex_lock(&lock);
	pair = pair_of(r->rec, r->incarnation);
	check(pair->state == from);
	pair->state = to;
	check(strand_of(r->incarnation)->running++ == 0);
	n = append(r);
	pthread_mutex_unlock(&lock);
	h_changed();
	if (r->rec->gate[r->what])
		gate_wait(r->rec->gate[r->what]);
	return n;
}

static void end(const struct h_record *r)
{
	pthread_mutex_lock(&lock);
	check(strand_of(r->incarnation)->running-- == 1);
	pthread_mutex_unlock(&lock);
	h_changed();
}

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	struct rec *rec = (struct rec *)client;
	struct h_record r = { .what = H_ADD, .rec = rec, .result = -1 };
	unsigned int n;
	int result;

	check_context(dev);
	check(ibc_device_registry(dev));
	n = begin(&r, dev, NEW, ADDING);
	result = rec->on_add ? rec->on_add(rec, dev) : 0;
	check_context(dev);
	pthread_mutex_lock(&lock);
	if (n < num_records && records[n].what == H_ADD)
		records[n].result = result;
	pair_of(rec, r.incarnation)->state = result ? NEW : ADDED;
	pthread_mutex_unlock(&lock);
	end(&r);
	return result;
}

static void remove_(struct ibc_client *client, struct ibc_device *dev,
		    struct ibc_client_data *data)
{
	struct rec *rec = (struct rec *)client;
	struct h_record r = { .what = H_REMOVE, .rec = rec, .data = data };

	check_context(dev);
	check_data(rec, dev, data);
	begin(&r, dev, ADDED, REMOVED);
	if (rec->on_remove)
		rec->on_remove(rec, dev, data);
	check_data(rec, dev, data);
	check_context(dev);
	end(&r);
}

static void gone(struct ibc_client *client, struct ibc_device *dev)
{
	struct rec *rec = (struct rec *)client;
	struct h_record r = { .what = H_GONE, .rec = rec };

	check_null(ibc_device_context(dev), ENODEV);
	check(ibc_device_state(dev) == IBC_DEVICE_GONE);
	begin(&r, dev, REMOVED, GONE);
	if (rec->on_gone)
		rec->on_gone(rec, dev);
	end(&r);
}

static void rename_(struct ibc_client *client, struct ibc_device *dev,
		    const char *old_name)
{
	struct rec *rec = (struct rec *)client;
	struct h_record r = { .what = H_RENAME, .rec = rec };

	check_context(dev);
	snprintf(r.name, sizeof(r.name), "%s", old_name);
	begin(&r, dev, ADDED, ADDED);
	if (rec->on_rename)
		rec->on_rename(rec, dev, old_name);
	end(&r);
}

static void event(struct ibc_client *client, struct ibc_device *dev,
		  struct ibc_client_data *data, const struct ibc_event *e)
{
	struct rec *rec = (struct rec *)client;
	struct h_record r = {
		.what = H_EVENT, .rec = rec, .data = data, .event = *e
	};

	check_context(dev);
	check_data(rec, dev, data);
	begin(&r, dev, ADDED, ADDED);
	if (rec->on_event)
		rec->on_event(rec, dev, data, e);
	check_data(rec, dev, data);
	check_context(dev);
	end(&r);
}

static struct payload *new_payload(struct rec *rec)
{
	struct payload *p = calloc(1, sizeof(*p));

	check(p);
	memset(&p->data, 0xa5, sizeof(p->data)); /* the library's to fill in */
	p->magic = MAGIC;
	p->rec = rec;
	__atomic_add_fetch(&rec->live, 1, __ATOMIC_SEQ_CST);
	return p;
}

static struct ibc_client_data *alloc(struct ibc_client *client,
				     struct ibc_device *dev)
{
	struct rec *rec = (struct rec *)client;
	struct h_record r = { .what = H_ALLOC, .rec = rec };
	int error;

	check_context(dev);
	r.incarnation = ibc_device_incarnation(dev);
	snprintf(r.name, sizeof(r.name), "%s", ibc_device_name(dev));
	add_record(&r);
	if (rec->gate[H_ALLOC])
		gate_wait(rec->gate[H_ALLOC]);
	error = rec->on_alloc ? rec->on_alloc(rec, dev) : 0;
	check_context(dev);
	errno = error;
	return error ? NULL : &new_payload(rec)->data;
}

static void free_(struct ibc_client_data *data)
{
	struct payload *p = (struct payload *)data;
	struct rec *rec = p->rec;
	struct h_record r = { .what = H_FREE, .rec = rec, .data = data };

	check(p->magic == MAGIC);
	check(data->client == &rec->client);
	check_context(data->device);
	r.incarnation = ibc_device_incarnation(data->device);
	add_record(&r);
	if (rec->gate[H_FREE])
		gate_wait(rec->gate[H_FREE]);
	if (rec->on_free)
		rec->on_free(rec, data);
	check_context(data->device);
	p->magic = FREED;
	free(p);
	__atomic_sub_fetch(&rec->live, 1, __ATOMIC_SEQ_CST);
}

void rec_init(struct rec *rec, const char *name, uint32_t flags)
{
	memset(rec, 0, sizeof(*rec));
	rec->client.name = name;
	rec->client.flags = flags;
	rec->client.add = add;
	rec->client.remove = remove_;
	rec->client.gone = gone;
	rec->client.rename = rename_;
	rec->client.event = event;
	rec->client.alloc_client_data = alloc;
	rec->client.free_client_data = free_;
}

void rec_register(struct rec *rec)
{
	forget_pairs(rec);
	check(ibc_register_client(h_reg, &rec->client) == 0);
}

void rec_unregister(struct rec *rec)
{
	check(ibc_unregister_client(&rec->client) == 0);
	check(rec_live(rec) == 0);
}

static void done(struct ibc_client *client)
{
	struct rec *rec = (struct rec *)client;

	__atomic_store_n(&rec->async, true, __ATOMIC_SEQ_CST);
	h_changed();
}

void rec_unregister_async(struct rec *rec)
{
	__atomic_store_n(&rec->async, false, __ATOMIC_SEQ_CST);
	check(ibc_unregister_client_async(&rec->client, done) == 0);
}

bool rec_done(struct rec *rec)
{
	return __atomic_load_n(&rec->async, __ATOMIC_SEQ_CST);
}

unsigned int rec_live(struct rec *rec)
{
	return __atomic_load_n(&rec->live, __ATOMIC_SEQ_CST);
}

struct ibc_client_data *rec_make(struct rec *rec, struct ibc_device *dev)
{
	struct payload *p = new_payload(rec);

	check(ibc_init_client_data(&p->data, dev, &rec->client) == 0);
	return &p->data;
}

/* ---- the history ---- */

unsigned int h_count_of(struct rec *rec, enum h_what what, uint64_t incarnation)
{
	unsigned int i, n = 0;

	pthread_mutex_lock(&lock);
	for (i = 0; i < num_records; i++)
		if ((!rec || records[i].rec == rec) &&
		    records[i].what == what &&
		    (!incarnation || records[i].incarnation == incarnation))
			n++;
	pthread_mutex_unlock(&lock);
	return n;
}

unsigned int h_count(struct rec *rec, enum h_what what)
{
	return h_count_of(rec, what, 0);
}

unsigned int h_length(void)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = num_records;
	pthread_mutex_unlock(&lock);
	return n;
}

struct h_record h_record(unsigned int n)
{
	struct h_record r;

	pthread_mutex_lock(&lock);
	check(n < num_records);
	r = records[n];
	pthread_mutex_unlock(&lock);
	return r;
}

int h_find(struct rec *rec, enum h_what what, unsigned int n)
{
	unsigned int i;
	int found = -1;

	pthread_mutex_lock(&lock);
	for (i = 0; i < num_records && found < 0; i++)
		if ((!rec || records[i].rec == rec) &&
		    records[i].what == what && n-- == 0)
			found = i;
	pthread_mutex_unlock(&lock);
	return found;
}

bool h_before(struct rec *a, enum h_what what_a, struct rec *b,
	      enum h_what what_b)
{
	int at_a = h_find(a, what_a, 0), at_b = h_find(b, what_b, 0);

	return at_a >= 0 && at_b >= 0 && at_a < at_b;
}

void h_forget(void)
{
	pthread_mutex_lock(&lock);
	num_records = 0;
	pthread_mutex_unlock(&lock);
}
