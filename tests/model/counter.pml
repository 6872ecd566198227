/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The counter and the slot as a Promela model: get, hold and put, each on any of
 * two CPUs, against a thread that replaces and kills; for all schedules of three
 * threads, and all orders in which their stores may arrive. The inlines have the
 * names of the functions of libibclient/ that they stand for, but for these:
 *
 *	own: emptied write arrive store_relaxed store_release add take drop
 *	own: pick counted came zero make_live kill_shard publish_in_slot
 *	own: get_begins get_ends get_fails put_old init_and_set
 *
 * Memory: what is stored without being read waits in a buffer of its thread. A
 * release store leaves it after all older ones, any other when it likes, as on
 * ARM; with TSO all leave in order, as on x86. A read-modify-write is one step;
 * it empties the buffer first if it releases, and on x86 always. One that is
 * relaxed and whose result nobody looks at is buffered like a store. Loads are
 * not early by themselves: where an acquire forbids it a broken variant does it.
 *
 * What each access needs (in brackets the variant that is without):
 *	get, cur: acquire, status is read after it [24]
 *	get, shard: acquire; live: data and object are read after it [18]; dead:
 *		cur and status are as new as the kill, so rounds end
 *	get, status: relaxed, nothing is read by way of it
 *	hold, both: relaxed; what it counts centrally is there before its
 *		thread's next put, by that one's release [11]
 *	put, shard: release, for the holder's writes and holds [11]
 *	put, word: release likewise, the shard was another place; acquire,
 *		for who frees [21]
 *	publish, word: relaxed, the next is a release
 *	publish, shards: release, for object, data and word [2]
 *	publish, cur: release: who finds it finds it live [22]
 *	kill, shards: release: who finds it dead finds cur or status new [17];
 *		acquire: hands on what was written before a put there. No
 *		variant shows that: the sum depends on what was read
 *	kill, word: release, hands that to the last put
 *	status: stored before the shards are killed [4]
 * x86 forgives 2, 11, 17 and 22.
 *
 * What is asserted: no object is freed that somebody has a reference on, nor
 * twice; the word is not zero before the shards are summed; what get returns is
 * initialised, not poisoned, and nothing that was replaced or killed before get
 * began; ENOENT only if the slot was empty at some moment of that get; another
 * round of get only after cur changed; writes of holders are seen by who frees.
 * And by Spin itself: all is freed in the end (else the fence waits: a hang).
 *
 * Not promised: a get that was delayed until its counter was recycled may have
 * the new object a moment before the slot has it, and the next get the old one.
 *
 *	config 1: replaced twice, the first counter used again
 *	config 2: replaced, and the same object set again while it is held
 *	config 3: killed
 *	config 4: FREE_UNUSED, replaced and unused at once
 *	config 5: one thread replaces, one kills
 *	config 6: emptied, and allocated anew
 *	config 7: as 1, stores arrive in order
 *	config 8: as 1, by quick gets
 *	config 9: as 3, by quick gets
 *	config 0: as 1, with a hold
 *
 *	broken 1, config 6, assertion: data is written after it is published
 *	broken 2, config 1, assertion: shards are made live with no release
 *	broken 3, config 1, assertion: the slot has it before its shards are live
 *	broken 4, config 3, assertion: the status is set after the shards are killed
 *	broken 5, config 3, hang: kill reads a shard, then stores 0
 *	broken 6, config 3, hang: the word has no bias
 *	broken 7, config 5, assertion: killed before the slot has the replacement
 *	broken 8, config 5, assertion: get does not look again
 *	broken 9, config 1, assertion: get gives up when it finds the same counter
 *	broken 10, config 3, hang: put counts in a dead shard only
 *	broken 11, config 3, assertion: put does not release
 *	broken 12, config 2, assertion: get takes back what it counted in vain
 *	broken 13, config 2, assertion: the bias comes after the shards are live
 *	broken 14, config 1, assertion: recycled when replaced, not when freed
 *	broken 15, config 3, assertion: a hold on a dead shard counts nowhere else
 *	broken 16, config 2, hang: a shard that is made live keeps its junk
 *	broken 17, config 5, assertion: kill does not release
 *	broken 18, config 1, assertion: get reads data before it has counted
 *	broken 19, config 3, hang: put looks at the shard, then counts
 *	broken 20, config 3, assertion: get looks at the shard, then counts
 *	broken 21, config 3, assertion: the last put does not acquire
 *	broken 22, config 5, assertion: the slot has it with no release
 *	broken 23, config 4, assertion: get looks again at what is unused
 *	broken 24, config 3, assertion: get reads the status before the slot
 *	broken 25, config 3, assertion: kill forgets another CPU's shard
 *	broken 26, config 4, assertion: unused while it is being replaced
 *	broken 27, config 3, assertion: kill takes the registry's reference off, too
 *	broken 28, config 8, assertion: what is found stays when it is replaced
 *	broken 29, config 8, assertion: the quick get looks before it counts
 *	broken 30, config 8, hang: what was taken and not found is not put
 */
#ifndef BROKEN
#define BROKEN 0
#endif
#define OK(n) (BROKEN != n)

#ifndef CONFIG
#define CONFIG 0
#endif
#define UNUSED (CONFIG == 4)
#define QUICK  (CONFIG == 8 || CONFIG == 9)
#define HOLDS  (t == 0 && CONFIG != 1 && CONFIG < 7)
#define WRITES (t == 0)
#if CONFIG == 7
#define TSO
#endif

#define NT 3 /* threads that use the library */
#define NR 3 /* counters that the slot may need */
#define NO 3 /* objects; they, counters and shards are numbered from 1 */
#define NC 2 /* CPUs */
#define NB 6 /* stores that a thread may have under way */

/* what is in an object */
#define SET    1
#define USED   2 /* a holder wrote to it */
#define POISON 3

/* why get fails */
#define ENOENT 1
#define ENODEV 2

#define BIAS 32
#define JUNK 9 /* in a dead shard, once somebody counted there */

/* reg->lock */
bool lock;

/* the slot */
byte cur, status, found;

/* counters */
byte word[NR + 1], data[NR + 1];
bool closed[NR + 1];
bool spare[NR + 1];

/* their shards */
#define SHARD(r, cpu) (NC * (r) - 1 + (cpu))
bool live[NC * NR + 1];
short n[NC * NR + 1];

byte content[NO + 1];

/* what nobody decides by: for the assertions */
byte inst[NR + 1]; /* the object that a counter is of */
byte refs[NO + 1];
bool made[NO + 1], used[NO + 1], freed[NO + 1];
byte gone; /* objects that were replaced, a bit each */
bool changed[NT], nothing[NT];
byte killing, finished;

#define bit(x) (1 << (x))

/* ---- memory ---- */

/* what may be stored without being read */
#define CONTENT(x) (x)
#define DATA(r)	   (NO + (r))
#define WORD(r)	   (NO + NR + (r)) /* is counted up */
#define LIVE(i)	   (NO + 2 * NR + (i))
#define CUR	   (LIVE(NC * NR) + 1)
#define STATUS	   (CUR + 1)
#define FOUND	   (STATUS + 1)
#define RELEASE	   64

/* the stores of each thread that others cannot see yet, oldest first */
byte stored[NT];
byte place[NT * NB], value[NT * NB];

hidden byte p, v, k;

/* get would find nothing, and no reason */
#define vacant (status == 0 && (cur == 0 || (UNUSED && word[cur] == 0)))

inline emptied()
{
	if
	:: vacant ->
		nothing[0] = true;
		nothing[1] = true;
		nothing[2] = true
	:: else
	fi
}

inline write(x, y)
{
	if
	:: x < DATA(1) ->
		/* nobody writes to what was freed */
		assert(!freed[x] || y == POISON);
		content[x] = y
	:: x >= DATA(1) && x < WORD(1) -> data[x - DATA(0)] = y
	:: x >= WORD(1) && x < LIVE(1) ->
		word[x - WORD(0)] = word[x - WORD(0)] + y
	:: x >= LIVE(1) && x < CUR ->
		live[x - LIVE(0)] = true;
		n[x - LIVE(0)] = (OK(16) -> 0 : n[x - LIVE(0)])
	:: x == CUR ->
		cur = y;
		changed[0] = true;
		changed[1] = true;
		changed[2] = true;
		emptied()
	:: x == STATUS -> status = y
	:: x == FOUND -> found = y
	fi
}

/* the @i-th store of thread @t arrives */
inline arrive(t, i)
{
	k = NB * t + i;
	p = place[k] & (RELEASE - 1);
	v = value[k];
	stored[t]--;
	do
	:: k < NB * t + stored[t] ->
		place[k] = place[k + 1];
		value[k] = value[k + 1];
		k++
	:: else -> break
	od;
	place[k] = 0;
	value[k] = 0;
	write(p, v);
	p = 0;
	v = 0;
	k = 0
}

/* not of one place with the @j-th, which is older */
#define other(i, j) \
	(place[NB * t + i] != (place[NB * t + j] & (RELEASE - 1)))
/* may pass older ones */
#define may(i) (stored[t] > i && place[NB * t + i] < RELEASE && other(i, 0))

proctype store_buffer(byte t)
{
end:	do
	:: d_step { stored[t] > 0 -> arrive(t, 0) }
#ifndef TSO
	:: d_step { may(1) -> arrive(t, 1) }
	:: d_step { may(2) && other(2, 1) -> arrive(t, 2) }
	:: d_step { may(3) && other(3, 1) && other(3, 2) -> arrive(t, 3) }
	:: d_step {
		may(4) && other(4, 1) && other(4, 2) && other(4, 3) ->
		arrive(t, 4)
	   }
	:: d_step {
		may(5) && other(5, 1) && other(5, 2) && other(5, 3) &&
			other(5, 4) ->
		arrive(t, 5)
	   }
#endif
	od
}

inline store_relaxed(where, what)
{
	assert(stored[t] < NB);
	place[NB * t + stored[t]] = where;
	value[NB * t + stored[t]] = what;
	stored[t]++
}

inline store_release(where, what)
{
	store_relaxed(RELEASE + where, what)
}

/* what a read-modify-write waits for */
#define release (stored[t] == 0)
#ifdef TSO
#define relaxed release
#else
#define relaxed true
#endif
/* the stores to the same place come first in any case */
#define none_to(x) \
	((stored[t] < 1 || place[NB * t] != (x)) && \
	 (stored[t] < 2 || place[NB * t + 1] != (x)) && \
	 (stored[t] < 3 || place[NB * t + 2] != (x)))

/* a relaxed one whose result nobody looks at is no more than a store */
inline add(r, what)
{
#ifdef TSO
	release -> word[r] = word[r] + what
#else
	store_relaxed(WORD(r), what)
#endif
}

inline take()
{
	atomic { !lock && relaxed -> lock = true }
}

/* the call has returned, as far as others can see: @x is not the slot's now */
inline drop(x)
{
	atomic {
		release ->
		lock = false;
		if
		:: x != 0 -> gone = gone | bit(inst[x])
		:: else
		fi
	}
}

/* ---- ref.c ---- */

/* the shard that is counted in, each time: threads move between CPUs */
inline pick(r)
{
	if
	:: c = SHARD(r, 0)
	:: c = SHARD(r, 1)
	fi
}

inline counted(what)
{
	n[c] = (live[c] -> n[c] + what : JUNK)
}

/* get has a reference */
inline came(r)
{
	got = true;
	refs[inst[r]]++;
	/* what was replaced before we began is not found */
	assert(!(before & gone & bit(inst[r])));
	o = (OK(18) -> data[r] : o);
	assert(o == inst[r]);
	assert(content[o] == SET || content[o] == USED);
	if
	:: WRITES -> store_relaxed(CONTENT(o), USED); used[o] = true
	:: else
	fi;
	get_ends()
}

/* no: nobody has any reference any more */
inline ibc__ref_tryget(r)
{
#if !OK(20)
	atomic { pick(r); early = live[c]; c = 0 };
#endif
	atomic {
		relaxed ->
		pick(r);
		counted(1);
		if
		:: (OK(20) -> live[c] : early) -> came(r)
		:: else
		fi;
		c = 0
	};
#if UNUSED
	atomic {
		relaxed ->
		if
		:: word[r] != 0 && !closed[r] -> word[r]++; came(r)
		:: else -> no = (word[r] == 0 && !closed[r])
		fi
	}
#endif
}

inline ibc__ref_hold(r)
{
	atomic {
		relaxed ->
		pick(r);
		counted(1);
		refs[inst[r]]++;
		if
		:: !live[c] && OK(15) -> add(r, 1)
		:: else
		fi;
		c = 0
	}
}

/* the count was made zero */
inline zero(r)
{
	assert(killing != r);
	assert(!live[SHARD(r, 0)] && !live[SHARD(r, 1)]);
	assert(refs[inst[r]] == 0);
	assert(!freed[inst[r]]);
	seen = (OK(21) -> content[inst[r]] : seen);
	assert(!used[inst[r]] || seen == USED);
	freed[inst[r]] = true;
	store_relaxed(CONTENT(inst[r]), POISON);
	seen = 0;
	emptied()
}

inline ref_free(r)
{
#if UNUSED
	take();
	if
	:: atomic { cur == r -> store_release(CUR, 0) }
	:: else
	fi;
	drop(0);
#endif
	/* ibc__ref_recycle() */
	atomic {
		!lock && release ->
		data[r] = 0;
		inst[r] = 0;
		spare[r] = true
	}
}

inline ibc__ref_put(r)
{
#if !OK(19)
	atomic { pick(r); early = live[c]; c = 0 };
#endif
	atomic {
		(OK(11) -> release : relaxed) && none_to(LIVE(SHARD(r, 0))) &&
			none_to(LIVE(SHARD(r, 1))) ->
		pick(r);
		central = !(OK(19) -> live[c] : early);
		if
		:: OK(19) || !central -> counted(-1)
		:: else
		fi;
		central = central && OK(10);
		refs[inst[r]] = refs[inst[r]] - !central;
		c = 0
	};
	if
	:: central ->
#if !OK(21)
		seen = content[inst[r]];
#endif
		atomic {
			(OK(11) -> release : relaxed) && none_to(WORD(r)) ->
			assert(word[r] > 0);
			word[r]--;
			refs[inst[r]]--;
			central = (word[r] == 0);
			if
			:: central -> zero(r)
			:: else
			fi
		};
		if
		:: central -> central = false; ref_free(r)
		:: else
		fi
	:: else
	fi
}

inline make_live(i)
{
	if
	:: OK(2) -> store_release(LIVE(i), 1)
	:: else -> store_relaxed(LIVE(i), 1)
	fi
}

#define bias (OK(6) -> BIAS : 0)

inline ibc__ref_publish(r, count)
{
#if UNUSED
	release -> word[r] = word[r] + count;
	closed[r] = false
#elif OK(13)
	add(r, bias + count);
	make_live(SHARD(r, 0));
	make_live(SHARD(r, 1))
#else
	make_live(SHARD(r, 0));
	make_live(SHARD(r, 1));
	add(r, bias + count)
#endif
}

inline kill_shard(i)
{
#if !OK(5)
	atomic { release -> sum = sum + n[i] };
#endif
	atomic {
		(OK(17) -> release : relaxed) ->
		assert(live[i]);
		killing = (i + 1) / NC;
		sum = (OK(5) -> sum + n[i] : sum);
		n[i] = 0;
		live[i] = false
	}
}

inline ibc__ref_kill(r)
{
#if UNUSED
	atomic { release -> closed[r] = true }
#else
	kill_shard(SHARD(r, 0));
#if OK(25)
	kill_shard(SHARD(r, 1));
#endif
	atomic {
		(OK(17) -> release : relaxed) ->
		word[r] = word[r] + sum - bias - !OK(27);
		sum = 0;
		killing = 0
	}
#endif
}

/* lock held */
inline ibc__ref_alloc(r)
{
	if
	:: spare[1] -> r = 1
	:: !spare[1] && spare[2] -> r = 2
	:: else -> r = 3
	fi;
	assert(spare[r]);
	spare[r] = false
}

/* ---- slot.c ---- */

/*
 * Lock held: what to kill, or 0. FREE_UNUSED data has no reference of the
 * registry: one is taken, so that it does not become unused before it is closed.
 */
inline ibc__slot_keep()
{
	old = cur;
	if
	:: UNUSED && old != 0 ->
		if
		:: word[old] == 0 -> old = 0
		:: word[old] != 0 && OK(26) -> word[old]++; refs[inst[old]]++
		:: else
		fi
	:: else
	fi
}

inline ibc__slot_kill(why)
{
	atomic {
		if
		:: OK(4) -> store_release(STATUS, why)
		:: else
		fi;
		ibc__slot_keep()
	};
	if
	:: old != 0 -> ibc__ref_kill(old)
	:: else
	fi;
	atomic {
		ibc__slot_set(0);
		if
		:: OK(4)
		:: else -> store_release(STATUS, why)
		fi
	}
}

inline publish_in_slot(r)
{
	if
	:: OK(22) -> store_release(CUR, r)
	:: else -> store_relaxed(CUR, r)
	fi
}

inline ibc__slot_set(r)
{
	if
	:: QUICK && r != 1 && OK(28) -> store_relaxed(FOUND, 0)
	:: else
	fi;
	publish_in_slot(r);
	if
	:: QUICK && r == 1 -> store_release(FOUND, data[r])
	:: else
	fi
}

inline ibc__slot_publish(r, count)
{
#if OK(3)
	ibc__ref_publish(r, count);
	ibc__slot_set(r)
#else
	ibc__slot_set(r);
	ibc__ref_publish(r, count)
#endif
}

/* ---- data.c ---- */

inline get_begins()
{
	nothing[t] = vacant;
	before = gone
}

inline get_ends()
{
	changed[t] = false;
	nothing[t] = false;
	before = 0;
	last = 0;
	no = false;
	o = 0
}

inline get_fails()
{
	/* never between two objects */
	assert(error != ENOENT || nothing[t]);
	get_ends();
	error = 0;
	r = 0
}

inline ibc__slot_get(r)
{
	atomic {
		get_begins();
		error = (OK(24) -> 0 : status)
	};
	atomic {
		r = cur;
		changed[t] = false;
		o = (OK(18) -> 0 : data[r])
	};
	do
	:: atomic {
		r == 0 || r == last ->
		error = (OK(24) -> status : error);
		error = (error != 0 -> error : ENOENT);
		get_fails();
		break
	   }
	:: else ->
		ibc__ref_tryget(r);
		if
		:: got -> break
		:: else
		fi;
#if !OK(12)
		atomic { pick(r); n[c]--; c = 0 };
#endif
		atomic {
			error = status;
			error = (error == 0 && no && OK(23) -> ENOENT : error);
			error = (error == 0 && !OK(8) -> ENOENT : error);
			if
			:: error != 0 -> get_fails(); break
			:: else
			fi;
			last = (OK(9) -> 0 : r)
		};
		atomic {
			r = cur;
			/* another round: it was replaced */
			assert(changed[t]);
			changed[t] = false;
			o = (OK(18) -> 0 : data[r])
		}
	od
}

/*
 * Of the first counter's words. What is found after it was counted there is what was
 * counted; or nothing, and it is given back.
 */
inline ibc__quick_get(r)
{
#if QUICK
	atomic {
		get_begins();
		o = (OK(29) -> 0 : found)
	};
	atomic {
		relaxed ->
		pick(1);
		counted(1);
		took = live[c];
		refs[inst[1]] = refs[inst[1]] + took;
		c = 0
	};
	atomic {
		o = (OK(29) -> found : o);
		if
		:: took && o != 0 ->
			assert(o == inst[1]);
			assert(!(before & gone & bit(o)));
			assert(content[o] == SET || content[o] == USED);
			if
			:: WRITES ->
				store_relaxed(CONTENT(o), USED);
				used[o] = true
			:: else
			fi;
			got = true;
			took = false;
			r = 1
		:: else
		fi;
		get_ends()
	};
	if
	:: took && OK(30) -> ibc__ref_put(1)
	:: else
	fi;
	took = false
#else
	skip
#endif
}

/* the caller's object @x gets a spare counter and one reference */
inline ibc_init_client_data(r, x)
{
	atomic {
		!lock && release ->
		ibc__ref_alloc(r);
		inst[r] = x;
		data[r] = x;
		word[r] = 1;
		closed[r] = true;
		refs[x] = 1;
		made[x] = true;
		/* by the caller, before it calls set */
		store_relaxed(CONTENT(x), SET)
	}
}

/* lock held; @old is what to put then. @r is 0 to empty the slot */
inline replace(r)
{
	atomic {
		ibc__slot_keep();
		if
		:: r != 0 ->
			refs[inst[r]] = refs[inst[r]] + !UNUSED;
			gone = gone & ~bit(inst[r]);
#if OK(7)
			ibc__slot_publish(r, !UNUSED)
#else
			ibc__ref_publish(r, !UNUSED)
#endif
		:: else -> ibc__slot_set(0)
		fi
	};
	if
	:: old != 0 -> ibc__ref_kill(old)
	:: else
	fi;
#if !OK(7)
	ibc__slot_set(r)
#endif
}

inline put_old()
{
	if
	:: old != 0 && (!UNUSED || OK(26)) && OK(27) -> ibc__ref_put(old)
	:: else
	fi;
	old = 0
}

inline ibc_set_client_data(r)
{
	take();
	if
	:: status == 0 -> replace(r)
	:: else
	fi;
	drop(old);
#if !OK(14)
	spare[old] = true;
#endif
	put_old()
}

/* lock held, the slot is empty: @x was just made, and @r is taken for it */
inline settle(r, x)
{
	atomic {
		ibc__ref_alloc(r);
		inst[r] = x;
		refs[x] = 2;
		made[x] = true;
		store_relaxed(CONTENT(x), SET);
#if OK(1)
		store_relaxed(DATA(r), x);
		ibc__slot_publish(r, 2)
#else
		ibc__slot_publish(r, 2);
		store_relaxed(DATA(r), x)
#endif
	}
}

/* ---- the threads ---- */

proctype user(byte t)
{
	byte c, r, error, before, last, o, seen;
	bool got, no, central, early, took;

	if
	:: UNUSED && t == 0 -> ibc__ref_put(1)
	:: else
	fi;
	if
	:: QUICK -> ibc__quick_get(r)
	:: else
	fi;
	if
	:: !got -> ibc__slot_get(r)
	:: else
	fi;
	if
	:: r != 0 ->
		if
		:: HOLDS ->
			ibc__ref_hold(r);
			ibc__ref_put(r)
		:: else
		fi;
		ibc__ref_put(r)
	:: else
	fi;
	finished++
}

inline init_and_set(x)
{
	ibc_init_client_data(r, x);
	ibc_set_client_data(r);
	ibc__ref_put(r)
}

proctype writer(byte t)
{
	byte c, r, old, seen;
	short sum;
	bool central, early;

#if CONFIG == 0 || CONFIG == 1 || CONFIG == 7 || CONFIG == 8
	init_and_set(2);
	init_and_set(3);
#elif CONFIG == 2
	init_and_set(2);
	ibc_set_client_data(1);
	ibc__ref_put(1);
#elif CONFIG == 4
	init_and_set(2);
#elif CONFIG == 5
	if
	:: t == 1 -> init_and_set(2)
	:: else
	fi;
#elif CONFIG == 6
	ibc_set_client_data(0);
	take();
	settle(r, 2);
	drop(0);
	ibc__ref_put(r);
#endif
	r = 0;
	if
	:: CONFIG != 5 || t == 2 ->
		take();
		ibc__slot_kill(ENODEV);
		drop(old);
		put_old()
	:: else
	fi;
	finished++
}

init {
	atomic {
		cur = 1;
		found = QUICK;
		data[1] = 1;
		inst[1] = 1;
		content[1] = SET;
		made[1] = true;
		spare[2] = true;
		spare[3] = true;
		refs[1] = 1 + (CONFIG == 2);
		word[1] = (UNUSED -> 0 : BIAS) + refs[1];
		live[SHARD(1, 0)] = !UNUSED;
		live[SHARD(1, 1)] = !UNUSED;
		run store_buffer(0);
		run store_buffer(1);
		run store_buffer(2);
		run user(0);
#if CONFIG == 5
		run writer(1);
#else
		run user(1);
#endif
		run writer(2)
	};
	/* the fence: all that was made is freed */
	finished == NT && freed[1] && freed[2] == made[2] &&
		freed[3] == made[3];
	assert(word[1] == 0 && word[2] == 0 && word[3] == 0)
}
