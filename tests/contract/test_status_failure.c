// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantee 20, of the status socket: whatever of it fails, the registry works, the
 * reason is told, and nothing spins or is left.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "harness2.h"
#include "inject.h"
#include "status_reader.h"

static char dir[64], path[80];
static struct rec a;

static int setup(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/ibc-status-XXXXXX");
	check(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/made", dir);
	check(setenv("IBC_STATUS_DIR", path, 1) == 0);
	return h_setup(state);
}

static int teardown(void **state)
{
	int error;

	inject_nothing();
	error = h_teardown(state);
	check(unsetenv("IBC_STATUS_DIR") == 0);
	if (!error) {
		check(inject_left() == 0);
		check(rmdir(path) == 0 || errno == ENOENT);
		check(rmdir(dir) == 0);
	}
	return error;
}

static void begin(void)
{
	h_log_capture();
	fake_add("soft0", 0x11);
	rec_init(&a, "a", 0);
	rec_register(&a);
	ibc_put_device(h_device("soft0"));
}

static void events_go_on(void)
{
	unsigned int n = h_count(&a, H_EVENT);

	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(h_count(&a, H_EVENT) == n + 1);
}

/* ---- opening ---- */

static const struct {
	enum inject_call call;
	unsigned int nth; /* of the calls that ibc_open() makes */
	int error;
} opens[] = {
	{ INJECT_STAT, 1, EIO },	 { INJECT_MKDIR, 1, EACCES },
	{ INJECT_SOCKET, 1, EMFILE },	 { INJECT_FCHMOD, 1, EPERM },
	{ INJECT_BIND, 1, ENOSPC },	 { INJECT_LISTEN, 1, EADDRINUSE },
	{ INJECT_EPOLL_CTL, 3, ENOSPC }, /* after eventfd and timerfd */
};

static void g20_an_open_without_a_status_socket(void **state)
{
	struct ibc_registry *reg;
	unsigned int i, n;
	const char *why;

	(void)state;
	h_log_capture();
	for (i = 0; i < sizeof(opens) / sizeof(opens[0]); i++) {
		why = strerror(opens[i].error);
		n = h_logged(IBC_LOG_WARNING, why);
		inject(opens[i].call, opens[i].nth, 1, opens[i].error);
		reg = h_open(NULL);
		check(inject_hit());
		inject_nothing();
		check(!reg->status);
		check(h_logged(IBC_LOG_WARNING, why) == n + 1);
		check(!status_exists(path, 0));
		h_close(reg);
	}
}

static void g20_no_memory_for_a_status_socket(void **state)
{
	const struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_MANUAL };
	struct ibc_registry *reg = NULL;
	unsigned int i;

	(void)state;
	h_log_capture();
	for (i = 1; !h_logged(IBC_LOG_WARNING, "no status socket"); i++) {
		inject(INJECT_MALLOC, i, 1, ENOMEM);
		errno = 0;
		reg = ibc_open(&attr);
		check(inject_hit()); /* not past the one that is looked for */
		inject_nothing();
		check(reg || errno == ENOMEM);
		if (reg)
			check(ibc_close(reg) == 0);
	}
	check(reg);
}

/* ---- readers ---- */

static bool came_to_accept(unsigned int n)
{
	return inject_calls(INJECT_ACCEPT4) >= n;
}

/*
 * Without descriptors nobody can be admitted. It is tried again by the clock, after
 * a second, and not as often as the loop can.
 */
static void g20_no_descriptor_for_a_reader(void **state)
{
	uint64_t since = ibc__now();
	struct status_reader r;
	unsigned int i;

	(void)state;
	begin();
	inject(INJECT_ACCEPT4, 1, INJECT_LASTING, EMFILE);
	check(status_connect(&r, path, 0));
	wait_for(came_to_accept(1));
	for (i = 0; i < 30; i++) /* so often the loop could try again */
		events_go_on();
	check(!status_read(&r));
	wait_for(came_to_accept(2));
	check(inject_calls(INJECT_ACCEPT4) <= 2 + (ibc__now() - since) / 1000);
	inject_nothing();
	wait_for(status_read(&r)); /* he has not been forgotten */
	check(status_is_whole(&r));
	status_close(&r);
	rec_unregister(&a);
}

/* the next one is served, whatever there was with this one */
static void a_reader_gets(enum inject_call call, int error, bool whole)
{
	const char *why = strerror(error);
	unsigned int n = h_logged(IBC_LOG_WARNING, why);
	struct status_reader r;

	inject(call, 1, 1, error);
	check(status_connect(&r, path, 0));
	wait_for(status_read(&r));
	wait_for(inject_hit()); /* close() comes after the end */
	inject_nothing();
	check(status_is_whole(&r) == whole);
	check(whole || !r.len);
	if (!whole && call != INJECT_GETSOCKOPT)
		wait_for(h_logged(IBC_LOG_WARNING, why) == n + 1);
	status_close(&r);
	wait_for(status_has(path, 0, "\"soft0\""));
	events_go_on();
}

static void g20_a_reader_that_cannot_be_served(void **state)
{
	(void)state;
	begin();
	a_reader_gets(INJECT_GETSOCKOPT, ENOBUFS, false);
	a_reader_gets(INJECT_SENDTO, ENOBUFS, false);
	a_reader_gets(INJECT_SENDTO, EAGAIN, true);
	a_reader_gets(INJECT_SENDTO, EINTR, true);
	a_reader_gets(INJECT_SHUTDOWN, ENOTCONN, true);
	a_reader_gets(INJECT_CLOSE, EIO, true);
	a_reader_gets(INJECT_MALLOC, ENOMEM, false);
	rec_unregister(&a);
}

#define T(fn, how)                                         \
	{                                                  \
#fn " " #how, fn, setup, teardown, &how##_ \
	}
#define ALL(fn) T(fn, H_MANUAL), T(fn, H_POOL), T(fn, H_ONE), T(fn, H_FOUR)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(g20_an_open_without_a_status_socket, H_NONE),
		T(g20_no_memory_for_a_status_socket, H_NONE),
		ALL(g20_no_descriptor_for_a_reader),
		ALL(g20_a_reader_that_cannot_be_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
