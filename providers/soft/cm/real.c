// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The libraries around us: librdmacm's own functions, and verbs. */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "cm.h"

static void *find(_Atomic(void *) *cache, void *handle, const char *name)
{
	void *fn = atomic_load_explicit(cache, memory_order_relaxed);

	if (!fn) {
		fn = dlsym(handle, name);
		atomic_store_explicit(cache, fn, memory_order_relaxed);
	}
	return fn;
}

/* NULL: the program has no librdmacm, or one without it */
void *cm_real(_Atomic(void *) *cache, const char *name)
{
	return find(cache, RTLD_NEXT, name);
}

/*
 * Not linked: the program may have any release of libibverbs, or none as long as
 * it does not call us. What comes first is the interposer's.
 */
void *cm_verb(_Atomic(void *) *cache, const char *name)
{
	return find(cache, RTLD_DEFAULT, name);
}

/* rsockets look into ids, so theirs have to be librdmacm's */
bool cm_called_by_librdmacm(const void *return_address)
{
	const char *name;
	Dl_info info;

	if (!dladdr(return_address, &info) || !info.dli_fname)
		return false;
	name = strrchr(info.dli_fname, '/');
	name = name ? name + 1 : info.dli_fname;
	return strncmp(name, "librdmacm.so", 12) == 0;
}
