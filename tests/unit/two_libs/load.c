// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See load.h. */
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

const struct lib_ops *two_libs_load(const char *path, void **handle)
{
	const struct lib_ops *ops;

	*handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!*handle)
		fail_msg("%s", dlerror());
	ops = dlsym(*handle, "lib_ops");
	assert_non_null(ops);
	return ops;
}

bool two_libs_is_loaded(const char *path)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_NOLOAD);

	if (handle)
		dlclose(handle);
	return handle;
}

void two_libs_make_context(struct ibv_context *context, int *kernel_end)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	memset(context, 0, sizeof(*context));
	context->async_fd = fds[0];
	context->cmd_fd = -1;
	*kernel_end = fds[1];
}
