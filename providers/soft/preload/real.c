// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* libibverbs' own functions. */
#include <dlfcn.h>
#include <string.h>

#include "preload.h"

static void *library;

/*
 * Whoever has libibverbs only through a plug-in (python, libfabric) has it
 * outside the global scope: then it is in memory, but not behind us.
 */
static void load_library(void)
{
	library = dlopen("libibverbs.so.1", RTLD_NOW | RTLD_LOCAL);
}

/* NULL: this release has no such function */
void *soft_real(_Atomic(void *) *cache, const char *name)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	void *fn = atomic_load_explicit(cache, memory_order_relaxed);

	if (fn)
		return fn;
	fn = dlsym(RTLD_NEXT, name);
	if (!fn) {
		pthread_once(&once, load_library);
		fn = library ? dlsym(library, name) : NULL;
	}
	atomic_store_explicit(cache, fn, memory_order_relaxed);
	return fn;
}

/*
 * libibverbs and its drivers reach each other's functions through us. What they
 * ask of devices and sysfs is meant for the real ones.
 */
bool soft_called_by_libibverbs(const void *return_address)
{
	const char *name;
	Dl_info info;

	if (!dladdr(return_address, &info) || !info.dli_fname)
		return false;
	name = strrchr(info.dli_fname, '/');
	name = name ? name + 1 : info.dli_fname;
	return strncmp(name, "libibverbs.so", 13) == 0 ||
	       strstr(name, "-rdmav");
}
