// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Devices that come, go, come back at once, change their names and fail. Each
 * thread has machines of its own; when the threads have ended they are main()'s.
 */
#include <stdio.h>

#include "torture.h"

#define NAME_MAX_LEN 16

static struct machine {
	bool there, other_name;
	int index;
	char name[NAME_MAX_LEN];
} machines[HARDWARE_THREADS][NAMES_PER_THREAD];

/* each device has two names */
static void name_it(char *name, unsigned int thread, unsigned int number,
		    bool other)
{
	snprintf(name, NAME_MAX_LEN, "%s%u_%u", other ? "roce" : "soft", thread,
		 number);
}

struct ibc_device *some_device(struct dice *dice)
{
	char name[NAME_MAX_LEN];

	if (roll(dice, 4) == 0)
		return ibc_get_device_by_index(torture_registry,
					       (int)roll(dice, 200));
	name_it(name, roll(dice, HARDWARE_THREADS),
		roll(dice, NAMES_PER_THREAD), roll(dice, 3) == 0);
	return ibc_get_device_by_name(torture_registry, name);
}

static void appear(struct actor *actor, struct machine *m, unsigned int number)
{
	m->other_name = false;
	name_it(m->name, actor->number, number, false);
	/* GUIDs are used again: an incarnation is not known by its GUID */
	m->index = fake_add(m->name,
			    1 + actor->number * NAMES_PER_THREAD + number);
	m->there = true;
	count(DEVICES_ADDED);
}

static void vanish(struct machine *m, bool silent)
{
	fake_remove(m->name, silent ? FAKE_WAIT : FAKE_FATAL);
	m->there = false;
	count(silent ? REMOVALS_SILENT : REMOVALS_FATAL);
}

static void change_name(struct actor *actor, struct machine *m,
			unsigned int number)
{
	char name[NAME_MAX_LEN];

	m->other_name = !m->other_name;
	name_it(name, actor->number, number, m->other_name);
	fake_rename(m->name, name);
	snprintf(m->name, sizeof(m->name), "%s", name);
	count(DEVICE_RENAMES);
}

static void send_event(struct dice *dice, struct machine *m)
{
	static const enum ibv_event_type types[] = {
		IBV_EVENT_PORT_ERR,
		IBV_EVENT_PORT_ACTIVE,
		IBV_EVENT_LID_CHANGE,
		IBV_EVENT_GID_CHANGE,
	};
	unsigned int n = roll(dice, 2) ? 1 : 20;

	while (n--)
		fake_event(m->name, types[roll(dice, 4)], 1 + roll(dice, 2));
	count(EVENTS_SENT);
}

/* the next call or two of some kind fail */
static void break_something(struct dice *dice)
{
	switch (roll(dice, 3)) {
	case 0:
		fake_fail(FAKE_OPEN, EIO, 1);
		break;
	case 1:
		fake_fail(FAKE_LIST, ENOMEM, 1 + roll(dice, 2));
		break;
	default:
		fake_fail(FAKE_EVENT, ENOMEM, 1);
	}
	count(CALLS_FAILED);
}

static void happen(struct actor *actor, struct machine *m, unsigned int number)
{
	struct dice *dice = &actor->dice;

	if (!m->there) {
		appear(actor, m, number);
		return;
	}
	switch (roll(dice, 16)) {
	case 0:
	case 1:
		change_name(actor, m, number);
		break;
	case 2:
		fake_remove(m->name, FAKE_RESET);
		count(DEVICE_RESETS);
		break;
	case 3:
	case 4:
	case 5:
		vanish(m, true);
		if (roll(dice, 2)) /* the name, the minor: at once */
			appear(actor, m, number);
		break;
	case 6:
	case 7:
	case 8:
		vanish(m, false);
		if (roll(dice, 2))
			appear(actor, m, number);
		break;
	case 9:
		if (actor->number == 0)
			break_something(dice);
		break;
	default:
		send_event(dice, m);
	}
}

void hardware_run(struct actor *actor)
{
	unsigned int number;

	if (actor->number)
		fake_by_calls();
	while (torture_goes_on()) {
		number = roll(&actor->dice, NAMES_PER_THREAD);
		happen(actor, &machines[actor->number][number], number);
		linger(&actor->dice, 2000);
	}
}

bool hardware_is_there(int index)
{
	unsigned int i, n;

	for (i = 0; i < HARDWARE_THREADS; i++)
		for (n = 0; n < NAMES_PER_THREAD; n++)
			if (machines[i][n].there &&
			    machines[i][n].index == index)
				return true;
	return false;
}

void hardware_end(void)
{
	unsigned int i, n;

	for (i = 0; i < HARDWARE_THREADS; i++)
		for (n = 0; n < NAMES_PER_THREAD; n++)
			if (machines[i][n].there)
				vanish(&machines[i][n], n % 2);
}
