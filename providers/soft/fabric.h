/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The fabric: a directory that stands for a kernel. Shared by the control
 * functions and the interposer; there is no daemon.
 *
 *   lock			whoever changes anything below holds a flock on it
 *   next			the next device index
 *   class/infiniband_verbs/uverbsN/	a listed device; shaped like sysfs
 *	ibdev			its name today
 *	state			everything else (state.c), replaced as a whole
 *	faults			what is to fail (fault.c); may be missing
 *	numbers			the last QP and WQ numbers given out, under a flock
 *	contexts/ID/		one for each open context
 *		cmd, async	FIFOs: what holds the device
 *		objects		pid, fatal mark, numbers of its objects
 *   class/infiniband/NAME/node_guid	the names that are taken
 *   removed/INDEX/		a removed device that is still held
 *   new/			devices being made
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

struct softverbs {
	int dir; /* O_DIRECTORY */
	int lock;
	char *path;
};

int sv_fabric_path(const char *dir, char *buf, size_t size);
/* as softverbs_open(), but makes nothing */
struct softverbs *sv_open_existing(const char *dir);
int sv_lock(struct softverbs *sv);
void sv_unlock(struct softverbs *sv);
bool sv_name_is_good(const char *name);

/* small files, relative to a directory */
int sv_read_file(int dir, const char *name, char *buf, size_t size);
int sv_write_file(int dir, const char *name, const char *text, size_t len);
int sv_remove_tree(int dir, const char *name, int depth);
int sv_open_dir(int dir, const char *name);
/* calls fn for each entry but "." and ".."; stops at non-zero */
int sv_for_each_entry(int dir, const char *name,
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
