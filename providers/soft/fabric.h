/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The fabric: a directory that stands for a kernel. Shared by the control
 * functions and the interposer; there is no daemon.
 *
 *   lock			whoever changes anything below holds a flock on it;
 *				a shared one to read or to open a device
 *   next			the next device index
 *   class/infiniband_verbs/uverbsN/	a listed device; shaped like sysfs
 *	ibdev			its name today
 *	state			everything else (state.c), replaced as a whole
 *	faults			what is to fail (fault.c); may be missing
 *	numbers			the last QP and WQ numbers given out, under a flock
 *	contexts/ID/		one for each open context
 *		cmd, async	FIFOs: what holds the device
 *		comp-N		FIFOs: its completion channels
 *		objects		pid, marks, numbers of its objects; mapped
 *   class/infiniband/NAME/node_guid	the names that are taken
 *   cm/			of rdma_cm: ports, as sockets; see cm/port.c
 *   removed/INDEX/		a removed device that is still held
 *   new/			devices being made; if there is anything, whoever
 *				changed names last was killed on the way
 *
 * A context holds its device by the two FIFOs, which it keeps open for reading
 * and writing as cmd_fd and async_fd. Who opens one of them for writing learns
 * from ENXIO that nobody holds it any more, and from POLLERR when that comes to
 * be: whatever became of the holder, kill -9 and forked children included.
 *
 * Every file is read as if somebody else had written it: names of fixed
 * alphabets, sizes with limits, no path that leaves the directory, no link
 * followed.
 */
#ifndef SOFTVERBS_FABRIC_H
#define SOFTVERBS_FABRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

#define SV_NAME_MAX  64
#define SV_NODE_MAX  16
#define SV_MAX_PORTS 255
#define SV_NUM_GIDS  16
#define SV_NUM_PKEYS 16

#define SV_LISTED "class/infiniband_verbs"
#define SV_NAMES  "class/infiniband"

/* of the fabric: with the longest name it fits in ibv_device.ibdev_path[256] */
#define SV_PATH_MAX (256 - sizeof("/" SV_NAMES "/") + 1 - SV_NAME_MAX)

/* a file that is locked; fd is -1 when it is not */
struct sv_lock {
	int fd;
	bool shared;
	struct sv_lock *next;
};

/* any number of threads may use it: nothing in it changes */
struct softverbs {
	int dir; /* O_DIRECTORY */
	char *path;
};

int sv_fabric_path(const char *dir, char *buf, size_t size);
/* as softverbs_open(), but makes nothing */
struct softverbs *sv_open_existing(const char *dir);
/* a thread has one fabric locked at a time, and unlocks it itself */
int sv_lock(struct softverbs *sv);
/* only to read, and to make what is nobody else's: beside others who do so */
int sv_lock_shared(struct softverbs *sv);
/* of this thread's lock: nobody else has any on it */
bool sv_locked_alone(void);
void sv_unlock(struct softverbs *sv);
bool sv_name_is_good(const char *name);

/* ---- lock.c ---- */

/* opens and locks; never waits for who may wait for anything else */
int sv_lock_file(struct sv_lock *lock, int dir, const char *name, int flags);
int sv_lock_file_shared(struct sv_lock *lock, int dir, const char *name);
void sv_unlock_file(struct sv_lock *lock);

/* ---- small files, relative to a directory ---- */

/* a regular file that has no second name; else -1 and errno */
int sv_open_file(int dir, const char *name, int flags);
int sv_read_file(int dir, const char *name, char *buf, size_t size);
int sv_write_file(int dir, const char *name, const char *text, size_t len);
int sv_remove_tree(int dir, const char *name, int depth);
/* @path: may have several components; none of them may be a link */
int sv_open_dir(int dir, const char *path);
/* calls fn for each entry but "." and ".."; stops at non-zero */
int sv_for_each_entry(int dir, const char *path,
		      int (*fn)(int parent, const char *entry, void *arg),
		      void *arg);

/* ---- state.c ---- */

struct sv_port {
	bool up;
	uint8_t gid[SV_NUM_GIDS][16]; /* all zero: none */
	uint16_t pkey[SV_NUM_PKEYS];  /* 0: none */
};

struct sv_state {
	char name[SV_NAME_MAX];
	uint32_t index;
	__be64 guid;
	uint32_t removal; /* enum softverbs_removal */
	bool ib;	  /* link layer InfiniBand, else Ethernet */
	uint32_t num_ports;
	struct sv_port *ports; /* [0] is port 1 */
};

int sv_state_init(struct sv_state *state, uint32_t ports);
void sv_state_free(struct sv_state *state);
int sv_state_parse(struct sv_state *state, const char *text);
int sv_state_format(const struct sv_state *state, char **text, size_t *len);
int sv_state_load(int device_dir, struct sv_state *state);
int sv_state_store(int device_dir, const struct sv_state *state);
int sv_parse_gid(const char *text, uint8_t gid[16]);
int sv_parse_guid(const char *text, __be64 *guid);
void sv_format_guid(__be64 guid, char *buf, size_t size);

#endif /* SOFTVERBS_FABRIC_H */
