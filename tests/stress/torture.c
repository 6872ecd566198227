// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * torture [OPTION…]: see torture.h and usage() below. Who owns what: a round
 * owns its registry and actors; actors own what they opened, and give it back
 * before they end; the clients' tables live as long as the program.
 *
 * A seed decides what each actor and callback does next, not when: a failure
 * comes again with the same seed soon, rarely at once.
 */
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clients.h"
#include "data.h"
#include "proc.h"

#if SANITIZED
#include <sanitizer/common_interface_defs.h>
#endif

#define MAX_ACTORS     64
#define HANG_SECONDS   120
#define ROUND_MS       1500
#define NUM_OWNERS     2
#define NUM_DISPATCHES 2

static struct {
	uint64_t seed;
	unsigned int seconds, first, rounds, round_ms, users;
} options = { .seconds = 5, .round_ms = ROUND_MS, .users = 3 };

struct ibc_registry *torture_registry;
bool torture_shares;
uint64_t torture_seed;
static atomic_bool goes_on, dispatching;
static unsigned int round_number;
static char again[128]; /* how to repeat the round */
static volatile sig_atomic_t interrupted;
static struct actor actors[MAX_ACTORS];
static unsigned int num_actors;
static _Atomic uint64_t figures[NUM_FIGURES];

static const char *const figure_names[] = {
	[DEVICES_ADDED] = "devices added",
	[REMOVALS_SILENT] = "removed silently",
	[REMOVALS_FATAL] = "removed with DEVICE_FATAL",
	[DEVICE_RESETS] = "reset",
	[DEVICE_RENAMES] = "renamed",
	[EVENTS_SENT] = "bursts of events",
	[CALLS_FAILED] = "calls made to fail",
	[ADDS] = "add()",
	[ADDS_FAILED] = "failed",
	[ADDS_DECLINED] = "declined",
	[REMOVES] = "remove()",
	[GONES] = "gone()",
	[RENAMES] = "rename()",
	[EVENTS] = "event()",
	[REGISTERED] = "registered",
	[UNREGISTERED] = "unregistered",
	[UNREGISTERED_TIMED] = "with a limit",
	[UNREGISTERED_ASYNC] = "without waiting",
	[GETS] = "data got",
	[GETS_REFUSED] = "refused",
	[ALLOCS] = "objects",
	[ALLOCS_FAILED] = "failed",
	[FREES] = "freed",
	[PUBLISHED] = "published",
	[LOST_RACES] = "too late",
	[REPORTS] = "reports",
	[REMOVALS_ASKED] = "removals asked for",
	[DUMPS] = "dumps",
	[ERRANDS] = "registered or unregistered in callbacks",
	[ASKED_INSIDE] = "asked in callbacks",
	[ADOPTED] = "contexts adopted",
	[HANDLERS] = "handlers",
	[HANDLER_CALLS] = "calls of them",
};

void count(enum figure figure)
{
	atomic_fetch_add_explicit(&figures[figure], 1, memory_order_relaxed);
}

uint64_t figure(enum figure figure)
{
	return atomic_load_explicit(&figures[figure], memory_order_relaxed);
}

void count_down(atomic_uint *of)
{
	must(atomic_fetch_sub_explicit(of, 1, memory_order_relaxed));
}

void torture_fail(const char *file, int line, const char *format, ...)
{
	const char *base = strrchr(file, '/');
	va_list args;

	flockfile(stderr);
	fprintf(stderr, "torture: %s:%d: ", base ? base + 1 : file, line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

/* ---- chance ---- */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

struct dice dice_of(uint64_t a, uint64_t b, uint64_t c)
{
	return (struct dice){ mix(mix(mix(a) + b) + c) };
}

unsigned int roll(struct dice *dice, unsigned int sides)
{
	dice->state += 0x9e3779b97f4a7c15ULL;
	return (unsigned int)((mix(dice->state) >> 32) % sides);
}

/* nobody relies on it: it spreads what happens */
void linger(struct dice *dice, unsigned int us)
{
	struct timespec ts = {};

	if (roll(dice, 2)) {
		sched_yield();
		return;
	}
	ts.tv_nsec = 1000L * roll(dice, us);
	nanosleep(&ts, NULL);
}

/* ---- a round ---- */

bool torture_goes_on(void)
{
	return atomic_load_explicit(&goes_on, memory_order_relaxed);
}

static void *act(void *arg)
{
	struct actor *actor = arg;

	actor->run(actor);
	return NULL;
}

static void cast(void (*run)(struct actor *actor), unsigned int num)
{
	unsigned int n;

	for (n = 0; n < num; n++) {
		must(num_actors < MAX_ACTORS);
		actors[num_actors] = (struct actor){
			.run = run,
			.number = n,
			.dice = dice_of(torture_seed, num_actors, 2),
		};
		must(pthread_create(&actors[num_actors].thread, NULL, act,
				    &actors[num_actors]) == 0);
		num_actors++;
	}
}

/* of a manual registry: somebody has to */
static void dispatch_run(struct actor *actor)
{
	int error;

	while (dispatching) {
		error = ibc_dispatch(torture_registry,
				     (int)roll(&actor->dice, 20));
		must(!error || error == ETIMEDOUT);
	}
}

static bool open_registry(struct dice *dice)
{
	struct ibc_registry_attr attr = {
		.num_threads = 1 + roll(dice, 3),
		.drain_warn_ms = 1000,
	};
	bool manual = roll(dice, 3) == 0;

	if (manual) {
		attr.flags |= IBC_REGISTRY_MANUAL;
		attr.num_threads = 0;
	}
	if (roll(dice, 3) == 0)
		attr.flags |= IBC_REGISTRY_TRACK_REFS;
	torture_shares = !manual && roll(dice, 4) == 0;
	torture_registry = ibc_open(torture_shares ? NULL : &attr);
	must(torture_registry);
	return manual;
}

static void join_down_to(unsigned int num)
{
	while (num_actors > num)
		must(pthread_join(actors[--num_actors].thread, NULL) == 0);
}

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts))
		;
}

static void check_stats(void)
{
	struct ibc_stats stats;

	must(ibc_query_stats(torture_registry, &stats, sizeof(stats)) == 0);
	must(stats.adds == stats.removes);
}

static void break_nothing(void)
{
	fake_fail(FAKE_OPEN, 0, 0);
	fake_fail(FAKE_LIST, 0, 0);
	fake_fail(FAKE_EVENT, 0, 0);
}

static int must_be_there(struct ibc_device *dev, void *arg)
{
	(void)arg;
	must(hardware_is_there(ibc_device_index(dev)));
	return 0;
}

/* what lives is what is listed, and not what had the same name before */
static void check_devices(void)
{
	must(ibc_rescan(torture_registry) == 0);
	must(ibc_for_each_device(torture_registry, must_be_there, NULL) == 0);
}

/*
 * No device is listed, nobody holds data: without any more ado each context is
 * closed and its clients hear of it, or else somebody waits for the alarm.
 */
static void await_peace(void)
{
	must(ibc_rescan(torture_registry) == 0);
	while (fake_open_contexts(NULL) || !clients_rest())
		sleep_ms(1);
}

/* everybody ends what he began; then nothing may be left */
static void end_round(unsigned int dispatchers)
{
	goes_on = false;
	join_down_to(dispatchers);
	break_nothing();
	check_devices();
	hardware_end();
	await_peace();
	clients_end();
	check_stats();
	dispatching = false;
	join_down_to(0);
	must(ibc_close(torture_registry) == 0);
	torture_registry = NULL;
	history_forget();
	data_end_quarantine();
	must(figure(ALLOCS) == figure(FREES));
	must(figure(ADDS) == figure(REMOVES));
	must(fake_stop());
}

static void say_how_to_repeat(void)
{
	snprintf(again, sizeof(again),
		 "torture: round %u; again: --seed %" PRIu64
		 " --first %u --rounds 1 --round-ms %u --users %u\n",
		 round_number, options.seed, round_number, options.round_ms,
		 options.users);
}

static void play_round(void)
{
	struct dice dice = dice_of(options.seed, round_number, 3);
	unsigned int dispatchers;
	bool manual;

	torture_seed = dice.state;
	say_how_to_repeat();
	alarm(HANG_SECONDS);
	fake_start();
	manual = open_registry(&dice);
	goes_on = true;
	dispatching = true;
	cast(dispatch_run, manual ? NUM_DISPATCHES : 0);
	dispatchers = num_actors;
	while (!clients_begin())
		;
	cast(hardware_run, HARDWARE_THREADS);
	cast(client_run, NUM_CLIENTS - 1);
	cast(owner_run, NUM_OWNERS);
	cast(user_run, options.users);
	sleep_ms(options.round_ms);
	end_round(dispatchers);
}

/* ---- the program ---- */

static void print_figures(unsigned int played, long seconds)
{
	uint64_t operations = 0;
	unsigned int n;

	for (n = 0; n < NUM_FIGURES; n++) {
		operations += figure(n);
		printf("%s%s %" PRIu64, n ? ", " : "", figure_names[n],
		       figure(n));
	}
	printf("\ntorture: seed %" PRIu64 ": %u rounds in %ld s, %" PRIu64
	       " operations, %" PRIu64 " removals, nothing wrong\n",
	       options.seed, played, seconds, operations,
	       figure(REMOVALS_SILENT) + figure(REMOVALS_FATAL));
}

static void on_alarm(int sig)
{
	static const char words[] = "torture: it hangs\n";

	(void)sig;
	(void)!write(STDERR_FILENO, words, sizeof(words) - 1);
	abort();
}

/* also of what the library, the fake devices or a sanitizer ends */
static void on_death(void)
{
	(void)!write(STDERR_FILENO, again, strlen(again));
}

/* and then the signal kills */
static void on_fatal(int sig)
{
	signal(sig, SIG_DFL);
	on_death();
	raise(sig);
}

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static void usage(FILE *out)
{
	fprintf(out,
		"usage: torture [OPTION…]: everything at once, at random\n"
		"SIGINT ends it after its round, with the figures.\n"
		"  --seed N      chance; default: the time\n"
		"  --seconds N   how long; default: $TORTURE_SECONDS or 5\n"
		"  --rounds N    or so many rounds\n"
		"  --first N     the first round's number; default: 0\n"
		"  --round-ms N  how long each round is; default: %u\n"
		"  --users N     threads that ask for data; default: %u\n"
		"  --help\n",
		ROUND_MS, options.users);
}

static unsigned long long number_of(const char *text)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (*text && !*end && *text != '-')
		return n;
	fprintf(stderr, "torture: \"%s\" is no number\n", text);
	exit(2);
}

static void parse(int argc, char **argv)
{
	enum { SEED, SECONDS, ROUNDS, FIRST, LENGTH, USERS, HELP };
	static const struct option known[] = {
		{ "seed", required_argument, NULL, SEED },
		{ "seconds", required_argument, NULL, SECONDS },
		{ "rounds", required_argument, NULL, ROUNDS },
		{ "first", required_argument, NULL, FIRST },
		{ "round-ms", required_argument, NULL, LENGTH },
		{ "users", required_argument, NULL, USERS },
		{ "help", no_argument, NULL, HELP },
		{},
	};
	unsigned int *const numbers[] = {
		[SECONDS] = &options.seconds, [ROUNDS] = &options.rounds,
		[FIRST] = &options.first,     [LENGTH] = &options.round_ms,
		[USERS] = &options.users,
	};
	const char *seconds = getenv("TORTURE_SECONDS");
	int c;

	options.seed = (uint64_t)time(NULL) * 100000 + (uint64_t)getpid();
	if (seconds && *seconds)
		options.seconds = (unsigned int)number_of(seconds);
	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == SEED) {
			options.seed = number_of(optarg);
		} else if (c >= SECONDS && c <= USERS) {
			*numbers[c] = (unsigned int)number_of(optarg);
		} else {
			usage(c == HELP ? stdout : stderr);
			exit(c == HELP ? 0 : 2);
		}
	}
	if (optind == argc && options.users < 32)
		return;
	usage(stderr);
	exit(2);
}

static void *do_nothing(void *arg)
{
	return arg;
}

static void watch_for_death(void)
{
	signal(SIGABRT, on_fatal);
#if SANITIZED
	__sanitizer_set_death_callback(on_death);
#else
	signal(SIGSEGV, on_fatal);
	signal(SIGBUS, on_fatal);
#endif
}

/* ThreadSanitizer makes a thread of its own beside the first one */
static void begin(void)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, do_nothing, NULL) == 0);
	must(pthread_join(thread, NULL) == 0);
	signal(SIGALRM, on_alarm);
	signal(SIGINT, on_interrupt);
	watch_for_death();
	printf("torture: seed %" PRIu64 "\n", options.seed);
	fflush(stdout);
}

static bool is_over(time_t begun, unsigned int played)
{
	if (interrupted)
		return played;
	if (options.rounds)
		return played >= options.rounds;
	return played && time(NULL) - begun >= (time_t)options.seconds;
}

int main(int argc, char **argv)
{
	unsigned int played = 0, fds, threads;
	time_t begun = time(NULL);

	parse(argc, argv);
	begin();
	for (; !is_over(begun, played); played++) {
		round_number = options.first + played;
		fds = proc_fds();
		threads = proc_threads();
		play_round();
		must(proc_fds() == fds);
		while (proc_threads() != threads)
			sched_yield(); /* a thread that was joined still ends */
	}
	print_figures(played, (long)(time(NULL) - begun));
	return 0;
}
