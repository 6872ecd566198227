// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A program that has libibverbs only through a plug-in, as python and libfabric
 * do: then it is not in the global scope.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <infiniband/softverbs.h>

static int fail(const char *what)
{
	fprintf(stderr, "test_plugin: %s\n", what);
	return 1;
}

static int run(const char *path)
{
	void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	int (*plugin_run)(void);

	if (!plugin)
		return fail(dlerror());
	plugin_run = (int (*)(void))dlsym(plugin, "plugin_run");
	return plugin_run() == 3 ? 0 : fail("not the device");
}

int main(int argc, char *argv[])
{
	char dir[] = "/tmp/soft-test-XXXXXX", command[64];
	struct softverbs *sv;
	int ret;

	if (argc != 2 || !mkdtemp(dir))
		return fail("usage: test_plugin PLUGIN");
	unsetenv("LD_PRELOAD");
	setenv("SOFTVERBS_DIR", dir, 1);
	sv = softverbs_open(NULL);
	if (!sv || softverbs_add_device(sv, "soft0", 0, 3, 0))
		return fail("no fabric");
	ret = run(argv[1]);
	softverbs_close(sv);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command) ? 1 : ret;
}
