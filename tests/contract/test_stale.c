// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantee 14: a stale pointer is never opened into the wrong device. */
#include <poll.h>

#include "harness2.h"

static struct rec a;

/* h_reg anew, with nobody who tells it of anything */
static void without_news(void)
{
	setenv("IBC_SOURCES", "", 1);
	h_close(h_reg);
	h_reg = h_open(NULL);
	unsetenv("IBC_SOURCES");
}

static unsigned int swaps;

/* soft0 goes and other0 takes its minor, in the middle of open */
static void swap(void *arg)
{
	(void)arg;
	if (__atomic_fetch_sub(&swaps, 1, __ATOMIC_SEQ_CST) != 1)
		return;
	fake_remove("soft0", FAKE_WAIT);
	fake_add_as("other0", 0x99, 42, "uverbs0");
}

static int right_device(struct rec *rec, struct ibc_device *dev)
{
	(void)rec;
	check(strcmp(fake_context_device(ibc_device_context(dev)),
		     ibc_device_name(dev)) == 0);
	return 0;
}

static void swapped(void)
{
	struct ibc_device *dev;

	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	a.on_add = right_device;
	swaps = 1;
	rec_register(&a);
	dev = h_device("other0");
	assert_int_equal(ibc_device_index(dev), 42);
	assert_int_equal(be64toh(ibc_device_guid(dev)), 0x99);
	h_fence();
	check_null(ibc_get_device_by_name(h_reg, "soft0"), ENODEV);
	assert_int_equal(h_count(&a, H_ADD), 1);
	wait_for(fake_open_contexts(NULL) == 1);
	/* the other was never a device to anybody */
	assert_int_equal(h2_stats(h_reg).devices_added, 1);
	ibc_put_device(dev);
	rec_unregister(&a);
	assert_int_equal(h_count(&a, H_REMOVE), 1);
}

static void g14_stale_pointer_is_never_opened_into_another_device(void **state)
{
	(void)state;
	fake_on(FAKE_OPEN, swap, NULL);
	swapped();
}

static struct ibv_context *swap_and_open(struct ibv_device *device, void *arg)
{
	(void)arg;
	swap(NULL);
	return ibc__backend->open_device(device);
}

/* opened by the caller's hook; checked all the same */
static void g14_stale_pointer_in_the_callers_open_device(void **state)
{
	struct ibc_registry_attr attr = { .open_device = swap_and_open };

	(void)state;
	h_close(h_reg);
	h_reg = h_open(&attr);
	swapped();
}

/* between open and the list that is to confirm it */
static void swap_at_the_second_list(void *arg)
{
	(void)arg;
	if (fake_calls(FAKE_OPEN) == 1)
		swap(NULL);
}

static void g14_swapped_after_open_is_noticed(void **state)
{
	(void)state;
	without_news();
	fake_on(FAKE_LIST, swap_at_the_second_list, NULL);
	swapped();
}

/* the list would not tell: when it is read all is as it was */
static void swap_back(void *arg)
{
	(void)arg;
	if (fake_calls(FAKE_OPEN) != 1 || swaps)
		return;
	swaps = 100;
	fake_remove("other0", FAKE_WAIT);
	fake_add_as("soft0", 0x11, 0, "uverbs0");
}

static void g14_swapped_and_back_is_noticed(void **state)
{
	struct ibc_device *dev;

	(void)state;
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	a.on_add = right_device;
	swaps = 1;
	fake_on(FAKE_OPEN, swap, NULL);
	fake_on(FAKE_LIST, swap_back, NULL);
	rec_register(&a);
	dev = h_device("soft0");
	wait_for(h_count(&a, H_ADD) == 1);
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* the same index, as after a reset of indices: the GUID tells */
static void other_guid(void *arg)
{
	(void)arg;
	if (__atomic_fetch_sub(&swaps, 1, __ATOMIC_SEQ_CST) == 1)
		fake_set_guid("soft0", 0x77);
}

static void g14_the_guid_is_checked_after_open(void **state)
{
	struct ibc_device *dev;

	(void)state;
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	swaps = 1;
	fake_on(FAKE_OPEN, other_guid, NULL);
	rec_register(&a);
	dev = h_device("soft0");
	assert_int_equal(be64toh(ibc_device_guid(dev)), 0x77);
	wait_for(h_count(&a, H_ADD) == 1);
	assert_int_equal(h2_stats(h_reg).devices_added, 1);
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* the list cannot be read just then: the device waits for one that can */
static void no_more_lists(void *arg)
{
	(void)arg;
	if (__atomic_fetch_sub(&swaps, 1, __ATOMIC_SEQ_CST) == 1)
		fake_fail(FAKE_LIST, EMFILE, 3);
}

static void g14_nothing_is_added_before_it_is_confirmed(void **state)
{
	(void)state;
	without_news();
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	swaps = 1;
	fake_on(FAKE_OPEN, no_more_lists, NULL);
	rec_register(&a); /* does not wait for it */
	wait_for(h_count(&a, H_ADD) == 1);
	assert_true(fake_calls(FAKE_LIST) >= 5);
	assert_int_equal(fake_calls(FAKE_OPEN), 1);
	rec_unregister(&a);
}

/* ---- nobody has told of anything since the list ---- */

static bool inotify_is(bool readable)
{
	struct pollfd fd = { .events = POLLIN };
	int ready;

	ibc__lock(h_reg); /* what is read with it held was told then */
	fd.fd = h_reg->sources[IBC_SOURCE_INOTIFY].fd;
	ready = poll(&fd, 1, 0);
	ibc__unlock(h_reg);
	return ready == readable;
}

/* what happens between the list and the open; or nothing */
static void (*meanwhile)(void *arg);

/* and the context does not tell of which device it is */
static struct ibv_context *open_mute(struct ibv_device *device, void *arg)
{
	struct ibv_context *context;

	if (meanwhile)
		meanwhile(arg);
	context = ibc__backend->open_device(device);
	if (context)
		context->device = NULL;
	return context;
}

/* h_reg anew, with devices of which all is told, and no news that are not read */
static void silent(unsigned int devices, void (*happens)(void *arg))
{
	struct ibc_registry_attr attr = { .open_device = open_mute };
	char name[] = "soft0";

	meanwhile = happens;
	swaps = 1;
	setenv("IBC_SOURCES", "inotify", 1);
	h_close(h_reg);
	h_reg = h_open(&attr);
	unsetenv("IBC_SOURCES");
	for (; devices--; name[4]++)
		fake_add(name, 0x11 + devices);
	wait_for(inotify_is(false));
	rec_init(&a, "a", 0);
	a.on_add = right_device;
}

static void g14_silence_confirms(void **state)
{
	(void)state;
	silent(3, NULL);
	rec_register(&a);
	assert_int_equal(h_count(&a, H_ADD), 3);
	assert_int_equal(fake_calls(FAKE_LIST), 1);
	rec_unregister(&a);
}

/* the other device is the only one that anybody is told of */
static void not_silent(void (*happens)(void *arg))
{
	struct ibc_device *dev;

	silent(1, happens);
	rec_register(&a);
	dev = h_device("other0");
	h_fence(); /* it is found before add() is called */
	assert_int_equal(h_count(&a, H_ADD), 1);
	assert_int_equal(h2_stats(h_reg).devices_added, 1);
	ibc_put_device(dev);
	rec_unregister(&a);
}

/* which it has not heard yet: who opened asks for what there is to be read */
static void g14_news_that_nobody_has_read_are_none_of_silence(void **state)
{
	(void)state;
	not_silent(swap);
}

/* while it is being opened another thread reads the news */
static void swap_and_wait(void *arg)
{
	bool mine = swaps == 1;

	swap(arg);
	if (mine)
		wait_for(inotify_is(false));
}

static void g14_news_that_were_read_are_none_of_silence(void **state)
{
	(void)state;
	not_silent(swap_and_wait);
}

/* who may not hear of everything says nothing by it */
static void g14_silence_without_trust_confirms_nothing(void **state)
{
	(void)state;
	silent(3, NULL);
	ibc__lock(h_reg);
	assert_true(h_reg->sources[IBC_SOURCE_INOTIFY].trusted);
	ibc__watch_distrust(h_reg, &h_reg->sources[IBC_SOURCE_INOTIFY]);
	ibc__unlock(h_reg);
	rec_register(&a);
	assert_int_equal(h_count(&a, H_ADD), 3);
	assert_true(fake_calls(FAKE_LIST) > 1);
	rec_unregister(&a);
}

/* nor does nobody */
static void g14_no_source_confirms_nothing(void **state)
{
	(void)state;
	without_news();
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	assert_int_equal(h_count(&a, H_ADD), 1);
	assert_int_equal(fake_calls(FAKE_LIST), 2);
	rec_unregister(&a);
}

/* ---- a list that is older than the open ---- */

static const struct ibc__backend *real;
static struct gate open_gate, name_gate, list_gate;

/* whose context does not tell of which device it is */
static struct ibv_context *open_slowly(struct ibv_device *device, void *arg)
{
	struct ibv_context *context;

	(void)arg;
	gate_wait(&open_gate);
	context = ibc__backend->open_device(device);
	if (context)
		context->device = NULL;
	return context;
}

static int read_name_slowly(struct ibv_device *device, char *buf, size_t size)
{
	gate_wait(&name_gate);
	return real->read_device_name(device, buf, size);
}

static void list_slowly(void *arg)
{
	(void)arg;
	gate_wait(&list_gate);
}

static void rescan(struct worker *w)
{
	check(ibc_rescan(w->arg) == 0);
}

static enum ibc__stage stage(void)
{
	struct ibc_device *dev;
	enum ibc__stage s = IBC_STAGE_CLOSED;

	ibc__lock(h_reg);
	dev = TAILQ_FIRST(&h_reg->devices);
	if (dev)
		s = dev->stage;
	ibc__unlock(h_reg);
	return s;
}

/* soft0 listed and being opened; no source of news, no list but those here */
static void begin_slowly(struct ibc__backend *backend)
{
	struct ibc_registry_attr attr = { .open_device = open_slowly };

	setenv("IBC_SOURCES", "", 1);
	h_close(h_reg);
	h_reg = h_open(&attr);
	unsetenv("IBC_SOURCES");
	gate_close(&open_gate);
	gate_close(&name_gate);
	gate_close(&list_gate);
	rec_init(&a, "a", 0);
	rec_register(&a);
	fake_add("soft0", 0x11);
	check(ibc_rescan(h_reg) == 0);
	wait_for(gate_entered(&open_gate) == 1);
	real = ibc__backend;
	*backend = *real;
	backend->read_device_name = read_name_slowly;
	ibc__backend = backend;
}

static void g14_an_older_list_confirms_nothing(void **state)
{
	static struct ibc__backend backend;
	struct worker w = { .arg = h_reg };

	(void)state;
	begin_slowly(&backend);
	w.arg = h_reg;
	worker_start(&w, rescan); /* its list has soft0 */
	wait_for(gate_entered(&name_gate) == 1);
	fake_remove("soft0", FAKE_WAIT);
	fake_add_as("other0", 0x99, 42, "uverbs0");
	fake_on(FAKE_LIST, list_slowly, NULL);
	gate_open(&open_gate); /* and so it is other0 that is opened */
	wait_for(stage() == IBC_STAGE_VERIFY);
	gate_open(&name_gate);
	worker_join(&w);
	assert_int_equal(stage(), IBC_STAGE_VERIFY);
	assert_int_equal(h_count(&a, H_ADD), 0);
	gate_open(&list_gate);
	wait_for(h_count(&a, H_ADD) == 1);
	h_fence(); /* nobody is in it any more */
	ibc__backend = real;
	assert_string_equal(h_record(h_find(&a, H_ADD, 0)).name, "other0");
	rec_unregister(&a);
}

static bool none(void)
{
	bool empty;

	ibc__lock(h_reg);
	empty = TAILQ_EMPTY(&h_reg->devices);
	ibc__unlock(h_reg);
	return empty;
}

/* two lists at once: the one that was begun first comes in last */
static void g13_an_older_list_undoes_nothing(void **state)
{
	static struct ibc__backend backend;
	struct worker w = {};
	unsigned int opens;

	(void)state;
	begin_slowly(&backend);
	gate_open(&open_gate);
	wait_for(h_count(&a, H_ADD) == 1);
	w.arg = h_reg;
	worker_start(&w, rescan); /* its list has soft0 */
	wait_for(gate_entered(&name_gate) == 1);
	fake_remove("soft0", FAKE_WAIT);
	assert_int_equal(ibc_rescan(h_reg), 0); /* this one has it not */
	wait_for(h_count(&a, H_GONE) == 1 && none());
	opens = fake_calls(FAKE_OPEN);
	gate_open(&name_gate);
	worker_join(&w);
	assert_true(none());
	assert_int_equal(fake_calls(FAKE_OPEN), opens);
	h_fence(); /* nobody is in it any more */
	ibc__backend = real;
	rec_unregister(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g14_stale_pointer_is_never_opened_into_another_device),
		IN_ALL(g14_stale_pointer_in_the_callers_open_device),
		IN_ALL(g14_swapped_after_open_is_noticed),
		IN_MANUAL(g14_swapped_and_back_is_noticed),
		IN_ALL(g14_the_guid_is_checked_after_open),
		IN_ALL(g14_nothing_is_added_before_it_is_confirmed),
		IN_ALL(g14_silence_confirms),
		IN_ALL(g14_news_that_nobody_has_read_are_none_of_silence),
		IN_PARALLEL(g14_news_that_were_read_are_none_of_silence),
		IN_ALL(g14_silence_without_trust_confirms_nothing),
		IN_ALL(g14_no_source_confirms_nothing),
		IN_PARALLEL(g14_an_older_list_confirms_nothing),
		IN_PARALLEL(g13_an_older_list_undoes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
