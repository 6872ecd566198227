// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See sequence.h: the fake kernel, and time. */
#include <poll.h>
#include <stdio.h>
#include <sys/timerfd.h>

#include "sequence.h"

/* ---- time ---- */

static uint64_t now, timer_at;
static int timer_fd = -1;

uint64_t __wrap_ibc__now(void);
int __wrap_ibc__deadline(int timeout_ms, uint64_t *deadline);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *new,
			   struct itimerspec *old);
int __real_timerfd_settime(int fd, int flags, const struct itimerspec *new,
			   struct itimerspec *old);

uint64_t __wrap_ibc__now(void)
{
	return now;
}

int __wrap_ibc__deadline(int timeout_ms, uint64_t *deadline)
{
	if (timeout_ms < -1)
		return EINVAL;
	*deadline = timeout_ms < 0 ? IBC_FOREVER : now + timeout_ms;
	return 0;
}

/* it is readable as soon as it is due */
static void set_timer(void)
{
	struct itimerspec spec = {};
	struct pollfd p = { .fd = timer_fd, .events = POLLIN };

	spec.it_value.tv_nsec = timer_at && timer_at <= now;
	__real_timerfd_settime(timer_fd, 0, &spec, NULL);
	if (spec.it_value.tv_nsec)
		fuzz_check(poll(&p, 1, 1000) == 1);
}

int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *new,
			   struct itimerspec *old)
{
	(void)flags;
	(void)old;
	timer_fd = fd;
	timer_at =
		new->it_value.tv_sec * 1000 + new->it_value.tv_nsec / 1000000;
	set_timer();
	return 0;
}

void sequence_pass_time(struct input *in)
{
	now += number(in) * 100;
	if (timer_fd >= 0)
		set_timer();
}

/* ---- the fake kernel ---- */

struct kernel *sequence_kernel(struct input *in)
{
	return &world.kernel[number(in) % NUM_NAMES];
}

static bool is_of(const struct device *d, const struct kernel *k)
{
	return d->dev && d->index == k->index;
}

/* the kernel's device gives its incarnations reason to go */
static void reason(const struct kernel *k)
{
	unsigned int i;

	for (i = 0; i < world.num_devices; i++)
		if (is_of(&world.devices[i], k))
			world.devices[i].reason = true;
}

void sequence_plug(struct input *in)
{
	struct kernel *k = sequence_kernel(in);

	if (k->listed)
		return;
	k->listed = true;
	k->kept_away = false;
	k->index = fake_add(k->name, 1 + number(in) % 2);
}

void sequence_unplug(struct input *in)
{
	struct kernel *k = sequence_kernel(in);
	enum fake_removal how = number(in) % 3;

	if (!k->listed)
		return;
	reason(k);
	fake_remove(k->name, how);
	k->listed = how == FAKE_RESET;
	k->kept_away = true;
}

void sequence_rename_one(struct input *in)
{
	struct kernel *k = sequence_kernel(in);
	char name[16];

	snprintf(name, sizeof(name), "%s", k->name);
	name[0] ^= 'd' ^ 'e';
	if (k->listed)
		fake_rename(k->name, name);
	snprintf(k->name, sizeof(k->name), "%s", name);
}

enum ibv_event_type sequence_event_type(struct input *in)
{
	static const enum ibv_event_type types[] = { IBV_EVENT_PORT_ACTIVE,
						     IBV_EVENT_PORT_ERR,
						     IBV_EVENT_LID_CHANGE,
						     IBV_EVENT_DEVICE_FATAL };

	return types[number(in) % 4];
}

void sequence_send(struct input *in)
{
	struct kernel *k = sequence_kernel(in);
	enum ibv_event_type type = sequence_event_type(in);

	if (!k->listed)
		return;
	if (type == IBV_EVENT_DEVICE_FATAL) {
		reason(k);
		k->kept_away = true;
	}
	fake_event(k->name, type, 1 + number(in) % 2);
}

void sequence_time_begins(void)
{
	now = 1000000;
	timer_at = 0;
	timer_fd = -1;
}
