/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Registration, removal and unregistration as a Promela model, for all
 * schedules of: two dispatchers, a removal, a client that registers late and
 * one that unregisters, and threads that allocate, get and put its data.
 *
 *	own: take drop enter leave
 *
 * What it is of: one device with one job, two clients with a slot each. The
 * inlines have the names of the functions of libibclient/ that they stand for,
 * and what is "of NAME" stands for that one; tests/model/check says when one of
 * these is there no more, or a step of the device's job is not here. What holds
 * reg->lock there holds ->lock here. Get and put take no lock, so what they
 * look at (status, cur, word) is stored in single steps even under the lock.
 * Memory is sequentially consistent: the order of the accesses themselves is
 * another model's matter.
 *
 * What is asserted (G: number in ibclient(7)):
 *	G1, G3	add() before all others, callbacks of a device one at a time
 *	G1	remove() once for an add() that returned 0, gone() after it
 *	G6	nothing runs, and nothing is left, once unregister returned
 *	G7	one object at a time; each freed once, after its last put
 *	G9	none is given out once remove() has been called; the context is
 *		open in all callbacks but gone(), and while there is data
 *	G15	an event that was read before the removal is told before it
 *	and by Spin itself: nobody waits for ever (invalid end states)
 *
 * CONFIG chooses who is there beside the dispatchers and a thread that
 * allocates, uses and puts:
 *
 *	config 1: a removal, and the client unregisters
 *	config 2: two removals, and another client registers
 *	config 3: a removal, and a second thread that allocates
 *	config 4: the client unregisters, and another registers
 *	config 0: a removal, unregistering, registering, a second thread
 *
 * BROKEN=n breaks one thing; here with the configuration that shows it, and as
 * what: a hang, or an assertion. Documentation/testing.md has the same list.
 *
 *	broken 1, config 1, hang: the last unpin does not wake the device's job
 *	broken 2, config 3, assertion: killing a slot leaves the counter open
 *	broken 3, config 1, hang: the registry's reference is never put
 *	broken 4, config 1, hang: it is forgotten after remove()
 *	broken 5, config 1, assertion: add() of a client that unregisters
 *	broken 6, config 1, assertion: the context is closed while there is data
 *	broken 7, config 1, assertion: the fence does not count gone()
 *	broken 8, config 4, assertion: a job that runs is queued once more
 *	broken 9, config 1, assertion: the fence does not wait for data
 *	broken 10, config 4, hang: registering does not wake the device's job
 *	broken 11, config 2, assertion: a second trigger begins the removal anew
 *	broken 12, config 1, hang: a new object is published without a second look
 *	broken 13, config 1, assertion: the pin is taken after the allocation
 *	broken 14, config 3, hang: two threads allocate at once
 *	broken 15, config 1, assertion: the registry's put comes before remove()
 *	broken 16, config 1, assertion: the fence does not wait for callbacks
 *	broken 17, config 1, assertion: unpinned before the free has returned
 *	broken 18, config 1, assertion: remove() comes before the events
 */
#ifndef BROKEN
#define BROKEN 0
#endif
#define OK(n) (BROKEN != n)

#define NC 2 /* clients, in the order of their registration */
#define NR 3 /* objects that a slot may have in its life */

/* why get fails */
#define ENOENT	  1
#define ENODEV	  2
#define ESHUTDOWN 3

mtype:stage = { LIVE, REMOVING, DRAINING, GONE, FINISHED }
mtype:slot = { NONE, NEW, ADDING, ADDED, RETRY, REM, REMOVED, DONE }

bool lock;

/* the device and its job */
mtype:stage state = LIVE;
bool queued, running, again;
byte pins;

/* the clients */
bool registered[NC], dying[NC];
byte busy[NC], cpins[NC];

/* the slots; objects are numbered from 1, words are counts */
mtype:slot slot[NC] = NONE;
byte status[NC] = ENOENT;
byte cur[NC], held[NC], made[NC];
bool attempt[NC];
typedef objects {
	byte count[NR];
	bool closed[NR];
	bool freed[NR];
	bool exists[NR]
};
objects obj[NC];

/* what nobody decides by: for the assertions */
bool open_context = true;
byte callbacks;
bool fenced[NC], may_fail = true;
byte adds[NC], removes[NC], gones[NC];
bool event = true;

inline take()
{
	atomic { !lock -> lock = true }
}

inline drop()
{
	lock = false
}

/* ---- job.c ---- */

inline ibc__kick()
{
	if
	:: running && OK(8) -> again = true
	:: else -> queued = true
	fi
}

/* ---- callbacks: with no lock, for as long as it takes ---- */

inline enter(c)
{
	d_step {
		callbacks++;
		assert(callbacks == 1);
		assert(open_context && !fenced[c])
	}
}

inline leave()
{
	d_step { callbacks-- }
}

/* ---- ref.c ---- */

/* i: 0 if there is none to be had; a compare-and-swap, so one step */
inline ibc__ref_tryget(c, i)
{
	if
	:: atomic { obj[c].count[i - 1] == 0 || obj[c].closed[i - 1] -> i = 0 }
	:: atomic {
		else ->
		/* G9: none is given out once remove() has been called */
		assert(removes[c] == 0);
		obj[c].count[i - 1]++
	   }
	fi
}

/* by whoever made the count zero */
inline ref_free(c, i)
{
	take();
	if
	:: cur[c] == i -> cur[c] = 0
	:: else
	fi;
	if
	:: OK(17)
	:: else -> ibc__unpin(c)
	fi;
	drop();
	d_step {
		assert(open_context && !fenced[c]);
		assert(obj[c].exists[i - 1] && !obj[c].freed[i - 1]);
		obj[c].freed[i - 1] = true
	};
	take();
	if
	:: OK(17) -> ibc__unpin(c)
	:: else
	fi;
	drop()
}

inline ibc__ref_put(c, i)
{
	if
	:: atomic {
		obj[c].count[i - 1] > 1 ->
		assert(!obj[c].freed[i - 1]);
		obj[c].count[i - 1]--
	   }
	:: atomic {
		else ->
		assert(obj[c].count[i - 1] == 1 && !obj[c].freed[i - 1]);
		obj[c].count[i - 1] = 0
	   };
	   ref_free(c, i)
	fi
}

/* ---- slot.c ---- */

inline ibc__pin(c)
{
	d_step {
		pins++;
		cpins[c]++
	}
}

inline ibc__unpin(c)
{
	d_step {
		cpins[c]--;
		pins--;
		if
		:: pins == 0 && state != LIVE && OK(1) -> ibc__kick()
		:: else
		fi
	}
}

inline ibc__slot_kill(c, why)
{
	if
	:: status[c] != ENODEV && status[c] != ESHUTDOWN -> status[c] = why
	:: else
	fi;
	if
	:: cur[c] != 0 ->
		held[c] = cur[c];
		obj[c].closed[cur[c] - 1] = OK(2);
		cur[c] = 0
	:: else
	fi
}

inline ibc__slot_drop(c)
{
	if
	:: held[c] != 0 ->
		i = held[c];
		held[c] = 0;
		drop();
		if
		:: OK(3) -> ibc__ref_put(c, i)
		:: else
		fi;
		take()
	:: else
	fi
}

/* ---- step.c, remove.c: steps of the device's job; c, i are the caller's ---- */

/* @c is the first, the last client that is meant, or NC */
#define first(which) atomic { \
		c = 0; \
		do \
		:: c < NC && !(which) -> c++ \
		:: else -> break \
		od }
#define last(which) atomic { \
		c = NC - 1; \
		do \
		:: c < NC && !(which) -> c-- \
		:: else -> break \
		od }

inline ibc__remove_slot(c)
{
	if
	:: slot[c] != ADDED
	:: slot[c] == ADDED ->
		slot[c] = REM;
		if
		:: OK(15)
		:: else -> j = held[c]; ibc__slot_drop(c)
		fi;
		j = (OK(15) -> held[c] : j);
		drop();
		enter(c);
		assert(adds[c] == 1 && removes[c] == 0);
		assert(j == 0 || !obj[c].freed[j - 1]);
		j = 0;
		removes[c]++;
		leave();
		take();
		slot[c] = REMOVED;
		if
		:: OK(4) -> busy[c]--; ibc__slot_drop(c)
		:: else -> held[c] = 0; busy[c]--
		fi
	fi
}

inline step_unregister()
{
	last(registered[c] && dying[c] && slot[c] == ADDED);
	if
	:: c < NC -> ibc__remove_slot(c); did = true
	:: else -> did = false
	fi
}

/* @c has its add(); it may fail, once */
inline add()
{
	assert(!dying[c]);
	slot[c] = ADDING;
	busy[c]++;
	status[c] = 0;
	drop();
	enter(c);
	assert(adds[c] == 0 && removes[c] == 0);
	if
	:: adds[c]++; failed = false
	:: may_fail -> may_fail = false; failed = true
	fi;
	leave();
	take();
	if
	:: failed ->
		slot[c] = RETRY;
		ibc__slot_kill(c, ENOENT);
		busy[c]--;
		ibc__slot_drop(c)
	:: else -> slot[c] = ADDED
	fi
}

inline step_add()
{
	first(registered[c] && (!dying[c] || !OK(5)) &&
	      (slot[c] == NEW || slot[c] == RETRY));
	if
	:: c < NC -> add(); did = true
	:: else -> did = false
	fi
}

/* one event, to the first that was added */
inline ibc__deliver()
{
	did = false;
	if
	:: event ->
		event = false;
		first(registered[c] && !dying[c] && slot[c] == ADDED);
		if
		:: c < NC ->
			drop();
			enter(c);
			assert(adds[c] == 1 && removes[c] == 0);
			leave();
			take()
		:: else
		fi;
		did = true
	:: else
	fi
}

inline step_removing()
{
	did = false;
	if
	:: OK(18) -> ibc__deliver()
	:: else
	fi;
	if
	:: did
	:: else ->
		last(registered[c] && slot[c] == ADDED);
		if
		:: c < NC ->
			assert(!event || slot[c] != ADDED);
			ibc__remove_slot(c)
		:: else -> state = DRAINING
		fi;
		did = true
	fi
}

inline step_draining()
{
	did = false;
	if
	:: pins == 0 || !OK(6) ->
		drop();
		d_step {
			assert(pins == 0 && callbacks == 0 && open_context);
			open_context = false
		};
		take();
		state = GONE;
		did = true
	:: else
	fi
}

inline step_gone()
{
	last(registered[c] && !dying[c] && slot[c] == REMOVED);
	if
	:: c < NC ->
		slot[c] = DONE;
		busy[c] = busy[c] + OK(7);
		drop();
		d_step {
			callbacks++;
			assert(callbacks == 1 && !open_context);
			assert(!fenced[c] && removes[c] == 1);
			gones[c]++;
			assert(gones[c] == 1)
		};
		leave();
		take();
		busy[c] = busy[c] - OK(7);
		did = true
	:: else -> state = FINISHED; did = false
	fi
}

inline ibc__device_step()
{
	if
	:: state == FINISHED -> did = false
	:: else ->
		step_unregister();
		if
		:: did
		:: !did && state == LIVE ->
			step_add();
			if
			:: did
			:: else -> ibc__deliver()
			fi
		:: !did && state == REMOVING -> step_removing()
		:: !did && state == DRAINING -> step_draining()
		:: !did && state == GONE -> step_gone()
		fi
	fi
}

/* of ibc__run_job(); two of them, until nothing will be kicked any more */
proctype dispatcher()
{
	byte c, i, j;
	bool did, failed;

end:	do
	:: atomic {
		!lock && queued ->
		lock = true;
		queued = false;
		running = true;
		again = false
	   };
		ibc__device_step();
		running = false;
		if
		:: did || again -> queued = true
		:: else
		fi;
		d_step {
			c = 0;
			i = 0;
			did = false;
			failed = false;
			lock = false
		}
	:: atomic { state == FINISHED && !queued && !running -> break }
	od
}

/* ---- unregister.c ---- */

inline mark(c)
{
	dying[c] = true;
	ibc__slot_kill(c, ESHUTDOWN);
	ibc__kick()
}

#define quiet(c) \
	((busy[c] == 0 || !OK(16)) && (cpins[c] == 0 || !OK(9)))

/* of ibc_unregister_client_timed(); the condition variable is the guard */
proctype unregister(byte c)
{
	take();
	mark(c);
	drop();
	atomic { !lock && quiet(c) -> lock = true };
	registered[c] = false;
	slot[c] = NONE;
	status[c] = ENOENT;
	drop();
	d_step {
		fenced[c] = true;
		assert(adds[c] == removes[c]);
		assert(held[c] == 0);
		assert(made[c] == 0 || obj[c].freed[0]);
		assert(made[c] <= 1 || obj[c].freed[1]);
		assert(made[c] <= 2 || obj[c].freed[2])
	}
}

/* ---- client.c ---- */

/* of ibc_register_client() */
proctype register(byte c)
{
	take();
	d_step {
		slot[c] = NEW;
		if
		:: state == LIVE -> status[c] = ENOENT
		:: else -> status[c] = ENODEV
		fi;
		registered[c] = true;
		if
		:: OK(10) -> ibc__kick()
		:: else
		fi
	};
	drop();
	/* settled(): its add() was tried, or the device goes */
	state != LIVE || slot[c] == ADDED || slot[c] == RETRY || dying[c]
}

/* ---- remove.c ---- */

/* of ibc__begin_removal() */
proctype remove()
{
	byte c;

	take();
	if
	:: state == LIVE || !OK(11) ->
		state = REMOVING;
		c = 0;
		do
		:: c < NC ->
			if
			:: registered[c] -> ibc__slot_kill(c, ENODEV)
			:: else
			fi;
			c++
		:: else -> break
		od;
		ibc__kick()
	:: else
	fi;
	drop()
}

/* of ibc_wait_drained() */
proctype wait_drained()
{
	state == FINISHED
}

/* ---- data.c, alloc.c: i is what the caller has, or 0 ---- */

inline ibc__slot_get(c)
{
	i = cur[c];
	if
	:: i != 0 -> ibc__ref_tryget(c, i)
	:: else
	fi
}

/* under the lock, after the callback: what to do with the new object */
inline settle(c)
{
	if
	:: status[c] != 0 && OK(12) ->
		obj[c].closed[i - 1] = true;
		obj[c].count[i - 1] = 1;
		surplus = true
	:: else ->
		obj[c].count[i - 1] = 2; /* the registry's, and ours */
		cur[c] = i
	fi
}

inline make_attempt(c)
{
	attempt[c] = true;
	if
	:: OK(13) -> ibc__pin(c)
	:: else
	fi;
	drop();
	d_step {
		assert(open_context && !fenced[c]);
		made[c]++;
		assert(made[c] <= NR);
		i = made[c];
		obj[c].exists[i - 1] = true
	};
	take();
	if
	:: OK(13)
	:: else -> ibc__pin(c)
	fi;
	attempt[c] = false;
	settle(c)
}

/* G7: who comes while somebody allocates waits for the result */
inline alloc_or_get(c)
{
	ibc__slot_get(c);
	if
	:: i != 0
	:: else ->
		take();
		if
		:: !attempt[c] || !OK(14)
		:: else -> drop(); atomic { !attempt[c] && !lock -> lock = true }
		fi;
		if
		:: status[c] != 0 -> i = 0
		:: status[c] == 0 && cur[c] != 0 ->
			ibc__slot_get(c)
		:: else -> make_attempt(c)
		fi;
		drop()
	fi
}

/* an I/O thread of the client: an object, a use of it */
proctype user(byte c)
{
	byte i;
	bool surplus;

	alloc_or_get(c);
	if
	:: i != 0 && !surplus ->
		assert(open_context && !obj[c].freed[i - 1] && !fenced[c]);
		assert(open_context && !obj[c].freed[i - 1] && !fenced[c])
	:: else
	fi;
	if
	:: i != 0 -> ibc__ref_put(c, i)
	:: else
	fi
}

/*
 * Client 0 is there from the start. All at once has too many schedules for a
 * test of every day.
 */
#ifndef CONFIG
#define CONFIG 0
#endif

init {
	atomic {
		slot[0] = NEW;
		registered[0] = true;
		queued = true;
		run dispatcher();
		run dispatcher();
		run user(0);
#if CONFIG != 4
		run remove();
		run wait_drained();
#endif
#if CONFIG == 0 || CONFIG == 1 || CONFIG == 4
		run unregister(0);
#endif
#if CONFIG == 0 || CONFIG == 2 || CONFIG == 4
		run register(1);
#endif
#if CONFIG == 2
		run remove()
#endif
#if CONFIG == 0 || CONFIG == 3
		run user(0)
#endif
	}
}
