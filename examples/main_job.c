// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The library's main job as a story: a device comes, many threads ask for its
 * data at once, the data is made once; the device goes, and once the last
 * reference is put the kernel has it back.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <infiniband/ibclient.h>

#define MAX_THREADS 1024

struct job_data {
	struct ibc_client_data base;
	struct ibv_pd *pd;
};

/* What the main thread waits for; who changes it posts news. */
static sem_t news;
static _Atomic(struct ibc_device *) device; /* a reference, from add() */
static _Atomic(struct ibc_client_data *)
	kept; /* a reference, put by remove() */
static atomic_uint allocs;
static atomic_bool is_removed, is_gone;

static pthread_barrier_t barrier;
static struct timespec start, deadline;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	struct timespec now;
	va_list args;
	double t;

	clock_gettime(CLOCK_MONOTONIC, &now);
	t = (double)(now.tv_sec - start.tv_sec) +
	    (double)(now.tv_nsec - start.tv_nsec) / 1e9;
	va_start(args, format);
	flockfile(stdout);
	printf("%9.3f s  ", t);
	vprintf(format, args);
	putchar('\n');
	fflush(stdout);
	funlockfile(stdout);
	va_end(args);
}

/* ---- the client ---- */

static struct ibc_client_data *alloc_data(struct ibc_client *client,
					  struct ibc_device *dev)
{
	struct job_data *data = calloc(1, sizeof(*data));

	if (data)
		data->pd = ibv_alloc_pd(ibc_device_context(dev));
	if (!data || !data->pd) {
		free(data);
		return NULL;
	}
	allocs++;
	say("%s: data allocated, with its PD, for %s", client->name,
	    ibc_device_name(dev));
	return &data->base;
}

static void free_data(struct ibc_client_data *base)
{
	struct job_data *data = (struct job_data *)base;

	say("last reference put: PD and data freed");
	ibv_dealloc_pd(data->pd);
	free(data);
}

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	struct ibc_device *none = NULL;

	/* one incarnation is enough for this story */
	ibc_get_device(dev);
	if (!atomic_compare_exchange_strong(&device, &none, dev)) {
		ibc_put_device(dev);
		return EOPNOTSUPP;
	}
	say("%s: add %s (incarnation %llu)", client->name, ibc_device_name(dev),
	    (unsigned long long)ibc_device_incarnation(dev));
	sem_post(&news);
	return 0;
}

static void remove_device(struct ibc_client *client, struct ibc_device *dev,
			  struct ibc_client_data *data)
{
	(void)data; /* borrowed: the registry puts it */
	say("%s: remove %s", client->name, ibc_device_name(dev));
	is_removed = true;
	ibc_put_client_data(atomic_exchange(&kept, NULL));
	sem_post(&news);
}

static void gone(struct ibc_client *client, struct ibc_device *dev)
{
	say("%s: %s is drained, its context closed", client->name,
	    ibc_device_name(dev));
	is_gone = true;
	sem_post(&news);
}

static struct ibc_client job_client = {
	.name = "main_job",
	.add = add,
	.remove = remove_device,
	.gone = gone,
	.alloc_client_data = alloc_data,
	.free_client_data = free_data,
};

/* ---- many threads ask ---- */

static void *ask(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&barrier);
	return ibc_alloc_or_get_client_data(device, &job_client);
}

/* Fills got; returns how many threads there were. */
static unsigned int ask_all(unsigned int num, struct ibc_client_data **got)
{
	pthread_t threads[MAX_THREADS];
	unsigned int i;
	void *data;

	pthread_barrier_init(&barrier, NULL, num);
	for (i = 0; i < num; i++) {
		/* those that wait at the barrier could not be called back */
		if (pthread_create(&threads[i], NULL, ask, NULL)) {
			fprintf(stderr, "main_job: no thread %u\n", i);
			exit(1);
		}
	}
	for (i = 0; i < num; i++) {
		pthread_join(threads[i], &data);
		got[i] = data;
	}
	pthread_barrier_destroy(&barrier);
	return num;
}

static bool all_equal(struct ibc_client_data **got, unsigned int num)
{
	unsigned int i;

	for (i = 1; i < num; i++) {
		if (got[i] != got[0])
			return false;
	}
	return got[0];
}

/* The reference is remove()'s to put; if that has run, nobody's. */
static bool keep(struct ibc_client_data *data)
{
	kept = data;
	if (!is_removed)
		return true;
	/* remove() has taken it, or has come too early for that */
	ibc_put_client_data(atomic_exchange(&kept, NULL));
	return false;
}

static bool share(unsigned int num)
{
	struct ibc_client_data *got[MAX_THREADS];
	unsigned int i;
	bool good;

	say("%u threads ask for the data at once", num);
	ask_all(num, got);
	good = all_equal(got, num) && allocs == 1;
	if (good)
		say("all %u have the same data, allocated once", num);
	else
		fprintf(stderr, "main_job: no data shared, %u allocated\n",
			allocs);
	for (i = 1; i < num; i++)
		ibc_put_client_data(got[i]);
	if (keep(got[0]) && good)
		say("one reference is kept until the device is removed");
	return good;
}

/* ---- the story ---- */

static bool have_device(void)
{
	return device;
}

static bool have_end(void)
{
	return is_gone;
}

static bool wait_for(bool (*what)(void), const char *name, const char *missing)
{
	int error = 0;
	bool done;

	while (!what() && error != ETIMEDOUT)
		error = sem_clockwait(&news, CLOCK_MONOTONIC, &deadline) ?
				errno :
				0;
	done = what();
	if (!done)
		fprintf(stderr, "main_job: %s: %s in %ld s\n", name, missing,
			(long)(deadline.tv_sec - start.tv_sec));
	return done;
}

static bool tell(const char *name, unsigned int num)
{
	say("waiting for %s", name);
	return wait_for(have_device, name, "it did not come") && share(num) &&
	       wait_for(have_end, name, "it was not removed");
}

static int run(const char *name, unsigned int num)
{
	struct ibc_registry_attr attr = { .devices = name };
	struct ibc_registry *reg = ibc_open(&attr);
	int error = reg ? ibc_register_client(reg, &job_client) : errno;
	bool good;

	if (error) {
		fprintf(stderr, "main_job: registry: %s\n", strerror(error));
		return 1;
	}
	good = tell(name, num);
	ibc_unregister_client(&job_client);
	ibc_put_device(device);
	error = ibc_close(reg);
	if (good && !error)
		say("the end: nothing is left open");
	return !good || error;
}

static void start_clock(long timeout)
{
	sem_init(&news, 0, 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	deadline = start;
	deadline.tv_sec += timeout;
}

static int wrong_use(void)
{
	fprintf(stderr, "usage: main_job [--timeout SECONDS] NAME [THREADS]\n");
	return 2;
}

static bool number(const char *text, long max, long *value)
{
	char *end;

	*value = strtol(text, &end, 10);
	return end != text && !*end && *value >= 1 && *value <= max;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "timeout", required_argument, NULL, 't' },
		{ 0 },
	};
	long timeout = 60, threads = 16;
	int opt;

	while ((opt = getopt_long(argc, argv, "t:", options, NULL)) != -1) {
		if (opt != 't' || !number(optarg, 1000000, &timeout))
			return wrong_use();
	}
	argc -= optind;
	argv += optind;
	if (argc < 1 || argc > 2 ||
	    (argc == 2 && !number(argv[1], MAX_THREADS, &threads)))
		return wrong_use();
	start_clock(timeout);
	return run(argv[0], (unsigned int)threads);
}
