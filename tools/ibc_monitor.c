// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * ibc_monitor: prints what happens to RDMA devices, as a client of the library
 * sees it that keeps a PD for each.
 *
 * The registry's threads print. The main thread waits for signals and time-outs
 * and puts the references that --hold keeps, so that no callback ever waits.
 * self.print_lock guards standard output and whether lines are still printed.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common.h"
#include "held.h"
#include "line.h"

#define MAX_SECONDS 1e9

static struct {
	bool json;
	uint64_t limit, hold; /* nanoseconds; limit 0: none */
	const char *exit_on;
	char **names;

	struct ibc_registry *reg;
	int signal_fd, limit_fd, wake_fd;

	pthread_mutex_t print_lock;
	bool seen;   /* what --exit-on names; nothing is printed after it */
	bool broken; /* standard output */
} self = {
	.print_lock = PTHREAD_MUTEX_INITIALIZER,
	.signal_fd = -1,
	.limit_fd = -1,
	.wake_fd = -1,
};

static const char usage[] =
	"usage: ibc_monitor [-j] [-t SECONDS] [--hold MS] [--exit-on EVENT] "
	"[NAME...]\n"
	"Prints when RDMA devices are added, removed, gone (nothing uses them any\n"
	"more) or renamed, and their async events; only of devices whose names\n"
	"match a NAME, which may be a shell pattern.\n"
	"\n"
	"  -j, --json           print one JSON object a line\n"
	"  -t, --time SECONDS   end after so long\n"
	"      --hold MS        keep a removed device open so much longer\n"
	"      --exit-on EVENT  end after the first add, remove, gone, rename or\n"
	"                       async, or async event of a type such as PORT_ERR\n"
	"  -h, --help           print this\n"
	"      --version        print the version\n"
	"\n"
	"SIGTERM and SIGINT end it; SIGUSR1 dumps the registry to standard error.\n"
	"Exit status: 0, 1 if it failed or the EVENT did not come in time, 2 for\n"
	"wrong use.\n";

static void wake(void)
{
	eventfd_write(self.wake_fd, 1);
}

/* ---- printing ---- */

static bool is_exit_event(const char *event, const char *type)
{
	return self.exit_on && (!strcmp(event, self.exit_on) ||
				(type && !strcmp(type, self.exit_on)));
}

/* Takes the line over; without one the memory for it was lacking. */
static void emit(json_t *line)
{
	const char *event = json_string_value(json_object_get(line, "event"));
	const char *type = json_string_value(json_object_get(line, "type"));

	pthread_mutex_lock(&self.print_lock);
	if (!self.seen && !self.broken) {
		if (line)
			line_print(line, self.json);
		self.broken = !line || ferror(stdout);
		self.seen = line && is_exit_event(event, type);
		if (self.seen || self.broken)
			wake();
	}
	pthread_mutex_unlock(&self.print_lock);
	json_decref(line);
}

static bool printing_is_over(void)
{
	bool over;

	pthread_mutex_lock(&self.print_lock);
	over = self.seen || self.broken;
	pthread_mutex_unlock(&self.print_lock);
	return over;
}

/* ---- the client ---- */

/* The reference taken here is kept until some time after remove(). */
static int add(struct ibc_client *client, struct ibc_device *dev)
{
	int error;

	if (ibc_alloc_or_get_client_data(dev, client)) {
		emit(line_new(dev, "add"));
		return 0;
	}
	error = errno;
	if (error != ENODEV && error != ESHUTDOWN)
		tool_error(ibc_device_name(dev),
			   "no PD, will be tried again: %s", strerror(error));
	return error;
}

/* A device that is still live is there when the program ends: no news. */
static void remove_device(struct ibc_client *client, struct ibc_device *dev,
			  struct ibc_client_data *data)
{
	(void)client;
	if (ibc_device_state(dev) != IBC_DEVICE_LIVE)
		emit(line_new(dev, "remove"));
	held_add(data, self.hold);
}

static void gone(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	emit(line_new(dev, "gone"));
}

static void renamed(struct ibc_client *client, struct ibc_device *dev,
		    const char *old_name)
{
	json_t *line = line_new(dev, "rename");

	(void)client;
	if (line)
		json_object_set_new(line, "old", json_string(old_name));
	emit(line);
}

static void async(struct ibc_client *client, struct ibc_device *dev,
		  struct ibc_client_data *data, const struct ibc_event *event)
{
	json_t *line = line_new(dev, "async");

	(void)client;
	(void)data;
	if (line)
		line_set_event(line, event);
	emit(line);
}

static struct ibc_client client = {
	.name = "ibc_monitor",
	.add = add,
	.remove = remove_device,
	.gone = gone,
	.rename = renamed,
	.event = async,
	.alloc_client_data = pd_data_alloc,
	.free_client_data = pd_data_free,
};

/* ---- the loop ---- */

/* One line, written by one call. */
static void dump(void)
{
	char *text = NULL, *c;
	size_t size;
	FILE *out;

	out = open_memstream(&text, &size);
	if (!out)
		return;
	ibc_dump(self.reg, out, IBC_DUMP_JSON);
	if (!fclose(out)) {
		/* between the tokens of JSON a space is as good */
		for (c = text; *c; c++) {
			if (*c == '\n')
				*c = c[1] ? ' ' : '\0';
		}
		fprintf(stderr, "%s\n", text);
	}
	free(text);
}

/* True: it is one that ends the program. */
static bool take_signal(void)
{
	struct signalfd_siginfo info;

	if (read(self.signal_fd, &info, sizeof(info)) != sizeof(info))
		return false;
	if (info.ssi_signo != SIGUSR1)
		return true;
	dump();
	return false;
}

static int time_is_up(void)
{
	if (!self.exit_on)
		return TOOL_OK;
	tool_error(self.exit_on, "it did not come in time");
	return TOOL_FAILED;
}

static int loop(void)
{
	enum { SIGNAL, LIMIT, HOLD, WAKE, OUT, NUM };
	struct pollfd fds[NUM] = {
		[SIGNAL] = { .fd = self.signal_fd, .events = POLLIN },
		[LIMIT] = { .fd = self.limit_fd, .events = POLLIN },
		[HOLD] = { .fd = held_fd(), .events = POLLIN },
		[WAKE] = { .fd = self.wake_fd, .events = POLLIN },
		[OUT] = { .fd = STDOUT_FILENO }, /* its reader went */
	};

	while (!printing_is_over()) {
		if (poll(fds, NUM, -1) < 0)
			continue;
		if (fds[HOLD].revents)
			held_put_due();
		if (fds[OUT].revents)
			return TOOL_FAILED;
		if (fds[SIGNAL].revents && take_signal())
			return TOOL_OK;
		if (fds[LIMIT].revents && !printing_is_over())
			return time_is_up();
	}
	return self.seen ? TOOL_OK : TOOL_FAILED;
}

static int monitor(void)
{
	int error = ibc_register_client(self.reg, &client);
	int status;

	if (error) {
		tool_error("list of devices", "%s", strerror(error));
		return TOOL_FAILED;
	}
	status = loop();
	held_put_all();
	ibc_unregister_client(&client);
	return status;
}

/* ---- the start ---- */

/* Before the registry is opened: its threads must not take the signals. */
static int open_fds(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	self.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	self.limit_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	self.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (self.signal_fd < 0 || self.limit_fd < 0 || self.wake_fd < 0)
		return errno;
	if (self.limit)
		set_timer(self.limit_fd, self.limit);
	return held_open();
}

static void close_fds(void)
{
	close(self.signal_fd);
	close(self.limit_fd);
	close(held_fd());
	close(self.wake_fd);
}

static int open_registry(void)
{
	char *patterns = tool_names_join(self.names);
	struct ibc_registry_attr attr = {
		.devices = patterns,
		.open_device = tool_open_device,
		.open_arg = &self, /* troubles are told at once */
	};

	self.reg = ibc_open(&attr);
	free(patterns);
	return self.reg ? 0 : errno;
}

/* Not an error: devices may come. */
static void explain_empty(void)
{
	struct ibv_device **list = ibv_get_device_list(NULL);

	if (!list || !*list)
		tool_explain_no_devices();
	if (list)
		ibv_free_device_list(list);
}

static int run(void)
{
	int error = open_fds();
	int status;

	if (!error)
		error = open_registry();
	if (error) {
		tool_error("registry", "%s", strerror(error));
		return TOOL_FAILED;
	}
	explain_empty();
	status = monitor();
	ibc_close(self.reg);
	close_fds();
	return status;
}

/* ---- the command line ---- */

/* In nanoseconds; at least 1, since 0 means none. */
static int parse_time(const char *option, const char *text, uint64_t unit,
		      uint64_t *result)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= 0) ||
	    value * (double)unit > MAX_SECONDS * (double)NSEC_PER_SEC) {
		tool_error(option, "not a time: %s", text);
		return TOOL_USAGE;
	}
	*result = (uint64_t)(value * (double)unit) + 1;
	return 0;
}

enum {
	OPT_VERSION = 256,
	OPT_HOLD,
	OPT_EXIT_ON,
};

static int take_option(int opt, char **argv)
{
	switch (opt) {
	case 'j':
		self.json = true;
		return 0;
	case 't':
		return parse_time("-t", optarg, NSEC_PER_SEC, &self.limit);
	case OPT_HOLD:
		return parse_time("--hold", optarg, NSEC_PER_MSEC, &self.hold);
	case OPT_EXIT_ON:
		self.exit_on = optarg;
		if (line_is_event(optarg))
			return 0;
		tool_error("--exit-on", "no such event: %s", optarg);
		return TOOL_USAGE;
	default:
		return tool_bad_option(argv, opt);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "time", required_argument, NULL, 't' },
		{ "hold", required_argument, NULL, OPT_HOLD },
		{ "exit-on", required_argument, NULL, OPT_EXIT_ON },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ 0 },
	};
	int opt;

	tool_init("ibc_monitor");
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":jt:h", options, NULL)) != -1) {
		if (opt == 'h' || opt == OPT_VERSION) {
			if (opt == 'h')
				fputs(usage, stdout);
			else
				tool_version();
			return tool_finish(TOOL_OK);
		}
		if (take_option(opt, argv))
			return TOOL_USAGE;
	}
	self.names = argv + optind;
	if (!tool_names_valid(self.names)) {
		tool_error("NAME", "it is empty");
		return TOOL_USAGE;
	}
	return tool_finish(run());
}
