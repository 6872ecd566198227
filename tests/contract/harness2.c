// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See harness2.h. */
#include <dirent.h>
#include <linux/netlink.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness2.h"
#include "proc.h"

/* white-box: an unprivileged test cannot make the kernel send one */
void h2_uevent(const char *action, const char *node)
{
	char msg[256];
	int len;

	len = snprintf(msg, sizeof(msg),
		       "%s@/devices/x/infiniband_verbs/%s%cACTION=%s%c"
		       "DEVPATH=/devices/x/infiniband_verbs/%s%c"
		       "SUBSYSTEM=infiniband_verbs",
		       action, node, 0, action, 0, node, 0);
	ibc__lock(h_reg);
	ibc__uevent_parse(h_reg, msg, len);
	ibc__unlock(h_reg);
}

void h2_unregistered(int index)
{
	struct {
		struct nlmsghdr header;
		struct nlattr of_index;
		int32_t index;
		struct nlattr of_event;
		uint8_t event, pad[3];
	} msg = {
		.header = { .nlmsg_len = sizeof(msg),
			    .nlmsg_type = 5 << 10 | 28 },
		.of_index = { .nla_len = 8, .nla_type = 1 },
		.index = index,
		.of_event = { .nla_len = 5, .nla_type = 102 },
		.event = 1,
	};

	ibc__lock(h_reg);
	ibc__netlink_parse(h_reg, &msg, sizeof(msg));
	ibc__unlock(h_reg);
}

struct ibc_stats h2_stats(struct ibc_registry *reg)
{
	struct ibc_stats stats;

	check(ibc_query_stats(reg, &stats, sizeof(stats)) == 0);
	return stats;
}

bool h2_is(struct ibc_device *dev, enum ibc_device_state state)
{
	return ibc_device_state(dev) == state;
}

bool h2_polled(struct ibc_registry *reg, int fd)
{
	char path[64], line[256];
	bool found = false;
	int tfd;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", reg->epoll_fd);
	f = fopen(path, "re");
	check(f);
	while (fgets(line, sizeof(line), f))
		found |= sscanf(line, "tfd: %d", &tfd) == 1 && tfd == fd;
	fclose(f);
	return found;
}

unsigned int h2_fds(void)
{
	return proc_fds();
}

unsigned int h2_threads(void)
{
	return proc_threads();
}

void h2_remove(struct ibc_device *dev)
{
	check(ibc_remove_device(dev) == 0);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	ibc_put_device(dev);
}

char *h2_dump(struct ibc_registry *reg, enum ibc_dump_format format)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	check(out);
	check(ibc_dump(reg, out, format) == 0);
	check(fclose(out) == 0);
	return text;
}

struct ibc_client_data *h2_begin(struct rec *rec, struct ibc_device **dev)
{
	struct ibc_client_data *data;

	fake_add("soft0", 0x11);
	rec_init(rec, "a", 0);
	rec_register(rec);
	*dev = h_device("soft0");
	data = ibc_alloc_or_get_client_data(*dev, &rec->client);
	check(data);
	return data;
}

#ifdef IBC_COVERAGE
void __gcov_dump(void);
#endif

void h2_child_ends(void)
{
#ifdef IBC_COVERAGE
	__gcov_dump(); /* what the child has executed counts, too */
#endif
	execl("/bin/true", "true", NULL);
	_exit(125);
}

/* how often the other threads went to sleep; 0 if one is awake */
static unsigned long sleeps_of(const char *tid)
{
	char path[288], line[128], state = 0;
	unsigned long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%s/status", tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "State: %c", &state);
		sscanf(line, "voluntary_ctxt_switches: %lu", &n);
	}
	if (f)
		fclose(f);
	return state == 'S' ? n : 0;
}

static bool all_sleep(unsigned long *sleeps)
{
	DIR *dir = opendir("/proc/self/task");
	bool all = true;
	struct dirent *e;
	unsigned long n;

	check(dir);
	*sleeps = 0;
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.' || atoi(e->d_name) == gettid())
			continue;
		n = sleeps_of(e->d_name);
		*sleeps += n;
		all = all && n;
	}
	closedir(dir);
	return all;
}

/* none of them moved between two looks */
static bool stay_asleep(void)
{
	unsigned long first, second;

	return all_sleep(&first) && all_sleep(&second) && first == second;
}

void h2_all_asleep(void)
{
	h_fence();
	wait_for(stay_asleep());
}

void h2_wait_child(pid_t pid)
{
	int status;

	check(pid > 0);
	check(waitpid(pid, &status, 0) == pid);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
