// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The files `data` of contexts, ours and others': see data.h. One struct soft_shm
 * for each file that this process uses, found by its inode; each route and each
 * context has a reference.
 *
 * Whose is it? The owner has a POSIX lock on it, as long as he lives and has the
 * context: F_GETLK tells his pid, in the pid namespace of who asks, and that he is
 * gone. Such locks end when their process closes any descriptor of the file, so it
 * is opened once in a process. The flock is of its opener alone; the kernel lets go
 * of it when he dies.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "preload.h"
#include "shm.h"

/* a living process holds the lock for as long as a copy takes */
#define PATIENCE_NS 2000000000LL
#define SEEN_NS	    1000000LL

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct soft_shm *all;
static atomic_uint process;

unsigned int soft_shm_process(void)
{
	return atomic_load_explicit(&process, memory_order_relaxed);
}

void soft_shm_before_fork(void)
{
	pthread_mutex_lock(&all_lock);
}

static void close_fds(struct soft_shm *shm)
{
	unsigned int i;

	for (i = 0; i < SOFT_NUM_FIFOS; i++) {
		if (shm->fifos[i].fd >= 0)
			close(shm->fifos[i].fd);
		shm->fifos[i].fd = -1;
	}
	if (shm->fd >= 0)
		close(shm->fd);
	if (shm->contexts >= 0)
		close(shm->contexts);
	if (shm->atomics >= 0)
		close(shm->atomics);
	shm->fd = shm->contexts = shm->atomics = -1;
}

static void close_all(struct soft_shm *shm)
{
	close_fds(shm);
	if (shm->map)
		munmap(shm->map, shm->mapped);
	soft_unmap_marks(shm->marks);
}

/* a flock of the parent's, which they share, is not to outlive him */
static void forget_inherited(void)
{
	struct soft_shm *shm;

	while ((shm = all)) {
		all = shm->next;
		close_fds(shm);
	}
	atomic_fetch_add(&process, 1);
}

void soft_shm_after_fork(bool is_child)
{
	if (is_child)
		forget_inherited();
	pthread_mutex_unlock(&all_lock);
}

size_t sd_record_size(enum sd_table table)
{
	static const size_t sizes[SD_NUM_TABLES] = {
		[SD_QPS] = sizeof(struct sd_qp),
		[SD_CQS] = sizeof(struct sd_cq),
		[SD_SRQS] = sizeof(struct sd_srq),
		[SD_MRS] = sizeof(struct sd_mr),
		[SD_MEMBERS] = sizeof(struct sd_member),
	};

	return sizes[table];
}

/* chunk k has 64 << k records */
void sd_where(uint32_t index, unsigned int *chunk, uint32_t *in_chunk)
{
	uint32_t n = index / 64 + 1;

	*chunk = 31 - __builtin_clz(n);
	*in_chunk = index - 64 * ((1U << *chunk) - 1);
}

/* ---- those of this process ---- */

static struct soft_shm *find(dev_t dev, ino_t ino)
{
	struct soft_shm *shm;

	for (shm = all; shm; shm = shm->next)
		if (shm->dev == dev && shm->ino == ino)
			break;
	if (shm)
		atomic_fetch_add(&shm->refs, 1);
	return shm;
}

void soft_shm_put(struct soft_shm *shm)
{
	struct soft_shm **at;

	pthread_mutex_lock(&all_lock);
	if (atomic_fetch_sub(&shm->refs, 1) > 1) {
		pthread_mutex_unlock(&all_lock);
		return;
	}
	for (at = &all; *at; at = &(*at)->next) {
		if (*at == shm) {
			*at = shm->next;
			break;
		}
	}
	/* inside the lock: whoever opens it anew must not lose its lock */
	close_all(shm);
	pthread_mutex_unlock(&all_lock);
	pthread_mutex_destroy(&shm->mutex);
	soft_region_forget(shm);
	free(shm);
}

struct soft_shm *soft_shm_new(int contexts, const char *id)
{
	struct soft_shm *shm = calloc(1, sizeof(*shm));
	unsigned int i;

	if (!shm)
		return NULL;
	atomic_init(&shm->refs, 1);
	shm->fd = shm->atomics = -1;
	shm->process = soft_shm_process();
	for (i = 0; i < SOFT_NUM_FIFOS; i++)
		shm->fifos[i].fd = -1;
	pthread_mutex_init(&shm->mutex, NULL);
	strncpy(shm->id, id, sizeof(shm->id) - 1);
	shm->contexts = fcntl(contexts, F_DUPFD_CLOEXEC, 0);
	if (shm->contexts >= 0)
		return shm;
	soft_shm_abandon(shm);
	return NULL;
}

/* one that nobody else has seen */
void soft_shm_abandon(struct soft_shm *shm)
{
	close_all(shm);
	pthread_mutex_destroy(&shm->mutex);
	soft_region_forget(shm);
	free(shm);
}

void soft_shm_publish(struct soft_shm *shm)
{
	pthread_mutex_lock(&all_lock);
	shm->next = all;
	all = shm;
	pthread_mutex_unlock(&all_lock);
}

/* ---- what is in it ---- */

static bool map_all(struct soft_shm *shm, uint64_t need)
{
	struct stat st;
	void *map;

	if (fstat(shm->fd, &st) || st.st_size < 0 ||
	    (uint64_t)st.st_size < need || (uint64_t)st.st_size > SIZE_MAX)
		return false;
	map = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   shm->fd, 0);
	if (map == MAP_FAILED)
		return false;
	if (shm->map)
		munmap(shm->map, shm->mapped);
	shm->map = map;
	shm->mapped = st.st_size;
	return true;
}

/* all that can be found while the lock is held was there when it was taken */
static bool follow_growth(struct soft_shm *shm)
{
	const struct sd_header *header = (void *)shm->map;
	uint64_t size = sizeof(*header);

	if (header)
		size = __atomic_load_n(&header->size, __ATOMIC_ACQUIRE);
	return size <= shm->mapped || map_all(shm, size);
}

void *soft_shm_at(struct soft_shm *shm, uint64_t offset, size_t size)
{
	uint64_t end;

	if (__builtin_add_overflow(offset, size, &end) || offset % 8 ||
	    end > shm->mapped)
		return NULL;
	return shm->map + offset;
}

void *soft_shm_record(struct soft_shm *shm, enum sd_table table, uint32_t index)
{
	const struct sd_header *header = (void *)shm->map;
	size_t size = sd_record_size(table);
	unsigned int chunk;
	uint32_t at;
	uint64_t offset;

	sd_where(index, &chunk, &at);
	if (chunk >= SD_NUM_CHUNKS)
		return NULL;
	offset = __atomic_load_n(&header->chunks[table][chunk],
				 __ATOMIC_RELAXED);
	if (!offset || offset > shm->mapped)
		return NULL;
	return soft_shm_at(shm, offset + (uint64_t)at * size, size);
}

/* ---- another's ---- */

static int open_marks(struct soft_shm *shm, int dir)
{
	int fd = sv_open_file(dir, "objects", O_RDONLY);
	struct stat st;

	if (fd < 0)
		return errno;
	if (fstat(fd, &st) ||
	    st.st_size < (off_t)sizeof(struct sv_objects_header)) {
		close(fd);
		return EINVAL;
	}
	shm->marks = soft_map_marks(fd);
	close(fd);
	return shm->marks ? 0 : errno;
}

static bool is_data(struct soft_shm *shm)
{
	const struct sd_header *header;

	if (!map_all(shm, sizeof(*header)))
		return false;
	header = (void *)shm->map;
	return header->magic == SD_MAGIC && header->version == SD_VERSION;
}

/* with all_lock */
static struct soft_shm *open_other(int dir, int contexts, const char *id)
{
	struct soft_shm *shm = soft_shm_new(contexts, id);
	struct stat st;

	if (!shm)
		return NULL;
	shm->fd = sv_open_file(dir, "data", O_RDWR);
	if (shm->fd < 0 || fstat(shm->fd, &st) || open_marks(shm, dir) ||
	    !is_data(shm)) {
		soft_shm_abandon(shm);
		return NULL;
	}
	shm->dev = st.st_dev;
	shm->ino = st.st_ino;
	shm->next = all;
	all = shm;
	return shm;
}

struct soft_shm *soft_shm_open(int contexts, const char *id)
{
	int dir = sv_open_dir(contexts, id);
	struct soft_shm *shm = NULL;
	struct stat st;

	if (dir < 0)
		return NULL;
	pthread_mutex_lock(&all_lock);
	/* without opening it: see the top */
	if (!fstatat(dir, "data", &st, AT_SYMLINK_NOFOLLOW) &&
	    S_ISREG(st.st_mode)) {
		shm = find(st.st_dev, st.st_ino);
		if (!shm)
			shm = open_other(dir, contexts, id);
	}
	pthread_mutex_unlock(&all_lock);
	close(dir);
	return shm;
}

/* ---- the lock ---- */

/* a stopped process may have it for ever: like a link that is silent */
static int lock_file(int fd)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	int64_t until = 0;
	unsigned int tries;

	for (tries = 0; flock(fd, LOCK_EX | LOCK_NB); tries++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return errno;
		if (!until)
			until = soft_now_ns() + PATIENCE_NS;
		else if (soft_now_ns() > until)
			return ETIMEDOUT;
		if (tries < 50)
			sched_yield();
		else
			nanosleep(&pause, NULL);
	}
	return 0;
}

/*
 * Asked once in a while only: a process id does not come again as soon as that, and
 * what is copied to one that is gone fails.
 */
static bool is_alive(struct soft_shm *shm)
{
	struct flock owner = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	const struct sd_header *header = (void *)shm->map;
	int64_t now;

	if (header && header->magic != SD_MAGIC)
		return false; /* its owner has closed it */
	if (shm->is_own)
		return !shm->closed;
	now = soft_now_ns();
	if (now - shm->seen_alive < SEEN_NS)
		return true;
	if (fcntl(shm->fd, F_GETLK, &owner) || owner.l_type == F_UNLCK)
		return false;
	shm->pid = owner.l_pid;
	shm->seen_alive = now;
	if (shm->pid > 0)
		return true;
	soft_copy_complain(0, ESRCH); /* of another pid namespace */
	return false;
}

/* what the one before us had begun and, if that is in the CQ, not ended */
static void mend(struct soft_shm *shm)
{
	struct sd_header *header = (void *)shm->map;
	struct sd_journal j = header->journal;
	struct sd_cq *cq;
	struct sd_srq *srq;
	struct sd_qp *qp;

	if (!j.begun)
		return;
	cq = soft_shm_record(shm, SD_CQS, j.cq);
	if (cq && cq->tail == j.tail) {
		if (j.is_srq) {
			srq = soft_shm_record(shm, SD_SRQS, j.queue);
			if (srq)
				srq->rq.head = j.head;
		} else {
			qp = soft_shm_record(shm, SD_QPS, j.queue);
			if (qp)
				qp->rq.head = j.head;
		}
	}
	header->journal.begun = 0;
}

int soft_shm_lock(struct soft_shm *shm)
{
	int error;

	if (shm->process != soft_shm_process())
		return ESRCH;
	pthread_mutex_lock(&shm->mutex);
	error = lock_file(shm->fd);
	if (!error && (!is_alive(shm) || !follow_growth(shm) ||
		       __atomic_load_n(&shm->marks->fatal, __ATOMIC_ACQUIRE))) {
		flock(shm->fd, LOCK_UN);
		error = ESRCH;
	}
	if (error)
		pthread_mutex_unlock(&shm->mutex);
	else
		mend(shm);
	return error;
}

void soft_shm_unlock(struct soft_shm *shm)
{
	flock(shm->fd, LOCK_UN);
	pthread_mutex_unlock(&shm->mutex);
}

/*
 * The same memory may be registered in several contexts: so atomics are one after
 * another for all of the device.
 */
int soft_shm_lock_atomics(struct soft_shm *shm)
{
	if (shm->atomics < 0)
		shm->atomics =
			openat(shm->contexts, "../atomics",
			       O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return shm->atomics < 0 ? errno : lock_file(shm->atomics);
}

void soft_shm_unlock_atomics(struct soft_shm *shm)
{
	flock(shm->atomics, LOCK_UN);
}
