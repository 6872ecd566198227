// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Guarantees 19 and 20: the process moves to other surroundings while a registry
 * is open: another root directory, other namespaces, no descriptor to be had.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness2.h"
#include "scene.h"

#define MAY_NOT 3 /* how the scene ends where this user may not do it */

static struct rec a, b;

/* ---- RLIMIT_NOFILE ---- */

static struct rlimit limit;

static void no_descriptors(void)
{
	struct rlimit none;

	check(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	none = limit;
	none.rlim_cur = 0;
	check(setrlimit(RLIMIT_NOFILE, &none) == 0);
}

static void descriptors_again(void)
{
	check(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void g20_no_registry_without_descriptors(void **state)
{
	struct ibc_registry_attr manual = { .flags = IBC_REGISTRY_MANUAL };
	struct ibc_registry *reg;

	(void)state;
	no_descriptors();
	check_null(ibc_open(NULL), EMFILE);
	check_null(ibc_open(&manual), EMFILE);
	descriptors_again();
	reg = ibc_open(NULL);
	assert_non_null(reg);
	assert_int_equal(ibc_close(reg), 0);
}

/* a device comes: it cannot be opened before there are descriptors again */
static void g20_devices_wait_for_descriptors(void **state)
{
	unsigned int calls;

	(void)state;
	rec_init(&a, "a", 0);
	rec_register(&a);
	no_descriptors();
	fake_add("soft0", 0x11);
	calls = fake_calls(FAKE_OPEN);
	assert_int_equal(ibc_rescan(h_reg), 0);
	wait_for(fake_calls(FAKE_OPEN) >= calls + 3);
	assert_int_equal(h_count(&a, H_ADD), 0);
	rec_init(&b, "b", 0);
	rec_register(&b);
	rec_unregister(&b);
	descriptors_again();
	wait_for(h_count(&a, H_ADD) == 1);
	rec_unregister(&a);
}

/* what is open already goes on */
static void g20_open_devices_need_no_descriptors(void **state)
{
	struct ibc_client_data *data;
	struct ibc_device *dev;

	(void)state;
	data = h2_begin(&a, &dev);
	no_descriptors();
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(h_count(&a, H_EVENT) == 1);
	check(ibc_remove_device(dev) == 0);
	wait_for(h_count(&a, H_REMOVE) == 1);
	ibc_put_client_data(data);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	ibc_put_device(dev);
	rec_unregister(&a);
	descriptors_again();
}

/* ---- chroot, unshare ---- */

/* as root of a user namespace of one's own, if need be: before any thread */
static void may_move(void)
{
	int pid = fork(), status = 0;

	check(pid >= 0);
	if (!pid)
		_exit(unshare(CLONE_NEWNET | CLONE_NEWNS) || chroot("/") ? 1 :
									   0);
	check(waitpid(pid, &status, 0) == pid);
	if (status && unshare(CLONE_NEWUSER))
		exit(MAY_NOT);
}

/* this thread, and with the root directory all of them */
static int move_away(char *dir)
{
	int root;

	/* not by its name: an emulator takes another directory for it */
	check(chdir("/") == 0);
	root = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(root >= 0);
	check(mkdtemp(dir));
	check(unshare(CLONE_NEWNET) == 0);
	check(chroot(dir) == 0 && chdir("/") == 0);
	return root;
}

static void move_back(int root, const char *dir)
{
	check(fchdir(root) == 0 && chroot(".") == 0);
	check(rmdir(dir) == 0);
	close(root);
}

static void use(struct ibc_registry *reg)
{
	struct ibc_device *dev = ibc_get_device_by_name(reg, "soft0");

	check(dev);
	fake_event("soft0", IBV_EVENT_LID_CHANGE, 1);
	wait_for(h_count(&a, H_EVENT) == 1);
	fake_remove("soft0", FAKE_WAIT);
	check(ibc_rescan(reg) == 0);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	ibc_put_device(dev);
	fake_add("soft1", 0x22);
	check(ibc_rescan(reg) == 0);
	wait_for(h_count(&a, H_ADD) == 2);
	rec_init(&b, "b", 0);
	check(ibc_register_client(reg, &b.client) == 0);
	check(h_count(&b, H_ADD) == 1);
	rec_unregister(&b);
}

static int scene(void)
{
	char dir[] = "/tmp/ibc-root-XXXXXX";
	struct ibc_registry *reg, *own;
	int root;

	alarm(100);
	may_move();
	fake_start();
	fake_add("soft0", 0x11);
	h_record_start();
	reg = ibc_open(NULL);
	check(reg);
	rec_init(&a, "a", 0);
	check(ibc_register_client(reg, &a.client) == 0);
	root = move_away(dir);
	use(reg);
	/* hardly a source works here; that is no error */
	own = ibc_open(&(struct ibc_registry_attr){});
	check(own && ibc_close(own) == 0);
	rec_unregister(&a);
	check(ibc_close(reg) == 0);
	move_back(root, dir);
	h_record_stop();
	return fake_stop() ? 7 : 1;
}

static void g19_in_another_root_and_namespace(void **state)
{
	int status = scene_status("away");

	(void)state;
	if (WIFEXITED(status) && WEXITSTATUS(status) == MAY_NOT) {
		print_message("this user may not unshare and chroot here\n");
		skip();
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		IN_NONE(g20_no_registry_without_descriptors),
		IN_ALL(g20_devices_wait_for_descriptors),
		IN_ALL(g20_open_devices_need_no_descriptors),
		cmocka_unit_test(g19_in_another_root_and_namespace),
	};

	(void)argv;
	if (argc > 1)
		return scene();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
