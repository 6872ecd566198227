// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * See sweep.h: what lives are made of, and what is looked at when one is over.
 *
 * A lasting fault goes away when a call has returned it, or by the lifter, a
 * thread, when it has lasted for LASTS_MS since it was met first. That is how
 * long this fault lasts; nothing waits for it.
 */
#include <time.h>

#include "sweep.h"

#define LASTS_MS 40

static struct sweep_fault fault;
static enum h_mode how;
static atomic_uint returned, told, over;

/* ---- the fault ---- */

static bool is_of_stream(void)
{
	return fault.call == INJECT_FWRITE || fault.call == INJECT_FCLOSE ||
	       fault.call == INJECT_FFLUSH;
}

/* in memory no room is the only reason why writing fails */
static bool is_wanted(int error)
{
	return error == fault.error ||
	       (fault.error == INJECT_SHORT && error == EIO) ||
	       (is_of_stream() && error == ENOMEM);
}

bool sweep_again(int error)
{
	if (!error)
		return false;
	if (!inject_hit() || !is_wanted(error)) {
		fprintf(stderr, "errno %d, injected %d\n", error, fault.error);
		abort();
	}
	returned++;
	if (fault.lasting)
		inject_nothing();
	return true;
}

static void moment(unsigned int ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000L };

	nanosleep(&ts, NULL);
}

static void lift(struct worker *w)
{
	(void)w;
	while (!inject_hit() && !over)
		moment(1);
	if (!over)
		moment(LASTS_MS);
	inject_nothing();
}

static bool has_error(const char *text)
{
	return fault.nth && fault.error > 0 &&
	       strstr(text, strerror(fault.error));
}

static void sink(int level, const char *message, void *arg)
{
	(void)level;
	(void)arg;
	check(message[0] && message[0] != ':' && !strstr(message, "(null)"));
	if (has_error(message))
		told++;
}

/* ---- parts of lives ---- */

void sweep_open(const struct ibc_registry_attr *wanted)
{
	struct ibc_registry_attr attr = *wanted;
	unsigned int fds = h2_fds(), threads = h2_threads();

	if (how == H_MANUAL)
		attr.flags |= IBC_REGISTRY_MANUAL;
	else
		attr.num_threads = how == H_FOUR ? 4 : 1;
	errno = 0;
	h_reg = ibc_open(&attr);
	if (!h_reg && sweep_again(errno ? errno : -1)) {
		check(h2_fds() == fds);
		check(inject_left() == 0);
		wait_for(h2_threads() <= threads); /* the lifter may end */
		h_reg = ibc_open(&attr);
	}
	check(h_reg);
}

void sweep_close(void)
{
	sweep_doing("ibc_close()");
	RETRY(ibc_close(h_reg));
	h_reg = NULL;
}

void sweep_register(struct rec *rec)
{
	if (!sweep_again(ibc_register_client(h_reg, &rec->client)))
		return;
	check(!rec->client.opaque[0] && !rec->client.opaque[1]);
	check(h_count(rec, H_ADD) == 0);
	check(ibc_unregister_client(&rec->client) == EINVAL);
	check(ibc_register_client(h_reg, &rec->client) == 0);
}

unsigned int sweep_adds(struct rec *rec, uint64_t incarnation)
{
	unsigned int i, n = 0, length = h_length();
	struct h_record r;

	for (i = 0; i < length; i++) {
		r = h_record(i);
		n += r.rec == rec && r.what == H_ADD && r.result == 0 &&
		     (!incarnation || r.incarnation == incarnation);
	}
	return n;
}

bool sweep_has(struct rec *rec, struct ibc_device *dev)
{
	uint64_t incarnation = ibc_device_incarnation(dev);

	return sweep_adds(rec, incarnation) == 1 &&
	       h_count_of(rec, H_REMOVE, incarnation) == 0;
}

void sweep_check_pairs(struct rec *rec)
{
	unsigned int i, length = h_length(), adds;
	struct h_record r;

	check(rec_live(rec) == 0);
	for (i = 0; i < length; i++) {
		r = h_record(i);
		if (r.rec != rec || r.what != H_ADD)
			continue;
		adds = sweep_adds(rec, r.incarnation);
		check(adds <= 1);
		check(h_count_of(rec, H_REMOVE, r.incarnation) == adds);
		check(h_count_of(rec, H_GONE, r.incarnation) <= adds);
	}
}

/* nothing of it is written if it failed; is the fault told of? */
static int dump(enum ibc_dump_format format)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int error;

	check(out);
	error = ibc_dump(h_reg, out, format);
	check(fclose(out) == 0);
	check(!error || !len);
	if (has_error(text))
		told++;
	free(text);
	return error;
}

void sweep_dump(void)
{
	RETRY(dump(IBC_DUMP_JSON));
	RETRY(dump(IBC_DUMP_TEXT));
}

/* ---- whose the devices are ---- */

#ifndef IBC_ON_SOFTVERBS
static struct ibc__backend beside;

static const char *path_in_sysfs(struct ibv_device *device)
{
	(void)device;
	return "/sys/class/infiniband/soft";
}

static void place_devices(const struct life *life)
{
	if (life->devices == IN_KERNEL)
		fake_in_sysfs();
	if (life->devices != IN_KERNEL_TOO)
		return;
	beside = *ibc__backend;
	beside.get_device_path = path_in_sysfs;
	ibc__backend = &beside;
}
#endif

/* ---- the whole of it ---- */

static void begin(const struct life *life, enum h_mode mode,
		  const struct sweep_fault *wanted)
{
	fault = *wanted;
	how = mode;
	h_mode = mode == H_MANUAL ? H_MANUAL : H_NONE;
	sweep_doing(life->name);
	h_record_start();
	fake_start();
#ifndef IBC_ON_SOFTVERBS
	inject_backend();
	place_devices(life);
#endif
	ibc_set_log(sink, NULL);
}

static void end(unsigned int fds, unsigned int threads)
{
	sweep_doing("what is left");
	check(fake_open_contexts(NULL) == 0);
	check(fake_stop());
	check(inject_left() == 0);
	check(h2_fds() == fds);
	wait_for(h2_threads() == threads);
	h_record_stop();
	sweep_doing(NULL);
}

static enum sweep_answer answer(bool hit)
{
	if (!hit)
		return SWEEP_NO_FAULT;
	if (returned)
		return SWEEP_RETURNED;
	if (told)
		return SWEEP_TOLD;
	sweep_doing("a word of the error");
	check(!fault.must_tell);
	return SWEEP_COPED;
}

enum sweep_answer sweep_live(const struct life *life, enum h_mode mode,
			     const struct sweep_fault *wanted)
{
	struct worker lifter = {};
	unsigned int fds, threads;
	bool hit;

	h_warm_up();
	fds = h2_fds();
	threads = h2_threads();
	begin(life, mode, wanted);
	inject(fault.call, fault.nth ? fault.nth : INJECT_LASTING,
	       fault.lasting ? INJECT_LASTING : 1, fault.error);
	if (fault.lasting)
		worker_start(&lifter, lift);
	life->live();
	hit = inject_hit();
	over = 1;
	if (fault.lasting)
		check(pthread_join(lifter.thread, NULL) == 0);
	inject_nothing();
	end(fds, threads);
	return answer(hit);
}
