// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Get, set, and compare and exchange, as proposed for the kernel's krefs: who
 * finds no PD makes one, and who was second takes the first one's. Each line of
 * input is a round: the PDs are withdrawn, and threads look for one at once.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <infiniband/ibclient.h>

#define NUM_THREADS 4

struct shared {
	struct ibc_client_data base; /* the first member */
	struct ibv_pd *pd;
};

struct race {
	struct ibc_device *dev;
	pthread_barrier_t all_there;
	struct shared *found[NUM_THREADS];
	atomic_int next;
};

static atomic_int made, freed;

/* there is no alloc_client_data(): what is there is made below */
static void release(struct ibc_client_data *data)
{
	struct shared *s = (struct shared *)data;

	if (s->pd) {
		ibv_dealloc_pd(s->pd);
		freed++;
	}
	free(s);
}

static int add(struct ibc_client *client, struct ibc_device *dev)
{
	(void)client;
	(void)dev;
	return 0; /* nothing is made before somebody needs it */
}

static struct ibc_client client = {
	.name = "kref_style",
	.add = add,
	.free_client_data = release,
};

/* a reference, the caller's; from init on the context stays open until its put */
static struct shared *make(struct ibc_device *dev)
{
	struct shared *s = calloc(1, sizeof(*s));
	int error = s ? ibc_init_client_data(&s->base, dev, &client) : ENOMEM;

	if (error) {
		free(s);
		errno = error;
		return NULL;
	}
	s->pd = ibv_alloc_pd(ibc_device_context(dev));
	if (s->pd) {
		made++;
		return s;
	}
	error = errno;
	ibc_put_client_data(&s->base);
	errno = error;
	return NULL;
}

/* a reference on the device's one PD; NULL and errno */
static struct shared *find_or_make(struct ibc_device *dev)
{
	struct ibc_client_data *found = ibc_get_client_data(dev, &client);
	struct shared *mine;
	int error;

	if (found || errno != ENOENT)
		return (struct shared *)found;
	mine = make(dev);
	if (!mine)
		return NULL;
	do /* EAGAIN and nothing found: it was withdrawn again meanwhile */
		error = ibc_cmpxchg_client_data(dev, &client, NULL, &mine->base,
						&found);
	while (error == EAGAIN && !found);
	if (!error)
		return mine;
	ibc_put_client_data(&mine->base); /* the race is lost */
	errno = error;
	return (struct shared *)found;
}

static void *run(void *arg)
{
	struct race *race = arg;

	pthread_barrier_wait(&race->all_there);
	race->found[race->next++] = find_or_make(race->dev);
	return NULL;
}

/* 0, or what to give up with */
static int start(struct race *race, pthread_t *threads)
{
	int error = pthread_barrier_init(&race->all_there, NULL, NUM_THREADS);

	for (int i = 0; !error && i < NUM_THREADS; i++)
		error = pthread_create(&threads[i], NULL, run, race);
	return error;
}

/* for each device, whose context stays open as long as this runs */
static int play(struct ibc_device *dev, void *arg)
{
	struct race race = { .dev = dev };
	pthread_t threads[NUM_THREADS];
	int error, same = 0;

	(void)arg;
	ibc_set_client_data(dev, &client, NULL);
	error = start(&race, threads);
	if (error) {
		fprintf(stderr, "threads: %s\n", strerror(error));
		exit(EXIT_FAILURE);
	}
	for (int i = 0; i < NUM_THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&race.all_there);
	for (int i = 0; i < NUM_THREADS; i++) {
		if (!race.found[i])
			continue;
		same += race.found[i]->pd == race.found[0]->pd;
		ibc_put_client_data(&race.found[i]->base);
	}
	printf("%s: %d threads of %d have the same PD\n", ibc_device_name(dev),
	       same, NUM_THREADS);
	return 0;
}

int main(void)
{
	struct ibc_registry *reg = ibc_open(NULL);
	int error = reg ? ibc_register_client(reg, &client) : errno;
	char line[64];

	if (error) {
		fprintf(stderr, "kref_style: %s\n", strerror(error));
		return EXIT_FAILURE;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin))
		ibc_for_each_device(reg, play, NULL);
	if (ibc_unregister_client(&client) || ibc_close(reg))
		return EXIT_FAILURE;
	printf("%s\n", made == freed ? "all PDs are freed" : "PDs leaked");
	return made == freed ? EXIT_SUCCESS : EXIT_FAILURE;
}
