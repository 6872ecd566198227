// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * See harness.h. One lock and one condition serve everything that a test can
 * wait for; what changes without telling the harness (a device's state, the
 * fake backend's counts) is looked at again after a moment.
 */
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "private.h"
#include "harness.h"
#include "proc.h"

#define MOMENT_MS	5
#define POOL_THREADS	3
#define LOG_LINES	512
#define LOG_LINE_LENGTH 256

struct ibc_registry *h_reg;
enum h_mode h_mode;
enum h_mode H_NONE_ = H_NONE, H_MANUAL_ = H_MANUAL, H_POOL_ = H_POOL;
enum h_mode H_ONE_ = H_ONE, H_FOUR_ = H_FOUR;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned int changes;
static unsigned int give_up_ms = 60000;

static struct worker pool[POOL_THREADS];
static bool pool_stops;
static unsigned int fds_before, tasks_before;

static char log_lines[LOG_LINES][LOG_LINE_LENGTH];
static int log_levels[LOG_LINES];
static unsigned int num_logs;

/*
 * For tests/mutants/run, which knows what test is to fail, and that it need not
 * wait long: IBC_TEST_ONLY is a pattern of names, IBC_TEST_PATIENCE in seconds.
 */
__attribute__((constructor)) static void ask_environment(void)
{
	const char *patience = getenv("IBC_TEST_PATIENCE");

	if (patience)
		give_up_ms = (unsigned int)atoi(patience) * 1000;
	cmocka_set_test_filter(getenv("IBC_TEST_ONLY"));
}

void h_die(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: check failed: %s\n", file, line, what);
	abort();
}

static void too_long(int sig)
{
	static const char text[] = "the test hangs\n";

	(void)sig;
	if (write(2, text, sizeof(text) - 1) < 0)
		_exit(1);
	abort();
}

/* ---- waits ---- */

static void changed_locked(void)
{
	changes++;
	pthread_cond_broadcast(&changed);
}

void h_changed(void)
{
	pthread_mutex_lock(&lock);
	changed_locked();
	pthread_mutex_unlock(&lock);
}

static unsigned int changes_now(void)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = changes;
	pthread_mutex_unlock(&lock);
	return n;
}

struct h_wait h_wait_begin(void)
{
	struct h_wait w = { ibc__now() + give_up_ms, changes_now() };

	return w;
}

/* until something changed since the last look, or a moment passed */
static void wait_a_moment(struct h_wait *w)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += MOMENT_MS * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&lock);
	while (w->seen == changes)
		if (pthread_cond_timedwait(&changed, &lock, &ts))
			break;
	w->seen = changes;
	pthread_mutex_unlock(&lock);
}

void h_wait(struct h_wait *w, const char *file, int line, const char *what)
{
	int error = EINVAL;

	if (ibc__now() > w->give_up) {
		fprintf(stderr, "waited in vain for:\n");
		h_die(file, line, what);
	}
	if (h_mode == H_MANUAL && h_reg)
		error = ibc_dispatch(h_reg, MOMENT_MS);
	if (error == 0 || error == ETIMEDOUT)
		w->seen = changes_now();
	else
		wait_a_moment(w);
}

/* white-box: what else could tell that nothing more is under way? */
static bool at_rest(struct ibc_registry *reg)
{
	struct pollfd pollfd = { .fd = reg->epoll_fd, .events = POLLIN };
	bool rest;

	ibc__lock(reg);
	rest = TAILQ_EMPTY(&reg->ready) && !reg->running &&
	       !atomic_load(&reg->deferred) && poll(&pollfd, 1, 0) == 0;
	ibc__unlock(reg);
	return rest;
}

void h_fence(void)
{
	check(ibc_rescan(h_reg) == 0);
	wait_for(at_rest(h_reg));
}

/* ---- gates ---- */

void gate_wait(struct gate *gate)
{
	struct h_wait w = h_wait_begin();

	pthread_mutex_lock(&lock);
	gate->entered++;
	changed_locked();
	while (!gate->open) {
		pthread_mutex_unlock(&lock);
		wait_a_moment(&w);
		if (ibc__now() > w.give_up)
			h_die(__FILE__, __LINE__, "a gate opens");
		pthread_mutex_lock(&lock);
	}
	gate->left++;
	changed_locked();
	pthread_mutex_unlock(&lock);
}

void gate_open(struct gate *gate)
{
	pthread_mutex_lock(&lock);
	gate->open = true;
	changed_locked();
	pthread_mutex_unlock(&lock);
}

void gate_close(struct gate *gate)
{
	pthread_mutex_lock(&lock);
	memset(gate, 0, sizeof(*gate));
	pthread_mutex_unlock(&lock);
}

unsigned int gate_entered(struct gate *gate)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = gate->entered;
	pthread_mutex_unlock(&lock);
	return n;
}

unsigned int gate_left(struct gate *gate)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = gate->left;
	pthread_mutex_unlock(&lock);
	return n;
}

/* ---- threads ---- */

/*
 * TSan (of gcc 12) makes what it keeps signals in at a thread's first call that may
 * block. A signal that comes meanwhile makes another, and is lost with it.
 */
static void make_ready_for_signals(void)
{
	poll(NULL, 0, 0);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	make_ready_for_signals();
	pthread_mutex_lock(&lock);
	w->tid = syscall(SYS_gettid);
	changed_locked();
	pthread_mutex_unlock(&lock);
	w->fn(w);
	pthread_mutex_lock(&lock);
	w->finished = true;
	changed_locked();
	pthread_mutex_unlock(&lock);
	return NULL;
}

void worker_start(struct worker *w, void (*fn)(struct worker *w))
{
	w->fn = fn;
	w->tid = 0;
	w->finished = false;
	check(pthread_create(&w->thread, NULL, worker_main, w) == 0);
}

bool worker_finished(struct worker *w)
{
	bool finished;

	pthread_mutex_lock(&lock);
	finished = w->finished;
	pthread_mutex_unlock(&lock);
	return finished;
}

void worker_join(struct worker *w)
{
	wait_for(worker_finished(w));
	check(pthread_join(w->thread, NULL) == 0);
}

static int tid_of(struct worker *w)
{
	int tid;

	pthread_mutex_lock(&lock);
	tid = w->tid;
	pthread_mutex_unlock(&lock);
	return tid;
}

static bool asleep(struct worker *w)
{
	char path[64], line[512], *end;
	int tid = tid_of(w);
	bool sleeps = false;
	FILE *f;

	if (!tid)
		return false;
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fgets(line, sizeof(line), f)) {
		end = strrchr(line, ')');
		sleeps = end && end[1] == ' ' && end[2] == 'S';
	}
	fclose(f);
	return sleeps;
}

/* twice in a row: it may have slept on a mutex on its way */
static bool blocked(struct worker *w)
{
	struct h_wait wait = { .seen = changes_now() };

	if (!asleep(w))
		return false;
	wait_a_moment(&wait);
	return asleep(w);
}

void worker_wait_blocked(struct worker *w)
{
	wait_for(worker_finished(w) || blocked(w));
}

/* ---- setup and teardown ---- */

static void dispatch_all(struct worker *w)
{
	struct ibc_registry *reg = w->arg;
	int error;

	while (!__atomic_load_n(&pool_stops, __ATOMIC_ACQUIRE)) {
		error = ibc_dispatch(reg, 20);
		check(error == 0 || error == ETIMEDOUT);
	}
}

/* attributes as the mode has them, but for what the test wants otherwise */
struct ibc_registry *h_open(const struct ibc_registry_attr *wanted)
{
	struct ibc_registry_attr attr = {};
	struct ibc_registry *reg;
	unsigned int i;

	if (wanted)
		attr = *wanted;
	if (h_mode == H_MANUAL || h_mode == H_POOL)
		attr.flags |= IBC_REGISTRY_MANUAL;
	else if (!attr.num_threads)
		attr.num_threads = h_mode == H_FOUR ? 4 : 1;
	reg = ibc_open(&attr);
	check(reg);
	__atomic_store_n(&pool_stops, false, __ATOMIC_RELEASE);
	for (i = 0; h_mode == H_POOL && i < POOL_THREADS; i++) {
		pool[i].arg = reg;
		worker_start(&pool[i], dispatch_all);
	}
	return reg;
}

static void stop_pool(void)
{
	unsigned int i;

	__atomic_store_n(&pool_stops, true, __ATOMIC_RELEASE);
	for (i = 0; i < POOL_THREADS; i++)
		check(pthread_join(pool[i].thread, NULL) == 0);
}

void h_close(struct ibc_registry *reg)
{
	if (h_mode == H_POOL)
		stop_pool();
	check(ibc_close(reg) == 0);
}

static void nothing(struct worker *w)
{
	(void)w;
}

void h_warm_up(void)
{
	struct worker w = {};
	char path[64];

	worker_start(&w, nothing);
	check(pthread_join(w.thread, NULL) == 0);
	snprintf(path, sizeof(path), "/proc/self/task/%d", w.tid);
	wait_for(access(path, F_OK) != 0);
}

/*
 * A test that failed has left things registered: then cmocka, which prints what
 * failed only after the teardown, is let to, and no other test can follow.
 */
static bool left_over;

int h_setup(void **state)
{
	if (left_over)
		exit(EXIT_FAILURE);
	h_mode = *(enum h_mode *)*state;
	signal(SIGALRM, too_long);
	alarm(give_up_ms / 1000 * 4);
	h_warm_up();
	fds_before = proc_fds();
	tasks_before = proc_threads();
	num_logs = 0;
	h_record_start();
	fake_start();
	h_reg = h_mode == H_NONE ? NULL : h_open(NULL);
	return 0;
}

int h_teardown(void **state)
{
	(void)state;
	if (h_reg && h_mode == H_POOL)
		stop_pool();
	left_over = h_reg && ibc_close(h_reg);
	if (left_over) {
		fprintf(stderr, "%s: the registry is in use still\n", __func__);
		return -1;
	}
	h_reg = NULL;
	ibc_set_log(NULL, NULL);
	check(fake_stop());
	h_record_stop();
	check(proc_fds() == fds_before);
	/* a joined thread leaves the directory a moment later */
	wait_for(proc_threads() == tasks_before);
	alarm(0);
	return 0;
}

/* ---- devices ---- */

static struct ibc_device *newer(const char *name, uint64_t incarnation)
{
	struct ibc_device *dev = ibc_get_device_by_name(h_reg, name);

	if (dev && ibc_device_incarnation(dev) <= incarnation) {
		ibc_put_device(dev);
		dev = NULL;
	}
	return dev;
}

struct ibc_device *h_device_after(const char *name, uint64_t incarnation)
{
	struct ibc_device *dev;

	wait_for((dev = newer(name, incarnation)));
	return dev;
}

struct ibc_device *h_device(const char *name)
{
	return h_device_after(name, 0);
}

/* ---- the log ---- */

static void sink(int level, const char *message, void *arg)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	if (num_logs < LOG_LINES) {
		snprintf(log_lines[num_logs], LOG_LINE_LENGTH, "%s", message);
		log_levels[num_logs++] = level;
	}
	changed_locked();
	pthread_mutex_unlock(&lock);
}

void h_log_capture(void)
{
	ibc_set_log(sink, NULL);
}

unsigned int h_logged(int level, const char *part)
{
	unsigned int i, n = 0;

	pthread_mutex_lock(&lock);
	for (i = 0; i < num_logs; i++)
		if ((!level || log_levels[i] == level) &&
		    strstr(log_lines[i], part))
			n++;
	pthread_mutex_unlock(&lock);
	return n;
}
