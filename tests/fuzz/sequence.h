/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The world of fuzz_sequence: three device names, three clients, the objects that
 * these have, all in one thread and one manual registry. What is known of each is
 * the model: it changes where the contract says so, and every answer and callback
 * is held against it.
 *
 *   fuzz_sequence.c	reads the input, makes the calls
 *   sequence_data.c	those that are about clients' data
 *   sequence_kernel.c	what happens without a call: plugs, events, time
 *   sequence_model.c	what they must answer; the clients' callbacks
 */
#ifndef FUZZ_SEQUENCE_H
#define FUZZ_SEQUENCE_H

#include "fake.h"
#include "input.h"
#include "private.h"

#define NUM_NAMES   3
#define NUM_CLIENTS 3
#define MAX_DEVICES 24 /* incarnations of an input */
#define MAX_OBJECTS 48

/* a device of the fake kernel */
struct kernel {
	bool listed;
	bool kept_away; /* it failed, or was removed by its user */
	int index;
	char name[16];
};

/* one incarnation, with a reference of ours */
struct device {
	struct ibc_device *dev;
	int index;
	bool going;  /* its removal has begun */
	bool reason; /* there was one for that */
	unsigned int callbacks;
};

enum pair_state {
	PAIR_NEW, /* zero, as in a client that was registered just now */
	PAIR_ADDING,
	PAIR_ADDED,
	PAIR_RETRY,
	PAIR_DECLINED,
	PAIR_REMOVING,
	PAIR_REMOVED,
	PAIR_GONE,
};

struct object {
	struct ibc_client_data data;
	unsigned int client, device;
	unsigned int mine; /* references that this program has */
	bool registrys;	   /* the registry has one */
	bool borrowed;	   /* a callback is told of it */
	bool used, freed;
};

struct pair {
	enum pair_state state;
	int why;	     /* ENODEV, ESHUTDOWN: whichever came first */
	struct object *slot; /* what get finds */
	struct object *held; /* until remove() has returned */
	bool allocating;
	struct object *result; /* of the allocation that has ended */
	int error;
};

struct client {
	struct ibc_client ibc;
	bool registered, dying, async;
	bool claimed; /* who unregisters it waits, and its callbacks run in him */
	int add_result, alloc_error; /* of the next one */
	struct pair pairs[MAX_DEVICES];
};

struct world {
	struct ibc_registry *reg;
	struct kernel kernel[NUM_NAMES];
	struct client clients[NUM_CLIENTS];
	struct device devices[MAX_DEVICES];
	unsigned int num_devices;
	struct object objects[MAX_OBJECTS];
	unsigned int depth; /* callbacks that run */
	struct input *in;
};

extern struct world world;

/* a step of the input, where there is one; in a callback too */
void sequence_step(void);

/* operations on the kernel's side */
void sequence_time_begins(void);
void sequence_pass_time(struct input *in);
void sequence_plug(struct input *in);
void sequence_unplug(struct input *in);
void sequence_rename_one(struct input *in);
void sequence_send(struct input *in);
struct kernel *sequence_kernel(struct input *in);
enum ibv_event_type sequence_event_type(struct input *in);

/* one that the input names; NULL: there is none yet, or it was let go */
struct device *sequence_device(struct input *in);
struct client *sequence_client(struct input *in);
/* operations on data */
void sequence_get(struct input *in);
void sequence_alloc_or_get(struct input *in);
void sequence_hold(struct input *in);
void sequence_put_one(struct input *in);
void sequence_init(struct input *in);
void sequence_set(struct input *in);
void sequence_cmpxchg(struct input *in);
void sequence_put(struct object *o);

void model_client(struct client *c, uint32_t flags);
/* looks at all devices: has a removal begun? */
void model_sync(void);
/* NULL: there are too many already */
struct device *model_device(struct ibc_device *dev);
struct object *model_new_object(unsigned int client, unsigned int device);
unsigned int model_count(const struct object *o);
/* why get, set and the others fail, or 0 */
int model_status(struct client *c, unsigned int device);
/* the client is being unregistered; it has been */
void model_dies(struct client *c);
void model_is_gone(struct client *c);
/* @o is in the slot from now on, or nothing */
void model_set(struct client *c, unsigned int device, struct object *o);
/* a reference less; what that leaves without any is no longer found */
void model_put(struct object *o);
/* nothing is left to do: everybody has heard what they should */
void model_settled(void);

#endif /* FUZZ_SEQUENCE_H */
