// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How much memory the library takes. Asserted is what is resident in the end:
 * anonymous memory, as the kernel counts it, beyond what there was before the
 * registry was opened. So the thread's stack, malloc's arenas and every page that
 * was touched count, and what was only reserved does not. What was asked of
 * malloc() and mmap() is printed beside it.
 *
 * All slots are in use: each has data, on which a reference is held. The data is
 * its client's: it is there before, and so are the fake devices. Their contexts
 * come later, and count as the library's.
 */
#include <malloc.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "harness.h"

#define KIB	    1024ULL
#define MIB	    (1024 * KIB)
#define MAX_DEVICES 1024
#define MAX_CLIENTS 256
#define FDS_OF_FAKE 3

/* ---- what the library asks for; the C library's own asking is not seen ---- */

static _Atomic int64_t asked, mapped;

void *__real_malloc(size_t size);
void *__real_calloc(size_t num, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *memory);
void *__real_mmap(void *at, size_t size, int prot, int flags, int fd,
		  off_t offset);
int __real_munmap(void *at, size_t size);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t num, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *memory);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd,
		  off_t offset);
int __wrap_munmap(void *at, size_t size);

static void *note(void *memory)
{
	atomic_fetch_add(&asked, malloc_usable_size(memory));
	return memory;
}

void *__wrap_malloc(size_t size)
{
	return note(__real_malloc(size));
}

void *__wrap_calloc(size_t num, size_t size)
{
	return note(__real_calloc(num, size));
}

void *__wrap_realloc(void *old, size_t size)
{
	atomic_fetch_sub(&asked, malloc_usable_size(old));
	return note(__real_realloc(old, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return note(__real_aligned_alloc(alignment, size));
}

void __wrap_free(void *memory)
{
	atomic_fetch_sub(&asked, malloc_usable_size(memory));
	__real_free(memory);
}

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd,
		  off_t offset)
{
	atomic_fetch_add(&mapped, size);
	return __real_mmap(at, size, prot, flags, fd, offset);
}

int __wrap_munmap(void *at, size_t size)
{
	atomic_fetch_sub(&mapped, size);
	return __real_munmap(at, size);
}

/* ---- a machine with many CPUs, once the library asks how many there are ---- */

#ifdef IBC_TEST_CPUS
unsigned int __wrap_ibc__possible_cpus(void);

unsigned int __wrap_ibc__possible_cpus(void)
{
	return IBC_TEST_CPUS;
}
#else
#define IBC_TEST_CPUS 1
#endif

/* ---- what is resident ---- */

static uint64_t resident(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "re");
	unsigned long long kib = 0;
	char line[128];

	check(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Anonymous: %llu kB", &kib) == 1)
			break;
	fclose(file);
	check(kib);
	return kib * KIB;
}

/* ---- clients that all have data ---- */

static struct ibc_client_data data[MAX_DEVICES * MAX_CLIENTS];
static struct ibc_client clients[MAX_CLIENTS];
static atomic_uint num_data, num_freed;
static struct ibc_registry *registry;
static unsigned int num_devices, num_clients;

static struct ibc_client_data *take_data(struct ibc_client *client,
					 struct ibc_device *dev)
{
	(void)client;
	(void)dev;
	return &data[atomic_fetch_add(&num_data, 1)];
}

static void free_data(struct ibc_client_data *freed)
{
	(void)freed;
	atomic_fetch_add(&num_freed, 1);
}

/* the reference is kept */
static int add(struct ibc_client *client, struct ibc_device *dev)
{
	check(ibc_alloc_or_get_client_data(dev, client));
	return 0;
}

static void register_clients(void)
{
	unsigned int i;

	for (i = 0; i < num_clients; i++) {
		clients[i] = (struct ibc_client){
			.name = "memory",
			.add = add,
			.alloc_client_data = take_data,
			.free_client_data = free_data,
		};
		check(ibc_register_client(registry, &clients[i]) == 0);
	}
}

static void use_each(void)
{
	unsigned int i;

	for (i = 0; i < num_data; i++) {
		check(ibc_get_client_data(data[i].device, data[i].client) ==
		      &data[i]);
		check(!ibc_put_client_data(&data[i]));
	}
}

static void unregister_clients(void)
{
	unsigned int i;

	for (i = 0; i < num_data; i++)
		ibc_put_client_data(&data[i]);
	for (i = 0; i < num_clients; i++)
		check(ibc_unregister_client(&clients[i]) == 0);
	check(num_freed == num_data);
}

/* ---- the test ---- */

/* not listed before all are there: so they are listed once */
static void make_devices(void)
{
	char name[16];
	unsigned int i;

	fake_no_rdma(true);
	for (i = 0; i < num_devices; i++) {
		snprintf(name, sizeof(name), "fake%u", i);
		fake_add(name, i + 1);
	}
}

static void open_all(void)
{
	const struct ibc_registry_attr attr = {};

	num_data = num_freed = 0;
	registry = ibc_open(&attr);
	check(registry);
	register_clients();
	fake_no_rdma(false);
	wait_for(num_data == num_devices * num_clients);
}

static uint64_t measure(unsigned int devices, unsigned int of_each)
{
	uint64_t before, taken;
	int64_t asked_before;

	num_devices = devices;
	num_clients = of_each;
	make_devices();
	memset(data, 0xff, devices * of_each * sizeof(data[0]));
	before = resident();
	asked_before = asked;
	mapped = 0;
	open_all();
	use_each();
	taken = resident() - before;
	printf("measured: %u devices, %u clients, %u CPUs: %.1f KiB resident, "
	       "%.1f KiB of malloc(), %.1f KiB of mmap()\n",
	       devices, of_each, IBC_TEST_CPUS, taken / 1024.0,
	       (double)(asked - asked_before) / 1024, (double)mapped / 1024);
	unregister_clients();
	check(ibc_close(registry) == 0);
	check(mapped == 0);
	return taken;
}

static void few_devices_and_clients(void **state)
{
	(void)state;
	check(measure(2, 3) < 256 * KIB);
}

static void many_devices_and_clients(void **state)
{
	(void)state;
	check(measure(MAX_DEVICES, MAX_CLIENTS) < 600 * MIB);
}

static void need_descriptors(unsigned int num)
{
	struct rlimit limit;

	check(!getrlimit(RLIMIT_NOFILE, &limit));
	if (limit.rlim_cur >= num)
		return;
	limit.rlim_cur = limit.rlim_max;
	check(limit.rlim_max >= num);
	check(!setrlimit(RLIMIT_NOFILE, &limit));
}

int main(void)
{
	/* the few first: malloc() keeps what the many have used */
	const struct CMUnitTest tests[] = {
		IN_NONE(few_devices_and_clients),
		IN_NONE(many_devices_and_clients),
	};

	need_descriptors(MAX_DEVICES * FDS_OF_FAKE + 100);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
