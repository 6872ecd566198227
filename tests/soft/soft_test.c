// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "soft_test.h"

int soft_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int num = 0;

	while (readdir(dir))
		num++;
	closedir(dir);
	return num;
}

int soft_count_contexts(struct soft_test *test, const char *node)
{
	char path[256];
	DIR *dir;
	int num = -2;

	snprintf(path, sizeof(path), "%s/class/infiniband_verbs/%s/contexts",
		 test->dir, node);
	dir = opendir(path);
	if (!dir)
		return -1;
	while (readdir(dir))
		num++;
	closedir(dir);
	return num;
}

int soft_open_file(struct soft_test *test, const char *name, int flags)
{
	char pattern[256];
	glob_t found;
	int fd;

	snprintf(pattern, sizeof(pattern),
		 "%s/class/infiniband_verbs/uverbs0/contexts/*/%s", test->dir,
		 name);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 1);
	fd = open(found.gl_pathv[0], flags | O_CLOEXEC);
	globfree(&found);
	assert_true(fd >= 0);
	return fd;
}

int64_t soft_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void soft_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

struct ibv_context *soft_open(const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *context = NULL;
	int i;

	assert_non_null(list);
	for (i = 0; list[i]; i++)
		if (strcmp(ibv_get_device_name(list[i]), name) == 0)
			context = ibv_open_device(list[i]);
	ibv_free_device_list(list);
	return context;
}

static int setup(void **state, uint32_t removal)
{
	struct soft_test *test = calloc(1, sizeof(*test));

	unsetenv("LD_PRELOAD"); /* not for rm and a sanitizer's helpers */
	strcpy(test->dir, "/tmp/soft-test-XXXXXX");
	assert_non_null(mkdtemp(test->dir));
	setenv("SOFTVERBS_DIR", test->dir, 1);
	test->num_fds = soft_count_fds();
	test->sv = softverbs_open(NULL);
	assert_non_null(test->sv);
	assert_int_equal(softverbs_add_device(test->sv, "soft0", 0, 2, removal),
			 0);
	test->context = soft_open("soft0");
	assert_non_null(test->context);
	*state = test;
	return 0;
}

int soft_setup(void **state)
{
	return setup(state, SOFTVERBS_REMOVAL_WAIT);
}

int soft_setup_fatal(void **state)
{
	return setup(state, SOFTVERBS_REMOVAL_FATAL);
}

int soft_teardown(void **state)
{
	struct soft_test *test = *state;
	char command[128];
	int error;

	if (test->context)
		assert_int_equal(ibv_close_device(test->context), 0);
	error = softverbs_remove_device(test->sv, "soft0", 0);
	assert_true(error == 0 || error == ENODEV);
	softverbs_close(test->sv);
	assert_int_equal(soft_count_fds(), test->num_fds);
	snprintf(command, sizeof(command), "rm -r %s", test->dir);
	assert_int_equal(system(command), 0);
	free(test);
	return 0;
}

void soft_make_objects(struct ibv_context *context, struct soft_objects *o)
{
	struct ibv_srq_init_attr srq = { .attr = { .max_wr = 1 } };
	struct ibv_qp_init_attr qp = { .qp_type = IBV_QPT_RC };
	struct ibv_wq_init_attr wq = { .max_wr = 1 };

	o->pd = ibv_alloc_pd(context);
	o->cq = ibv_create_cq(context, 1, NULL, NULL, 0);
	o->srq = ibv_create_srq(o->pd, &srq);
	qp.send_cq = qp.recv_cq = o->cq;
	qp.srq = o->srq;
	o->qp = ibv_create_qp(o->pd, &qp);
	wq.pd = o->pd;
	wq.cq = o->cq;
	o->wq = ibv_create_wq(context, &wq);
	assert_non_null(o->qp);
	assert_non_null(o->wq);
}

void soft_destroy_objects(struct soft_objects *o)
{
	assert_int_equal(ibv_destroy_wq(o->wq), 0);
	assert_int_equal(ibv_destroy_qp(o->qp), 0);
	assert_int_equal(ibv_destroy_srq(o->srq), 0);
	assert_int_equal(ibv_destroy_cq(o->cq), 0);
	assert_int_equal(ibv_dealloc_pd(o->pd), 0);
}
