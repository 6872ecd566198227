// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Copying between this process's memory and another's, which process_vm_readv()
 * and process_vm_writev() do for processes of the same user: see ptrace(2) on who
 * may. The other one does nothing, and need not run.
 */
#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preload.h"

#define MAX_IOV (SD_MAX_SGE + 1)

struct side {
	struct iovec iov[MAX_IOV];
	unsigned int num, at;
};

static void init_side(struct side *side, const struct iovec *iov,
		      unsigned int num)
{
	memcpy(side->iov, iov, num * sizeof(*iov));
	side->num = num;
	side->at = 0;
}

/* @n bytes of it are done */
static void advance(struct side *side, size_t n)
{
	struct iovec *iov;

	while (side->at < side->num) {
		iov = &side->iov[side->at];
		if (n < iov->iov_len) {
			iov->iov_base = (char *)iov->iov_base + n;
			iov->iov_len -= n;
			return;
		}
		n -= iov->iov_len;
		side->at++;
	}
}

static bool is_over(const struct side *side)
{
	return side->at == side->num;
}

static size_t copy_within(const struct side *local, const struct side *remote,
			  bool to_remote)
{
	const struct iovec *l = &local->iov[local->at];
	const struct iovec *r = &remote->iov[remote->at];
	size_t n = l->iov_len < r->iov_len ? l->iov_len : r->iov_len;

	if (to_remote)
		memmove(r->iov_base, l->iov_base, n);
	else
		memmove(l->iov_base, r->iov_base, n);
	return n;
}

void soft_copy_complain(pid_t pid, int error)
{
	static atomic_bool told;

	if (atomic_exchange(&told, true))
		return;
	fprintf(stderr,
		"softverbs: the memory of another process (%d) cannot be "
		"reached: %s. It is copied by process_vm_writev(2), which "
		"wants the same user and the same pid namespace, and which the "
		"kernel (ptrace_scope) or a container (seccomp) may forbid: "
		"see softverbs(7), \"Where no data flows\".\n",
		(int)pid, strerror(error));
}

static ssize_t copy_by(pid_t id, const struct side *local,
		       const struct side *remote, bool to_remote)
{
	const struct iovec *l = &local->iov[local->at];
	const struct iovec *r = &remote->iov[remote->at];
	unsigned int nl = local->num - local->at;
	unsigned int nr = remote->num - remote->at;

	return to_remote ? process_vm_writev(id, l, nl, r, nr, 0) :
			   process_vm_readv(id, l, nl, r, nr, 0);
}

/* a first thread that has ended has no memory; the others may live on */
static ssize_t copy_by_others(pid_t pid, const struct side *local,
			      const struct side *remote, bool to_remote)
{
	struct dirent *entry;
	int error = ESRCH;
	ssize_t n = -1;
	char path[32];
	pid_t id;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && error == ESRCH && (entry = readdir(dir))) {
		id = (pid_t)atoi(entry->d_name);
		if (id <= 0 || id == pid)
			continue;
		n = copy_by(id, local, remote, to_remote);
		error = n < 0 ? errno : 0;
	}
	if (dir)
		closedir(dir);
	errno = error;
	return n;
}

static ssize_t copy_across(pid_t pid, const struct side *local,
			   const struct side *remote, bool to_remote)
{
	ssize_t n = copy_by(pid, local, remote, to_remote);

	if (n < 0 && errno == ESRCH)
		n = copy_by_others(pid, local, remote, to_remote);
	if (n < 0 && (errno == EPERM || errno == ENOSYS || errno == EACCES))
		soft_copy_complain(pid, errno);
	return n;
}

int soft_copy(struct soft_shm *shm, const struct iovec *local,
	      unsigned int num_local, const struct iovec *remote,
	      unsigned int num_remote, bool to_remote)
{
	struct side l, r;
	ssize_t n;

	init_side(&l, local, num_local);
	init_side(&r, remote, num_remote);
	/* what is empty is passed by */
	advance(&l, 0);
	advance(&r, 0);
	while (!is_over(&l) && !is_over(&r)) {
		n = shm->is_own ? (ssize_t)copy_within(&l, &r, to_remote) :
				  copy_across(shm->pid, &l, &r, to_remote);
		if (n < 0)
			return errno;
		if (n == 0)
			return EFAULT;
		advance(&l, n);
		advance(&r, n);
	}
	return 0;
}
