// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Messages. They arise under reg->lock and a sink may call the library, so
 * ibc__log() only queues; ibc__unlock() and ibc__cond_wait() write the queue
 * after the lock is released. sink_lock guards the choice of sink and is never
 * held while it runs.
 */
#include <signal.h>
#include <stdarg.h>
#include <time.h>

#include "private.h"

struct ibc__log {
	struct ibc__log *next;
	struct ibc__held_list *held; /* named when it is written */
	struct ibc_registry *reg;    /* compared only: it may be gone */
	int level;
	char text[];
};

static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void (*sink)(int level, const char *message, void *arg);
static void *sink_arg;
static int env_level; /* 0: not set */
static const char *env_file;
static __thread bool in_sink;

static const char *const level_names[] = {
	[IBC_LOG_ERROR] = "error",
	[IBC_LOG_WARNING] = "warning",
	[IBC_LOG_INFO] = "info",
	[IBC_LOG_DEBUG] = "debug",
};

static void read_environment(void)
{
	const char *level = secure_getenv("IBC_LOG_LEVEL");
	int i;

	env_file = secure_getenv("IBC_LOG_FILE");
	for (i = IBC_LOG_ERROR; level && i <= IBC_LOG_DEBUG; i++)
		if (strcmp(level, level_names[i]) == 0)
			env_level = i;
}

void ibc__log_lock(void)
{
	pthread_mutex_lock(&sink_lock);
}

void ibc__log_unlock(void)
{
	pthread_mutex_unlock(&sink_lock);
}

void ibc_set_log(void (*fn)(int level, const char *message, void *arg),
		 void *arg)
{
	ibc__log_lock();
	sink = fn;
	sink_arg = arg;
	ibc__log_unlock();
}

/* opened for each message: no descriptor of ours to leak, close or inherit */
static void write_out(int level, const char *text)
{
	FILE *out = env_file ? fopen(env_file, "ae") : stderr;

	if (!out)
		return;
	fprintf(out, "libibclient: %s: %s\n", level_names[level], text);
	if (env_file)
		fclose(out);
}

/* nobody may read the pipe any more: not for a message of ours is one killed */
static void write_default(int level, const char *text)
{
	const struct timespec now = {};
	sigset_t sigpipe, old, pending;
	bool was_pending;

	if (!env_level && !env_file) /* it was for a sink that has left */
		return;
	sigemptyset(&sigpipe);
	sigaddset(&sigpipe, SIGPIPE);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &sigpipe, &old);
	write_out(level, text);
	while (!was_pending && sigtimedwait(&sigpipe, NULL, &now) < 0 &&
	       errno == EINTR)
		;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void write_one(struct ibc_registry *reg, int level, const char *text)
{
	struct ibc__frame frame;
	void (*fn)(int level, const char *message, void *arg);
	void *arg;

	ibc__log_lock();
	fn = sink;
	arg = sink_arg;
	ibc__log_unlock();

	in_sink = true;
	ibc__enter(&frame, reg);
	if (fn)
		fn(level, text, arg);
	else
		write_default(level, text);
	ibc__leave(&frame);
	in_sink = false;
}

/* a message with a sink is worth its formatting; without one it is not made */
static bool wanted(int level)
{
	bool have_sink;

	pthread_once(&once, read_environment);
	if (in_sink)
		return false;
	if (env_level)
		return level <= env_level;
	ibc__log_lock();
	have_sink = sink;
	ibc__log_unlock();
	if (have_sink)
		return level <= IBC_LOG_INFO;
	return env_file && level <= IBC_LOG_WARNING;
}

/* NULL if there is no memory */
static __attribute__((format(printf, 1, 0))) struct ibc__log *
make(const char *format, va_list args)
{
	struct ibc__log *log;
	va_list again;
	int len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, again);
	va_end(again);
	log = len < 0 ? NULL : malloc(sizeof(*log) + len + 1);
	if (log)
		vsnprintf(log->text, len + 1, format, args);
	return log;
}

static void queue(struct ibc_registry *reg, int level, struct ibc__log *log,
		  struct ibc__held_list *held)
{
	log->reg = reg;
	log->level = level;
	log->held = held;
	log->next = NULL;
	*reg->logs_end = log;
	reg->logs_end = &log->next;
}

void ibc__log(struct ibc_registry *reg, int level, const char *format, ...)
{
	struct ibc__log *log;
	va_list args;

	if (!wanted(level))
		return;
	va_start(args, format);
	log = make(format, args);
	va_end(args);
	if (log)
		queue(reg, level, log, NULL);
}

void ibc__log_held(struct ibc_registry *reg, int level,
		   struct ibc__held_list *held, const char *format, ...)
{
	struct ibc__log *log = NULL;
	va_list args;

	if (wanted(level)) {
		va_start(args, format);
		log = make(format, args);
		va_end(args);
	}
	if (log)
		queue(reg, level, log, held);
	else
		free(held);
}

/* the text, and who it is that holds; to be freed, NULL: no memory */
static char *with_held(struct ibc__log *log)
{
	char *text = NULL;
	unsigned int i;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int failed;

	if (!out)
		return NULL;
	fputs(log->text, out);
	for (i = 0; i < log->held->num; i++) {
		fputs(i ? ", " : ": ", out);
		ibc__held_print(out, &log->held->held[i]);
	}
	failed = ferror(out); /* there may be a gap in it */
	if (fclose(out) == 0 && !failed)
		return text;
	free(text);
	return NULL;
}

/* no lock held */
void ibc__log_flush(struct ibc__log *logs)
{
	struct ibc__log *log;
	int error = errno;
	char *text;

	while ((log = logs)) {
		logs = log->next;
		text = log->held ? with_held(log) : NULL;
		write_one(log->reg, log->level, text ? text : log->text);
		free(text);
		free(log->held);
		free(log);
	}
	errno = error;
}
