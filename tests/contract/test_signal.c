// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantee 8: get, hold and put for signal handlers. */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "private.h"
#include "harness.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
#define DISPATCH_OFF 0
#define DISPATCH_ON  1
#define FILTER_ALLOW 0
#define FILTER_BLOCK 1

static struct ibc_device *up(struct rec *rec, uint32_t flags)
{
	rec_init(rec, "a", flags);
	fake_add("soft0", 1);
	rec_register(rec);
	return h_device("soft0");
}

static struct ibc_client_data *data_of(struct rec *rec, struct ibc_device *dev)
{
	struct ibc_client_data *data;

	data = ibc_alloc_or_get_client_data(dev, &rec->client);
	check(data);
	return data;
}

/* get, hold and puts that are not the last */
static void use(struct ibc_device *dev, struct ibc_client *client)
{
	struct ibc_client_data *data = ibc_get_client_data(dev, client);

	check(data);
	ibc_hold_client_data(data);
	check(!ibc_put_client_data(data));
	check(!ibc_put_client_data(data));
}

/* ---- no lock: somebody else has all that there are ---- */

static void use_all(struct worker *w)
{
	struct ibc_client client = {};

	use(w->dev, &w->rec->client);
	check_null(ibc_get_client_data(w->dev, &client), EINVAL);
	check(ibc_put_client_data(w->data)); /* the last */
	check_null(ibc_get_client_data(w->dev, &w->rec->client), ENOENT);
}

static void g08_get_hold_put_take_no_lock(void **state)
{
	struct rec a;
	struct worker w = { .rec = &a };

	(void)state;
	w.dev = up(&a, IBC_CLIENT_DEFER_FREE | IBC_CLIENT_FREE_UNUSED);
	w.data = data_of(&a, w.dev);
	ibc__lock(h_reg);
	worker_start(&w, use_all);
	check(pthread_join(w.thread, NULL) == 0);
	pthread_mutex_unlock(&h_reg->lock);
	wait_for(h_count(&a, H_FREE) == 1);
	ibc_put_device(w.dev);
	rec_unregister(&a);
}

/* ---- no system call: the kernel tells of each by a signal ---- */

static char selector;
static volatile sig_atomic_t syscalls, writes;

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	selector = FILTER_ALLOW;
	syscalls++;
	writes += info->si_syscall == SYS_write;
	/* the call was not made; its result is -ENOSYS or whatever */
}

#if defined(__SANITIZE_THREAD__)
#define HAVE_TSAN true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAVE_TSAN true
#endif
#endif
#ifndef HAVE_TSAN
#define HAVE_TSAN false
#endif

/* false where it cannot; TSan and valgrind want to deliver signals themselves */
static bool can_watch(void)
{
	const char *preload = getenv("LD_PRELOAD");
	bool valgrind = preload && strstr(preload, "vgpreload");
	bool can = !HAVE_TSAN && !valgrind &&
		   prctl(PR_SET_SYSCALL_USER_DISPATCH, DISPATCH_ON, 0, 0,
			 &selector) == 0;

	if (can)
		prctl(PR_SET_SYSCALL_USER_DISPATCH, DISPATCH_OFF, 0, 0, 0);
	return can;
}

static void watched(struct worker *w)
{
	struct ibc_client *client = &w->rec->client;
	unsigned int i;

	check(!prctl(PR_SET_SYSCALL_USER_DISPATCH, DISPATCH_ON, 0, 0,
		     &selector));
	use(w->dev, client); /* what is done once only, by the linker */
	selector = FILTER_BLOCK;
	for (i = 0; i < 100; i++)
		use(w->dev, client);
	selector = FILTER_ALLOW;
	check(syscalls == 0);
	selector = FILTER_BLOCK;
	ibc_put_client_data(w->data); /* the last: one write() */
	selector = FILTER_ALLOW;
	check(syscalls == 1);
	check(writes == 1);
	prctl(PR_SET_SYSCALL_USER_DISPATCH, DISPATCH_OFF, 0, 0, 0);
}

static void g08_get_hold_put_make_no_system_call(void **state)
{
	struct sigaction act = { .sa_sigaction = on_sigsys,
				 .sa_flags = SA_SIGINFO };
	struct sigaction old;
	struct rec a;
	struct worker w = { .rec = &a };

	(void)state;
	w.dev = up(&a, IBC_CLIENT_DEFER_FREE | IBC_CLIENT_FREE_UNUSED);
	w.data = data_of(&a, w.dev);
	syscalls = writes = 0;
	check(sigaction(SIGSYS, &act, &old) == 0);
	if (can_watch()) {
		worker_start(&w, watched);
		check(pthread_join(w.thread, NULL) == 0);
		/* that write was swallowed: another one wakes a dispatcher */
		check(ibc_put_client_data(data_of(&a, w.dev)));
	} else {
		print_message("no syscall user dispatch on this machine\n");
		check(ibc_put_client_data(w.data));
	}
	check(sigaction(SIGSYS, &old, NULL) == 0);
	wait_for(h_count(&a, H_FREE) == h_count(&a, H_ALLOC));
	ibc_put_device(w.dev);
	rec_unregister(&a);
}

/* ---- in a signal handler ---- */

/* valgrind and TSan tell the handler of each when it suits them, which takes long */
static int num_signals(void)
{
	if (HAVE_TSAN)
		return 50;
	return getenv("IBC_UNDER_VALGRIND") ? 200 : 2000;
}

static struct {
	struct ibc_device *dev;
	struct ibc_client *client;
	struct ibc_client_data *held; /* for hold */
	volatile sig_atomic_t handled, found, last;
	bool stop;
} storm;

static void on_signal(int sig)
{
	struct ibc_client_data *data;
	int error = errno;

	(void)sig;
	data = ibc_get_client_data(storm.dev, storm.client);
	if (data) {
		storm.found++;
		ibc_hold_client_data(data);
		ibc_put_client_data(data);
		storm.last += ibc_put_client_data(data);
	}
	if (storm.held) {
		ibc_hold_client_data(storm.held);
		check(!ibc_put_client_data(storm.held));
	}
	__atomic_store_n(&storm.handled, storm.handled + 1, __ATOMIC_SEQ_CST);
	errno = error;
}

/* is interrupted, anywhere */
static void interrupted(struct worker *w)
{
	struct ibc_client *client = &w->rec->client;
	struct ibc_client_data *data, *more;
	unsigned int i;

	while (!__atomic_load_n(&storm.stop, __ATOMIC_SEQ_CST)) {
		data = data_of(w->rec, w->dev);
		for (i = 0; i < 200; i++) {
			more = ibc_get_client_data(w->dev, client);
			check(more == data);
			check(!ibc_put_client_data(more));
		}
		ibc_put_client_data(data);
		if (h_length() > 1000) /* too many to be kept */
			h_forget();
		while (rec_live(w->rec) > 1000) /* what is deferred */
			sched_yield();
	}
}

static void storm_of_signals(uint32_t flags)
{
	struct sigaction act = { .sa_handler = on_signal,
				 .sa_flags = SA_RESTART };
	struct rec a;
	struct worker w = { .rec = &a };
	int i;

	memset(&storm, 0, sizeof(storm));
	w.dev = storm.dev = up(&a, flags);
	storm.client = &a.client;
	if (!(flags & IBC_CLIENT_FREE_UNUSED))
		storm.held = data_of(&a, w.dev);
	check(sigaction(SIGUSR1, &act, NULL) == 0);
	worker_start(&w, interrupted);
	/* on until one of them came while there was data */
	for (i = 0; i < num_signals() || !storm.found; i++) {
		check(pthread_kill(w.thread, SIGUSR1) == 0);
		while (__atomic_load_n(&storm.handled, __ATOMIC_SEQ_CST) <= i)
			if (h_mode == H_MANUAL)
				ibc_dispatch(h_reg, 0);
			else
				sched_yield();
	}
	__atomic_store_n(&storm.stop, true, __ATOMIC_SEQ_CST);
	worker_join(&w);
	check(signal(SIGUSR1, SIG_DFL) != SIG_ERR);
	ibc_put_client_data(storm.held);
	ibc_put_device(w.dev);
	rec_unregister(&a); /* which checks that all are freed */
}

static void g08_in_a_signal_handler(void **state)
{
	(void)state;
	storm_of_signals(0);
}

/* where the handler's put may be the last */
static void g08_in_a_signal_handler_defer_free(void **state)
{
	(void)state;
	storm_of_signals(IBC_CLIENT_DEFER_FREE | IBC_CLIENT_FREE_UNUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g08_get_hold_put_take_no_lock),
		IN_ALL(g08_get_hold_put_make_no_system_call),
		IN_ALL(g08_in_a_signal_handler),
		IN_ALL(g08_in_a_signal_handler_defer_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
