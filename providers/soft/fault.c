// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Faults: the file `faults` of a device has a line "VERB error ERRNO COUNT"
 * (COUNT 0: until taken back) or "VERB delay MS" for each verb that is to fail
 * or to take its time. Whoever changes it, or counts one down, holds a flock on
 * it; it is then written anew in place, so it is never replaced under a lock,
 * by one write: who is killed leaves the old text or the new.
 *
 * Verbs do not look at the file each time: every context has a mark that says
 * there may be faults. It is set before faults are stored and taken back where
 * there are none, both under the lock on the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"

#define MAX_FAULTS 80 /* more than there are verbs */
#define MAX_VERB   32
#define MAX_FILE   8192 /* an error and a delay for each */

struct fault {
	char verb[MAX_VERB];
	int error, count;
	unsigned int delay_ms;
};

struct faults {
	struct fault list[MAX_FAULTS];
	unsigned int num;
};

static const char *const verbs[] = {
	"open",
	"close",
	"query_device",
	"query_device_ex",
	"query_port",
	"query_gid",
	"query_gid_ex",
	"query_gid_table",
	"query_pkey",
	"query_rt_values",
	"alloc_pd",
	"dealloc_pd",
	"alloc_parent_domain",
	"alloc_td",
	"dealloc_td",
	"reg_mr",
	"rereg_mr",
	"dereg_mr",
	"reg_dmabuf_mr",
	"advise_mr",
	"alloc_mw",
	"dealloc_mw",
	"bind_mw",
	"alloc_dm",
	"free_dm",
	"create_comp_channel",
	"destroy_comp_channel",
	"create_cq",
	"create_cq_ex",
	"resize_cq",
	"modify_cq",
	"destroy_cq",
	"poll_cq",
	"req_notify_cq",
	"get_cq_event",
	"get_async_event",
	"create_srq",
	"create_srq_ex",
	"modify_srq",
	"query_srq",
	"destroy_srq",
	"post_srq_recv",
	"create_qp",
	"create_qp_ex",
	"modify_qp",
	"query_qp",
	"destroy_qp",
	"post_send",
	"post_recv",
	"create_ah",
	"destroy_ah",
	"attach_mcast",
	"detach_mcast",
	"create_flow",
	"destroy_flow",
	"create_wq",
	"modify_wq",
	"destroy_wq",
	"create_rwq_ind_table",
	"destroy_rwq_ind_table",
	"open_xrcd",
	"close_xrcd",
	"import_device",
	"import_pd",
	"import_mr",
};

bool sv_verb_is_known(const char *verb)
{
	unsigned int i;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i], verb) == 0)
			return true;
	return false;
}

static struct fault *find(struct faults *faults, const char *verb, bool make)
{
	struct fault *f;
	unsigned int i;

	for (i = 0; i < faults->num; i++)
		if (strcmp(faults->list[i].verb, verb) == 0)
			return &faults->list[i];
	if (!make || faults->num == MAX_FAULTS)
		return NULL;
	f = &faults->list[faults->num++];
	memset(f, 0, sizeof(*f));
	snprintf(f->verb, sizeof(f->verb), "%s", verb);
	return f;
}

static void parse_line(struct faults *faults, const char *line)
{
	char verb[MAX_VERB], what[8];
	int a, b = 0;
	struct fault *f;

	if (sscanf(line, "%31s %7s %d %d", verb, what, &a, &b) < 3 || a < 0 ||
	    b < 0)
		return;
	f = find(faults, verb, true);
	if (!f)
		return;
	if (strcmp(what, "error") == 0) {
		f->error = a;
		f->count = b;
	} else {
		f->delay_ms = a;
	}
}

static void load(int fd, struct faults *faults)
{
	char text[MAX_FILE + 1], *line, *next;
	ssize_t len = pread(fd, text, MAX_FILE, 0);

	faults->num = 0;
	if (len < 0)
		return;
	text[len] = '\0';
	for (line = text; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		parse_line(faults, line);
	}
}

static int store(int fd, const struct faults *faults)
{
	char text[MAX_FILE];
	unsigned int i;
	int len = 0;

	for (i = 0; i < faults->num && len < MAX_FILE - 128; i++) {
		const struct fault *f = &faults->list[i];

		if (f->error)
			len += snprintf(text + len, MAX_FILE - len,
					"%s error %d %d\n", f->verb, f->error,
					f->count);
		if (f->delay_ms)
			len += snprintf(text + len, MAX_FILE - len,
					"%s delay %u\n", f->verb, f->delay_ms);
	}
	/* blank lines over the rest of what was there, then without them */
	memset(text + len, '\n', MAX_FILE - len);
	if (pwrite(fd, text, MAX_FILE, 0) != MAX_FILE || ftruncate(fd, len))
		return EIO;
	return 0;
}

/* @objects: the context's file, or -1 */
static void unmark(int objects)
{
	const uint32_t none = 0;
	ssize_t n = 0;

	if (objects >= 0)
		n = pwrite(objects, &none, sizeof(none),
			   offsetof(struct sv_objects_header, faults));
	(void)n; /* then the next verb looks again */
}

void sv_fault_take(int device_dir, int objects, const char *verb,
		   struct sv_fault *fault)
{
	struct faults faults;
	struct sv_lock lock;
	struct fault *f;

	memset(fault, 0, sizeof(*fault));
	/* without a file there is no lock under which to unmark */
	if (sv_lock_file(&lock, device_dir, "faults",
			 objects >= 0 ? O_CREAT : 0))
		return;
	load(lock.fd, &faults);
	if (!faults.num)
		unmark(objects);
	f = find(&faults, verb, false);
	if (f) {
		fault->error = f->error;
		fault->delay_ms = f->delay_ms;
		if (f->error && f->count && --f->count == 0)
			f->error = 0;
		if (fault->error)
			store(lock.fd, &faults);
	}
	sv_unlock_file(&lock);
}

/* VERB=ERRNO[:N], VERB=delay:MS, none */
static int apply(struct faults *faults, char *word)
{
	char *value = strchr(word, '='), *count, *end;
	struct fault *f;
	long n = 0;

	if (strcmp(word, "none") == 0) {
		faults->num = 0;
		return 0;
	}
	if (!value)
		return EINVAL;
	*value++ = '\0';
	count = strchr(value, ':');
	if (count) {
		*count++ = '\0';
		n = strtol(count, &end, 0);
		if (!*count || *end || n < 1 || n > 1000000000)
			return EINVAL;
	}
	f = sv_verb_is_known(word) ? find(faults, word, true) : NULL;
	if (!f)
		return EINVAL;
	if (strcmp(value, "delay") == 0) {
		f->delay_ms = n;
		return count ? 0 : EINVAL;
	}
	f->error = sv_errno_value(value);
	f->count = n;
	return f->error > 0 ? 0 : EINVAL;
}

static int apply_all(struct faults *faults, const char *spec)
{
	char *copy = strdup(spec), *word, *save;
	int error = copy ? 0 : ENOMEM;
	bool any = false;

	for (word = copy ? strtok_r(copy, " \t", &save) : NULL; word && !error;
	     word = strtok_r(NULL, " \t", &save)) {
		error = apply(faults, word);
		any = true;
	}
	free(copy);
	return error ? error : any ? 0 : EINVAL;
}

static int mark(struct sv_context *ctx, void *arg)
{
	(void)arg;
	sv_context_mark_faults(ctx); /* fails where the file is not ours */
	return 0;
}

/* both locks held */
static int change(struct sv_device *dev, int fd, const char *spec)
{
	struct faults faults;
	int error;

	load(fd, &faults);
	error = apply_all(&faults, spec);
	if (error)
		return error;
	sv_for_each_context(dev->dir, mark, NULL);
	return store(fd, &faults);
}

int softverbs_set_fault(struct softverbs *sv, const char *name,
			const char *spec)
{
	struct sv_device dev;
	struct sv_lock lock;
	int error;

	if (!spec)
		return EINVAL;
	error = sv_device_find(sv, name, &dev);
	if (error)
		return error;
	error = sv_lock_file(&lock, dev.dir, "faults", O_CREAT);
	if (!error) {
		error = change(&dev, lock.fd, spec);
		sv_unlock_file(&lock);
	}
	sv_device_done(&dev);
	return error;
}
