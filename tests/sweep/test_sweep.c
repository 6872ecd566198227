// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * See sweep.h: going through the points. A life is first lived without a fault,
 * to count the calls of each kind; then once for each of them, and for each errno
 * that this call may give, in processes beside each other: they mostly wait.
 *
 *	test_sweep MODE [LIFE [CALL]]
 *
 * Of what is called very often, mostly fwrite() by ibc_dump(), some are chosen;
 * IBC_SWEEP_STEP=N takes each N-th point only. IBC_LONG=1 takes all, always.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sweep.h"

#define MAX_OF_A_KIND 60 /* in one life, spread evenly; all with IBC_LONG=1 */
#define MAX_POINTS    100000
#define PROCESSES     8
#define MAX_SECONDS   60
#define MAX_SHOWN     40

enum {
	TELL = 1,     /* it has to be returned or told */
	ONCE = 2,     /* never lasts */
	TOLERANT = 4, /* is believed: a device goes */
};

static const struct kind {
	enum inject_call call;
	int error;
	unsigned int flags;
} kinds[] = {
	{ INJECT_MALLOC, ENOMEM, 0 },
	{ INJECT_EPOLL_CREATE1, EMFILE, TELL },
	{ INJECT_EPOLL_CREATE1, ENOMEM, TELL },
	{ INJECT_EPOLL_CTL, ENOMEM, 0 },
	{ INJECT_EPOLL_CTL, ENOSPC, 0 },
	{ INJECT_EPOLL_WAIT, EINTR, 0 },
	{ INJECT_POLL, EINTR, 0 },
	{ INJECT_POLL, ENOMEM, 0 },
	{ INJECT_EVENTFD, EMFILE, TELL },
	{ INJECT_EVENTFD, ENOMEM, TELL },
	{ INJECT_TIMERFD_CREATE, ENFILE, TELL },
	{ INJECT_TIMERFD_SETTIME, ENOMEM, 0 },
	{ INJECT_SOCKET, EMFILE, TELL },
	{ INJECT_SOCKET, EAFNOSUPPORT, TELL },
	{ INJECT_SOCKET, EPROTONOSUPPORT, 0 },
	{ INJECT_BIND, ENOMEM, TELL },
	{ INJECT_BIND, EPERM, TELL },
	{ INJECT_LISTEN, EADDRINUSE, TELL },
	{ INJECT_ACCEPT4, EMFILE, 0 },
	{ INJECT_ACCEPT4, ECONNABORTED, 0 },
	{ INJECT_GETSOCKOPT, ENOBUFS, 0 },
	{ INJECT_SHUTDOWN, ENOTCONN, 0 },
	{ INJECT_SETSOCKOPT, EPERM, 0 },
	{ INJECT_SETSOCKOPT, ENOBUFS, 0 },
	{ INJECT_SENDTO, ENOBUFS, TELL },
	{ INJECT_SENDTO, EINTR, 0 },
	{ INJECT_RECV, EAGAIN, TELL },
	{ INJECT_RECV, EINTR, 0 },
	{ INJECT_RECVFROM, EINTR, 0 },
	{ INJECT_RECVFROM, ENOBUFS, ONCE },
	{ INJECT_RECVFROM, ENOMEM, 0 },
	{ INJECT_INOTIFY_INIT1, EMFILE, TELL },
	{ INJECT_INOTIFY_INIT1, ENOMEM, TELL },
	{ INJECT_INOTIFY_ADD_WATCH, ENOSPC, 0 },
	{ INJECT_INOTIFY_ADD_WATCH, ENOMEM, 0 },
	{ INJECT_PTHREAD_CREATE, EAGAIN, TELL },
	{ INJECT_PTHREAD_INIT, ENOMEM, TELL },
	{ INJECT_PTHREAD_ATFORK, ENOMEM, 0 }, /* tried twice */
	{ INJECT_PTHREAD_SETNAME_NP, ENOENT, 0 },
	{ INJECT_FCNTL, EBADF, TELL },
	{ INJECT_OPEN, EMFILE, 0 },
	{ INJECT_OPEN, ENOENT, TOLERANT }, /* a name for good */
	{ INJECT_READ, EINTR, 0 },
	{ INJECT_READ, EIO, TOLERANT }, /* the same */
	{ INJECT_READ, INJECT_SHORT, 0 },
	{ INJECT_PREAD, EIO, 0 },
	{ INJECT_PREAD, INJECT_SHORT, 0 },
	{ INJECT_READLINK, EACCES, 0 },
	{ INJECT_STAT, EACCES, 0 },
	{ INJECT_STATFS, EIO, 0 },
	{ INJECT_MKDIR, EACCES, TELL },
	{ INJECT_FCHMOD, EPERM, TELL },
	{ INJECT_UNLINK, EACCES, 0 },
	{ INJECT_ACCESS, EACCES, 0 },
	{ INJECT_IOCTL, EPERM, 0 },
	{ INJECT_IOCTL, EMFILE, 0 },
	{ INJECT_WRITE, EAGAIN, 0 },
	{ INJECT_WRITE, EINTR, ONCE },
	{ INJECT_CLOSE, EIO, 0 },
	{ INJECT_FOPEN, EMFILE, 0 },
	{ INJECT_FGETS, EIO, 0 },
	{ INJECT_FWRITE, ENOMEM, 0 },
	{ INJECT_FFLUSH, ENOMEM, 0 },
	{ INJECT_FCLOSE, ENOMEM, 0 },
	{ INJECT_DEVICE_LIST, ENOMEM, TELL },
	{ INJECT_DEVICE_LIST, EMFILE, TELL },
	{ INJECT_DEVICE_LIST, EIO, TELL },
	{ INJECT_OPEN_DEVICE, ENOMEM, TELL },
	{ INJECT_OPEN_DEVICE, EACCES, TELL },
	{ INJECT_OPEN_DEVICE, EIO, TELL },
	{ INJECT_CLOSE_DEVICE, EIO, TELL },
	{ INJECT_QUERY_DEVICE, ENOMEM, 0 },
	{ INJECT_QUERY_DEVICE, EIO, TOLERANT },
	{ INJECT_ASYNC_EVENT, EINTR, 0 },
	{ INJECT_ASYNC_EVENT, ENOMEM, 0 },
	{ INJECT_ASYNC_EVENT, EIO, TOLERANT },
	{ INJECT_DEVICE_GUID, EIO, 0 },
};

#define NUM_KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct point {
	const struct life *life;
	struct sweep_fault fault;
	pid_t pid; /* 0: not begun, or over */
};

/* what the processes say, beside their exit status */
static struct shared {
	unsigned int calls[INJECT_NUM_CALLS];
	struct {
		char doing[160];
		enum sweep_answer answer;
	} of[MAX_POINTS];
} * shared;

static struct point points[MAX_POINTS];
static unsigned int num_points, this_point, failures;
static enum h_mode mode;

void sweep_doing(const char *what)
{
	snprintf(shared->of[this_point].doing,
		 sizeof(shared->of[this_point].doing), "%s", what ? what : "");
}

/* ---- one point ---- */

static void live(unsigned int n)
{
	struct point *p = &points[n];
	unsigned int i;

	this_point = n;
	alarm(MAX_SECONDS);
	shared->of[n].answer = sweep_live(p->life, mode, &p->fault);
	for (i = 0; !p->fault.nth && i < INJECT_NUM_CALLS; i++)
		shared->calls[i] = inject_calls(i);
	exit(0);
}

static void begin(unsigned int n)
{
	fflush(NULL);
	points[n].pid = fork();
	check(points[n].pid >= 0);
	if (!points[n].pid)
		live(n);
}

static void show(unsigned int n, const char *how, int number)
{
	const struct sweep_fault *f = &points[n].fault;
	const char *doing = shared->of[n].doing;

	if (++failures > MAX_SHOWN)
		return;
	printf("FAILED: life \"%s\", ", points[n].life->name);
	if (f->nth)
		printf("%s number %u%s: %s", inject_names[f->call], f->nth,
		       f->lasting ? " and on" : "",
		       f->error == INJECT_SHORT ? "short" : strerror(f->error));
	else
		printf("no fault");
	printf(": %s %d%s%s\n", how, number, doing[0] ? ", at: " : "", doing);
}

/* waits for the end of any; which it was */
static unsigned int finish(void)
{
	unsigned int n;
	int status;
	pid_t pid = waitpid(-1, &status, 0);

	check(pid > 0);
	for (n = 0; points[n].pid != pid; n++)
		check(n + 1 < num_points);
	points[n].pid = 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		show(n, "hangs, seconds:", MAX_SECONDS);
	else if (WIFSIGNALED(status))
		show(n, "died of signal", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		show(n, "exit status", WEXITSTATUS(status));
	return n;
}

/* ---- all of them ---- */

static bool is_long(void)
{
	const char *text = getenv("IBC_LONG");

	return text && strcmp(text, "1") == 0;
}

static unsigned int step(void)
{
	const char *text = getenv("IBC_SWEEP_STEP");
	int n = text ? atoi(text) : 1;

	return n > 0 && !is_long() ? n : 1;
}

static void add_point(const struct life *life, const struct kind *kind,
		      unsigned int nth, bool lasting)
{
	struct point *p = &points[num_points++];

	check(num_points < MAX_POINTS);
	p->life = life;
	p->fault = (struct sweep_fault){ kind->call, kind->error, nth, lasting,
					 kind->flags & TELL };
}

/* how often this life makes each call; threads may make some more */
static void count_calls(const struct life *life)
{
	static const struct kind none = { INJECT_MALLOC, ENOMEM, 0 };

	add_point(life, &none, 0, false);
	begin(num_points - 1);
	finish();
	num_points--;
}

static void add_points(const struct life *life, const char *only)
{
	unsigned int i, n, num, by;

	count_calls(life);
	for (i = 0; i < NUM_KINDS; i++) {
		if (kinds[i].flags & TOLERANT && !life->tolerant)
			continue;
		if (only && strcmp(only, inject_names[kinds[i].call]))
			continue;
		num = shared->calls[kinds[i].call];
		if (!num)
			continue;
		by = is_long() ? 1 : num / MAX_OF_A_KIND + 1;
		for (n = 1; n <= num + 1; n += by) {
			add_point(life, &kinds[i], n, false);
			if (!(kinds[i].flags & ONCE))
				add_point(life, &kinds[i], n, true);
		}
	}
}

static void go_through(void)
{
	unsigned int n = 0, running = 0, by = step();

	while (n < num_points || running) {
		if (n < num_points && running < PROCESSES) {
			begin(n);
			n += by;
			running++;
		} else {
			finish();
			running--;
		}
	}
}

static void tell(void)
{
	unsigned int n, num = 0, how[SWEEP_RETURNED + 1] = {};
	unsigned int by = step();

	for (n = 0; n < num_points; n += by)
		how[shared->of[n].answer]++;
	num = how[SWEEP_RETURNED] + how[SWEEP_TOLD] + how[SWEEP_COPED];
	printf("measured: %u points: %u errors returned, %u told, %u made no "
	       "difference; %u failures\n",
	       num, how[SWEEP_RETURNED], how[SWEEP_TOLD], how[SWEEP_COPED],
	       failures);
}

static bool choose_mode(const char *name)
{
	mode = strcmp(name, "manual") == 0 ? H_MANUAL :
	       strcmp(name, "one") == 0	   ? H_ONE :
	       strcmp(name, "four") == 0   ? H_FOUR :
					     H_NONE;
	return mode != H_NONE;
}

int main(int argc, char **argv)
{
	unsigned int i;

	if (argc < 2 || !choose_mode(argv[1])) {
		fprintf(stderr, "usage: %s manual|one|four [LIFE [CALL]]\n",
			argv[0]);
		return 2;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(shared != MAP_FAILED);
	for (i = 0; i < sweep_num_lives; i++)
		if (argc < 3 || strcmp(argv[2], sweep_lives[i].name) == 0)
			add_points(&sweep_lives[i], argc > 3 ? argv[3] : NULL);
	if (!failures)
		go_through();
	tell();
	return failures ? 1 : 0;
}
